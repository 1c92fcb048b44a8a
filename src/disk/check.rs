//! Proves, from the log alone, that the log is whole and that the shelves follow from it; where it
//! is not, says what is damaged and goes on.
//!
//! `Store::check` calls it with one state, which may be that of a store in use: nothing is locked
//! and nothing changes. Every row of every table is read from the files, and with it every check of
//! a header and of a body; so is what the overlay has.
//!
//! What must hold, with C for the compacted version of a collection (see `floors`):
//!
//! - versions that are there and those that were removed make all up to the newest (D3); none is
//!   missing above the newest C;
//! - the revisions of a key are linked; the oldest one there may point to missing ones only if its
//!   version is not above C, or if it creates the key anew. At or below C an action may follow one
//!   that is not there;
//! - every body is there, is what it was, and its base is; a body without a header is the base of
//!   the oldest revision of a key;
//! - a live key is on the one shelf, a dead one on the other, with its newest revision (D4); the
//!   postings of labels are those that follow from the headers.
//!
//! Memory: the newest header of every key, 8 bytes for each revision, 16 for each gap between
//! versions, the postings of labels, and the findings. An error of the medium ends a check; damage never does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::finding::{Finding, Place, Report, Touches};
use super::labels::Expected;
use super::record::decode_shelved;
use super::tables::{Base, Postings, header_at};
use super::walk::{History, Sight, reason_of};
use super::{Shelf, View};
use crate::Error;
use crate::model::{Action, Header, Key, Version};

/// What is known of a key.
struct Chain {
    newest: Arc<Header>,
    /// The base and the ordinal of the oldest revision there.
    oldest: (Version, u64),
    /// All versions, to hold the far links against.
    versions: Vec<Version>,
    /// Whether it was met on its shelf.
    is_shelved: bool,
    /// Whether there is a finding about its entry.
    is_judged: bool,
}

/// Reads everything of one state.
pub(crate) fn check(view: &View) -> Result<Report, Error> {
    let mut check = Check {
        view,
        report: Report::default(),
        chains: BTreeMap::new(),
        present: Ranges::default(),
        damaged: Ranges::default(),
        unread: BTreeMap::new(),
        expected: Some(Expected::default()),
    };
    let base = view.base()?;
    check.headers(base)?;
    check.labels(base)?;
    for shelf in [Shelf::Live, Shelf::Trash] {
        check.shelf(base, shelf)?;
    }
    check.bodies(base)?;
    check.overlay(base.meta.applied)?;
    check.totals(base)?;
    check.judge();
    Ok(check.report)
}

struct Check<'a> {
    view: &'a View,
    report: Report,
    chains: BTreeMap<Key, Chain>,
    /// The versions whose header can be read.
    present: Ranges,
    /// Those whose header cannot.
    damaged: Ranges,
    /// The bodies that cannot be read, and where the report has it.
    unread: BTreeMap<Version, Option<usize>>,
    /// The postings of labels that follow from the headers of the tables, until they were compared.
    expected: Option<Expected>,
}

impl Check<'_> {
    /// The headers in the tables, and the bodies that belong to them.
    fn headers(&mut self, base: &Base) -> Result<(), Error> {
        let mut failure = None;
        base.walk(History::Headers, base.meta.applied.get(), &mut |sight| {
            let (first, last, problem) = match sight {
                Sight::Row(version, bytes) => match header_at(version, bytes) {
                    // Only a page in the place of another leads back.
                    Ok(_) if version <= self.present.last() => {
                        (version, version, "stands behind later ones".to_owned())
                    }
                    Ok(header) => {
                        let found = self.by_number(base, version);
                        let result = found.and_then(|()| self.revision(Arc::new(header)));
                        failure = failure.take().or(result.err());
                        return true;
                    }
                    Err(error) => (version, version, told(error)),
                },
                Sight::Gap(first, last, reason) => (first, last, reason.to_owned()),
            };
            self.damaged.add(first, last);
            let finding = Finding::new(Place::Header, problem);
            let (first, last) = (Version::new(first), Version::new(last));
            self.report.add(finding.at(first, last));
            false
        })?;
        failure.map_or(Ok(()), Err)
    }

    /// The postings of labels, against those that follow from the headers. Where headers are lost
    /// it is not known what they must be.
    fn labels(&mut self, base: &Base) -> Result<(), Error> {
        let Some(expected) = self.expected.take().filter(|_| self.damaged.count() == 0) else {
            return Ok(());
        };
        for (which, mut wanted) in [
            (Postings::Now, expected.label),
            (Postings::Past, expected.past),
        ] {
            let mut foreign = 0u64;
            let read = base.postings(which, &[], &mut |place, version| {
                foreign += u64::from(wanted.remove(place) != Some(version));
                Ok(true)
            });
            let problem = match read.map_err(reason_of) {
                Ok(()) if foreign == 0 && wanted.is_empty() => continue,
                Ok(()) => format!(
                    "{foreign} postings do not follow from the log, {} are missing",
                    wanted.len()
                ),
                Err(reason) => reason?,
            };
            let finding = Finding::new(Place::Label, problem);
            self.report.add(finding.touching(Touches::Derived));
        }
        Ok(())
    }

    /// Whether a revision is found by its number too, and not only by walking past it.
    fn by_number(&mut self, base: &Base, version: u64) -> Result<(), Error> {
        match base.row(History::Headers, version, |_| Ok(())) {
            Ok(Some(())) => return Ok(()),
            Ok(None) => {}
            Err(error) => drop(reason_of(error)?),
        }
        let version = Version::new(version);
        let finding = Finding::new(Place::Header, "is there, and is not found by its number");
        self.report.add(finding.at(version, version));
        Ok(())
    }

    /// One revision: its links and its body.
    fn revision(&mut self, header: Arc<Header>) -> Result<(), Error> {
        self.report.revisions += 1;
        let version = header.version;
        self.present.add(version.get(), version.get());
        self.body(&header)?;
        if let Some(expected) = &mut self.expected {
            let before = self.chains.get(header.key.encoded());
            expected.add(before.map(|chain| &*chain.newest), &header);
        }
        let floor = self.view.floors()?.get(&header.key.collection());
        let Some(chain) = self.chains.get_mut(header.key.encoded()) else {
            // An earlier life of the key may have been removed as a whole.
            let is_new_life = header.action == Action::Created && header.previous <= Some(floor);
            if header.previous.is_some() && version > floor && !is_new_life {
                self.lacks(&header, "links to a revision that is not there");
            }
            let chain = Chain {
                oldest: (header.base, header.ordinal),
                versions: vec![version],
                newest: Arc::clone(&header),
                is_shelved: false,
                is_judged: false,
            };
            self.chains.insert(header.key.clone(), chain);
            return Ok(());
        };
        let problem = broken_link(&chain.newest, &header, version > floor);
        // A lost revision keeps its place in the numbers.
        let place = header.ordinal.saturating_sub(chain.oldest.1);
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        if header.ordinal <= version.get() && place > chain.versions.len() {
            chain.versions.resize(place, Version::ZERO);
        }
        chain.versions.push(version);
        let far = header.jump_ordinal.checked_sub(chain.oldest.1);
        let far = far.and_then(|at| chain.versions.get(usize::try_from(at).ok()?));
        // A far link may lead to what retention has removed, as long as nobody follows it.
        let is_cut = header.jump_ordinal < chain.oldest.1 && header.jump <= floor;
        let is_cut = is_cut || self.damaged.has(header.jump.get());
        let problem = problem.or((far != Some(&header.jump) && !is_cut)
            .then_some("has a far link to another revision than it says"));
        chain.newest = Arc::clone(&header);
        if let Some(problem) = problem {
            self.lacks(&header, problem);
        }
        Ok(())
    }

    /// A revision whose links are wrong. Where they lead to a row that cannot be read, that is what
    /// is wrong, and now it is known whose row it is.
    fn lacks(&mut self, header: &Header, problem: &str) {
        let lost = header.previous.filter(|at| self.damaged.has(at.get()));
        if let Some(lost) = lost {
            let named = self.report.findings.iter_mut().find(|finding| {
                finding.place == Place::Header && finding.versions == Some((lost, lost))
            });
            if let Some(finding) = named {
                finding.key = Some(header.key.clone());
                finding.touches = Touches::Past;
            }
            return;
        }
        let version = header.version;
        let finding = Finding::new(Place::Header, problem)
            .of(&header.key)
            .at(version, version);
        self.report.add(finding);
    }

    fn body(&mut self, header: &Arc<Header>) -> Result<(), Error> {
        let Err(error) = self.view.fill(Arc::clone(header).into()) else {
            return Ok(());
        };
        let problem = reason_of(error)?;
        let version = header.version;
        // What is built from a damaged body is lost with it.
        let cause = self.unread.get(&header.base).copied();
        let place = match cause {
            Some(place) if header.base != version => {
                let finding = place.and_then(|place| self.report.findings.get_mut(place));
                if let Some(finding) = finding {
                    finding.lost.push(version);
                }
                place
            }
            _ => {
                let finding = Finding::new(Place::Body, problem);
                self.report
                    .add(finding.of(&header.key).at(version, version))
            }
        };
        self.unread.insert(version, place);
        Ok(())
    }

    /// The entries of a shelf in the tables, against the newest revisions there.
    fn shelf(&mut self, base: &Base, shelf: Shelf) -> Result<(), Error> {
        let place = place_of(shelf);
        let mut count = 0;
        let ended = base.walk_shelf(shelf, &mut |text, bytes| {
            count += 1;
            let finding = match Key::stored(text) {
                Some(key) => self.entry(shelf, &key, bytes).map(|it| it.of(&key)),
                None => Some(Finding::new(place, "stands under a bad key")),
            };
            if let Some(finding) = finding {
                self.report.add(finding.touching(Touches::Derived));
            }
        })?;
        let is_broken = ended.is_some();
        if let Some(reason) = ended {
            let finding = Finding::new(place, format!("behind entry {count}: {reason}"));
            self.report.add(finding.touching(Touches::Derived));
        }
        for (key, chain) in &self.chains {
            if chain.is_judged || chain.newest.is_live() != (shelf == Shelf::Live) {
                continue;
            }
            // By its key too, and not only by walking past it.
            let found = base.shelved(shelf, key, |bytes| decode_shelved(bytes, key.clone()));
            let is_right = match found {
                Ok(found) => {
                    let is_newest = found.as_ref() == Some(&*chain.newest);
                    is_newest && (chain.is_shelved || is_broken)
                }
                Err(error) => {
                    reason_of(error)?;
                    false
                }
            };
            if !is_right {
                let version = chain.newest.version;
                let finding = Finding::new(place, "the newest revision is not found")
                    .of(key)
                    .at(version, version);
                self.report.add(finding.touching(Touches::Derived));
            }
        }
        Ok(())
    }

    /// What is wrong with an entry of a shelf.
    fn entry(&mut self, shelf: Shelf, key: &Key, bytes: &[u8]) -> Option<Finding> {
        let place = place_of(shelf);
        let chain = self.chains.get_mut(key.encoded());
        let header = match decode_shelved(bytes, key.clone()) {
            Ok(header) => header,
            Err(error) => {
                // It is one thing that is wrong, not also a missing entry.
                if let Some(chain) = chain {
                    chain.is_judged = true;
                }
                return Some(Finding::new(place, told(error)));
            }
        };
        let version = header.version;
        let finding = |problem: &str| Some(Finding::new(place, problem).at(version, version));
        match chain {
            Some(chain) if chain.newest.version == version => {
                chain.is_shelved = true;
                let is_here = header.is_live() == (shelf == Shelf::Live);
                chain.is_judged = !is_here || *chain.newest != header;
                if !is_here {
                    return finding("stands on the wrong shelf");
                }
                chain
                    .is_judged
                    .then(|| finding("is not what the log says"))
                    .flatten()
            }
            // The header of the newest revision is lost, and this entry has it.
            _ if self.damaged.has(version.get()) => {
                let named = self.report.findings.iter_mut().find(|finding| {
                    finding.place == Place::Header && finding.versions == Some((version, version))
                });
                if let Some(finding) = named {
                    finding.key = Some(key.clone());
                    finding.touches = Touches::Present;
                }
                if let Some(chain) = chain {
                    chain.is_judged = true;
                }
                None
            }
            Some(chain) => {
                chain.is_judged = true;
                finding("is not the newest revision")
            }
            None => finding("the log has no revision of it"),
        }
    }

    /// Bodies that belong to no header, and bodies out of reach.
    fn bodies(&mut self, base: &Base) -> Result<(), Error> {
        let oldest = self.chains.values().map(|chain| chain.oldest.0);
        let bases: BTreeSet<Version> = oldest.collect();
        base.walk(History::Bodies, base.meta.applied.get(), &mut |sight| {
            let (first, last, problem) = match sight {
                Sight::Row(version, _) => {
                    let is_known = self.present.has(version) || self.damaged.has(version);
                    if is_known || bases.contains(&Version::new(version)) {
                        return true;
                    }
                    (version, version, "belongs to no revision".to_owned())
                }
                // What is out of reach was found so by its revision, if it has one.
                Sight::Gap(first, last, reason) => {
                    let (first, last) = (Version::new(first), Version::new(last));
                    if self.unread.range(first..=last).next().is_some() {
                        return false;
                    }
                    (first.get(), last.get(), reason.to_owned())
                }
            };
            let (first, last) = (Version::new(first), Version::new(last));
            let finding = Finding::new(Place::Body, problem);
            self.report.add(finding.at(first, last));
            false
        })
    }

    /// What is in memory and not yet in the tables.
    fn overlay(&mut self, applied: Version) -> Result<(), Error> {
        let mut touched = BTreeSet::new();
        let mut next = applied;
        while next < self.view.head() {
            next = next.next();
            match self.view.header(next)? {
                Some(header) => {
                    touched.insert(header.key.clone());
                    self.revision(header)?;
                }
                None => {
                    let finding = Finding::new(Place::Log, "the revision is not there");
                    self.report.add(finding.at(next, next));
                }
            }
        }
        for key in touched {
            let newest = self.chains.get(key.encoded()).map(|chain| &chain.newest);
            let found = self.view.newest(&key, true)?.map(|slot| slot.header);
            if found.as_ref() != newest {
                let finding = Finding::new(Place::Log, "the state is not the newest revision");
                self.report.add(finding.of(&key).touching(Touches::Derived));
            }
        }
        Ok(())
    }

    /// The numbers: what is there, what was removed, and what there should be.
    fn totals(&mut self, base: &Base) -> Result<(), Error> {
        let head = self.view.head();
        let floors = self.view.floors()?;
        let newest = floors.newest().get();
        let mut missing = 0;
        for (first, last) in self.present.gaps(1, head.get()) {
            missing += last - first + 1;
            // Damaged rows are findings of their own.
            for (first, last) in self.damaged.gaps(first.max(newest + 1), last) {
                let finding = Finding::new(Place::Header, "is missing");
                let (first, last) = (Version::new(first), Version::new(last));
                self.report.add(finding.at(first, last));
            }
        }
        let lost = self.damaged.count();
        if missing != floors.removed() + lost && lost == 0 {
            let problem = format!(
                "{} revisions were removed, and {missing} are missing",
                floors.removed()
            );
            self.report.add(Finding::new(Place::Meta, problem));
        }
        for live in [true, false] {
            let chains = self.chains.values();
            let count = chains.filter(|it| it.newest.is_live() == live).count() as u64;
            let (kept, place) = if live {
                self.report.live = count;
                (base.count(Shelf::Live), Place::Resource)
            } else {
                self.report.trash = count;
                (base.count(Shelf::Trash), Place::Trash)
            };
            let is_settled = base.meta.applied == head && lost == 0;
            if is_settled && kept.is_ok_and(|kept| kept != count) {
                let finding = Finding::new(place, "says another number of entries than it has");
                self.report.add(finding.touching(Touches::Derived));
            }
        }
        self.report.version = head;
        Ok(())
    }

    /// Says of each finding whether it touches the present, now that the newest are known.
    fn judge(&mut self) {
        for finding in &mut self.report.findings {
            let (Some(key), Some((_, last))) = (&finding.key, finding.versions) else {
                continue;
            };
            let Some(chain) = self.chains.get(key.encoded()) else {
                continue;
            };
            if finding.touches == Touches::Unknown {
                let newest = chain.newest.version;
                let is_present = newest <= last || finding.lost.contains(&newest);
                finding.touches = if is_present {
                    Touches::Present
                } else {
                    Touches::Past
                };
            }
        }
    }
}

/// What is wrong with bytes that cannot be decoded.
fn told(error: Error) -> String {
    reason_of(error).unwrap_or_else(|other| other.to_string())
}

fn place_of(shelf: Shelf) -> Place {
    match shelf {
        Shelf::Live => Place::Resource,
        Shelf::Trash => Place::Trash,
    }
}

/// What is wrong between a revision and the one of the same key before it. Below the compacted
/// version (`is_whole` is false) revisions between them may be missing.
fn broken_link(before: &Header, header: &Header, is_whole: bool) -> Option<&'static str> {
    if header.previous != Some(before.version) {
        return Some("does not link to the revision before it");
    }
    if header.ordinal != before.ordinal + 1 {
        return Some("has the wrong ordinal");
    }
    let was_live = before.is_live();
    let fits = match header.action {
        Action::Created => !was_live,
        Action::Updated | Action::Deleted => was_live,
    };
    if !fits && is_whole {
        return Some("does what the state before it does not allow");
    }
    if fits && was_live && before.uid != header.uid && is_whole {
        return Some("changes the uid");
    }
    (before.time > header.time).then_some("is older than the revision before it")
}

/// Numbers as ranges, in order, none of which touch.
#[derive(Default)]
struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    fn add(&mut self, first: u64, last: u64) {
        let start = self.0.partition_point(|range| range.1 + 1 < first);
        let (mut whole, mut end) = ((first, last), start);
        while let Some(range) = self.0.get(end).filter(|range| range.0 <= last + 1) {
            whole = (whole.0.min(range.0), whole.1.max(range.1));
            end += 1;
        }
        self.0.splice(start..end, [whole]);
    }

    fn has(&self, number: u64) -> bool {
        let at = self.0.partition_point(|range| range.1 < number);
        self.0.get(at).is_some_and(|range| range.0 <= number)
    }

    /// The greatest number; zero if there is none.
    fn last(&self) -> u64 {
        self.0.last().map_or(0, |range| range.1)
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// What is between the ranges, from one number to another.
    fn gaps(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut next = start;
        let at = self.0.partition_point(|range| range.1 < start);
        let inside = self.0[at..].iter().take_while(|range| range.0 <= end);
        for &(first, last) in inside.chain([&(end + 1, end + 1)]) {
            if first > next {
                gaps.push((next, first - 1));
            }
            next = last + 1;
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    //! Would catch numbers that are in two ranges, or in none.
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Ranges;

    proptest! {
        #[test]
        fn ranges_are_the_numbers_that_were_added(
            added in prop::collection::vec((1..60u64, 0..9u64), 0..12),
            (start, end) in (1..60u64, 1..80u64),
        ) {
            let (mut ranges, mut all) = (Ranges::default(), BTreeSet::new());
            for (first, more) in added {
                ranges.add(first, first + more);
                all.extend(first..=first + more);
            }
            prop_assert_eq!(ranges.count(), all.len() as u64);
            prop_assert_eq!(ranges.last(), all.last().copied().unwrap_or(0));
            prop_assert!((0..80).all(|number| ranges.has(number) == all.contains(&number)));
            prop_assert!(ranges.0.windows(2).all(|two| two[0].1 + 1 < two[1].0));
            let gaps = ranges.gaps(start, end);
            let gaps: Vec<u64> = gaps.into_iter().flat_map(|(first, last)| first..=last).collect();
            let wanted = (start..=end).filter(|number| !all.contains(number));
            prop_assert_eq!(gaps, wanted.collect::<Vec<_>>());
        }
    }
}
