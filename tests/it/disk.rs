//! A disk in memory that loses, tears and reorders what was not synced, as a real one may: without
//! it no test could tell a store that syncs from one that does not.
//!
//! [`Disk`] holds the files of a store. It can keep the log of every change made to them, on one
//! clock for all, fail a chosen call, and count reads. [`Cuts`] walks such a log and makes the
//! images a power cut could leave.
//!
//! ```text
//! log     write write sync write set_len write | write sync      the cut
//!         `---- durable ---' `-- unsynced ---'   not made yet
//! ```
//!
//! The model of the medium: what was synced stays, a sync holds for one file; of the rest any
//! subset may be there, in any order, and a write may be there in part, cut at any byte.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use annals::{Media, Volume};

use crate::random::Random;

/// The names of a store's files.
const NAMES: [&str; 3] = ["store.redb", "log.0", "log.1"];

/// What the files hold, in the order of their names.
pub(crate) type Image = [Vec<u8>; NAMES.len()];

/// One change of a file.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    file: usize,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, data: Arc<[u8]> },
    SetLen(usize),
    Sync,
}

/// The calls that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Read,
    Write,
    SetLen,
    Sync,
}

/// Which call fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Only calls of this kind are counted; `None` counts all.
    pub(crate) call: Option<Call>,
    /// How many of them succeed before.
    pub(crate) after: u64,
    /// Whether all calls fail from there on, until [`Disk::mend`].
    pub(crate) lasting: bool,
}

/// Bytes in memory. A store dropped and opened again on the same disk finds what it left.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: Image,
    log: Option<Vec<Step>>,
    reads: u64,
    fault: Option<Fault>,
    broken: bool,
    failures: u64,
}

impl Disk {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Disk::default())
    }

    /// A disk that holds these files.
    pub(crate) fn with(files: Image) -> Arc<Self> {
        let disk = Disk::default();
        disk.state().files = files;
        Arc::new(disk)
    }

    /// An empty disk that keeps the log of its changes.
    pub(crate) fn recording() -> Arc<Self> {
        let disk = Disk::default();
        disk.state().log = Some(Vec::new());
        Arc::new(disk)
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

    /// How many reads there were.
    pub(crate) fn reads(&self) -> u64 {
        self.state().reads
    }

    /// Arranges for a call to fail.
    pub(crate) fn plan(&self, fault: Fault) {
        let mut state = self.state();
        state.fault = Some(fault);
        state.failures = 0;
    }

    /// Ends the faults; says how many calls failed.
    pub(crate) fn mend(&self) -> u64 {
        let mut state = self.state();
        state.fault = None;
        state.broken = false;
        state.failures
    }

    /// The state, or the error that was planned for this call, with the state it strikes.
    fn call(&self, call: Call) -> (MutexGuard<'_, State>, Option<io::Error>) {
        let mut state = self.state();
        let broken = state.broken;
        let struck = match &mut state.fault {
            _ if broken => true,
            Some(fault) if fault.call.is_none_or(|only| only == call) => {
                let due = fault.after == 0;
                fault.after = fault.after.saturating_sub(1);
                due
            }
            _ => false,
        };
        if !struck {
            return (state, None);
        }
        state.broken = state.fault.is_some_and(|fault| fault.lasting);
        if !state.broken {
            state.fault = None;
        }
        state.failures += 1;
        (state, Some(io::Error::other("planned fault")))
    }
}

impl State {
    fn change(&mut self, step: Step) {
        apply(&mut self.files, &step);
        if let Some(log) = &mut self.log {
            log.push(step);
        }
    }
}

/// Makes a change; a write behind the end grows the file.
fn apply(files: &mut Image, step: &Step) {
    let bytes = &mut files[step.file];
    match &step.change {
        Change::Write { at, data } => {
            let end = at + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*at..end].copy_from_slice(data);
        }
        Change::SetLen(len) => bytes.resize(*len, 0),
        Change::Sync => {}
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
        let (mut state, failure) = self.disk.call(Call::Read);
        if let Some(failure) = failure {
            return Err(failure);
        }
        state.reads += 1;
        let at = usize::try_from(offset).unwrap();
        let found = state.files[self.file].get(at..at + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let (mut state, failure) = self.disk.call(Call::SetLen);
        if let Some(failure) = failure {
            return Err(failure);
        }
        state.change(self.step(Change::SetLen(usize::try_from(len).unwrap())));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let (mut state, failure) = self.disk.call(Call::Sync);
        if let Some(failure) = failure {
            return Err(failure);
        }
        state.change(self.step(Change::Sync));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (mut state, failure) = self.disk.call(Call::Write);
        // A write that fails may have been made in part.
        let made = if failure.is_some() {
            &data[..data.len() / 2]
        } else {
            data
        };
        let at = usize::try_from(offset).unwrap();
        let data = made.into();
        state.change(self.step(Change::Write { at, data }));
        failure.map_or(Ok(()), Err)
    }
}

/// How many random images there are of a cut with unsynced changes.
const RANDOM_IMAGES: usize = 8;

/// A walk over every cut of a log.
#[derive(Debug)]
pub(crate) struct Cuts<'a> {
    log: &'a [Step],
    position: usize,
    durable: Image,
    unsynced: Vec<&'a Step>,
}

impl<'a> Cuts<'a> {
    /// The cuts of this log, which began on an empty disk.
    pub(crate) fn new(log: &'a [Step]) -> Self {
        Cuts {
            log,
            position: 0,
            durable: Image::default(),
            unsynced: Vec::new(),
        }
    }

    /// How many changes were made before the power went.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Goes to the next cut; `false` at the end.
    pub(crate) fn advance(&mut self) -> bool {
        let Some(step) = self.log.get(self.position) else {
            return false;
        };
        self.position += 1;
        if matches!(step.change, Change::Sync) {
            let synced = |made: &mut &Step| made.file == step.file;
            for made in self.unsynced.extract_if(.., synced) {
                apply(&mut self.durable, made);
            }
        } else {
            self.unsynced.push(step);
        }
        true
    }

    /// What the disk may hold after this cut: without the unsynced changes, with all of them, and
    /// with random subsets.
    pub(crate) fn images(&self, random: &mut Random) -> Vec<Image> {
        let mut images = vec![self.durable.clone()];
        if self.unsynced.is_empty() {
            return images;
        }
        let all = self.unsynced.iter().map(|&step| step.clone()).collect();
        images.push(self.image(all));
        for _ in 0..RANDOM_IMAGES {
            let chosen = self.choose(random);
            images.push(self.image(chosen));
        }
        images
    }

    fn image(&self, steps: Vec<Step>) -> Image {
        let mut files = self.durable.clone();
        steps.iter().for_each(|step| apply(&mut files, step));
        files
    }

    /// A random subset of the unsynced changes: half of the subsets out of order, a quarter of
    /// the writes torn.
    fn choose(&self, random: &mut Random) -> Vec<Step> {
        let kept = self.unsynced.iter().filter(|_| random.one_in(2));
        let mut steps: Vec<Step> = kept.map(|&step| step.clone()).collect();
        if random.one_in(2) {
            random.shuffle(&mut steps);
        }
        for step in &mut steps {
            if random.one_in(4) {
                tear(step, random);
            }
        }
        steps
    }
}

/// Leaves only the beginning or only the end of a write.
fn tear(step: &mut Step, random: &mut Random) {
    if let Change::Write { at, data } = &mut step.change
        && !data.is_empty()
    {
        let cut = random.below(data.len());
        if random.one_in(2) {
            *data = data[..cut].into();
        } else {
            *at += cut;
            *data = data[cut..].into();
        }
    }
}
