//! The commit log, the overlay and the tables as one.
//!
//! One thread commits; any number read; one more puts sealed layers into the tables, see `apply`.
//! The state that readers take is replaced under a short lock, never changed.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use super::apply::Applier;
use super::body;
use super::log::{CommitLog, Frame, LOG_NAMES, Record};
use super::media::Volume;
use super::overlay::{Entry, Layer, Tally};
use super::pins::{Pin, Pins};
use super::progress::Progress;
use super::record::{decode_header, encode_header};
use super::tables::{Base, Tables};
use super::view::{Revisions, State, View, Weight};
use super::{Settings, Shelf, Trim};
use crate::Error;
use crate::model::{Epoch, Revision, Version};
use crate::sync::{Mutex, RwLock};

/// The name of the file of the tables.
pub(crate) const TABLES_NAME: &str = "store.redb";

/// A durable place for revisions.
pub(crate) struct Disk {
    pub(super) tables: Tables,
    log: Mutex<CommitLog>,
    state: RwLock<Arc<State>>,
    pub(super) applier: Applier,
    epoch: Epoch,
    limits: Limits,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Held by the one who changes or reopens the tables, until the state shows it: otherwise an
    /// older state of them could take the place of a newer one.
    changing: Mutex<()>,
    pins: Arc<Pins>,
}

/// When a layer is full.
#[derive(Clone, Copy, Debug)]
struct Limits {
    revisions: usize,
    bytes: usize,
}

/// A revision that is about to be committed, its body already encoded.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) revision: Revision,
    pub(crate) stored_body: Vec<u8>,
}

impl Disk {
    /// Opens the files, or begins a new store in empty ones.
    pub(crate) fn open(volume: &Arc<dyn Volume>, settings: Settings) -> Result<Arc<Self>, Error> {
        let disk = Disk::open_idle(volume, settings)?;
        *disk.thread.lock() = Some(Applier::start(&disk));
        Ok(disk)
    }

    /// The same without the thread, which a model schedules itself.
    pub(super) fn open_idle(
        volume: &Arc<dyn Volume>,
        settings: Settings,
    ) -> Result<Arc<Self>, Error> {
        let open = |name: &str| {
            let file = Arc::clone(volume).open(name);
            file.map_err(|cause| Error::unavailable(format!("{name}: {cause}")))
        };
        // The revisions that were read share the memory with redb's pages.
        let half = settings.cache_bytes / 2;
        let (tables, base) = Tables::open(
            open(TABLES_NAME)?,
            Settings {
                cache_bytes: settings.cache_bytes - half,
                ..settings
            },
        )?;
        let files = [open(LOG_NAMES[0])?, open(LOG_NAMES[1])?];
        let meta = base.meta;
        let items = half / 1024;
        let cache = Revisions::with_weighter(items.max(16), half as u64, Weight);
        let mut recovery = Recovery::new(&base)?;
        let log = CommitLog::open(files, meta.seed, meta.applied, |side, version, record| {
            recovery.add(side, version, record)
        })?;
        let state = recovery.finish(base, Arc::new(cache));
        Ok(Arc::new(Disk {
            tables,
            log: Mutex::new(log),
            state: RwLock::new(Arc::new(state)),
            applier: Applier::default(),
            epoch: meta.epoch,
            limits: Limits {
                revisions: settings.overlay_revisions,
                bytes: settings.overlay_bytes,
            },
            thread: Mutex::new(None),
            changing: Mutex::new(()),
            pins: Arc::default(),
        }))
    }

    /// A view of the newest committed state.
    pub(crate) fn view(&self) -> Result<View, Error> {
        if self.tables.is_broken() {
            self.heal()?;
        }
        Ok(View::new(self.state()))
    }

    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }

    /// Replaces the state by what `change` makes of it.
    fn replace(&self, change: impl FnOnce(&State) -> State) {
        let mut state = self.state.write();
        let next = Arc::new(change(&state));
        let before = std::mem::replace(&mut *state, next);
        drop(state);
        // Whatever only the old state held is freed outside of the lock.
        drop(before);
    }

    /// Replaces the tables, or says why there are none for now.
    fn put_base(&self, base: Result<Arc<Base>, Error>) {
        self.replace(|state| State {
            base,
            ..state.share()
        });
    }

    /// Reopens the tables after a failed call. The readers of the old handle end first: no view of
    /// it is given out any more.
    pub(super) fn heal(&self) -> Result<(), Error> {
        let _alone = self.changing.lock();
        if !self.tables.is_broken() {
            return Ok(());
        }
        let cause = self.tables.fault().unwrap_or_default();
        self.put_base(Err(Error::unavailable(format!(
            "{cause}: the file is being reopened"
        ))));
        self.put_base(Ok(self.tables.heal(self.epoch)?));
        Ok(())
    }

    /// Waits, before anything is decided, until the overlay has room for a commit. When the tables
    /// cannot be written, it says so instead.
    pub(crate) fn make_room(&self, writes: usize) -> Result<(), Error> {
        loop {
            let state = self.state();
            let fill = self.fill_of(&state.active);
            if fill < 1.0 {
                if state.sealed.is_some() {
                    self.applier.pace(fill, writes);
                }
                return Ok(());
            }
            if state.sealed.is_none() {
                self.seal()?;
                return Ok(());
            }
            self.applier.wait_for_room()?;
        }
    }

    /// How full a layer is; from 1 on it takes no more.
    fn fill_of(&self, layer: &Layer) -> f64 {
        let (revisions, bytes) = layer.size();
        let share = |used: usize, limit: usize| used as f64 / limit.max(1) as f64;
        share(revisions, self.limits.revisions).max(share(bytes, self.limits.bytes))
    }

    /// Begins a new layer and turns the log; the old layer is for the tables. Only when there is
    /// no sealed one.
    pub(super) fn seal(&self) -> Result<(), Error> {
        let mut log = self.log.lock();
        let state = self.state();
        if state.sealed.is_some() || state.active.size().0 == 0 {
            return Ok(());
        }
        log.turn()?;
        self.replace(|state| State {
            sealed: Some(Arc::clone(&state.active)),
            active: Arc::new(Layer::new(state.head.next())),
            ..state.share()
        });
        drop(log);
        self.applier.wake();
        Ok(())
    }

    /// Puts the sealed layer into the tables and drops it.
    pub(super) fn put_away(&self, layer: &Layer, progress: &Progress) -> Result<(), Error> {
        let alone = self.changing.lock();
        let base = self.tables.apply(layer, progress)?;
        self.settle(base, true)?;
        drop(alone);
        // What was just written is likely to be read.
        let state = self.state();
        for entry in layer.all() {
            if let Some(body) = entry.body.get() {
                let revision = Revision::new(Arc::clone(&entry.header), Arc::clone(body));
                state.cache.insert(entry.header.version.get(), revision);
            }
        }
        Ok(())
    }

    /// Removes revisions, unless an open snapshot needs them: then `false`. A key that is forgotten
    /// may be created again at the same moment, see `Tally::on`.
    pub(crate) fn trim(&self, trim: Trim) -> Result<bool, Error> {
        if self.tables.is_broken() {
            self.heal()?;
        }
        let _alone = self.changing.lock();
        // A snapshot may have been opened since this was worked out.
        let newest = trim.floors.values().max().copied().unwrap_or_default();
        if self.pins.oldest().is_some_and(|oldest| oldest < newest) {
            return Ok(false);
        }
        let base = self.tables.trim(&trim)?;
        self.settle(base, false).map(|()| true)
    }

    /// Shows what the tables hold now; with the sealed layer in them it is dropped.
    fn settle(&self, base: Arc<Base>, has_sealed: bool) -> Result<(), Error> {
        let (live, trash) = (base.count(Shelf::Live)?, base.count(Shelf::Trash)?);
        // While nobody commits, the active layer is what the state says of it.
        let _log = self.log.lock();
        self.replace(|state| {
            let mut next = State {
                live,
                trash,
                base: Ok(base),
                ..state.share()
            };
            next.sealed = next.sealed.filter(|_| !has_sealed);
            let tallies = [Some(&next.active), next.sealed.as_ref()];
            for tally in tallies.into_iter().flatten().map(|layer| layer.tally()) {
                (next.live, next.trash) = tally.on(next.live, next.trash);
            }
            next
        });
        Ok(())
    }

    /// Puts everything into the tables.
    pub(crate) fn drain(&self) -> Result<(), Error> {
        self.applier.drain(self)
    }

    /// Holds this version: as long as somebody does, nothing is removed of its state.
    pub(crate) fn pin(&self, version: Version) -> Pin {
        self.pins.hold(version)
    }

    /// The newest version up to which retention may act.
    pub(crate) fn horizon(&self) -> Result<Version, Error> {
        let applied = self.view()?.applied()?;
        Ok(self
            .pins
            .oldest()
            .map_or(applied, |oldest| oldest.min(applied)))
    }

    /// Commits these revisions, which continue the versions without a gap, in one frame.
    ///
    /// `publish` tells the watchers: readers see the new state when it has returned, so that no one
    /// learns of a version from one that the other does not know.
    ///
    /// After an error it is not known whether they are durable; they are not visible, and nothing
    /// can be committed until [`Disk::reopen`].
    pub(crate) fn commit<T>(
        &self,
        revisions: Vec<Staged>,
        publish: impl FnOnce() -> T,
    ) -> Result<T, Error> {
        let first = revisions.first();
        let first = first.ok_or_else(|| Error::corrupt("a commit without revisions"))?;
        let mut frame = Frame::new(first.revision.version());
        let mut entries = Vec::with_capacity(revisions.len());
        for Staged {
            revision,
            mut stored_body,
        } in revisions
        {
            body::bind(&mut stored_body, revision.version());
            let stored_header = encode_header(revision.header())?;
            frame.push(Record {
                header: &stored_header,
                body: &stored_body,
            })?;
            entries.push(Arc::new(Entry {
                header: revision.shared_header(),
                body: OnceLock::from(revision.shared_body()),
                stored_header,
                stored_body,
            }));
        }
        let mut log = self.log.lock();
        log.append(frame)?;
        let active = Arc::clone(&self.state().active);
        let mut tally = Tally::default();
        for entry in entries {
            tally.add(&entry.header);
            active.push(entry);
        }
        let mut published = None;
        self.replace(|state| {
            published = Some(publish());
            let (live, trash) = tally.on(state.live, state.trash);
            State {
                head: Version::new(state.head.get() + tally.revisions),
                live,
                trash,
                ..state.share()
            }
        });
        drop(log);
        self.applier.touch();
        published.ok_or(Error::Closed)
    }

    /// After a failed commit: makes sure that nothing of it will ever be found.
    pub(crate) fn reopen(&self) -> Result<(), Error> {
        let next = self.state().head.next();
        self.log.lock().mend(next)
    }

    /// Puts everything into the tables, empties the commit log, and gives the space back that the
    /// tables do not need. Meanwhile reads of the tables are refused.
    pub(crate) fn compact(&self) -> Result<(), Error> {
        self.drain()?;
        let mut log = self.log.lock();
        let state = self.state();
        if state.sealed.is_none() && state.active.size().0 == 0 {
            log.clear()?;
        }
        drop((state, log));
        let _alone = self.changing.lock();
        self.put_base(Err(Error::unavailable("the tables are being compacted")));
        self.put_base(Ok(self.tables.compact()?));
        Ok(())
    }

    /// Puts everything into the tables and ends the thread.
    pub(crate) fn close(&self) {
        self.applier.close();
        if let Some(thread) = self.thread.lock().take() {
            // A panic in the thread was reported when it happened.
            drop(thread.join());
        }
    }

    /// The identity of this line of history.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Why commits are refused at the moment, if they are: the tables cannot be read, or cannot be
    /// written and the overlay is full.
    pub(crate) fn failure(&self) -> Option<String> {
        let state = self.state();
        let full = state.sealed.is_some() && self.fill_of(&state.active) >= 1.0;
        let unwritable = || self.applier.failure().filter(|_| full);
        self.tables.fault().or_else(unwritable)
    }

    /// The size of the files in bytes.
    pub(crate) fn size(&self) -> Result<u64, Error> {
        Ok(self.tables.size()? + self.log.lock().size()?)
    }
}

impl State {
    /// The same state, to be changed in part.
    pub(super) fn share(&self) -> State {
        State {
            head: self.head,
            live: self.live,
            trash: self.trash,
            sealed: self.sealed.clone(),
            active: Arc::clone(&self.active),
            base: self.base.clone(),
            cache: Arc::clone(&self.cache),
        }
    }
}

/// The overlay as it is built from the commit log when the store is opened.
pub(super) struct Recovery {
    head: Version,
    live: u64,
    trash: u64,
    layers: [Option<Layer>; 2],
}

impl Recovery {
    pub(super) fn new(base: &Base) -> Result<Self, Error> {
        Ok(Recovery {
            head: base.meta.applied,
            live: base.count(Shelf::Live)?,
            trash: base.count(Shelf::Trash)?,
            layers: [None, None],
        })
    }

    pub(super) fn add(
        &mut self,
        side: usize,
        version: Version,
        record: Record<'_>,
    ) -> Result<(), Error> {
        let header = decode_header(record.header)?;
        if header.version != version {
            let found = header.version;
            return Err(Error::corrupt(format!(
                "the commit log has revision {found} in the place of {version}"
            )));
        }
        self.head = version;
        let entry = Entry {
            header: Arc::new(header),
            body: OnceLock::new(),
            stored_header: record.header.to_vec(),
            stored_body: record.body.to_vec(),
        };
        let layer = self.layers[side].get_or_insert_with(|| Layer::new(version));
        layer.push(Arc::new(entry));
        Ok(())
    }

    pub(super) fn finish(self, base: Arc<Base>, cache: Arc<Revisions>) -> State {
        let layers = self.layers.iter().flatten().map(Layer::tally);
        let (live, trash) = layers.fold((self.live, self.trash), |(live, trash), tally| {
            tally.on(live, trash)
        });
        let [sealed, active] = self.layers;
        let active = active.unwrap_or_else(|| Layer::new(self.head.next()));
        State {
            head: self.head,
            live,
            trash,
            sealed: sealed.map(Arc::new),
            active: Arc::new(active),
            base: Ok(base),
            cache,
        }
    }
}

/// Encodes a body to be stored; says whether it is built from the older one.
pub(crate) fn encode_body(body: &[u8], older: Option<(Version, &[u8])>) -> (Vec<u8>, bool) {
    let stored = body::encode(body, older);
    let built = body::Stored::parse(&stored).is_ok_and(|stored| stored.base().is_some());
    (stored, built)
}
