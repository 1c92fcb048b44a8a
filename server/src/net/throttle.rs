//! Wrong passwords, counted for each address and each user, and slowed.
//!
//! Tokens are not counted: 256 random bits cannot be guessed. An IPv6 address counts by its /64,
//! as whoever has one has all of it. A password counts as wrong from before it is looked at, and
//! is taken back when it was right, so that one whose asker went away counts too.
//!
//! The first few cost nothing, so that a person may mistype; then each waits longer before it is
//! answered, and after [`FAILURES_MAX`] within [`WINDOW`] passwords are no longer looked at until
//! the window is over. Whoever shows a good token or a password that was found right before is
//! never held up: a stranger cannot lock a user out of what works.
//!
//! Invariant: no more than [`NAMES_MAX`] names are kept, whatever comes; the one that goes for a
//! new one has failed least.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
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
                let least = names
                    .iter()
                    .min_by_key(|(_, count)| (count.failures, count.ends));
                if let Some(least) = least.map(|(name, _)| name.clone()) {
                    names.remove(&least);
                }
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

    /// Takes one failure back.
    pub(super) fn forgive(&self, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = names.get_mut(name) else {
            return;
        };
        count.failures = count.failures.saturating_sub(1);
        if count.failures == 0 {
            names.remove(name);
        }
    }

    #[cfg(test)]
    pub(super) fn failures(&self, name: &str) -> u32 {
        let names = self.names.lock().unwrap();
        names.get(name).map_or(0, |count| count.failures)
    }
}

/// The name that an address counts under.
pub(super) fn name_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("at {address}"),
        IpAddr::V6(address) => {
            let network = Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64));
            format!("at {network}/64")
        }
    }
}

#[cfg(test)]
mod tests {
    //! Catches a guesser who is never slowed, one who is remembered for ever, and a count of names
    //! that grows with every guesser, or that guessers empty.
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

    #[test]
    fn strangers_do_not_wash_away_who_failed_often() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for _ in 0..FAILURES_MAX {
            throttle.fail("often", start);
        }
        for name in 0..NAMES_MAX + 10 {
            throttle.fail(&name.to_string(), start);
        }
        assert_eq!(throttle.failures("often"), FAILURES_MAX);
    }

    #[test]
    fn what_is_taken_back_was_never_there() {
        let throttle = Throttle::default();
        let start = Instant::now();
        throttle.fail("a", start);
        throttle.fail("a", start);
        throttle.forgive("a");
        assert_eq!(throttle.failures("a"), 1);
        throttle.forgive("a");
        throttle.forgive("a");
        assert!(throttle.names.lock().unwrap().is_empty());
    }

    #[test]
    fn an_address_counts_with_all_that_its_holder_has() {
        for (one, other, is_same) in [
            ("2001:db8::1", "2001:db8::ffff:0:0:2", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
        ] {
            let [left, right] = [one, other].map(|text| name_of(text.parse().unwrap()));
            assert_eq!(left == right, is_same, "{one} {other}");
        }
    }
}
