//! annals, as an embedder opens it, without search index.

use std::path::{Path, PathBuf};

use annals::{Key, Options, Store, Write};

use crate::engine::{Caller, Engine, Put};

/// What every engine that has a cache may keep in memory.
pub(crate) const CACHE_BYTES: usize = 1 << 30;

pub(crate) struct Own {
    folder: PathBuf,
    store: Option<Store>,
}

/// The store in this directory.
pub(crate) fn open(folder: &Path, cache_bytes: usize) -> Store {
    let options = Options::new().index(false).cache_bytes(cache_bytes);
    Store::open(folder, options).expect("a store")
}

pub(crate) fn key(number: u64) -> Key {
    let (group, resource) = annals_bench::KIND;
    Key::new(group, resource, "default", &annals_bench::name(number)).expect("a key")
}

impl Own {
    pub(crate) fn open(folder: &Path) -> Self {
        Own {
            folder: folder.to_owned(),
            store: Some(open(folder, CACHE_BYTES)),
        }
    }
}

impl Engine for Own {
    fn name(&self) -> &'static str {
        "annals"
    }

    fn caller(&self) -> Caller<'_> {
        let store = self.store.clone().expect("it is open");
        Box::new(move |put: Put| {
            let key = key(put.number);
            let write = if put.is_new {
                Write::create(key, put.body)
            } else {
                Write::update(key, put.body)
            };
            store.write(write).expect("a write");
        })
    }

    /// Closing puts all into the tables.
    fn settle(&mut self) -> bool {
        drop(self.store.take());
        self.store = Some(open(&self.folder, CACHE_BYTES));
        true
    }
}
