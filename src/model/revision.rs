//! One entry of the log.

use std::fmt;
use std::sync::Arc;

use super::{Key, Version};

/// Microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

/// What a revision did to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The key was not live and is now.
    Created,
    /// The key was live and has a new body.
    Updated,
    /// The key was live and is no longer: the revision is a delete marker, and holds the last body.
    Deleted,
}

impl Action {
    /// `created`, `updated` or `deleted`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Created => "created",
            Action::Updated => "updated",
            Action::Deleted => "deleted",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the store knows of a revision without looking into its body.
///
/// The revisions of one key form a chain through [`previous`](Header::previous), over deletions
/// and re-creations. Beside it each revision keeps one longer link, `jump`, so that the revision
/// that was the newest at a given version is found in a logarithmic number of steps. The lengths
/// of the jumps follow the skew-binary numbers (Myers 1983): with `o` for the ordinal,
///
/// ```text
/// o     0  1  2  3  4  5  6  7  8
/// jump  0  0  1  0  3  4  3  0  7   (two jumps of equal length before it are joined to one)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which object.
    pub key: Key,
    /// What happened.
    pub action: Action,
    /// The position of this revision in the log.
    pub version: Version,
    /// The revision of the same key before this one, a delete marker included.
    pub previous: Option<Version>,
    /// How many revisions of this key came before this one.
    pub ordinal: u64,
    /// An older revision of this key, or this one itself when it is the first.
    pub(crate) jump: Version,
    /// The ordinal of the revision that `jump` names.
    pub(crate) jump_ordinal: u64,
    /// The last version of the batch this revision was committed in.
    pub batch_end: Version,
    /// The revision whose body is stored whole and from which this one's is built; this one itself
    /// when its own body is.
    pub(crate) base: Version,
    /// The ordinal of the revision that `base` names.
    pub(crate) base_ordinal: u64,
    /// The revision since which the labels are what they are.
    pub(crate) labelled: Version,
    /// When it was committed. Never earlier than the revision before it in the log.
    pub time: Timestamp,
    /// When the object was created: the time of the `Created` revision of this life of the key.
    pub created: Timestamp,
    /// Who created it: the author of that revision.
    pub creator: String,
    /// Who wrote it.
    pub author: String,
    /// The identity of this life of the key; a re-created object has another.
    pub uid: String,
    /// The folder the object stands in, from the annotation `grafana.app/folder`; may be empty.
    pub folder: String,
    /// The labels, sorted by key.
    pub labels: Vec<(String, String)>,
}

impl Header {
    /// Whether the key is live after this revision.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.action != Action::Deleted
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        let at = self
            .labels
            .binary_search_by(|(k, _)| k.as_str().cmp(key))
            .ok()?;
        self.labels.get(at).map(|(_, value)| value.as_str())
    }
}

/// One revision: its header and the object's JSON as it was stored. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Revision {
    header: Arc<Header>,
    body: Arc<[u8]>,
}

impl Revision {
    pub(crate) fn new(header: Arc<Header>, body: Arc<[u8]>) -> Self {
        Revision { header, body }
    }

    /// What is known without the body.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Which object.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.header.key
    }

    /// The position of this revision in the log.
    #[must_use]
    pub fn version(&self) -> Version {
        self.header.version
    }

    /// The object's JSON, byte for byte as it was stored. A delete marker holds the last body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    pub(crate) fn shared_header(&self) -> Arc<Header> {
        Arc::clone(&self.header)
    }

    pub(crate) fn shared_body(&self) -> Arc<[u8]> {
        Arc::clone(&self.body)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.header();
        write!(
            f,
            "Revision({} {} {})",
            header.version, header.action, header.key
        )
    }
}
