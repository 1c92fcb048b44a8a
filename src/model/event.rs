//! What a watcher receives.

use super::{Revision, Version};

/// How an object changed, as seen through a watcher's filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// The object matches and did not before: it was created, or came to match.
    Added,
    /// The object matched before and does now.
    Modified,
    /// The object matched before and does no longer: it was deleted, or ceased to match.
    Deleted,
}

/// One change of one object, as seen through a watcher's filter. The object is a [`Revision`], or
/// an [`Object`](crate::Object) of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<Object = Revision> {
    /// How the object changed.
    pub kind: EventKind,
    /// The version at which it did. Events of one watcher come in the order of this number.
    pub version: Version,
    /// The state to show: the new one, or for [`EventKind::Deleted`] the last that matched, whose
    /// own version is older than [`Event::version`] if the object still exists.
    pub object: Object,
    /// The revision of the object before this one; `None` when it is the key's first.
    pub previous: Option<Version>,
    /// Whether the revision created the object, rather than making it match.
    pub is_create: bool,
}
