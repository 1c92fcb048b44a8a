//! Would catch a watcher at rest that keeps more than a kibibyte: a part of the ring, a buffer, a
//! table of its own; and one that leaves something behind when it goes.
//!
//! A binary of its own, because it counts the bytes of the whole process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::System;
use std::task::{Context, Waker};

use annals::{Collection, Filter, Key, Options, Store, Version, Watch, Write};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const WATCHERS: usize = 10_000;
const NAMESPACES: usize = 1_000;
/// What a watcher at rest may keep.
const BYTES_MAX: usize = 1_024;
/// What may remain of one that has gone: the tables that grew do not shrink.
const REST_MAX: usize = 64;

fn bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn space(number: usize) -> String {
    format!("namespace-{}", number % NAMESPACES)
}

fn watch(store: &Store, number: usize, filter: Filter) -> Watch {
    let collection = Collection::within("g.x", "things", &space(number)).unwrap();
    store.watch(collection, filter, Version::ZERO).unwrap()
}

/// Reads all there is and sleeps.
fn rest(watch: &mut Watch) {
    while watch.try_next().unwrap().is_some() {}
    let mut context = Context::from_waker(Waker::noop());
    assert!(watch.poll_ready(&mut context).is_pending());
}

/// How many bytes each of these watchers keeps, before anything has happened and after.
fn weigh(filter: impl Fn(usize) -> Filter) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().index(false).ring(64, 64 * 1024);
    let store = Store::open(directory.path(), options.cache_bytes(1 << 20)).unwrap();
    let empty = bytes();
    let mut watches: Vec<Watch> = (0..WATCHERS)
        .map(|number| watch(&store, number, filter(number)))
        .collect();
    watches.iter_mut().for_each(rest);
    let idle = (bytes() - empty) / WATCHERS;
    assert!(
        idle < BYTES_MAX,
        "{idle} bytes before anything has happened"
    );
    for round in 0..3 {
        let writes = (0..NAMESPACES).map(|number| {
            let key = Key::new("g.x", "things", &space(number), "one").unwrap();
            if round == 0 {
                Write::create(key, b"{}".to_vec())
            } else {
                Write::update(key, b"{}".to_vec())
            }
        });
        store.write_batch(writes.collect()).unwrap();
        watches.iter_mut().for_each(rest);
    }
    let used = bytes().saturating_sub(empty) / WATCHERS;
    assert!(
        used < BYTES_MAX,
        "{used} bytes after something has happened"
    );
    let before = bytes();
    drop(watches);
    let freed = (before - bytes()) / WATCHERS;
    println!("{idle} bytes at first, {used} bytes in use, {freed} bytes freed");
    assert!(
        freed + REST_MAX > idle,
        "only {freed} of {idle} bytes came back"
    );
}

#[test]
fn an_idle_watcher_is_small() {
    weigh(|_| Filter::default());
    // Each with a filter that nobody else has.
    weigh(|number| Filter {
        labels: format!("app=number-{number}").parse().unwrap(),
        ..Filter::default()
    });
}
