//! The data directory: made on the first start, private to its owner.
//!
//! The lock and the folder of the store are the library's; this file only makes the place.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Error;

/// A directory that holds one of these is ours.
const MARKS: [&str; 5] = [
    "tls",
    "store.redb",
    "lock",
    "admin.sha256",
    "admin.kubeconfig",
];

/// What may lie in an otherwise empty directory.
const HARMLESS: &str = "lost+found";

/// A data directory, mode 0700. An ephemeral one is removed when this value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    ephemeral: bool,
}

impl DataDir {
    /// Opens `path`, or makes it with its parents. Refuses a directory with foreign files.
    ///
    /// # Errors
    /// When the path is not a directory, is someone else's, or cannot be made or narrowed.
    pub fn open(path: &Path) -> Result<Self, Error> {
        match fs::metadata(path) {
            Ok(found) if !found.is_dir() => return Err(Error::NotDirectory(path.to_owned())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(path)?,
            Err(error) => return Err(Error::io("open the data directory", path)(error)),
        }
        let path = path
            .canonicalize()
            .map_err(Error::io("open the data directory", path))?;
        if !is_ours_or_empty(&path)? {
            return Err(Error::Foreign(path));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
            .map_err(Error::io("narrow the mode of", &path))?;
        Ok(Self {
            path,
            ephemeral: false,
        })
    }

    /// Makes a directory under the system's temporary folder that lives as long as this value.
    ///
    /// # Errors
    /// When the temporary folder cannot be written.
    pub fn ephemeral() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("annals-{}", uuid::Uuid::new_v4()));
        make(&path)?;
        Ok(Self {
            path,
            ephemeral: true,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if self.ephemeral
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            let path = self.path.display();
            tracing::warn!(%path, %error, "ephemeral directory is left behind");
        }
    }
}

fn make(path: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::io("make the data directory", path))
}

fn is_ours_or_empty(path: &Path) -> Result<bool, Error> {
    let mut empty = true;
    for entry in fs::read_dir(path).map_err(Error::io("list the data directory", path))? {
        let name = entry
            .map_err(Error::io("list the data directory", path))?
            .file_name();
        if MARKS.iter().any(|mark| name == *mark) {
            return Ok(true);
        }
        empty &= name == HARMLESS;
    }
    Ok(empty)
}

#[cfg(test)]
mod tests {
    //! Catches a data directory open to others, and a start that takes over a foreign directory.
    use super::*;

    #[test]
    fn makes_a_private_directory() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&root.path().join("a/b")).unwrap();
        let mode = fs::metadata(dir.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn refuses_what_is_not_ours() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.txt"), "text").unwrap();
        let before = fs::metadata(root.path()).unwrap().permissions().mode();
        assert!(matches!(DataDir::open(root.path()), Err(Error::Foreign(_))));
        assert_eq!(
            fs::metadata(root.path()).unwrap().permissions().mode(),
            before
        );
        let file = root.path().join("thesis.txt");
        assert!(matches!(DataDir::open(&file), Err(Error::NotDirectory(_))));
        fs::write(root.path().join("admin.sha256"), "").unwrap();
        DataDir::open(root.path()).unwrap();
    }

    #[test]
    fn ephemeral_goes_away() {
        let dir = DataDir::ephemeral().unwrap();
        let path = dir.path().to_owned();
        fs::write(path.join("file"), "text").unwrap();
        drop(dir);
        assert!(!path.exists());
    }
}
