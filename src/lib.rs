//! annals: an embedded store for Kubernetes-style resources.
//!
//! It keeps the annals of a system: every object, every revision of it, in one order. A store is
//! one directory; it needs no server, and no C code is in its storage and search path.
//!
//! **It is** a log of every revision with the current state beside it, gap-free versions, watches
//! that resume from any version, reads of any version in the past, and a full-text index that is
//! derived from the log and can never hurt a write.
//!
//! **It is not** a relational database, a cache, or a general key-value store: values are JSON
//! objects with Kubernetes metadata, one process owns a directory, and there are no joins.
//!
//! [`Store::kind`] gives a handle on objects of a Rust type, which most embedders want; [`Objects`]
//! has an example. Below it, the store takes keys and bytes:
//!
//! ```
//! use annals::{Collection, Filter, Key, List, Options, Store, Write};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let store = Store::open(directory.path(), Options::new())?;
//! let key = Key::new("playlist.grafana.app", "playlists", "default", "morning")?;
//!
//! let first = store.write(Write::create(key.clone(), br#"{"spec":{"interval":"5m"}}"#.to_vec()))?;
//! let second = store.write(
//!     Write::update(key.clone(), br#"{"spec":{"interval":"9m"}}"#.to_vec())
//!         .if_version(first.version()),
//! )?;
//! assert_eq!(second.version(), first.version().next());
//!
//! let then = store.snapshot_at(first.version())?.get(&key)?.expect("it was there");
//! assert_eq!(then.body(), br#"{"spec":{"interval":"5m"}}"#);
//!
//! let playlists = Collection::within("playlist.grafana.app", "playlists", "default")?;
//! assert_eq!(store.snapshot()?.list(&List::new(playlists.clone()))?.items.len(), 1);
//! let mut watch = store.watch(playlists, Filter::default(), first.version())?;
//! assert_eq!(watch.try_next()?.map(|event| event.version), Some(second.version()));
//! # Ok(())
//! # }
//! ```
//!
//! # Limits and errors
//!
//! Every limit is a constant of this crate, named `.._MAX`, or an option of [`Options`]. Every call
//! that can fail answers [`Error`]: its variant says what happened, [`Error::kind`] what to do.
//!
//! # The map
//!
//! | module | holds | who calls it |
//! | --- | --- | --- |
//! | `model` | values: [`Key`], [`Version`], [`Revision`], [`Filter`], [`Event`], [`Kind`] | everybody |
//! | `disk` | the commit log, the tables, check and repair; the only place that knows redb | `store`, `feed` |
//! | `feed` | the ring of the newest commits and the [`Watch`] over it | `store` |
//! | `kind` | typed handles: [`Resource`], [`Objects`], [`Object`] | you |
//! | [`backup`] | pieces of a backup: verify, restore | `store`, you |
//! | [`search`] | questions to the index, answers, and what a caller may see | `store` |
//! | [`access`] | who may see and do what: rules, and the [`Scope`] they come to | you |
//! | `store` | [`Store`]: write, read, watch, search, retention, and the follower of the index | you |

#![deny(missing_docs)]

pub mod access;
pub mod backup;
mod clock;
mod disk;
mod error;
mod feed;
mod kind;
mod model;
mod options;
pub mod search;
mod store;
mod sync;

pub use clock::{Clock, ManualClock, SystemClock};
#[doc(hidden)]
pub use disk::{
    FileMedia, Media, Volume, Wound, body, probe_log, probe_piece, probe_record, wound,
};
pub use error::{Error, ErrorKind};
pub use feed::{Sight, Step, Watch};
pub use kind::{Object, ObjectMeta, ObjectWatch, Objects, ObjectsAt, Resource};
pub use model::{
    Action, Collection, Epoch, Event, EventKind, FieldKind, FieldTest, Filter, Grant, Header, Keep,
    Key, Kind, LabelSelector, Metadata, NAME_BYTES_MAX, NAMESPACE_BYTES_MAX, Names, ObjectField,
    Operator, PATH_BYTES_MAX, PATH_MATCHES_MAX, PATH_STEPS_MAX, Path, PathError, Principal, Reach,
    Requirement, Revision, SELECTOR_BYTES_MAX, Scope, SearchField, SelectorError, Timestamp,
    Version,
};
pub use options::{
    BATCH_BYTES_MAX, BATCH_WRITES_MAX, COMMIT_BYTES_MAX, COMMIT_WRITES_MAX, INDEX_WAIT_MS_MAX,
    LOAD_BYTES_MAX, LOAD_WRITES_MAX, NAMESPACE_JOBS_MAX, Options, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX,
    QUEUE_BYTES_MAX, QUEUE_JOBS_MAX,
};
pub use store::{
    Finding, List, Page, Place, Repair, Report, Snapshot, Stats, Store, Touches, Write,
};
