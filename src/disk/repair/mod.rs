//! Makes a whole store of what can be read of a damaged one.
//!
//! `Store::repair` calls [`repair`] with a draft of the files and an empty file for the new tables,
//! which it puts in the place of the old ones when everything is in them. The steps:
//!
//! 1. `source` reads every revision, from wherever it stands; `carve` is its last resort;
//! 2. `chains` links the revisions of each key around those that are lost;
//! 3. here, the new tables are written: the history, then what follows from it.
//!
//! What is lost becomes a hole, as if retention had removed it: it is counted, and the compacted
//! version of its collection is raised to the first version whose state is whole again. So a read
//! of a state that cannot be told any more is "gone", never another state. Where the newest
//! revision of an object is lost, its state is that of the newest one that can be read; these
//! objects are named in the report. If it cannot be told whose revisions are lost, every collection
//! begins at the newest version.
//!
//! Invariants: the old files are not written to; nothing is served that does not fit its check;
//! whatever can be read stays in the store; bytes that cannot be read are given to an [`Aside`].
//! The repaired store is a new line of history, with an epoch of its own: what was taken from the
//! old one, pieces of a backup and continue tokens, does not go on with it.
//!
//! Memory: 100 bytes a revision, the headers of one key, one body and its base, and the two files
//! of the commit log.
//!
//! Absent on purpose: repairing in place; a part of a body.

mod carve;
mod chains;
mod source;
mod wound;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use redb::{Database, WriteTransaction};

use super::body;
use super::finding::{Place, Report};
use super::handle::TABLES_NAME;
use super::labels;
use super::media::{Fault, Media, Volume};
use super::record::{encode_header, encode_shelved};
use super::tables::{self, BODY, FLOOR, HEADER, META, RESOURCE, TRASH, begin, failed, guarded};
use super::{Floors, Settings};
use crate::Error;
use crate::model::{Header, Key, Version};
use chains::{Chain, relink};
use source::Source;
#[doc(hidden)]
pub use wound::{Wound, wound};

/// How many names a report keeps of each sort; the rest are only counted.
const NAMES_MAX: usize = 1_000;
/// How many revisions one transaction writes.
const STEP_REVISIONS: usize = 4_096;

/// A row that cannot be read, to be set aside.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) place: Place,
    /// Zero on a shelf.
    pub(crate) version: u64,
    pub(crate) key: Option<&'a Key>,
    pub(crate) bytes: &'a [u8],
    /// A body that can be read, of a revision that cannot.
    pub(crate) object: Option<&'a [u8]>,
    pub(crate) problem: String,
}

impl<'a> Row<'a> {
    fn new(place: Place, version: u64, bytes: &'a [u8], problem: &Error) -> Self {
        let problem = match problem {
            Error::Corrupt { reason } => reason.clone(),
            other => other.to_string(),
        };
        Row {
            place,
            version,
            key: None,
            bytes,
            object: None,
            problem,
        }
    }

    fn of(self, key: &'a Key) -> Self {
        Row {
            key: Some(key),
            ..self
        }
    }
}

/// Where what cannot be kept is written.
pub(crate) trait Aside {
    /// Keeps a row.
    fn row(&mut self, row: &Row<'_>) -> Result<(), Error>;
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    /// The newest version.
    pub version: Version,
    /// How many revisions the store has now.
    pub kept: u64,
    /// How many of them were found elsewhere than in their table.
    pub restored: u64,
    /// How many headers were written anew, since what they pointed to is lost.
    pub rewritten: u64,
    /// How many revisions are lost, that retention had not removed.
    pub lost: u64,
    /// The versions of lost revisions; at most 1,000.
    pub lost_versions: Vec<Version>,
    /// How many objects have an older state than they had, or none.
    pub set_back: u64,
    /// These objects; at most 1,000.
    pub set_back_keys: Vec<Key>,
    /// Whether there may be more of them, whose names are lost too.
    pub nameless: bool,
    /// Whether anything was changed: a sound store is left as it is.
    pub changed: bool,
    /// The folder with what was set aside.
    pub set_aside: Option<std::path::PathBuf>,
    /// What a check found before.
    pub before: Report,
    /// What it finds now.
    pub after: Report,
}

/// Writes what can be read of these files, which are a draft, into new tables.
pub(crate) fn repair(
    volume: &Arc<dyn Volume>,
    new: Arc<dyn Media>,
    settings: Settings,
    aside: &mut dyn Aside,
) -> Result<Repair, Error> {
    let source = Source::read(volume, aside)?;
    if source.base.is_none() && source.versions().is_empty() {
        return Err(Error::corrupt(
            "nothing of the store can be read: restore a backup",
        ));
    }
    let fault: Arc<Fault> = Arc::default();
    let database = guarded(|| tables::open(&new, &fault, settings))?;
    let mut work = Work {
        head: source.head(),
        floors: Floors::default(),
        chains: BTreeMap::new(),
        unread: BTreeSet::new(),
        whole: BTreeSet::new(),
        report: Repair {
            restored: source.restored,
            changed: true,
            ..Repair::default()
        },
        source,
    };
    work.sort(aside)?;
    work.write(&database)?;
    drop(database);
    new.sync().map_err(Error::unavailable)?;
    Ok(work.report)
}

struct Work {
    source: Source,
    head: u64,
    floors: Floors,
    /// The versions of each key whose header can be read, oldest first.
    chains: BTreeMap<Key, Vec<u64>>,
    /// Those of them whose body cannot.
    unread: BTreeSet<u64>,
    whole: BTreeSet<Version>,
    report: Repair,
}

impl Work {
    /// Finds out which revisions can be read, and sets aside what of the others can.
    fn sort(&mut self, aside: &mut dyn Aside) -> Result<(), Error> {
        if let Some(base) = &self.source.base {
            for (prefix, floor) in base.floors.all() {
                self.floors.raise(prefix, floor)?;
            }
        }
        for version in self.source.versions() {
            let Some(header) = self.source.header(version)? else {
                continue;
            };
            let is_last =
                |error: &Error| header.is_live() || matches!(error, Error::Unavailable { .. });
            match self.source.body(version)? {
                Ok(_) => {
                    if let Some((_, true)) = self.source.stored(version)? {
                        self.whole.insert(header.version);
                    }
                }
                // A delete marker holds the body of the revision before it.
                Err(error) if is_last(&error) || self.marker_body(&header)?.is_none() => {
                    let bytes = self.source.damaged_body(version);
                    aside.row(&Row::new(Place::Body, version, &bytes, &error).of(&header.key))?;
                    self.unread.insert(version);
                }
                Err(_) => self.report.restored += 1,
            }
            self.chains.entry(header.key).or_default().push(version);
        }
        for version in self.source.bodies_alone() {
            if let Ok(object) = self.source.body(version)? {
                let error = Error::corrupt("its header is lost");
                let row = Row::new(Place::Body, version, &[], &error);
                aside.row(&Row {
                    object: Some(&object),
                    ..row
                })?;
            }
        }
        Ok(())
    }

    fn marker_body(&self, header: &Header) -> Result<Option<Vec<u8>>, Error> {
        match header.previous {
            Some(previous) => Ok(self.source.body(previous.get())?.ok()),
            None => Ok(None),
        }
    }

    /// The stored bytes of a revision that is kept: as they were, if what they are built from is
    /// kept too.
    fn stored(&self, header: &Header) -> Result<Vec<u8>, Error> {
        let version = header.version.get();
        if let Some((stored, is_whole)) = self.source.stored(version)?
            && is_whole == (header.base == header.version)
        {
            return Ok(stored);
        }
        let body = match self.source.body(version)? {
            Ok(body) => body,
            Err(error) => self.marker_body(header)?.ok_or(error)?,
        };
        let mut stored = body::encode(&body, None);
        body::bind(&mut stored, header.version);
        Ok(stored)
    }

    /// The chain of a key, without what cannot be read.
    fn chain(&mut self, key: &Key, versions: &[u64]) -> Result<Chain, Error> {
        let mut readable = Vec::new();
        for version in versions {
            if !self.unread.contains(version) {
                readable.extend(self.source.header(*version)?);
            }
        }
        let floor = self.floors.get(&key.collection());
        let mut chain = relink(&readable, &self.whole, floor);
        let newest = readable.last().map_or(0, |header| header.version.get());
        let unread: Vec<u64> = versions
            .iter()
            .copied()
            .filter(|version| self.unread.contains(version))
            .collect();
        if unread.last().is_some_and(|version| *version > newest) {
            chain.accounted += unread.iter().filter(|it| **it > newest).count() as u64;
            chain.floor = Version::new(self.head);
            self.report.set_back += 1;
            if self.report.set_back_keys.len() < NAMES_MAX {
                self.report.set_back_keys.push(key.clone());
            }
        }
        Ok(chain)
    }

    /// Writes every key, then what `meta` and `floor` say.
    fn write(&mut self, database: &Database) -> Result<(), Error> {
        let chains = std::mem::take(&mut self.chains);
        let mut kept = BTreeSet::new();
        let mut accounted = 0;
        let mut prefixes = BTreeSet::new();
        let mut keys = chains.iter().peekable();
        while keys.peek().is_some() {
            let mut rows = 0;
            guarded(|| {
                let transaction = begin(database)?;
                for (key, versions) in keys.by_ref() {
                    let chain = self.chain(key, versions)?;
                    accounted += chain.accounted;
                    self.report.rewritten += chain.rewritten;
                    let collection = key.collection();
                    prefixes.insert(collection.prefix().to_owned());
                    if chain.floor > Version::ZERO {
                        self.floors.raise(collection.prefix(), chain.floor)?;
                    }
                    self.put(&transaction, &chain.headers)?;
                    rows += chain.headers.len();
                    kept.extend(chain.headers.iter().map(|header| header.version.get()));
                    if rows >= STEP_REVISIONS {
                        break;
                    }
                }
                transaction.commit().map_err(failed)
            })?;
        }
        self.report.kept = kept.len() as u64;
        self.report.version = Version::new(self.head);
        self.count_lost(&kept);
        if self.report.lost > accounted && !prefixes.is_empty() {
            // It is not known whose they were.
            self.report.nameless = true;
            for prefix in &prefixes {
                self.floors.raise(prefix, Version::new(self.head))?;
            }
        }
        guarded(|| self.put_meta(database))
    }

    fn count_lost(&mut self, kept: &BTreeSet<u64>) {
        let doubts = &self.source.doubts;
        let mut removed = doubts.removed.unwrap_or(0);
        if doubts.is_count_wrong() {
            // Either number may be the damaged one; the smaller hides no loss.
            removed = removed.min(self.head.saturating_sub(doubts.rows.unwrap_or(self.head)));
        }
        let missing = self.head.saturating_sub(kept.len() as u64);
        self.report.lost = missing.saturating_sub(removed);
        if self.report.lost == 0 {
            return;
        }
        let is_lost = |version: &u64| {
            !kept.contains(version)
                && (self.unread.contains(version) || self.source.may_be(*version))
        };
        let lost = (1..=self.head).filter(is_lost).take(NAMES_MAX);
        self.report.lost_versions = lost.map(Version::new).collect();
    }

    fn put(&self, transaction: &WriteTransaction, headers: &[Header]) -> Result<(), Error> {
        let mut header_table = transaction.open_table(HEADER).map_err(failed)?;
        let mut body_table = transaction.open_table(BODY).map_err(failed)?;
        for header in headers {
            let version = header.version.get();
            let (row, body) = (encode_header(header)?, self.stored(header)?);
            header_table.insert(version, &*row).map_err(failed)?;
            body_table.insert(version, &*body).map_err(failed)?;
        }
        if let Some(newest) = headers.last() {
            let shelf = if newest.is_live() { RESOURCE } else { TRASH };
            let mut shelf = transaction.open_table(shelf).map_err(failed)?;
            let row = encode_shelved(newest)?;
            shelf.insert(newest.key.encoded(), &*row).map_err(failed)?;
        }
        Ok(())
    }

    fn put_meta(&self, database: &Database) -> Result<(), Error> {
        let transaction = begin(database)?;
        {
            let mut meta = transaction.open_table(META).map_err(failed)?;
            let removed = self.head - self.report.kept;
            for (name, number) in [("applied", self.head), ("removed", removed)] {
                meta.insert(name, &number.to_le_bytes()[..])
                    .map_err(failed)?;
            }
            let mut floors = transaction.open_table(FLOOR).map_err(failed)?;
            for (prefix, version) in self.floors.all() {
                floors.insert(prefix, version.get()).map_err(failed)?;
            }
        }
        labels::rebuild(&transaction)?;
        transaction.commit().map_err(failed)
    }
}
