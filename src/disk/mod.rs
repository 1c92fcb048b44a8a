//! The tables on disk, and the only place that knows redb.
//!
//! `store` calls it through two traits without any redb type in them: [`Disk`] commits and opens
//! views, [`View`] reads one committed state. A test puts its own [`Media`] under the engine.
//!
//! ```text
//! file store.redb
//!   meta      text            -> bytes     "format" u32 LE, "epoch" 16 bytes
//!   history   version u64     -> record    every revision: header and body          the truth (D4)
//!   resource  encoded key     -> header    the newest revision of every live key    derived
//!   trash     encoded key     -> header    the delete marker of every dead key      derived
//!
//! record      | header length u32 LE | header | body: the object's JSON |
//! header      | rkyv archive of `record::StoredHeader` (little-endian, unaligned) |
//! ```
//!
//! Invariants: a commit is all or nothing (D2); the versions in `history` are 1, 2, 3 ... without
//! a gap (D3); `resource` and `trash` are disjoint and follow from `history` alone (D4), which
//! [`check`] proves.
//!
//! How it fails: an I/O error makes every later call on the same handle fail until
//! [`Disk::reopen`] has opened the file anew (P1). Damage is [`Error::Corrupt`], never a panic.

mod birth;
#[doc(hidden)]
pub mod body;
mod check;
mod media;
mod record;
mod tables;

use std::ops::ControlFlow;

use crate::Error;
use crate::model::{Epoch, Header, Key, Revision, Version};

pub use check::Report;
pub(crate) use check::check;
pub use media::{FileMedia, Media, Volume};
#[doc(hidden)]
pub use record::probe as probe_record;
pub(crate) use tables::{Settings, Tables};

/// What a scan calls for each entry; it says whether to go on.
pub(crate) type Visit<'a, T> = &'a mut dyn FnMut(T) -> Result<ControlFlow<()>, Error>;

/// A table of headers by key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// The newest revision of every live key.
    Live,
    /// The delete marker of every key that is not live.
    Trash,
}

/// A durable place for revisions.
pub(crate) trait Disk: Send + Sync + 'static {
    /// Opens a view of the newest committed state.
    fn view(&self) -> Result<Box<dyn View>, Error>;

    /// Appends these revisions, which continue the log without a gap, in one durable commit.
    ///
    /// After an error it is unknown whether they were committed, and the handle is of no use
    /// until it is reopened.
    fn commit(&self, revisions: &[Revision]) -> Result<(), Error>;

    /// If a call has failed since it was opened, closes the file and opens it again. Views opened
    /// before must be gone, or it fails; new ones are refused meanwhile.
    fn reopen(&self) -> Result<(), Error>;

    /// The identity of this line of history.
    fn epoch(&self) -> Epoch;

    /// The size of the file in bytes.
    fn size(&self) -> Result<u64, Error>;
}

/// One committed state. Later commits do not change it.
pub(crate) trait View {
    /// The newest version of this state.
    fn head(&self) -> Result<Version, Error>;

    /// The entry of a key on a shelf.
    fn header_of(&self, shelf: Shelf, key: &Key) -> Result<Option<Header>, Error>;

    /// The header of a revision.
    fn header(&self, version: Version) -> Result<Option<Header>, Error>;

    /// A revision with its body.
    fn revision(&self, version: Version) -> Result<Option<Revision>, Error>;

    /// Visits the headers of a shelf in key order: those whose encoded key begins with `prefix`
    /// and, if `after` is given, sorts behind it.
    fn scan(
        &self,
        shelf: Shelf,
        prefix: &str,
        after: Option<&Key>,
        visit: Visit<'_, Header>,
    ) -> Result<(), Error>;

    /// Visits the log in order, from the revision after this version.
    fn log(&self, after: Version, visit: Visit<'_, Revision>) -> Result<(), Error>;

    /// How many entries the log and the two shelves have.
    fn counts(&self) -> Result<Counts, Error>;
}

/// How many entries there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) revisions: u64,
    pub(crate) live: u64,
    pub(crate) trash: u64,
}
