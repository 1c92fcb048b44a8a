//! Would catch an update that was lost between two clients, a read that was behind what somebody
//! had already been told, a version given twice, and a watch with a hole, under many threads,
//! with the store reopened and its disk failing now and then.
//!
//! Eight clients work on a few keys; each question and answer is recorded with the instants
//! between which it was, and [`order`](crate::order) holds the history against the log that it
//! left. Where reads are made stale, or writes lose what they demand, the same suite must find it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use annals::{
    Collection, Error, Event, Filter, Key, List, Options, Principal, Revision, Snapshot, Store,
    Version, Write,
};

use crate::disk::{Call, Disk, Fault, Trouble};
use crate::order::{
    Action, Asked, Change, Counts, Entry, Found, Name, Of, Record, Refusal, Told, check,
};
use crate::random::Random;
use crate::suite::{Tally, each_seed, scaled};
use crate::trace::read_log;

/// How many histories a run checks.
const HISTORIES: u64 = 500;
/// How many operations a history has.
const OPERATIONS: usize = 2_000;
const CLIENTS: usize = 8;
const KEYS: usize = 8;
/// How far back reads of the past and watches go.
const PAST: u64 = 40;
/// Of so many histories one has a disk that fails.
const FAULTY_ONE_IN: u64 = 8;

/// A bug in the way between the clients and the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plant {
    None,
    /// Now and then an object is read from an older snapshot.
    StaleReads,
    /// Now and then the store is not told what version a write demands.
    LostDemands,
    /// Now and then a watch leaves out its last event.
    LostEvents,
}

fn options() -> Options {
    // A ring of few revisions: many watches begin on disk.
    Options::new()
        .index(false)
        .cache_bytes(1 << 20)
        .ring(16, 1 << 20)
        .overlay(64, 1 << 20)
}

fn key(name: Name) -> Key {
    let namespace = if name.is_multiple_of(2) {
        "even"
    } else {
        "odd"
    };
    Key::new("g.x", "things", namespace, &format!("n{name}")).unwrap()
}

fn name(key: &Key) -> Name {
    key.name()[1..].parse().unwrap()
}

fn collection(of: Of) -> Collection {
    match of {
        Of::One(name) => key(name).collection(),
        Of::All => Collection::all(),
        Of::Half(even) => key(u8::from(!even)).collection(),
    }
}

fn action(revision: &Revision) -> Action {
    match revision.header().action {
        annals::Action::Created => Action::Create,
        annals::Action::Updated => Action::Update,
        annals::Action::Deleted => Action::Delete,
    }
}

/// Every write has its serial number for an author.
fn serial(revision: &Revision) -> u64 {
    revision.header().author.parse().unwrap()
}

fn found(revision: &Revision) -> Found {
    Found {
        name: name(revision.key()),
        version: revision.version().get(),
        serial: serial(revision),
    }
}

fn entry(revision: &Revision) -> Entry {
    Entry {
        version: revision.version().get(),
        name: name(revision.key()),
        action: action(revision),
        serial: serial(revision),
        batch_end: revision.header().batch_end.get(),
    }
}

/// What all clients share.
struct World {
    disk: Arc<Disk>,
    store: RwLock<Option<Store>>,
    /// The one clock: it stands at the number of readings.
    clock: AtomicU64,
    serials: AtomicU64,
    plant: Plant,
    faulty: bool,
}

impl World {
    fn instant(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Closes the store and opens it again, between the questions of all clients. A disk that
    /// fails meanwhile fails once.
    fn reopen(&self) {
        let mut store = self.store.write().unwrap();
        *store = None;
        let open = || Store::open_on(self.disk.clone(), options());
        *store = Some(open().or_else(|_| open()).unwrap());
    }
}

/// One client at work.
struct Client<'a> {
    world: &'a World,
    random: Random,
    /// The newest version that it was told.
    newest: u64,
    /// What it last knew of each object: its version, zero if it is not live.
    objects: [u64; KEYS],
    /// The state that a stale read shows.
    old: Option<Snapshot>,
    records: Vec<Record>,
}

impl Client<'_> {
    fn work(mut self, count: usize) -> Vec<Record> {
        for _ in 0..count {
            // An old snapshot would keep the old store.
            if self.random.one_in(1_000) && self.world.plant != Plant::StaleReads {
                self.world.reopen();
            }
            if self.world.faulty && self.random.one_in(250) {
                self.break_disk();
            }
            let asked = self.choose();
            let guard = self.world.store.read().unwrap();
            let store = guard.as_ref().unwrap();
            let start = self.world.instant();
            let told = self.ask(store, &asked);
            let end = self.world.instant();
            drop(guard);
            if matches!(told, Told::Failed | Told::Unknown) {
                std::thread::sleep(Duration::from_millis(1));
            }
            self.learn(&asked, &told);
            self.records.push(Record {
                start,
                end,
                asked,
                told,
            });
        }
        self.records
    }

    fn break_disk(&mut self) {
        let troubles = [
            (Trouble::Short, Call::Write),
            (Trouble::Io, Call::Write),
            (Trouble::LostSync, Call::Sync),
        ];
        let (trouble, call) = troubles[self.random.below(troubles.len())];
        let after = self.random.below(8) as u64;
        self.world.disk.plan(Fault {
            trouble,
            call: Some(call),
            after,
        });
    }

    fn choose(&mut self) -> Asked {
        let name = u8::try_from(self.random.below(KEYS)).unwrap();
        let past = self.newest.saturating_sub(self.random.next() % PAST);
        let many = [Of::All, Of::Half(true), Of::Half(false)][self.random.below(3)];
        match self.random.below(100) {
            0..38 => Asked::Write(vec![self.change(name)]),
            38..44 => {
                let count = 2 + self.random.below(3);
                let names = (0..count).map(|step| (usize::from(name) + step) % KEYS);
                let names: Vec<usize> = names.collect();
                let change = |name| self.change(u8::try_from(name).unwrap());
                Asked::Write(names.into_iter().map(change).collect())
            }
            44..66 => Asked::Read(Of::One(name), None),
            66..74 => Asked::Read(Of::One(name), Some(past)),
            74..82 => Asked::Read(many, None),
            82..88 => Asked::Read(many, Some(past)),
            88..89 => Asked::Read(Of::One(name), Some(self.newest + 1_000_000)),
            _ => Asked::Watch(many, past),
        }
    }

    /// A write that fits what it last knew of the object, most often only if that is still so.
    fn change(&mut self, name: Name) -> Change {
        let known = self.objects[usize::from(name)];
        let action = match (known, self.random.below(8)) {
            (0, 1..) => Action::Create,
            (_, 0) => Action::Delete,
            _ => Action::Update,
        };
        Change {
            name,
            action,
            demand: (!self.random.one_in(4)).then_some(known),
            serial: self.world.serials.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn ask(&mut self, store: &Store, asked: &Asked) -> Told {
        let answer = match asked {
            Asked::Write(changes) => self.write(store, changes),
            Asked::Read(of, at) => self.read(store, *of, *at),
            Asked::Watch(of, after) => self.watch(store, *of, Version::new(*after)),
        };
        answer.unwrap_or_else(|error| match error {
            Error::NotFound { key } => Told::Refused(Refusal::NotFound(name(&key))),
            Error::AlreadyExists { key } => Told::Refused(Refusal::AlreadyExists(name(&key))),
            Error::VersionConflict { key, actual, .. } => {
                Told::Refused(Refusal::Conflict(name(&key), actual.get()))
            }
            Error::Future { current, .. } => Told::Ahead(current.get()),
            Error::Uncertain { .. } if self.world.faulty => Told::Unknown,
            Error::Unavailable { .. } if self.world.faulty => Told::Failed,
            error => panic!("{error}"),
        })
    }

    fn write(&mut self, store: &Store, changes: &[Change]) -> Result<Told, Error> {
        let blind = self.world.plant == Plant::LostDemands && self.random.one_in(20);
        let writes = changes.iter().map(|change| {
            let key = key(change.name);
            let body = || format!(r#"{{"spec":{}}}"#, change.serial).into_bytes();
            let write = match change.action {
                Action::Create => Write::create(key, body()),
                Action::Update => Write::update(key, body()),
                Action::Delete => Write::delete(key),
            };
            let write = write.author(Principal::new(change.serial.to_string()));
            match change.demand {
                Some(demand) if !blind => write.if_version(Version::new(demand)),
                _ => write,
            }
        });
        let made = store.write_batch(writes.collect())?;
        Ok(Told::Written(made[0].version().get()))
    }

    fn read(&mut self, store: &Store, of: Of, at: Option<u64>) -> Result<Told, Error> {
        let mut snapshot = match at {
            Some(at) => store.snapshot_at(Version::new(at))?,
            None => store.snapshot()?,
        };
        if self.world.plant == Plant::StaleReads && at.is_none() {
            let old = self.old.replace(snapshot.clone());
            if let Some(old) = old.filter(|_| self.random.one_in(20)) {
                snapshot = old;
            }
        }
        let items = match of {
            Of::One(name) => snapshot.get(&key(name))?.into_iter().collect(),
            Of::All | Of::Half(_) => snapshot.list(&List::new(collection(of)))?.items,
        };
        let mut items: Vec<Found> = items.iter().map(found).collect();
        items.sort_unstable();
        Ok(Told::Read(snapshot.version().get(), items))
    }

    fn watch(&mut self, store: &Store, of: Of, after: Version) -> Result<Told, Error> {
        let mut watch = store.watch(collection(of), Filter::default(), after)?;
        let mut events = Vec::new();
        while let Some(Event { object, .. }) = watch.try_next()? {
            events.push(entry(&object));
        }
        if self.world.plant == Plant::LostEvents && self.random.one_in(20) {
            events.pop();
        }
        Ok(Told::Seen(watch.version().get(), events))
    }

    /// Takes over what an answer tells of the objects.
    fn learn(&mut self, asked: &Asked, told: &Told) {
        match (asked, told) {
            (Asked::Write(changes), Told::Written(first)) => {
                for (change, version) in changes.iter().zip(*first..) {
                    let live = change.action != Action::Delete;
                    self.objects[usize::from(change.name)] = if live { version } else { 0 };
                    self.newest = self.newest.max(version);
                }
            }
            (_, Told::Refused(Refusal::Conflict(name, version))) => {
                self.objects[usize::from(*name)] = *version;
            }
            (_, Told::Refused(Refusal::NotFound(name))) => self.objects[usize::from(*name)] = 0,
            (Asked::Read(of, None), Told::Read(version, items)) => {
                self.newest = self.newest.max(*version);
                if let Of::One(name) = of {
                    self.objects[usize::from(*name)] = 0;
                }
                for item in items {
                    self.objects[usize::from(item.name)] = item.version;
                }
            }
            (_, Told::Seen(version, _)) => self.newest = self.newest.max(*version),
            _ => {}
        }
    }
}

/// Lets the clients work, and checks what they were told.
fn run(seed: u64, plant: Plant) -> Result<Counts, String> {
    let disk = Disk::new();
    let store = Store::open_on(disk.clone(), options()).unwrap();
    let world = World {
        disk,
        store: RwLock::new(Some(store)),
        clock: AtomicU64::new(1),
        serials: AtomicU64::new(1),
        plant,
        faulty: seed.is_multiple_of(FAULTY_ONE_IN),
    };
    let records: Vec<Record> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS as u64)
            .map(|number| Client {
                world: &world,
                random: Random::new(seed ^ (number << 32)),
                newest: 0,
                objects: [0; KEYS],
                old: None,
                records: Vec::new(),
            })
            .map(|client| scope.spawn(move || client.work(OPERATIONS / CLIENTS)))
            .collect();
        let records = clients.into_iter().map(|client| client.join().unwrap());
        records.collect::<Vec<_>>().concat()
    });
    world.disk.mend();
    world.reopen();
    let store = world.store.read().unwrap();
    let log =
        read_log(store.as_ref().unwrap(), Version::ZERO).map_err(|error| error.to_string())?;
    let log: Vec<Entry> = log.iter().map(entry).collect();
    let counts = check(&records, &log)?;
    if counts.written < 100 || counts.refused < 10 || counts.read < 100 || counts.seen < 100 {
        return Err(format!("the clients got too little done: {counts:?}"));
    }
    Ok(counts)
}

/// Checks histories; says how many operations they had.
fn play(histories: u64, plant: Plant) -> Tally {
    let tally = Tally::default();
    each_seed(&tally, |seed| {
        match run(seed, plant) {
            Ok(_) => tally.add(1),
            Err(problem) => tally.report(format!("seed {seed}: {problem}")),
        }
        tally.count() < histories
    });
    tally
}

#[test]
fn one_order_explains_every_history() {
    let histories = scaled(HISTORIES);
    let what = format!("histories of {OPERATIONS} operations");
    play(histories, Plant::None).expect(&what, histories, false);
}

#[test]
fn planted_bugs_are_found() {
    for plant in [Plant::StaleReads, Plant::LostDemands, Plant::LostEvents] {
        play(5, plant).expect(&format!("histories with {plant:?}"), 0, true);
    }
}
