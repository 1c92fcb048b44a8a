//! One walk along the log for all objects that are kept alike.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Rules;
use super::plan::Plan;
use crate::Error;
use crate::disk::{Disk, Shelf, Trim, View};
use crate::model::{Collection, Header, Keep, Key, Timestamp, Version};
use crate::sync::AtomicU64;

/// How many revisions one step looks at.
const LOOK_MAX: usize = 2_048;

/// What a sweep removes, from which objects.
#[derive(Debug)]
pub(super) struct Sweep {
    /// What its place is stored under.
    name: String,
    what: What,
    /// How long ago a revision was written at which the sweep acts.
    wait: Duration,
    /// The names of all sweeps of the same rules; empty for one that follows none.
    siblings: Arc<[String]>,
    /// How far it has looked without finding anything to remove, which is not worth a commit.
    seen: AtomicU64,
}

#[derive(Clone, Debug)]
enum What {
    /// All but so many revisions of the objects that this rule is for.
    Revisions(Keep, u64),
    /// The objects of this rule that were deleted.
    Trash(Keep),
    /// All but the newest revision of the objects of this collection.
    Compact(Collection),
}

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is nothing to look at yet.
    Nothing,
    /// It looked, and removed so many revisions.
    Some(u64),
}

/// What the names of sweeps begin with that follow no rule.
const COMPACT: &str = "compact ";

impl Sweep {
    /// The sweeps that these rules ask for.
    pub(super) fn of(rules: &Rules, grace: Duration) -> Vec<Sweep> {
        let mut sweeps = Vec::new();
        for keep in rules.kinds() {
            let mut add = |part: &str, what, wait: Duration| {
                sweeps.push(Sweep {
                    name: format!("{part} {keep} of {}", rules.name()),
                    what,
                    wait: wait.max(grace),
                    siblings: Arc::default(),
                    seen: AtomicU64::new(0),
                });
            };
            if keep.limits_revisions() {
                let count = keep.revisions.unwrap_or(1);
                let wait = keep.age.unwrap_or_default();
                add("revisions", What::Revisions(keep, count), wait);
            }
            if let Some(trash) = keep.trash {
                add("trash", What::Trash(keep), trash);
            }
        }
        let names: Arc<[String]> = sweeps.iter().map(|sweep| sweep.name.clone()).collect();
        for sweep in &mut sweeps {
            sweep.siblings = Arc::clone(&names);
        }
        sweeps
    }

    /// One that leaves the newest revision of each object of a collection.
    pub(super) fn compact(collection: &Collection) -> Sweep {
        Sweep {
            name: format!("{COMPACT}{:?}", collection.prefix()),
            what: What::Compact(collection.clone()),
            wait: Duration::ZERO,
            siblings: Arc::default(),
            seen: AtomicU64::new(0),
        }
    }

    /// Looks at the next revisions of the log, up to this version, and removes what they supersede.
    pub(super) fn step(
        &self,
        disk: &Disk,
        rules: &Rules,
        now: Timestamp,
        until: Version,
    ) -> Result<Progress, Error> {
        let horizon = disk.horizon()?.min(until);
        let wait = u64::try_from(self.wait.as_micros()).unwrap_or(u64::MAX);
        let view = disk.view()?;
        let seen = Version::new(self.seen.load(Ordering::Relaxed));
        let start = view.swept(&self.name)?.max(seen);
        let mut plan = Plan::new(&view);
        let (mut reached, mut looked) = (start, 0);
        view.headers(start, &mut |header| {
            let due = self.wait.is_zero() || header.time.0.saturating_add(wait) <= now.0;
            if header.version > horizon || !due || looked == LOOK_MAX {
                return Ok(ControlFlow::Break(()));
            }
            looked += 1;
            let version = header.version;
            // What does not fit into this step is gone on with in the next one, from here.
            let fits = self.look(header, rules, &mut plan)?;
            if fits {
                reached = version;
            }
            Ok(if fits && !plan.is_full() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            })
        })?;
        if looked == 0 {
            return Ok(Progress::Nothing);
        }
        let mut trim = plan.finish()?;
        trim.cursor = Some((self.name.clone(), reached));
        trim.stale = self.stale(&view)?;
        let count = trim.revisions.len() as u64;
        if (count > 0 || looked == LOOK_MAX) && !disk.trim(trim)? {
            return Ok(Progress::Nothing);
        }
        self.seen.store(reached.get(), Ordering::Relaxed);
        Ok(if count > 0 || reached > start {
            Progress::Some(count)
        } else {
            Progress::Nothing
        })
    }

    /// The stored places of sweeps of other rules. They would be good again with their rules, but
    /// nobody can tell whether those come back.
    fn stale(&self, view: &View) -> Result<Vec<String>, Error> {
        if self.siblings.is_empty() {
            return Ok(Vec::new());
        }
        let mut names = view.sweeps()?;
        names.retain(|name| !name.starts_with(COMPACT) && !self.siblings.contains(name));
        Ok(names)
    }

    /// Plans what goes because of this revision; `false` if that is too much for one step.
    fn look(&self, header: Header, rules: &Rules, plan: &mut Plan<'_>) -> Result<bool, Error> {
        match &self.what {
            What::Revisions(keep, count) if rules.of(&header.key) == *keep => {
                plan.keep_newest(header, *count)
            }
            What::Trash(keep) if rules.of(&header.key) == *keep => plan.forget(header),
            What::Compact(collection) if collection.contains(&header.key) => {
                plan.keep_newest(header, 1)
            }
            What::Revisions(..) | What::Trash(_) | What::Compact(_) => Ok(true),
        }
    }
}

/// The collections within a namespace that a wider one is made of, as far as they hold anything. One
/// that is within a namespace is its only part.
pub(super) fn parts(view: &View, collection: &Collection) -> Result<Vec<Collection>, Error> {
    if collection.is_within() {
        return Ok(vec![collection.clone()]);
    }
    let mut parts = BTreeMap::new();
    for shelf in [Shelf::Live, Shelf::Trash] {
        let mut after: Option<Key> = None;
        loop {
            let mut found = None;
            view.scan(shelf, collection.prefix(), after.as_ref(), &mut |slot| {
                found = Some(slot.header.key.collection());
                Ok(ControlFlow::Break(()))
            })?;
            let Some(part) = found else {
                break;
            };
            // On to the next namespace: no name sorts behind this one.
            after = Key::stored(&format!("{}{}", part.prefix(), char::MAX));
            parts.insert(part.prefix().to_owned(), part);
        }
    }
    Ok(parts.into_values().collect())
}

/// Raises the compacted version of these collections within a namespace.
pub(super) fn raise(disk: &Disk, parts: &[Collection], to: Version) -> Result<(), Error> {
    let mut trim = Trim::default();
    let floors = parts.iter().map(|part| (part.prefix().into(), to));
    trim.floors.extend(floors);
    disk.trim(trim).map(drop)
}
