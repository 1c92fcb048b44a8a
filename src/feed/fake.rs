//! A log in memory, without which the models and tests of the feed would need a database.
//!
//! It knows what a watcher asks of a disk, and can lose its beginning.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use crate::Error;
use crate::disk::{Counts, Disk, Shelf, View, Visit};
use crate::model::{Action, Epoch, Header, Key, Revision, Timestamp, Version};

/// A log in memory that is both disk and view.
#[derive(Clone, Default)]
pub(super) struct Log {
    revisions: Arc<Mutex<Vec<Revision>>>,
}

impl Log {
    /// Removes everything up to this version.
    pub(super) fn compact(&self, version: Version) {
        let mut revisions = self.revisions.lock().unwrap();
        revisions.retain(|revision| revision.version() > version);
    }

    fn list(&self) -> Vec<Revision> {
        self.revisions.lock().unwrap().clone()
    }

    fn find(&self, version: Version) -> Option<Revision> {
        let mut list = self.list().into_iter();
        list.find(|revision| revision.version() == version)
    }
}

impl Disk for Log {
    fn view(&self) -> Result<Box<dyn View>, Error> {
        Ok(Box::new(self.clone()))
    }

    fn commit(&self, revisions: &[Revision]) -> Result<(), Error> {
        self.revisions.lock().unwrap().extend_from_slice(revisions);
        Ok(())
    }

    fn reopen(&self) -> Result<(), Error> {
        Ok(())
    }

    fn epoch(&self) -> Epoch {
        Epoch([0; 16])
    }

    fn size(&self) -> Result<u64, Error> {
        Ok(0)
    }
}

impl View for Log {
    fn head(&self) -> Result<Version, Error> {
        let list = self.list();
        Ok(list.last().map_or(Version::ZERO, Revision::version))
    }

    fn header_of(&self, _: Shelf, key: &Key) -> Result<Option<Header>, Error> {
        let list = self.list();
        let newest = list.iter().rfind(|revision| revision.key() == key);
        Ok(newest.map(|revision| revision.header().clone()))
    }

    fn header(&self, version: Version) -> Result<Option<Header>, Error> {
        Ok(self.find(version).map(|revision| revision.header().clone()))
    }

    fn revision(&self, version: Version) -> Result<Option<Revision>, Error> {
        Ok(self.find(version))
    }

    fn scan(&self, _: Shelf, _: &str, _: Option<&Key>, _: Visit<'_, Header>) -> Result<(), Error> {
        Ok(())
    }

    fn log(&self, after: Version, visit: Visit<'_, Revision>) -> Result<(), Error> {
        for revision in self.list() {
            if revision.version() > after && visit(revision)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn counts(&self) -> Result<Counts, Error> {
        Ok(Counts::default())
    }
}

/// A new object in this namespace.
pub(super) fn revision(version: u64, namespace: &str) -> Revision {
    let version = Version::new(version);
    let header = Header {
        key: Key::new("g", "r", namespace, &format!("n{version}")).unwrap(),
        action: Action::Created,
        version,
        previous: None,
        ordinal: 0,
        jump: version,
        jump_ordinal: 0,
        batch_end: version,
        time: Timestamp::default(),
        created: Timestamp::default(),
        creator: String::new(),
        author: String::new(),
        uid: String::new(),
        folder: String::new(),
        labels: Vec::new(),
    };
    Revision::new(header, Arc::from(&b"{}"[..]))
}
