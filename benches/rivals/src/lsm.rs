//! fjall, the same two tables, each wave one batch that is synced.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::engine::{Commit, Put};
use crate::objects;

pub(crate) struct Lsm {
    database: Database,
    current: Keyspace,
    history: Keyspace,
    version: u64,
}

impl Lsm {
    pub(crate) fn open(folder: &Path) -> Self {
        let builder = Database::builder(folder).cache_size(crate::own::CACHE_BYTES as u64);
        let database = builder.open().expect("a database");
        let keyspace = |name| {
            let made = database.keyspace(name, KeyspaceCreateOptions::default);
            made.expect("a keyspace")
        };
        let (current, history) = (keyspace("current"), keyspace("history"));
        let last = history.last_key_value();
        let version = last.map_or(0, |entry| {
            let key = entry.key().expect("a read");
            u64::from_be_bytes((*key).try_into().expect("eight bytes"))
        });
        Lsm {
            current,
            history,
            database,
            version,
        }
    }
}

impl Commit for Lsm {
    fn commit(&mut self, wave: &[Put]) {
        let mut batch = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for put in wave {
            let key = objects::key(put.number);
            let known = self.current.contains_key(&key).expect("a read");
            assert_eq!(known, !put.is_new);
            self.version += 1;
            batch.insert(&self.current, key, put.body.as_slice());
            batch.insert(
                &self.history,
                self.version.to_be_bytes(),
                put.body.as_slice(),
            );
        }
        batch.commit().expect("a commit");
    }
}
