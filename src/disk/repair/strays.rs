//! Strays: headers that were found in an old page or an old frame only, and which of them were
//! there.
//!
//! Retention takes rows out and leaves their bytes in pages that nobody uses any more, until these
//! are written over. A page that is out of reach may have held such a row, or not: the bytes do not
//! tell, but what retention does, does. `source` gathers the strays and calls [`Source::judge`] when
//! it has all; `repair` sets aside what is withheld.
//!
//! Invariant: of what retention had removed nothing is taken, as long as the tables are found.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Shelf;
use super::super::body::Stored;
use super::super::record::{decode_header, decode_shelved};
use super::super::walk::{History, reason_of};
use super::chains::Removed;
use super::source::{At, Source};
use crate::Error;
use crate::model::{Header, Key};

impl Source {
    /// What retention may have removed, and was found.
    pub(super) fn withheld(&self) -> Result<Vec<Header>, Error> {
        let headers = self.withheld.iter().map(|(version, at)| {
            let header = self.bytes(History::Headers, *version, at, decode_header);
            header.map(Option::into_iter)
        });
        let headers: Result<Vec<_>, Error> = headers.collect();
        Ok(headers?.into_iter().flatten().collect())
    }

    /// Whether it is known of a key that it is on no shelf.
    pub(super) fn is_forgotten(&self, key: &Key) -> bool {
        !self.shelved.contains(key) && (self.is_shelved_whole || !self.unlocated.contains(key))
    }

    /// What retention may have removed of what is missing.
    pub(super) fn removed(&self) -> Removed {
        let is_known = self.base.is_none() || !self.doubts.is_count_wrong();
        if self.doubts.removed == Some(0) && is_known {
            Removed::Nothing
        } else if self.base.is_some() && self.doubts.has_floors {
            Removed::Below
        } else {
            Removed::Anything
        }
    }

    /// Looks for the entries of all known keys that a walk over the shelves did not come to.
    pub(super) fn look_up(&mut self) -> Result<(), Error> {
        let Some(base) = self.base.as_ref().filter(|_| !self.is_shelved_whole) else {
            return Ok(());
        };
        let (mut unlocated, mut found, mut known) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
        for version in self.headers.keys() {
            let Some(Header { key, .. }) = self.header(*version)? else {
                continue;
            };
            if self.shelved.contains(&key) || !known.insert(key.clone()) {
                continue;
            }
            for shelf in [Shelf::Live, Shelf::Trash] {
                match base.shelved(shelf, &key, |bytes| decode_shelved(bytes, key.clone())) {
                    Ok(None) => {}
                    Ok(Some(header)) => found.push(header),
                    Err(error) => {
                        reason_of(error)?;
                        unlocated.insert(key.clone());
                    }
                }
            }
        }
        for header in found {
            self.take_shelved(&header)?;
            unlocated.remove(&header.key);
            self.shelved.insert(header.key);
        }
        self.unlocated = unlocated;
        Ok(())
    }

    /// Withholds the strays that retention may have removed. It removes the oldest revisions of a
    /// key, none above the compacted version, and with each its body, but for one that others are
    /// built from. So a stray was not removed if
    ///
    /// - a row stands in its place, which cannot be read, or no row of its gap was removed; or
    /// - it is above the compacted version, or its body stands in its table and is built from
    ///   another; or
    /// - it, or an older revision of its key, is one of these, or in its table, or on a shelf.
    ///
    /// If the tables do not open at all, all of it is taken but for what certainly was removed.
    pub(super) fn judge(&mut self) -> Result<(), Error> {
        let Some(base) = &self.base else {
            return self.judge_removed();
        };
        let is_dense = !self.doubts.is_count_wrong() && self.unseen == self.slots();
        if self.strays.is_empty() || is_dense || self.removed() == Removed::Nothing {
            return Ok(());
        }
        let applied = self.doubts.applied.unwrap_or(u64::MAX);
        let mut oldest: BTreeMap<Key, u64> = BTreeMap::new();
        let mut doubtful = Vec::new();
        for version in self.headers.keys().copied() {
            let Some(header) = self.header(version)? else {
                continue;
            };
            let floor = base.floors.get(&header.key.collection()).get();
            let is_certain = !self.strays.contains(&version)
                || self.damaged.contains(&version)
                || (self.is_applied_known && version > applied)
                || (self.doubts.has_floors && version > floor)
                || self.has_own_body(version)?;
            if is_certain {
                oldest.entry(header.key).or_insert(version);
            } else if !oldest.contains_key(&header.key) {
                doubtful.push(version);
            }
        }
        self.take_out(doubtful);
        Ok(())
    }

    /// Withholds the strays that an old page shows to have been removed, and what is older of their
    /// keys.
    fn judge_removed(&mut self) -> Result<(), Error> {
        let mut newest: BTreeMap<Key, u64> = BTreeMap::new();
        for version in self.strays.iter().filter(|it| self.was_removed(**it)) {
            if let Some(header) = self.header(*version)? {
                newest.insert(header.key, *version);
            }
        }
        let mut removed = Vec::new();
        for version in &self.strays {
            let Some(header) = self.header(*version)? else {
                continue;
            };
            if newest
                .get(&header.key)
                .is_some_and(|newest| version <= newest)
            {
                removed.push(*version);
            }
        }
        self.take_out(removed);
        Ok(())
    }

    fn take_out(&mut self, strays: Vec<u64>) {
        for version in strays {
            let at = self.headers.remove(&version);
            self.withheld.extend(at.map(|at| (version, at)));
            self.restored -= 1;
        }
    }

    /// Whether the tables show what is over.
    pub(super) fn is_old(&self) -> bool {
        let mut seen = self.headers.iter();
        self.is_root_found
            && seen.any(|(version, at)| matches!(at, At::Table) && self.was_removed(*version))
    }

    /// Whether a page shows that this version is not there any more.
    pub(super) fn was_removed(&self, version: u64) -> bool {
        let end = self.holes.partition_point(|(first, _)| *first <= version);
        let hole = end.checked_sub(1).and_then(|at| self.holes.get(at));
        hole.is_some_and(|(_, last)| *last >= version)
    }

    /// Whether the table of bodies has one of this version that nothing else can be built from: it
    /// would have gone with its revision.
    fn has_own_body(&self, version: u64) -> Result<bool, Error> {
        let mut places = self.bodies.get(&version).into_iter().flatten();
        if !places.any(|at| matches!(at, At::Table)) {
            return Ok(false);
        }
        let look = |bytes: &[u8]| Ok(Stored::parse(bytes)?.base().is_some());
        match self.bytes(History::Bodies, version, &At::Table, look) {
            Ok(Some(true)) => Ok(self.body(version)?.is_ok()),
            Ok(_) | Err(Error::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
