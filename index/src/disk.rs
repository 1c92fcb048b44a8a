//! The folder an index lives in, seen as the few operations the index needs.
//!
//! The trait is the seam at which a test puts a recording, lying disk under the whole crate; the
//! only other implementation is `Folder`. Paths are relative, with `/` between the parts. What
//! `make`, `replace` and `remove` have done survives a crash once they have returned.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tantivy::directory::{Directory, MmapDirectory};

/// Where an index keeps its files.
pub trait Disk: Send + Sync + 'static {
    /// Makes a folder, and those above it, durably. It may exist already.
    fn make(&self, path: &str) -> io::Result<()>;
    /// A folder that exists, for tantivy.
    fn directory(&self, path: &str) -> io::Result<Box<dyn Directory>>;
    /// Whether a file or folder exists.
    fn exists(&self, path: &str) -> bool;
    /// The names in the topmost folder.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Every file below a folder with its length, sorted, lock files excepted.
    fn files(&self, path: &str) -> io::Result<Vec<(String, u64)>>;
    /// The content of a small file, if it exists.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;
    /// Puts a small file in the topmost folder in place of the old one, durably and atomically.
    fn replace(&self, path: &str, content: &[u8]) -> io::Result<()>;
    /// Removes a file of the topmost folder, or a folder with everything in it, durably.
    fn remove(&self, path: &str) -> io::Result<()>;
}

/// A folder of the operating system.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(crate) fn new(root: &Path) -> Folder {
        Folder {
            root: root.to_owned(),
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn sync_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => File::open(".")?.sync_all(),
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Disk for Folder {
    fn make(&self, path: &str) -> io::Result<()> {
        let folder = self.at(path);
        let missing: Vec<&Path> = folder
            .ancestors()
            .take_while(|path| !path.exists())
            .collect();
        fs::create_dir_all(&folder)?;
        missing
            .iter()
            .rev()
            .try_for_each(|path| self.sync_parent(path))
    }

    fn directory(&self, path: &str) -> io::Result<Box<dyn Directory>> {
        let directory = MmapDirectory::open(self.at(path)).map_err(io::Error::other)?;
        Ok(Box::new(directory))
    }

    fn exists(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn files(&self, path: &str) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(self.at(&folder))? {
                let entry = entry?;
                let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
                let meta = entry.metadata()?;
                if meta.is_dir() {
                    folders.push(name);
                } else if !name.ends_with(".lock") {
                    files.push((name, meta.len()));
                }
            }
        }
        files.sort();
        Ok(files)
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.at(path)) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let (target, draft) = (self.at(path), self.at(&format!("{path}.new")));
        let mut file = File::create(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&draft, &target)?;
        self.sync_parent(&target)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let target = self.at(path);
        let removed = if target.is_dir() {
            fs::remove_dir_all(&target)
        } else {
            fs::remove_file(&target)
        };
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.sync_parent(&target),
        }
    }
}
