//! The settings of an index, each with its default and its limits.

/// How an index is laid out and how much memory it may take. Every setter returns the options.
#[derive(Debug, Clone)]
pub struct IndexOptions {
    pub(crate) shards: u16,
    pub(crate) open_writers_max: usize,
    pub(crate) writer_memory_bytes: usize,
    pub(crate) skip_sync: bool,
}

impl Default for IndexOptions {
    fn default() -> IndexOptions {
        IndexOptions {
            shards: 8,
            open_writers_max: 8,
            writer_memory_bytes: 16 << 20,
            skip_sync: false,
        }
    }
}

impl IndexOptions {
    /// Among how many tantivy indexes the namespaces are spread: 1 to 256, 8 unless told.
    /// An index laid out with another number is rebuilt.
    #[must_use]
    pub fn shards(mut self, shards: u16) -> IndexOptions {
        self.shards = shards.clamp(1, 256);
        self
    }

    /// How many writers may be open at a time, each with its memory and its threads: at least 1,
    /// 8 unless told. The least recently used one is closed first.
    #[must_use]
    pub fn open_writers_max(mut self, writers: usize) -> IndexOptions {
        self.open_writers_max = writers.max(1);
        self
    }

    /// The memory one open writer may fill before it writes to disk: 16 MiB (the least that is
    /// possible, and the default) to 1 GiB.
    #[must_use]
    pub fn writer_memory_bytes(mut self, bytes: usize) -> IndexOptions {
        self.writer_memory_bytes = bytes.clamp(16 << 20, 1 << 30);
        self
    }

    /// Leaves out the sync that makes a commit durable, so that a test can prove that it sees the
    /// difference.
    #[doc(hidden)]
    #[must_use]
    pub fn canary_skip_sync(mut self, skip: bool) -> IndexOptions {
        self.skip_sync = skip;
        self
    }
}
