//! Filling new tables with revisions that were stored before: the end of a restore.
//!
//! ```text
//! add, add, add ...   headers and bodies, in version order: large durable commits
//! finish              shelves, in the order of keys, the newest revision of each once;
//!                     labels, and that all of it is there: one durable commit
//! ```
//!
//! [`Loader`] takes the stored bytes in version order, with no commit log: until
//! [`Loader::finish`] the tables say that they hold nothing, and the caller keeps them under a name
//! that no store has. Revisions may be missing where retention has removed them; the compacted
//! versions say where. What it has removed between two pieces of a chain stays, unless its key was
//! created anew since: then there must be no trace of it.
//!
//! What is to be shelved is kept in memory by key until then, see [`keys`]. Where that is too much,
//! and where a piece follows that retention has thinned out, it is shelved at once.

mod keys;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use redb::{Database, ReadableTableMetadata, WriteTransaction};

use super::labels;
use super::media::{Fault, Media};
use super::record::{decode_header, decode_shelved};
use super::tables::{BODY, FLOOR, HEADER, META, TRASH, begin, failed, guarded, open};
use super::{Floors, Found, Settings};
use crate::Error;
use crate::model::{Key, Version};
use keys::Keys;

/// How many revisions that end labels are known by their versions; with more, all are looked at.
const RELABELLING_MAX: usize = 1024 * 1024;

/// How much is held in memory.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// How many bytes of revisions go into one commit, the last one not counted.
    commit_bytes: usize,
    /// And how many revisions.
    commit_revisions: usize,
    /// How many bytes the keys may take that are not shelved yet, those of one commit not counted.
    keys_bytes: usize,
    /// How many bytes of revisions are read again and shelved at a time, the last one not counted.
    step_bytes: usize,
}

const LIMITS: Limits = Limits {
    commit_bytes: 32 * 1024 * 1024,
    commit_revisions: 32 * 1024,
    keys_bytes: 128 * 1024 * 1024,
    step_bytes: 32 * 1024 * 1024,
};

/// Tables that are being filled.
pub(crate) struct Loader {
    database: Database,
    /// What the next commit writes, in version order.
    rows: Vec<Row>,
    bytes: usize,
    /// Of those, the keys that begin without a link to something older.
    fresh: Vec<Key>,
    /// What is to be shelved.
    keys: Keys,
    limits: Limits,
    /// The revisions that [`labels::relabels`] is true of, unless there are too many.
    relabelling: Option<Vec<Version>>,
    /// How many revisions retention had removed when the last piece was taken.
    removed: Option<u64>,
    /// Whether it has removed some since an older piece of the chain.
    thinned: bool,
}

/// A revision as it is stored, or a body alone that others are built from.
struct Row {
    version: Version,
    header: Option<Vec<u8>>,
    body: Vec<u8>,
}

impl Loader {
    /// Makes the tables in an empty file.
    pub(crate) fn create(media: &Arc<dyn Media>, settings: Settings) -> Result<Self, Error> {
        let fault = Arc::new(Fault::default());
        let database = guarded(|| open(media, &fault, settings))?;
        Ok(Loader {
            database,
            rows: Vec::new(),
            bytes: 0,
            fresh: Vec::new(),
            keys: Keys::default(),
            limits: LIMITS,
            relabelling: Some(Vec::new()),
            removed: None,
            thinned: false,
        })
    }

    /// Begins with the next piece of a chain, whose log reached so far back.
    pub(crate) fn begin(&mut self, floors: &Floors) -> Result<(), Error> {
        let before = self.removed.replace(floors.removed());
        if before.is_some_and(|before| before < floors.removed()) {
            self.thinned = true;
        }
        if self.thinned {
            // What was removed since is looked for in the tables.
            self.put(true)?;
        }
        Ok(())
    }

    /// Adds what was found in a piece.
    pub(crate) fn add(&mut self, found: Found<'_>) -> Result<(), Error> {
        let Found {
            version,
            header,
            stored_header,
            stored_body,
        } = found;
        // The allowance is for what stands around the bytes.
        let bytes = stored_header.len() + stored_body.len() + 64;
        self.bytes += bytes;
        self.rows.push(Row {
            version,
            header: header.is_some().then(|| stored_header.to_vec()),
            body: stored_body.to_vec(),
        });
        if let Some(header) = header {
            if self.thinned && header.previous.is_none() {
                self.fresh.push(header.key.clone());
            }
            if labels::relabels(&header) {
                self.relabelling = self.relabelling.take().and_then(|mut known| {
                    known.push(version);
                    (known.len() < RELABELLING_MAX).then_some(known)
                });
            }
            self.keys.note(header.key, version, bytes);
        }
        let limits = self.limits;
        if self.bytes >= limits.commit_bytes || self.rows.len() >= limits.commit_revisions {
            self.put(self.keys.bytes() >= limits.keys_bytes)?;
        }
        Ok(())
    }

    /// Commits what was gathered, with its place on the shelves if that is wanted.
    fn put(&mut self, is_shelved: bool) -> Result<(), Error> {
        guarded(|| {
            let mut transaction = begin(&self.database)?;
            // After a crash nobody opens what is not finished.
            transaction.set_quick_repair(false);
            self.write(&transaction)?;
            if is_shelved {
                self.keys.shelve(&transaction, self.limits.step_bytes)?;
            }
            transaction.commit().map_err(failed)
        })
    }

    /// Writes the rows that were gathered.
    fn write(&mut self, transaction: &WriteTransaction) -> Result<(), Error> {
        self.forget(transaction)?;
        let mut headers = transaction.open_table(HEADER).map_err(failed)?;
        let mut bodies = transaction.open_table(BODY).map_err(failed)?;
        for row in &self.rows {
            let version = row.version.get();
            bodies.insert(version, &*row.body).map_err(failed)?;
        }
        for row in &self.rows {
            if let Some(header) = &row.header {
                headers
                    .insert(row.version.get(), &**header)
                    .map_err(failed)?;
            }
        }
        self.rows.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Removes what older pieces hold of keys that are created anew without a link to it: retention
    /// had removed all of it by then.
    fn forget(&mut self, transaction: &WriteTransaction) -> Result<(), Error> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let mut headers = transaction.open_table(HEADER).map_err(failed)?;
        let mut bodies = transaction.open_table(BODY).map_err(failed)?;
        let mut trash = transaction.open_table(TRASH).map_err(failed)?;
        for key in std::mem::take(&mut self.fresh) {
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

    /// Commits the rest, and that the tables hold everything up to `head` but what retention has
    /// removed. Says how many revisions they hold.
    pub(crate) fn finish(mut self, head: Version, floors: &Floors) -> Result<u64, Error> {
        guarded(|| {
            let transaction = begin(&self.database)?;
            self.write(&transaction)?;
            self.keys.shelve(&transaction, self.limits.step_bytes)?;
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
            labels::rebuild_knowing(&transaction, self.relabelling.as_deref())?;
            transaction.commit().map_err(failed)?;
            Ok(count)
        })
    }
}
