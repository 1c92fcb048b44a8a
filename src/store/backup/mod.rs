//! Backups: taking one, and finding, proving and restoring the pieces of one.
//!
//! [`Store::backup`] writes a piece; `piece` in `disk` has the bytes. [`Pieces`] are the files of a
//! backup: `pieces` finds them and the chain that leads to a version, `restore` makes a new store
//! of it.
//!
//! Invariants: a restore writes into an empty directory only, and what it makes is a store only
//! once all of it is there; it starts a new epoch. Nothing of a piece is used before its checks
//! have passed. Absent on purpose: when to take a backup, and names of files, but for their end.

mod pieces;
mod restore;

use std::io::{Read, Write};
use std::ops::ControlFlow;

use crate::disk::body::Stored;
use crate::disk::{Reader, Summary};
use crate::model::{Epoch, Timestamp, Version};
use crate::{Error, Report, Store};

pub use pieces::{Piece, Pieces};

/// The end of the names of those files of a folder that are taken for pieces.
pub const PIECE_END: &str = ".annals";
/// The largest number of pieces that are looked at together.
pub const PIECES_MAX: usize = 1_000_000;
/// The largest number of problems that [`Verified`] keeps; the rest are only counted.
pub const PROBLEMS_MAX: usize = 100;

/// How far a restore goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// To the newest version that the pieces hold.
    Newest,
    /// To this version, or the end of the last whole batch before it.
    Version(Version),
    /// To the last batch that was committed at this time or before.
    Time(Timestamp),
}

/// What was found in pieces that were read to their ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many pieces are sound.
    pub pieces: u64,
    /// How many revisions they hold.
    pub revisions: u64,
    /// How long they are, in bytes.
    pub bytes: u64,
    /// What is wrong, in words; empty for a sound backup. At most [`PROBLEMS_MAX`] are kept.
    pub problems: Vec<String>,
    /// How many things are wrong.
    pub wrong: u64,
}

impl Verified {
    fn add(&mut self, problem: String) {
        self.wrong += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

/// A store that was made of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Its newest version. The next write gets the one after it.
    pub version: Version,
    /// Its line of history, a new one.
    pub epoch: Epoch,
    /// How many revisions it holds.
    pub revisions: u64,
    /// How many pieces it was made of.
    pub pieces: usize,
    /// What the check of the new store has counted, if it was made.
    pub report: Option<Report>,
}

impl Store {
    /// Writes a backup of the state of this moment: everything, or what was committed after
    /// `since`, the version of an earlier backup. Answers what was written.
    ///
    /// It is exactly one version, whatever is committed meanwhile, and delays no write. It takes
    /// little memory; while it lasts the tables grow by what is written to them. Stored bodies are
    /// copied as they are: [`Store::check`] proves them.
    ///
    /// # Errors
    ///
    /// [`Error::Future`] for a `since` that was not written yet; [`Error::Gone`] for one behind
    /// which retention has removed something, and [`Error::Invalid`] for one inside a batch: take
    /// a whole backup. [`Error::Io`] when `out` fails. [`Error::Unavailable`] or
    /// [`Error::Corrupt`] when the tables cannot be read. After an error what was written is
    /// nothing: no piece is sound without its end.
    pub fn backup(&self, since: Option<Version>, mut out: impl Write) -> Result<Summary, Error> {
        let since = since.unwrap_or_default();
        self.engine.disk.copy(since, &mut out)
    }
}

/// Reads one piece to its end and proves it: every check, the order and the form of what it
/// holds, and each body that stands on its own. `name` is for messages.
///
/// # Errors
///
/// [`Error::BadPiece`] says where it is damaged; [`Error::Io`] when it cannot be read.
pub fn verify(input: impl Read, name: &str) -> Result<Summary, Error> {
    let reader = Reader::open(input, name)?;
    let summary = reader.each(&mut |found| {
        let stored = Stored::parse(found.stored_body)?.of(found.version);
        if stored.base().is_none() {
            let version = found.version;
            stored.decode(None).map_err(|error| Error::BadPiece {
                piece: name.to_owned(),
                reason: format!("revision {version}: {error}"),
            })?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    // The walk was not ended before the end.
    summary.ok_or(Error::Closed)
}
