//! Opening a store that was killed under load: the time to the first read and the first write,
//! with the commit log as full as it gets. `ANNALS_BENCH_OBJECTS` sets the number of objects.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use annals::{Key, Options, Store, Write};
use annals_bench::{KIND, body, name};

const OBJECTS: u64 = 200_000;
/// How many times a killed store is opened.
const ROUNDS: usize = 5;
/// Tells the child which directory to fill.
const FOLDER: &str = "ANNALS_BENCH_OPEN_FOLDER";

fn objects() -> u64 {
    let given = std::env::var("ANNALS_BENCH_OBJECTS").ok();
    given.map_or(OBJECTS, |text| {
        text.parse().expect("ANNALS_BENCH_OBJECTS is a number")
    })
}

fn open(folder: &Path) -> Store {
    let options = Options::new().index(false).cache_bytes(1 << 30);
    Store::open(folder, options).expect("a store")
}

fn create(number: u64) -> Write {
    let key = Key::new(KIND.0, KIND.1, "default", &name(number)).expect("a key");
    Write::create(key, body(number))
}

fn update(number: u64) -> Write {
    let key = Key::new(KIND.0, KIND.1, "default", &name(number)).expect("a key");
    Write::update(key, body(number))
}

/// Fills the store and dies in the middle of updates.
fn fill_and_die(folder: &Path) {
    let store = open(folder);
    let new = store.stats().expect("stats").objects == 0;
    for start in (0..objects()).step_by(1_000).filter(|_| new) {
        let batch = (start..start + 1_000).map(create);
        store.write_batch(batch.collect()).expect("a batch");
    }
    let end = Instant::now() + Duration::from_secs(3);
    let mut round = 0;
    while Instant::now() < end {
        let batch = (0..250).map(|at| update((round * 7_919 + at * 104_729) % objects()));
        store.write_batch(batch.collect()).expect("a batch");
        round += 1;
    }
    std::process::abort();
}

fn main() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        fill_and_die(Path::new(&folder));
    }
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let own = std::env::current_exe().expect("this program");
        let died = Command::new(own).env(FOLDER, folder.path()).status();
        assert!(!died.expect("a child").success(), "it was to die");
        let started = Instant::now();
        let store = open(folder.path());
        let opened = started.elapsed();
        let key = Key::new(KIND.0, KIND.1, "default", &name(1)).expect("a key");
        let found = store
            .snapshot()
            .expect("a state")
            .get(&key)
            .expect("a read");
        assert!(found.is_some(), "an object that was acknowledged");
        let read = started.elapsed();
        store.write(update(2)).expect("a write");
        times.push((started.elapsed(), read, opened));
        let stats = store.stats().expect("stats");
        println!(
            "{} objects, {} revisions, {} MiB: open {opened:.1?}, first read {read:.1?}, first write {:.1?}",
            stats.objects,
            stats.revisions,
            stats.bytes >> 20,
            started.elapsed(),
        );
    }
    times.sort();
    let (write, read, opened) = times[ROUNDS / 2];
    println!("MEDIAN open {opened:.1?}, first read {read:.1?}, first write {write:.1?}");
}
