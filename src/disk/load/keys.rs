//! The keys of a load and what is to be shelved of each: the newest revision, once.
//!
//! A revision for each key is known by its version alone, and read again when its turn comes: in the
//! order of keys, since the shelves are, and of a step in the order of versions, since the history
//! is. What a key was before the first revision that is not shelved decides on which shelf it
//! stands.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use redb::{ReadableTable, WriteTransaction};

use super::super::overlay::Entry;
use super::super::progress::Progress;
use super::super::tables::{BODY, HEADER, failed, header_at, shelve};
use crate::Error;
use crate::model::{Key, Version};

/// What a key takes beside its text.
pub(super) const KEY_BYTES: usize = 96;

/// The keys whose place on the shelves is not written.
#[derive(Default)]
pub(super) struct Keys {
    ends: HashMap<Key, Ends>,
    bytes: usize,
    /// Whether the shelves hold anything.
    shelved: bool,
}

/// The first and the newest revision of a key that the shelves do not know.
#[derive(Clone, Copy)]
struct Ends {
    first: Version,
    newest: Version,
    /// What the newest takes in memory.
    bytes: usize,
}

/// The first and the newest of a key, as the applier has them.
type Both = (Arc<Entry>, Arc<Entry>);

impl Keys {
    /// What they take in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// This is the newest revision of its key so far, and takes so much.
    pub(super) fn note(&mut self, key: Key, newest: Version, bytes: usize) {
        let ends = |first| Ends {
            first,
            newest,
            bytes,
        };
        match self.ends.get_mut(key.encoded()) {
            Some(known) => *known = ends(known.first),
            None => {
                self.bytes += key.encoded().len() + KEY_BYTES;
                self.ends.insert(key, ends(newest));
            }
        }
    }

    /// Puts the newest revision of every key that was noted on its shelf. Keys in order touch each
    /// page once.
    pub(super) fn shelve(
        &mut self,
        transaction: &WriteTransaction,
        step_bytes: usize,
    ) -> Result<(), Error> {
        let mut keys: Vec<(Key, Ends)> = std::mem::take(&mut self.ends).into_iter().collect();
        keys.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        self.bytes = 0;
        // What was done first says where a key stood: on empty shelves it stood nowhere.
        let is_first = !std::mem::replace(&mut self.shelved, true);
        let (mut step, mut bytes) = (Vec::new(), 0);
        for (_, ends) in keys {
            step.push(ends);
            bytes += ends.bytes;
            if bytes >= step_bytes {
                put_on_shelves(transaction, &step, is_first)?;
                step.clear();
                bytes = 0;
            }
        }
        put_on_shelves(transaction, &step, is_first)
    }
}

/// Shelves the revisions of a step, which is in the order of keys.
fn put_on_shelves(
    transaction: &WriteTransaction,
    step: &[Ends],
    is_first: bool,
) -> Result<(), Error> {
    let entries = read(transaction, step, is_first)?;
    shelve(transaction, &entries, &Progress::default())
}

/// The revisions of a step, read again. In the order of versions each page is read once.
fn read(transaction: &WriteTransaction, step: &[Ends], is_first: bool) -> Result<Vec<Both>, Error> {
    let headers = transaction.open_table(HEADER).map_err(failed)?;
    let bodies = transaction.open_table(BODY).map_err(failed)?;
    let entry = |version: Version| {
        let header = headers.get(version.get()).map_err(failed)?;
        let body = bodies.get(version.get()).map_err(failed)?;
        let (Some(header), Some(body)) = (header, body) else {
            let what = format!("revision {version}, which was written, is not there");
            return Err(Error::corrupt(what));
        };
        Ok(Arc::new(Entry {
            header: Arc::new(header_at(version.get(), header.value())?),
            body: OnceLock::new(),
            stored_header: header.value().to_vec(),
            stored_body: body.value().to_vec(),
        }))
    };
    let mut places: Vec<usize> = (0..step.len()).collect();
    places.sort_unstable_by_key(|&place| step[place].newest);
    let mut found = Vec::with_capacity(step.len());
    for place in places {
        let ends = step[place];
        let newest = entry(ends.newest)?;
        let first = if is_first || ends.first == ends.newest {
            Arc::clone(&newest)
        } else {
            entry(ends.first)?
        };
        found.push((place, (first, newest)));
    }
    found.sort_unstable_by_key(|(place, _)| *place);
    Ok(found.into_iter().map(|(_, ends)| ends).collect())
}
