//! What the writer hands over: the changes of one durable commit.
//!
//! `store/write` makes one per commit, [`Hub::publish`](super::Hub::publish) takes it apart. The
//! revision before comes along, because only the writer has it at hand: whether an object came
//! into or left the sight of a filter is decided from the two headers, without a read.

use std::sync::Arc;

use crate::model::{Header, Revision, Version};

/// A revision and what the key was before it.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) revision: Revision,
    /// The header of the revision before, if the key was live.
    pub(crate) before: Option<Arc<Header>>,
}

impl Change {
    /// Bytes of the body, with an allowance for the header.
    pub(super) fn bytes(&self) -> usize {
        self.revision.body().len() + 512
    }
}

/// The changes of one durable commit, in version order without a gap; never empty.
#[derive(Debug)]
pub(crate) struct Commit {
    changes: Vec<Change>,
    last: Version,
}

impl Commit {
    /// `None` when there are no changes.
    pub(crate) fn new(changes: Vec<Change>) -> Option<Self> {
        let last = changes.last()?.revision.version();
        Some(Commit { changes, last })
    }

    pub(super) fn last(&self) -> Version {
        self.last
    }

    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}
