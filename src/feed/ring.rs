//! The newest changes of all keys, in memory, for every watcher.
//!
//! ```text
//! chunks  [ 65 66 .. 128 ] [ 129 .. 192 ] [ 193 194 __ __ .. ]      two more fit the last one
//!           oldest, is dropped first                  newest
//! ```
//!
//! A change is put into its slot once and never moved, so a reader that holds a chunk reads it
//! without a lock, and needs one lock per chunk. What a reader may look at is not decided here:
//! the slots of a commit are filled before the hub's head says that they count.
//!
//! Bounded by revisions and by bytes; the newest chunk stays even if it alone is over a limit. A
//! reader keeps a chunk alive for the length of one call, never longer.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use super::commit::Change;
use super::lens::Memo;
use crate::model::Version;
use crate::sync::RwLock;

/// How many changes share a chunk at the most: one for each bit of a word of verdicts.
const CHUNK_CHANGES_MAX: usize = 64;
/// A chunk with so many bytes takes no further change.
const CHUNK_BYTES: usize = 1024 * 1024;

/// How much the ring keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingLimits {
    /// Revisions.
    pub(crate) revisions: usize,
    /// Bytes of bodies, with an allowance for each header.
    pub(crate) bytes: usize,
}

/// Changes at consecutive versions.
#[derive(Debug)]
pub(super) struct Chunk {
    first: Version,
    slots: Box<[OnceLock<Change>]>,
    /// What the lenses showed of it.
    pub(super) memo: Memo,
}

impl Chunk {
    fn new(first: Version, slots: usize) -> Self {
        let slots = (0..slots).map(|_| OnceLock::new()).collect();
        Chunk {
            first,
            slots,
            memo: Memo::default(),
        }
    }

    /// The change at this version, if it stands here.
    pub(super) fn get(&self, version: Version) -> Option<&Change> {
        self.slots.get(self.slot(version)?)?.get()
    }

    /// The slot for this version, unless that lies before the chunk.
    pub(super) fn slot(&self, version: Version) -> Option<usize> {
        let slot = version.get().checked_sub(self.first.get())?;
        usize::try_from(slot).ok()
    }
}

#[derive(Debug)]
struct Entry {
    chunk: Arc<Chunk>,
    changes: usize,
    bytes: usize,
}

impl Entry {
    fn is_full(&self) -> bool {
        self.changes == self.chunk.slots.len() || self.bytes >= CHUNK_BYTES
    }
}

#[derive(Debug, Default)]
struct Chunks {
    entries: VecDeque<Entry>,
    revisions: usize,
    bytes: usize,
}

/// See the page.
#[derive(Debug)]
pub(super) struct Ring {
    chunks: RwLock<Chunks>,
    limits: RingLimits,
    chunk_slots: usize,
}

impl Ring {
    pub(super) fn new(limits: RingLimits) -> Self {
        Ring {
            chunks: RwLock::default(),
            limits,
            // A small ring has small chunks, so that it forgets in small steps.
            chunk_slots: (limits.revisions / 4).clamp(1, CHUNK_CHANGES_MAX),
        }
    }

    /// Adds changes that continue the log without a gap, and forgets the oldest.
    pub(super) fn append(&self, changes: Vec<Change>) {
        let mut forgotten = Vec::new();
        let mut chunks = self.chunks.write();
        for change in changes {
            chunks.push(change, self.chunk_slots);
            while chunks.entries.len() > 1 && chunks.is_over(self.limits) {
                forgotten.extend(chunks.pop());
            }
        }
        drop(chunks);
        // Freed here, when readers no longer wait for the lock.
        drop(forgotten);
    }

    /// The chunk with the change at this version; `None` when it is not here, or no longer.
    pub(super) fn find(&self, version: Version) -> Option<Arc<Chunk>> {
        let chunks = self.chunks.read();
        let after = chunks
            .entries
            .partition_point(|entry| entry.chunk.first <= version);
        let chunk = &chunks.entries.get(after.checked_sub(1)?)?.chunk;
        chunk.get(version).map(|_| Arc::clone(chunk))
    }
}

impl Chunks {
    fn is_over(&self, limits: RingLimits) -> bool {
        self.revisions > limits.revisions || self.bytes > limits.bytes
    }

    fn push(&mut self, change: Change, slots: usize) {
        let bytes = change.bytes();
        if self.entries.back().is_none_or(Entry::is_full) {
            self.entries.push_back(Entry {
                chunk: Arc::new(Chunk::new(change.revision.version(), slots)),
                changes: 0,
                bytes: 0,
            });
        }
        if let Some(entry) = self.entries.back_mut() {
            let fresh = entry.chunk.slots[entry.changes].set(change).is_ok();
            assert!(fresh, "a slot of the ring is filled once");
            entry.changes += 1;
            entry.bytes += bytes;
        }
        self.revisions += 1;
        self.bytes += bytes;
    }

    fn pop(&mut self) -> Option<Entry> {
        let oldest = self.entries.pop_front()?;
        self.revisions -= oldest.changes;
        self.bytes -= oldest.bytes;
        Some(oldest)
    }
}
