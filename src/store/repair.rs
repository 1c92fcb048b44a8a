//! Checking and repairing a directory that nobody has open.
//!
//! Both look at the files through a draft: nothing is written to them. A repair writes new tables
//! beside the old ones and takes their place with one rename, so it may be interrupted anywhere
//! and begun again:
//!
//! ```text
//! store.redb.new          written, synced
//! set-aside-SECONDS/      store.redb, log.0, log.1 as they were (links, no copies), rows.ndjson,
//!                         report.json; synced
//! index/                  removed: it is built again
//! store.redb              store.redb.new is renamed over it; from here on the repair is done
//! log.0, log.1            emptied: their frames begin with the check of the old tables' seed, so
//!                         the new tables would not read them
//! ```
//!
//! Every call that changes a file passes a [`Gate`] first, so that the tests can cut a repair short
//! at each of them. A folder that is set aside and has no `report.json` is of one that was.
//!
//! Absent on purpose: removing what was set aside. That is for the owner, when all is well.

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::{directory, random, settings};
use crate::disk::{
    Aside, Draft, FileMedia, Finding, Media, Place, Repair, Report, Row, Touches, Volume, check,
    check_pages, look, repair,
};
use crate::model::Epoch;
use crate::{Clock, Error, Options, SystemClock};

const TABLES: &str = "store.redb";
const NEW: &str = "store.redb.new";
const LOGS: [&str; 2] = ["log.0", "log.1"];

/// Asked before each call that changes a file: an error is the answer of that call.
#[derive(Clone)]
struct Gate(Arc<dyn Fn() -> io::Result<()> + Send + Sync>);

impl Gate {
    /// Makes a change.
    fn pass<T>(&self, change: impl FnOnce() -> io::Result<T>) -> Result<T, Error> {
        let made = (self.0)().and_then(|()| change());
        made.map_err(Error::unavailable)
    }

    fn sync(&self, folder: &Path) -> Result<(), Error> {
        self.pass(|| File::open(folder)?.sync_all())
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        self.pass(|| unless_missing(fs::remove_file(path)))
    }
}

fn unless_missing(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// A file behind the gate.
struct Gated {
    file: Arc<dyn Media>,
    gate: Gate,
}

impl fmt::Debug for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

impl Media for Gated {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        (self.gate.0)()?;
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        (self.gate.0)()?;
        self.file.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        (self.gate.0)()?;
        self.file.write(offset, data)
    }
}

/// Reads everything of a directory. Nothing in it is changed.
pub(super) fn check_directory(directory: &Path) -> Result<Report, Error> {
    let _owner = directory::open(directory)?;
    check_owned(directory)
}

/// The files of a directory to be read. They do not hold its lock: what has looked at them may
/// keep them open.
#[derive(Debug)]
struct Readable(PathBuf);

impl Volume for Readable {
    fn open(self: Arc<Self>, name: &str) -> std::io::Result<Arc<dyn Media>> {
        let file = match File::open(self.0.join(name)) {
            // The tables alone are a store, after a clean stop.
            Err(cause) if cause.kind() == ErrorKind::NotFound => File::open("/dev/null"),
            opened => opened,
        };
        Ok(Arc::new(FileMedia::new(file?)))
    }
}

/// A draft of the files of a directory, which stays as it is.
fn draft_of(directory: &Path) -> Arc<dyn Volume> {
    Arc::new(Draft(Arc::new(Readable(directory.to_owned()))))
}

fn check_owned(directory: &Path) -> Result<Report, Error> {
    let found = look(&draft_of(directory)).and_then(|view| check(&view));
    let mut report = match found {
        Err(Error::Corrupt { reason }) => {
            return Ok(Report::of(Finding::new(Place::Files, reason)));
        }
        result => result?,
    };
    if let Some(reason) = check_pages(&draft_of(directory))? {
        // What is ours in them was read above, and has findings of its own.
        let finding = Finding::new(Place::Files, reason);
        report.add(finding.touching(Touches::Derived));
    }
    Ok(report)
}

/// Repairs a directory, if it needs it.
pub(super) fn repair_directory(path: &Path) -> Result<Repair, Error> {
    repair_through(&Gate(Arc::new(|| Ok(()))), path)
}

fn repair_through(gate: &Gate, path: &Path) -> Result<Repair, Error> {
    let volume: Arc<dyn Volume> = Arc::new(directory::open(path)?);
    let before = check_owned(path)?;
    if before.is_sound() {
        return Ok(Repair {
            version: before.version,
            kept: before.revisions,
            after: before.clone(),
            before,
            ..Repair::default()
        });
    }
    gate.remove(&path.join(NEW))?;
    let mut aside = Folder::new(gate, path)?;
    let draft = draft_of(path);
    let open = |name| {
        let file = gate.pass(|| Arc::clone(&volume).open(name))?;
        let gate = gate.clone();
        Ok::<_, Error>(Arc::new(Gated { file, gate }))
    };
    let new = open(NEW)?;
    let options = settings(
        &Options::new(),
        Epoch(random()?),
        u64::from_le_bytes(random()?),
    );
    let mut report = match repair(&draft, new, options, &mut aside) {
        Ok(report) => report,
        Err(error) => {
            // Nothing was changed, so nothing is set aside.
            gate.pass(|| fs::remove_dir_all(&aside.path))?;
            gate.remove(&path.join(NEW))?;
            return Err(error);
        }
    };
    report.before = before;
    let folder = aside.finish(path, &report)?;
    gate.pass(|| unless_missing(fs::remove_dir_all(path.join("index"))))?;
    gate.pass(|| fs::rename(path.join(NEW), path.join(TABLES)))?;
    gate.sync(path)?;
    for name in LOGS {
        let log = open(name)?;
        log.set_len(0)
            .and_then(|()| log.sync())
            .map_err(Error::unavailable)?;
    }
    report.set_aside = Some(folder);
    report.after = check_owned(path)?;
    Ok(report)
}

/// The folder of what is set aside.
struct Folder {
    gate: Gate,
    path: PathBuf,
    rows: BufWriter<File>,
}

impl Folder {
    /// A new folder, under a name that no other has.
    fn new(gate: &Gate, directory: &Path) -> Result<Self, Error> {
        let mut seconds = SystemClock.now().0 / 1_000_000;
        let path = gate.pass(|| {
            loop {
                let path = directory.join(format!("set-aside-{seconds}"));
                match fs::create_dir(&path) {
                    Err(cause) if cause.kind() == ErrorKind::AlreadyExists => seconds += 1,
                    made => return made.map(|()| path),
                }
            }
        })?;
        let rows = gate.pass(|| File::create(path.join("rows.ndjson")))?;
        Ok(Folder {
            gate: gate.clone(),
            path,
            rows: BufWriter::new(rows),
        })
    }

    fn finish(self, directory: &Path, report: &Repair) -> Result<PathBuf, Error> {
        let Folder { gate, path, rows } = self;
        let rows = gate.pass(|| rows.into_inner().map_err(io::IntoInnerError::into_error))?;
        gate.pass(|| rows.sync_all())?;
        for name in [TABLES, LOGS[0], LOGS[1]] {
            // A link costs nothing. The logs are emptied in place afterwards, so they are copied.
            let (from, to) = (directory.join(name), path.join(name));
            if !from.exists() {
                continue;
            }
            gate.pass(|| {
                if name == TABLES {
                    fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop))
                } else {
                    fs::copy(&from, &to).map(drop)
                }
            })?;
            gate.pass(|| File::open(&to)?.sync_all())?;
        }
        gate.pass(|| {
            let mut file = File::create(path.join("report.json"))?;
            file.write_all(format!("{:#}\n", json_of(report)).as_bytes())?;
            file.sync_all()
        })?;
        gate.sync(&path)?;
        gate.sync(directory)?;
        Ok(path)
    }
}

impl Aside for Folder {
    fn row(&mut self, row: &Row<'_>) -> Result<(), Error> {
        let hex =
            |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        let object = row.object.map(|object| {
            serde_json::from_slice(object).unwrap_or_else(|_| Value::String(hex(object)))
        });
        let line = json!({
            "table": row.place.as_str(),
            "version": (row.version > 0).then(|| row.version.to_string()),
            "key": row.key.map(ToString::to_string),
            "problem": row.problem,
            "bytes": hex(row.bytes),
            "object": object,
        });
        let rows = &mut self.rows;
        self.gate.pass(|| writeln!(rows, "{line}"))
    }
}

/// What a repair did, for `report.json`.
fn json_of(report: &Repair) -> Value {
    let texts = |keys: &[crate::Key]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    let versions = report.lost_versions.iter();
    json!({
        "version": report.version.to_string(),
        "kept": report.kept,
        "restored": report.restored,
        "rewritten": report.rewritten,
        "lost": report.lost,
        "lostVersions": versions.map(ToString::to_string).collect::<Vec<_>>(),
        "withheld": report.withheld,
        "inDoubt": report.in_doubt,
        "inDoubtObjects": texts(&report.in_doubt_keys),
        "setBack": report.set_back,
        "setBackObjects": texts(&report.set_back_keys),
        "namesLost": report.nameless,
        "rootLost": report.rootless,
        "wrong": report.before.wrong,
        "findings": report.before.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
