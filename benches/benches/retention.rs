//! What retention gives back and what it costs: a store whose every object has many revisions, of
//! which one stays. Printed are the bytes of the directory before, after retention, after as many
//! writes again, and after `compact`; and the rate of one writer with retention at work beside it,
//! as a ratio to the rate without. No rival: raw redb forgets nothing by itself.

use std::path::Path;
use std::time::{Duration, Instant};

use annals::{Collection, Keep, Key, Options, Store, Write};
use annals_bench::{KIND, body, name};

const OBJECTS: u64 = 20_000;
const ROUNDS: u64 = 20;
/// Writes of one batch.
const BATCH: u64 = 500;

fn options(keep: Keep) -> Options {
    Options::new()
        .index(false)
        .retention(Collection::all(), keep)
        .background_retention(false)
        .retention_grace(Duration::ZERO)
}

fn bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).expect("the folder");
    let sizes = files.map(|file| file.and_then(|file| file.metadata()).expect("a file").len());
    sizes.sum()
}

/// Writes every object once more; answers how long that took.
fn round(store: &Store, round: u64) -> Duration {
    let started = Instant::now();
    for first in (0..OBJECTS).step_by(BATCH as usize) {
        let writes = (first..first + BATCH).map(|number| {
            let key = Key::new(KIND.0, KIND.1, "default", &name(number)).expect("a key");
            let text = String::from_utf8(body(number)).expect("text");
            let text = text.replace("\"replicas\":", &format!("\"round\":{round},\"replicas\":"));
            match round {
                0 => Write::create(key, text.into_bytes()),
                _ => Write::update(key, text.into_bytes()),
            }
        });
        store.write_batch(writes.collect()).expect("a batch");
    }
    started.elapsed()
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), options(Keep::everything().revisions(1)));
    let store = store.expect("a store");
    for number in 0..ROUNDS {
        round(&store, number);
    }
    let full = bytes(folder.path());
    let started = Instant::now();
    let removed = store.retain().expect("retention");
    let spent = started.elapsed();
    let rate = removed as f64 / spent.as_secs_f64();
    println!("retention removed {removed} revisions, {rate:.0} a second");
    let after = bytes(folder.path());
    for number in 0..ROUNDS {
        round(&store, ROUNDS + number);
        store.retain().expect("retention");
    }
    let again = bytes(folder.path());
    store.compact().expect("compaction");
    let compacted = bytes(folder.path());
    let share = |part: u64| part as f64 / full as f64;
    println!(
        "RATIO bytes of {ROUNDS} revisions each ({full}): after retention {:.2}, after as many writes again {:.2}, compacted {:.3}",
        share(after),
        share(again),
        share(compacted),
    );

    // In turns, so that both meet the same noise.
    let mut ratios = Vec::new();
    for number in 0..10 {
        let number = 2 * ROUNDS + 2 * number;
        let alone = round(&store, number);
        let beside = std::thread::scope(|scope| {
            let worker = scope.spawn(|| store.retain().expect("retention"));
            let beside = round(&store, number + 1);
            worker.join().expect("the worker");
            beside
        });
        ratios.push(alone.as_secs_f64() / beside.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!("RATIO writes beside retention at full speed: {median:.2} of the rate without");
}
