//! Bulk loading through the library, in the batches of `annals import file`, beside one durable
//! write after the other by one caller and by 64.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use annals::Write;

use crate::Asked;
use crate::engine::{Engine, Put};
use crate::objects::{self, Text};
use crate::own::{self, Own};
use crate::report::{Cell, Report};
use crate::slices::{Sample, slice};

const BYTES: usize = 1024;

pub(crate) fn run(asked: &Asked, report: &mut Report) {
    let time = Duration::from_millis(asked.number("slice-ms", 2_000));
    let rounds = asked.number("rounds", 5);
    let mut samples: [Sample; 3] = Default::default();
    for _ in 0..rounds {
        samples[0].add(bulk(asked, time));
        for (at, callers) in [1, 64].into_iter().enumerate() {
            samples[at + 1].add(single(asked, callers, time));
        }
    }
    let names = ["in batches", "by 1 caller", "by 64 callers"];
    let cells = names.iter().zip(&samples);
    let cells = cells.map(|(name, sample)| Cell::of(name, sample));
    report.row("load 1 KiB objects into a new directory", cells.collect());
}

fn create(number: u64) -> Vec<u8> {
    objects::body(number, 0, BYTES, Text::Words)
}

/// Batches, one after the other, and the closing of the store.
fn bulk(asked: &Asked, time: Duration) -> Sample {
    let folder = tempfile::tempdir_in(&asked.folder).expect("a directory");
    let store = own::open(folder.path(), own::CACHE_BYTES);
    let started = Instant::now();
    let (mut number, mut calls) = (0, Vec::new());
    while started.elapsed() < time {
        let numbers = number..number + annals::BATCH_WRITES_MAX as u64;
        let writes = numbers
            .clone()
            .map(|at| Write::create(own::key(at), create(at)));
        let begun = Instant::now();
        store.write_batch(writes.collect()).expect("a batch");
        calls.push(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        number = numbers.end;
    }
    drop(store);
    Sample {
        rates: vec![number as f64 / started.elapsed().as_secs_f64()],
        settled: Vec::new(),
        cpu: Vec::new(),
        calls,
    }
}

/// Single durable writes, and the closing of the store.
fn single(asked: &Asked, callers: usize, time: Duration) -> Sample {
    let folder = tempfile::tempdir_in(&asked.folder).expect("a directory");
    let engine = Own::open(folder.path());
    let started = Instant::now();
    let mut sample = {
        let make = || {
            let mut caller = engine.caller();
            let call = move |number| {
                let body = create(number);
                let begun = Instant::now();
                caller(Put {
                    number,
                    body,
                    is_new: true,
                });
                begun.elapsed()
            };
            Box::new(call) as Box<dyn FnMut(u64) -> Duration + Send>
        };
        slice(callers, time, &AtomicU64::new(0), make)
    };
    drop(engine);
    sample.rates = vec![sample.calls.len() as f64 / started.elapsed().as_secs_f64()];
    sample
}
