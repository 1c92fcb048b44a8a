//! Which keys of a layer were given a label in it.
//!
//! Only readers with a selector need to know, so they pay for it: whoever asks first takes the
//! revisions into the map that have come since somebody last asked, each of them once. The writer
//! never waits for this.
//!
//! A key that had a label in the layer once is found by it for ever: what it has at the version of
//! the reader, the reader sees itself.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::labels::{Mark, marks};
use super::overlay::Entry;
use crate::model::Key;

/// The keys by the marks of their labels.
#[derive(Debug, Default)]
pub(super) struct Labelled {
    /// How many revisions of the layer are in the map.
    pub(super) known: usize,
    keys: HashMap<Mark, BTreeSet<Key>>,
}

impl Labelled {
    /// Takes in the next revisions.
    pub(super) fn extend(&mut self, entries: &[Arc<Entry>]) {
        self.known += entries.len();
        for entry in entries {
            let header = &entry.header;
            // Whoever has its labels from an older revision is found by that one.
            if !header.is_live() || header.labelled != header.version {
                continue;
            }
            for mark in marks(header) {
                let keys = self.keys.entry(mark).or_default();
                keys.insert(header.key.clone());
            }
        }
    }

    /// The next keys with this label, in order, from this text on, that begin with `prefix`.
    pub(super) fn scan(&self, mark: Mark, prefix: &str, from: &str, limit: usize) -> Vec<Key> {
        let Some(keys) = self.keys.get(&mark) else {
            return Vec::new();
        };
        keys.range::<str, _>((Bound::Included(from.max(prefix)), Bound::Unbounded))
            .take_while(|key| key.encoded().starts_with(prefix))
            .take(limit)
            .cloned()
            .collect()
    }
}
