//! How to open a store, and every limit it keeps.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::model::{Collection, Keep, Kind};

/// The largest number of writes in one batch.
pub const BATCH_WRITES_MAX: usize = 1_000;
/// The largest number of body bytes in one batch.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The largest number of body bytes that wait for the writer.
pub const QUEUE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The largest number of jobs (a write or a batch) of one namespace that wait for the writer.
pub const NAMESPACE_JOBS_MAX: usize = 4_096;
/// The largest number of jobs of all namespaces that wait for the writer.
pub const QUEUE_JOBS_MAX: usize = 16_384;
/// The largest number of writes that go into one durable commit, unless one batch alone has more.
pub const COMMIT_WRITES_MAX: usize = 1_024;
/// The largest number of body bytes that go into one durable commit, unless one batch alone has
/// more.
pub const COMMIT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The largest number of entries in one page of a list, a history or a trash.
pub const PAGE_ENTRIES_MAX: usize = 10_000;
/// A page ends early once its bodies have this many bytes.
pub const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The longest that a search waits for the index to reach the version it demands, in milliseconds.
pub const INDEX_WAIT_MS_MAX: u64 = 3_000;

/// How to open a store. Every setter has a default that suits a small server.
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    pub(crate) cache_bytes: usize,
    pub(crate) object_bytes_max: usize,
    pub(crate) overlay_revisions: usize,
    pub(crate) overlay_bytes: usize,
    pub(crate) ring_revisions: usize,
    pub(crate) ring_bytes: usize,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) index: bool,
    pub(crate) retention: Vec<(Collection, Keep)>,
    pub(crate) retention_grace: Duration,
    pub(crate) background_retention: bool,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            cache_bytes: 128 * 1024 * 1024,
            object_bytes_max: 1024 * 1024,
            overlay_revisions: 20 * 1024,
            overlay_bytes: 40 * 1024 * 1024,
            ring_revisions: 16 * 1024,
            ring_bytes: 64 * 1024 * 1024,
            kinds: Vec::new(),
            index: true,
            retention: Vec::new(),
            retention_grace: Duration::from_secs(300),
            background_retention: true,
            clock: Arc::new(SystemClock),
        }
    }
}

impl Options {
    /// The defaults.
    pub fn new() -> Self {
        Options::default()
    }

    /// How many bytes of memory are for what was read: half for pages of the tables, half for
    /// revisions. Default: 128 MiB. Reads are fastest when the objects in use fit.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// The largest object, in bytes of JSON. Default: 1 MiB.
    pub fn object_bytes_max(mut self, bytes: usize) -> Self {
        self.object_bytes_max = bytes;
        self
    }

    /// How many revisions, and how many bytes of them, are gathered in memory before they are put
    /// into the tables together; up to twice as much may be on the way. A write is durable without
    /// that: the commit log has it. More makes sustained writing cheaper, and opening after a
    /// crash slower. Default: 20,480 and 40 MiB.
    pub fn overlay(mut self, revisions: usize, bytes: usize) -> Self {
        self.overlay_revisions = revisions.max(1);
        self.overlay_bytes = bytes.max(1);
        self
    }

    /// How many of the newest revisions, and how many bytes of them, are kept in memory for
    /// watchers. A watcher further behind reads from disk. Default: 16,384 and 64 MiB.
    pub fn ring(mut self, revisions: usize, bytes: usize) -> Self {
        self.ring_revisions = revisions.max(1);
        self.ring_bytes = bytes;
        self
    }

    /// The kinds that are indexed for search. Default: none. Objects of other resources are
    /// stored and watched all the same.
    pub fn kinds(mut self, kinds: Vec<Kind>) -> Self {
        self.kinds = kinds;
        self
    }

    /// Whether there is a search index at all. Default: yes.
    pub fn index(mut self, index: bool) -> Self {
        self.index = index;
        self
    }

    /// What is kept of the history of the objects of a collection; may be called for several. Of
    /// the rules for an object that of the narrowest collection holds, alone. Default: everything
    /// is kept.
    ///
    /// What goes is removed in the background, in small steps, at about a fifth of the time of a
    /// processor and of the disk.
    pub fn retention(mut self, collection: Collection, keep: Keep) -> Self {
        self.retention.push((collection, keep));
        self
    }

    /// How long a revision stays at least after it was superseded, so that a page token or a
    /// watcher that needs it can still come. Default: 5 minutes.
    pub fn retention_grace(mut self, span: Duration) -> Self {
        self.retention_grace = span;
        self
    }

    /// Whether retention works in the background. Otherwise it does so only in
    /// [`Store::retain`](crate::Store::retain). Default: yes.
    pub fn background_retention(mut self, background: bool) -> Self {
        self.background_retention = background;
        self
    }

    /// Where the times of revisions come from. Default: the machine's clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}
