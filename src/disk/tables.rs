//! The four redb tables: one read path, one write path.
//!
//! redb is kept to its boring subset: durable commits with quick repair, no savepoints, one
//! writer. Panics of redb are caught here and reported as damage.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{
    Database, ReadOnlyTable, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, WriteTransaction,
};

use super::birth::discard_unfinished;
use super::media::{Backend, Media, Volume};
use super::record::{
    decode_header, decode_record, decode_record_header, encode_header, encode_record,
};
use super::{Counts, Disk, Shelf, View, Visit};
use crate::Error;
use crate::model::{Action, Epoch, Header, Key, Revision, Version};
use crate::sync::RwLock;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");
const RESOURCE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("resource");
const TRASH: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("trash");

/// The format this code writes, and the only one it opens.
const FORMAT: u32 = 1;

/// How to open the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How much redb may cache, in bytes.
    pub(crate) cache_bytes: usize,
    /// The epoch to write if the file is new.
    pub(crate) new_epoch: Epoch,
}

/// The tables in one file.
pub(crate) struct Tables {
    media: Arc<dyn Media>,
    settings: Settings,
    epoch: Epoch,
    /// `None` while the file is being reopened.
    database: RwLock<Option<Arc<Database>>>,
    /// Whether a call on the open handle has failed: then it will not work again.
    broken: Arc<AtomicBool>,
}

fn failed(cause: impl Into<redb::Error>) -> Error {
    match cause.into() {
        redb::Error::Corrupted(what) => Error::corrupt(what),
        other => Error::unavailable(other),
    }
}

/// Runs a piece of redb work; a panic in it becomes an error.
fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::corrupt("the storage engine panicked")))
}

/// As [`guarded`]; an error of the medium is remembered.
fn flagged<T>(broken: &AtomicBool, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let result = guarded(work);
    if matches!(result, Err(Error::Unavailable { .. })) {
        broken.store(true, Ordering::Release);
    }
    result
}

impl Tables {
    /// Opens the file, or makes the tables in an empty one.
    pub(crate) fn open(volume: Arc<dyn Volume>, settings: Settings) -> Result<Self, Error> {
        let media = volume.open("store.redb").map_err(Error::unavailable)?;
        let (database, epoch) = guarded(|| open(&media, settings))?;
        let database = RwLock::new(Some(Arc::new(database)));
        Ok(Tables {
            media,
            settings,
            epoch,
            database,
            broken: Arc::default(),
        })
    }

    /// Closes the handle in this slot and opens another, unless views of the old one are left.
    fn replace(&self, slot: &mut Option<Arc<Database>>) -> Result<(), Error> {
        if let Some(database) = slot.take()
            && let Err(shared) = Arc::try_unwrap(database).map(drop)
        {
            *slot = Some(shared);
            return Err(Error::unavailable("reads are still open on the old handle"));
        }
        let (database, epoch) = guarded(|| open(&self.media, self.settings))?;
        if epoch != self.epoch {
            return Err(Error::corrupt("the file now holds another store"));
        }
        *slot = Some(Arc::new(database));
        self.broken.store(false, Ordering::Release);
        Ok(())
    }

    /// Reopens the file if a call has failed. No view of a broken handle is given out, so those
    /// that hold up the reopening come to an end; and reads heal without waiting for a write. A
    /// handle that somebody has replaced since is left alone.
    fn heal(&self) -> Result<(), Error> {
        if !self.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut slot = self.database.write();
        if self.broken.load(Ordering::Acquire) {
            self.replace(&mut slot)?;
        }
        Ok(())
    }

    fn database(&self) -> Result<Arc<Database>, Error> {
        let reopening = || Error::unavailable("the file is being reopened after an I/O error");
        self.database.read().clone().ok_or_else(reopening)
    }
}

fn open(media: &Arc<dyn Media>, settings: Settings) -> Result<(Database, Epoch), Error> {
    discard_unfinished(&**media).map_err(Error::unavailable)?;
    let backend = Backend {
        media: Arc::clone(media),
    };
    let database = Database::builder()
        .set_cache_size(settings.cache_bytes)
        .create_with_backend(backend)
        .map_err(failed)?;
    let found = read_meta(&database)?;
    let epoch = match found {
        Some(epoch) => epoch,
        None => {
            create_tables(&database, settings.new_epoch)?;
            settings.new_epoch
        }
    };
    Ok((database, epoch))
}

/// The epoch of an existing store, `None` for an empty file.
fn read_meta(database: &Database) -> Result<Option<Epoch>, Error> {
    let transaction = database.begin_read().map_err(failed)?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(cause) => return Err(failed(cause)),
    };
    let read = |name: &str| -> Result<Vec<u8>, Error> {
        let value = meta.get(name).map_err(failed)?;
        let value = value.ok_or_else(|| Error::corrupt(format!("meta has no {name:?}")))?;
        Ok(value.value().to_vec())
    };
    let format = read("format")?;
    if format != FORMAT.to_le_bytes() {
        let shown = <[u8; 4]>::try_from(&*format).map_or(0, u32::from_le_bytes);
        return Err(Error::corrupt(format!(
            "the file has format version {shown}, this program reads version {FORMAT}: open it \
             with the release that wrote it, or a newer one"
        )));
    }
    let epoch = <[u8; 16]>::try_from(&*read("epoch")?);
    Ok(Some(Epoch(
        epoch.map_err(|_| Error::corrupt("meta has a bad epoch"))?,
    )))
}

fn create_tables(database: &Database, epoch: Epoch) -> Result<(), Error> {
    let transaction = begin(database)?;
    {
        let mut meta = transaction.open_table(META).map_err(failed)?;
        meta.insert("format", &FORMAT.to_le_bytes()[..])
            .map_err(failed)?;
        meta.insert("epoch", &epoch.bytes()[..]).map_err(failed)?;
        transaction.open_table(HISTORY).map_err(failed)?;
        transaction.open_table(RESOURCE).map_err(failed)?;
        transaction.open_table(TRASH).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

fn begin(database: &Database) -> Result<WriteTransaction, Error> {
    let mut transaction = database.begin_write().map_err(failed)?;
    // A crash must not cost a walk over the whole file at the next open.
    transaction.set_quick_repair(true);
    Ok(transaction)
}

impl Disk for Tables {
    fn view(&self) -> Result<Box<dyn View>, Error> {
        self.heal()?;
        let database = self.database()?;
        let broken = Arc::clone(&self.broken);
        let view = flagged(&self.broken, || TableView::open(database, broken))?;
        Ok(Box::new(view))
    }

    fn commit(&self, revisions: &[Revision]) -> Result<(), Error> {
        let database = self.database()?;
        let result = guarded(|| {
            let transaction = begin(&database)?;
            append(&transaction, revisions)?;
            transaction.commit().map_err(failed)
        });
        // Whatever went wrong, what is on disk is not known now.
        self.broken.fetch_or(result.is_err(), Ordering::AcqRel);
        result
    }

    fn reopen(&self) -> Result<(), Error> {
        self.heal()
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn size(&self) -> Result<u64, Error> {
        self.media.len().map_err(Error::unavailable)
    }
}

/// The one write path: the log, then for each key touched its place on the shelves.
fn append(transaction: &WriteTransaction, revisions: &[Revision]) -> Result<(), Error> {
    let mut history = transaction.open_table(HISTORY).map_err(failed)?;
    let mut resource = transaction.open_table(RESOURCE).map_err(failed)?;
    let mut trash = transaction.open_table(TRASH).map_err(failed)?;

    let head = history
        .last()
        .map_err(failed)?
        .map_or(0, |(version, _)| version.value());
    // Only the last revision of a key in this commit decides where it stands; keys in order
    // touch each page once.
    let mut newest: BTreeMap<&Key, Vec<u8>> = BTreeMap::new();
    let mut actions: BTreeMap<&Key, (Action, Action)> = BTreeMap::new();
    for (revision, expected) in revisions.iter().zip(head + 1..) {
        let version = revision.version().get();
        if version != expected {
            return Err(Error::corrupt(format!(
                "version {version} does not follow {}",
                expected - 1
            )));
        }
        let header = encode_header(revision.header())?;
        let record = encode_record(&header, revision.body())?;
        history.insert(version, &*record).map_err(failed)?;
        newest.insert(revision.key(), header);
        let action = revision.header().action;
        actions
            .entry(revision.key())
            .and_modify(|(_, last)| *last = action)
            .or_insert((action, action));
    }
    for (key, header) in newest {
        let (first, last) = actions[key];
        if last == Action::Deleted {
            trash.insert(key.encoded(), &*header).map_err(failed)?;
            if first != Action::Created {
                resource.remove(key.encoded()).map_err(failed)?;
            }
        } else {
            resource.insert(key.encoded(), &*header).map_err(failed)?;
            if first == Action::Created {
                trash.remove(key.encoded()).map_err(failed)?;
            }
        }
    }
    Ok(())
}

struct TableView {
    history: ReadOnlyTable<u64, &'static [u8]>,
    resource: ReadOnlyTable<&'static str, &'static [u8]>,
    trash: ReadOnlyTable<&'static str, &'static [u8]>,
    broken: Arc<AtomicBool>,
    /// Counted by [`Tables::replace`]: the handle is not closed under a view.
    _database: Arc<Database>,
}

impl TableView {
    fn open(database: Arc<Database>, broken: Arc<AtomicBool>) -> Result<Self, Error> {
        let transaction = database.begin_read().map_err(failed)?;
        Ok(TableView {
            history: transaction.open_table(HISTORY).map_err(failed)?,
            resource: transaction.open_table(RESOURCE).map_err(failed)?,
            trash: transaction.open_table(TRASH).map_err(failed)?,
            broken,
            _database: database,
        })
    }

    fn shelf(&self, shelf: Shelf) -> &ReadOnlyTable<&'static str, &'static [u8]> {
        match shelf {
            Shelf::Live => &self.resource,
            Shelf::Trash => &self.trash,
        }
    }
}

impl View for TableView {
    fn head(&self) -> Result<Version, Error> {
        flagged(&self.broken, || {
            let last = self.history.last().map_err(failed)?;
            Ok(last.map_or(Version::ZERO, |(version, _)| Version::new(version.value())))
        })
    }

    fn header_of(&self, shelf: Shelf, key: &Key) -> Result<Option<Header>, Error> {
        flagged(&self.broken, || {
            let found = ReadableTable::get(self.shelf(shelf), key.encoded()).map_err(failed)?;
            found.map(|value| decode_header(value.value())).transpose()
        })
    }

    fn header(&self, version: Version) -> Result<Option<Header>, Error> {
        flagged(&self.broken, || {
            let found = ReadableTable::get(&self.history, version.get()).map_err(failed)?;
            found
                .map(|value| decode_record_header(value.value()))
                .transpose()
        })
    }

    fn revision(&self, version: Version) -> Result<Option<Revision>, Error> {
        flagged(&self.broken, || {
            let found = ReadableTable::get(&self.history, version.get()).map_err(failed)?;
            found.map(|value| decode_record(value.value())).transpose()
        })
    }

    fn scan(
        &self,
        shelf: Shelf,
        prefix: &str,
        after: Option<&Key>,
        visit: Visit<'_, Header>,
    ) -> Result<(), Error> {
        flagged(&self.broken, || {
            let start = match after {
                Some(key) if key.encoded() > prefix => Bound::Excluded(key.encoded()),
                _ => Bound::Included(prefix),
            };
            let bounds = (start, Bound::Unbounded);
            let range = ReadableTable::range::<&str>(self.shelf(shelf), bounds).map_err(failed)?;
            for entry in range {
                let (key, value) = entry.map_err(failed)?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                let header = decode_header(value.value())?;
                if header.key.encoded() != key.value() {
                    return Err(Error::corrupt("a header stands under another key"));
                }
                if visit(header)?.is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn log(&self, after: Version, visit: Visit<'_, Revision>) -> Result<(), Error> {
        flagged(&self.broken, || {
            let range = ReadableTable::range(&self.history, after.get() + 1..).map_err(failed)?;
            for entry in range {
                let (_, value) = entry.map_err(failed)?;
                if let ControlFlow::Break(()) = visit(decode_record(value.value())?)? {
                    break;
                }
            }
            Ok(())
        })
    }

    fn counts(&self) -> Result<Counts, Error> {
        flagged(&self.broken, || {
            Ok(Counts {
                revisions: self.history.len().map_err(failed)?,
                live: self.resource.len().map_err(failed)?,
                trash: self.trash.len().map_err(failed)?,
            })
        })
    }
}
