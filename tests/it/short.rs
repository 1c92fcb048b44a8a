//! Would catch a hole in the order of writes and syncs that needs only a few operations, and just
//! those, to be seen: of crash bugs in storage most are of this kind.
//!
//! Nothing is left to chance here: every sequence of up to three operations over two names runs,
//! and at every cut of its last operation, and of what follows it until the store is closed, the
//! images with none, with one, with all but one, and with all of the unsynced changes are judged. The cuts of the
//! earlier operations are those of a shorter sequence.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use annals::{Key, Revision, Store, Version, Write};

use crate::cuts::Subsets;
use crate::disk::{Disk, Image};
use crate::random::Random;
use crate::suite::Tally;
use crate::trace::{Flight, Trace, Walk, options};

/// The longest sequence.
const LENGTH_MAX: u32 = 3;
/// How many sequences there are.
const SEQUENCES: u64 = 10 + 10 * 10 + 10 * 10 * 10;
/// How many images all of them have at least.
const IMAGES_MIN: u64 = 25_000;

/// What can be done.
#[derive(Clone, Copy, Debug)]
enum Op {
    Create(&'static str),
    Update(&'static str),
    Delete(&'static str),
    /// Writes both names in one batch, whatever they are.
    Both,
    /// Deletes a name and creates it again in one batch.
    Again,
    /// An update that demands a version which the object does not have.
    Wrong,
    Reopen,
}

const OPS: [Op; 10] = [
    Op::Create("a"),
    Op::Create("b"),
    Op::Update("a"),
    Op::Update("b"),
    Op::Delete("a"),
    Op::Delete("b"),
    Op::Both,
    Op::Again,
    Op::Wrong,
    Op::Reopen,
];

fn key(name: &str) -> Key {
    Key::new("g.x", "things", "ns", name).unwrap()
}

fn body(serial: usize) -> Vec<u8> {
    format!(r#"{{"spec":{serial}}}"#).into_bytes()
}

impl Op {
    /// The writes of an operation, in one batch.
    fn writes(self, store: &Store, serial: usize) -> Vec<Write> {
        let create = |name| Write::create(key(name), body(serial));
        let update = |name| Write::update(key(name), body(serial));
        match self {
            Op::Create(name) => vec![create(name)],
            Op::Update(name) => vec![update(name)],
            Op::Delete(name) => vec![Write::delete(key(name))],
            Op::Both => {
                let snapshot = store.snapshot().unwrap();
                let write = |name| match snapshot.get(&key(name)).unwrap() {
                    Some(_) => update(name),
                    None => create(name),
                };
                vec![write("a"), write("b")]
            }
            Op::Again => vec![Write::delete(key("a")), create("a")],
            Op::Wrong => vec![update("a").if_version(Version::new(1_000))],
            Op::Reopen => Vec::new(),
        }
    }
}

/// A disk with an empty store on it: how a store begins is judged by the random workloads.
fn born() -> Image {
    let disk = Disk::new();
    drop(Store::open_on(disk.clone(), options()).unwrap());
    disk.image()
}

/// Runs a sequence; says also where the log was before the last operation.
fn run(ops: &[Op], disk: &Arc<Disk>) -> (Trace, usize) {
    let base = disk.image();
    let open = || Store::open_on(disk.clone(), options()).unwrap();
    let mut store = open();
    let epoch = store.epoch();
    let (mut flights, mut log, mut last_started) = (Vec::new(), Vec::new(), 0);
    for (serial, op) in ops.iter().enumerate() {
        let started = disk.position();
        last_started = started;
        if matches!(op, Op::Reopen) {
            drop(store);
            store = open();
            continue;
        }
        let answer = store.write_batch(op.writes(&store, serial));
        if let Ok(Some(last)) = answer
            .as_ref()
            .map(|made| made.last().map(Revision::version))
        {
            let acknowledged = disk.position();
            flights.push(Flight {
                started,
                acknowledged,
                last,
            });
        }
        log.extend(answer.into_iter().flatten());
    }
    drop(store);
    let trace = Trace {
        base,
        steps: disk.take_log(),
        opened: 0,
        epoch,
        floor: Version::ZERO,
        flights,
        log,
        kept: None,
    };
    (trace, last_started)
}

/// The sequence with this number, of all that are of this length.
fn sequence(number: u64, length: u32) -> Vec<Op> {
    let digit = |place| number / 10_u64.pow(place) % 10;
    (0..length)
        .map(|place| OPS[usize::try_from(digit(place)).unwrap()])
        .collect()
}

/// Runs every sequence on disks that this makes of an empty store.
fn play(disk: impl Fn(Image) -> Arc<Disk> + Sync) -> (Tally, usize) {
    let (tally, base) = (Tally::default(), born());
    let sequences: Vec<Vec<Op>> = (1..=LENGTH_MAX)
        .flat_map(|length| (0..10_u64.pow(length)).map(move |number| sequence(number, length)))
        .collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(ops) = sequences.get(next.fetch_add(1, Ordering::Relaxed))
                    && !tally.is_full()
                {
                    let (trace, from) = run(ops, &disk(base.clone()));
                    let mut walk = Walk {
                        name: format!("{ops:?}"),
                        random: &mut Random::new(0),
                        tally: &tally,
                    };
                    trace.walk(from, Subsets::Each, &mut walk);
                }
            });
        }
    });
    (tally, sequences.len())
}

#[test]
fn every_short_sequence_survives_every_cut() {
    let (tally, sequences) = play(Disk::recording_on);
    assert_eq!(sequences as u64, SEQUENCES);
    tally.expect(
        "images of short sequences",
        IMAGES_MIN,
        cfg!(feature = "canary"),
    );
}

#[test]
fn a_sync_that_the_disk_forgets_is_found() {
    let (tally, _) = play(|image| Disk::recording_on(image).forget_one_sync_in(3));
    tally.expect("images of short sequences on a forgetful disk", 1, true);
}
