//! redb doing the obvious thing: the value in a table of what is current and in one of history,
//! with redb's defaults, one durable commit for all who wait.

use std::path::Path;

use redb::{Builder, Database, ReadableTable, TableDefinition};

use crate::engine::{Commit, Put};
use crate::objects;

pub(crate) const CURRENT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("current");
const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");

pub(crate) struct Raw {
    database: Database,
    version: u64,
}

/// The database in this directory.
pub(crate) fn open(folder: &Path, cache_bytes: usize) -> Database {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    builder.create(folder.join("raw.redb")).expect("a database")
}

impl Raw {
    pub(crate) fn open(folder: &Path) -> Self {
        Raw::on(open(folder, crate::own::CACHE_BYTES))
    }

    pub(crate) fn on(database: Database) -> Self {
        let transaction = database.begin_write().expect("a transaction");
        let version = {
            let history = transaction.open_table(HISTORY).expect("a table");
            let last = history.last().expect("a read");
            last.map_or(0, |(version, _)| version.value())
        };
        transaction.commit().expect("a commit");
        Raw { database, version }
    }
}

impl Commit for Raw {
    fn commit(&mut self, wave: &[Put]) {
        let transaction = self.database.begin_write().expect("a transaction");
        {
            let mut current = transaction.open_table(CURRENT).expect("a table");
            let mut history = transaction.open_table(HISTORY).expect("a table");
            for put in wave {
                let key = objects::key(put.number);
                self.version += 1;
                // Whether there was one is what a create and an update have to know.
                let before = current.insert(&*key, &*put.body).expect("a write");
                assert_eq!(before.is_none(), put.is_new);
                history.insert(self.version, &*put.body).expect("a write");
            }
        }
        transaction.commit().expect("a commit");
    }
}
