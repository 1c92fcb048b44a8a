//! Making a store of a chain of pieces.
//!
//! ```text
//! DIR/restoring/store.redb   filled in large commits, then checked
//! DIR/store.redb             the same file, once it is whole: one rename
//! ```
//!
//! Until the rename `DIR` is no store, and opening it as one is refused with the way out. What an
//! interrupted restore has left is written over by the next one. A second restore at the same time
//! is kept out by the lock of the folder.

use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::super::directory::{self, Directory, STAGE};
use super::super::random;
use super::{Pieces, Restored, Until};
use crate::Error;
use crate::disk::{
    Disk, Floors, Found, Loader, Reader, Report, Settings, TABLES_NAME, Volume, check,
};
use crate::model::{Epoch, Header, Version};

/// What may stand in an otherwise empty directory.
const HARMLESS: [&str; 2] = [STAGE, "lost+found"];
/// What redb may take in memory meanwhile.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

impl Pieces {
    /// Makes a new store in this directory, which is empty or missing: the state and the history
    /// up to `until`. It ends with a check of the new store if `check` says so, which reads
    /// everything and proves every body.
    ///
    /// The store has a new epoch, so that no version, page token or piece of the old one is taken
    /// for one of the new. What is not in the pieces is made anew when it is opened: the search
    /// index, and a server's certificates and tokens.
    ///
    /// # Errors
    ///
    /// [`Error::Open`] when the directory is not empty or cannot be written; [`Error::BadPiece`]
    /// when a piece is damaged, [`Error::Invalid`] when one is missing or `until` is before
    /// everything; [`Error::Future`] for a version that the pieces do not reach, [`Error::Gone`]
    /// for one that retention had thinned out when the whole piece was taken;
    /// [`Error::Corrupt`] when the check finds something. The directory then is as it was.
    pub fn restore(
        &self,
        directory: impl AsRef<Path>,
        until: Until,
        check: bool,
    ) -> Result<Restored, Error> {
        let directory = directory.as_ref();
        let chain = self.chain(until)?;
        let is_new = !directory.exists();
        check_empty(directory)?;
        let stage = directory.join(STAGE);
        let volume = Arc::new(directory::take(&stage)?);
        if is_new {
            directory::sync_parent(directory).map_err(|why| failed(directory, &why))?;
        }
        let restored = clear(&stage)
            .map_err(|why| failed(directory, &why))
            .and_then(|()| self.fill(&chain, &volume, until))
            .and_then(|restored| prove(&volume, restored, check))
            .and_then(|restored| {
                publish(directory).map_err(|why| failed(directory, &why))?;
                Ok(restored)
            });
        if restored.is_err() {
            // Best effort: what stays is known for what it is, and written over by the next try.
            let _ = fs::remove_dir_all(&stage);
            if is_new {
                let _ = fs::remove_dir(directory);
            }
        }
        restored
    }

    /// Fills the tables from the pieces, up to `until`.
    fn fill(
        &self,
        chain: &[&super::Piece],
        volume: &Arc<Directory>,
        until: Until,
    ) -> Result<Restored, Error> {
        let settings = settings()?;
        let file = Arc::clone(volume).open(TABLES_NAME);
        let file = file.map_err(Error::unavailable)?;
        let mut loader = Loader::create(&file, settings)?;
        let (mut head, mut floors) = (Version::ZERO, Floors::default());
        let mut count = 0;
        for piece in chain {
            let name = piece.path.display().to_string();
            let reader = Reader::open(self.read(piece)?, &name)?;
            let intro = reader.intro().clone();
            if intro.head != piece.head {
                return Err(bad(&name, "it was changed while it was read".to_owned()));
            }
            loader.begin(&intro.floors)?;
            let mut stop = None;
            let read = reader.each(&mut |found| {
                if let Some(header) = &found.header
                    && is_behind(header, until)
                {
                    stop = Some(Version::new(found.version.get() - 1));
                    return Ok(ControlFlow::Break(()));
                }
                if !is_body_behind(&found, until) {
                    loader.add(found)?;
                }
                Ok(ControlFlow::Continue(()))
            });
            read.map_err(|error| with_reach(error, head))?;
            count += 1;
            floors = intro.floors;
            let end = match until {
                Until::Version(version) => version.min(intro.head.version),
                Until::Newest | Until::Time(_) => intro.head.version,
            };
            head = stop.unwrap_or(end);
            if stop.is_some() {
                break;
            }
        }
        check_head(head, floors.newest(), until)?;
        Ok(Restored {
            version: head,
            epoch: settings.new_epoch,
            revisions: loader.finish(head, &floors)?,
            pieces: count,
            report: None,
        })
    }
}

/// Whether this revision does not belong to the state: its batch ends behind it.
fn is_behind(header: &Header, until: Until) -> bool {
    match until {
        Until::Newest => false,
        Until::Version(version) => header.batch_end > version,
        Until::Time(time) => header.time > time,
    }
}

fn is_body_behind(found: &Found<'_>, until: Until) -> bool {
    matches!(until, Until::Version(version) if found.version > version)
}

/// Whether the state of this version can be had.
fn check_head(head: Version, oldest: Version, until: Until) -> Result<(), Error> {
    if head == Version::ZERO && until != Until::Newest {
        let problem = "no batch had ended by then: expected a later version or time";
        return Err(Error::invalid("until", problem.to_owned()));
    }
    if head < oldest {
        let requested = head;
        return Err(Error::Gone { requested, oldest });
    }
    Ok(())
}

/// Adds to a piece's damage how far the pieces before it reach.
fn with_reach(error: Error, reached: Version) -> Error {
    match error {
        Error::BadPiece { piece, reason } if reached > Version::ZERO => bad(
            &piece,
            format!("{reason}; what is before it can be restored up to version {reached}"),
        ),
        other => other,
    }
}

fn bad(piece: &str, reason: String) -> Error {
    Error::BadPiece {
        piece: piece.to_owned(),
        reason,
    }
}

fn settings() -> Result<Settings, Error> {
    Ok(Settings {
        cache_bytes: CACHE_BYTES,
        overlay_revisions: 1,
        overlay_bytes: 1,
        new_epoch: Epoch(random()?),
        new_seed: u64::from_le_bytes(random()?),
    })
}

/// Opens what was made as a store is opened, and proves it if that is asked for.
fn prove(volume: &Arc<Directory>, restored: Restored, wanted: bool) -> Result<Restored, Error> {
    if !wanted {
        return Ok(restored);
    }
    let volume: Arc<dyn Volume> = Arc::clone(volume) as Arc<dyn Volume>;
    let disk = Disk::open(&volume, settings()?)?;
    let checked = disk.view().and_then(|view| check(&view.uncached()));
    disk.close();
    let report = sound(checked?)?;
    Ok(Restored {
        report: Some(report),
        ..restored
    })
}

fn sound(report: Report) -> Result<Report, Error> {
    match report.findings.first() {
        None => Ok(report),
        Some(first) => Err(Error::corrupt(format!(
            "the check of what was restored found {} things, the first: {first}",
            report.wrong
        ))),
    }
}

fn failed(directory: &Path, why: &io::Error) -> Error {
    Error::Open {
        path: directory.display().to_string(),
        reason: why.to_string(),
    }
}

/// Refuses a directory that holds something.
fn check_empty(directory: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(failed(directory, &why)),
    };
    for entry in entries {
        let name = entry.map_err(|why| failed(directory, &why))?.file_name();
        if !HARMLESS.iter().any(|harmless| name == *harmless) {
            return Err(Error::Open {
                path: directory.display().to_string(),
                reason: format!(
                    "a backup is restored into an empty directory, and this one holds {}",
                    name.to_string_lossy()
                ),
            });
        }
    }
    Ok(())
}

/// Removes what an interrupted restore has left. The lock is ours and stays.
fn clear(stage: &Path) -> io::Result<()> {
    for entry in fs::read_dir(stage)? {
        let entry = entry?;
        if entry.file_name() != "lock" {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Gives the tables their name. Everything in them is durable by now.
fn publish(directory: &Path) -> io::Result<()> {
    let taken = directory::take(directory).map_err(io::Error::other)?;
    let (stage, tables) = (directory.join(STAGE), directory.join(TABLES_NAME));
    if tables.exists() {
        let why = "a store was made here meanwhile";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    fs::rename(stage.join(TABLES_NAME), tables)?;
    File::open(directory)?.sync_all()?;
    fs::remove_dir_all(&stage)?;
    drop(taken);
    Ok(())
}
