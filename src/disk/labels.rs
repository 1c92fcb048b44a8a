//! Which objects have a label, and which had it when: the tables behind label selectors.
//!
//! A *posting* says that an object has had a label since one revision, and, once that is over, up
//! to which. All labels of an object begin anew when one of them changes: a posting lasts as long
//! as the whole set, so that `Header::labelled` says since when, and no look-up is needed to end
//! it.
//!
//! ```text
//! label       group NUL resource NUL | mark | namespace NUL name               -> since
//! label_past  group NUL resource NUL | mark | namespace NUL name | NUL | since -> until
//!
//! 3  create  a  {x=1}         label a,x=1 -> 3
//! 5  update  a  {x=1}         nothing: the labels are what they were
//! 7  update  a  {x=1, y=2}    label a,x=1 -> 7   a,y=2 -> 7     label_past a,x=1,3 -> 7
//! 9  delete  a                label nothing      label_past a,x=1,3 -> 7   a,x=1,7 -> 9   a,y=2,7 -> 9
//! ```
//!
//! What is over stands in a table of its own: a list of now reads nothing that is over. A label
//! may be any text of any length, so its mark stands for it, a hash of eight bytes. Two labels of
//! one object with one mark share one posting, which is harmless as they begin and end together;
//! whoever reads the postings looks at the labels themselves again.
//!
//! The applier writes them with the revisions they follow from, in one transaction; retention
//! takes out those of what it removes; [`rebuild`] makes them anew from the other tables. They
//! are derived: [`Expected`] says what they must be, for the check. Reading is `postings`.
//!
//! Absent: the overlay, whose labels are in `labelled`.

use std::collections::BTreeMap;
use std::sync::Arc;

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use xxhash_rust::xxh3::Xxh3;

use super::overlay::Entry;
use super::progress::Progress;
use super::record::{decode_header, decode_shelved};
use super::tables::{HEADER, RESOURCE, failed};
use crate::Error;
use crate::model::{Action, Header, Key, Version};

pub(super) const LABEL: TableDefinition<'_, &[u8], u64> = TableDefinition::new("label");
pub(super) const LABEL_PAST: TableDefinition<'_, &[u8], u64> = TableDefinition::new("label_past");

/// How long a mark is, in bytes.
pub(super) const MARK_BYTES: usize = 8;
/// What stands behind the name of a posting that is over: NUL and a version.
pub(super) const SINCE_BYTES: usize = 9;
/// How many changes are gathered, and put into the order of their keys, before they are written.
const BATCH_MAX: usize = 64 * 1024;

/// What a label is called in the index.
pub(super) type Mark = [u8; MARK_BYTES];

/// The mark of a label.
pub(super) fn mark(label: &str, value: &str) -> Mark {
    let mut hash = Xxh3::new();
    hash.update(label.as_bytes());
    // No text has this byte: a label that ends as a value begins is another label.
    hash.update(&[0xff]);
    hash.update(value.as_bytes());
    hash.digest().to_le_bytes()
}

/// The marks of the labels of a revision.
pub(super) fn marks(header: &Header) -> impl Iterator<Item = Mark> {
    header
        .labels
        .iter()
        .map(|(label, value)| mark(label, value))
}

/// Splits the text of a key, or what one begins with, behind the resource.
pub(super) fn split_resource(text: &str) -> Option<(&str, &str)> {
    let (end, _) = text.match_indices('\0').nth(1)?;
    text.split_at_checked(end + 1)
}

/// Where the posting of an object stands, or, for a prefix of keys, where theirs begin.
pub(super) fn place(text: &str, mark: Mark) -> Vec<u8> {
    let (resource, rest) = split_resource(text).unwrap_or((text, ""));
    let mut place = Vec::with_capacity(text.len() + MARK_BYTES + SINCE_BYTES);
    place.extend_from_slice(resource.as_bytes());
    place.extend_from_slice(&mark);
    place.extend_from_slice(rest.as_bytes());
    place
}

/// Where a posting stands that is over. The version is big-endian, so that those of one object
/// are in order.
fn past_place(text: &str, mark: Mark, since: Version) -> Vec<u8> {
    let mut place = place(text, mark);
    place.push(0);
    place.extend_from_slice(&since.get().to_be_bytes());
    place
}

/// Whether this revision ends what the one before it was labelled with. A repair may have lost a
/// delete marker between a live one and its key's creation.
fn ends(before: Option<&Header>, header: &Header) -> bool {
    match header.action {
        Action::Created => before.is_some_and(Header::is_live) && begins(header),
        Action::Updated => header.labelled == header.version,
        Action::Deleted => true,
    }
}

/// Whether this revision begins postings.
fn begins(header: &Header) -> bool {
    header.is_live() && header.labelled == header.version
}

/// The two tables as they are written to, in large steps.
struct Writer<'a> {
    label: Table<'a, &'static [u8], u64>,
    past: Table<'a, &'static [u8], u64>,
    /// What becomes of postings, oldest change first: since when, or taken out.
    changed: Vec<(Vec<u8>, Option<u64>)>,
    ended: Vec<(Vec<u8>, u64)>,
}

impl<'a> Writer<'a> {
    fn open(transaction: &'a WriteTransaction) -> Result<Self, Error> {
        Ok(Writer {
            label: transaction.open_table(LABEL).map_err(failed)?,
            past: transaction.open_table(LABEL_PAST).map_err(failed)?,
            changed: Vec::new(),
            ended: Vec::new(),
        })
    }

    /// These labels are the object's from now on.
    fn begin(&mut self, header: &Header) -> Result<(), Error> {
        for mark in marks(header) {
            let place = place(header.key.encoded(), mark);
            self.changed.push((place, Some(header.labelled.get())));
        }
        self.flush(BATCH_MAX)
    }

    /// The labels of the revision before are over.
    fn end(&mut self, before: &Header, until: Version) -> Result<(), Error> {
        for mark in marks(before) {
            self.changed.push((place(before.key.encoded(), mark), None));
        }
        self.keep(before, until)
    }

    /// The labels of the revision before were the object's up to here.
    fn keep(&mut self, before: &Header, until: Version) -> Result<(), Error> {
        for mark in marks(before) {
            let place = past_place(before.key.encoded(), mark, before.labelled);
            self.ended.push((place, until.get()));
        }
        self.flush(BATCH_MAX)
    }

    /// Writes what was gathered, if it is so much. In the order of the keys each page is touched
    /// once.
    fn flush(&mut self, least: usize) -> Result<(), Error> {
        if self.changed.len() + self.ended.len() < least {
            return Ok(());
        }
        // Stable: of one posting the last change stays the last.
        self.changed.sort_by(|one, other| one.0.cmp(&other.0));
        self.ended.sort_unstable();
        for (at, (place, since)) in self.changed.iter().enumerate() {
            if self
                .changed
                .get(at + 1)
                .is_some_and(|next| next.0 == *place)
            {
                continue;
            }
            match since {
                Some(since) => self.label.insert(&**place, since).map_err(failed)?,
                None => self.label.remove(&**place).map_err(failed)?,
            };
        }
        for (place, until) in &self.ended {
            self.past.insert(&**place, until).map_err(failed)?;
        }
        self.changed.clear();
        self.ended.clear();
        Ok(())
    }
}

/// Puts into the index what these revisions change, which are about to be shelved: the shelves
/// still say what was before them. `progress` is told a step for each of them.
pub(super) fn index(
    transaction: &WriteTransaction,
    entries: &[Arc<Entry>],
    progress: &Progress,
) -> Result<(), Error> {
    let resource = transaction.open_table(RESOURCE).map_err(failed)?;
    let mut writer = Writer::open(transaction)?;
    for entry in entries {
        let header = &*entry.header;
        if ends(None, header) {
            match before(header, entries)? {
                Some(before) => writer.end(before, header.version)?,
                None => writer.end(&shelved(header, &resource)?, header.version)?,
            }
        }
        if begins(header) {
            writer.begin(header)?;
        }
        progress.step();
    }
    writer.flush(0)
}

/// What has the labels that this revision ends, if it is in memory: a delete marker holds the last
/// ones itself.
fn before<'a>(header: &'a Header, entries: &'a [Arc<Entry>]) -> Result<Option<&'a Header>, Error> {
    if !header.is_live() {
        return Ok(Some(header));
    }
    let first = entries.first().map(|entry| entry.header.version);
    let (Some(first), Some(previous)) = (first, header.previous) else {
        return Err(Error::corrupt("an update without a revision before it"));
    };
    let at = previous.get().checked_sub(first.get());
    let at = at.and_then(|at| usize::try_from(at).ok());
    Ok(at
        .and_then(|at| entries.get(at))
        .map(|entry| &*entry.header))
}

/// What was on the shelf of live objects before this update.
fn shelved(
    header: &Header,
    resource: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Header, Error> {
    let row = resource.get(header.key.encoded()).map_err(failed)?;
    let before = match row {
        Some(row) => Some(decode_shelved(row.value(), header.key.clone())?),
        None => None,
    };
    before
        .filter(|before| Some(before.version) == header.previous)
        .ok_or_else(|| {
            let version = header.version;
            Error::corrupt(format!("version {version} does not follow what is shelved"))
        })
}

/// Takes out what the index has of a revision that is removed from the log, when `next` is the
/// revision of its key that came after it. The newest revision of a live key is never removed.
pub(super) fn remove(
    past: &mut Table<'_, &'static [u8], u64>,
    removed: &Header,
    next: &Header,
) -> Result<(), Error> {
    if !ends(Some(removed), next) {
        return Ok(());
    }
    for mark in marks(removed) {
        let place = past_place(removed.key.encoded(), mark, removed.labelled);
        past.remove(&*place).map_err(failed)?;
    }
    Ok(())
}

/// Whether postings may be over since this revision: of what the one before it was labelled with.
pub(super) fn relabels(header: &Header) -> bool {
    header.previous.is_some() && (ends(None, header) || begins(header))
}

/// Makes the index anew from the shelf of live objects and the headers, in bounded memory.
pub(super) fn rebuild(transaction: &WriteTransaction) -> Result<(), Error> {
    rebuild_knowing(transaction, None)
}

/// As [`rebuild`]. Who knows the revisions that [`relabels`] is true of names them: then no others
/// are read. Those that are gone do not matter.
pub(super) fn rebuild_knowing(
    transaction: &WriteTransaction,
    known: Option<&[Version]>,
) -> Result<(), Error> {
    transaction.delete_table(LABEL).map_err(failed)?;
    transaction.delete_table(LABEL_PAST).map_err(failed)?;
    let mut writer = Writer::open(transaction)?;
    let resource = transaction.open_table(RESOURCE).map_err(failed)?;
    for row in resource.iter().map_err(failed)? {
        let (key, value) = row.map_err(failed)?;
        let key = Key::stored(key.value());
        let key = key.ok_or_else(|| Error::corrupt("a shelf has a bad key"))?;
        writer.begin(&decode_shelved(value.value(), key)?)?;
    }
    let headers = transaction.open_table(HEADER).map_err(failed)?;
    let find = |version: Version| {
        let row = headers.get(version.get()).map_err(failed)?;
        row.map(|row| decode_header(row.value())).transpose()
    };
    let mut keep = |header: Header| {
        let Some(previous) = header.previous.filter(|_| relabels(&header)) else {
            return Ok(());
        };
        // The postings of what retention has removed are gone with it.
        match find(previous)? {
            Some(before) if ends(Some(&before), &header) => writer.keep(&before, header.version),
            _ => Ok(()),
        }
    };
    match known {
        Some(known) => {
            for version in known {
                find(*version)?.map_or(Ok(()), &mut keep)?;
            }
        }
        None => {
            for row in headers.iter().map_err(failed)? {
                let (_, value) = row.map_err(failed)?;
                keep(decode_header(value.value())?)?;
            }
        }
    }
    writer.flush(0)
}

/// What the index must hold, from the revisions in version order: for the check. The memory it
/// takes grows with the number of postings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// By where they stand: since when objects have their labels.
    pub(super) label: BTreeMap<Vec<u8>, u64>,
    /// And up to when they had what is over.
    pub(super) past: BTreeMap<Vec<u8>, u64>,
}

impl Expected {
    /// The next revision. `before` is the one of its key before it, unless that was removed.
    pub(super) fn add(&mut self, before: Option<&Header>, header: &Header) {
        let text = header.key.encoded();
        if ends(before, header) {
            for (before, mark) in before
                .into_iter()
                .flat_map(|before| marks(before).map(move |mark| (before, mark)))
            {
                self.label.remove(&place(text, mark));
                let place = past_place(text, mark, before.labelled);
                self.past.insert(place, header.version.get());
            }
        }
        // Where the first revision that is left was not the first with these labels.
        let unseen = before.is_none() && header.is_live();
        if begins(header) || unseen {
            for mark in marks(header) {
                self.label.insert(place(text, mark), header.labelled.get());
            }
        }
    }
}

#[cfg(test)]
mod tests;
