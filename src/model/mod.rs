//! Pure values: what the store speaks about, with no I/O and no locks.
//!
//! Everything above and below speaks in these types: [`Key`] says which object, [`Version`] says
//! when, [`Revision`] is one entry of the log, [`Filter`] and [`LabelSelector`] choose among
//! objects, [`Event`] is what a watcher receives, and [`Kind`] declares what is searched.
//!
//! Absent on purpose: wire formats. None of these types serialises itself; `disk` and the doors
//! convert by hand, so that a stored or served format never freezes this vocabulary.

mod event;
mod filter;
mod keep;
mod key;
mod kind;
mod metadata;
mod name;
mod path;
mod principal;
mod revision;
mod scope;
mod selector;
mod version;

pub use event::{Event, EventKind};
pub use filter::{FieldTest, Filter, ObjectField};
pub use keep::Keep;
pub use key::{Collection, Key};
pub use kind::{FieldKind, Kind, SearchField};
pub use metadata::Metadata;
pub use name::{NAME_BYTES_MAX, NAMESPACE_BYTES_MAX};
pub use path::{PATH_BYTES_MAX, PATH_MATCHES_MAX, PATH_STEPS_MAX, Path, PathError};
pub use principal::Principal;
pub use revision::{Action, Header, Revision, Timestamp};
pub use scope::{Grant, Names, Reach, Scope};
pub use selector::{LabelSelector, Operator, Requirement, SELECTOR_BYTES_MAX, SelectorError};
pub use version::{Epoch, Version};
