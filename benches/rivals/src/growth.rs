//! What a write costs when the log has grown: durable updates by 64 callers of the same objects,
//! measured when so many revisions are there.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use annals::{Store, Write};

use crate::Asked;
use crate::objects::{self, Text};
use crate::own;
use crate::report::{Cell, Report};
use crate::slices::{Sample, slice};

const CALLERS: usize = 64;
const OBJECTS: u64 = 50_000;
/// Of one batch of the filling.
const BATCH: u64 = 500;

pub(crate) fn run(asked: &Asked, report: &mut Report) {
    let folder = tempfile::tempdir_in(&asked.folder).expect("a directory");
    let bytes = usize::try_from(asked.number("sizes", 512)).expect("a size");
    let mut store = own::open(folder.path(), own::CACHE_BYTES);
    let counter = AtomicU64::new(0);
    let mut cells = Vec::new();
    for step in asked.numbers("steps", &[100_000, 1_000_000, 10_000_000]) {
        fill(&store, step, bytes);
        let mut sample = Sample::default();
        for _ in 0..asked.number("rounds", 5) {
            // All that was written before is in the tables, as all of the slice is at its end.
            drop(store);
            store = own::open(folder.path(), own::CACHE_BYTES);
            sample.add(measure(&store, &counter, bytes, asked));
        }
        let stats = store.stats().expect("stats");
        println!(
            "  {step} revisions, {} MiB: {:.0} writes/s",
            stats.bytes >> 20,
            sample.rate()
        );
        cells.push(Cell::of(&format!("{step} revisions"), &sample));
    }
    report.row(
        &format!("update {bytes} bytes, {CALLERS} callers, the log has"),
        cells,
    );
}

fn write(number: u64, edit: u64, bytes: usize) -> Write {
    let body = objects::body(number, edit, bytes, Text::Words);
    if edit == 0 {
        Write::create(own::key(number), body)
    } else {
        Write::update(own::key(number), body)
    }
}

/// Writes until the log has so many revisions.
fn fill(store: &Store, revisions: u64, bytes: usize) {
    let mut at = store.stats().expect("stats").revisions;
    while at < revisions {
        let batch = (at..at + BATCH).map(|at| {
            // Each object first, in turn, then any.
            let number = if at < OBJECTS {
                at
            } else {
                objects::scatter(at) % OBJECTS
            };
            write(number, at / OBJECTS, bytes)
        });
        store.write_batch(batch.collect()).expect("a batch");
        at += BATCH;
    }
}

fn measure(store: &Store, counter: &AtomicU64, bytes: usize, asked: &Asked) -> Sample {
    let make = || {
        let call = |number| {
            let object = objects::scatter(number) % OBJECTS;
            let update = write(object, number + 1, bytes);
            let begun = Instant::now();
            store.write(update).expect("a write");
            begun.elapsed()
        };
        Box::new(call) as Box<dyn FnMut(u64) -> Duration + Send>
    };
    let time = Duration::from_millis(asked.number("slice-ms", 3_000));
    slice(CALLERS, time, counter, make)
}
