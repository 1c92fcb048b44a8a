//! Writing: callers queue, one thread decides, one durable commit for all that waited.
//!
//! ```text
//! caller    check size, read metadata      ->  queue   ->  wait for the answer
//! writer    take all that waits  ->  preconditions, versions, links  ->  commit  ->  publish  ->  answer
//! ```
//!
//! A write that fails its precondition changes nothing and fails nobody else in the same commit
//! (D5). After a failed commit nobody knows what is on disk: the writer refuses writes, reopens
//! the file, and goes on from what it finds there (P1).

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Error;
use crate::clock::Clock;
use crate::disk::{Disk, Shelf, View};
use crate::feed::{Change, Commit, Hub};
use crate::model::{Action, Header, Key, Metadata, Principal, Revision, Timestamp, Version};
use crate::options::{
    BATCH_BYTES_MAX, BATCH_WRITES_MAX, COMMIT_BYTES_MAX, COMMIT_WRITES_MAX, QUEUE_BYTES_MAX,
    QUEUE_JOBS_MAX,
};
use crate::sync::{Mutex, Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

/// One intended change of one object.
#[derive(Clone, Debug)]
#[must_use]
pub struct Write {
    key: Key,
    change: Intent,
    if_version: Option<Version>,
    if_uid: Option<String>,
    guard: Option<(Key, Version)>,
    author: Principal,
}

#[derive(Clone, Debug)]
enum Intent {
    Create(Vec<u8>),
    Update(Vec<u8>),
    Delete,
}

impl Write {
    fn new(key: Key, change: Intent) -> Self {
        let author = Principal::default();
        Write {
            key,
            change,
            if_version: None,
            if_uid: None,
            guard: None,
            author,
        }
    }

    /// Creates the object; fails if the key is live. The uid is the body's `metadata.uid`, or a
    /// new one.
    pub fn create(key: Key, body: Vec<u8>) -> Self {
        Write::new(key, Intent::Create(body))
    }

    /// Replaces the object; fails if the key is not live, or the body names another uid.
    pub fn update(key: Key, body: Vec<u8>) -> Self {
        Write::new(key, Intent::Update(body))
    }

    /// Deletes the object; fails if the key is not live.
    pub fn delete(key: Key) -> Self {
        Write::new(key, Intent::Delete)
    }

    fn bytes(&self) -> usize {
        match &self.change {
            Intent::Create(body) | Intent::Update(body) => body.len(),
            Intent::Delete => 0,
        }
    }

    /// Only if the object is at this version.
    pub fn if_version(mut self, version: Version) -> Self {
        self.if_version = Some(version);
        self
    }

    /// Only if the object has this uid.
    pub fn if_uid(mut self, uid: impl Into<String>) -> Self {
        self.if_uid = Some(uid.into());
        self
    }

    /// Only if another object is still at this version: what a decision to write was based on.
    pub fn guard(mut self, key: Key, version: Version) -> Self {
        self.guard = Some((key, version));
        self
    }

    /// Who writes.
    pub fn author(mut self, author: Principal) -> Self {
        self.author = author;
        self
    }
}

/// A write whose own rules were checked, with what the header keeps.
pub(super) struct Prepared {
    write: Write,
    metadata: Metadata,
}

/// What can be done on the caller's thread: every rule that needs no look at the state.
pub(super) fn prepare(writes: Vec<Write>, object_max: usize) -> Result<Vec<Prepared>, Error> {
    if writes.len() > BATCH_WRITES_MAX {
        let (actual, limit) = (writes.len() as u64, BATCH_WRITES_MAX as u64);
        return Err(Error::TooLarge {
            field: "batch",
            actual,
            limit,
        });
    }
    let bytes: usize = writes.iter().map(Write::bytes).sum();
    if bytes > BATCH_BYTES_MAX && writes.len() > 1 {
        let (actual, limit) = (bytes as u64, BATCH_BYTES_MAX as u64);
        return Err(Error::TooLarge {
            field: "batch",
            actual,
            limit,
        });
    }
    writes
        .into_iter()
        .map(|write| prepare_one(write, object_max))
        .collect()
}

fn prepare_one(write: Write, object_max: usize) -> Result<Prepared, Error> {
    let body = match &write.change {
        Intent::Create(body) | Intent::Update(body) => body,
        Intent::Delete => {
            return Ok(Prepared {
                write,
                metadata: Metadata::default(),
            });
        }
    };
    if body.len() > object_max {
        let (actual, limit) = (body.len() as u64, object_max as u64);
        return Err(Error::TooLarge {
            field: "body",
            actual,
            limit,
        });
    }
    let metadata = Metadata::read(body)?;
    let same = |field, given: &Option<String>, wanted: &str| match given {
        Some(given) if given != wanted => Err(Error::invalid(
            field,
            format!("is {given:?}, the key says {wanted:?}"),
        )),
        _ => Ok(()),
    };
    same("metadata.name", &metadata.name, write.key.name())?;
    same(
        "metadata.namespace",
        &metadata.namespace,
        write.key.namespace(),
    )?;
    Ok(Prepared { write, metadata })
}

/// Writes that are decided together, and where the answer goes.
struct Job {
    writes: Vec<Prepared>,
    /// Whether to decide only, and write nothing.
    dry: bool,
    answer: Sender<Result<Vec<Revision>, Error>>,
}

/// The callers' end.
pub(super) struct Queue {
    jobs: Mutex<Option<Sender<Job>>>,
    failure: Arc<Mutex<Option<String>>>,
    /// The bytes of the bodies whose callers wait.
    waiting: AtomicUsize,
}

impl Queue {
    /// Queues the writes and waits for the answer. A dry run writes nothing.
    pub(super) fn submit(&self, writes: Vec<Prepared>, dry: bool) -> Result<Vec<Revision>, Error> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = writes.iter().map(|prepared| prepared.write.bytes()).sum();
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let answer = if before > 0 && before + bytes > QUEUE_BYTES_MAX {
            Err(Error::Busy {
                retry_after: Duration::from_secs(1),
            })
        } else {
            self.send(writes, dry)
        };
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        answer
    }

    fn send(&self, writes: Vec<Prepared>, dry: bool) -> Result<Vec<Revision>, Error> {
        let (answer, answered) = bounded(1);
        let jobs = self.jobs.lock().clone().ok_or(Error::Closed)?;
        match jobs.try_send(Job {
            writes,
            dry,
            answer,
        }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(Error::Busy {
                    retry_after: Duration::from_secs(1),
                });
            }
            Err(TrySendError::Disconnected(_)) => return Err(Error::Closed),
        }
        drop(jobs);
        answered.recv().unwrap_or_else(|_| {
            Err(Error::Uncertain {
                reason: "the writer ended before it answered".to_owned(),
            })
        })
    }

    /// Why writes are refused, if they are.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// Takes no more jobs; the writer ends after those that wait.
    pub(super) fn close(&self) {
        self.jobs.lock().take();
    }
}

/// Starts the writer thread. No revision gets a time before `last_time`, that of the newest one.
pub(super) fn start(
    disk: Arc<dyn Disk>,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    last_time: Timestamp,
) -> (Queue, JoinHandle<()>) {
    let (sender, receiver) = bounded(QUEUE_JOBS_MAX);
    let failure = Arc::new(Mutex::new(None));
    let queue = Queue {
        jobs: Mutex::new(Some(sender)),
        failure: Arc::clone(&failure),
        waiting: AtomicUsize::new(0),
    };
    let mut writer = Writer {
        disk,
        hub,
        clock,
        failure,
        last_time,
    };
    let thread = std::thread::Builder::new()
        .name("annals-writer".to_owned())
        .spawn(move || writer.run(&receiver))
        .expect("the operating system can start a thread");
    (queue, thread)
}

/// The longest pause between two tries to reopen the file.
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(5);

struct Writer {
    disk: Arc<dyn Disk>,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    failure: Arc<Mutex<Option<String>>>,
    last_time: Timestamp,
}

impl Writer {
    fn run(&mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let wave = gather(first, jobs);
            let done = contained(|| self.commit(wave));
            if let Err(error) = done
                && !self.recover(&error, jobs)
            {
                return;
            }
        }
    }

    /// Decides every job, commits what was accepted, publishes, answers. An error means that the
    /// outcome of the commit is unknown.
    fn commit(&mut self, wave: Vec<Job>) -> Result<(), Error> {
        let time = self.clock.now().max(self.last_time);
        let mut stage = match self.disk.view().and_then(|view| Stage::new(view, time)) {
            Ok(stage) => stage,
            Err(error) => {
                answer_all(wave.into_iter().map(|job| job.answer), &error);
                return Err(error);
            }
        };
        // Nobody is answered before the commit: a refusal too may rest on another's write in it.
        let decided: Vec<_> = wave
            .into_iter()
            .map(|job| {
                let start = stage.changes.len();
                let decision = stage.accept(job.writes);
                if job.dry {
                    stage.take_back(start);
                }
                (job.answer, decision)
            })
            .collect();
        let changes = stage.changes;
        drop(stage.view);
        let revisions: Vec<Revision> = changes
            .iter()
            .map(|change| change.revision.clone())
            .collect();
        if let Some(commit) = Commit::new(changes) {
            if let Err(error) = self.disk.commit(&revisions) {
                let reason = format!("the commit failed: {error}");
                let unknown = Error::Uncertain { reason };
                answer_all(decided.into_iter().map(|(answer, _)| answer), &unknown);
                return Err(error);
            }
            self.last_time = time;
            self.hub.publish(commit);
        }
        for (answer, decision) in decided {
            // The caller may have gone; then nobody wants the answer.
            drop(answer.send(decision));
        }
        Ok(())
    }

    /// Refuses writes and reopens the file until that succeeds; `false` when the store was closed
    /// meanwhile.
    fn recover(&mut self, error: &Error, jobs: &Receiver<Job>) -> bool {
        let mut reason = error.to_string();
        let mut pause = Duration::from_millis(50);
        loop {
            tracing::error!(reason, "writes are refused until the file is reopened");
            *self.failure.lock() = Some(reason);
            match contained(|| self.disk.reopen().and_then(|()| self.publish_survivors())) {
                Ok(()) => {
                    *self.failure.lock() = None;
                    tracing::info!("the file was reopened; writes are accepted again");
                    return true;
                }
                Err(error) => reason = error.to_string(),
            }
            let refusal = Error::unavailable(&reason);
            let until = Instant::now() + pause;
            // The deadline is looked at here too: a full queue must not keep it from passing.
            while Instant::now() < until {
                match jobs.recv_deadline(until) {
                    Ok(job) => drop(job.answer.send(Err(refusal.clone()))),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return false,
                }
            }
            pause = (pause * 2).min(REOPEN_PAUSE_MAX);
        }
    }

    /// A commit whose outcome was unknown is in the reopened file or it is not. If it is, its
    /// revisions are part of the log, and watchers must see them.
    fn publish_survivors(&mut self) -> Result<(), Error> {
        let view = self.disk.view()?;
        let (found, published) = (view.head()?, self.hub.head());
        if found < published {
            return Err(Error::corrupt(format!(
                "the file ends at version {found}, but {published} was acknowledged"
            )));
        }
        let mut changes = Vec::new();
        view.log(published, &mut |revision| {
            let before = match revision.header().previous {
                Some(previous) => view.header(previous)?.filter(Header::is_live).map(Arc::new),
                None => None,
            };
            self.last_time = self.last_time.max(revision.header().time);
            changes.push(Change { revision, before });
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        if let Some(commit) = Commit::new(changes) {
            self.hub.publish(commit);
        }
        Ok(())
    }
}

/// Runs a piece of the writer's work; a panic in it becomes an error, so that the thread lives on.
fn contained(work: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::unavailable("the writer panicked")))
}

fn answer_all(answers: impl Iterator<Item = Sender<Result<Vec<Revision>, Error>>>, error: &Error) {
    for answer in answers {
        drop(answer.send(Err(error.clone())));
    }
}

/// Whether a key that is not live is what a create demands: nothing has version zero, and no uid.
fn check_absent(write: &Write) -> Result<(), Error> {
    let key = || write.key.clone();
    if let Some(expected) = &write.if_uid {
        return Err(Error::UidConflict {
            key: key(),
            expected: expected.clone(),
            actual: String::new(),
        });
    }
    match write.if_version {
        Some(expected) if expected != Version::ZERO => Err(Error::VersionConflict {
            key: key(),
            expected,
            actual: Version::ZERO,
        }),
        _ => Ok(()),
    }
}

/// The first job and what else waits, up to the limits of a commit.
fn gather(first: Job, jobs: &Receiver<Job>) -> Vec<Job> {
    let size = |job: &Job| {
        let bytes = job.writes.iter().map(|prepared| prepared.write.bytes());
        (job.writes.len(), bytes.sum::<usize>())
    };
    let (mut writes, mut bytes) = size(&first);
    let mut wave = vec![first];
    while writes < COMMIT_WRITES_MAX && bytes < COMMIT_BYTES_MAX {
        let Ok(job) = jobs.try_recv() else { break };
        let (more_writes, more_bytes) = size(&job);
        writes += more_writes;
        bytes += more_bytes;
        wave.push(job);
    }
    wave
}

/// The state a commit starts from, and what it has decided so far.
struct Stage {
    view: Box<dyn View>,
    time: Timestamp,
    head: Version,
    changes: Vec<Change>,
    /// The newest header of every key this commit has touched.
    touched: HashMap<Key, Arc<Header>>,
}

impl Stage {
    fn new(view: Box<dyn View>, time: Timestamp) -> Result<Self, Error> {
        let head = view.head()?;
        Ok(Stage {
            view,
            time,
            head,
            changes: Vec::new(),
            touched: HashMap::new(),
        })
    }

    fn next_version(&self) -> Version {
        Version::new(self.head.get() + self.changes.len() as u64 + 1)
    }

    /// Takes all of these writes, or none.
    fn accept(&mut self, writes: Vec<Prepared>) -> Result<Vec<Revision>, Error> {
        let start = self.changes.len();
        let batch_end = Version::new(self.next_version().get() + writes.len() as u64 - 1);
        for prepared in writes {
            if let Err(error) = self.accept_one(prepared, batch_end) {
                self.take_back(start);
                return Err(error);
            }
        }
        let accepted = self.changes.iter().skip(start);
        Ok(accepted.map(|change| change.revision.clone()).collect())
    }

    /// Forgets the changes from here on, as if their batch had not been tried.
    fn take_back(&mut self, start: usize) {
        if self.changes.len() == start {
            return;
        }
        self.changes.truncate(start);
        self.touched.clear();
        for change in &self.changes {
            let header = change.revision.header();
            self.touched
                .insert(header.key.clone(), Arc::new(header.clone()));
        }
    }

    /// The newest header of a key, a delete marker included.
    fn newest(&self, key: &Key) -> Result<Option<Arc<Header>>, Error> {
        if let Some(header) = self.touched.get(key) {
            return Ok(Some(Arc::clone(header)));
        }
        let found = match self.view.header_of(Shelf::Live, key)? {
            Some(header) => Some(header),
            None => self.view.header_of(Shelf::Trash, key)?,
        };
        Ok(found.map(Arc::new))
    }

    /// A revision, of this commit or an older one.
    fn revision(&self, version: Version) -> Result<Revision, Error> {
        let own = version.get().checked_sub(self.head.get() + 1);
        let own = own.and_then(|index| self.changes.get(usize::try_from(index).ok()?));
        match own {
            Some(change) => Ok(change.revision.clone()),
            None => self
                .view
                .revision(version)?
                .ok_or_else(|| Error::corrupt(format!("revision {version} is missing"))),
        }
    }

    /// The header of a revision, of this commit or an older one.
    fn header(&self, version: Version) -> Result<Header, Error> {
        if version > self.head {
            return Ok(self.revision(version)?.header().clone());
        }
        let missing = || Error::corrupt(format!("revision {version} is missing"));
        self.view.header(version)?.ok_or_else(missing)
    }

    fn accept_one(&mut self, prepared: Prepared, batch_end: Version) -> Result<(), Error> {
        let Prepared { write, metadata } = prepared;
        let newest = self.newest(&write.key)?;
        let live = newest.as_ref().filter(|header| header.is_live()).cloned();
        self.check(&write, live.as_deref())?;
        if let (Some(live), Intent::Update(_), Some(uid)) = (&live, &write.change, &metadata.uid)
            && *uid != live.uid
        {
            let (expected, actual) = (uid.clone(), live.uid.clone());
            return Err(Error::UidConflict {
                key: write.key,
                expected,
                actual,
            });
        }
        let (action, body) = match write.change {
            Intent::Create(body) if live.is_none() => (Action::Created, Arc::from(body)),
            Intent::Create(_) => return Err(Error::AlreadyExists { key: write.key }),
            Intent::Update(body) => (Action::Updated, Arc::from(body)),
            Intent::Delete => {
                let version = live.as_ref().map_or(Version::ZERO, |header| header.version);
                (Action::Deleted, self.revision(version)?.shared_body())
            }
        };
        let version = self.next_version();
        let (jump, jump_ordinal) = self.jump(newest.as_deref(), version)?;
        let deleted = live.as_deref().filter(|_| action == Action::Deleted);
        let header = Header {
            action,
            version,
            previous: newest.as_ref().map(|header| header.version),
            ordinal: newest.as_ref().map_or(0, |header| header.ordinal + 1),
            jump,
            jump_ordinal,
            batch_end,
            time: self.time,
            created: live.as_ref().map_or(self.time, |header| header.created),
            creator: live
                .as_ref()
                .map_or(write.author.name(), |header| &header.creator)
                .to_owned(),
            author: write.author.name().to_owned(),
            uid: match &live {
                Some(header) => header.uid.clone(),
                None => metadata
                    .uid
                    .unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            },
            folder: deleted.map_or(metadata.folder, |header| header.folder.clone()),
            labels: deleted.map_or(metadata.labels, |header| header.labels.clone()),
            key: write.key,
        };
        self.touched
            .insert(header.key.clone(), Arc::new(header.clone()));
        self.changes.push(Change {
            revision: Revision::new(header, body),
            before: live,
        });
        Ok(())
    }

    /// Whether the state is what the write demands.
    fn check(&self, write: &Write, live: Option<&Header>) -> Result<(), Error> {
        if let Some((key, expected)) = &write.guard {
            let guard = self.newest(key)?.filter(|header| header.is_live());
            let actual = guard.map_or(Version::ZERO, |header| header.version);
            if actual != *expected {
                return Err(Error::VersionConflict {
                    key: key.clone(),
                    expected: *expected,
                    actual,
                });
            }
        }
        let key = || write.key.clone();
        let Some(live) = live else {
            return match write.change {
                Intent::Create(_) => check_absent(write),
                Intent::Update(_) | Intent::Delete => Err(Error::NotFound { key: key() }),
            };
        };
        if let Some(expected) = &write.if_uid
            && *expected != live.uid
        {
            let (expected, actual) = (expected.clone(), live.uid.clone());
            return Err(Error::UidConflict {
                key: key(),
                expected,
                actual,
            });
        }
        match write.if_version {
            Some(expected) if expected != live.version => Err(Error::VersionConflict {
                key: key(),
                expected,
                actual: live.version,
            }),
            _ => Ok(()),
        }
    }

    /// The far link of a new revision, see [`Header`].
    fn jump(&self, before: Option<&Header>, own: Version) -> Result<(Version, u64), Error> {
        let Some(before) = before else {
            return Ok((own, 0));
        };
        if before.ordinal == 0 {
            return Ok((before.version, 0));
        }
        let far = self.header(before.jump)?;
        let lengths = (
            before.ordinal.checked_sub(far.ordinal),
            far.ordinal.checked_sub(far.jump_ordinal),
        );
        if lengths.0 == lengths.1 {
            Ok((far.jump, far.jump_ordinal))
        } else {
            Ok((before.version, before.ordinal))
        }
    }
}
