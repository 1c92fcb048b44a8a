//! Files that are looked at and not opened for use: no thread runs, and nothing is written.
//!
//! `annals check` on a directory, and `annals repair`, come this way. A damaged file must not be
//! written to; the engine itself writes when it closes one, and may not survive what it meets
//! then. So a file is opened to be read only, also one that was not closed well: in a
//! [`Draft`](super::draft::Draft) it is called closed. One that cannot be opened so is put in order
//! in the draft and never closed: what it takes in memory stays until the process ends.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use redb::{
    Builder, ConcurrencyMode, Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase,
    ReadableTable, ReadableTableMetadata, StorageError, TransactionError,
};

use super::floors::Floors;
use super::handle::{Recovery, TABLES_NAME};
use super::log::{CommitLog, LOG_NAMES};
use super::media::{Backend, Fault, Media, Volume};
use super::tables::{
    Base, FLOOR, META, Meta, check_format, decode_seed, failed, guarded, read_floors,
};
use super::view::{Revisions, View, Weight};
use crate::Error;
use crate::model::{Epoch, Version};

/// What the engine may take in memory for pages.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Where the engine's header says how a file was left, and two of its bits.
const STATE_AT: u64 = 9;
const UNCLOSED: u8 = 2;
const TWO_PHASES: u8 = 4;

/// A file that is open to be looked at.
enum Cold {
    Closed(ReadOnlyDatabase),
    /// It is never closed.
    Recovered(ManuallyDrop<Database>),
}

impl ReadableDatabase for Cold {
    fn begin_read(&self) -> Result<ReadTransaction, TransactionError> {
        match self {
            Cold::Closed(database) => database.begin_read(),
            Cold::Recovered(database) => database.begin_read(),
        }
    }

    fn cache_stats(&self) -> redb::CacheStats {
        match self {
            Cold::Closed(database) => database.cache_stats(),
            Cold::Recovered(database) => database.cache_stats(),
        }
    }
}

impl Cold {
    fn open(media: &Arc<dyn Media>, fault: &Arc<Fault>) -> Result<Self, Error> {
        let backend = || Backend::new(media, fault);
        let builder = || {
            let mut builder = Builder::new();
            builder.set_cache_size(CACHE_BYTES);
            builder
        };
        let look = || {
            // A reader beside others does without what only a writer needs, sound or not.
            let mut builder = builder();
            builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
            let opened = guarded(|| {
                let opened = builder.open_read_only_with_backend(backend());
                opened.map_err(failed)
            });
            opened.map(Cold::Closed)
        };
        if let Ok(cold) = look() {
            return Ok(cold);
        }
        if let Some(state) = settle(&**media).map_err(Error::unavailable)? {
            if let Ok(cold) = look() {
                return Ok(cold);
            }
            media
                .write(STATE_AT, &[state])
                .map_err(Error::unavailable)?;
        }
        guarded(|| {
            let opened = builder().create_with_backend(backend()).map_err(failed)?;
            Ok(Cold::Recovered(ManuallyDrop::new(opened)))
        })
    }
}

/// Calls a file closed that was not, which is a draft; answers what it said before. The newest
/// commit of a file that is committed to in two phases is whole. To put such a file in order, the
/// engine walks over all of it, or gives up at the first page that it cannot read.
fn settle(media: &dyn Media) -> std::io::Result<Option<u8>> {
    let mut state = [0];
    if media.len()? <= STATE_AT {
        return Ok(None);
    }
    media.read(STATE_AT, &mut state)?;
    let [before] = state;
    if before & (UNCLOSED | TWO_PHASES) != UNCLOSED | TWO_PHASES {
        return Ok(None);
    }
    media.write(STATE_AT, &[before & !UNCLOSED])?;
    Ok(Some(before))
}

/// What is wrong with the pages of the tables: with those that hold nothing of ours too, which the
/// engine needs when it writes. The volume is a draft.
pub(crate) fn check_pages(volume: &Arc<dyn Volume>) -> Result<Option<String>, Error> {
    let media = Arc::clone(volume).open(TABLES_NAME);
    let media = media.map_err(Error::unavailable)?;
    let fault = Arc::default();
    let checked = guarded(|| {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let opened = builder.create_with_backend(Backend::new(&media, &fault));
        let mut database = ManuallyDrop::new(opened.map_err(failed)?);
        let is_sound = guarded(|| database.check_integrity().map_err(failed))?;
        if is_sound {
            drop(ManuallyDrop::into_inner(database));
        }
        Ok(is_sound)
    });
    match checked {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some("pages do not match their checksums".to_owned())),
        Err(error) => super::walk::reason_of(error).map(Some),
    }
}

/// One state of these files, as [`Disk::open`](super::Disk::open) would show it. The volume is a
/// draft.
pub(crate) fn look(volume: &Arc<dyn Volume>) -> Result<View, Error> {
    let open = |name: &str| {
        let file = Arc::clone(volume).open(name);
        file.map_err(|cause| Error::unavailable(format!("{name}: {cause}")))
    };
    let (media, fault) = (open(TABLES_NAME)?, Arc::default());
    let database = Arc::new(Cold::open(&media, &fault)?);
    let base = guarded(|| {
        let floors = Arc::new(read_floors(&*database)?);
        let base = Base::open(Arc::clone(&database), fault, floors)?;
        base.check_count()?;
        Ok(base)
    })?;
    let (seed, applied) = (base.meta.seed, base.meta.applied);
    let mut recovery = Recovery::new(&base)?;
    let files = [open(LOG_NAMES[0])?, open(LOG_NAMES[1])?];
    CommitLog::open(files, seed, applied, |side, version, record| {
        recovery.add(side, version, record)
    })?;
    let cache = Revisions::with_weighter(1, 0, Weight);
    Ok(View::new(Arc::new(
        recovery.finish(Arc::new(base), Arc::new(cache)),
    )))
}

/// What `meta` says, as far as it can be read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Doubts {
    pub(super) epoch: Option<Epoch>,
    pub(super) seed: Option<u64>,
    pub(super) applied: Option<u64>,
    pub(super) removed: Option<u64>,
    /// How many headers the table says it has.
    pub(super) rows: Option<u64>,
    /// Whether all compacted versions can be read.
    pub(super) has_floors: bool,
}

impl Doubts {
    /// Whether the numbers do not fit each other.
    pub(super) fn is_count_wrong(&self) -> bool {
        let counted = self.rows.zip(self.removed);
        let counted = counted.and_then(|(rows, removed)| rows.checked_add(removed));
        counted.is_none() || counted != self.applied
    }
}

impl Base {
    /// The tables of a file that may be damaged; none if not even their roots can be found.
    ///
    /// # Errors
    ///
    /// When the file is of another format, or the medium fails.
    pub(super) fn of_damaged(media: &Arc<dyn Media>) -> Result<(Option<Self>, Doubts), Error> {
        let fault: Arc<Fault> = Arc::default();
        let Ok(database) = Cold::open(media, &fault).map(Arc::new) else {
            return Ok((None, Doubts::default()));
        };
        let row = |name: &str| {
            let row = guarded(|| {
                let transaction = database.begin_read().map_err(failed)?;
                let meta = transaction.open_table(META).map_err(failed)?;
                let row = meta.get(name).map_err(failed)?;
                Ok(row.map(|row| row.value().to_vec()))
            });
            row.ok().flatten()
        };
        if let Some(format) = row("format") {
            check_format(&format)?;
        }
        let number = |name: &str| {
            let bytes: [u8; 8] = row(name)?.try_into().ok()?;
            Some(u64::from_le_bytes(bytes))
        };
        let mut doubts = Doubts {
            epoch: row("epoch").and_then(|bytes| Some(Epoch(bytes.try_into().ok()?))),
            seed: row("seed").and_then(|bytes| decode_seed(&bytes)),
            applied: number("applied"),
            removed: number("removed"),
            rows: None,
            has_floors: false,
        };
        let (floors, has_floors) = readable_floors(&*database, &doubts);
        doubts.has_floors = has_floors;
        let base = guarded(|| {
            let transaction = database.begin_read().map_err(failed)?;
            let meta = Meta {
                epoch: doubts.epoch.unwrap_or(Epoch([0; 16])),
                seed: doubts.seed.unwrap_or_default(),
                applied: Version::new(doubts.applied.unwrap_or_default()),
                removed: doubts.removed.unwrap_or_default(),
            };
            let database = Arc::clone(&database) as _;
            Base::of(&transaction, meta, Arc::new(floors), fault, database)
        });
        if let Ok(base) = &base {
            doubts.rows = guarded(|| base.header.len().map_err(failed)).ok();
        }
        Ok((base.ok(), doubts))
    }
}

/// The compacted versions up to the first that cannot be read, and whether that is all of them.
fn readable_floors(database: &impl ReadableDatabase, doubts: &Doubts) -> (Floors, bool) {
    let mut floors = Floors::new(doubts.removed.unwrap_or_default());
    // What can be read stays, whatever ends it.
    let is_whole = guarded(|| {
        let transaction = database.begin_read().map_err(failed)?;
        let table = transaction.open_table(FLOOR).map_err(failed)?;
        let (mut count, mut is_whole) = (0, true);
        for row in table.iter().map_err(failed)? {
            let (prefix, version) = row.map_err(|cause: StorageError| failed(cause))?;
            let raised = floors.raise(prefix.value(), Version::new(version.value()));
            is_whole &= raised.is_ok();
            count += 1;
        }
        Ok(is_whole && count == table.len().map_err(failed)?)
    });
    let newest = floors.newest().get();
    let is_possible = doubts.applied.is_none_or(|applied| newest <= applied);
    (floors, is_whole.unwrap_or(false) && is_possible)
}
