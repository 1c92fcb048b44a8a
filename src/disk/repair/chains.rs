//! The revisions of a key, linked again around those that are lost.
//!
//! ```text
//! before   0 <- 1 <- 2 <- 3 <- 4        revision 2 is lost
//! after    0 <- 1 <------ 2 <- 3        3 and 4 are renumbered; the compacted version is that of 3
//! ```
//!
//! What stands before the first loss keeps its header as it is, also where its links lead to what
//! retention has removed. What stands behind it gets a new ordinal and new links. A revision whose
//! base is lost is stored whole and is its own base.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Action, Header, Version};

/// What retention may have removed of what is missing. Of a key it removes the oldest revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    Nothing,
    /// Nothing above the compacted version of a collection.
    Below,
    /// It is not known how far it came.
    Anything,
}

/// What becomes of the revisions of one key.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// The headers to be written, oldest first.
    pub(super) headers: Vec<Header>,
    /// Below this version the state of the key is not whole; zero if all of it is there.
    pub(super) floor: Version,
    /// How many revisions of the key are lost, by their ordinals: at least and at most.
    pub(super) lost: (u64, u64),
    /// Those of them whose version a link tells.
    pub(super) lost_versions: Vec<Version>,
    /// How many headers are not what they were.
    pub(super) rewritten: u64,
}

/// How many revisions before the oldest one that is there are lost, at least and at most, and not
/// removed.
fn lost_before(first: &Header, floor: Version, removed: Removed) -> (u64, u64) {
    let Some(previous) = first.previous else {
        return (0, 0);
    };
    // An earlier life of the key may have been removed as a whole.
    let is_new_life = first.action == Action::Created && previous <= floor;
    let least = match removed {
        Removed::Nothing => first.ordinal,
        Removed::Below if first.version > floor && !is_new_life => {
            // From the far link on everything is above the compacted version, if that is.
            let far = if first.jump > floor {
                first.ordinal.saturating_sub(first.jump_ordinal)
            } else {
                0
            };
            far.max(1)
        }
        Removed::Below | Removed::Anything => 0,
    };
    (least.min(first.ordinal), first.ordinal)
}

/// Links the readable revisions of a key, oldest first. `whole` are the versions whose body is
/// there and has no base; `floor` is the compacted version so far.
pub(super) fn relink(
    readable: &[Header],
    whole: &BTreeSet<Version>,
    floor: Version,
    removed: Removed,
) -> Chain {
    let mut chain = Chain::default();
    if let Some(first) = readable.first() {
        chain.lost = lost_before(first, floor, removed);
        if chain.lost.0 > 0 {
            chain.lost_versions.extend(first.previous);
        }
    }
    let mut ordinals: BTreeMap<Version, u64> = BTreeMap::new();
    let mut is_cut = false;
    for old in readable {
        let mut header = old.clone();
        match chain.headers.last() {
            // An earlier life of the key may have been removed as a whole.
            None if old.action == Action::Created && old.previous <= Some(floor) => {}
            None if old.previous.is_some() => chain.floor = chain.floor.max(old.version),
            None => {}
            Some(before) => {
                let follows = old.previous == readable_before(&chain.headers);
                if !follows {
                    is_cut = true;
                    chain.floor = chain.floor.max(old.version);
                    let known = readable.iter().rev().find(|it| it.version < old.version);
                    let known = known.map_or(0, |it| it.ordinal + 1);
                    let count = old.ordinal.saturating_sub(known);
                    chain.lost.0 += count;
                    chain.lost.1 += count;
                    chain.lost_versions.extend(old.previous);
                }
                if is_cut {
                    let (jump, jump_ordinal) = far_link(&chain.headers, before);
                    let is_same = before.is_live() && before.labels == old.labels;
                    header = Header {
                        previous: Some(before.version),
                        ordinal: before.ordinal + 1,
                        jump,
                        jump_ordinal,
                        labelled: if is_same {
                            before.labelled
                        } else {
                            old.version
                        },
                        ..header
                    };
                }
            }
        }
        let base = ordinals
            .get(&old.base)
            .filter(|_| whole.contains(&old.base));
        (header.base, header.base_ordinal) = match base {
            Some(ordinal) => (old.base, *ordinal),
            None => (header.version, header.ordinal),
        };
        chain.rewritten += u64::from(header != *old);
        ordinals.insert(header.version, header.ordinal);
        chain.headers.push(header);
    }
    chain
}

fn readable_before(headers: &[Header]) -> Option<Version> {
    headers.last().map(|before| before.version)
}

/// The far link of the revision behind `before`, by the numbers of the new chain, see [`Header`].
fn far_link(headers: &[Header], before: &Header) -> (Version, u64) {
    if before.ordinal == 0 {
        return (before.version, 0);
    }
    let start = headers.first().map_or(0, |first| first.ordinal);
    let far = before.jump_ordinal.checked_sub(start);
    let far = far.and_then(|at| headers.get(usize::try_from(at).ok()?));
    match far {
        Some(far)
            if before.ordinal.checked_sub(far.ordinal)
                == far.ordinal.checked_sub(far.jump_ordinal) =>
        {
            (far.jump, far.jump_ordinal)
        }
        _ => (before.version, before.ordinal),
    }
}
