//! Would catch a power cut that loses an acknowledged write, leaves half of a batch, or makes the
//! store unopenable, also when the power goes a second time while the store recovers.
//!
//! Seeded workloads run on a recording disk. At every cut of its log the images that a power cut
//! could leave are opened, and each must hold exactly the acknowledged revisions, or those and a
//! whole commit that was in flight; in half of the workloads retention has removed old ones. Some of them are opened on a recording disk again, and every
//! cut of that recovery is judged too. On a disk that forgets a sync now and then, and with the
//! feature `canary`, where the engine does not sync, the same suites must find bad images.

use std::sync::Arc;
use std::time::Duration;

use annals::{Collection, Keep, Key, Options, Revision, Store, Write};

use crate::cuts::{Cuts, Subsets};
use crate::disk::{Disk, Image};
use crate::random::Random;
use crate::suite::{Tally, each_seed, scaled};
use crate::trace::{Flight, Trace, Walk, options, shown};

/// How many images a run opens at least.
const IMAGES_MIN: u64 = 100_000;
/// How many images of an interrupted recovery a run opens at least.
const SECOND_IMAGES_MIN: u64 = 10_000;
/// How many random images there are at most of a cut with unsynced changes.
const SUBSETS: Subsets = Subsets::Random(8);
/// The same for a cut of a recovery.
const SECOND_SUBSETS: Subsets = Subsets::Random(3);
/// Of so many images one is recovered on a recording disk.
const SECOND_ONE_IN: usize = 60;

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

/// How many revisions of a key stay where retention is at work.
const KEPT: usize = 2;

/// Makes the writes one after the other; those refused leave no trace. Now and then retention
/// removes what it may.
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
        if random.one_in(3) {
            store.retain().unwrap();
        }
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
fn run(disk: Arc<Disk>, seed: u64) -> Trace {
    let mut random = Random::new(seed);
    let threads = if seed.is_multiple_of(3) { 3 } else { 1 };
    let kept = seed.is_multiple_of(2).then_some(KEPT);
    let options = || match kept {
        Some(kept) => retaining(kept),
        None => options(),
    };
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
        base: Image::default(),
        steps: disk.take_log(),
        opened,
        epoch: epoch.unwrap(),
        floor: Default::default(),
        flights,
        log,
        kept,
    }
}

/// So many revisions of a key are kept, and nothing of a deleted one.
fn retaining(kept: usize) -> Options {
    let keep = Keep::everything().revisions(kept as u64);
    options()
        .retention(Collection::all(), keep.trash(Duration::ZERO))
        .retention_grace(Duration::ZERO)
        .background_retention(false)
}

/// Judges the images of workload after workload, on disks like this one.
fn crash(disk: impl Fn() -> Arc<Disk> + Sync, images: u64) -> Tally {
    let tally = Tally::default();
    each_seed(&tally, |seed| {
        let trace = run(disk(), seed);
        let mut walk = Walk {
            name: format!("seed {seed}"),
            random: &mut Random::new(seed ^ 0xC0FFEE),
            tally: &tally,
        };
        trace.walk(0, SUBSETS, &mut walk);
        tally.count() < images
    });
    tally
}

#[test]
fn every_image_holds_what_was_acknowledged() {
    let images = scaled(IMAGES_MIN);
    crash(Disk::recording, images).expect("images", images, cfg!(feature = "canary"));
}

#[test]
fn a_sync_that_the_disk_forgets_is_found() {
    let disk = || Disk::recording().forget_one_sync_in(7);
    crash(disk, IMAGES_MIN).expect("images on a forgetful disk", 1, true);
}

/// Opens an image of this cut on a disk like this one, reads all of it and now and then writes to
/// it: the trace of a recovery.
fn recover(first: &Trace, cut: usize, disk: Arc<Disk>, write: bool) -> Result<Trace, String> {
    let base = disk.image();
    let store = Store::open_on(disk.clone(), options()).map_err(shown)?;
    let opened = disk.position();
    let sight = first.compare(&store)?;
    let heads = first.heads(cut);
    first.allow(cut, &heads, sight)?;
    // Until it was open nobody has seen what it found: it may as well have found less.
    let less = heads.into_iter().filter(|&head| head <= sight.head);
    let flights = less.map(|last| Flight {
        started: 0,
        acknowledged: opened,
        last,
    });
    let mut second = Trace {
        base,
        steps: Vec::new(),
        opened: if cut < first.opened { opened } else { 0 },
        epoch: store.epoch(),
        floor: first.acknowledged(cut),
        flights: flights.collect(),
        log: first
            .log
            .iter()
            .take_while(|r| r.version() <= sight.head)
            .cloned()
            .collect(),
        kept: first.kept,
    };
    if write {
        let started = disk.position();
        let key = Key::new("", "recovered", "", "object").map_err(shown)?;
        let revision = store
            .write(Write::create(key, b"{}".to_vec()))
            .map_err(shown)?;
        second.flights.push(Flight {
            started,
            acknowledged: disk.position(),
            last: revision.version(),
        });
        second.log.push(revision);
    }
    drop(store);
    second.steps = disk.take_log();
    Ok(second)
}

/// Recovers some images of every workload, on disks that this makes of them, and judges the images
/// of every cut of those recoveries.
fn crash_twice(disk: impl Fn(Image) -> Arc<Disk> + Sync, images: u64) -> Tally {
    let tally = Tally::default();
    each_seed(&tally, |seed| {
        let first = run(Disk::recording(), seed);
        let random = &mut Random::new(seed ^ 0x7_1CE);
        let mut cuts = Cuts::new(Image::default(), &first.steps);
        while cuts.advance() && !tally.is_full() {
            let cut = cuts.position();
            for image in cuts.images(random, SUBSETS) {
                if !random.one_in(SECOND_ONE_IN) {
                    continue;
                }
                let name = format!("seed {seed}, recovery of cut {cut}");
                match recover(&first, cut, disk(image), random.one_in(2)) {
                    Ok(second) => second.walk(
                        0,
                        SECOND_SUBSETS,
                        &mut Walk {
                            name,
                            random,
                            tally: &tally,
                        },
                    ),
                    Err(problem) => tally.report(format!("{name}: {problem}")),
                }
            }
        }
        tally.count() < images
    });
    tally
}

#[test]
fn a_recovery_that_is_cut_short_holds_what_was_acknowledged() {
    let images = scaled(SECOND_IMAGES_MIN);
    crash_twice(Disk::recording_on, images).expect(
        "second images",
        images,
        cfg!(feature = "canary"),
    );
}

#[test]
fn a_sync_that_the_disk_forgets_while_recovering_is_found() {
    let disk = |image| Disk::recording_on(image).forget_one_sync_in(2);
    crash_twice(disk, SECOND_IMAGES_MIN).expect("second images on a forgetful disk", 1, true);
}
