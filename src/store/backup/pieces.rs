//! The files of a backup, and the chain of them that leads to a version.
//!
//! Only the heads are read to find the chain: a head says which version its piece continues and
//! which it reaches. A chain begins with a whole piece; each next one continues exactly where the
//! one before has ended. Of several chains the one with the longest last steps is taken.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::{PIECE_END, PIECES_MAX, Until, Verified, verify};
use crate::Error;
use crate::disk::{Head, Reader};
use crate::model::Version;

/// A file that begins as a piece does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it is.
    pub path: PathBuf,
    /// What it says of itself.
    pub head: Head,
    /// How long the file is.
    pub bytes: u64,
}

/// The pieces of one backup.
pub struct Pieces {
    /// In the order of their versions.
    all: Vec<Piece>,
    /// Why others are not among them.
    damaged: Vec<Error>,
    told: Option<Told>,
}

/// What is told how many bytes were read.
type Told = Box<dyn Fn(u64)>;

/// What is read of a file at a time.
const READ_BYTES: usize = 256 * 1024;

fn unread(path: &Path, why: &io::Error) -> Error {
    Error::Io {
        what: format!("cannot read {}", path.display()),
        reason: why.to_string(),
    }
}

impl Pieces {
    /// Finds the pieces: each path is one, or a folder of files whose names end in
    /// [`PIECE_END`]. Only what stands at their beginning is read.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a file cannot be read; [`Error::Invalid`] when there is none, when there
    /// are more than [`PIECES_MAX`], or when they are of two lines of history.
    pub fn open(paths: &[impl AsRef<Path>]) -> Result<Self, Error> {
        let files = find(paths)?;
        let mut pieces = Pieces {
            all: Vec::with_capacity(files.len()),
            damaged: Vec::new(),
            told: None,
        };
        for path in files {
            match read_head(&path) {
                Ok(piece) => pieces.all.push(piece),
                Err(error @ Error::BadPiece { .. }) => pieces.damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        pieces
            .all
            .sort_by_key(|piece| (piece.head.version, piece.head.since));
        pieces.check_epoch()?;
        Ok(pieces)
    }

    /// Tells this function how many bytes were read, as they are.
    #[must_use]
    pub fn told(self, told: impl Fn(u64) + 'static) -> Self {
        Pieces {
            told: Some(Box::new(told)),
            ..self
        }
    }

    /// The pieces whose beginning is sound, in the order of their versions.
    #[must_use]
    pub fn all(&self) -> &[Piece] {
        &self.all
    }

    /// Why other files were not taken for pieces.
    #[must_use]
    pub fn damaged(&self) -> &[Error] {
        &self.damaged
    }

    /// The newest piece to which a whole chain leads.
    #[must_use]
    pub fn newest(&self) -> Option<&Piece> {
        self.reachable().into_values().next_back()
    }

    fn check_epoch(&self) -> Result<(), Error> {
        let (Some(first), rest) = (self.all.first(), self.all.iter()) else {
            return Ok(());
        };
        let mut others = rest.filter(|piece| piece.head.epoch != first.head.epoch);
        match others.next() {
            None => Ok(()),
            Some(other) => Err(invalid(format!(
                "{} is of the line of history {}, and {} of {}: name the pieces of one",
                first.path.display(),
                first.head.epoch,
                other.path.display(),
                other.head.epoch
            ))),
        }
    }

    /// Reads every piece to its end, and looks whether each continues another. Nothing is
    /// restored.
    ///
    /// The first piece may continue one that is not there: a restore would need that as well.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a file cannot be read. What is wrong with those that can is in the
    /// answer.
    pub fn verify(&self) -> Result<Verified, Error> {
        let mut verified = Verified::default();
        for error in &self.damaged {
            verified.add(error.to_string());
        }
        for piece in &self.all {
            match verify(self.read(piece)?, &piece.path.display().to_string()) {
                Ok(summary) => {
                    verified.pieces += 1;
                    verified.revisions += summary.revisions;
                    verified.bytes += summary.bytes;
                }
                Err(error @ Error::BadPiece { .. }) => verified.add(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        let ends: BTreeMap<Version, &Piece> = self
            .all
            .iter()
            .map(|piece| (piece.head.version, piece))
            .collect();
        for piece in self.all.iter().skip(1) {
            let since = piece.head.since;
            if since > Version::ZERO && !ends.contains_key(&since) {
                verified.add(missing(piece));
            }
        }
        Ok(verified)
    }

    /// The pieces to restore, oldest first.
    pub(super) fn chain(&self, until: Until) -> Result<Vec<&Piece>, Error> {
        if let Some(error) = self.damaged.first() {
            return Err(error.clone());
        }
        let newest = self.all.last().map(|piece| piece.head.version);
        let newest = newest.ok_or_else(|| invalid("there is none".to_owned()))?;
        let before = self.reachable();
        let reaches = |piece: &&Piece| match until {
            Until::Newest => piece.head.version == newest,
            Until::Version(version) => piece.head.version >= version,
            Until::Time(time) => piece.head.time > time || piece.head.version == newest,
        };
        if let Until::Version(requested) = until
            && requested > newest
        {
            let current = newest;
            return Err(Error::Future { requested, current });
        }
        let mut wanted = None;
        for piece in self.all.iter().filter(reaches) {
            if piece.head.since == Version::ZERO || before.contains_key(&piece.head.since) {
                return Ok(links(piece, &before));
            }
            wanted = wanted.or(Some(piece));
        }
        let broken = wanted.map_or_else(String::new, |piece| missing(self.first_of(piece)));
        Err(invalid(broken))
    }

    /// For each version that a chain reaches, the last piece of it.
    fn reachable(&self) -> BTreeMap<Version, &Piece> {
        let mut ends: BTreeMap<Version, &Piece> = BTreeMap::new();
        for piece in &self.all {
            let Head { since, version, .. } = piece.head;
            let joins = since == Version::ZERO || ends.contains_key(&since);
            if joins && since < version && !ends.contains_key(&version) {
                ends.insert(version, piece);
            }
        }
        ends
    }

    /// The first of the pieces that lead to this one, as far as they are there.
    fn first_of<'a>(&'a self, piece: &'a Piece) -> &'a Piece {
        let ends: BTreeMap<Version, &Piece> = self
            .all
            .iter()
            .filter(|piece| piece.head.since < piece.head.version)
            .map(|piece| (piece.head.version, piece))
            .collect();
        let mut first = piece;
        while let Some(before) = ends.get(&first.head.since) {
            first = before;
        }
        first
    }

    /// Opens the file of a piece.
    pub(super) fn read(&self, piece: &Piece) -> Result<impl Read + '_, Error> {
        let file = File::open(&piece.path).map_err(|why| unread(&piece.path, &why))?;
        Ok(Counted {
            input: BufReader::with_capacity(READ_BYTES, file),
            told: self.told.as_deref(),
        })
    }
}

/// The pieces that lead to this one, oldest first.
fn links<'a>(last: &'a Piece, before: &BTreeMap<Version, &'a Piece>) -> Vec<&'a Piece> {
    let mut chain = vec![last];
    let mut at = last;
    while let Some(piece) = before.get(&at.head.since) {
        chain.push(piece);
        at = piece;
    }
    chain.reverse();
    chain
}

fn missing(piece: &Piece) -> String {
    format!(
        "{} continues version {}: expected a piece that ends there",
        piece.path.display(),
        piece.head.since
    )
}

fn invalid(problem: String) -> Error {
    Error::invalid("pieces", problem)
}

/// The files that these paths mean.
fn find(paths: &[impl AsRef<Path>]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let about = fs::metadata(path).map_err(|why| unread(path, &why))?;
        if !about.is_dir() {
            files.push(path.to_owned());
            continue;
        }
        for entry in fs::read_dir(path).map_err(|why| unread(path, &why))? {
            let entry = entry.map_err(|why| unread(path, &why))?;
            if entry.file_name().to_string_lossy().ends_with(PIECE_END) {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    files.dedup();
    match files.len() {
        0 => Err(invalid(format!(
            "there is none: expected files, or folders of files whose names end in {PIECE_END}"
        ))),
        count if count > PIECES_MAX => Err(Error::TooLarge {
            field: "pieces",
            actual: count as u64,
            limit: PIECES_MAX as u64,
        }),
        _ => Ok(files),
    }
}

fn read_head(path: &Path) -> Result<Piece, Error> {
    let file = File::open(path).map_err(|why| unread(path, &why))?;
    let bytes = file.metadata().map_err(|why| unread(path, &why))?.len();
    let head = Reader::peek(file, &path.display().to_string())?;
    let path = path.to_owned();
    Ok(Piece { path, head, bytes })
}

/// A file that tells how much of it was read.
struct Counted<'a> {
    input: BufReader<File>,
    told: Option<&'a dyn Fn(u64)>,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(into)?;
        if let Some(told) = self.told {
            told(read as u64);
        }
        Ok(read)
    }
}
