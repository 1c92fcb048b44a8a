//! What is measured, as its callers see it: a store in this process, or a server.

use std::time::Duration;

use crate::cli::Failure;

/// Why an operation failed.
pub(super) type Fault = String;

/// A store or a server with the objects of a bench.
pub(super) trait Subject: Sync {
    /// A caller of its own, for one thread.
    fn caller(&self) -> Result<Box<dyn Caller + '_>, Failure>;

    /// A watcher of all objects, from now on.
    fn watcher(&self) -> Result<Box<dyn Watcher + '_>, Failure>;

    /// Waits until searches see everything written so far.
    fn wait_for_index(&self) -> Result<(), Failure>;

    /// Ends it, and says what is left behind.
    fn end(self: Box<Self>) -> Result<Option<String>, Failure>;
}

/// One caller: its operations come one after the other, and are done when they return.
pub(super) trait Caller: Send {
    /// Creates the object of this number, with this stamp.
    fn create(&mut self, number: u64, stamp: u64) -> Result<(), Fault>;

    /// Replaces it. No other caller may write it meanwhile.
    fn update(&mut self, number: u64, stamp: u64) -> Result<(), Fault>;

    /// Reads it.
    fn get(&mut self, number: u64) -> Result<(), Fault>;

    /// Reads the first objects.
    fn list(&mut self, limit: usize) -> Result<(), Fault>;

    /// Searches for a word, and takes the first ten hits.
    fn search(&mut self, word: &str) -> Result<(), Fault>;
}

/// One watcher.
pub(super) trait Watcher: Send {
    /// The stamp of the next change; nothing when none comes in time.
    fn next(&mut self, patience: Duration) -> Result<Option<u64>, Fault>;
}
