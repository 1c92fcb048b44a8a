//! A log in memory, without which the models and tests of the feed would need a database.
//!
//! It can lose its beginning.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use super::past::Archive;
use crate::Error;
use crate::disk::Visit;
use crate::model::{Action, Collection, Header, Key, Revision, Timestamp, Version};

/// A log in memory.
#[derive(Clone, Default)]
pub(super) struct Log {
    revisions: Arc<Mutex<Vec<Revision>>>,
    floor: Arc<Mutex<Version>>,
}

impl Log {
    /// Removes everything up to this version.
    pub(super) fn compact(&self, version: Version) {
        *self.floor.lock().unwrap() = version;
        let mut revisions = self.revisions.lock().unwrap();
        revisions.retain(|revision| revision.version() > version);
    }

    /// Adds revisions at the end.
    pub(super) fn append(&self, revisions: &[Revision]) {
        self.revisions.lock().unwrap().extend_from_slice(revisions);
    }

    fn list(&self) -> Vec<Revision> {
        self.revisions.lock().unwrap().clone()
    }

    fn find(&self, version: Version) -> Option<Revision> {
        let mut list = self.list().into_iter();
        list.find(|revision| revision.version() == version)
    }
}

impl Archive for Log {
    fn log(&self, after: Version, visit: Visit<'_, Revision>) -> Result<(), Error> {
        for revision in self.list() {
            if revision.version() > after && visit(revision)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn revision(&self, version: Version) -> Result<Option<Revision>, Error> {
        Ok(self.find(version))
    }

    fn header(&self, version: Version) -> Result<Option<Arc<Header>>, Error> {
        Ok(self.find(version).map(|revision| revision.shared_header()))
    }

    fn floor(&self, _of: &Collection) -> Result<Version, Error> {
        Ok(*self.floor.lock().unwrap())
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
        base: version,
        base_ordinal: 0,
        labelled: version,
        time: Timestamp::default(),
        created: Timestamp::default(),
        creator: String::new(),
        author: String::new(),
        uid: String::new(),
        folder: String::new(),
        labels: Vec::new(),
    };
    Revision::new(Arc::new(header), Arc::from(&b"{}"[..]))
}
