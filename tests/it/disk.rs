//! A disk in memory that keeps the log of its changes and fails when told to: without it no test
//! could tell a store that syncs, and that minds errors, from one that does not.
//!
//! [`Disk`] holds the files of a store, all on one clock. [`Cuts`](crate::cuts::Cuts) walks the
//! log of its changes and makes the images that a power cut could leave.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use annals::{Media, Volume};

use crate::bytes::Bytes;

/// The names of a store's files.
const NAMES: [&str; 3] = ["store.redb", "log.0", "log.1"];

/// What the files hold, in the order of their names.
pub(crate) type Image = [Bytes; NAMES.len()];

/// One change of a file.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) file: usize,
    pub(crate) change: Change,
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    Write { at: usize, data: Arc<[u8]> },
    SetLen(usize),
    Sync,
}

impl Step {
    /// Makes the change.
    pub(crate) fn apply(&self, files: &mut Image) {
        let bytes = &mut files[self.file];
        match &self.change {
            Change::Write { at, data } => bytes.write(*at, data),
            Change::SetLen(len) => bytes.set_len(*len),
            Change::Sync => {}
        }
    }
}

/// The calls that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Read,
    Write,
    SetLen,
    Sync,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// An I/O error, once: nothing was done.
    Io,
    /// An I/O error in this and every later call, until the disk is mended.
    Broken,
    /// No space for this and every later write and growth, until the disk is mended.
    Full,
    /// A write that made its first half and failed.
    Short,
    /// A sync that failed, and whatever it should have synced is gone.
    LostSync,
    /// A planted bug: a sync that does nothing and says that all is well.
    Ignored,
}

impl Trouble {
    /// Whether it can happen to such a call.
    fn befalls(self, call: Call) -> bool {
        match self {
            Trouble::Io | Trouble::Broken => true,
            Trouble::Full => matches!(call, Call::Write | Call::SetLen),
            Trouble::Short => call == Call::Write,
            Trouble::LostSync | Trouble::Ignored => call == Call::Sync,
        }
    }

    /// Whether it stays until the disk is mended.
    pub(crate) fn lasts(self) -> bool {
        matches!(self, Trouble::Broken | Trouble::Full)
    }

    /// What the operating system would say.
    fn error(self) -> io::Error {
        const EIO: i32 = 5;
        const ENOSPC: i32 = 28;
        io::Error::from_raw_os_error(if self == Trouble::Full { ENOSPC } else { EIO })
    }

    /// What an answer must say of it, so that a reader knows what to do.
    pub(crate) fn cause(self) -> String {
        self.error().to_string()
    }
}

/// Which call meets with trouble.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) trouble: Trouble,
    /// Only calls of this kind are counted; `None` counts all that the trouble can befall.
    pub(crate) call: Option<Call>,
    /// How many of them succeed before.
    pub(crate) after: u64,
}

/// Bytes in memory. A store dropped and opened again on the same disk finds what it left.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: Image,
    /// What each file held when it was last synced.
    synced: Image,
    log: Option<Vec<Step>>,
    /// Every so many syncs, one is not made; zero for none.
    forgets: u64,
    syncs: u64,
    reads: u64,
    fault: Option<Fault>,
    failures: u64,
}

impl Disk {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Disk::default())
    }

    /// A disk that holds these files.
    pub(crate) fn with(files: Image) -> Arc<Self> {
        let disk = Disk::default();
        disk.state().synced = files.clone();
        disk.state().files = files;
        Arc::new(disk)
    }

    /// An empty disk that keeps the log of its changes.
    pub(crate) fn recording() -> Arc<Self> {
        Disk::recording_on(Image::default())
    }

    /// A disk that holds these files and keeps the log of its changes from there on.
    pub(crate) fn recording_on(files: Image) -> Arc<Self> {
        let disk = Disk::with(files);
        disk.state().log = Some(Vec::new());
        disk
    }

    /// Plants a bug: of so many syncs, one is not made and not told.
    pub(crate) fn forget_one_sync_in(self: Arc<Self>, times: u64) -> Arc<Self> {
        self.state().forgets = times;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How many changes were made.
    pub(crate) fn position(&self) -> usize {
        self.state().log.as_ref().map_or(0, Vec::len)
    }

    /// Takes the log, which ends.
    pub(crate) fn take_log(&self) -> Vec<Step> {
        self.state().log.take().unwrap_or_default()
    }

    /// What the files hold now.
    pub(crate) fn image(&self) -> Image {
        self.state().files.clone()
    }

    /// What the files would hold without all that was not synced.
    pub(crate) fn synced(&self) -> Image {
        self.state().synced.clone()
    }

    /// Whether there is trouble, or will be.
    pub(crate) fn is_planned(&self) -> bool {
        self.state().fault.is_some()
    }

    /// How many reads there were.
    pub(crate) fn reads(&self) -> u64 {
        self.state().reads
    }

    /// Arranges for a call to meet with trouble.
    pub(crate) fn plan(&self, fault: Fault) {
        let mut state = self.state();
        state.fault = Some(fault);
        state.failures = 0;
    }

    /// How many calls met with trouble.
    pub(crate) fn failures(&self) -> u64 {
        self.state().failures
    }

    /// Ends the trouble; says how many calls met with it.
    pub(crate) fn mend(&self) -> u64 {
        let mut state = self.state();
        state.fault = None;
        state.failures
    }

    /// The state, and the trouble that this call meets with.
    fn call(&self, call: Call) -> (MutexGuard<'_, State>, Option<Trouble>) {
        let mut state = self.state();
        let trouble = state.trouble(call);
        (state, trouble)
    }
}

impl State {
    fn trouble(&mut self, call: Call) -> Option<Trouble> {
        let fault = self.fault.as_mut()?;
        let counts = fault.call.is_none_or(|only| only == call) || self.failures > 0;
        if !counts || !fault.trouble.befalls(call) {
            return None;
        }
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        let trouble = fault.trouble;
        self.failures += 1;
        if !trouble.lasts() {
            self.fault = None;
        }
        Some(trouble)
    }

    fn change(&mut self, step: Step) {
        step.apply(&mut self.files);
        if let Some(log) = &mut self.log {
            log.push(step);
        }
    }

    fn sync(&mut self, step: Step) {
        self.syncs += 1;
        if self.forgets == 0 || !self.syncs.is_multiple_of(self.forgets) {
            self.synced[step.file] = self.files[step.file].clone();
            self.change(step);
        }
    }
}

impl Volume for Disk {
    fn open(self: Arc<Self>, name: &str) -> io::Result<Arc<dyn Media>> {
        let file = NAMES.iter().position(|known| *known == name).unwrap();
        Ok(Arc::new(DiskFile { disk: self, file }))
    }
}

/// A file of a disk.
#[derive(Debug)]
struct DiskFile {
    disk: Arc<Disk>,
    file: usize,
}

impl DiskFile {
    fn step(&self, change: Change) -> Step {
        Step {
            file: self.file,
            change,
        }
    }
}

impl Media for DiskFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (mut state, trouble) = self.disk.call(Call::Read);
        if let Some(trouble) = trouble {
            return Err(trouble.error());
        }
        state.reads += 1;
        if state.files[self.file].read(usize::try_from(offset).unwrap(), out) {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let (mut state, trouble) = self.disk.call(Call::SetLen);
        if let Some(trouble) = trouble {
            return Err(trouble.error());
        }
        state.change(self.step(Change::SetLen(usize::try_from(len).unwrap())));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let (mut state, trouble) = self.disk.call(Call::Sync);
        match trouble {
            None => state.sync(self.step(Change::Sync)),
            Some(Trouble::Ignored) => {}
            Some(Trouble::LostSync) => {
                state.files[self.file] = state.synced[self.file].clone();
                return Err(Trouble::LostSync.error());
            }
            Some(trouble) => return Err(trouble.error()),
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (mut state, trouble) = self.disk.call(Call::Write);
        let made = match trouble {
            None => data,
            Some(Trouble::Short) => &data[..data.len() / 2],
            Some(trouble) => return Err(trouble.error()),
        };
        let at = usize::try_from(offset).unwrap();
        let data = made.into();
        state.change(self.step(Change::Write { at, data }));
        trouble.map_or(Ok(()), |trouble| Err(trouble.error()))
    }
}
