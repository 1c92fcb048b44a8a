//! How long retention rests after what it did. It looks at no clock: what a round took is given.
//!
//! ```text
//! work   rest                    work   rest                       a round is one step of every sweep
//! ====   ................        ==     ........                   a fifth of the time is work
//! ```

use std::time::Duration;

/// How often it looks for something to do when there was nothing.
const IDLE: Duration = Duration::from_secs(1);
/// After a round it rests so many times as long as the round took: its share of the disk and of a
/// processor is a fifth.
const REST_TIMES: u32 = 4;
/// The first pause after an error; each is twice the one before.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause after an error.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// What one step of every sweep came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Round {
    /// How long they took together.
    pub(super) worked: Duration,
    /// Whether one of them got on.
    pub(super) moved: bool,
    /// Whether one of them failed.
    pub(super) failed: bool,
}

/// Remembers how long errors last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// The pause after the last round, if that failed.
    pause: Option<Duration>,
}

impl Pace {
    /// How long to rest after this round.
    pub(super) fn rest(&mut self, round: Round) -> Duration {
        let rest = round.worked.saturating_mul(REST_TIMES);
        self.pause = round.failed.then(|| match self.pause {
            Some(pause) => (pause * 2).min(RETRY_PAUSE_MAX),
            None => RETRY_PAUSE_MIN,
        });
        match self.pause {
            Some(pause) => rest.max(pause),
            None if round.moved => rest,
            None => rest.max(IDLE),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Catches retention that takes more than its fifth of the time, that hurries where there is
    //! nothing to do or where it fails, and one that rests longer than it must.
    use proptest::prelude::*;

    use super::*;

    fn rounds() -> impl Strategy<Value = Vec<Round>> {
        let worked = prop_oneof![0..5_000u64, 0..50_000_000u64, any::<u64>()];
        let round = (worked, any::<bool>(), prop::bool::weighted(0.3));
        let round = round.prop_map(|(worked, moved, failed)| Round {
            worked: Duration::from_micros(worked),
            moved,
            failed,
        });
        prop::collection::vec(round, 1..40)
    }

    proptest! {
        #[test]
        fn a_fifth_of_the_time_is_work(rounds in rounds()) {
            let mut pace = Pace::default();
            let (mut worked, mut rested) = (Duration::ZERO, Duration::ZERO);
            for round in rounds {
                worked += round.worked;
                rested += pace.rest(round);
                prop_assert!(worked * 5 <= worked + rested, "{worked:?} beside {rested:?}");
            }
        }

        #[test]
        fn no_rest_is_longer_or_shorter_than_it_must_be(rounds in rounds()) {
            let mut pace = Pace::default();
            let mut failures = 0;
            for round in rounds {
                failures = if round.failed { failures + 1 } else { 0 };
                let pause = match failures {
                    0 if round.moved => Duration::ZERO,
                    0 => Duration::from_secs(1),
                    _ => Duration::from_millis(100u64 << (failures - 1).min(20)),
                };
                let pause = pause.min(Duration::from_secs(30));
                prop_assert_eq!(pace.rest(round), pause.max(round.worked * 4), "{:?}", round);
            }
        }
    }
}
