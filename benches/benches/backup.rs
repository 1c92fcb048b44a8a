//! How fast a backup is taken, verified and restored, and what it costs those who write meanwhile.
//! `ANNALS_BENCH_OBJECTS` sets the number of objects; each has a few revisions.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use annals::backup::{Pieces, Until};
use annals::{Key, Options, Store, Write};
use annals_bench::{KIND, body, name};

const OBJECTS: u64 = 100_000;
/// How many revisions each object has.
const REVISIONS: u64 = 4;
/// How long writers are measured.
const WINDOW: Duration = Duration::from_secs(3);

fn objects() -> u64 {
    let given = std::env::var("ANNALS_BENCH_OBJECTS").ok();
    given.map_or(OBJECTS, |text| {
        text.parse().expect("ANNALS_BENCH_OBJECTS is a number")
    })
}

fn key(number: u64) -> Key {
    Key::new(KIND.0, KIND.1, "default", &name(number)).expect("a key")
}

/// An object whose later revisions differ from the first by a word.
fn text(number: u64, round: u64) -> Vec<u8> {
    let text = String::from_utf8(body(number)).expect("JSON is text");
    text.replacen("w", &format!("r{round}w"), 1).into_bytes()
}

fn fill(store: &Store) -> u64 {
    let mut json = 0;
    for round in 0..REVISIONS {
        for start in (0..objects()).step_by(1_000) {
            let write = |number| {
                let text = text(number, round);
                json += text.len() as u64;
                match round {
                    0 => Write::create(key(number), text),
                    _ => Write::update(key(number), text),
                }
            };
            let batch = (start..start + 1_000).map(write).collect();
            store.write_batch(batch).expect("a batch");
        }
    }
    json
}

fn report(what: &str, took: Duration, bytes: u64, json: u64) {
    let rate = |bytes: u64| bytes as f64 / 1e6 / took.as_secs_f64();
    println!(
        "{what:<22} {took:>8.2?}  {:>7.0} MB/s of the piece  {:>7.0} MB/s of JSON",
        rate(bytes),
        rate(json)
    );
}

/// How many single writes a second four callers make while `done` is false.
fn write_until(store: &Store, done: &AtomicBool) -> f64 {
    let (count, started) = (AtomicU64::new(0), Instant::now());
    std::thread::scope(|scope| {
        for caller in 0..4 {
            let count = &count;
            scope.spawn(move || {
                for at in 0.. {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    let number = (at * 4 + caller) % objects();
                    let write = Write::update(key(number), text(number, 9));
                    store.write(write).expect("a write");
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    count.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}

fn writers(store: &Store, folder: &Path) {
    let alone = AtomicBool::new(false);
    let rate = std::thread::scope(|scope| {
        let rate = scope.spawn(|| write_until(store, &alone));
        std::thread::sleep(WINDOW);
        alone.store(true, Ordering::Relaxed);
        rate.join().expect("writers")
    });
    let done = AtomicBool::new(false);
    let (during, count) = std::thread::scope(|scope| {
        let rate = scope.spawn(|| write_until(store, &done));
        let (end, mut count) = (Instant::now() + WINDOW, 0);
        while Instant::now() < end {
            let file = File::create(folder.join("meanwhile")).expect("a file");
            store.backup(None, file).expect("a backup");
            count += 1;
        }
        done.store(true, Ordering::Relaxed);
        (rate.join().expect("writers"), count)
    });
    println!("4 writers: {rate:.0} writes/s alone, {during:.0} during {count} backups in a row");
    println!(
        "RATIO writes during backups over alone: {:.2}",
        during / rate
    );
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path().join("data"), Options::new().index(false));
    let store = store.expect("a store");
    let json = fill(&store);
    let path = folder.path().join("whole.annals");
    for _ in 0..3 {
        let started = Instant::now();
        let file = File::create(&path).expect("a file");
        let summary = store.backup(None, BufWriter::new(&file)).expect("a backup");
        let written = started.elapsed();
        file.sync_all().expect("a sync");
        println!(
            "{} revisions, {} MB of JSON, {} MB in the piece",
            summary.revisions,
            json / 1_000_000,
            summary.bytes / 1_000_000
        );
        report("backup", written, summary.bytes, json);
        let started = Instant::now();
        let pieces = Pieces::open(&[&path]).expect("a piece");
        let verified = pieces.verify().expect("a verification");
        assert_eq!(verified.wrong, 0);
        report("verify", started.elapsed(), summary.bytes, json);
        for (what, check) in [("restore, unchecked", false), ("restore and check", true)] {
            let place = tempfile::tempdir().expect("a folder");
            let started = Instant::now();
            let restored = pieces.restore(place.path(), Until::Newest, check);
            assert_eq!(restored.expect("a restore").revisions, summary.revisions);
            report(what, started.elapsed(), summary.bytes, json);
        }
    }
    writers(&store, folder.path());
}
