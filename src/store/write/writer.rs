//! The writer thread: one durable commit for all that waited.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::queue::{Answer, Job, Queue, Waiting};
use super::stage::Stage;
use crate::Error;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::feed::{Commit, Hub};
use crate::model::Timestamp;

/// Starts the writer thread. No revision gets a time before `last_time`, that of the newest one.
pub(in crate::store) fn start(
    disk: Arc<Disk>,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    last_time: Timestamp,
) -> (Queue, JoinHandle<()>) {
    let queue = Arc::new(Waiting::default());
    let mut writer = Writer {
        disk,
        hub,
        clock,
        queue: Arc::clone(&queue),
        last_time,
        last_commit: Duration::ZERO,
    };
    let thread = std::thread::Builder::new()
        .name("annals-writer".to_owned())
        .spawn(move || {
            writer.run();
            writer.queue.end();
        })
        .expect("the operating system can start a thread");
    (Queue::new(queue), thread)
}

/// The longest pause between two tries to reopen the file.
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(5);

struct Writer {
    disk: Arc<Disk>,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    queue: Arc<Waiting>,
    last_time: Timestamp,
    /// How long the last commit took.
    last_commit: Duration,
}

impl Writer {
    fn run(&mut self) {
        while let Some(wave) = self.queue.take(self.last_commit) {
            let done = contained(|| self.commit(wave));
            if let Err(error) = done
                && !self.recover(&error)
            {
                return;
            }
        }
    }

    /// Decides every job, commits what was accepted, publishes, answers. An error means that the
    /// outcome of the commit is unknown.
    fn commit(&mut self, wave: Vec<Job>) -> Result<(), Error> {
        let time = self.clock.now().max(self.last_time);
        let writes = wave.iter().map(|job| job.writes.len()).sum();
        let view = self.disk.make_room(writes).and_then(|()| self.disk.view());
        let mut stage = match view {
            Ok(view) => Stage::new(view, time),
            Err(error) => {
                // Nothing was tried: the next write may find it mended.
                answer_all(wave.into_iter().map(|job| job.answer), &error);
                return Ok(());
            }
        };
        let started = Instant::now();
        // Nobody is answered before the commit: a refusal too may rest on another's write in it.
        let decided: Vec<_> = wave
            .into_iter()
            .map(|job| (job.answer, stage.decide(job.writes, job.dry)))
            .collect();
        let (staged, changes) = stage.finish();
        if let Some(commit) = Commit::new(changes) {
            match self.disk.commit(staged, || self.hub.add(commit)) {
                Ok(bells) => bells.ring(),
                Err(error) => {
                    let reason = format!("the commit failed: {error}");
                    let unknown = Error::Uncertain { reason };
                    answer_all(decided.into_iter().map(|(answer, _)| answer), &unknown);
                    return Err(error);
                }
            }
            self.last_time = time;
        }
        self.last_commit = started.elapsed();
        for (answer, decision) in decided {
            answer.send(decision);
        }
        Ok(())
    }

    /// Refuses writes until the disk is mended; `false` when the store was closed meanwhile.
    fn recover(&mut self, error: &Error) -> bool {
        let mut reason = error.to_string();
        let mut pause = Duration::from_millis(50);
        loop {
            tracing::error!(reason, "writes are refused until the commit log is mended");
            self.queue.refuse(Some(reason));
            match contained(|| self.disk.reopen()) {
                Ok(()) => {
                    self.queue.refuse(None);
                    tracing::info!("the commit log was mended; writes are accepted again");
                    return true;
                }
                Err(error) => reason = error.to_string(),
            }
            if !self.queue.turn_away(&Error::unavailable(&reason), pause) {
                return false;
            }
            pause = (pause * 2).min(REOPEN_PAUSE_MAX);
        }
    }
}

/// Runs a piece of the writer's work; a panic in it becomes an error, so that the thread lives on.
fn contained(work: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::unavailable("the writer panicked")))
}

fn answer_all(answers: impl Iterator<Item = Answer>, error: &Error) {
    for answer in answers {
        answer.send(Err(error.clone()));
    }
}
