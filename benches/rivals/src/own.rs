//! annals, as an embedder opens it, without search index.

use std::path::Path;

use annals::{Key, Options, Store, Write};

use crate::engine::{Caller, Engine, Put};

/// What every engine that has a cache may keep in memory.
pub(crate) const CACHE_BYTES: usize = 1 << 30;

pub(crate) struct Own {
    store: Store,
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
            store: open(folder, CACHE_BYTES),
        }
    }
}

impl Engine for Own {
    fn name(&self) -> &'static str {
        "annals"
    }

    fn caller(&self) -> Caller<'_> {
        let store = self.store.clone();
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

    fn settle(&mut self) -> bool {
        self.store.checkpoint().expect("a checkpoint");
        true
    }
}
