//! The open engine, whose end harms nobody.
//!
//! Closing redb writes to the file. Where the file is damaged that may panic, on whatever thread
//! lets go of the last handle; the panic is caught here and told. What was acknowledged is safe: the
//! commit log has it until a commit of the tables has succeeded.

use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{CacheStats, Database, ReadTransaction, ReadableDatabase, TransactionError};

/// See the page.
pub(super) struct Engine(Option<Database>);

const HELD: &str = "the database is held until the engine is dropped";

impl Engine {
    pub(super) fn new(database: Database) -> Self {
        Engine(Some(database))
    }
}

impl Deref for Engine {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.0.as_ref().expect(HELD)
    }
}

impl DerefMut for Engine {
    fn deref_mut(&mut self) -> &mut Database {
        self.0.as_mut().expect(HELD)
    }
}

impl ReadableDatabase for Engine {
    fn begin_read(&self) -> Result<ReadTransaction, TransactionError> {
        (**self).begin_read()
    }

    fn cache_stats(&self) -> CacheStats {
        (**self).cache_stats()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let database = self.0.take();
        if catch_unwind(AssertUnwindSafe(|| drop(database))).is_err() {
            tracing::error!("the tables were not closed cleanly: they are damaged");
        }
    }
}
