//! The redb tables: one read path, one write path.
//!
//! redb is kept to its boring subset: durable commits with quick repair, no savepoints, one
//! writer. Panics of redb are caught here and reported as damage.

use std::any::Any;
use std::ops::{Bound, ControlFlow};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, TableDefinition, WriteTransaction,
};
use xxhash_rust::xxh3::xxh3_64;

use super::birth::discard_unfinished;
use super::engine::Engine;
use super::floors::Floors;
use super::labels::{self, LABEL, LABEL_PAST};
use super::media::{Backend, Fault, Media};
use super::overlay::{Entry, Layer};
use super::progress::Progress;
use super::record::{decode_header, encode_shelved};
use super::trim::{self, SWEEP, Trim};
use super::{Settings, Shelf, Visit};
use crate::Error;
use crate::model::{Action, Epoch, Header, Key, Version};
use crate::sync::Mutex;

pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const HEADER: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("header");
pub(super) const BODY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("body");
pub(super) const RESOURCE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("resource");
pub(super) const TRASH: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("trash");
pub(super) const FLOOR: TableDefinition<'_, &str, u64> = TableDefinition::new("floor");

/// The format this code writes, and the only one it opens.
pub(super) const FORMAT: u32 = 2;

/// How long a compaction waits for reads to end, and how often it looks.
const COMPACT_PATIENCE: Duration = Duration::from_secs(2);
const COMPACT_PAUSE: Duration = Duration::from_millis(1);

/// What the table `meta` says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta {
    pub(super) epoch: Epoch,
    /// What the checks of the commit log begin with.
    pub(super) seed: u64,
    /// The newest version that is in the tables.
    pub(super) applied: Version,
    /// How many revisions retention has removed.
    pub(super) removed: u64,
}

/// The tables in one file.
pub(super) struct Tables {
    media: Arc<dyn Media>,
    settings: Settings,
    /// `None` while the file is being reopened.
    database: Mutex<Option<Arc<Engine>>>,
    /// Whether a call on the open handle has failed: then it will not work again.
    fault: Arc<Fault>,
    /// What the table `floor` says, for the next [`Base`].
    floors: Mutex<Arc<Floors>>,
}

pub(super) fn failed(cause: impl Into<redb::Error>) -> Error {
    match cause.into() {
        redb::Error::Corrupted(what) => Error::corrupt(what),
        redb::Error::Io(cause) if cause.kind() == std::io::ErrorKind::InvalidData => {
            Error::corrupt(cause)
        }
        // The tables are made with the file.
        cause @ (redb::Error::TableDoesNotExist(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. }) => Error::corrupt(cause),
        other => Error::unavailable(other),
    }
}

/// Runs a piece of redb work; a panic in it becomes an error.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::corrupt("the storage engine panicked")))
}

impl Tables {
    /// Opens the file, or makes the tables in an empty one.
    pub(super) fn open(
        media: Arc<dyn Media>,
        settings: Settings,
    ) -> Result<(Self, Arc<Base>), Error> {
        let tables = Tables {
            media,
            settings,
            database: Mutex::new(None),
            fault: Arc::default(),
            floors: Mutex::default(),
        };
        let base = tables.replace(None)?;
        Ok((tables, base))
    }

    /// Whether a call has failed since the file was opened.
    pub(super) fn is_broken(&self) -> bool {
        self.fault.has_struck()
    }

    /// Why the file has to be reopened, if it has.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.cause()
    }

    /// Closes the file and opens it again, if a call has failed. Nobody may hold a [`Base`] of the
    /// old handle, or it stays open and this fails.
    pub(super) fn heal(&self, expected: Epoch) -> Result<Arc<Base>, Error> {
        self.replace(Some(expected))
    }

    fn replace(&self, expected: Option<Epoch>) -> Result<Arc<Base>, Error> {
        let mut slot = self.database.lock();
        if let Some(database) = slot.take()
            && let Err(shared) = Arc::try_unwrap(database).map(drop)
        {
            *slot = Some(shared);
            let cause = self.fault.cause().unwrap_or_default();
            return Err(Error::unavailable(format!(
                "{cause}: the file is reopened when the reads of the old handle have ended"
            )));
        }
        let reopened = guarded(|| {
            let database = open(&self.media, &self.fault, self.settings)?;
            let database = Arc::new(Engine::new(database));
            *self.floors.lock() = Arc::new(read_floors(&*database)?);
            let base = self.base(&database)?;
            base.check_count()?;
            Ok((database, base))
        });
        let (database, base) = reopened.map_err(|error| self.fault.explain(error))?;
        if expected.is_some_and(|epoch| epoch != base.meta.epoch) {
            return Err(Error::corrupt("the file now holds another store"));
        }
        *slot = Some(database);
        self.fault.clear();
        Ok(Arc::new(base))
    }

    /// Puts the revisions of this layer, which continue what the tables have, into them in one
    /// durable commit; those that are in them already are left out. `progress` is told of the steps
    /// of the work, `STEPS` a revision, and when the commit begins.
    pub(super) fn apply(&self, layer: &Layer, progress: &Progress) -> Result<Arc<Base>, Error> {
        self.change(|transaction| {
            append(transaction, layer, progress)?;
            progress.commits();
            Ok(())
        })
    }

    /// Removes revisions in one durable commit.
    pub(super) fn trim(&self, trim: &Trim) -> Result<Arc<Base>, Error> {
        self.change(|transaction| {
            let floors = trim::trim(transaction, trim, &self.floors.lock())?;
            // If the commit fails, the file is read again before anything is shown.
            *self.floors.lock() = Arc::new(floors);
            Ok(())
        })
    }

    /// One durable commit, and what the tables hold after it.
    fn change(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<(), Error>,
    ) -> Result<Arc<Base>, Error> {
        let slot = self.database.lock();
        let database = slot.as_ref().ok_or_else(|| self.reopening())?;
        let result = guarded(|| {
            let transaction = begin(database)?;
            work(&transaction)?;
            transaction.commit().map_err(failed)?;
            self.base(database)
        });
        // Whatever went wrong, what is on disk is not known now.
        self.judged(result.map(Arc::new))
    }

    /// Moves the pages together and gives the rest of the file back. Nobody may hold a [`Base`].
    /// After an error the file is reopened before it is used.
    pub(super) fn compact(&self) -> Result<Arc<Base>, Error> {
        let mut slot = self.database.lock();
        let mut database = slot.take().ok_or_else(|| self.reopening())?;
        let deadline = Instant::now() + COMPACT_PATIENCE;
        let result = loop {
            match Arc::try_unwrap(database) {
                Ok(mut database) => {
                    break guarded(|| {
                        while database.compact().map_err(failed)? {}
                        Ok(Arc::new(database))
                    });
                }
                // A look at the state that is just over.
                Err(shared) if Instant::now() < deadline => {
                    database = shared;
                    std::thread::sleep(COMPACT_PAUSE);
                }
                Err(shared) => {
                    *slot = Some(shared);
                    break Err(Error::unavailable(
                        "reads are open, and compaction needs the file alone",
                    ));
                }
            }
        };
        let base = result.and_then(|database| {
            *slot = Some(Arc::clone(&database));
            guarded(|| self.base(&database))
        });
        self.judged(base.map(Arc::new))
    }

    /// What the tables hold now.
    fn base(&self, database: &Arc<Engine>) -> Result<Base, Error> {
        let floors = Arc::clone(&self.floors.lock());
        Base::open(Arc::clone(database), Arc::clone(&self.fault), floors)
    }

    /// There is no handle at the moment.
    fn reopening(&self) -> Error {
        self.fault
            .explain(Error::unavailable("the file is being reopened"))
    }

    /// The result of a change: after a failed one the handle is of no use.
    fn judged<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result
            .map_err(|error| self.fault.explain(error))
            .inspect_err(|error| self.fault.strike(error))
    }

    pub(super) fn size(&self) -> Result<u64, Error> {
        self.media.len().map_err(Error::unavailable)
    }
}

pub(super) fn open(
    media: &Arc<dyn Media>,
    fault: &Arc<Fault>,
    settings: Settings,
) -> Result<Database, Error> {
    discard_unfinished(&**media).map_err(Error::unavailable)?;
    // What a killed process has left may be in the system's memory only, and the commit log is
    // about to rely on it.
    if !media.is_empty().map_err(Error::unavailable)? {
        media.sync().map_err(Error::unavailable)?;
    }
    let database = Database::builder()
        .set_cache_size(settings.cache_bytes)
        .create_with_backend(Backend::new(media, fault))
        .map_err(failed)?;
    let transaction = database.begin_read().map_err(failed)?;
    match transaction.open_table(META) {
        Ok(_) => {}
        Err(redb::TableError::TableDoesNotExist(_)) => create_tables(&database, settings)?,
        Err(cause) => return Err(failed(cause)),
    }
    Ok(database)
}

pub(super) fn create_tables(database: &Database, settings: Settings) -> Result<(), Error> {
    let transaction = begin(database)?;
    {
        let mut meta = transaction.open_table(META).map_err(failed)?;
        let rows: [(&str, &[u8]); 5] = [
            ("format", &FORMAT.to_le_bytes()),
            ("epoch", &settings.new_epoch.bytes()),
            ("seed", &encode_seed(settings.new_seed)),
            ("applied", &0u64.to_le_bytes()),
            ("removed", &0u64.to_le_bytes()),
        ];
        for (name, value) in rows {
            meta.insert(name, value).map_err(failed)?;
        }
        transaction.open_table(HEADER).map_err(failed)?;
        transaction.open_table(BODY).map_err(failed)?;
        transaction.open_table(RESOURCE).map_err(failed)?;
        transaction.open_table(TRASH).map_err(failed)?;
        transaction.open_table(FLOOR).map_err(failed)?;
        transaction.open_table(SWEEP).map_err(failed)?;
        transaction.open_table(LABEL).map_err(failed)?;
        transaction.open_table(LABEL_PAST).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

/// The seed with a check of its own: with a wrong one the commit log would look empty.
fn encode_seed(seed: u64) -> [u8; 16] {
    let bytes = seed.to_le_bytes();
    let mut row = [0; 16];
    row[..8].copy_from_slice(&bytes);
    row[8..].copy_from_slice(&xxh3_64(&bytes).to_le_bytes());
    row
}

pub(super) fn decode_seed(row: &[u8]) -> Option<u64> {
    let (bytes, _) = row.split_first_chunk()?;
    let seed = u64::from_le_bytes(*bytes);
    (row == encode_seed(seed)).then_some(seed)
}

/// Whether this program reads the format, or how to go on.
pub(super) fn check_format(format: &[u8]) -> Result<(), Error> {
    if format != FORMAT.to_le_bytes() {
        let shown = <[u8; 4]>::try_from(format).map_or(0, u32::from_le_bytes);
        let way_out = if shown < FORMAT {
            "serve it with the release that wrote it, save its objects with `kubectl get -o yaml`, \
             and bring them in with `annals import file`"
        } else {
            "open it with the release that wrote it, or a newer one"
        };
        return Err(Error::corrupt(format!(
            "the file has format version {shown}, this program reads version {FORMAT}: {way_out}"
        )));
    }
    Ok(())
}

fn read_meta(meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Meta, Error> {
    let read = |name: &str| -> Result<Vec<u8>, Error> {
        let value = meta.get(name).map_err(failed)?;
        let value = value.ok_or_else(|| Error::corrupt(format!("meta has no {name:?}")))?;
        Ok(value.value().to_vec())
    };
    check_format(&read("format")?)?;
    let bad = |name: &str| Error::corrupt(format!("meta has a bad {name:?}"));
    let number = |name: &str| -> Result<u64, Error> {
        let bytes = <[u8; 8]>::try_from(&*read(name)?);
        bytes.map(u64::from_le_bytes).map_err(|_| bad(name))
    };
    let epoch = <[u8; 16]>::try_from(&*read("epoch")?);
    Ok(Meta {
        epoch: Epoch(epoch.map_err(|_| bad("epoch"))?),
        seed: decode_seed(&read("seed")?).ok_or_else(|| bad("seed"))?,
        applied: Version::new(number("applied")?),
        removed: number("removed")?,
    })
}

pub(super) fn read_floors(database: &impl ReadableDatabase) -> Result<Floors, Error> {
    let transaction = database.begin_read().map_err(failed)?;
    let meta = read_meta(&transaction.open_table(META).map_err(failed)?)?;
    let mut floors = Floors::new(meta.removed);
    let table = transaction.open_table(FLOOR).map_err(failed)?;
    for row in table.iter().map_err(failed)? {
        let (prefix, version) = row.map_err(failed)?;
        floors.raise(prefix.value(), Version::new(version.value()))?;
    }
    Ok(floors)
}

pub(super) fn begin(database: &Database) -> Result<WriteTransaction, Error> {
    let mut transaction = database.begin_write().map_err(failed)?;
    // A crash must not cost a walk over the whole file at the next open.
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// The one write path: headers, bodies, labels, then for each key touched its place on the
/// shelves.
pub(super) fn append(
    transaction: &WriteTransaction,
    layer: &Layer,
    progress: &Progress,
) -> Result<(), Error> {
    let entries = layer.all();
    let mut meta = transaction.open_table(META).map_err(failed)?;
    let applied = read_meta(&meta)?.applied;
    let known = entries.partition_point(|entry| entry.header.version <= applied);
    let entries = &entries[known..];
    let Some(newest) = entries.last() else {
        return Ok(());
    };
    for (entry, expected) in entries.iter().zip(applied.get() + 1..) {
        if entry.header.version.get() != expected {
            let found = entry.header.version;
            return Err(Error::corrupt(format!(
                "version {found} stands at {expected}"
            )));
        }
    }
    let mut headers = transaction.open_table(HEADER).map_err(failed)?;
    let mut bodies = transaction.open_table(BODY).map_err(failed)?;
    for (table, is_header) in [(&mut headers, true), (&mut bodies, false)] {
        for entry in entries {
            let value = if is_header {
                &entry.stored_header
            } else {
                &entry.stored_body
            };
            let version = entry.header.version.get();
            table.insert(version, value.as_slice()).map_err(failed)?;
            progress.step();
        }
    }
    labels::index(transaction, entries, progress)?;
    shelve(transaction, &layer.by_key(applied), progress)?;
    let applied = newest.header.version.get().to_le_bytes();
    meta.insert("applied", &applied[..]).map_err(failed)?;
    Ok(())
}

/// Puts the newest revision of every key on its shelf. What was done to it first says where it
/// stood before. Keys in order touch each page once.
pub(super) fn shelve(
    transaction: &WriteTransaction,
    keys: &[(Arc<Entry>, Arc<Entry>)],
    progress: &Progress,
) -> Result<(), Error> {
    let mut resource = transaction.open_table(RESOURCE).map_err(failed)?;
    let mut trash = transaction.open_table(TRASH).map_err(failed)?;
    for (first, newest) in keys {
        let (first, newest) = (&first.header, &newest.header);
        let key = newest.key.encoded();
        let value = encode_shelved(newest)?;
        if newest.is_live() {
            resource.insert(key, &*value).map_err(failed)?;
            if first.action == Action::Created && first.previous.is_some() {
                trash.remove(key).map_err(failed)?;
            }
        } else {
            trash.insert(key, &*value).map_err(failed)?;
            if first.action != Action::Created {
                resource.remove(key).map_err(failed)?;
            }
        }
        progress.step();
    }
    Ok(())
}

/// The header in these bytes, which stand at this version.
pub(super) fn header_at(version: u64, bytes: &[u8]) -> Result<Header, Error> {
    let header = decode_header(bytes)?;
    if header.version.get() != version {
        let found = header.version;
        return Err(Error::corrupt(format!(
            "the header of revision {found} stands at {version}"
        )));
    }
    Ok(header)
}

/// What the tables hold at one moment. It counts as a reader: as long as it is held, the file is
/// not closed, and pages that were replaced since are not used again.
pub(super) struct Base {
    pub(super) header: ByVersion,
    pub(super) body: ByVersion,
    pub(super) resource: ReadOnlyTable<&'static str, &'static [u8]>,
    pub(super) trash: ReadOnlyTable<&'static str, &'static [u8]>,
    pub(super) sweep: ReadOnlyTable<&'static str, u64>,
    pub(super) label: ReadOnlyTable<&'static [u8], u64>,
    pub(super) label_past: ReadOnlyTable<&'static [u8], u64>,
    pub(super) meta: Meta,
    pub(super) floors: Arc<Floors>,
    pub(super) fault: Arc<Fault>,
    pub(super) _database: Arc<dyn Any + Send + Sync>,
}

/// What a scan of a shelf calls for each key and its bytes.
type VisitRow<'a> = &'a mut dyn FnMut(&str, &[u8]) -> Result<ControlFlow<()>, Error>;

/// Which postings of the label index: those of now, or those that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Postings {
    Now,
    Past,
}

/// What a scan of postings calls for each; it says whether to go on.
type VisitPosting<'a> = &'a mut dyn FnMut(&[u8], u64) -> Result<bool, Error>;

/// What a walk over stored revisions calls for each: version, header, body.
pub(super) type VisitStored<'a> =
    &'a mut dyn FnMut(Version, Option<&[u8]>, &[u8]) -> Result<ControlFlow<()>, Error>;

/// A table of the history.
pub(super) type ByVersion = ReadOnlyTable<u64, &'static [u8]>;

impl Base {
    pub(super) fn open<D>(
        database: Arc<D>,
        fault: Arc<Fault>,
        floors: Arc<Floors>,
    ) -> Result<Self, Error>
    where
        D: ReadableDatabase + Send + Sync + 'static,
    {
        let transaction = database.begin_read().map_err(failed)?;
        let meta = read_meta(&transaction.open_table(META).map_err(failed)?)?;
        Base::of(&transaction, meta, floors, fault, database)
    }

    /// The tables that this transaction sees, with what is known of their `meta`.
    pub(super) fn of(
        transaction: &ReadTransaction,
        meta: Meta,
        floors: Arc<Floors>,
        fault: Arc<Fault>,
        database: Arc<dyn Any + Send + Sync>,
    ) -> Result<Self, Error> {
        Ok(Base {
            header: transaction.open_table(HEADER).map_err(failed)?,
            body: transaction.open_table(BODY).map_err(failed)?,
            resource: transaction.open_table(RESOURCE).map_err(failed)?,
            trash: transaction.open_table(TRASH).map_err(failed)?,
            sweep: transaction.open_table(SWEEP).map_err(failed)?,
            label: transaction.open_table(LABEL).map_err(failed)?,
            label_past: transaction.open_table(LABEL_PAST).map_err(failed)?,
            meta,
            floors,
            fault,
            _database: database,
        })
    }

    /// Runs a read; an error of the medium is remembered, as the handle is of no use after it.
    ///
    /// Bytes of rows are looked at inside only: the engine does not check a page when it reads it,
    /// and panics at the bytes of a damaged one.
    pub(super) fn read<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let result = guarded(work).map_err(|error| self.fault.explain(error));
        if let Err(error @ Error::Unavailable { .. }) = &result {
            self.fault.strike(error);
        }
        result
    }

    fn shelf(&self, shelf: Shelf) -> &ReadOnlyTable<&'static str, &'static [u8]> {
        match shelf {
            Shelf::Live => &self.resource,
            Shelf::Trash => &self.trash,
        }
    }

    /// What `look` makes of the entry of a key on a shelf.
    pub(super) fn shelved<T>(
        &self,
        shelf: Shelf,
        key: &Key,
        look: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.read(|| {
            let row = self.shelf(shelf).get(key.encoded()).map_err(failed)?;
            row.map(|row| look(row.value())).transpose()
        })
    }

    /// The header of a revision.
    pub(super) fn header(&self, version: Version) -> Result<Option<Header>, Error> {
        self.read(|| {
            let row = self.header.get(version.get()).map_err(failed)?;
            row.map(|row| header_at(version.get(), row.value()))
                .transpose()
        })
    }

    /// What `look` makes of the stored body of a revision.
    pub(super) fn body<T>(
        &self,
        version: Version,
        look: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.read(|| {
            let row = self.body.get(version.get()).map_err(failed)?;
            row.map(|row| look(row.value())).transpose()
        })
    }

    /// Visits the entries of a shelf in key order: those whose key begins with `prefix` and, if
    /// `after` is given, sorts behind it.
    pub(super) fn scan(
        &self,
        shelf: Shelf,
        prefix: &str,
        after: Option<&str>,
        visit: VisitRow<'_>,
    ) -> Result<(), Error> {
        self.read(|| {
            let start = match after {
                Some(key) if key >= prefix => Bound::Excluded(key),
                _ => Bound::Included(prefix),
            };
            let bounds = (start, Bound::Unbounded);
            let range = self.shelf(shelf).range::<&str>(bounds).map_err(failed)?;
            for entry in range {
                let (key, value) = entry.map_err(failed)?;
                let key = key.value();
                if !key.starts_with(prefix) || visit(key, value.value())?.is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Visits the postings from this place on, in order.
    pub(super) fn postings(
        &self,
        which: Postings,
        start: &[u8],
        visit: VisitPosting<'_>,
    ) -> Result<(), Error> {
        self.read(|| {
            let table = match which {
                Postings::Now => &self.label,
                Postings::Past => &self.label_past,
            };
            for row in table.range(start..).map_err(failed)? {
                let (key, value) = row.map_err(failed)?;
                if !visit(key.value(), value.value())? {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Visits the headers from the revision after this version on, in version order.
    pub(super) fn log(&self, after: Version, visit: Visit<'_, Header>) -> Result<(), Error> {
        self.read(|| {
            let range = self.header.range(after.get() + 1..).map_err(failed)?;
            for entry in range {
                let (version, value) = entry.map_err(failed)?;
                if visit(header_at(version.value(), value.value())?)?.is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Visits the stored bytes of revisions in version order, from the one after this version on.
    /// A body without a header is one that kept bodies are built from.
    pub(super) fn rows(&self, after: Version, visit: VisitStored<'_>) -> Result<(), Error> {
        self.read(|| {
            let mut headers = self.header.range(after.get() + 1..).map_err(failed)?;
            let mut next = headers.next().transpose().map_err(failed)?;
            for row in self.body.range(after.get() + 1..).map_err(failed)? {
                let (version, body) = row.map_err(failed)?;
                let version = version.value();
                let at = next.as_ref().map(|(at, _)| at.value());
                if at.is_some_and(|at| at < version) {
                    break;
                }
                let header = next.as_ref().filter(|_| at == Some(version));
                let stored = header.map(|(_, header)| header.value());
                if visit(Version::new(version), stored, body.value())?.is_break() {
                    return Ok(());
                }
                if at == Some(version) {
                    next = headers.next().transpose().map_err(failed)?;
                }
            }
            match next {
                None => Ok(()),
                Some((version, _)) => Err(Error::corrupt(format!(
                    "the body of revision {} is missing",
                    version.value()
                ))),
            }
        })
    }

    /// How far the sweep of this name has come.
    pub(super) fn swept(&self, name: &str) -> Result<Version, Error> {
        self.read(|| {
            let row = self.sweep.get(name).map_err(failed)?;
            Ok(row.map_or(Version::ZERO, |row| Version::new(row.value())))
        })
    }

    /// The names of all sweeps, in order.
    pub(super) fn sweeps(&self) -> Result<Vec<String>, Error> {
        self.read(|| {
            let rows = self.sweep.iter().map_err(failed)?;
            rows.map(|row| Ok(row.map_err(failed)?.0.value().to_owned()))
                .collect()
        })
    }

    /// The number of the newest revision follows from how many there are; otherwise what is newest
    /// would be a guess.
    pub(super) fn check_count(&self) -> Result<(), Error> {
        let (present, removed) = (self.header.len().map_err(failed)?, self.meta.removed);
        let applied = self.meta.applied;
        if present.checked_add(removed) == Some(applied.get()) {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "meta says that {applied} is the newest version, but {present} revisions are there and \
             {removed} were removed; run `annals repair`"
        )))
    }

    /// How many entries a shelf has.
    pub(super) fn count(&self, shelf: Shelf) -> Result<u64, Error> {
        self.read(|| self.shelf(shelf).len().map_err(failed))
    }

    /// How many revisions the tables have.
    pub(super) fn revisions(&self) -> Result<u64, Error> {
        self.read(|| self.header.len().map_err(failed))
    }
}

#[cfg(test)]
mod tests {
    //! Would catch a file of another format that is opened, or refused without the way out.
    use super::super::media::FileMedia;
    use super::*;

    fn settings() -> Settings {
        Settings {
            cache_bytes: 1 << 20,
            overlay_revisions: 1,
            overlay_bytes: 1,
            new_epoch: Epoch([7; 16]),
            new_seed: 7,
        }
    }

    #[test]
    fn another_format_is_refused_with_the_way_out() {
        for (format, way_out) in [
            (FORMAT - 1, "annals import file"),
            (FORMAT + 1, "a newer one"),
        ] {
            let file = tempfile::tempfile().unwrap();
            let media: Arc<dyn Media> = Arc::new(FileMedia::new(file));
            drop(Tables::open(Arc::clone(&media), settings()).unwrap());
            let database = open(&media, &Arc::default(), settings()).unwrap();
            let transaction = begin(&database).unwrap();
            let bytes = format.to_le_bytes();
            let mut meta = transaction.open_table(META).unwrap();
            meta.insert("format", &bytes[..]).unwrap();
            drop(meta);
            transaction.commit().unwrap();
            drop(database);
            let refused = Tables::open(media, settings()).map(drop).unwrap_err();
            let told = refused.to_string();
            assert!(
                told.contains(&format!("format version {format},")),
                "{told}"
            );
            assert!(told.contains(way_out), "{told}");
        }
    }
}
