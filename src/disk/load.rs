//! Filling new tables with revisions that were stored before: the end of a restore.
//!
//! [`Loader`] takes the stored bytes in version order and puts them in large durable commits, with
//! no commit log: until [`Loader::finish`] the tables say that they hold nothing, and the caller
//! keeps them under a name that no store has. Revisions may be missing where retention has removed
//! them; the compacted versions say where. What it has removed between two pieces of a chain stays,
//! unless its key was created anew since: then there must be no trace of it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use redb::{Database, ReadableTableMetadata, WriteTransaction};

use super::labels;
use super::media::{Fault, Media};
use super::overlay::Entry;
use super::progress::Progress;
use super::record::{decode_header, decode_shelved};
use super::tables::{BODY, FLOOR, HEADER, META, TRASH, begin, failed, guarded, open, shelve};
use super::{Floors, Found, Settings};
use crate::Error;
use crate::model::{Key, Version};

/// How many bytes of revisions go into one commit, the last one not counted.
const COMMIT_BYTES: usize = 32 * 1024 * 1024;
/// And how many revisions.
const COMMIT_REVISIONS: usize = 32 * 1024;

/// Tables that are being filled.
pub(crate) struct Loader {
    database: Database,
    entries: Vec<Arc<Entry>>,
    alone: Vec<(Version, Vec<u8>)>,
    bytes: usize,
    /// How many revisions retention had removed when the last piece was taken.
    removed: Option<u64>,
    /// Whether it has removed some since an older piece of the chain.
    thinned: bool,
}

impl Loader {
    /// Makes the tables in an empty file.
    pub(crate) fn create(media: &Arc<dyn Media>, settings: Settings) -> Result<Self, Error> {
        let fault = Arc::new(Fault::default());
        let database = guarded(|| open(media, &fault, settings))?;
        Ok(Loader {
            database,
            entries: Vec::new(),
            alone: Vec::new(),
            bytes: 0,
            removed: None,
            thinned: false,
        })
    }

    /// Begins with the next piece of a chain, whose log reached so far back.
    pub(crate) fn begin(&mut self, floors: &Floors) -> Result<(), Error> {
        let before = self.removed.replace(floors.removed());
        if before.is_some_and(|before| before < floors.removed()) {
            self.thinned = true;
            // What was removed since is looked for in the tables.
            self.put()?;
        }
        Ok(())
    }

    /// Adds what was found in a piece.
    pub(crate) fn add(&mut self, found: Found<'_>) -> Result<(), Error> {
        // The allowance is for the header and its key.
        self.bytes += found.stored_header.len() + found.stored_body.len() + 512;
        match found.header {
            Some(header) => self.entries.push(Arc::new(Entry {
                header: Arc::new(header),
                body: OnceLock::new(),
                stored_header: found.stored_header.to_vec(),
                stored_body: found.stored_body.to_vec(),
            })),
            None => self.alone.push((found.version, found.stored_body.to_vec())),
        }
        let count = self.entries.len() + self.alone.len();
        if self.bytes >= COMMIT_BYTES || count >= COMMIT_REVISIONS {
            self.put()?;
        }
        Ok(())
    }

    /// Commits what was gathered.
    fn put(&mut self) -> Result<(), Error> {
        guarded(|| {
            let transaction = begin(&self.database)?;
            if self.thinned {
                self.forget(&transaction)?;
            }
            {
                let mut headers = transaction.open_table(HEADER).map_err(failed)?;
                let mut bodies = transaction.open_table(BODY).map_err(failed)?;
                for (version, body) in &self.alone {
                    bodies.insert(version.get(), &**body).map_err(failed)?;
                }
                for entry in &self.entries {
                    let version = entry.header.version.get();
                    headers
                        .insert(version, &*entry.stored_header)
                        .map_err(failed)?;
                    bodies
                        .insert(version, &*entry.stored_body)
                        .map_err(failed)?;
                }
            }
            shelve(&transaction, &self.by_key(), &Progress::default())?;
            transaction.commit().map_err(failed)
        })?;
        self.entries.clear();
        self.alone.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Removes what older pieces hold of keys that are created anew without a link to it: retention
    /// had removed all of it by then.
    fn forget(&self, transaction: &WriteTransaction) -> Result<(), Error> {
        let mut headers = transaction.open_table(HEADER).map_err(failed)?;
        let mut bodies = transaction.open_table(BODY).map_err(failed)?;
        let mut trash = transaction.open_table(TRASH).map_err(failed)?;
        let fresh = self.entries.iter().map(|entry| &entry.header);
        for key in fresh
            .filter(|header| header.previous.is_none())
            .map(|header| &header.key)
        {
            let removed = trash.remove(key.encoded()).map_err(failed)?;
            let Some(marker) = removed
                .map(|row| decode_shelved(row.value(), key.clone()))
                .transpose()?
            else {
                continue;
            };
            let mut next = Some(marker.version);
            while let Some(version) = next {
                let row = headers.remove(version.get()).map_err(failed)?;
                let header = row.map(|row| decode_header(row.value())).transpose()?;
                bodies.remove(version.get()).map_err(failed)?;
                if let Some(header) = &header {
                    bodies.remove(header.base.get()).map_err(failed)?;
                }
                next = header.and_then(|header| header.previous);
            }
        }
        Ok(())
    }

    /// For every key, in order, the first and the newest of its revisions.
    fn by_key(&self) -> Vec<(Arc<Entry>, Arc<Entry>)> {
        let mut ends: BTreeMap<&Key, (&Arc<Entry>, &Arc<Entry>)> = BTreeMap::new();
        for entry in &self.entries {
            let (_, newest) = ends.entry(&entry.header.key).or_insert((entry, entry));
            *newest = entry;
        }
        let both =
            |(first, newest): (&Arc<Entry>, &Arc<Entry>)| (Arc::clone(first), Arc::clone(newest));
        ends.into_values().map(both).collect()
    }

    /// Commits the rest, and that the tables hold everything up to `head` but what retention has
    /// removed. Says how many revisions they hold.
    pub(crate) fn finish(mut self, head: Version, floors: &Floors) -> Result<u64, Error> {
        self.put()?;
        guarded(|| {
            let transaction = begin(&self.database)?;
            let count = {
                let headers = transaction.open_table(HEADER).map_err(failed)?;
                headers.len().map_err(failed)?
            };
            {
                let mut meta = transaction.open_table(META).map_err(failed)?;
                let removed = head.get().checked_sub(count);
                let removed = removed.ok_or_else(|| {
                    Error::corrupt(format!("{count} revisions were found up to version {head}"))
                })?;
                for (name, number) in [("applied", head.get()), ("removed", removed)] {
                    meta.insert(name, &number.to_le_bytes()[..])
                        .map_err(failed)?;
                }
                let mut table = transaction.open_table(FLOOR).map_err(failed)?;
                for (prefix, version) in floors.all() {
                    table.insert(prefix, version.get()).map_err(failed)?;
                }
            }
            labels::rebuild(&transaction)?;
            transaction.commit().map_err(failed)?;
            Ok(count)
        })
    }
}
