//! What can still be read of a damaged store: every revision, from wherever it stands.
//!
//! A revision is looked for in the tables, then in the frames of the commit log, of earlier laps
//! too, then, for its header, in the entry of a shelf, and at last in the raw pages. All of these
//! hold checks tied to key or version, so whatever fits is the revision.
//!
//! What fits may still be one that retention has removed: old pages and old frames keep it. So a
//! header from there, a *stray*, is taken only if it is certain that its row is lost and was not
//! removed; `strays` says when that is. The others are *withheld*: set aside, and not in the store.
//!
//! Memory: about 100 bytes a revision, and the two files of the commit log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::body::{BASE_STEPS_MAX, Stored};
use super::super::cold::Doubts;
use super::super::log::{self, LOG_NAMES};
use super::super::media::Media;
use super::super::record::{decode_header, decode_shelved, encode_header};
use super::super::tables::{Base, decode_seed, header_at};
use super::super::walk::{History, Sight};
use super::super::{Place, Shelf, Volume};
use super::carve::{carve, carve_texts};
use super::roots::{self, number_of};
use super::{Aside, Row, TABLES_NAME};
use crate::Error;
use crate::model::{Epoch, Header, Key, Version};

/// Where the bytes of a row stand.
#[derive(Clone, Debug)]
pub(super) enum At {
    Table,
    Log {
        file: usize,
        at: usize,
        length: usize,
    },
    Raw {
        offset: u64,
        length: usize,
    },
    /// They were made from the entry of a shelf.
    Made(Arc<[u8]>),
}

/// Everything that can be read.
pub(super) struct Source {
    pub(super) base: Option<Base>,
    /// Whether the header of the file was lost.
    pub(super) is_root_found: bool,
    /// Whether `applied` is what the tables say, and fits.
    pub(super) is_applied_known: bool,
    pub(super) doubts: Doubts,
    raw: Arc<dyn Media>,
    logs: Vec<Vec<u8>>,
    pub(super) headers: BTreeMap<u64, At>,
    pub(super) bodies: BTreeMap<u64, Vec<At>>,
    /// Versions whose row is there and cannot be read.
    pub(super) damaged: BTreeSet<u64>,
    /// Versions that may have been there: first and last.
    gaps: Vec<(u64, u64)>,
    /// How many rows of headers the table says it has beside those that were seen.
    pub(super) unseen: u64,
    /// The versions whose header was found in an old page or an old frame only.
    pub(super) strays: BTreeSet<u64>,
    /// What is missing between the rows of a leaf, which were written in order: it was removed. In
    /// the order of the first; the last is the greatest so far.
    pub(super) holes: Vec<(u64, u64)>,
    /// Those of them that retention may have removed; their headers.
    pub(super) withheld: BTreeMap<u64, At>,
    /// The keys on the shelves.
    pub(super) shelved: BTreeSet<Key>,
    /// Whether both shelves could be read to their ends.
    pub(super) is_shelved_whole: bool,
    /// The keys of which it cannot be told whether they are on a shelf.
    pub(super) unlocated: BTreeSet<Key>,
    /// How many rows were found elsewhere than in their table.
    pub(super) restored: u64,
}

impl Source {
    /// Reads the files of a volume, which are not changed if it is a draft.
    pub(super) fn read(volume: &Arc<dyn Volume>, aside: &mut dyn Aside) -> Result<Self, Error> {
        let source = Source::read_from(volume, aside, true)?;
        // It can only be told now whether the root that was found is an old one.
        if source.is_old() {
            return Source::read_from(volume, aside, false);
        }
        Ok(source)
    }

    fn read_from(
        volume: &Arc<dyn Volume>,
        aside: &mut dyn Aside,
        may_find_root: bool,
    ) -> Result<Self, Error> {
        let open = |name: &str| {
            let file = Arc::clone(volume).open(name);
            file.map_err(|cause| Error::unavailable(format!("{name}: {cause}")))
        };
        let mut logs = Vec::new();
        for name in LOG_NAMES {
            logs.push(log::read_all(&*open(name)?)?);
        }
        // The engine may not even open the file; what it would write then is not read here.
        let raw = open(TABLES_NAME)?;
        let (mut base, mut doubts) = Base::of_damaged(&open(TABLES_NAME)?)?;
        let mut is_root_found = false;
        if base.is_none() && may_find_root {
            let media = open(TABLES_NAME)?;
            if roots::write_header(&*media).map_err(Error::unavailable)? {
                (base, doubts) = Base::of_damaged(&media)?;
                is_root_found = base.is_some();
            }
        }
        let is_applied_known = doubts.applied.is_some() && !doubts.is_count_wrong();
        let mut source = Source {
            base,
            is_root_found,
            is_applied_known,
            doubts,
            raw,
            logs,
            headers: BTreeMap::new(),
            bodies: BTreeMap::new(),
            damaged: BTreeSet::new(),
            gaps: Vec::new(),
            unseen: 0,
            strays: BTreeSet::new(),
            holes: Vec::new(),
            withheld: BTreeMap::new(),
            shelved: BTreeSet::new(),
            is_shelved_whole: false,
            unlocated: BTreeSet::new(),
            restored: 0,
        };
        source.read_tables(aside)?;
        source.read_seed()?;
        source.read_log()?;
        source.read_shelves(aside)?;
        source.read_pages()?;
        source.look_up()?;
        source.judge()?;
        Ok(source)
    }

    /// The newest version that was ever given out, as far as it can be told.
    pub(super) fn head(&self) -> u64 {
        let newest = self.headers.last_key_value().map_or(0, |(at, _)| *at);
        let Some(applied) = self.doubts.applied else {
            return newest;
        };
        // Where the count of the rows agrees with the newest row, `applied` is what is damaged.
        let counted = self.doubts.removed.unwrap_or(0) + self.doubts.rows.unwrap_or(0);
        let in_tables = self.doubts.rows.is_some() && counted != applied;
        if in_tables && counted <= newest {
            newest
        } else {
            newest.max(applied)
        }
    }

    /// The versions whose header can be read, oldest first.
    pub(super) fn versions(&self) -> Vec<u64> {
        self.headers.keys().copied().collect()
    }

    /// Versions that have a body and no header.
    pub(super) fn bodies_alone(&self) -> Vec<u64> {
        let head = self.head();
        let bodies = self.bodies.range(..=head).map(|(at, _)| *at);
        bodies
            .filter(|at| !self.headers.contains_key(at) && !self.withheld.contains_key(at))
            .filter(|at| self.may_be(*at))
            .collect()
    }

    /// Whether every object is known by its newest revision, whatever else is lost.
    pub(super) fn knows_all_names(&self) -> bool {
        let applied = self.doubts.applied.unwrap_or(0);
        self.is_shelved_whole
            && !self.doubts.is_count_wrong()
            && (applied + 1..=self.head()).all(|version| self.headers.contains_key(&version))
    }

    /// Whether the row of a version is there and cannot be read.
    pub(super) fn is_damaged(&self, version: u64) -> bool {
        self.damaged.contains(&version)
    }

    /// Whether a version may have been lost: its row is damaged, or was out of reach.
    pub(super) fn may_be(&self, version: u64) -> bool {
        self.damaged.contains(&version)
            || self.base.is_none()
            || self.doubts.applied.is_some_and(|applied| version > applied)
            || self
                .gaps
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&version))
    }

    fn read_tables(&mut self, aside: &mut dyn Aside) -> Result<(), Error> {
        let Some(base) = &self.base else {
            return Ok(());
        };
        let (headers, bodies) = (&mut self.headers, &mut self.bodies);
        let (damaged, gaps) = (&mut self.damaged, &mut self.gaps);
        let mut failure = None;
        let last = u64::MAX - 1;
        // A row that is walked past and not found by its number is kept as it is.
        let place = |table, version, bytes: &[u8]| match base.row(table, version, |_| Ok(())) {
            Ok(Some(())) => At::Table,
            _ => At::Made(bytes.into()),
        };
        base.walk(History::Headers, last, &mut |sight| match sight {
            Sight::Row(version, bytes) => {
                let Err(error) = header_at(version, bytes) else {
                    headers.insert(version, place(History::Headers, version, bytes));
                    return true;
                };
                if let Ok(header) = decode_header(bytes) {
                    // It is whole, and stands in the place of another, or its number is damaged.
                    gaps.push((version, version));
                    let own = header.version.get();
                    headers.entry(own).or_insert_with(|| At::Made(bytes.into()));
                } else {
                    damaged.insert(version);
                }
                let row = Row::new(Place::Header, version, bytes, &error);
                failure = failure.take().or(aside.row(&row).err());
                false
            }
            Sight::Gap(first, last, _) => {
                gaps.push((first, last));
                false
            }
        })?;
        base.walk(History::Bodies, last, &mut |sight| {
            if let Sight::Row(version, bytes) = sight {
                bodies.insert(version, vec![place(History::Bodies, version, bytes)]);
            }
            true
        })?;
        // A row that was walked past twice is one.
        let seen = (headers.len() + damaged.len()) as u64;
        self.unseen = self.doubts.rows.unwrap_or(0).saturating_sub(seen);
        // Where the tables say that there is more than the gaps hold, any version may be missing.
        if self.doubts.is_count_wrong() || self.unseen > self.slots() {
            self.gaps.push((1, u64::MAX));
        }
        failure.map_or(Ok(()), Err)
    }

    /// How many versions of the tables are in gaps.
    pub(super) fn slots(&self) -> u64 {
        let applied = self.doubts.applied.unwrap_or(0);
        let inside = |(first, last): &(u64, u64)| (*last).min(applied).saturating_sub(first - 1);
        self.gaps.iter().map(inside).sum()
    }

    /// Looks for `meta` in the raw pages, if its tree is lost. Its seed has a check of its own, and
    /// neither that nor the epoch ever changes.
    fn read_seed(&mut self) -> Result<(), Error> {
        if self.doubts.seed.is_some() {
            return Ok(());
        }
        let mut removed = None;
        let found = carve_texts(&*self.raw, |meta| {
            decode_seed(meta.get("seed")?)?;
            removed = removed.max(number_of(meta, "removed"));
            number_of(meta, "applied")
        });
        let Some(meta) = found.map_err(Error::unavailable)? else {
            return Ok(());
        };
        let doubts = &mut self.doubts;
        doubts.seed = meta.get("seed").and_then(|row| decode_seed(row));
        let epoch = || Some(Epoch(meta.get("epoch")?.as_slice().try_into().ok()?));
        doubts.epoch = doubts.epoch.or_else(epoch);
        doubts.applied = doubts.applied.or(number_of(&meta, "applied"));
        // Of several copies that are as new, any may be the newest: it only grows.
        doubts.removed = doubts.removed.or(removed);
        Ok(())
    }

    fn read_log(&mut self) -> Result<(), Error> {
        let Some(seed) = self.doubts.seed else {
            // Without it any body could pose as a frame.
            return Ok(());
        };
        let applied = self.doubts.applied.unwrap_or(0);
        for (file, bytes) in self.logs.iter().enumerate() {
            for record in log::whole_records(bytes, seed) {
                let header = &bytes[record.header.clone()];
                let is_it = decode_header(header).is_ok_and(|it| it.version == record.version);
                let version = record.version.get();
                let at = |range: std::ops::Range<usize>| At::Log {
                    file,
                    at: range.start,
                    length: range.len(),
                };
                if is_it && !self.headers.contains_key(&version) {
                    let is_new = self.is_applied_known && version > applied;
                    if is_new || self.may_be(version) {
                        self.headers.insert(version, at(record.header));
                        if !is_new {
                            self.strays.insert(version);
                            self.restored += 1;
                        }
                    }
                }
                self.bodies
                    .entry(version)
                    .or_default()
                    .push(at(record.body));
            }
        }
        Ok(())
    }

    /// The headers that shelves have, and the keys on them.
    fn read_shelves(&mut self, aside: &mut dyn Aside) -> Result<(), Error> {
        let Some(base) = &self.base else {
            return Ok(());
        };
        let (mut keys, mut found) = (BTreeSet::new(), Vec::new());
        let (mut is_whole, mut failure) = (true, None);
        for (shelf, place) in [(Shelf::Live, Place::Resource), (Shelf::Trash, Place::Trash)] {
            let mut count = 0;
            let ended = base.walk_shelf(shelf, &mut |text, bytes| {
                count += 1;
                let Some(key) = Key::decode(text).ok() else {
                    is_whole = false;
                    return;
                };
                match decode_shelved(bytes, key.clone()) {
                    Ok(header) => found.push(header),
                    Err(error) => {
                        is_whole = false;
                        let row = Row::new(place, 0, bytes, &error);
                        failure = failure.take().or(aside.row(&row.of(&key)).err());
                    }
                }
                keys.insert(key);
            })?;
            is_whole &= ended.is_none() && base.count(shelf).is_ok_and(|all| all == count);
        }
        for header in found {
            self.take_shelved(&header)?;
        }
        self.shelved = keys;
        self.is_shelved_whole = is_whole;
        failure.map_or(Ok(()), Err)
    }

    /// Takes the header of an entry, if its own row may be lost. What is on a shelf was not removed.
    pub(super) fn take_shelved(&mut self, header: &Header) -> Result<(), Error> {
        let version = header.version.get();
        self.strays.remove(&version);
        if !self.headers.contains_key(&version) && self.may_be(version) {
            let bytes = encode_header(header)?.into();
            self.headers.insert(version, At::Made(bytes));
            self.restored += 1;
        }
        Ok(())
    }

    /// Looks through the raw pages, if anything is missing.
    fn read_pages(&mut self) -> Result<(), Error> {
        let mut wanted = BTreeSet::new();
        for version in self.versions() {
            if self.body(version)?.is_err() {
                wanted.insert(version);
                wanted.extend(self.header(version)?.map(|header| header.base.get()));
            }
        }
        let is_whole = wanted.is_empty() && self.damaged.is_empty() && self.gaps.is_empty();
        if is_whole && self.base.is_some() && !self.is_root_found {
            return Ok(());
        }
        let (mut headers, mut bodies) = (Vec::new(), Vec::new());
        let raw = Arc::clone(&self.raw);
        // The row of a header before this one: which it is of its leaf, and its version.
        let (mut before, mut holes) = ((0, 0), Vec::new());
        let carved = carve(&*raw, |row| {
            let at = At::Raw {
                offset: row.offset,
                length: row.bytes.len(),
            };
            if decode_header(row.bytes).is_ok_and(|header| header.version.get() == row.key) {
                if row.row > 0 && row.row == before.0 + 1 && row.key > before.1 + 1 {
                    holes.push((before.1 + 1, row.key - 1));
                }
                before = (row.row, row.key);
                if !self.headers.contains_key(&row.key) && self.may_be(row.key) {
                    headers.push((row.key, at));
                }
                return;
            }
            before = (usize::MAX - 1, 0);
            if (wanted.contains(&row.key) || self.may_be(row.key))
                && Stored::parse(row.bytes).is_ok()
            {
                bodies.push((row.key, at));
            }
        });
        carved.map_err(Error::unavailable)?;
        holes.sort_unstable();
        let mut last = 0;
        for hole in &mut holes {
            last = last.max(hole.1);
            hole.1 = last;
        }
        self.holes = holes;
        for (version, at) in headers {
            if self.headers.insert(version, at).is_none() {
                self.strays.insert(version);
                self.restored += 1;
            }
        }
        for (version, at) in bodies {
            self.bodies.entry(version).or_default().push(at);
        }
        Ok(())
    }

    /// What `look` makes of the bytes of a row.
    pub(super) fn bytes<T>(
        &self,
        table: History,
        version: u64,
        at: &At,
        look: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match at {
            At::Table => match &self.base {
                Some(base) => base.row(table, version, look),
                None => Ok(None),
            },
            At::Log { file, at, length } => {
                let bytes = self.logs.get(*file).and_then(|it| it.get(*at..at + length));
                bytes.map(look).transpose()
            }
            At::Raw { offset, length } => {
                let mut bytes = vec![0; *length];
                let read = self.raw.read(*offset, &mut bytes);
                read.map_err(Error::unavailable)?;
                look(&bytes).map(Some)
            }
            At::Made(bytes) => look(bytes).map(Some),
        }
    }

    /// The header of a version.
    pub(super) fn header(&self, version: u64) -> Result<Option<Header>, Error> {
        match self.headers.get(&version) {
            Some(at) => self.bytes(History::Headers, version, at, decode_header),
            None => Ok(None),
        }
    }

    /// The body of a version, or what is wrong with it.
    pub(super) fn body(&self, version: u64) -> Result<Result<Vec<u8>, Error>, Error> {
        self.build(version, 0)
    }

    fn build(&self, version: u64, steps: usize) -> Result<Result<Vec<u8>, Error>, Error> {
        let mut problem = Error::corrupt("the body is missing");
        for at in self.bodies.get(&version).into_iter().flatten() {
            let look = |stored: &[u8]| -> Result<Result<Vec<u8>, Error>, Error> {
                let stored = match Stored::parse(stored) {
                    Ok(stored) => stored.of(Version::new(version)),
                    Err(error) => return Ok(Err(error)),
                };
                match stored.base().map(Version::get) {
                    None => Ok(stored.decode(None)),
                    Some(base) if base >= version || steps == BASE_STEPS_MAX => {
                        Ok(Err(Error::corrupt("the body is built from a later one")))
                    }
                    Some(base) => Ok(match self.build(base, steps + 1)? {
                        Ok(older) => stored.decode(Some(&older)),
                        Err(error) => Err(error),
                    }),
                }
            };
            match self.bytes(History::Bodies, version, at, look) {
                Ok(Some(Ok(body))) => return Ok(Ok(body)),
                Ok(Some(Err(error))) | Err(error @ Error::Corrupt { .. }) => problem = error,
                Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Err(problem))
    }

    /// The stored bytes of a body that decodes, and whether they are whole: what a new file may
    /// take over as it is.
    pub(super) fn stored(&self, version: u64) -> Result<Option<(Vec<u8>, bool)>, Error> {
        for at in self.bodies.get(&version).into_iter().flatten() {
            let copy = self.bytes(History::Bodies, version, at, |bytes| Ok(bytes.to_vec()));
            let Ok(Some(bytes)) = copy else { continue };
            let Ok(stored) = Stored::parse(&bytes) else {
                continue;
            };
            let stored = stored.of(Version::new(version));
            let (is_right, is_whole) = match stored.base() {
                None => (stored.decode(None).is_ok(), true),
                Some(base) if base.get() < version => match self.body(base.get())? {
                    Ok(older) => (stored.decode(Some(&older)).is_ok(), false),
                    Err(_) => (false, false),
                },
                Some(_) => (false, false),
            };
            if is_right {
                return Ok(Some((bytes, is_whole)));
            }
        }
        Ok(None)
    }

    /// The bytes of a body that cannot be read, to set aside.
    pub(super) fn damaged_body(&self, version: u64) -> Vec<u8> {
        let places = self.bodies.get(&version).into_iter().flatten();
        let mut copies = places.filter_map(|at| {
            let copy = |bytes: &[u8]| Ok(bytes.to_vec());
            self.bytes(History::Bodies, version, at, copy).ok()?
        });
        copies.next().unwrap_or_default()
    }
}
