//! Whether one order of versions explains what many clients were told: without it a lost update
//! or a stale read among thousands of answers would go unseen.
//!
//! Every answer carries a version, so there is nothing to search for. The log says what happened
//! in which order; it is replayed, and each answer is held against the state at its version. What
//! remains is time: an answer may not be older than what was known before its question was asked,
//! nor newer than what could have been written before it came.
//!
//! ```text
//! time      ----[ write: v5 ]--------[ read ]--------[ write: v6 ]---
//! the read  is at version 5: 5 was known before it began, 6 had not begun when it ended
//! ```
//!
//! A write whose outcome nobody was told is placed by the log, or was not made.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

/// A key, by its number.
pub(crate) type Name = u8;

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Update,
    Delete,
}

/// One write of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) name: Name,
    pub(crate) action: Action,
    /// The version that it demands.
    pub(crate) demand: Option<u64>,
    /// No other write has the same.
    pub(crate) serial: u64,
}

/// An object that a read found: which, at which version, and who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    pub(crate) name: Name,
    pub(crate) version: u64,
    pub(crate) serial: u64,
}

/// Which keys a read looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    One(Name),
    All,
    /// Those with an even number, or those with an odd one.
    Half(bool),
}

impl Of {
    fn holds(self, name: Name) -> bool {
        match self {
            Of::One(only) => name == only,
            Of::All => true,
            Of::Half(even) => name.is_multiple_of(2) == even,
        }
    }
}

/// What a client asked.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Write(Vec<Change>),
    /// The objects at this version, or now.
    Read(Of, Option<u64>),
    /// The changes after this version, until there are no more.
    Watch(Of, u64),
}

/// Why a write was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotFound(Name),
    AlreadyExists(Name),
    /// The object is at this version, zero if it is not live.
    Conflict(Name, u64),
}

/// What it was told.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// The version of the first write of the batch.
    Written(u64),
    Refused(Refusal),
    /// The write may have been made or not.
    Unknown,
    /// It was not done, and nothing was learned.
    Failed,
    /// The objects, in the order of their names, and the version at which that is true.
    Read(u64, Vec<Found>),
    /// The changes, and the version up to which there are no others.
    Seen(u64, Vec<Entry>),
    /// The version is ahead of this one, the newest.
    Ahead(u64),
}

/// A question and its answer, between two instants of one clock.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) asked: Asked,
    pub(crate) told: Told,
}

/// One revision of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) version: u64,
    pub(crate) name: Name,
    pub(crate) action: Action,
    pub(crate) serial: u64,
    /// The last version of its batch.
    pub(crate) batch_end: u64,
}

/// How much was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) written: u64,
    pub(crate) refused: u64,
    pub(crate) read: u64,
    pub(crate) seen: u64,
    /// Writes whose outcome nobody was told.
    pub(crate) unknown: u64,
}

/// Holds a history against the log that it left.
pub(crate) fn check(records: &[Record], log: &[Entry]) -> Result<Counts, String> {
    for (expected, entry) in (1..).zip(log) {
        if entry.version != expected {
            return Err(format!(
                "a gap: version {} instead of {expected}",
                entry.version
            ));
        }
    }
    let order = Order {
        log,
        lives: lives(log),
        begun: begun(records, log)?,
        known: known(records, |_| true),
        published: known(records, |record| {
            matches!(record.told, Told::Written(_) | Told::Seen(_, _))
        }),
    };
    let mut counts = Counts::default();
    let is_write = |record: &&Record| matches!(record.told, Told::Written(_));
    let reads = records.iter().filter(|record| !is_write(record));
    for record in reads.chain(records.iter().filter(is_write)) {
        let judged = order.judge(record, &mut counts);
        judged.map_err(|problem| format!("{problem}: {record:?}"))?;
    }
    Ok(counts)
}

/// The revisions of each key: at which version, and whether it was live then and by whom.
fn lives(log: &[Entry]) -> BTreeMap<Name, Vec<(u64, Option<u64>)>> {
    let mut lives: BTreeMap<Name, Vec<(u64, Option<u64>)>> = BTreeMap::new();
    for entry in log {
        let live = (entry.action != Action::Delete).then_some(entry.serial);
        lives
            .entry(entry.name)
            .or_default()
            .push((entry.version, live));
    }
    lives
}

/// For each version, the latest start of a write up to it: nobody can have known the version
/// before. Every entry of the log must be a write that was asked for, and not refused.
fn begun(records: &[Record], log: &[Entry]) -> Result<Vec<u64>, String> {
    let mut owners: HashMap<u64, (u64, &Change)> = HashMap::new();
    for record in records {
        if let (Asked::Write(changes), Told::Written(_) | Told::Unknown) =
            (&record.asked, &record.told)
        {
            let changes = changes.iter();
            owners.extend(changes.map(|change| (change.serial, (record.start, change))));
        }
    }
    let mut begun = vec![0];
    for entry in log {
        // Each is taken out: nobody writes the same twice.
        let Some((start, change)) = owners.remove(&entry.serial) else {
            return Err(format!(
                "{entry:?} was refused, never asked for, or made before"
            ));
        };
        if (change.name, change.action) != (entry.name, entry.action) {
            return Err(format!("{entry:?} is not {change:?}"));
        }
        begun.push(start.max(*begun.last().unwrap_or(&0)));
    }
    Ok(begun)
}

/// When which version was known to somebody from these records, in the order of time, and only
/// ever more.
fn known(records: &[Record], from: impl Fn(&Record) -> bool) -> Vec<(u64, u64)> {
    let mut known: Vec<(u64, u64)> = records
        .iter()
        .filter(|&record| from(record))
        .filter_map(|record| Some((record.end, record.shows()?)))
        .collect();
    known.sort_unstable();
    let mut newest = 0;
    for (_, version) in &mut known {
        newest = newest.max(*version);
        *version = newest;
    }
    known
}

impl Record {
    /// The newest version that the answer shows to exist.
    fn shows(&self) -> Option<u64> {
        match (&self.told, &self.asked) {
            (Told::Written(first), Asked::Write(changes)) => Some(first + changes.len() as u64 - 1),
            (Told::Refused(Refusal::Conflict(_, version)), _)
            | (Told::Read(version, _) | Told::Seen(version, _) | Told::Ahead(version), _) => {
                Some(*version)
            }
            _ => None,
        }
    }
}

/// The one order, ready to be asked.
struct Order<'a> {
    log: &'a [Entry],
    lives: BTreeMap<Name, Vec<(u64, Option<u64>)>>,
    begun: Vec<u64>,
    known: Vec<(u64, u64)>,
    /// As `known`, from acknowledged writes and from watches alone.
    published: Vec<(u64, u64)>,
}

/// The newest version that was known to somebody before this instant.
fn floor(known: &[(u64, u64)], start: u64) -> u64 {
    let before = known.partition_point(|&(end, _)| end < start);
    before.checked_sub(1).map_or(0, |last| known[last].1)
}

impl Order<'_> {
    fn head(&self) -> u64 {
        self.log.len() as u64
    }

    /// The newest version that can have been written before this instant.
    fn ceiling(&self, end: u64) -> u64 {
        self.begun.partition_point(|&start| start < end) as u64 - 1
    }

    /// An object at a version: since when it is as it is, and who wrote it, if it is live.
    fn live(&self, name: Name, at: u64) -> Option<Found> {
        let lives = self.lives.get(&name)?;
        let (version, serial) = lives[..lives.partition_point(|&(made, _)| made <= at)].last()?;
        serial.map(|serial| Found {
            name,
            version: *version,
            serial,
        })
    }

    /// What the store must answer to these writes in the state at a version.
    fn decide(&self, changes: &[Change], at: u64) -> Result<(), Refusal> {
        let mut made: BTreeMap<Name, u64> = BTreeMap::new();
        for (change, version) in changes.iter().zip(at + 1..) {
            let name = change.name;
            let before = || self.live(name, at).map_or(0, |found| found.version);
            let actual = made.get(&name).copied().unwrap_or_else(before);
            if actual == 0 && change.action != Action::Create {
                return Err(Refusal::NotFound(name));
            }
            if change.demand.is_some_and(|demand| demand != actual) {
                return Err(Refusal::Conflict(name, actual));
            }
            if actual > 0 && change.action == Action::Create {
                return Err(Refusal::AlreadyExists(name));
            }
            let live = change.action != Action::Delete;
            made.insert(name, if live { version } else { 0 });
        }
        Ok(())
    }

    fn judge(&self, record: &Record, counts: &mut Counts) -> Result<(), String> {
        // A watch may be behind what a read has shown, but not behind what was acknowledged.
        let known = match record.asked {
            Asked::Watch(_, _) => &self.published,
            Asked::Write(_) | Asked::Read(_, _) => &self.known,
        };
        let (floor, ceiling) = (floor(known, record.start), self.ceiling(record.end));
        let timely = |version: u64| {
            if version < floor {
                return Err(format!("stale: at {version}, when {floor} was known"));
            }
            if version > ceiling {
                return Err(format!(
                    "from the future: only {ceiling} could have been written"
                ));
            }
            Ok(())
        };
        match (&record.asked, &record.told) {
            (Asked::Write(changes), Told::Written(first)) => {
                counts.written += 1;
                self.judge_written(changes, *first, floor)
            }
            (Asked::Write(changes), Told::Refused(refusal)) => {
                counts.refused += 1;
                let mut states = floor..=ceiling;
                let explained = states.any(|at| self.decide(changes, at) == Err(*refusal));
                if explained {
                    Ok(())
                } else {
                    Err("refused for nothing".to_owned())
                }
            }
            (Asked::Write(_), Told::Unknown) => {
                counts.unknown += 1;
                Ok(())
            }
            (Asked::Read(of, at), Told::Read(version, found)) => {
                counts.read += 1;
                match at {
                    Some(at) if at != version => return Err("another version".to_owned()),
                    Some(_) if *version > ceiling => return timely(*version),
                    Some(_) => {}
                    None => {
                        timely(*version)?;
                        self.judge_end(*version)?;
                    }
                }
                self.judge_found(*of, *version, found)
            }
            (Asked::Read(_, Some(at)) | Asked::Watch(_, at), Told::Ahead(current)) => {
                counts.read += 1;
                timely(*current)?;
                if at > current {
                    Ok(())
                } else {
                    Err("it is there".to_owned())
                }
            }
            (Asked::Watch(of, after), Told::Seen(version, events)) => {
                counts.seen += events.len() as u64;
                timely(*version)?;
                self.judge_end(*version)?;
                let wanted = self
                    .log
                    .iter()
                    .skip(usize::try_from(*after).unwrap_or(usize::MAX));
                let wanted = wanted.take_while(|entry| entry.version <= *version);
                if wanted.filter(|entry| of.holds(entry.name)).eq(events) {
                    Ok(())
                } else {
                    Err("other changes".to_owned())
                }
            }
            (_, Told::Failed) => Ok(()),
            _ => Err("not an answer to that".to_owned()),
        }
    }

    /// The writes are in the log at the versions told, the state before allowed them, and they are
    /// newer than all that was known before they were asked for.
    fn judge_written(&self, changes: &[Change], first: u64, floor: u64) -> Result<(), String> {
        if first <= floor {
            return Err(format!("before {floor}, which was known"));
        }
        let last = first + changes.len() as u64 - 1;
        let at = usize::try_from(first - 1).map_err(|error| error.to_string())?;
        let entries = self.log.get(at..at + changes.len());
        let entries = entries.ok_or_else(|| format!("lost: the log ends at {}", self.head()))?;
        let same = entries
            .iter()
            .zip(changes)
            .all(|(entry, change)| entry.serial == change.serial && entry.batch_end == last);
        if !same {
            return Err("lost: the log has others at its versions".to_owned());
        }
        let decision = self.decide(changes, first - 1);
        decision.map_err(|refusal| format!("should have been refused: {refusal:?}"))
    }

    /// What is true now is never the middle of a batch.
    fn judge_end(&self, version: u64) -> Result<(), String> {
        let last = usize::try_from(version)
            .ok()
            .and_then(|at| self.log.get(at.checked_sub(1)?));
        match last {
            Some(entry) if entry.batch_end != version => Err("half of a batch".to_owned()),
            _ => Ok(()),
        }
    }

    fn judge_found(&self, of: Of, version: u64, found: &[Found]) -> Result<(), String> {
        let names = self.lives.keys().filter(|&&name| of.holds(name));
        let wanted: Vec<Found> = names.filter_map(|&name| self.live(name, version)).collect();
        if wanted == found {
            Ok(())
        } else {
            Err(format!("other objects at {version}, not {wanted:?}"))
        }
    }
}
