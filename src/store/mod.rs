//! The engine: one writer thread, any number of readers and watchers, one follower that feeds
//! the index.
//!
//! A [`Store`] is a handle; the threads live as long as its last clone, or until
//! [`Store::close`]. Each road has its own file: `write`, `read`, `search` with `follow` behind
//! it; watching is `feed`.

pub(crate) mod backup;
mod directory;
mod document;
mod follow;
mod read;
mod repair;
mod retention;
mod search;
mod select;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::clock::Clock;
use crate::disk::{Disk, Settings, Volume};
use crate::feed::{Hub, RingLimits, Watch};
use crate::model::{Collection, Epoch, Filter, Revision, Timestamp, Version};
use crate::sync::Mutex;
use crate::{Error, Options};

pub use crate::disk::{Finding, Place, Repair, Report, Touches};
pub use read::{List, Page, Snapshot};
pub use write::Write;

/// A store of objects with their whole history. Cheap to clone; all clones are the same store.
///
/// Writes are durable when they return. Every call may be made from any thread, and blocks it until
/// it is done: an async program makes them where blocking is allowed. See the crate's page for an
/// example, and [`Store::kind`] for objects of a Rust type.
#[derive(Clone)]
pub struct Store {
    engine: Arc<Engine>,
}

/// What the roads share.
struct Engine {
    disk: Arc<Disk>,
    hub: Arc<Hub>,
    writer: write::Queue,
    index: Option<follow::Follower>,
    retention: Arc<retention::Retention>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    object_bytes_max: usize,
    clock: Arc<dyn Clock>,
}

/// How large a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The newest version.
    pub version: Version,
    /// How many revisions the log holds.
    pub revisions: u64,
    /// How many revisions retention has removed from it.
    pub removed: u64,
    /// How many objects are live.
    pub objects: u64,
    /// How many deleted keys the trash holds.
    pub trash: u64,
    /// The size of the tables in bytes, the index not counted.
    pub bytes: u64,
}

impl Store {
    /// Opens the store in this directory, which is created if it is missing.
    ///
    /// The directory belongs to one process at a time. The search index is opened, and if need be
    /// rebuilt, in the background: a broken index never keeps the store from opening.
    ///
    /// # Errors
    ///
    /// [`Error::Open`] when the directory cannot be used or another process has it;
    /// [`Error::Corrupt`] when it holds damage or another format.
    pub fn open(directory: impl AsRef<Path>, options: Options) -> Result<Self, Error> {
        let directory = directory.as_ref();
        let volume = Arc::new(directory::open(directory)?);
        let index = options.index.then(|| directory.join("index"));
        Store::start(volume, options, index.as_deref())
    }

    /// Opens a store on files of the caller's, without a search index.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    #[doc(hidden)]
    pub fn open_on(volume: Arc<dyn Volume>, options: Options) -> Result<Self, Error> {
        Store::start(volume, options, None)
    }

    fn start(
        volume: Arc<dyn Volume>,
        options: Options,
        index: Option<&Path>,
    ) -> Result<Self, Error> {
        let new_seed = u64::from_le_bytes(random()?);
        let settings = settings(&options, Epoch(random()?), new_seed);
        let disk = Disk::open(&volume, settings)?;
        let view = disk.view()?;
        let head = view.head();
        let last_time = view
            .header(head)?
            .map_or_else(Timestamp::default, |newest| newest.time);
        drop(view);
        let limits = RingLimits {
            revisions: options.ring_revisions,
            bytes: options.ring_bytes,
        };
        let hub = Arc::new(Hub::new(head, limits));
        let (retention, sweeping) = retention::Retention::start(&disk, &options);
        let (writer, writing) = write::start(
            Arc::clone(&disk),
            Arc::clone(&hub),
            Arc::clone(&options.clock),
            last_time,
        );
        let mut threads = vec![writing];
        threads.extend(sweeping);
        let index = index.map(|folder| {
            let (disk, hub) = (Arc::clone(&disk), Arc::clone(&hub));
            let (follower, following) = follow::start(disk, hub, folder, options.kinds);
            threads.push(following);
            follower
        });
        Ok(Store {
            engine: Arc::new(Engine {
                disk,
                hub,
                writer,
                index,
                retention,
                threads: Mutex::new(threads),
                object_bytes_max: options.object_bytes_max,
                clock: options.clock,
            }),
        })
    }

    /// Creates, updates or deletes one object. The answer is the revision as it was committed; it
    /// is durable.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::AlreadyExists`], [`Error::VersionConflict`],
    /// [`Error::UidConflict`] when the state is not what the write demands: nothing has changed.
    /// [`Error::Invalid`], [`Error::TooLarge`] for a write that breaks a rule. [`Error::Busy`] when
    /// [`NAMESPACE_JOBS_MAX`](crate::NAMESPACE_JOBS_MAX) jobs of the namespace wait,
    /// [`QUEUE_JOBS_MAX`](crate::QUEUE_JOBS_MAX) of all, or
    /// [`QUEUE_BYTES_MAX`](crate::QUEUE_BYTES_MAX) bytes of them. [`Error::Unavailable`] while
    /// writes are refused, as [`Store::write_failure`] says, and [`Error::Closed`] after
    /// [`Store::close`]: nothing has changed. After [`Error::Uncertain`] alone it may have.
    pub fn write(&self, write: Write) -> Result<Revision, Error> {
        let mut revisions = self.write_batch(vec![write])?;
        revisions.pop().ok_or(Error::Closed)
    }

    /// Commits several writes together: all or none, at consecutive versions, visible at once.
    ///
    /// A later write of the batch sees the earlier ones.
    ///
    /// # Errors
    ///
    /// As [`Store::write`], for the first write that fails. [`Error::TooLarge`] for more than
    /// [`BATCH_WRITES_MAX`](crate::BATCH_WRITES_MAX) writes or
    /// [`BATCH_BYTES_MAX`](crate::BATCH_BYTES_MAX) bytes of several bodies.
    pub fn write_batch(&self, writes: Vec<Write>) -> Result<Vec<Revision>, Error> {
        self.commit(writes, write::BATCH)
    }

    /// As [`Store::write_batch`], with room for more: to bring a whole collection in at once. All
    /// others wait meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Store::write_batch`]; the limits are [`LOAD_WRITES_MAX`](crate::LOAD_WRITES_MAX) and
    /// [`LOAD_BYTES_MAX`](crate::LOAD_BYTES_MAX).
    pub fn load(&self, writes: Vec<Write>) -> Result<Vec<Revision>, Error> {
        self.commit(writes, write::LOAD)
    }

    fn commit(&self, writes: Vec<Write>, limits: write::Limits) -> Result<Vec<Revision>, Error> {
        let Engine {
            disk,
            writer,
            object_bytes_max,
            ..
        } = &*self.engine;
        writer.submit(
            write::prepare(writes, limits, *object_bytes_max, disk)?,
            false,
        )
    }

    /// What [`Store::write`] would answer, without writing anything. The version of the answer is
    /// one that the next write will have, whoever makes it.
    ///
    /// # Errors
    ///
    /// As [`Store::write`].
    pub fn try_write(&self, write: Write) -> Result<Revision, Error> {
        let engine = &self.engine;
        let most = engine.object_bytes_max;
        let prepared = write::prepare(vec![write], write::BATCH, most, &engine.disk)?;
        let mut revisions = engine.writer.submit(prepared, true)?;
        revisions.pop().ok_or(Error::Closed)
    }

    /// The state of the store at this moment.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] or [`Error::Corrupt`] when the tables cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        let version = self.engine.disk.view()?.head();
        Ok(Snapshot::new(Arc::clone(&self.engine.disk), version))
    }

    /// The state of the store at this version.
    ///
    /// # Errors
    ///
    /// [`Error::Future`] for a version that has not been written; otherwise as
    /// [`Store::snapshot`]. For one that retention has passed in a collection, reads of that
    /// collection answer [`Error::Gone`].
    pub fn snapshot_at(&self, version: Version) -> Result<Snapshot, Error> {
        self.check_written(version)?;
        Ok(Snapshot::new(Arc::clone(&self.engine.disk), version))
    }

    fn check_written(&self, requested: Version) -> Result<(), Error> {
        let current = self.engine.disk.view()?.head();
        if requested > current {
            return Err(Error::Future { requested, current });
        }
        Ok(())
    }

    /// Watches a collection: every change after this version that the filter lets through.
    ///
    /// To begin with the state of now, list a [`Snapshot`] and watch from its version.
    ///
    /// # Errors
    ///
    /// [`Error::Future`] for a version that has not been written, [`Error::Gone`] for one that
    /// retention has passed.
    pub fn watch(
        &self,
        collection: Collection,
        filter: Filter,
        after: Version,
    ) -> Result<Watch, Error> {
        self.check_written(after)?;
        let oldest = self.compacted(&collection)?;
        if after < oldest {
            let requested = after;
            return Err(Error::Gone { requested, oldest });
        }
        let (hub, disk) = (Arc::clone(&self.engine.hub), Arc::clone(&self.engine.disk));
        Ok(Watch::new(hub, disk, collection, filter, after))
    }

    /// What the clock of the store says.
    pub(crate) fn now(&self) -> Timestamp {
        self.engine.clock.now()
    }

    /// The identity of this line of history.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.engine.disk.epoch()
    }

    /// How large the store is.
    ///
    /// # Errors
    ///
    /// As [`Store::snapshot`].
    pub fn stats(&self) -> Result<Stats, Error> {
        let view = self.engine.disk.view()?;
        let counts = view.counts()?;
        Ok(Stats {
            version: view.head(),
            revisions: counts.revisions,
            removed: view.floors()?.removed(),
            objects: counts.live,
            trash: counts.trash,
            bytes: self.engine.disk.size()?,
        })
    }

    /// Reads everything and proves that it is whole: versions without a gap, every checksum, links
    /// that hold, and current state and trash that follow from the log. It goes on after damage:
    /// the report says where it is and what it touches.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when the files cannot be read, whatever is in them.
    pub fn check(&self) -> Result<Report, Error> {
        crate::disk::check(&self.engine.disk.view()?.uncached())
    }

    /// The compacted version of a collection: the first whose state is still whole. Reads and
    /// watches before it answer [`Error::Gone`]. Zero when retention has removed nothing of it.
    ///
    /// # Errors
    ///
    /// As [`Store::snapshot`].
    pub fn compacted(&self, collection: &Collection) -> Result<Version, Error> {
        Ok(self.engine.disk.view()?.floors()?.get(collection))
    }

    /// Makes this version the oldest of a collection: what it supersedes is removed, whatever
    /// [`Options::retention`] says, and at once. Of a wider collection that is so for each resource
    /// in each namespace where it holds something. Answers the compacted version that all of them
    /// have reached, which is lower where an open [`Snapshot`] needs more.
    ///
    /// # Errors
    ///
    /// [`Error::Future`] for a version that has not been written; [`Error::Unavailable`] when the
    /// tables cannot be written: what was removed is removed, and a later call goes on.
    pub fn compact_to(&self, collection: &Collection, version: Version) -> Result<Version, Error> {
        self.check_written(version)?;
        self.engine.retention.compact(collection, version)
    }

    /// Removes now what [`Options::retention`] lets go, instead of waiting for the background to do
    /// it. Answers how many revisions were removed.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when the tables cannot be written.
    pub fn retain(&self) -> Result<u64, Error> {
        self.engine.retention.run_now()
    }

    /// [`Store::check`] of a directory that nobody has open. Nothing in it is changed, and files that
    /// do not open are a finding.
    ///
    /// # Errors
    ///
    /// [`Error::Open`] when the directory is in use; [`Error::Unavailable`] when the files cannot be
    /// read, whatever is in them.
    pub fn check_directory(directory: impl AsRef<Path>) -> Result<Report, Error> {
        repair::check_directory(directory.as_ref())
    }

    /// Makes a whole store of what can be read of a damaged directory that nobody has open. What
    /// cannot be read is set aside in a new folder in it, beside the old files. A sound store is
    /// left as it is. It may be interrupted at any moment and begun again.
    ///
    /// # Errors
    ///
    /// As [`Store::check_directory`]; [`Error::Corrupt`] for a store of another format.
    pub fn repair(directory: impl AsRef<Path>) -> Result<Repair, Error> {
        repair::repair_directory(directory.as_ref())
    }

    /// Puts all that only the commit log has into the tables, and waits for it; writes go on. The
    /// store does this by itself: an open has less to replay after it, and a benchmark nothing
    /// left behind.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when the tables cannot be written.
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.engine.disk.drain()
    }

    /// Gives back the space that the files do not need: the commit log is emptied, and the pages of
    /// the tables are moved together. Says how many bytes the files took before and take now.
    ///
    /// For a store that nobody else uses: reads are refused meanwhile, and it takes as long as
    /// copying the file.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when reads are open or the files cannot be written.
    pub fn compact(&self) -> Result<(u64, u64), Error> {
        let disk = &self.engine.disk;
        let before = disk.size()?;
        disk.compact()?;
        Ok((before, disk.size()?))
    }

    /// Why writes are refused at the moment, if they are.
    #[must_use]
    pub fn write_failure(&self) -> Option<String> {
        let writer = &self.engine.writer;
        writer.failure().or_else(|| self.engine.disk.failure())
    }

    /// Ends the threads of the store after the writes that are already queued. Watches end, and
    /// later writes answer [`Error::Closed`]; reads still work. The directory is free once the
    /// last clone is gone, and the last snapshot and watch of it.
    pub fn close(&self) {
        self.engine.close();
    }
}

impl Engine {
    fn close(&self) {
        self.writer.close();
        self.retention.close();
        if let Some(follower) = &self.index {
            follower.close();
        }
        let threads = std::mem::take(&mut *self.threads.lock());
        for (at, thread) in threads.into_iter().enumerate() {
            // A panic in a thread was reported when it happened; there is nothing to add here.
            let _ = thread.join();
            if at == 0 {
                // The writer has ended: nothing more will be published.
                self.hub.close();
            }
        }
        self.disk.close();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.engine.disk.epoch())
    }
}

fn settings(options: &Options, new_epoch: Epoch, new_seed: u64) -> Settings {
    Settings {
        cache_bytes: options.cache_bytes,
        overlay_revisions: options.overlay_revisions,
        overlay_bytes: options.overlay_bytes,
        new_epoch,
        new_seed,
    }
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::unavailable(format!("no random numbers: {cause}")))?;
    Ok(bytes)
}
