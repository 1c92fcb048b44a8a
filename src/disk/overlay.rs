//! What is durable in the commit log and not yet in the tables, in memory.
//!
//! A [`Layer`] belongs to one file of the commit log and holds every revision in it, of any
//! number of versions of a key. The writer adds to it while readers look: a reader asks for the
//! newest revision *up to the version of its view*, so what is added later does not show. A layer
//! is never taken from, only dropped as a whole when the tables have it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use super::labelled::Labelled;
use super::labels::Mark;
use crate::model::{Action, Header, Key, Version};
use crate::sync::{Mutex, RwLock};

/// A planted bug, which the models must find: a layer shows what is newer than the view.
const CANARY: bool = cfg!(all(feature = "canary", feature = "shuttle"));

/// A revision with its stored bytes.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(super) header: Arc<Header>,
    /// Missing for an entry that recovery has found, until somebody reads it.
    pub(super) body: OnceLock<Arc<[u8]>>,
    pub(super) stored_header: Vec<u8>,
    pub(super) stored_body: Vec<u8>,
}

impl Entry {
    fn bytes(&self) -> usize {
        // The allowance is for the header, its key and its place in the maps. The body itself is
        // shared with the ring of the feed, which counts it.
        self.stored_header.len() + self.stored_body.len() + 512
    }
}

#[derive(Debug)]
pub(super) struct Layer {
    /// The version of the first entry.
    first: Version,
    entries: RwLock<Entries>,
    /// Made by those who select by label.
    labelled: Mutex<Labelled>,
}

/// How many revisions are taken into the map of labels under one lock of the layer.
const LABELLED_STEP: usize = 1_024;

#[derive(Debug, Default)]
struct Entries {
    log: Vec<Arc<Entry>>,
    /// For each key where its revisions stand in `log`, oldest first.
    keys: BTreeMap<Key, Vec<u32>>,
    bytes: usize,
    tally: Tally,
}

/// What some revisions do to the number of entries.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) revisions: u64,
    live: i64,
    trash: i64,
}

impl Tally {
    pub(super) fn add(&mut self, header: &Header) {
        self.revisions += 1;
        match header.action {
            Action::Created => {
                self.live += 1;
                self.trash -= i64::from(header.previous.is_some());
            }
            Action::Updated => {}
            Action::Deleted => {
                self.live -= 1;
                self.trash += 1;
            }
        }
    }

    /// So many live and dead keys, with what these revisions do to them. A marker that was
    /// forgotten while its key was created again is counted out twice until the layer is put away.
    pub(super) fn on(self, live: u64, trash: u64) -> (u64, u64) {
        let (live, trash) = (
            live.checked_add_signed(self.live),
            trash.checked_add_signed(self.trash),
        );
        (live.unwrap_or_default(), trash.unwrap_or_default())
    }
}

impl Entries {
    /// The newest of these revisions up to `head`.
    fn newest(&self, places: &[u32], head: Version) -> Option<&Arc<Entry>> {
        let version = |place: u32| {
            self.log
                .get(place as usize)
                .map(|entry| entry.header.version)
        };
        let end = if CANARY {
            places.len()
        } else {
            places.partition_point(|&place| version(place) <= Some(head))
        };
        let place = places.get(end.checked_sub(1)?)?;
        self.log.get(*place as usize)
    }
}

impl Layer {
    /// An empty layer whose first entry will have this version.
    pub(super) fn new(first: Version) -> Self {
        Layer {
            first,
            entries: RwLock::default(),
            labelled: Mutex::default(),
        }
    }

    /// Adds a revision, which continues the versions without a gap.
    pub(super) fn push(&self, entry: Arc<Entry>) {
        let mut entries = self.entries.write();
        let place = u32::try_from(entries.log.len()).unwrap_or(u32::MAX);
        let version = self.first.get() + u64::from(place);
        assert_eq!(entry.header.version.get(), version, "a layer has no gaps");
        entries.bytes += entry.bytes();
        entries.tally.add(&entry.header);
        match entries.keys.get_mut(entry.header.key.encoded()) {
            Some(places) => places.push(place),
            None => {
                entries.keys.insert(entry.header.key.clone(), vec![place]);
            }
        }
        entries.log.push(entry);
    }

    /// How many entries and bytes there are.
    pub(super) fn size(&self) -> (usize, usize) {
        let entries = self.entries.read();
        (entries.log.len(), entries.bytes)
    }

    /// What the entries do to the number of keys.
    pub(super) fn tally(&self) -> Tally {
        self.entries.read().tally
    }

    /// All entries, in version order.
    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.entries.read().log.clone()
    }

    /// For every key, in order, its first and its newest revision in this layer, of those above
    /// `known`.
    pub(super) fn by_key(&self, known: Version) -> Vec<(Arc<Entry>, Arc<Entry>)> {
        let entries = self.entries.read();
        let ends = |places: &Vec<u32>| {
            let mut above = places
                .iter()
                .filter_map(|&place| entries.log.get(place as usize))
                .filter(|entry| entry.header.version > known);
            let first = above.next()?;
            Some((
                Arc::clone(first),
                Arc::clone(above.next_back().unwrap_or(first)),
            ))
        };
        entries.keys.values().filter_map(ends).collect()
    }

    /// The revision of this version.
    pub(super) fn at(&self, version: Version) -> Option<Arc<Entry>> {
        let place = version.get().checked_sub(self.first.get())?;
        let place = usize::try_from(place).ok()?;
        self.entries.read().log.get(place).cloned()
    }

    /// The newest revision of a key up to `head`.
    pub(super) fn newest(&self, key: &Key, head: Version) -> Option<Arc<Entry>> {
        let entries = self.entries.read();
        let places = entries.keys.get(key.encoded())?;
        entries.newest(places, head).cloned()
    }

    /// The next keys, in order, that begin with `prefix` and sort behind `after`, each with its
    /// newest revision up to `head`: at most `limit` of them, the lock is short.
    pub(super) fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        head: Version,
        limit: usize,
    ) -> Vec<Arc<Entry>> {
        let start = match after {
            Some(key) if key >= prefix => Bound::Excluded(key),
            _ => Bound::Included(prefix),
        };
        let entries = self.entries.read();
        entries
            .keys
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.encoded().starts_with(prefix))
            .filter_map(|(_, places)| entries.newest(places, head).cloned())
            .take(limit)
            .collect()
    }

    /// The next keys, in order, from this text on, that begin with `prefix` and were given this
    /// label in this layer: at most `limit` of them.
    pub(super) fn labelled(&self, mark: Mark, prefix: &str, from: &str, limit: usize) -> Vec<Key> {
        let mut labelled = self.labelled.lock();
        loop {
            let entries = self.entries.read();
            let log = entries.log.iter().skip(labelled.known);
            let new: Vec<_> = log.take(LABELLED_STEP).cloned().collect();
            drop(entries);
            if new.is_empty() {
                return labelled.scan(mark, prefix, from, limit);
            }
            labelled.extend(&new);
        }
    }
}
