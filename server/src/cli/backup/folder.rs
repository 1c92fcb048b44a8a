//! A folder that holds the pieces of one backup, and nothing half.
//!
//! ```text
//! 00000000000000000150-after-00000000000000000100.annals   a piece; names sort by version
//! .00000000000000000160-after-...annals.partial            one that is being written, or was
//! 00000000000000000150-after-...annals.damaged             one that was found bad
//! .lock                                                    whoever adds pieces holds it
//! ```
//!
//! Nothing that may be a piece is ever removed. What was left half by an interrupted run is.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use annals::Error;
use annals::backup::{PIECE_END, Piece, Pieces, Summary, verify};

use crate::cli::local::failure;
use crate::cli::part::{self, Part, wrong};
use crate::cli::{Exit, Failure, print};

/// The folder, which nobody else adds to meanwhile.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes the folder, and makes it when it is missing.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|why| wrong(path, &why))?;
        let lock_path = path.join(".lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|why| wrong(&lock_path, &why))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "{}: another `annals backup` adds pieces here: stop it, or name another folder",
                    path.display()
                );
                return Err(Failure::new(Exit::Failed, message));
            }
            Err(TryLockError::Error(why)) => return Err(wrong(&lock_path, &why)),
        }
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        folder.sweep()?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what interrupted runs have left half.
    fn sweep(&self) -> Result<(), Failure> {
        let half = format!("{PIECE_END}{}", part::END);
        for entry in fs::read_dir(&self.path).map_err(|why| wrong(&self.path, &why))? {
            let entry = entry.map_err(|why| wrong(&self.path, &why))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') && name.ends_with(&half) {
                fs::remove_file(entry.path()).map_err(|why| wrong(&entry.path(), &why))?;
            }
        }
        Ok(())
    }

    /// The newest piece that a chain of sound ones leads to. It was read to its end; those that are
    /// found bad are put aside.
    pub(super) fn newest(&self) -> Result<Option<Piece>, Failure> {
        loop {
            let pieces = match Pieces::open(&[&self.path]) {
                Ok(pieces) => pieces,
                // There is none yet.
                Err(Error::Invalid { .. }) if self.is_empty()? => return Ok(None),
                Err(error) => return Err(failure(&error)),
            };
            if let Some(error) = pieces.damaged().first() {
                self.put_aside(error)?;
                continue;
            }
            let Some(newest) = pieces.newest() else {
                return Ok(None);
            };
            let file = File::open(&newest.path).map_err(|why| wrong(&newest.path, &why))?;
            match verify(file, &newest.path.display().to_string()) {
                Ok(_) => return Ok(Some(newest.clone())),
                Err(error @ Error::BadPiece { .. }) => self.put_aside(&error)?,
                Err(error) => return Err(failure(&error)),
            }
        }
    }

    fn is_empty(&self) -> Result<bool, Failure> {
        let entries = fs::read_dir(&self.path).map_err(|why| wrong(&self.path, &why))?;
        let mut names = entries.flatten().map(|entry| entry.file_name());
        Ok(!names.any(|name| name.to_string_lossy().ends_with(PIECE_END)))
    }

    /// Gives a bad piece a name that is none of a piece.
    fn put_aside(&self, error: &Error) -> Result<(), Failure> {
        let Error::BadPiece { piece, .. } = error else {
            return Err(failure(error));
        };
        let aside = PathBuf::from(format!("{piece}.damaged"));
        fs::rename(piece, &aside).map_err(|why| wrong(Path::new(piece), &why))?;
        let line = format!("{error}; it is put aside as {}", aside.display());
        eprintln!("{}", print::clean(&line));
        Ok(())
    }

    /// Begins a piece.
    pub(super) fn begin(&self) -> Result<Part, Failure> {
        Part::beside(&self.path.join(format!("next{PIECE_END}")))
    }

    /// Gives a piece its name.
    pub(super) fn keep(&self, part: Part, summary: &Summary) -> Result<PathBuf, Failure> {
        let (version, since) = (summary.head.version.get(), summary.head.since.get());
        let name = format!("{version:020}-after-{since:020}{PIECE_END}");
        let path = self.path.join(name);
        part.keep(&path)?;
        Ok(path)
    }
}
