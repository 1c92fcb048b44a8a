//! The follower: a thread that reads the log and keeps the index at its heels.
//!
//! It is one more watcher: after the version in the index's last commit it takes whole batches,
//! applies them, commits with the version they reach, and says so to the searches that wait. An
//! index that is missing, foreign, ahead or damaged is rebuilt from the log beside whatever is
//! there; a failure is retried with back-off. Nothing here can fail a write (S1).

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use annals_index::{Index, IndexOptions, Opening};

use super::document::Catalog;
use super::read::{List, Snapshot};
use crate::Error;
use crate::disk::Disk;
use crate::feed::{Hub, Watch};
use crate::model::{Collection, Filter, Kind, Version};
use crate::sync::{Condvar, Mutex};

/// How long the follower waits for more changes before it commits, unless a search waits.
const LINGER: Duration = Duration::from_millis(100);
/// How often the files are looked at while nothing is written.
const LOOK_AROUND: Duration = Duration::from_millis(500);
/// How many revisions go into one index commit at the most, a last batch not counted.
const STEP_REVISIONS_MAX: usize = 5_000;
/// The first pause between two tries to build the index; each is twice the one before.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause between two tries to build the index.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// The searches' end.
pub(super) struct Follower {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    index: Option<Index>,
    /// The version up to which the index has the log.
    followed: Version,
    /// Why there is no index to ask, or why the last try failed.
    problem: Option<String>,
    /// The newest version a search waits for.
    demand: Version,
    /// Why the index is to be built anew, until that has been done.
    rebuild: Option<String>,
    closed: bool,
}

impl Follower {
    /// The index, once it is open. It may still say that it is not ready.
    pub(super) fn index(&self) -> Result<Index, String> {
        let state = self.shared.state.lock();
        let reason = || {
            state
                .problem
                .clone()
                .unwrap_or_else(|| "it is being opened".to_owned())
        };
        state.index.clone().ok_or_else(reason)
    }

    /// Why the last try to build or follow failed, if it did.
    pub(super) fn problem(&self) -> Option<String> {
        self.shared.state.lock().problem.clone()
    }

    /// Waits until the index reflects this version, at most until the deadline. Answers the
    /// version reached.
    pub(super) fn wait_for(&self, wanted: Version, deadline: Instant) -> Version {
        let mut state = self.shared.state.lock();
        loop {
            let reached = state
                .index
                .as_ref()
                .and_then(|index| index.version())
                .unwrap_or(0);
            let reached = Version::new(reached);
            if reached >= wanted || state.closed {
                return reached;
            }
            if state.demand < wanted {
                state.demand = wanted;
                self.shared.moved.notify_all();
            }
            if self
                .shared
                .moved
                .wait_until(&mut state, deadline)
                .timed_out()
            {
                return reached;
            }
        }
    }

    /// Asks for the index to be built anew from the log.
    pub(super) fn rebuild(&self) {
        self.shared.state.lock().rebuild = Some("it was asked for".to_owned());
        self.shared.moved.notify_all();
    }

    /// Ends the thread.
    pub(super) fn close(&self) {
        self.shared.state.lock().closed = true;
        self.shared.moved.notify_all();
    }
}

/// Starts the follower thread over the index in this folder.
pub(super) fn start(
    disk: Arc<Disk>,
    hub: Arc<Hub>,
    folder: &Path,
    kinds: Vec<Kind>,
) -> (Follower, JoinHandle<()>) {
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        moved: Condvar::new(),
    });
    let worker = Worker {
        disk,
        hub,
        folder: folder.to_owned(),
        catalog: Catalog::new(kinds),
        shared: Arc::clone(&shared),
    };
    let thread = std::thread::Builder::new()
        .name("annals-follower".to_owned())
        .spawn(move || worker.run())
        .expect("the operating system can start a thread");
    (Follower { shared }, thread)
}

struct Worker {
    disk: Arc<Disk>,
    hub: Arc<Hub>,
    folder: PathBuf,
    catalog: Catalog,
    shared: Arc<Shared>,
}

/// Why following ended.
enum End {
    Closed,
    /// The index is not to be trusted, or somebody asked for a new one.
    Rebuild(String),
    Failed(String),
}

impl From<annals_index::Error> for End {
    fn from(error: annals_index::Error) -> Self {
        match error {
            annals_index::Error::Damaged { reason } => End::Rebuild(reason),
            other => End::Failed(other.to_string()),
        }
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error {
            Error::Closed => End::Closed,
            Error::Gone { .. } => End::Rebuild(error.to_string()),
            other => End::Failed(other.to_string()),
        }
    }
}

impl Worker {
    fn run(&self) {
        let mut pause = RETRY_PAUSE_MIN;
        loop {
            let started = Instant::now();
            let session = catch_unwind(AssertUnwindSafe(|| self.session()));
            match session.unwrap_or_else(|_| End::Failed("a panic".to_owned())) {
                End::Closed => break,
                End::Rebuild(reason) => self.shared.state.lock().rebuild = Some(reason),
                End::Failed(reason) => {
                    tracing::warn!(reason, "the search index cannot be followed at the moment");
                    self.shared.state.lock().problem = Some(reason);
                }
            }
            if started.elapsed() > RETRY_PAUSE_MAX {
                pause = RETRY_PAUSE_MIN;
            }
            if self.sleep(pause) {
                break;
            }
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
        let mut state = self.shared.state.lock();
        state.problem = Some("the store is closed".to_owned());
        let index = state.index.take();
        drop(state);
        self.shared.moved.notify_all();
        if let Some(Err(error)) = index.map(|index| index.close()) {
            tracing::warn!(%error, "the search index was not closed cleanly");
        }
    }

    /// Sleeps; `true` when the store was closed meanwhile.
    fn sleep(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut state = self.shared.state.lock();
        while !state.closed {
            if self.shared.moved.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        state.closed
    }

    /// Opens the index if need be, rebuilds it if need be, and follows the log until something
    /// ends that.
    fn session(&self) -> End {
        match self.try_session() {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    fn try_session(&self) -> Result<Infallible, End> {
        let open = self.shared.state.lock().index.clone();
        let index = match open {
            Some(index) => index,
            None => self.open()?,
        };
        let rebuild = self.shared.state.lock().rebuild.clone();
        if let Some(reason) = rebuild {
            tracing::info!(reason, "the search index is built anew");
            self.rebuild(&index)?;
        }
        self.shared.state.lock().problem = None;
        self.shared.moved.notify_all();
        self.follow(&index)
    }

    fn open(&self) -> Result<Index, End> {
        let head = self.disk.view()?.head().get();
        let epoch = annals_index::Epoch(self.catalog.mix_into(self.disk.epoch().bytes()));
        let (index, opening) = Index::open(&self.folder, epoch, head, IndexOptions::default())?;
        let mut state = self.shared.state.lock();
        match opening {
            Opening::Sound { version } => state.followed = Version::new(version),
            Opening::Rebuild { reason } => state.rebuild = Some(reason),
        }
        Ok(state.index.insert(index).clone())
    }

    /// Fills a new generation with the state of now.
    fn rebuild(&self, index: &Index) -> Result<(), End> {
        let version = self.disk.view()?.head();
        let snapshot = Snapshot::new(Arc::clone(&self.disk), version);
        let mut rebuild = index.begin_rebuild()?;
        for (group, resource) in self.catalog.resources() {
            let collection = Collection::of(group, resource)?;
            let mut after = None;
            loop {
                let list = List::new(collection.clone()).limit(1_000).after(after);
                let page = snapshot.list(&list)?;
                for revision in &page.items {
                    if let Some(annals_index::Change::Put(document)) = self.catalog.change(revision)
                    {
                        rebuild.add(*document)?;
                    }
                }
                if self.shared.state.lock().closed {
                    return Err(End::Closed);
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        rebuild.finish(version.get())?;
        let mut state = self.shared.state.lock();
        state.followed = version;
        state.rebuild = None;
        Ok(())
    }

    fn follow(&self, index: &Index) -> Result<Infallible, End> {
        let version = self.shared.state.lock().followed;
        let (hub, disk) = (Arc::clone(&self.hub), Arc::clone(&self.disk));
        let mut watch = Watch::new(hub, disk, Collection::all(), Filter::default(), version);
        let mut last_commit = Instant::now();
        loop {
            if !self
                .hub
                .wait(watch.version(), Some(Instant::now() + LOOK_AROUND))
            {
                index.check()?;
            }
            self.linger(index, last_commit + LINGER)?;
            let reached = self.step(index, &mut watch)?;
            if let Some(reached) = reached {
                index.commit(reached.get())?;
                self.shared.state.lock().followed = reached;
                last_commit = Instant::now();
                self.shared.moved.notify_all();
            }
        }
    }

    /// Waits for more to come, unless a search already waits or somebody wants something else.
    fn linger(&self, index: &Index, until: Instant) -> Result<(), End> {
        let mut state = self.shared.state.lock();
        loop {
            if state.closed {
                return Err(End::Closed);
            }
            if let Some(reason) = &state.rebuild {
                return Err(End::Rebuild(reason.clone()));
            }
            let behind = state.demand.get() > index.version().unwrap_or(0);
            if behind || self.shared.moved.wait_until(&mut state, until).timed_out() {
                return Ok(());
            }
        }
    }

    /// Applies what is there, up to the end of a batch; answers the version it reached.
    fn step(&self, index: &Index, watch: &mut Watch) -> Result<Option<Version>, End> {
        let start = watch.version();
        let mut changes = Vec::new();
        let mut seen = 0;
        let mut batch_end = Version::ZERO;
        while let Some(event) = watch.try_next()? {
            seen += 1;
            batch_end = event.object.header().batch_end;
            changes.extend(self.catalog.change(&event.object));
            if seen >= STEP_REVISIONS_MAX && event.version >= batch_end {
                break;
            }
        }
        debug_assert!(
            watch.version() >= batch_end,
            "a batch is published as a whole"
        );
        if watch.version() == start {
            return Ok(None);
        }
        index.apply(changes)?;
        Ok(Some(watch.version()))
    }
}
