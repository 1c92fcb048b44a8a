//! How much the random suites do: without it a longer run would need an edited file.
//!
//! `ANNALS_SUITE_FACTOR` multiplies the counts of every suite, `ANNALS_SUITE_SEED` is where their
//! seeds begin: another number is another run.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many threads a suite has: its work is divided by seeds.
const THREADS: usize = 2;
/// How many bad finds are enough to say so.
const BAD_MAX: usize = 5;

fn number(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else {
        return default;
    };
    text.parse()
        .unwrap_or_else(|_| panic!("{name} is {text:?}, not a number"))
}

/// This count, multiplied as the environment says.
pub(crate) fn scaled(count: u64) -> u64 {
    count * number("ANNALS_SUITE_FACTOR", 1)
}

/// The first seed of every suite.
pub(crate) fn first_seed() -> u64 {
    number("ANNALS_SUITE_SEED", 0)
}

/// What a suite has found.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    count: AtomicU64,
    bad: Mutex<Vec<String>>,
}

impl Tally {
    /// How much was tried.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, count: u64) {
        self.count.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn report(&self, bad: String) {
        self.bad.lock().unwrap().push(bad);
    }

    /// Whether there are enough bad finds to stop.
    pub(crate) fn is_full(&self) -> bool {
        self.bad.lock().unwrap().len() >= BAD_MAX
    }

    /// The suite has tried so much and found nothing, or, with a planted bug, has found it.
    pub(crate) fn expect(self, what: &str, at_least: u64, planted: bool) {
        let (count, bad) = (self.count(), self.bad.into_inner().unwrap());
        if planted {
            assert!(!bad.is_empty(), "the planted bug survived {count} {what}");
            println!("{what}: the planted bug was found: {}", bad[0]);
        } else {
            assert!(bad.is_empty(), "{bad:#?}");
            assert!(count >= at_least, "only {count} {what}");
            println!("{count} {what}, none bad");
        }
    }
}

/// Does this work for seed after seed, until it says that it was the last, or enough is bad.
pub(crate) fn each_seed(tally: &Tally, work: impl Fn(u64) -> bool + Sync) {
    let next = AtomicU64::new(first_seed());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(
                || {
                    while !tally.is_full() && work(next.fetch_add(1, Ordering::Relaxed)) {}
                },
            );
        }
    });
}
