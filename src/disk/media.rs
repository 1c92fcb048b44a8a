//! The bytes under the tables: a file, or whatever a test puts in its place.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
///
/// After a failed sync the system may hold pages that it calls clean and that never reached the
/// disk: syncing again would report success for nothing. So what was written since the last good
/// sync is remembered, and after a failed one it is written again before the next.
#[derive(Debug)]
pub struct FileMedia {
    file: File,
    unsynced: Mutex<Unsynced>,
    /// Goes with the file: whoever still reads or writes it owns the directory.
    _lock: Option<Arc<File>>,
}

/// What was written since the last good sync.
#[derive(Debug, Default)]
struct Unsynced {
    ranges: Vec<Range<u64>>,
    /// Whether a sync has failed since.
    failed: bool,
}

/// So many ranges are kept before those that touch are joined.
const RANGES_MAX: usize = 8_192;
/// Bytes that are written again at a time.
const REWRITE_BYTES: usize = 1024 * 1024;

impl Unsynced {
    fn add(&mut self, range: Range<u64>) {
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
        if self.ranges.len() > RANGES_MAX {
            self.join();
        }
    }

    /// Joins the ranges that touch, and if there are still many, all of them.
    fn join(&mut self) {
        self.ranges.sort_by_key(|range| range.start);
        let mut joined: Vec<Range<u64>> = Vec::new();
        for range in self.ranges.drain(..) {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        if joined.len() > RANGES_MAX / 2 {
            let end = joined.last().map_or(0, |last| last.end);
            joined.truncate(1);
            joined.iter_mut().for_each(|all| all.end = end);
        }
        self.ranges = joined;
    }
}

impl FileMedia {
    /// Reads and writes this file, which is open for both.
    #[must_use]
    pub fn new(file: File) -> Self {
        FileMedia {
            file,
            unsynced: Mutex::default(),
            _lock: None,
        }
    }

    /// Keeps the lock that this open file holds until nobody uses the file any more.
    #[must_use]
    pub fn locked_by(self, lock: Arc<File>) -> Self {
        FileMedia {
            _lock: Some(lock),
            ..self
        }
    }

    /// Syncs by this call; says how many bytes were written again for it.
    fn sync_by(&self, sync: impl FnOnce(&File) -> io::Result<()>) -> io::Result<u64> {
        let mut unsynced = self.unsynced.lock();
        let rewritten = if unsynced.failed {
            unsynced.join();
            let length = self.file.metadata()?.len();
            let mut count = 0;
            for range in &unsynced.ranges {
                count += self.rewrite(range.start..range.end.min(length))?;
            }
            count
        } else {
            0
        };
        unsynced.failed = true;
        sync(&self.file)?;
        *unsynced = Unsynced::default();
        Ok(rewritten)
    }

    fn rewrite(&self, range: Range<u64>) -> io::Result<u64> {
        let (mut at, mut chunk) = (range.start, Vec::new());
        while at < range.end {
            let size = usize::try_from(range.end - at).unwrap_or(REWRITE_BYTES);
            chunk.resize(size.min(REWRITE_BYTES), 0);
            self.file.read_exact_at(&mut chunk, at)?;
            self.file.write_all_at(&chunk, at)?;
            at += chunk.len() as u64;
        }
        Ok(range.end.saturating_sub(range.start))
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
        self.sync_by(File::sync_data).map(drop)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        // Noted before it is tried: a part of it may be written.
        self.unsynced.lock().add(offset..offset + data.len() as u64);
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

    /// The same error with what the medium has answered first, where it says only that there was
    /// a failure before it.
    pub(super) fn explain(&self, error: Error) -> Error {
        match (error, &*self.cause.lock()) {
            (Error::Unavailable { reason }, Some(cause)) if !reason.contains(cause) => {
                Error::unavailable(format!("{cause}: {reason}"))
            }
            (error, _) => error,
        }
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
    media: Arc<dyn Media>,
    fault: Arc<Fault>,
    /// Bytes written since the last sync.
    unsynced: AtomicU64,
}

/// After so many bytes the medium is told to write, not only when a commit ends: what waits there
/// is in the way of the commit log's syncs, which callers wait for.
const UNSYNCED_BYTES_MAX: u64 = 2 * 1024 * 1024;

impl Backend {
    pub(super) fn new(media: &Arc<dyn Media>, fault: &Arc<Fault>) -> Self {
        Backend {
            media: Arc::clone(media),
            fault: Arc::clone(fault),
            unsynced: AtomicU64::new(0),
        }
    }
}

type Locked<T> = Result<T, redb::BackendError>;
type Limit = std::ops::Bound<u64>;

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.fault.note(self.media.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.media.read(offset, out) {
            // Only a damaged pointer leads behind the end. The medium is sound, and the handle
            // must stay of use for what is not damaged, so there are zeros, which are no page.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                out.fill(0);
                Ok(())
            }
            result => self.fault.note(result),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.fault.note(self.media.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.unsynced.store(0, Ordering::Relaxed);
        if cfg!(feature = "canary") {
            Ok(())
        } else {
            self.fault.note(self.media.sync())
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.fault.note(self.media.write(offset, data))?;
        let bytes = data.len() as u64;
        if self.unsynced.fetch_add(bytes, Ordering::Relaxed) + bytes < UNSYNCED_BYTES_MAX {
            return Ok(());
        }
        self.sync_data()
    }

    fn try_lock_range(&self, _start: Limit, _end: Limit) -> Locked<bool> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _start: Limit, _end: Limit) -> Locked<bool> {
        Ok(true)
    }

    fn lock_range(&self, _start: Limit, _end: Limit) -> Locked<()> {
        Ok(())
    }

    fn lock_shared_range(&self, _start: Limit, _end: Limit) -> Locked<()> {
        Ok(())
    }

    fn unlock_range(&self, _start: Limit, _end: Limit) -> Locked<()> {
        Ok(())
    }

    fn query_lock_range(&self, _start: Limit, _end: Limit) -> Locked<bool> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_sync_may_have_lost_is_written_again() {
        let media = FileMedia::new(tempfile::tempfile().unwrap());
        media.write(0, &[1; 100]).unwrap();
        assert_eq!(media.sync_by(|_| Ok(())).unwrap(), 0);
        media.write(50, &[2; 10]).unwrap();
        media.write(60, &[3; 10]).unwrap();
        media.write(10, &[4; 5]).unwrap();
        let failure = || Err(io::ErrorKind::StorageFull.into());
        assert!(media.sync_by(|_| failure()).is_err());
        media.write(12, &[5; 5]).unwrap();
        assert!(media.sync_by(|_| failure()).is_err());
        assert_eq!(media.sync_by(|_| Ok(())).unwrap(), 27);
        assert_eq!(media.sync_by(|_| Ok(())).unwrap(), 0);
        let mut bytes = [0; 100];
        media.read(0, &mut bytes).unwrap();
        assert_eq!((bytes[11], bytes[14], bytes[55], bytes[65]), (4, 5, 2, 3));
    }

    /// Would catch the pages of a large commit that all wait for its end.
    #[test]
    #[cfg(not(feature = "canary"))]
    fn what_is_written_is_synced_in_portions() {
        let file = FileMedia::new(tempfile::tempfile().unwrap());
        let media: Arc<dyn Media> = Arc::new(file);
        let backend = Backend::new(&media, &Arc::default());
        let page = vec![7; 4096];
        for at in 0..3 * UNSYNCED_BYTES_MAX / 4096 {
            backend.write(at * 4096, &page).unwrap();
            assert!(backend.unsynced.load(Ordering::Relaxed) < UNSYNCED_BYTES_MAX);
        }
    }

    #[test]
    fn many_ranges_are_joined_and_none_is_lost() {
        let mut unsynced = Unsynced::default();
        let starts: Vec<u64> = (0..3 * RANGES_MAX as u64)
            .map(|n| n * 7_919 % 1_000_003)
            .collect();
        starts
            .iter()
            .for_each(|&at| unsynced.add(at * 10..at * 10 + 4));
        assert!(unsynced.ranges.len() <= RANGES_MAX);
        let holds = |at: u64| unsynced.ranges.iter().any(|range| range.contains(&at));
        assert!(
            starts
                .iter()
                .all(|&at| holds(at * 10) && holds(at * 10 + 3))
        );
    }
}
