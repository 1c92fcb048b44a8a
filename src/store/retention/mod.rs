//! Retention: a thread that removes what the rules no longer keep, in small steps.
//!
//! A revision R of a key is superseded by the next one, S. Retention walks the log in version
//! order, and at each S that is old enough removes what lies too far before it:
//!
//! ```text
//! revisions=3        of key a                 of key a, once 12 was swept
//! log  5 6 7 8 9 10 11 12                     8 9 10 12    (5 is gone, "removed" is 1 more)
//!      a . . a . a  .  a                      a . a  a     the compacted version is 8
//! ```
//!
//! What goes are the oldest revisions of a key, or, for an object that was deleted long enough ago,
//! all of them. Reads below the compacted version of their collection answer "gone" from the same
//! commit on. See `plan` for the walk and `disk/trim` for the commit.
//!
//! Rules that keep alike share one *sweep*, whose place in the log is stored with what it removes,
//! so that it goes on there after a stop. Other rules have other sweeps, which begin at the
//! beginning.
//!
//! Never removed: what an open [`Snapshot`](crate::Snapshot) reads, what is not in the tables yet,
//! what became superfluous less than [`Options::retention_grace`](crate::Options) ago (page tokens
//! and watches live on that), the newest revision of the log. A watcher or a token that comes later
//! is told "gone"; the index is then built anew.
//!
//! How it fails: an error is logged and the step is tried again with back-off; nothing else waits
//! for it. How long it rests between its steps is `pace`.

mod pace;
mod plan;
mod rules;
mod sweep;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::disk::Disk;
use crate::model::{Collection, Version};
use crate::sync::{Condvar, Mutex};
use crate::{Error, Options};

use pace::{Pace, Round};
pub(crate) use rules::Rules;
use sweep::{Progress, Sweep};

/// Up to the newest version.
const NEWEST: Version = Version::new(u64::MAX);

/// The work of retention on one store.
pub(super) struct Retention {
    disk: Arc<Disk>,
    clock: Arc<dyn Clock>,
    rules: Arc<Rules>,
    grace: Duration,
    /// Held during a step: there is one at a time, whoever asks for it.
    working: Mutex<()>,
    closed: Mutex<bool>,
    moved: Condvar,
}

impl Retention {
    /// Retention by these options, and its thread if they remove anything.
    pub(super) fn start(
        disk: &Arc<Disk>,
        options: &Options,
    ) -> (Arc<Self>, Option<JoinHandle<()>>) {
        let retention = Arc::new(Retention {
            disk: Arc::clone(disk),
            clock: Arc::clone(&options.clock),
            rules: Arc::new(Rules::new(&options.retention)),
            grace: options.retention_grace,
            working: Mutex::new(()),
            closed: Mutex::new(false),
            moved: Condvar::new(),
        });
        if !options.background_retention || retention.sweeps().is_empty() {
            return (retention, None);
        }
        let worker = Arc::clone(&retention);
        let thread = std::thread::Builder::new()
            .name("annals-retention".to_owned())
            .spawn(move || worker.run())
            .expect("the operating system can start a thread");
        (retention, Some(thread))
    }

    pub(super) fn close(&self) {
        *self.closed.lock() = true;
        self.moved.notify_all();
    }

    fn sweeps(&self) -> Vec<Sweep> {
        Sweep::of(&self.rules, self.grace)
    }

    /// Removes all that the rules let go now; answers how many revisions that were. What is written
    /// meanwhile has its turn later, so that it ends whatever others do.
    pub(super) fn run_now(&self) -> Result<u64, Error> {
        self.disk.drain()?;
        let until = self.disk.horizon()?;
        let mut removed = 0;
        for sweep in self.sweeps() {
            removed += self.finish(&sweep, until)?;
        }
        Ok(removed)
    }

    /// Removes what is superseded at this version in a collection, and raises its compacted version
    /// in each namespace where it holds something to it, or as far as an open snapshot lets it;
    /// answers how far that is in all of them.
    pub(super) fn compact(&self, collection: &Collection, to: Version) -> Result<Version, Error> {
        self.disk.drain()?;
        let to = to.min(self.disk.horizon()?);
        self.finish(&Sweep::compact(collection), to)?;
        let _working = self.working.lock();
        let parts = sweep::parts(&self.disk.view()?, collection)?;
        // A snapshot may have been opened meanwhile.
        sweep::raise(&self.disk, &parts, to.min(self.disk.horizon()?))?;
        let view = self.disk.view()?;
        let floors = view.floors()?;
        let reached = parts.iter().map(|part| floors.get(part)).min();
        Ok(reached.unwrap_or(to))
    }

    /// Steps until there is nothing left up to this version.
    fn finish(&self, sweep: &Sweep, until: Version) -> Result<u64, Error> {
        let mut removed = 0;
        loop {
            match self.step(sweep, until)? {
                Progress::Nothing => return Ok(removed),
                Progress::Some(count) => removed += count,
            }
        }
    }

    /// One step. A panic in it becomes an error, so that the thread lives on.
    fn step(&self, sweep: &Sweep, until: Version) -> Result<Progress, Error> {
        let _working = self.working.lock();
        let step = || sweep.step(&self.disk, &self.rules, self.clock.now(), until);
        catch_unwind(AssertUnwindSafe(step))
            .unwrap_or_else(|_| Err(Error::unavailable("a step of retention panicked")))
    }

    fn run(&self) {
        let sweeps = self.sweeps();
        let mut pace = Pace::default();
        loop {
            let (mut round, started) = (Round::default(), Instant::now());
            for sweep in &sweeps {
                match self.step(sweep, NEWEST) {
                    Ok(Progress::Nothing) => {}
                    Ok(Progress::Some(_)) => round.moved = true,
                    Err(error) => {
                        tracing::warn!(%error, "retention cannot go on at the moment");
                        round.failed = true;
                    }
                }
                if *self.closed.lock() {
                    return;
                }
            }
            round.worked = started.elapsed();
            let rest = pace.rest(round);
            let mut closed = self.closed.lock();
            if !*closed {
                self.moved.wait_for(&mut closed, rest);
            }
            if *closed {
                return;
            }
        }
    }
}
