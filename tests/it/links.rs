//! Would catch a read of the past that walks all revisions of a key instead of following the long
//! links: it would be right, and unusable for an object with a long history.
//!
//! What is counted is reads of the disk, with the smallest cache, not time.

use annals::{Key, Options, Store, Version, Write};

use crate::disk::Disk;
use crate::random::Random;

const SHORT: u64 = 1_000;
const LONG: u64 = 16_000;
const SAMPLES: usize = 300;

/// How many disk reads some gets of one key cost.
#[derive(Debug)]
struct Cost {
    /// At the newest version.
    newest: u64,
    /// At a random version, the dearest and the sum.
    dearest: u64,
    sum: u64,
}

/// Writes so many revisions of one key, and measures reads at random versions.
fn measure(revisions: u64) -> Cost {
    let disk = Disk::new();
    let options = || Options::new().index(false).ring(1, 1).cache_bytes(0);
    let store = Store::open_on(disk.clone(), options()).unwrap();
    let key = Key::new("g.x", "things", "ns", "one").unwrap();
    store
        .write(Write::create(key.clone(), b"{}".to_vec()))
        .unwrap();
    let mut left = revisions - 1;
    while left > 0 {
        let size = left.min(500);
        let writes = (0..size).map(|_| Write::update(key.clone(), b"{}".to_vec()));
        store.write_batch(writes.collect()).unwrap();
        left -= size;
    }
    // What is closed is in the tables, and reads of it reach the disk.
    drop(store);
    let store = Store::open_on(disk.clone(), options()).unwrap();
    let cost_at = |version| {
        let snapshot = store.snapshot_at(version).unwrap();
        let before = disk.reads();
        let found = snapshot.get(&key).unwrap().unwrap();
        assert_eq!(found.version(), version);
        disk.reads() - before
    };
    let newest = cost_at(Version::new(revisions));
    let mut random = Random::new(revisions);
    let costs: Vec<u64> = (0..SAMPLES)
        .map(|_| cost_at(Version::new(1 + random.next() % revisions)))
        .chain([cost_at(Version::new(1)), cost_at(Version::new(2))])
        .collect();
    Cost {
        newest,
        dearest: costs.iter().copied().max().unwrap(),
        sum: costs.iter().sum(),
    }
}

#[test]
fn a_read_of_the_past_costs_a_logarithm() {
    let (short, long) = (measure(SHORT), measure(LONG));
    println!("{SHORT}: {short:?}, {LONG}: {long:?}");
    assert!(short.newest > 0, "the cache hides the reads");
    // Sixteen times the revisions: a walk costs sixteen times as much, a logarithm less than half
    // as much again, and the tree may be a level deeper.
    assert!(long.dearest <= 3 * short.dearest, "{short:?}, {long:?}");
    assert!(long.sum <= 3 * short.sum, "{short:?}, {long:?}");
    assert!(long.newest <= short.newest + 4, "{short:?}, {long:?}");
    // A chain of a thousand has paths of at most about twenty steps, of a few pages each.
    assert!(short.dearest < SHORT / 4, "{short:?}");
}
