//! What is measured of an engine, and the one way in that the embedded rivals share.
//!
//! A caller is a thread that makes one durable write after the other. Engines whose commit is
//! dear get what anyone would put in front of them: one thread that commits for all who wait.

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// A write of an object; it ends when it is durable.
pub(crate) struct Put {
    pub(crate) number: u64,
    pub(crate) body: Vec<u8>,
    /// Whether the object must be new, or must be there.
    pub(crate) is_new: bool,
}

/// One caller's way in.
pub(crate) type Caller<'a> = Box<dyn FnMut(Put) + Send + 'a>;

/// An engine with a directory of its own.
pub(crate) trait Engine: Sync {
    fn name(&self) -> &'static str;

    fn caller(&self) -> Caller<'_>;

    /// The other process that does the work, where there is one.
    fn process(&self) -> Option<u32> {
        None
    }

    /// Does what was put off; `false` when the engine cannot be asked to.
    fn settle(&mut self) -> bool {
        false
    }
}

/// The engines, in the order of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Annals,
    Redb,
    Fjall,
    Sqlite,
    Etcd,
}

impl Name {
    pub(crate) const ALL: [Name; 5] = [
        Name::Annals,
        Name::Redb,
        Name::Fjall,
        Name::Sqlite,
        Name::Etcd,
    ];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Name::Annals => "annals",
            Name::Redb => "redb",
            Name::Fjall => "fjall",
            Name::Sqlite => "sqlite",
            Name::Etcd => "etcd",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Name> {
        Name::ALL.into_iter().find(|name| name.text() == text)
    }

    /// Opens the engine in an empty or a used directory; `None` when it is not installed.
    pub(crate) fn open(self, folder: &Path) -> Option<Box<dyn Engine>> {
        std::fs::create_dir_all(folder).expect("a directory");
        Some(match self {
            Name::Annals => Box::new(crate::own::Own::open(folder)),
            Name::Redb => Box::new(Queued::start("redb", crate::raw::Raw::open(folder))),
            Name::Fjall => Box::new(Queued::start("fjall", crate::lsm::Lsm::open(folder))),
            Name::Sqlite => Box::new(Queued::start("sqlite", crate::sql::Sql::open(folder))),
            Name::Etcd => return crate::etcd::Etcd::start(folder).map(|etcd| Box::new(etcd) as _),
        })
    }
}

/// The most writes of one commit.
const COMMIT_MAX: usize = 1024;

/// Commits a wave of writes durably.
pub(crate) trait Commit: Send + 'static {
    fn commit(&mut self, wave: &[Put]);
}

/// A queue and the one thread that commits what waits in it.
pub(crate) struct Queued {
    name: &'static str,
    jobs: Option<SyncSender<(Put, Arc<Reply>)>>,
    thread: Option<JoinHandle<()>>,
}

/// Callers sleep here: many wait at once, and those who spin would take the processor from the
/// one who works for them. annals waits in the same way.
#[derive(Default)]
struct Reply {
    done: Mutex<bool>,
    given: Condvar,
}

impl Queued {
    pub(crate) fn start(name: &'static str, mut engine: impl Commit) -> Self {
        let (jobs, waiting) = sync_channel::<(Put, Arc<Reply>)>(4 * COMMIT_MAX);
        let thread = std::thread::spawn(move || {
            while let Ok(first) = waiting.recv() {
                let more = waiting.try_iter().take(COMMIT_MAX - 1);
                let (wave, replies): (Vec<_>, Vec<_>) = std::iter::once(first).chain(more).unzip();
                engine.commit(&wave);
                for reply in replies {
                    *reply.done.lock().expect("a lock") = true;
                    reply.given.notify_one();
                }
            }
        });
        Queued {
            name,
            jobs: Some(jobs),
            thread: Some(thread),
        }
    }
}

impl Engine for Queued {
    fn name(&self) -> &'static str {
        self.name
    }

    fn caller(&self) -> Caller<'_> {
        let jobs = self.jobs.clone().expect("the queue is open");
        let reply = Arc::new(Reply::default());
        Box::new(move |put| {
            jobs.send((put, Arc::clone(&reply))).expect("the thread");
            let mut done = reply.done.lock().expect("a lock");
            while !*done {
                done = reply.given.wait(done).expect("a lock");
            }
            *done = false;
        })
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the committing thread");
        }
    }
}
