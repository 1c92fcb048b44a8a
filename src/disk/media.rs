//! The bytes under the tables: a file, or whatever a test puts in its place.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

use crate::Error;
use crate::sync::Mutex;

/// A flat, growing space of bytes that can be made durable.
///
/// The store owns the directory by a lock of its own, so a medium has no locks: the crash suites
/// put a recording, faulting one here.
pub trait Media: fmt::Debug + Send + Sync + 'static {
    /// How many bytes there are.
    ///
    /// # Errors
    ///
    /// Whatever the medium reports; the store then refuses writes until it is reopened.
    fn len(&self) -> io::Result<u64>;

    /// Whether there are no bytes.
    ///
    /// # Errors
    ///
    /// As [`Media::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `out` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// As [`Media::len`]; also when the range is not wholly inside.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Grows with zeros, or cuts off.
    ///
    /// # Errors
    ///
    /// As [`Media::len`].
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Returns once everything written before survives a power cut.
    ///
    /// # Errors
    ///
    /// As [`Media::len`].
    fn sync(&self) -> io::Result<()>;

    /// Replaces the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// As [`Media::len`].
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;
}

/// The files of one store, by name. The store opens each of them once and keeps it.
pub trait Volume: fmt::Debug + Send + Sync + 'static {
    /// Opens a file, which is created empty if it is missing; its name then survives a power cut.
    ///
    /// # Errors
    ///
    /// Whatever the medium reports: the store does not open.
    fn open(self: Arc<Self>, name: &str) -> io::Result<Arc<dyn Media>>;
}

/// A file.
#[derive(Debug)]
pub struct FileMedia {
    file: File,
    /// Goes with the file: whoever still reads or writes it owns the directory.
    _lock: Option<Arc<File>>,
}

impl FileMedia {
    /// Reads and writes this file, which is open for both.
    #[must_use]
    pub fn new(file: File) -> Self {
        FileMedia { file, _lock: None }
    }

    /// Keeps the lock that this open file holds until nobody uses the file any more.
    #[must_use]
    pub fn locked_by(self, lock: Arc<File>) -> Self {
        FileMedia {
            _lock: Some(lock),
            ..self
        }
    }
}

impl Media for FileMedia {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}

/// The first failure of a handle: what comes after it says only that there was one.
#[derive(Debug, Default)]
pub(super) struct Fault {
    struck: AtomicBool,
    cause: Mutex<Option<String>>,
}

impl Fault {
    /// Remembers what the medium has answered.
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            self.cause.lock().get_or_insert_with(|| error.to_string());
        })
    }

    /// A call on the handle has failed.
    pub(super) fn strike(&self, error: &Error) {
        self.cause.lock().get_or_insert_with(|| match error {
            Error::Unavailable { reason } => reason.clone(),
            other => other.to_string(),
        });
        self.struck.store(true, Ordering::Release);
    }

    pub(super) fn has_struck(&self) -> bool {
        self.struck.load(Ordering::Acquire)
    }

    /// Why, if a call has failed.
    pub(super) fn cause(&self) -> Option<String> {
        self.cause.lock().clone().filter(|_| self.has_struck())
    }

    /// There is a new handle.
    pub(super) fn clear(&self) {
        *self.cause.lock() = None;
        self.struck.store(false, Ordering::Release);
    }
}

/// Shows a medium to redb. The locks it asks for are granted: the directory lock is ours.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) media: Arc<dyn Media>,
    pub(super) fault: Arc<Fault>,
}

type Locked<T> = Result<T, redb::BackendError>;
type Range = std::ops::Bound<u64>;

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.fault.note(self.media.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.fault.note(self.media.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.fault.note(self.media.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        if cfg!(feature = "canary") {
            Ok(())
        } else {
            self.fault.note(self.media.sync())
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.fault.note(self.media.write(offset, data))
    }

    fn try_lock_range(&self, _start: Range, _end: Range) -> Locked<bool> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _start: Range, _end: Range) -> Locked<bool> {
        Ok(true)
    }

    fn lock_range(&self, _start: Range, _end: Range) -> Locked<()> {
        Ok(())
    }

    fn lock_shared_range(&self, _start: Range, _end: Range) -> Locked<()> {
        Ok(())
    }

    fn unlock_range(&self, _start: Range, _end: Range) -> Locked<()> {
        Ok(())
    }
}
