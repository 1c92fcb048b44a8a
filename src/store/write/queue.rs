//! The queue between callers and the writer: bounded, fair among namespaces, and patient.
//!
//! Each namespace has a lane; a wave takes one job of each lane in turn, so that one busy namespace
//! delays another by no more than its share of a commit. When a lane or the whole is full, a
//! caller is told to come again.
//!
//! A wave that is taken the moment the writer is free would find half of the callers of a steady
//! load still on their way back from the wave before. So the writer lingers, for at most a quarter
//! of the time of the last commit, until nearly as many jobs wait as that one had.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Prepared;
use crate::Error;
use crate::model::Revision;
use crate::options::{
    COMMIT_BYTES_MAX, COMMIT_WRITES_MAX, NAMESPACE_JOBS_MAX, QUEUE_BYTES_MAX, QUEUE_JOBS_MAX,
};
use crate::sync::{Condvar, Mutex};

/// How long a caller who was turned away should wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The largest part of the last commit's time that the writer lingers, as a divisor.
const LINGER_PART: u32 = 4;
/// A commit of fewer jobs than this is no sign of a steady load.
const LINGER_JOBS_MIN: usize = 4;

/// The planted bug that the models must find: a caller that does not wake the writer.
const CANARY: bool = cfg!(all(feature = "canary", feature = "shuttle"));

/// Where the answer to a job goes. The caller sleeps until it is there: many do at once, and
/// those who spin for it would take the processor from the writer.
#[derive(Default)]
struct Reply {
    answer: Mutex<Option<Result<Vec<Revision>, Error>>>,
    given: Condvar,
}

impl Reply {
    fn wait(&self) -> Result<Vec<Revision>, Error> {
        let mut answer = self.answer.lock();
        loop {
            match answer.take() {
                Some(answer) => return answer,
                None => self.given.wait(&mut answer),
            }
        }
    }
}

/// The writer's end of a reply: whoever drops it without an answer leaves the outcome unknown.
pub(super) struct Answer {
    reply: Arc<Reply>,
}

impl Answer {
    pub(super) fn send(self, answer: Result<Vec<Revision>, Error>) {
        *self.reply.answer.lock() = Some(answer);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.reply.answer.lock().get_or_insert_with(|| {
            Err(Error::Uncertain {
                reason: "the writer ended before it answered".to_owned(),
            })
        });
        self.reply.given.notify_one();
    }
}

/// Writes that are decided together.
pub(super) struct Job {
    pub(super) writes: Vec<Prepared>,
    /// Whether to decide only, and write nothing.
    pub(super) dry: bool,
    pub(super) answer: Answer,
    bytes: usize,
}

/// What waits for the writer.
#[derive(Default)]
pub(super) struct Waiting {
    lanes: Mutex<Lanes>,
    /// Rung when the writer may go on.
    filled: Condvar,
}

#[derive(Default)]
struct Lanes {
    by_namespace: HashMap<String, VecDeque<Job>>,
    /// The namespaces that have a job, the next to be served first.
    turns: VecDeque<String>,
    jobs: usize,
    /// The bytes of the bodies whose callers wait, also of those in the wave.
    bytes: usize,
    /// With how many jobs the writer wants to be woken; it does not wait when zero.
    wanted: usize,
    /// How many jobs the last wave had.
    last_wave: usize,
    closed: bool,
    /// Why writes are refused, if they are.
    failure: Option<String>,
}

impl Lanes {
    /// The next wave: from each namespace in turn, up to the limits of a commit.
    fn wave(&mut self) -> Vec<Job> {
        let mut wave: Vec<Job> = Vec::new();
        let (mut writes, mut bytes) = (0, 0);
        while writes < COMMIT_WRITES_MAX
            && bytes < COMMIT_BYTES_MAX
            && let Some(namespace) = self.turns.pop_front()
        {
            let Some(lane) = self.by_namespace.get_mut(&namespace) else {
                continue;
            };
            if let Some(job) = lane.pop_front() {
                self.jobs -= 1;
                writes += job.writes.len();
                bytes += job.bytes;
                wave.push(job);
            }
            if lane.is_empty() {
                self.by_namespace.remove(&namespace);
            } else {
                self.turns.push_back(namespace);
            }
        }
        wave
    }
}

impl Waiting {
    /// The next wave, when there is one; `None` when the queue is closed and empty.
    pub(super) fn take(&self, last_commit: Duration) -> Option<Vec<Job>> {
        let mut lanes = self.lanes.lock();
        while lanes.jobs == 0 {
            if lanes.closed {
                return None;
            }
            lanes.wanted = 1;
            self.filled.wait(&mut lanes);
        }
        if lanes.last_wave >= LINGER_JOBS_MIN {
            let deadline = Instant::now() + last_commit / LINGER_PART;
            lanes.wanted = lanes.last_wave * 7 / 8;
            while lanes.jobs < lanes.wanted && !lanes.closed {
                if self.filled.wait_until(&mut lanes, deadline).timed_out() {
                    break;
                }
            }
        }
        lanes.wanted = 0;
        let wave = lanes.wave();
        lanes.last_wave = wave.len();
        Some(wave)
    }

    /// Says why writes are refused, or that they are not.
    pub(super) fn refuse(&self, reason: Option<String>) {
        self.lanes.lock().failure = reason;
    }

    /// Answers all that come within this time with an error; `false` when the queue was closed.
    pub(super) fn turn_away(&self, error: &Error, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            let mut lanes = self.lanes.lock();
            let wave = lanes.wave();
            if wave.is_empty() {
                if lanes.closed {
                    return false;
                }
                lanes.wanted = 1;
                if self.filled.wait_until(&mut lanes, deadline).timed_out() {
                    return true;
                }
            }
            drop(lanes);
            for job in wave {
                job.answer.send(Err(error.clone()));
            }
            // A steady stream of jobs must not keep the time from passing.
            if Instant::now() >= deadline {
                return true;
            }
        }
    }

    /// The writer has ended: nobody will answer what waits.
    pub(super) fn end(&self) {
        let mut lanes = self.lanes.lock();
        lanes.closed = true;
        lanes.by_namespace.clear();
        lanes.turns.clear();
        lanes.jobs = 0;
    }
}

/// The callers' end.
pub(in crate::store) struct Queue {
    waiting: Arc<Waiting>,
}

impl Queue {
    pub(super) fn new(waiting: Arc<Waiting>) -> Self {
        Queue { waiting }
    }

    /// Queues the writes and waits for the answer. A dry run writes nothing.
    pub(in crate::store) fn submit(
        &self,
        writes: Vec<Prepared>,
        dry: bool,
    ) -> Result<Vec<Revision>, Error> {
        let Some(first) = writes.first() else {
            return Ok(Vec::new());
        };
        let namespace = first.write.key.namespace().to_owned();
        let bodies = writes.iter().filter_map(|prepared| prepared.body.as_ref());
        let bytes = bodies.map(|body| body.body.len()).sum();
        let reply = Arc::new(Reply::default());
        let answer = Answer {
            reply: Arc::clone(&reply),
        };
        self.push(
            namespace,
            Job {
                writes,
                dry,
                answer,
                bytes,
            },
        )?;
        let answer = reply.wait();
        self.waiting.lanes.lock().bytes -= bytes;
        answer
    }

    fn push(&self, namespace: String, job: Job) -> Result<(), Error> {
        let busy = Error::Busy {
            retry_after: RETRY_AFTER,
        };
        let mut lanes = self.waiting.lanes.lock();
        if lanes.closed {
            return Err(Error::Closed);
        }
        let bytes = lanes.bytes + job.bytes;
        if lanes.jobs >= QUEUE_JOBS_MAX || (lanes.bytes > 0 && bytes > QUEUE_BYTES_MAX) {
            return Err(busy);
        }
        match lanes.by_namespace.get_mut(&namespace) {
            Some(lane) if lane.len() >= NAMESPACE_JOBS_MAX => return Err(busy),
            Some(lane) => lane.push_back(job),
            None => {
                lanes.turns.push_back(namespace.clone());
                lanes.by_namespace.insert(namespace, VecDeque::from([job]));
            }
        }
        lanes.jobs += 1;
        lanes.bytes = bytes;
        if lanes.wanted > 0 && lanes.jobs >= lanes.wanted {
            lanes.wanted = 0;
            if !CANARY {
                self.waiting.filled.notify_one();
            }
        }
        Ok(())
    }

    /// Why writes are refused, if they are.
    pub(in crate::store) fn failure(&self) -> Option<String> {
        self.waiting.lanes.lock().failure.clone()
    }

    /// Takes no more jobs; the writer ends after those that wait.
    pub(in crate::store) fn close(&self) {
        self.waiting.lanes.lock().closed = true;
        self.waiting.filled.notify_one();
    }
}
