//! A file that gets its name only when all of it is written and durable.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Exit, Failure};

/// What the name ends in until then.
pub(super) const END: &str = ".partial";

/// A file in its folder, mode 0600, under a name that begins with a dot. Dropped without
/// [`Part::keep`], it is removed.
#[derive(Debug)]
pub(super) struct Part {
    partial: PathBuf,
    file: File,
    kept: bool,
}

impl Part {
    /// Begins a file that is going to stand beside this one, or over it.
    pub(super) fn beside(path: &Path) -> Result<Self, Failure> {
        let name = path.file_name().ok_or_else(|| {
            let message = format!("{}: expected the name of a file", path.display());
            Failure::new(Exit::Usage, message)
        })?;
        let name = format!(".{}{END}", name.to_string_lossy());
        let partial = path.with_file_name(name);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)
            .map_err(|why| wrong(&partial, &why))?;
        Ok(Self {
            partial,
            file,
            kept: false,
        })
    }

    /// The file itself.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Makes what was written durable, then gives it this name, in the same folder.
    pub(super) fn keep(mut self, path: &Path) -> Result<(), Failure> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let named = self
            .file
            .sync_all()
            .and_then(|()| fs::rename(&self.partial, path))
            .and_then(|()| {
                self.kept = true;
                File::open(folder)?.sync_all()
            });
        named.map_err(|why| wrong(path, &why))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            // What stays is known by its name, and is no file of anybody.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// A file that cannot be read or written.
pub(super) fn wrong(path: &Path, why: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    //! Catches a half file under the name of a whole one.
    use std::io::Write;

    use super::*;

    #[test]
    fn half_a_file_has_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let half = Part::beside(&path).unwrap();
        half.file().write_all(b"half").unwrap();
        drop(half);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::write(&path, "before").unwrap();
        let whole = Part::beside(&path).unwrap();
        whole.file().write_all(b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"before");
        whole.keep(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(Part::beside(Path::new("/")).is_err());
    }
}
