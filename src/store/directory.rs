//! The directory of a store: who owns it, and the files in it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Error;
use crate::disk::{FileMedia, Media, TABLES_NAME, Volume};

fn failed(path: &Path, what: &str, cause: &std::io::Error) -> Error {
    Error::Open {
        path: path.display().to_string(),
        reason: format!("{what}: {cause}"),
    }
}

/// A directory that this process owns.
///
/// Its files come with the lock: the directory is free once nobody uses any of them any more.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    lock: Arc<File>,
}

impl Volume for Directory {
    fn open(self: Arc<Self>, name: &str) -> std::io::Result<Arc<dyn Media>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path.join(name))?;
        // The name of a new file must survive a power cut as its contents do.
        File::open(&self.path)?.sync_all()?;
        Ok(Arc::new(
            FileMedia::new(file).locked_by(Arc::clone(&self.lock)),
        ))
    }
}

/// The folder within a directory in which a restore makes the store.
pub(super) const STAGE: &str = "restoring";

/// Takes the directory, creating it if it is missing. One in which a restore has not ended is
/// refused: it would be taken for an empty store.
pub(super) fn open(directory: &Path) -> Result<Directory, Error> {
    let stage = directory.join(STAGE);
    if stage.join(TABLES_NAME).exists() {
        return Err(Error::Open {
            path: directory.display().to_string(),
            reason: format!(
                "a restore of a backup has not ended here: run it again, or remove {}",
                stage.display()
            ),
        });
    }
    take(directory)
}

/// As [`open`], for the restore itself.
pub(super) fn take(directory: &Path) -> Result<Directory, Error> {
    let is_new = !directory.exists();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|cause| failed(directory, "cannot create the directory", &cause))?;
    // The name of the directory must survive a power cut as well, whoever made it just now. One
    // that was there before may stand in a folder that we may not open.
    match sync_parent(directory) {
        Err(cause) if is_new => {
            return Err(failed(directory, "cannot sync the folder above", &cause));
        }
        Ok(()) | Err(_) => {}
    }
    let lock = take_lock(directory)?;
    Ok(Directory {
        path: directory.to_owned(),
        lock: Arc::new(lock),
    })
}

/// Makes the name of a directory survive a power cut.
pub(super) fn sync_parent(directory: &Path) -> std::io::Result<()> {
    match directory.parent() {
        Some(parent) if parent.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// An OS lock on `lock`, which also holds the owner's process id. The lock goes with the process,
/// however it ends.
fn take_lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|cause| failed(&path, "cannot open the lock file", &cause))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // Only for the message: an unreadable id is shown as unknown.
            let _ = file.read_to_string(&mut owner);
            let owner = if owner.trim().is_empty() {
                "unknown"
            } else {
                owner.trim()
            };
            return Err(Error::Open {
                path: directory.display().to_string(),
                reason: format!(
                    "it is in use by process {owner}, and this is process {}; stop the other one, \
                     or give this one another directory",
                    std::process::id()
                ),
            });
        }
        Err(TryLockError::Error(cause)) => return Err(failed(&path, "cannot lock", &cause)),
    }
    file.set_len(0)
        .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()))
        .map_err(|cause| failed(&path, "cannot write the process id", &cause))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_told_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Arc::new(open(folder.path()).unwrap());
        let error = open(folder.path()).unwrap_err().to_string();
        let own = std::process::id().to_string();
        assert_eq!(error.matches(&own).count(), 2, "{error}");
        let file = Volume::open(first.clone(), "file").unwrap();
        drop(first);
        assert!(open(folder.path()).is_err(), "a file of it is in use");
        drop(file);
        assert!(open(folder.path()).is_ok());
        assert!(std::fs::exists(folder.path().join("file")).unwrap());
    }
}
