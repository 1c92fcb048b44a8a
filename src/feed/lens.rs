//! Filters that many watchers look through, and what they showed.
//!
//! Watchers with equal filters share a lens. What a lens shows of the changes of a chunk is kept
//! with the chunk, so that it is worked out once for all of them, and forgotten with the chunk:
//!
//! ```text
//! chunk    65  66  67  68 ..       one bit of each word for each slot
//! known     1   1   1   0
//! matched   0   1   1   -          before the change
//! matches   1   1   0   -          after it:  65 added, 66 modified, 67 deleted
//! ```

use std::sync::Arc;

use super::commit::Change;
use super::sight::{judge, kind_of};
use crate::model::{EventKind, Filter};
use crate::sync::Mutex;

/// How many lenses a chunk keeps verdicts of. The others judge for themselves.
const MEMO_LENSES_MAX: usize = 16;

/// A filter; equal filters of one hub are one lens.
#[derive(Debug)]
pub(super) struct Lens {
    /// Never given to another filter.
    pub(super) id: u64,
    pub(super) filter: Filter,
    is_all: bool,
}

impl Lens {
    pub(super) fn new(id: u64, filter: Filter) -> Self {
        let is_all = filter.is_all();
        Lens { id, filter, is_all }
    }

    /// Whether it is worth keeping what it shows: somebody else may ask, and it costs something.
    pub(super) fn is_shared(self: &Arc<Self>) -> bool {
        // The hub has one, each watcher another.
        !self.is_all && Arc::strong_count(self) > 2
    }

    pub(super) fn judge(&self, change: &Change) -> Option<EventKind> {
        if self.is_all {
            return kind_of(change.before.is_some(), change.revision.header().is_live());
        }
        judge(&self.filter, change)
    }
}

/// What a lens shows of a chunk, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdicts {
    known: u64,
    matched: u64,
    matches: u64,
}

impl Verdicts {
    /// How the change in this slot looks, from memory if possible.
    pub(super) fn judge(&mut self, lens: &Lens, slot: usize, change: &Change) -> Option<EventKind> {
        let bit = 1 << slot;
        if self.known & bit != 0 {
            return kind_of(self.matched & bit != 0, self.matches & bit != 0);
        }
        let kind = lens.judge(change);
        self.known |= bit;
        if matches!(kind, Some(EventKind::Modified | EventKind::Deleted)) {
            self.matched |= bit;
        }
        if matches!(kind, Some(EventKind::Modified | EventKind::Added)) {
            self.matches |= bit;
        }
        kind
    }

    fn add(&mut self, other: &Verdicts) {
        self.known |= other.known;
        self.matched |= other.matched;
        self.matches |= other.matches;
    }
}

/// The verdicts that a chunk keeps, by the lenses' ids.
#[derive(Debug, Default)]
pub(super) struct Memo {
    of: Mutex<Vec<(u64, Verdicts)>>,
}

impl Memo {
    pub(super) fn get(&self, lens: u64) -> Verdicts {
        let of = self.of.lock();
        let found = of.iter().find(|(id, _)| *id == lens);
        found.map_or_else(Verdicts::default, |(_, verdicts)| *verdicts)
    }

    pub(super) fn put(&self, lens: u64, verdicts: &Verdicts) {
        let mut of = self.of.lock();
        if let Some((_, known)) = of.iter_mut().find(|(id, _)| *id == lens) {
            known.add(verdicts);
        } else if of.len() < MEMO_LENSES_MAX {
            of.push((lens, *verdicts));
        }
    }
}

#[cfg(test)]
mod tests {
    //! Would catch a verdict that changes when it is remembered, and a memo without a limit.
    use super::*;

    #[test]
    fn what_is_kept_is_what_was_judged() {
        let memo = Memo::default();
        let kinds = [(false, false), (false, true), (true, true), (true, false)];
        for lens in 0..2 * MEMO_LENSES_MAX as u64 {
            for slot in 0..64 {
                let (matched, matches) = kinds[(slot + lens as usize) % kinds.len()];
                let bit = |is: bool| u64::from(is) << slot;
                let (known, matched, matches) = (bit(true), bit(matched), bit(matches));
                memo.put(
                    lens,
                    &Verdicts {
                        known,
                        matched,
                        matches,
                    },
                );
            }
            let kept = memo.get(lens);
            if lens >= MEMO_LENSES_MAX as u64 {
                assert_eq!(kept, Verdicts::default());
                continue;
            }
            assert_eq!(kept.known, u64::MAX);
            for slot in 0..64 {
                let (matched, matches) = kinds[(slot + lens as usize) % kinds.len()];
                assert_eq!(kept.matched >> slot & 1 == 1, matched);
                assert_eq!(kept.matches >> slot & 1 == 1, matches);
            }
        }
    }
}
