//! The tantivy directory of a shard: whatever the disk offers, made trustworthy.
//!
//! Three things are added. After `meta.json` is replaced the directory is synced, because a commit
//! is durable only with it. The small files tantivy replaces (`meta.json`, `.managed.json`),
//! which carry no checksum of their own, are sealed. And what a crash left of a commit does not
//! stand in the way of its repetition. Locks and everything else are forwarded.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, FileSlice, Lock, WatchCallback, WatchHandle, WritePtr,
};

use crate::seal::{seal, unseal};

/// The file whose replacement is a commit.
pub(crate) const META_FILE: &str = "meta.json";

#[derive(Debug, Clone)]
pub(crate) struct SealedDirectory {
    inner: Box<dyn Directory>,
    skip_sync: bool,
}

impl SealedDirectory {
    pub(crate) fn new(inner: Box<dyn Directory>, skip_sync: bool) -> SealedDirectory {
        SealedDirectory { inner, skip_sync }
    }
}

impl Directory for SealedDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.inner.get_file_handle(path)
    }

    fn open_read(&self, path: &Path) -> Result<FileSlice, OpenReadError> {
        self.inner.open_read(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.inner.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    /// A file that is there already is what a crash left of a commit: tantivy counts on from the
    /// last commit, so the repeated one names its files of deletions as the lost one did. No file
    /// in use can bear the name, because nothing committed is numbered so high.
    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        match self.inner.open_write(path) {
            Err(OpenWriteError::FileAlreadyExists(_)) => {
                self.inner.delete(path).map_err(|error| {
                    OpenWriteError::wrap_io_error(io::Error::other(error), path.to_owned())
                })?;
                self.inner.open_write(path)
            }
            opened => opened,
        }
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let sealed = self.inner.atomic_read(path)?;
        match unseal(&sealed) {
            Some(content) => Ok(content.to_vec()),
            None => {
                let error = io::Error::new(io::ErrorKind::InvalidData, "the seal is broken");
                Err(OpenReadError::wrap_io_error(error, path.to_owned()))
            }
        }
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.inner.atomic_write(path, &seal(data))?;
        if path == Path::new(META_FILE) && !self.skip_sync {
            self.inner.sync_directory()?;
        }
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.inner.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.inner.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.inner.watch(callback)
    }
}
