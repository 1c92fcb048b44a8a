//! Makes a whole store of what can be read of a damaged one.
//!
//! `Store::repair` calls [`repair`] with a draft of the files and an empty file for the new tables,
//! which it puts in the place of the old ones when everything is in them. The steps:
//!
//! 1. `source` reads every revision, from wherever it stands; `roots` helps where the header of the
//!    file is lost, `carve` is the last resort, and `strays` leaves out what retention may have
//!    removed;
//! 2. `chains` links the revisions of each key around those that are lost;
//! 3. here, the new tables are written: the history, then what follows from it.
//!
//! What is lost becomes a hole, as if retention had removed it: it is counted, and the compacted
//! version of its collection is raised to the first version whose state is whole again. So a read
//! of a state that cannot be told any more is "gone", never another state. Where the newest
//! revision of an object is lost, its state is that of the newest one that can be read; these
//! objects are named in the report. If it cannot be told whose revisions are lost, or how far back
//! the log reached, every collection begins at the newest version.
//!
//! What retention has removed does not come back: what is found in an old page, and may have been
//! removed, is not taken into the store. So what is missing, less the number of what was removed,
//! is exactly what is lost. Objects of which nothing else is left are named, unless it is certain
//! that retention had removed them.
//!
//! Invariants: the old files are not written to; nothing is served that does not fit its check;
//! what can be read and was there stays in the store; the rest is given to an [`Aside`].
//! The repaired store is a new line of history, with an epoch of its own: what was taken from the
//! old one, pieces of a backup and continue tokens, does not go on with it.
//!
//! Memory: 100 bytes a revision, the headers of one key, one body and its base, and the two files
//! of the commit log.
//!
//! Absent on purpose: repairing in place; a part of a body.

mod carve;
mod chains;
mod roots;
mod source;
mod strays;
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
use chains::{Chain, Removed, relink};
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
    /// The versions of which these are some, or all; at most 1,000. Of a version that is missing
    /// where rows are out of reach, it may not be known whether retention had removed it.
    pub lost_versions: Vec<Version>,
    /// How many revisions were found that retention may have removed: they are set aside.
    pub withheld: u64,
    /// How many objects have only such revisions, and it cannot be told whether they were there.
    pub in_doubt: u64,
    /// These objects; at most 1,000.
    pub in_doubt_keys: Vec<Key>,
    /// How many objects have an older state than they had, or none, beside those in doubt.
    pub set_back: u64,
    /// These objects; at most 1,000.
    pub set_back_keys: Vec<Key>,
    /// Whether there may be more of them, whose names are lost too.
    pub nameless: bool,
    /// Whether the root of the tables is lost: then everything was taken that an old page does not
    /// show to have been removed, and what retention had removed counts as lost.
    pub rootless: bool,
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
        lost: BTreeSet::new(),
        in_doubt: BTreeSet::new(),
        report: Repair {
            restored: source.restored,
            rootless: source.base.is_none(),
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
    /// Lost revisions that others name.
    lost: BTreeSet<Version>,
    /// The objects of which nothing is left but what retention may have removed.
    in_doubt: BTreeSet<Key>,
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
                Err(error) if is_last(&error) || self.marker_body(header.version)?.is_none() => {
                    let bytes = self.source.damaged_body(version);
                    aside.row(&Row::new(Place::Body, version, &bytes, &error).of(&header.key))?;
                    self.unread.insert(version);
                }
                Err(_) => self.report.restored += 1,
            }
            self.chains.entry(header.key).or_default().push(version);
        }
        self.withhold(aside)?;
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

    /// Sets aside what retention may have removed, and names the objects that would come back.
    fn withhold(&mut self, aside: &mut dyn Aside) -> Result<(), Error> {
        for header in self.source.withheld()? {
            let is_alone = !self.chains.contains_key(&header.key);
            let is_forgotten = is_alone && self.source.is_forgotten(&header.key);
            if is_forgotten || self.source.was_removed(header.version.get()) {
                continue;
            }
            self.report.withheld += 1;
            let error =
                Error::corrupt("it stands in an old page only, and retention may have removed it");
            let (version, bytes) = (header.version.get(), encode_header(&header)?);
            let object = self.source.body(version)?.ok();
            let row = Row::new(Place::Header, version, &bytes, &error).of(&header.key);
            aside.row(&Row {
                object: object.as_deref(),
                ..row
            })?;
            if is_alone {
                self.in_doubt.insert(header.key);
            }
        }
        Ok(())
    }

    /// The body of a delete marker by the link that it had: it may get another one.
    fn marker_body(&self, marker: Version) -> Result<Option<Vec<u8>>, Error> {
        let header = self.source.header(marker.get())?;
        match header.and_then(|header| header.previous) {
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
            Err(error) => self.marker_body(header.version)?.ok_or(error)?,
        };
        let mut stored = body::encode(&body, None);
        body::bind(&mut stored, header.version);
        Ok(stored)
    }

    /// The chain of a key, without what cannot be read.
    fn chain(&mut self, key: &Key, versions: &[u64]) -> Result<Chain, Error> {
        let (mut readable, mut unread) = (Vec::new(), Vec::new());
        for version in versions {
            let list = if self.unread.contains(version) {
                &mut unread
            } else {
                &mut readable
            };
            list.extend(self.source.header(*version)?);
        }
        let (floor, removed) = (self.floors.get(&key.collection()), self.source.removed());
        let mut chain = relink(&readable, &self.whole, floor, removed);
        let (oldest, newest) = (readable.first(), readable.last());
        let before = unread
            .iter()
            .filter(|it| oldest.is_some_and(|oldest| it.version < oldest.version));
        chain.lost.0 = chain.lost.0.max(before.count() as u64);
        let is_behind = |it: &&Header| newest.is_none_or(|newest| it.version > newest.version);
        if let Some(last) = unread.last().filter(is_behind) {
            let most = match newest {
                Some(newest) => last.ordinal.saturating_sub(newest.ordinal),
                None => last.ordinal + 1,
            };
            let is_all = newest.is_some() || removed == Removed::Nothing;
            let least = if is_all { most } else { unread.len() as u64 };
            chain.lost = (chain.lost.0 + least, chain.lost.1 + most);
            chain.floor = Version::new(self.head);
            self.report.set_back += 1;
            if self.report.set_back_keys.len() < NAMES_MAX {
                self.report.set_back_keys.push(key.clone());
            }
        }
        Ok(chain)
    }

    /// Works out what is lost, and from where on every collection is whole.
    fn sum_up(
        &mut self,
        kept: &BTreeSet<u64>,
        named: (u64, u64),
        mut prefixes: BTreeSet<String>,
    ) -> Result<(), Error> {
        self.report.kept = kept.len() as u64;
        self.report.version = Version::new(self.head);
        self.count_lost(kept);
        let (lost, withheld) = (self.report.lost, self.report.withheld);
        // Where the newest of every object is known, what has no name is somebody's past.
        let names = if self.source.knows_all_names() {
            named.1 + withheld
        } else {
            named.0
        };
        self.report.nameless = lost > names;
        if lost == 0 {
            // So retention had removed all of them.
            self.in_doubt.clear();
        }
        let head = Version::new(self.head);
        for key in &self.in_doubt {
            let prefix = key.collection().prefix().to_owned();
            self.floors.raise(&prefix, head)?;
            prefixes.insert(prefix);
        }
        // All that was ever written says how it was, whatever was removed.
        let is_all = self.report.kept == self.head;
        if self.report.nameless || (self.source.removed() == Removed::Anything && !is_all) {
            for prefix in &prefixes {
                self.floors.raise(prefix, head)?;
            }
        }
        self.report.in_doubt = self.in_doubt.len() as u64;
        let in_doubt = std::mem::take(&mut self.in_doubt).into_iter();
        self.report.in_doubt_keys = in_doubt.take(NAMES_MAX).collect();
        Ok(())
    }

    /// Writes every key, then what `meta` and `floor` say.
    fn write(&mut self, database: &Database) -> Result<(), Error> {
        let chains = std::mem::take(&mut self.chains);
        let mut kept = BTreeSet::new();
        // How many of the lost revisions have a name, at least and at most.
        let mut named = (0, 0);
        let mut prefixes = BTreeSet::new();
        let mut keys = chains.iter().peekable();
        while keys.peek().is_some() {
            let mut rows = 0;
            guarded(|| {
                let transaction = begin(database)?;
                for (key, versions) in keys.by_ref() {
                    let chain = self.chain(key, versions)?;
                    named = (named.0 + chain.lost.0, named.1 + chain.lost.1);
                    self.lost.extend(chain.lost_versions);
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
        self.sum_up(&kept, named, prefixes)?;
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
        let may_be = |version: &u64| !kept.contains(version) && self.source.may_be(*version);
        let is_certain = |version: &u64| {
            !kept.contains(version)
                && (self.unread.contains(version)
                    || self.lost.contains(&Version::new(*version))
                    || self.source.is_damaged(*version))
        };
        let certain = (1..=self.head).filter(is_certain);
        let others = (1..=self.head).filter(|it| may_be(it) && !is_certain(it));
        let mut lost: Vec<u64> = certain.chain(others).take(NAMES_MAX).collect();
        lost.sort_unstable();
        self.report.lost_versions = lost.into_iter().map(Version::new).collect();
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
