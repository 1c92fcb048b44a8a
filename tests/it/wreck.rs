//! Stores to be damaged, and what must be true of them afterwards: without it, each test of damage
//! would ask less of `check` and `repair` than the others.

use std::collections::BTreeSet;
use std::path::Path;

use annals::{Collection, Error, Key, List, Options, Repair, Revision, Store, Version, Write};

use crate::disk::{Disk, Image};
use crate::random::Random;

const KEYS: usize = 12;
const ROUNDS: usize = 14;
/// The files of a store.
pub(crate) const NAMES: [&str; 3] = ["store.redb", "log.0", "log.1"];
const MAGIC: [u8; 4] = 0x5a1c_0de5_u32.to_le_bytes();

/// What a store was told.
pub(crate) struct Written {
    pub(crate) keys: Vec<Key>,
    /// Every revision, in version order.
    pub(crate) log: Vec<Revision>,
}

impl Written {
    /// The revisions of a key up to a version, oldest first.
    fn of<'a>(&'a self, key: &'a Key, head: u64) -> impl DoubleEndedIterator<Item = &'a Revision> {
        let upto = self.log.iter().filter(move |it| it.version().get() <= head);
        upto.filter(move |it| it.key() == key)
    }
}

pub(crate) fn options() -> Options {
    Options::new()
        .index(false)
        .cache_bytes(0)
        .overlay(64, 1 << 20)
}

fn key(number: usize) -> Key {
    let namespace = ["a", "b", "c"][number % 3];
    Key::new("g.x", "things", namespace, &format!("n{number}")).unwrap()
}

/// The files of a store with some history: three namespaces, deltas, deletions, second lives.
pub(crate) fn fill(closed: bool) -> (Image, Written) {
    let disk = Disk::new();
    let store = Store::open_on(disk.clone(), options()).unwrap();
    let keys: Vec<Key> = (0..KEYS).map(key).collect();
    let mut log: Vec<Revision> = Vec::new();
    for round in 0..ROUNDS {
        let write = |number: usize| {
            // Long enough to be stored as what differs from an older one.
            let mut random = Random::new(number as u64);
            let text: String = (0..300)
                .map(|_| random.below(1 << 16).to_string())
                .collect();
            let label = format!(r#"{{"metadata":{{"labels":{{"l":"{}"}}}}"#, round / 4);
            let body = format!(r#"{label},"spec":"{text}{round}"}}"#).into_bytes();
            let newest = log.iter().rev().find(|it| it.key() == &keys[number]);
            let live = newest.is_some_and(|it| it.header().is_live());
            match (live, (round + number).is_multiple_of(7)) {
                (true, true) => Some(Write::delete(key(number))),
                (true, false) => Some(Write::update(key(number), body)),
                (false, false) => Some(Write::create(key(number), body)),
                (false, true) => None,
            }
        };
        let writes: Vec<Write> = (0..KEYS).filter_map(write).collect();
        let half = writes.len() / 2;
        let mut writes = writes.into_iter();
        for batch in [
            writes.by_ref().take(half).collect(),
            writes.collect::<Vec<_>>(),
        ] {
            log.extend(store.write_batch(batch).unwrap());
        }
    }
    if closed {
        drop(store);
    }
    (disk.image(), Written { keys, log })
}

/// Writes the files into a folder.
pub(crate) fn write(image: &Image, folder: &Path) {
    for (bytes, name) in image.iter().zip(NAMES) {
        let mut all = vec![0; bytes.len()];
        bytes.read(0, &mut all);
        std::fs::write(folder.join(name), all).unwrap();
    }
}

/// Whether the files of a folder are these.
pub(crate) fn is_in(image: &Image, folder: &Path) -> bool {
    image.iter().zip(NAMES).all(|(bytes, name)| {
        let mut all = vec![0; bytes.len()];
        bytes.read(0, &mut all);
        std::fs::read(folder.join(name)).unwrap() == all
    })
}

/// Where one of the last frames of the commit log stands: the file, and the byte.
pub(crate) fn frame(image: &Image, from_the_end: usize) -> (usize, usize) {
    let mut frames = Vec::new();
    for file in [1, 2] {
        let mut all = vec![0; image[file].len()];
        image[file].read(0, &mut all);
        for at in (0..all.len().saturating_sub(16)).step_by(8) {
            if all[at..at + 4] == MAGIC {
                let version = u64::from_le_bytes(all[at + 8..at + 16].try_into().unwrap());
                frames.push((version, file, at));
            }
        }
    }
    frames.sort_unstable();
    let (_, file, at) = frames[frames.len() - 1 - from_the_end];
    (file, at)
}

/// Whether two revisions say the same. Their links may differ.
fn same(found: &Revision, written: &Revision) -> bool {
    let (one, other) = (found.header(), written.header());
    found.body() == written.body()
        && (&one.key, one.version, one.action) == (&other.key, other.version, other.action)
        && (one.time, &one.author, &one.uid) == (other.time, &other.author, &other.uid)
        && (&one.labels, one.created) == (&other.labels, other.created)
}

/// After a repair: everything that is not named as lost is there and nothing else is; every state
/// that is answered is the one that was; the store takes writes and is sound after them.
pub(crate) fn verify(
    folder: &Path,
    written: &Written,
    repair: &Repair,
    may_lose_the_tail: bool,
    context: &str,
) {
    let store = Store::open(folder, options()).unwrap();
    let head = store.snapshot().unwrap().version().get();
    let all = written.log.len() as u64;
    assert!(
        head == all || (may_lose_the_tail && head < all),
        "{context}: {head} of {all}"
    );
    let lost: BTreeSet<u64> = repair.lost_versions.iter().map(|it| it.get()).collect();
    assert_eq!(lost.len() as u64, repair.lost, "{context}");
    assert_eq!(repair.kept + repair.lost, head, "{context}");
    for key in &written.keys {
        history(&store, written, key, head, &lost, context);
        present(&store, written, key, head, repair, context);
    }
    past(&store, written, head, context);
    if let Some(folder) = &repair.set_aside {
        for name in ["report.json", "rows.ndjson", "store.redb"] {
            assert!(folder.join(name).is_file(), "{context}: {name}");
        }
    }
    for key in &written.keys {
        let body = br#"{"spec":"written after the repair"}"#.to_vec();
        let live = store.snapshot().unwrap().get(key).unwrap().is_some();
        let write = if live {
            Write::update(key.clone(), body)
        } else {
            Write::create(key.clone(), body)
        };
        store.write(write).unwrap();
    }
    let report = store.check().unwrap();
    assert!(report.is_sound(), "{context}: {:#?}", report.findings);
    drop(store);
    assert!(!Store::repair(folder).unwrap().changed, "{context}");
}

/// The history of a key is what was written but for what is lost.
fn history(
    store: &Store,
    written: &Written,
    key: &Key,
    head: u64,
    lost: &BTreeSet<u64>,
    context: &str,
) {
    let kept = |it: &&Revision| !lost.contains(&it.version().get());
    let wanted: Vec<&Revision> = written.of(key, head).filter(kept).rev().collect();
    match store.snapshot().unwrap().history(key, 0, None) {
        Ok(page) => {
            let versions = |list: &[&Revision]| -> Vec<u64> {
                list.iter().map(|it| it.version().get()).collect()
            };
            let found: Vec<&Revision> = page.items.iter().collect();
            assert_eq!(versions(&found), versions(&wanted), "{context}: {key}");
            let pairs = found.into_iter().zip(wanted);
            for (found, wanted) in pairs {
                assert!(same(found, wanted), "{context}: {found:?}");
            }
        }
        Err(Error::NotFound { .. }) => assert!(wanted.is_empty(), "{context}: {key} is gone"),
        Err(error) => panic!("{context}: {key}: {error}"),
    }
}

/// The state of a key is the newest that is there, and the newest that was unless it is named.
fn present(store: &Store, written: &Written, key: &Key, head: u64, repair: &Repair, context: &str) {
    let found = store.snapshot().unwrap().get(key).unwrap();
    let newest = written.of(key, head).next_back();
    let wanted = newest.filter(|it| it.header().is_live());
    let is_same = match (&found, wanted) {
        (Some(found), Some(wanted)) => same(found, wanted),
        (None, None) => true,
        _ => false,
    };
    let named = repair.nameless || repair.set_back_keys.contains(key);
    assert!(is_same || named, "{context}: {key} is not what it was");
}

/// Every state is what it was, or gone; the newest is always there.
fn past(store: &Store, written: &Written, head: u64, context: &str) {
    for version in (1..head).step_by(11) {
        let snapshot = store.snapshot_at(Version::new(version)).unwrap();
        for key in &written.keys {
            let newest = written.of(key, version).next_back();
            let wanted = newest.filter(|it| it.header().is_live());
            match snapshot.get(key) {
                Err(Error::Gone { .. }) => {}
                Ok(found) => {
                    let versions = (found.as_ref(), wanted);
                    let versions = (
                        versions.0.map(|it| it.version()),
                        versions.1.map(|it| it.version()),
                    );
                    assert_eq!(versions.0, versions.1, "{context}: {key} at {version}");
                }
                Err(error) => panic!("{context}: {key} at {version}: {error}"),
            }
        }
    }
    let page = store
        .snapshot()
        .unwrap()
        .list(&List::new(Collection::all()));
    assert!(page.is_ok(), "{context}: {page:?}");
}
