//! Would catch a repair that brings back what retention had removed, or that does not report what
//! it lost of the rest: where rows are out of reach, old pages hold both, and look alike.
//!
//! Stores that went through retention are damaged: pages become zeros, bits flip. After a repair
//! whatever is there was there before, whatever is not is named, and every state that is answered
//! is the one that was. Only where the root of the tables is lost, what comes back is not judged,
//! and the report must say so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use annals::{
    Collection, Error, Keep, Key, ManualClock, Options, Repair, Revision, Store, Timestamp,
    Version, Write,
};

use crate::disk::{Disk, Image};
use crate::random::Random;
use crate::suite::{Tally, each_seed, scaled};

const KEYS: usize = 40;
const ROUNDS: usize = 30;
const PAGE_BYTES: usize = 4096;
/// How many damaged stores are repaired at least.
const REPAIRS_MIN: u64 = 400;

fn options() -> Options {
    Options::new()
        .index(false)
        .cache_bytes(0)
        .overlay(16, 1 << 20)
        .background_retention(false)
        .retention_grace(Duration::ZERO)
        .retention(
            Collection::all(),
            Keep::everything().revisions(2).trash(Duration::ZERO),
        )
        .retention(Collection::of("g.x", "kept").unwrap(), Keep::everything())
}

/// Some are written often, some seldom: what is left of these stands among what was removed of
/// those.
fn key(number: usize) -> Key {
    let resource = if number % 8 == 7 { "kept" } else { "things" };
    let namespace = ["a", "b"][number % 2];
    Key::new("g.x", resource, namespace, &format!("n{number}")).unwrap()
}

/// A store before it is damaged.
struct Before {
    image: Image,
    keys: Vec<Key>,
    /// Every revision that was ever written, in version order.
    log: Vec<Revision>,
    /// The versions that retention has left.
    left: BTreeSet<u64>,
}

impl Before {
    fn new(seed: u64) -> Self {
        let (disk, mut random) = (Disk::new(), Random::new(seed));
        let clock = Arc::new(ManualClock::default());
        clock.set(Timestamp(1_000));
        let store = Store::open_on(disk.clone(), options().clock(clock)).unwrap();
        let keys: Vec<Key> = (0..KEYS).map(key).collect();
        let mut log = Vec::new();
        for round in 0..ROUNDS {
            let snapshot = store.snapshot().unwrap();
            let mut writes = Vec::new();
            for (number, key) in keys.iter().enumerate() {
                if !random.one_in(1 + number % 6) {
                    continue;
                }
                let text = format!("a text of object {number} ").repeat(8);
                let body = format!(r#"{{"spec":"{text}{round}"}}"#).into_bytes();
                writes.push(match snapshot.get(key).unwrap() {
                    None => Write::create(key.clone(), body),
                    Some(_) if random.one_in(6) => Write::delete(key.clone()),
                    Some(_) => Write::update(key.clone(), body),
                });
            }
            log.extend(store.write_batch(writes).unwrap());
            if random.one_in(3) {
                store.retain().unwrap();
            }
        }
        let left = histories(&store, &keys).into_keys().collect();
        if random.one_in(2) {
            drop(store);
        }
        let image = disk.image();
        Before {
            image,
            keys,
            log,
            left,
        }
    }

    fn newest<'a>(&'a self, key: &'a Key, version: u64) -> Option<&'a Revision> {
        let upto = usize::try_from(version).unwrap();
        self.log[..upto].iter().rfind(|it| it.key() == key)
    }
}

/// All that a store has of these keys, by version.
fn histories(store: &Store, keys: &[Key]) -> BTreeMap<u64, Revision> {
    let snapshot = store.snapshot().unwrap();
    let pages = keys.iter().map(|key| match snapshot.history(key, 0, None) {
        Ok(page) => page.items,
        Err(Error::NotFound { .. }) => Vec::new(),
        Err(error) => panic!("{key}: {error}"),
    });
    let all = pages.flatten();
    all.map(|revision| (revision.version().get(), revision))
        .collect()
}

fn ensure(holds: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem()) }
}

/// Damages a few places of the tables.
fn damage(image: &mut Image, random: &mut Random) -> String {
    let mut told = Vec::new();
    let pages = image[0].len() / PAGE_BYTES;
    for _ in 0..1 + random.below(3) {
        let page = if random.one_in(8) {
            0
        } else {
            random.below(pages)
        };
        if random.one_in(3) {
            let (at, mut byte) = (page * PAGE_BYTES + random.below(PAGE_BYTES), [0]);
            image[0].read(at, &mut byte);
            image[0].write(at, &[byte[0] ^ (1 << random.below(8))]);
            told.push(format!("a bit at {at}"));
        } else {
            image[0].write(page * PAGE_BYTES, &[0; PAGE_BYTES]);
            told.push(format!("page {page}"));
        }
    }
    told.join(", ")
}

/// What must hold after a repair.
fn judge(folder: &Path, before: &Before, repair: &Repair) -> Result<(), String> {
    let store = Store::open(folder, options()).map_err(|error| error.to_string())?;
    let head = before.log.len() as u64;
    let found = histories(&store, &before.keys);
    for (version, revision) in &found {
        let written = &before.log[usize::try_from(*version).unwrap() - 1];
        ensure(before.left.contains(version) || repair.rootless, || {
            format!("{revision:?} has come back")
        })?;
        ensure(revision.body() == written.body(), || {
            format!("{revision:?} is another")
        })?;
    }
    let reported: BTreeSet<u64> = repair.lost_versions.iter().map(|it| it.get()).collect();
    let lost: Vec<u64> = before
        .left
        .iter()
        .copied()
        .filter(|it| !found.contains_key(it))
        .collect();
    ensure(repair.lost >= lost.len() as u64, || {
        format!("{lost:?} are lost, and the report says {}", repair.lost)
    })?;
    if let Some(version) = lost.iter().find(|it| !reported.contains(it)) {
        return Err(format!("version {version} is lost and not reported"));
    }
    for key in &before.keys {
        let named = repair.set_back_keys.contains(key) || repair.in_doubt_keys.contains(key);
        let is_left = |it: &&Revision| before.left.contains(&it.version().get());
        let wanted = before
            .newest(key, head)
            .filter(is_left)
            .map(Revision::version);
        let newest = found
            .values()
            .rfind(|it| it.key() == key)
            .map(Revision::version);
        ensure(newest == wanted || named || repair.nameless, || {
            format!("{key} is at {newest:?} and not {wanted:?}, and is not named")
        })?;
    }
    for version in (1..head).step_by(23) {
        let snapshot = store.snapshot_at(Version::new(version)).unwrap();
        for key in &before.keys {
            let wanted = before
                .newest(key, version)
                .filter(|it| it.header().is_live());
            match snapshot.get(key) {
                Err(Error::Gone { .. }) => {}
                Ok(found) => ensure(
                    found.as_ref().map(Revision::version) == wanted.map(Revision::version),
                    || format!("{key} at {version}: {found:?} and not {wanted:?}"),
                )?,
                Err(error) => return Err(format!("{key} at {version}: {error}")),
            }
        }
    }
    Ok(())
}

#[test]
fn what_retention_removed_stays_away_and_what_is_lost_is_named() {
    let (tally, repairs) = (Tally::default(), scaled(REPAIRS_MIN));
    let rootless = AtomicU64::new(0);
    each_seed(&tally, |seed| {
        let before = Before::new(seed);
        let mut random = Random::new(seed);
        for _ in 0..20 {
            let mut image = before.image.clone();
            let told = damage(&mut image, &mut random);
            let folder = tempfile::tempdir().unwrap();
            crate::wreck::write(&image, folder.path());
            let repair = Store::repair(folder.path()).unwrap();
            if let Err(problem) = judge(folder.path(), &before, &repair) {
                let mut short = repair.clone();
                short.after.findings.clear();
                short.lost_versions.truncate(4);
                tally.report(format!("seed {seed}, {told}: {problem}: {short:?}"));
            }
            rootless.fetch_add(u64::from(repair.rootless), Ordering::Relaxed);
            tally.add(1);
        }
        tally.count() < repairs
    });
    let (rootless, all) = (rootless.into_inner(), tally.count());
    assert!(
        rootless * 20 < all,
        "the root is lost in {rootless} of {all}"
    );
    tally.expect("damaged stores", repairs, false);
}
