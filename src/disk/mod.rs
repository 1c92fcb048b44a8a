//! What is on disk, and the only place that knows redb.
//!
//! ```text
//! commit ──> commit log (log.0, log.1) ──> overlay ──────────> tables (store.redb)
//!            one frame, one sync           in memory           large durable commits, in the
//!            = durable                     = visible           background; the log is reused
//! ```
//!
//! [`Disk`] is the three as one: it commits, and gives out [`View`]s, each of which is exactly one
//! version. The bytes are drawn in `docs/format.md`.
//!
//! Invariants: a commit is all or nothing (D2); versions are 1, 2, 3 ... without a gap (D3); the
//! tables are always a prefix of the log of revisions, and the commit log holds what they lack;
//! `resource` and `trash` are disjoint and follow from the headers alone (D4), which [`check`]
//! proves; so do the two tables of labels.
//!
//! How it fails: a failed append refuses writes until [`Disk::reopen`] has voided its place in the
//! log (P1). The tables are reopened by whoever meets their failure; a commit needs to read them.
//! Where they can be read and not written, commits go on until the overlay is full. Damage is
//! [`Error::Corrupt`], never a panic.

mod apply;
mod birth;
#[doc(hidden)]
pub mod body;
mod check;
mod cold;
mod copy;
mod draft;
mod engine;
mod finding;
mod floors;
mod handle;
mod labelled;
mod labels;
mod load;
mod log;
mod media;
#[cfg(all(test, feature = "shuttle"))]
mod models;
mod overlay;
mod piece;
mod pins;
mod postings;
mod progress;
mod record;
mod repair;
mod tables;
mod trim;
mod view;
mod walk;

use std::ops::ControlFlow;

use crate::Error;
use crate::model::Epoch;

pub(crate) use check::check;
pub(crate) use cold::{check_pages, look};
pub(crate) use draft::Draft;
pub use finding::{Finding, Place, Report, Touches};
pub(crate) use floors::Floors;
pub(crate) use handle::{Disk, Staged, TABLES_NAME, encode_body};
pub(crate) use load::Loader;
#[doc(hidden)]
pub use log::probe as probe_log;
pub use media::{FileMedia, Media, Volume};
#[doc(hidden)]
pub use piece::probe as probe_piece;
pub(crate) use piece::{Found, Reader};
pub use piece::{Head, Summary};
pub(crate) use pins::Pin;
pub(crate) use postings::Selection;
#[doc(hidden)]
pub use record::probe as probe_record;
pub use repair::Repair;
pub(crate) use repair::{Aside, Row, repair};
#[doc(hidden)]
pub use repair::{Wound, wound};
pub(crate) use trim::Trim;
pub(crate) use view::{Slot, View};

/// What a scan calls for each entry; it says whether to go on.
pub(crate) type Visit<'a, T> = &'a mut dyn FnMut(T) -> Result<ControlFlow<()>, Error>;

/// How to open the files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How much redb, and how much the revisions that were read, may take in memory, in bytes.
    pub(crate) cache_bytes: usize,
    /// How many revisions the overlay gathers before they are put into the tables.
    pub(crate) overlay_revisions: usize,
    /// And how many bytes.
    pub(crate) overlay_bytes: usize,
    /// The epoch to write if the files are new.
    pub(crate) new_epoch: Epoch,
    /// The seed of the commit log to write if the files are new.
    pub(crate) new_seed: u64,
}

/// A table of headers by key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// The newest revision of every live key.
    Live,
    /// The delete marker of every key that is not live.
    Trash,
}

/// How many entries there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) revisions: u64,
    pub(crate) live: u64,
    pub(crate) trash: u64,
}
