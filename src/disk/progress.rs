//! How far the applier is with a layer, and how much that slows the writer down.
//!
//! The active layer must not be full before the sealed one is in the tables, or every caller waits
//! for the rest of that: one long pause instead of many short ones. So the writer is held to
//! [`allowed`], which reaches the end of its layer just when the applier reaches that of the other.
//!
//! The applier tells each step of its work. Of the commit that follows it sees nothing, so how far
//! that is goes by the time the last one took.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How many steps are told for a revision.
pub(super) const STEPS: usize = 4;

/// The longest that one commit is slowed down.
const PAUSE_MAX: Duration = Duration::from_millis(10);
/// How full the active layer may be when the other has only just been sealed, and when it is all
/// but put away: the rest is for when an estimate was wrong.
const FILL_FIRST: f64 = 0.25;
const FILL_LAST: f64 = 0.9;
/// How far beyond that the writer goes at the pace of the applier, as a share of a layer.
const BEYOND: f64 = 0.05;
/// The most that is believed of a commit that has not returned.
const COMMIT_SEEN_MAX: f64 = 0.95;
/// What is assumed until a layer was put away: nanoseconds a revision, and the part that is commit.
const FIRST_COST: u64 = 15_000;
const FIRST_COMMIT: f64 = 0.4;

/// The layer that is being put away, and what the one before it took.
pub(super) struct Progress {
    epoch: Instant,
    done: AtomicUsize,
    total: AtomicUsize,
    /// When the work and its commit began, in nanoseconds of `epoch`; 0 before.
    began: AtomicU64,
    committing: AtomicU64,
    /// What the last layer took in nanoseconds: each revision, and its commit.
    cost: AtomicU64,
    commit: AtomicU64,
}

impl Default for Progress {
    fn default() -> Self {
        Progress {
            epoch: Instant::now(),
            done: AtomicUsize::new(0),
            total: AtomicUsize::new(1),
            began: AtomicU64::new(0),
            committing: AtomicU64::new(0),
            cost: AtomicU64::new(FIRST_COST),
            commit: AtomicU64::new(0),
        }
    }
}

impl Progress {
    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    /// So many revisions are about to be put away.
    pub(super) fn begin(&self, revisions: usize) {
        self.done.store(0, Relaxed);
        self.total.store((revisions * STEPS).max(1), Relaxed);
        self.committing.store(0, Relaxed);
        self.began.store(self.now(), Relaxed);
    }

    /// One step of the work is done.
    pub(super) fn step(&self) {
        self.done.fetch_add(1, Relaxed);
    }

    /// The work is done, and the commit begins.
    pub(super) fn commits(&self) {
        self.committing.store(self.now(), Relaxed);
    }

    /// The layer is in the tables.
    pub(super) fn end(&self) {
        let now = self.now();
        let revisions = (self.total.load(Relaxed) / STEPS).max(1) as u64;
        let spent = now.saturating_sub(self.began.load(Relaxed));
        self.cost.store(spent / revisions, Relaxed);
        let committing = self.committing.load(Relaxed);
        self.commit.store(now.saturating_sub(committing), Relaxed);
    }

    /// The share of the layer that is put away.
    fn share(&self) -> f64 {
        let total = self.total.load(Relaxed);
        let expected = self.cost.load(Relaxed) as f64 * (total / STEPS) as f64;
        let commit = match self.commit.load(Relaxed) {
            0 => expected * FIRST_COMMIT,
            known => known as f64,
        };
        let part = (commit / expected.max(1.0)).min(COMMIT_SEEN_MAX);
        match self.committing.load(Relaxed) {
            0 => (self.done.load(Relaxed) as f64 / total as f64).min(1.0) * (1.0 - part),
            began => {
                let seen = self.now().saturating_sub(began) as f64 / commit.max(1.0);
                1.0 - part + part * seen.min(COMMIT_SEEN_MAX)
            }
        }
    }

    /// How long a commit of so many writes is slowed down while the active layer is so full.
    pub(super) fn pause(&self, fill: f64, writes: usize) -> Duration {
        let cost = Duration::from_nanos(self.cost.load(Relaxed)).mul_f64(writes as f64);
        cost.mul_f64(slowness(fill, self.share())).min(PAUSE_MAX)
    }
}

/// How full the active layer may be when this share of the other is put away.
fn allowed(share: f64) -> f64 {
    FILL_FIRST + (FILL_LAST - FILL_FIRST) * share
}

/// How many times the cost of its writes a commit is slowed down by.
fn slowness(fill: f64, share: f64) -> f64 {
    ((fill - allowed(share)) / BEYOND).clamp(0.0, 2.0)
}

#[cfg(test)]
mod tests {
    //! Would catch a writer that fills its layer long before the other one is put away, and one
    //! that is held back without need.
    use super::*;
    use proptest::prelude::*;

    /// Lets a writer run beside an applier, in steps of one percent of the layer put away; says how
    /// far that was when the active layer was full, and how full that was in the end.
    fn race(ratio: f64) -> (f64, f64) {
        const STEP: f64 = 0.0005;
        let (mut share, mut fill) = (0.0, 0.0);
        while share < 1.0 && fill < 1.0 {
            // What the applier does for one write, the writer does in `1 / ratio` of the time.
            let time = STEP * (1.0 / ratio + slowness(fill, share));
            share += time;
            fill += STEP;
        }
        (share, fill)
    }

    proptest! {
        #[test]
        fn the_layer_is_full_when_the_other_is_put_away(ratio in 1.0..50.0f64) {
            let (share, _) = race(ratio);
            prop_assert!(share > 0.95, "{ratio}: full at {share}");
        }

        #[test]
        fn a_writer_no_faster_than_the_applier_is_not_held_back(ratio in 0.05..0.8f64) {
            let (_, fill) = race(ratio);
            prop_assert!(fill >= ratio * 0.99, "{ratio}: {fill}");
        }
    }

    #[test]
    fn a_commit_counts_by_the_time_the_last_one_took() {
        let progress = Progress::default();
        progress.begin(10);
        assert_eq!(progress.share(), 0.0);
        (0..10 * STEPS).for_each(|_| progress.step());
        let worked = progress.share();
        assert!(worked < 1.0, "the commit is still to come: {worked}");
        progress.commits();
        assert!(progress.share() >= worked);
        progress.commit.store(1, Relaxed);
        std::thread::sleep(Duration::from_micros(10));
        assert!(progress.share() < 1.0, "it has not returned");
        progress.end();
        assert!(progress.commit.load(Relaxed) > 1);
    }
}
