//! How a page of a list finds its objects: on the shelves, or by their labels.
//!
//! A selector that asks for the value of a label is answered from the index when few objects have
//! it. Where most of them do, walking the shelf is cheaper than looking each of them up, so a page
//! begins with a trial: the first keys of the index, and how many objects the shelf has on the
//! same stretch. Either way gives the same objects in the same order; a wrong guess costs time
//! only.
//!
//! Absent: the trash, which is always walked; and what a key is, which `read` decides for both.

use super::read::{List, ShelfWalk};
use crate::Error;
use crate::disk::{Selection, Slot, View};
use crate::model::{Key, Version};

/// How many keys of the index a page tries at the most.
const TRIAL_KEYS: usize = 64;
/// How many rows of the index it reads for them at the most.
const TRIAL_ROWS: usize = 512;
/// How many objects of a shelf are walked over in the time that one is looked up in. Most of both
/// is reading the header.
const LOOK_UP_COST: usize = 2;
/// How many rows of the index are read in the time that one object is walked over in.
const ROWS_PER_OBJECT: usize = 8;

/// The newest revisions of the keys that a page may hold, in key order.
pub(super) enum Walk<'a> {
    Shelf(ShelfWalk<'a>),
    Labels(LabelWalk<'a>),
}

impl<'a> Walk<'a> {
    /// The walk for a list of the live objects at this version, or of those that are not live.
    pub(super) fn new(
        view: &'a View,
        list: &'a List,
        version: Version,
        live: bool,
    ) -> Result<Self, Error> {
        // A key on the trash shelf was live in this state only if something was written since.
        let both = !live || version < view.head();
        let shelf = ShelfWalk::new(view, list, both);
        let labels = &list.filter.labels;
        if !live || shelf.is_pinned() {
            return Ok(Walk::Shelf(shelf));
        }
        let prefix = shelf.prefix();
        let after = list.after.as_ref();
        let Some(mut selection) = Selection::new(view, labels, prefix, after, version)? else {
            return Ok(Walk::Shelf(shelf));
        };
        let (keys, ended) = selection.first(TRIAL_KEYS.min(list.limit), TRIAL_ROWS)?;
        if !ended {
            let cost = selection.rows() / ROWS_PER_OBJECT + LOOK_UP_COST * keys.len();
            let below = selection.position();
            if view.count_below(prefix, after, below, cost)? < cost {
                return Ok(Walk::Shelf(shelf));
            }
        }
        Ok(Walk::Labels(LabelWalk {
            view,
            keys: keys.into_iter(),
            selection,
            both,
        }))
    }

    /// The next one, whether it is chosen or not.
    pub(super) fn next(&mut self) -> Result<Option<Slot>, Error> {
        match self {
            Walk::Shelf(walk) => walk.next(),
            Walk::Labels(walk) => walk.next(),
        }
    }
}

/// The objects that may have the labels.
pub(super) struct LabelWalk<'a> {
    view: &'a View,
    /// What the trial has found.
    keys: std::vec::IntoIter<Key>,
    selection: Selection<'a>,
    /// Whether keys that are not live now are wanted.
    both: bool,
}

impl LabelWalk<'_> {
    fn next(&mut self) -> Result<Option<Slot>, Error> {
        loop {
            let key = match self.keys.next() {
                Some(key) => key,
                None => match self.selection.next()? {
                    Some(key) => key,
                    None => return Ok(None),
                },
            };
            if let Some(newest) = self.view.newest(&key, self.both)? {
                return Ok(Some(newest));
            }
        }
    }
}
