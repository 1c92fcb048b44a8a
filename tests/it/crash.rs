//! Would catch a power cut that loses an acknowledged write, leaves half of a batch, or makes the
//! store unopenable.
//!
//! Seeded workloads run on a recording disk. At every cut of its log the images that a power cut
//! could leave are opened, and each must hold exactly the acknowledged revisions, or those and a
//! whole commit that was in flight. With the feature `canary`, where the engine does not sync,
//! the same suite must find bad images.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use annals::{
    Collection, Epoch, Error, Filter, Key, List, Options, Revision, Store, Version, Write,
};

use crate::disk::{Cuts, Disk, Image, Step};
use crate::random::Random;

/// How many images a run opens at least.
const IMAGES_MIN: u64 = 20_000;
const WORKLOADS: u64 = 9;
/// How many bad images are enough to say so.
const BAD_MAX: usize = 5;

/// A write that was made: where the log was before it and after its answer, and its last version.
#[derive(Debug)]
struct Flight {
    started: usize,
    acknowledged: usize,
    last: Version,
}

/// A workload that has run.
#[derive(Debug)]
struct Trace {
    steps: Vec<Step>,
    /// Where the log was when the store had been opened for the first time.
    opened: usize,
    epoch: Epoch,
    flights: Vec<Flight>,
    /// Every revision, in version order.
    log: Vec<Revision>,
}

fn options() -> Options {
    // Small layers, so that the log turns and the tables are written while the work goes on.
    Options::new()
        .index(false)
        .cache_bytes(1 << 20)
        .overlay(4, 1 << 20)
}

fn key(number: usize) -> Key {
    let namespace = ["a", "b"][number % 2];
    Key::new("g.x", "things", namespace, &format!("n{number}")).unwrap()
}

/// A write that the state allows, or now and then one that it does not.
fn change(random: &mut Random, live: &mut [bool]) -> Write {
    let number = random.below(live.len());
    let filler = "x".repeat(random.below(300));
    let body = format!(r#"{{"metadata":{{"labels":{{"l":"{number}"}}}},"spec":"{filler}"}}"#);
    let create = random.one_in(20) || !live[number];
    if create {
        live[number] = true;
        Write::create(key(number), body.into_bytes())
    } else if random.one_in(3) {
        live[number] = false;
        Write::delete(key(number))
    } else {
        Write::update(key(number), body.into_bytes())
    }
}

/// Makes the writes one after the other; those refused leave no trace.
fn write_all(store: &Store, disk: &Disk, random: &mut Random, keys: usize) -> Vec<Made> {
    let mut made = Vec::new();
    for _ in 0..6 + random.below(6) {
        let mut live: Vec<bool> = (0..keys)
            .map(|number| store.snapshot().unwrap().get(&key(number)).unwrap())
            .map(|found| found.is_some())
            .collect();
        let size = if random.one_in(3) {
            1 + random.below(6)
        } else {
            1
        };
        let writes = (0..size).map(|_| change(random, &mut live)).collect();
        let started = disk.position();
        if let Ok(revisions) = store.write_batch(writes) {
            let acknowledged = disk.position();
            let last = revisions.last().unwrap().version();
            made.push(Made {
                flight: Flight {
                    started,
                    acknowledged,
                    last,
                },
                revisions,
            });
        }
    }
    made
}

/// A write that was acknowledged, and what was answered.
struct Made {
    flight: Flight,
    revisions: Vec<Revision>,
}

/// Runs a workload: some rounds of writes, by one thread or by three, each round on a store that
/// is opened anew.
fn run(seed: u64) -> Trace {
    let disk = Disk::recording();
    let mut random = Random::new(seed);
    let threads = if seed.is_multiple_of(3) { 3 } else { 1 };
    let mut made = Vec::new();
    let (mut opened, mut epoch) = (0, None);
    for _ in 0..2 {
        let store = Store::open_on(disk.clone(), options()).unwrap();
        if epoch.is_none() {
            (opened, epoch) = (disk.position(), Some(store.epoch()));
        }
        let seeds: Vec<u64> = (0..threads).map(|_| random.next()).collect();
        let keys = 3 + random.below(5);
        std::thread::scope(|scope| {
            let writers = seeds.into_iter().map(|seed| {
                let (store, disk) = (&store, &disk);
                scope.spawn(move || write_all(store, disk, &mut Random::new(seed), keys))
            });
            for writer in writers.collect::<Vec<_>>() {
                made.extend(writer.join().unwrap());
            }
        });
    }
    made.sort_by_key(|made| made.flight.last);
    let (mut flights, mut log) = (Vec::new(), Vec::new());
    for Made { flight, revisions } in made {
        flights.push(flight);
        log.extend(revisions);
    }
    Trace {
        steps: disk.take_log(),
        opened,
        epoch: epoch.unwrap(),
        flights,
        log,
    }
}

impl Trace {
    /// The newest version acknowledged before this cut, and those that may be there besides.
    fn heads(&self, cut: usize) -> Vec<Version> {
        let acknowledged = self
            .flights
            .iter()
            .filter(|flight| flight.acknowledged <= cut)
            .map(|flight| flight.last)
            .max()
            .unwrap_or_default();
        let in_flight = self
            .flights
            .iter()
            .filter(|flight| flight.started < cut && flight.last > acknowledged)
            .map(|flight| flight.last);
        std::iter::once(acknowledged).chain(in_flight).collect()
    }

    /// Opens an image of this cut and compares everything in it with what was written.
    fn judge(&self, cut: usize, image: Image, random: &mut Random) -> Result<(), String> {
        let shown = |error: Error| error.to_string();
        let store = Store::open_on(Disk::with(image), options()).map_err(shown)?;
        if cut >= self.opened && store.epoch() != self.epoch {
            return Err("another epoch".to_owned());
        }
        let snapshot = store.snapshot().map_err(shown)?;
        let (head, allowed) = (snapshot.version(), self.heads(cut));
        if !allowed.contains(&head) {
            return Err(format!("at version {head}, expected one of {allowed:?}"));
        }
        let expected = &self.log[..usize::try_from(head.get()).unwrap()];
        if read_log(&store).map_err(shown)? != expected {
            return Err("another log".to_owned());
        }
        let newest: BTreeMap<&Key, &Revision> = expected.iter().map(|r| (r.key(), r)).collect();
        let all = List::new(Collection::all());
        for (page, live) in [(snapshot.list(&all), true), (snapshot.trash(&all), false)] {
            let wanted = newest.values().filter(|r| r.header().is_live() == live);
            if !page.map_err(shown)?.items.iter().eq(wanted.copied()) {
                return Err(format!("other objects, live: {live}"));
            }
        }
        if let Some(revision) = expected.first() {
            let key = revision.key();
            let found = snapshot.history(key, 0, None).map_err(shown)?.items;
            if !found
                .iter()
                .eq(expected.iter().rev().filter(|r| r.key() == key))
            {
                return Err("another history".to_owned());
            }
        }
        let report = store.check().map_err(shown)?;
        if report.wrong > 0 {
            return Err(format!("{report:?}"));
        }
        if random.one_in(16) {
            let fresh = Key::new("", "fresh", "", "object").unwrap();
            let write = Write::create(fresh, b"{}".to_vec());
            let version = store.write(write).map_err(shown)?.version();
            if version != head.next() {
                return Err(format!("the next write got version {version}"));
            }
        }
        Ok(())
    }
}

/// The whole log, as a watcher of everything reads it.
fn read_log(store: &Store) -> Result<Vec<Revision>, Error> {
    let mut watch = store.watch(Collection::all(), Filter::default(), Version::ZERO)?;
    let mut log = Vec::new();
    while let Some(event) = watch.try_next()? {
        log.push(event.object);
    }
    Ok(log)
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    images: u64,
    bad: Vec<String>,
}

fn crash(seed: u64, found: &Mutex<Found>) {
    let trace = run(seed);
    let mut random = Random::new(seed ^ 0xC0FFEE);
    let mut cuts = Cuts::new(&trace.steps);
    while cuts.advance() {
        let images = cuts.images(&mut random);
        let count = images.len() as u64;
        for (at, image) in images.into_iter().enumerate() {
            let cut = cuts.position();
            if let Err(problem) = trace.judge(cut, image, &mut random) {
                let bad = &mut found.lock().unwrap().bad;
                bad.push(format!("seed {seed}, cut {cut}, image {at}: {problem}"));
                if bad.len() >= BAD_MAX {
                    return;
                }
            }
        }
        found.lock().unwrap().images += count;
    }
}

#[test]
fn every_image_holds_what_was_acknowledged() {
    let found = Arc::new(Mutex::new(Found::default()));
    let seeds = Mutex::new(0..WORKLOADS);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(seed) = seeds.lock().unwrap().next() else {
                        return;
                    };
                    crash(seed, &found);
                    if !found.lock().unwrap().bad.is_empty() {
                        return;
                    }
                }
            });
        }
    });
    let found = found.lock().unwrap();
    if cfg!(feature = "canary") {
        assert!(!found.bad.is_empty(), "the canary survived: {found:?}");
    } else {
        assert!(found.bad.is_empty(), "{:#?}", found.bad);
        assert!(found.images >= IMAGES_MIN, "only {} images", found.images);
        println!("{} images, none bad", found.images);
    }
}
