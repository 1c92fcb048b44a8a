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
//! for it.

mod plan;
mod rules;
mod sweep;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::disk::Disk;
use crate::model::{Collection, Version};
use crate::sync::{Condvar, Mutex};
use crate::{Error, Options};

pub(crate) use rules::Rules;
use sweep::{Progress, Sweep};

/// How often the thread looks for something to do when there was nothing.
const IDLE: Duration = Duration::from_secs(1);
/// After a step the thread rests so many times as long as the step took: its share of the disk
/// and of a processor is a fifth.
const REST_TIMES: u32 = 4;
/// The first pause after an error; each is twice the one before.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause after an error.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);

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

    /// Removes all that the rules let go now; answers how many revisions that were.
    pub(super) fn run_now(&self) -> Result<u64, Error> {
        self.disk.drain()?;
        let mut removed = 0;
        for sweep in self.sweeps() {
            removed += self.finish(&sweep)?;
        }
        Ok(removed)
    }

    /// Removes what is superseded at this version in a collection within a namespace, and raises
    /// its compacted version to it, or as far as an open snapshot lets it; answers how far.
    pub(super) fn compact(&self, collection: &Collection, to: Version) -> Result<Version, Error> {
        self.disk.drain()?;
        let to = to.min(self.disk.horizon()?);
        let sweep = Sweep::compact(collection, to);
        self.finish(&sweep)?;
        let _working = self.working.lock();
        // A snapshot may have been opened meanwhile.
        sweep::raise(&self.disk, collection, to.min(self.disk.horizon()?))?;
        Ok(self.disk.view()?.floors()?.get(collection))
    }

    /// Steps until there is nothing left.
    fn finish(&self, sweep: &Sweep) -> Result<u64, Error> {
        let mut removed = 0;
        loop {
            match self.step(sweep)? {
                Progress::Nothing => return Ok(removed),
                Progress::Some(count) => removed += count,
            }
        }
    }

    /// One step. A panic in it becomes an error, so that the thread lives on.
    fn step(&self, sweep: &Sweep) -> Result<Progress, Error> {
        let _working = self.working.lock();
        let step = || sweep.step(&self.disk, &self.rules, self.clock.now());
        catch_unwind(AssertUnwindSafe(step))
            .unwrap_or_else(|_| Err(Error::unavailable("a step of retention panicked")))
    }

    fn run(&self) {
        let sweeps = self.sweeps();
        let mut pause = RETRY_PAUSE_MIN;
        loop {
            let (mut rest, mut failed) = (IDLE, false);
            for sweep in &sweeps {
                let started = Instant::now();
                match self.step(sweep) {
                    Ok(Progress::Nothing) => {}
                    Ok(Progress::Some(_)) => rest = rest.min(started.elapsed() * REST_TIMES),
                    Err(error) => {
                        tracing::warn!(%error, "retention cannot go on at the moment");
                        failed = true;
                    }
                }
                if *self.closed.lock() {
                    return;
                }
            }
            if failed {
                rest = rest.max(pause);
                pause = (pause * 2).min(RETRY_PAUSE_MAX);
            } else {
                pause = RETRY_PAUSE_MIN;
            }
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
