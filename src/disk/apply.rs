//! The applier: a thread that puts what the overlay has into the tables.
//!
//! It waits until a layer is sealed, or until nothing was committed for a while; then one durable
//! commit takes the whole layer. When the tables fail, it reopens them and tries again; the layer
//! and its file of the commit log stay until it has succeeded, so nothing can be lost.
//!
//! While it works, the writer is slowed down, see `progress`.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::handle::Disk;
use super::progress::Progress;
use crate::Error;
use crate::model::Version;
use crate::sync::{Condvar, Mutex};

/// After this long without a commit, what the overlay has is put away.
const IDLE: Duration = Duration::from_millis(500);
/// The first pause between two tries to write the tables; each is twice the one before.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(20);
/// The longest pause between two tries to write the tables.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// What the writer and the thread share.
#[derive(Default)]
pub(super) struct Applier {
    state: Mutex<Work>,
    moved: Condvar,
    progress: Progress,
}

#[derive(Default)]
struct Work {
    /// Whether there was a commit since the thread last looked.
    touched: bool,
    /// What is wanted in the tables without waiting for a full layer.
    demand: Version,
    closing: bool,
    closed: bool,
    /// Why the tables cannot be written at the moment.
    failure: Option<String>,
}

impl Applier {
    /// Starts the thread. It keeps the disk until [`Applier::close`].
    pub(super) fn start(disk: &Arc<Disk>) -> JoinHandle<()> {
        let disk = Arc::clone(disk);
        std::thread::Builder::new()
            .name("annals-applier".to_owned())
            .spawn(move || run(&disk))
            .expect("the operating system can start a thread")
    }

    /// There was a commit.
    pub(super) fn touch(&self) {
        let mut work = self.state.lock();
        if !work.touched {
            work.touched = true;
            self.moved.notify_all();
        }
    }

    /// There is a sealed layer.
    pub(super) fn wake(&self) {
        let _work = self.state.lock();
        self.moved.notify_all();
    }

    pub(super) fn close(&self) {
        self.state.lock().closing = true;
        self.moved.notify_all();
    }

    /// Waits until a layer may be sealed, or says why the tables cannot be written.
    pub(super) fn wait_for_room(&self) -> Result<(), Error> {
        let mut work = self.state.lock();
        if let Some(reason) = &work.failure {
            return Err(Error::unavailable(format!(
                "the tables cannot be written: {reason}"
            )));
        }
        if work.closed {
            return Err(Error::Closed);
        }
        // Looked at again by the caller; the time limit makes a missed wake-up harmless.
        self.moved.wait_for(&mut work, Duration::from_millis(5));
        Ok(())
    }

    /// Puts everything that is committed by now into the tables and waits for that.
    pub(super) fn drain(&self, disk: &Disk) -> Result<(), Error> {
        let head = disk.state().head;
        loop {
            if disk.view()?.applied()? >= head {
                return Ok(());
            }
            self.state.lock().demand = head;
            self.moved.notify_all();
            self.wait_for_room()?;
        }
    }

    /// Slows a commit of this many writes down, if the active layer, which is so full, fills faster
    /// than the sealed one is put away.
    pub(super) fn pace(&self, fill: f64, writes: usize) {
        let pause = self.progress.pause(fill, writes);
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }

    /// Waits for something to do; `false` when there is nothing and the disk is closing.
    fn wait(&self, disk: &Disk) -> bool {
        let mut work = self.state.lock();
        let mut deadline = Instant::now() + IDLE;
        loop {
            let state = disk.state();
            let waiting = state.active.size().0 > 0;
            let applied = state.base.as_ref().map(|base| base.meta.applied);
            let wanted = work.closing || applied.is_ok_and(|applied| applied < work.demand);
            if state.sealed.is_some() || (waiting && wanted) {
                return true;
            }
            if work.closing {
                return false;
            }
            drop(state);
            if work.touched {
                work.touched = false;
                deadline = Instant::now() + IDLE;
            }
            if waiting && Instant::now() >= deadline {
                return true;
            }
            let until = if waiting {
                deadline
            } else {
                Instant::now() + IDLE
            };
            self.moved.wait_until(&mut work, until);
        }
    }

    /// Puts the sealed layer into the tables.
    pub(super) fn apply(&self, disk: &Disk) -> Result<(), Error> {
        if disk.tables.is_broken() {
            disk.heal()?;
        }
        disk.seal()?;
        let Some(layer) = disk.state().sealed.clone() else {
            return Ok(());
        };
        let (revisions, _) = layer.size();
        self.progress.begin(revisions);
        disk.put_away(&layer, &self.progress)?;
        self.progress.end();
        Ok(())
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.state.lock().failure.clone()
    }

    fn set_failure(&self, failure: Option<String>) {
        self.state.lock().failure = failure;
        self.moved.notify_all();
    }
}

fn run(disk: &Disk) {
    let applier = &disk.applier;
    let mut pause = RETRY_PAUSE_MIN;
    while applier.wait(disk) {
        match applier.apply(disk) {
            Ok(()) => {
                applier.set_failure(None);
                pause = RETRY_PAUSE_MIN;
            }
            Err(error) => {
                let reason = error.to_string();
                tracing::error!(
                    reason,
                    "the tables cannot be written; the commit log keeps what they lack"
                );
                applier.set_failure(Some(reason));
                // The commit log has it all: the next start goes on from there.
                if applier.state.lock().closing {
                    break;
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(RETRY_PAUSE_MAX);
            }
        }
    }
    applier.state.lock().closed = true;
    applier.moved.notify_all();
}
