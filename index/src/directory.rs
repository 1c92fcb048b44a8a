//! The tantivy directory of a shard: whatever the disk offers, made trustworthy and cheaper.
//!
//! After `meta.json` is replaced the directory is synced, because a commit is durable only with it.
//! The small files tantivy replaces (`meta.json`, `.managed.json`), which carry no checksum of
//! their own, are sealed. And `.managed.json`, tantivy's list of its files, is written once per
//! sync of the directory, where tantivy would write and sync it for every new file: after a crash
//! the list may lack files of a lost commit, and [`crate::shard`] removes those on opening. Locks
//! and everything else are forwarded.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, FileSlice, Lock, WatchCallback, WatchHandle, WritePtr,
};

use crate::seal::{seal, unseal};

/// The file whose replacement is a commit.
pub(crate) const META_FILE: &str = "meta.json";
/// The file with the names of all files.
pub(crate) const LIST_FILE: &str = ".managed.json";

#[derive(Debug, Clone)]
pub(crate) struct SealedDirectory {
    inner: Box<dyn Directory>,
    /// The newest list of files, if it is not written yet.
    list: Arc<Mutex<Option<Vec<u8>>>>,
    skip_sync: bool,
}

impl SealedDirectory {
    pub(crate) fn new(inner: Box<dyn Directory>, skip_sync: bool) -> SealedDirectory {
        SealedDirectory {
            inner,
            list: Arc::default(),
            skip_sync,
        }
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

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.inner.open_write(path)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        if let (true, Some(list)) = (path == Path::new(LIST_FILE), &*self.list.lock()) {
            return Ok(list.clone());
        }
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
        if path == Path::new(LIST_FILE) {
            *self.list.lock() = Some(data.to_vec());
            return Ok(());
        }
        self.inner.atomic_write(path, &seal(data))?;
        if path == Path::new(META_FILE) && !self.skip_sync {
            self.inner.sync_directory()?;
        }
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        if let Some(list) = self.list.lock().take() {
            self.inner
                .atomic_write(Path::new(LIST_FILE), &seal(&list))?;
        }
        self.inner.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.inner.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.inner.watch(callback)
    }
}
