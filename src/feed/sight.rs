//! What a change looks like through a filter.

use std::ops::ControlFlow;

use super::commit::Change;
use crate::model::{Action, Event, EventKind, Filter, Header, Revision, Version};

/// One change of one object as a watcher sees it, lent for the time of a visit: nothing is cloned
/// or counted for it. See [`Event`] for the fields.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// How the object changed.
    pub kind: EventKind,
    /// The version at which it did.
    pub version: Version,
    /// The state to show.
    pub object: &'a Revision,
    /// The revision of the object before this one; `None` when it is the key's first.
    pub previous: Option<Version>,
    /// Whether the revision created the object, rather than making it match.
    pub is_create: bool,
}

impl Sight<'_> {
    /// The same, to keep.
    #[must_use]
    pub fn to_event(&self) -> Event {
        Event {
            kind: self.kind,
            version: self.version,
            object: self.object.clone(),
            previous: self.previous,
            is_create: self.is_create,
        }
    }
}

impl<'a> Sight<'a> {
    /// A change that was judged, with the object to show for it.
    pub(super) fn new(kind: EventKind, header: &Header, object: &'a Revision) -> Self {
        Sight {
            kind,
            version: header.version,
            object,
            previous: header.previous,
            is_create: header.action == Action::Created,
        }
    }

    pub(super) fn of(event: &'a Event) -> Self {
        Sight {
            kind: event.kind,
            version: event.version,
            object: &event.object,
            previous: event.previous,
            is_create: event.is_create,
        }
    }
}

/// What a visitor says: go on, or stop behind this one.
pub(super) type Verdict = ControlFlow<()>;

/// How a change looks through the filter; `None` if it does not concern it.
pub(super) fn judge(filter: &Filter, change: &Change) -> Option<EventKind> {
    let header = change.revision.header();
    let before = change.before.as_deref();
    let matched = before.is_some_and(|before| filter.matches(before));
    let matches = header.is_live() && filter.matches(header);
    kind_of(matched, matches)
}

/// The kind of a change by whether the object matched before it, and does after it.
pub(super) fn kind_of(matched: bool, matches: bool) -> Option<EventKind> {
    match (matched, matches) {
        (false, false) => None,
        (false, true) => Some(EventKind::Added),
        (true, true) => Some(EventKind::Modified),
        (true, false) => Some(EventKind::Deleted),
    }
}
