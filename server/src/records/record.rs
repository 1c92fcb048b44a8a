//! One record, and what a file says of itself.

use annals::{Action, Epoch, Key, Revision, Timestamp, Version};

/// A revision of an object outside its store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which object.
    pub key: Key,
    /// Its version in the store it came from; zero when the file does not tell.
    pub version: Version,
    /// What happened. In a file without history it says only that the object is live.
    pub action: Action,
    /// When it was committed; the beginning of time when the file does not tell.
    pub time: Timestamp,
    /// Who wrote it; empty when the file does not tell.
    pub author: String,
    /// The object's JSON. Of a delete marker, the last body.
    pub body: Vec<u8>,
    /// Whether the file itself named the key, so that nothing of the body needs to be known.
    pub is_exact: bool,
}

impl From<&Revision> for Record {
    fn from(revision: &Revision) -> Self {
        let header = revision.header();
        Self {
            key: header.key.clone(),
            version: header.version,
            action: header.action,
            time: header.time,
            author: header.author.clone(),
            body: revision.body().to_vec(),
            is_exact: true,
        }
    }
}

/// What a file says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The version of the store that the file holds; zero when it does not tell.
    pub version: Version,
    /// The store's line of history, in hexadecimal digits; empty when it does not tell.
    pub epoch: String,
    /// Whether every revision is in it, and not the newest alone.
    pub history: bool,
}

impl About {
    /// A file of a store.
    #[must_use]
    pub fn new(version: Version, epoch: Epoch, history: bool) -> Self {
        Self {
            version,
            epoch: epoch.to_string(),
            history,
        }
    }
}
