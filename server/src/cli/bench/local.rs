//! A store in this process, with the index that a server has.

use std::path::Path;
use std::time::{Duration, Instant};

use annals::search::{Query, Scope};
use annals::{Collection, Error, Filter, Key, List, Options, Principal, Store, Write};

use super::sample::{self, GROUP, RESOURCE};
use super::subject::{Caller, Fault, Subject, Watcher};
use crate::api::indexed;
use crate::cli::local::{failure, kinds};
use crate::cli::{Exit, Failure};
use crate::setup::DataDir;

const NAMESPACE: &str = "bench";
const INDEX_PATIENCE: Duration = Duration::from_secs(600);
/// How often a store that is busy is asked again.
const TRIES: u32 = 30;

/// The store, and its directory.
pub(super) struct Here {
    store: Store,
    dir: DataDir,
    keep: bool,
    size: usize,
    has_index: bool,
}

impl Here {
    /// Makes a store in this directory, in which nothing may be.
    pub(super) fn open(
        directory: &Path,
        size: usize,
        keep: bool,
        has_index: bool,
    ) -> Result<Self, Failure> {
        let is_used = directory
            .read_dir()
            .is_ok_and(|mut files| files.next().is_some());
        if is_used {
            let message = format!(
                "--data-dir {}: is not empty; a bench needs a directory of its own",
                directory.display()
            );
            return Err(Failure::new(Exit::Usage, message));
        }
        let dir = DataDir::open(directory)?;
        let options = Options::new().index(has_index).kinds(indexed(&kinds()?));
        let store = Store::open(dir.path(), options).map_err(|error| failure(&error))?;
        Ok(Self {
            store,
            dir,
            keep,
            size,
            has_index,
        })
    }

    fn collection(&self) -> Result<Collection, Fault> {
        Collection::within(GROUP, RESOURCE, NAMESPACE).map_err(|error| error.to_string())
    }
}

impl Subject for Here {
    fn caller(&self) -> Result<Box<dyn Caller + '_>, Failure> {
        Ok(Box::new(Thread { here: self }))
    }

    fn watcher(&self) -> Result<Box<dyn Watcher + '_>, Failure> {
        let wrong = |why: Fault| Failure::new(Exit::Failed, why);
        let now = self.store.stats().map_err(|error| failure(&error))?.version;
        let collection = self.collection().map_err(wrong)?;
        let watch = self.store.watch(collection, Filter::default(), now);
        Ok(Box::new(Eye(watch.map_err(|error| failure(&error))?)))
    }

    fn wait_for_index(&self) -> Result<(), Failure> {
        if !self.has_index {
            return Ok(());
        }
        let now = self.store.stats().map_err(|error| failure(&error))?.version;
        let deadline = Instant::now() + INDEX_PATIENCE;
        while !self.store.index_report().reflects(now) {
            if Instant::now() > deadline {
                let message = "the search index does not follow";
                return Err(Failure::new(Exit::NotReady, message));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> Result<Option<String>, Failure> {
        self.store.close();
        let path = self.dir.path();
        if self.keep {
            return Ok(Some(format!("the store is kept in {}", path.display())));
        }
        let removed = std::fs::remove_dir_all(path);
        let wrong = |why| Failure::new(Exit::Failed, format!("{}: {why}", path.display()));
        removed.map(|()| None).map_err(wrong)
    }
}

struct Thread<'a> {
    here: &'a Here,
}

impl Thread<'_> {
    fn key(number: u64) -> Result<Key, Fault> {
        let key = Key::new(GROUP, RESOURCE, NAMESPACE, &sample::name(number));
        key.map_err(|error| error.to_string())
    }

    fn body(&self, number: u64, stamp: u64) -> Vec<u8> {
        sample::body(NAMESPACE, number, stamp, self.here.size).into_bytes()
    }

    fn write(&self, write: Write) -> Result<(), Fault> {
        let write = write.author(Principal::new("bench"));
        let mut tries = 0;
        loop {
            match self.here.store.write(write.clone()) {
                Ok(_) => return Ok(()),
                Err(Error::Busy { retry_after }) if tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(retry_after);
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl Caller for Thread<'_> {
    fn create(&mut self, number: u64, stamp: u64) -> Result<(), Fault> {
        self.write(Write::create(Self::key(number)?, self.body(number, stamp)))
    }

    fn update(&mut self, number: u64, stamp: u64) -> Result<(), Fault> {
        self.write(Write::update(Self::key(number)?, self.body(number, stamp)))
    }

    fn get(&mut self, number: u64) -> Result<(), Fault> {
        let key = Self::key(number)?;
        let got = self.here.store.snapshot().and_then(|now| now.get(&key));
        let found = got.map_err(|error| error.to_string())?;
        found.map(drop).ok_or_else(|| format!("{key} is gone"))
    }

    fn list(&mut self, limit: usize) -> Result<(), Fault> {
        let list = List::new(self.here.collection()?).limit(limit);
        let listed = self.here.store.snapshot().and_then(|now| now.list(&list));
        listed.map(drop).map_err(|error| error.to_string())
    }

    fn search(&mut self, word: &str) -> Result<(), Fault> {
        let query = Query {
            text: word.to_owned(),
            limit: 10,
            ..Query::default()
        };
        let scope = Scope::All;
        let found = self.here.store.search(&query, &scope, None);
        found.map(drop).map_err(|error| error.to_string())
    }
}

struct Eye(annals::Watch);

impl Watcher for Eye {
    fn next(&mut self, patience: Duration) -> Result<Option<u64>, Fault> {
        let event = self
            .0
            .next_timeout(patience)
            .map_err(|error| error.to_string())?;
        Ok(event.map(|event| sample::stamp(event.object.body()).unwrap_or_default()))
    }
}
