//! One walk along the log for all objects that are kept alike.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Rules;
use super::plan::Plan;
use crate::Error;
use crate::disk::{Disk, Trim};
use crate::model::{Collection, Header, Keep, Timestamp, Version};
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
    /// How far it has looked without finding anything to remove, which is not worth a commit.
    seen: AtomicU64,
}

#[derive(Clone, Debug)]
enum What {
    /// All but so many revisions of the objects that this rule is for.
    Revisions(Keep, u64),
    /// The objects of this rule that were deleted.
    Trash(Keep),
    /// All but the newest revision up to this version, of one collection.
    Compact(Collection, Version),
}

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is nothing to look at yet.
    Nothing,
    /// It looked, and removed so many revisions.
    Some(u64),
}

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
        sweeps
    }

    /// One that makes this version the oldest of a collection within a namespace.
    pub(super) fn compact(collection: &Collection, to: Version) -> Sweep {
        Sweep {
            name: format!("compact {:?}", collection.prefix()),
            what: What::Compact(collection.clone(), to),
            wait: Duration::ZERO,
            seen: AtomicU64::new(0),
        }
    }

    /// Looks at the next revisions of the log and removes what they supersede.
    pub(super) fn step(
        &self,
        disk: &Disk,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Progress, Error> {
        let mut horizon = disk.horizon()?;
        if let What::Compact(_, to) = &self.what {
            horizon = horizon.min(*to);
        }
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

    /// Plans what goes because of this revision; `false` if that is too much for one step.
    fn look(&self, header: Header, rules: &Rules, plan: &mut Plan<'_>) -> Result<bool, Error> {
        match &self.what {
            What::Revisions(keep, count) if rules.of(&header.key) == *keep => {
                plan.keep_newest(header, *count)
            }
            What::Trash(keep) if rules.of(&header.key) == *keep => plan.forget(header),
            What::Compact(collection, _) if collection.contains(&header.key) => {
                plan.keep_newest(header, 1)
            }
            What::Revisions(..) | What::Trash(_) | What::Compact(..) => Ok(true),
        }
    }
}

/// Raises the compacted version of a collection within a namespace.
pub(super) fn raise(disk: &Disk, collection: &Collection, to: Version) -> Result<(), Error> {
    let mut trim = Trim::default();
    trim.floors.insert(collection.prefix().into(), to);
    disk.trim(trim).map(drop)
}
