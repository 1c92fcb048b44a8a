//! Proves, from the log alone, that the log is whole and that the shelves follow from it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::{Shelf, View};
use crate::Error;
use crate::model::{Action, Header, Key, Version};

/// How many findings a report keeps; the rest are only counted.
const FINDINGS_MAX: usize = 100;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many revisions were read.
    pub revisions: u64,
    /// How many live objects were compared.
    pub live: u64,
    /// How many deleted objects were compared.
    pub trash: u64,
    /// What is wrong, in words; empty for a sound store. At most 100 are kept.
    pub findings: Vec<String>,
    /// How many things are wrong.
    pub wrong: u64,
}

impl Report {
    fn add(&mut self, finding: String) {
        self.wrong += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

/// Reads everything of one state. The memory it takes grows with the number of keys, and by eight
/// bytes a revision.
pub(crate) fn check(view: &View) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut newest: BTreeMap<Key, Header> = BTreeMap::new();
    // The versions of each key by ordinal, to hold the far links against.
    let mut chains: BTreeMap<Key, (u64, Vec<Version>)> = BTreeMap::new();
    let mut expected = Version::ZERO;
    let floors = view.floors()?;
    view.log(Version::ZERO, &mut |revision| {
        expected = expected.next();
        let header = revision.header();
        if header.version != expected && header.version.get() > floors.newest().get() + 1 {
            report.add(format!(
                "the log goes from {expected} to {}",
                header.version
            ));
        }
        expected = header.version;
        let before = newest.get(&header.key);
        let floor = floors.get(&header.key.collection());
        let is_cut = before.is_none() && header.previous.is_some_and(|p| p <= floor);
        if !is_cut && let Some(problem) = broken_link(before, header) {
            report.add(format!("version {}: {problem}", header.version));
        }
        let chain = chains.entry(header.key.clone());
        let (first, chain) = chain.or_insert_with(|| (header.ordinal, Vec::new()));
        chain.push(header.version);
        let far = header.jump_ordinal.checked_sub(*first);
        let far = far.and_then(|at| chain.get(usize::try_from(at).ok()?));
        let is_cut = header.jump_ordinal < *first && header.jump <= floor;
        if far != Some(&header.jump) && !is_cut {
            report.add(format!("version {}: the far link is wrong", header.version));
        }
        report.revisions += 1;
        newest.insert(header.key.clone(), header.clone());
        Ok(ControlFlow::Continue(()))
    })?;
    let (head, removed) = (view.head().get(), floors.removed());
    if report.revisions + removed != head {
        let there = report.revisions;
        report.add(format!(
            "{there} revisions are there and {removed} were removed, of {head}"
        ));
    }
    for (shelf, live) in [(Shelf::Live, true), (Shelf::Trash, false)] {
        let mut count = 0;
        view.scan(shelf, "", None, &mut |slot| {
            let header = &*slot.header;
            count += 1;
            if newest.get(&header.key) != Some(header) || header.is_live() != live {
                report.add(format!(
                    "{}: the {shelf:?} entry is not the newest revision",
                    header.key
                ));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let wanted = newest
            .values()
            .filter(|header| header.is_live() == live)
            .count() as u64;
        if count != wanted {
            report.add(format!(
                "{shelf:?} holds {count} entries, the log says {wanted}"
            ));
        }
        match shelf {
            Shelf::Live => report.live = count,
            Shelf::Trash => report.trash = count,
        }
    }
    Ok(report)
}

/// What is wrong between a revision and the one of the same key before it.
fn broken_link(before: Option<&Header>, header: &Header) -> Option<&'static str> {
    if header.previous != before.map(|before| before.version) {
        return Some("does not link to the revision before it");
    }
    if header.ordinal != before.map_or(0, |before| before.ordinal + 1) {
        return Some("has the wrong ordinal");
    }
    let was_live = before.is_some_and(Header::is_live);
    let fits = match header.action {
        Action::Created => !was_live,
        Action::Updated | Action::Deleted => was_live,
    };
    if !fits {
        return Some("does what the state before it does not allow");
    }
    match before {
        Some(before) if was_live && before.uid != header.uid => Some("changes the uid"),
        Some(before) if before.time > header.time => Some("is older than the revision before it"),
        _ => None,
    }
}
