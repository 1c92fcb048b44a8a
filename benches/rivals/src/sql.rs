//! SQLite in WAL mode with `synchronous=FULL`: two tables, one connection that commits for all.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::engine::{Commit, Put};
use crate::objects;

pub(crate) struct Sql {
    connection: Connection,
    version: i64,
}

impl Sql {
    pub(crate) fn open(folder: &Path) -> Self {
        let connection = Connection::open(folder.join("raw.sqlite")).expect("a database");
        let mode: String = connection
            .query_row("pragma journal_mode=wal", [], |row| row.get(0))
            .expect("a mode");
        assert_eq!(mode, "wal");
        let kibibytes = crate::own::CACHE_BYTES / 1024;
        let setup = format!(
            "pragma synchronous=full;
             pragma cache_size=-{kibibytes};
             create table if not exists current(key text primary key, body blob) without rowid;
             create table if not exists history(version integer primary key, body blob);"
        );
        connection.execute_batch(&setup).expect("tables");
        let version = connection
            .query_row("select coalesce(max(version), 0) from history", [], |row| {
                row.get(0)
            })
            .expect("a version");
        Sql {
            connection,
            version,
        }
    }
}

impl Commit for Sql {
    fn commit(&mut self, wave: &[Put]) {
        let transaction = self.connection.transaction().expect("a transaction");
        {
            let statement = |text| transaction.prepare_cached(text).expect("a statement");
            let mut create = statement("insert into current values(?1, ?2)");
            let mut update = statement("update current set body = ?2 where key = ?1");
            let mut history = statement("insert into history values(?1, ?2)");
            for put in wave {
                let key = objects::key(put.number);
                let current = if put.is_new { &mut create } else { &mut update };
                let changed = current.execute(params![key, put.body]).expect("a write");
                assert_eq!(changed, 1);
                self.version += 1;
                let row = params![self.version, put.body];
                history.execute(row).expect("a write");
            }
        }
        transaction.commit().expect("a commit");
    }
}
