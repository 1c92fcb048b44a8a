//! Failed logins, counted for each address and each user, and slowed.
//!
//! The first few cost nothing, so that a person may mistype; then each waits longer before it is
//! answered, and after [`FAILURES_MAX`] within [`WINDOW`] passwords are no longer looked at until
//! the window is over. Whoever shows a good token or a password that was found right before is
//! never held up: a stranger cannot lock a user out of what works.
//!
//! Invariant: no more than [`NAMES_MAX`] names are kept, whatever comes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limits;

const FAILURES_MAX: u32 = limits::LOGIN_FAILURES as u32;
const WINDOW: Duration = Duration::from_secs(limits::LOGIN_SECONDS as u64);
const NAMES_MAX: usize = limits::LOGINS_REMEMBERED;
/// Failures that are answered at once.
const FREE: u32 = 5;
/// What each further one waits longer than the one before.
const STEP: Duration = Duration::from_millis(100);

/// The failed logins of a while.
#[derive(Debug)]
pub(super) struct Throttle {
    step: Duration,
    names: Mutex<HashMap<String, Count>>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    failures: u32,
    ends: Instant,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new(STEP)
    }
}

impl Throttle {
    /// A count that slows each failure by this much more than the one before.
    pub(super) fn new(step: Duration) -> Self {
        let names = Mutex::default();
        Self { step, names }
    }

    /// How long this name is not listened to any more, if it is not.
    pub(super) fn wait(&self, name: &str, now: Instant) -> Option<Duration> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let count = names.get(name)?;
        let left = count.ends.checked_duration_since(now)?;
        (count.failures >= FAILURES_MAX).then_some(left)
    }

    /// Counts a failure; answers how long to wait before it is told.
    pub(super) fn fail(&self, name: &str, now: Instant) -> Duration {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= NAMES_MAX && !names.contains_key(name) {
            names.retain(|_, count| count.ends > now);
            if names.len() >= NAMES_MAX {
                // All of them are fresh: those who came first are let off.
                names.clear();
            }
        }
        let fresh = Count {
            failures: 0,
            ends: now + WINDOW,
        };
        let count = names.entry(name.to_owned()).or_insert(fresh);
        if count.ends <= now {
            *count = fresh;
        }
        count.failures = count.failures.saturating_add(1);
        self.step * count.failures.saturating_sub(FREE).min(FAILURES_MAX)
    }
}

#[cfg(test)]
mod tests {
    //! Catches a guesser who is never slowed, one who is remembered for ever, and a count of names
    //! that grows with every guesser.
    use super::*;

    #[test]
    fn who_fails_often_waits_and_is_forgotten() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let waits: Vec<Duration> = (0..FAILURES_MAX)
            .map(|_| {
                assert_eq!(throttle.wait("a", start), None);
                throttle.fail("a", start)
            })
            .collect();
        assert_eq!(waits[FREE as usize - 1], Duration::ZERO);
        assert!(waits[FREE as usize..].is_sorted() && waits[FREE as usize] >= STEP);
        assert_eq!(throttle.wait("a", start), Some(WINDOW));
        assert_eq!(throttle.wait("b", start), None);
        let later = start + WINDOW;
        assert!(throttle.wait("a", later).is_none_or(|left| left.is_zero()));
        assert_eq!(throttle.fail("a", later), Duration::ZERO);
        assert_eq!(throttle.wait("a", later), None);
    }

    #[test]
    fn the_names_are_bounded() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for name in 0..3 * NAMES_MAX {
            throttle.fail(&name.to_string(), start);
            assert!(throttle.names.lock().unwrap().len() <= NAMES_MAX);
        }
    }
}
