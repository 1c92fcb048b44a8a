//! Would catch a flipped bit in the files that makes the store panic, or is answered as data.
//!
//! A store is closed, or killed with its commit log full, and bits of its files are flipped. What
//! is read then is what was written, or an error.

use annals::{Collection, Error, Key, List, Options, Revision, Store, Version, Write};

use crate::disk::{Disk, Image};
use crate::random::Random;
use crate::suite::scaled;

const KEYS: usize = 12;
const ROUNDS: usize = 20;
const FLIPS: u64 = 1_500;

fn options() -> Options {
    Options::new()
        .index(false)
        .cache_bytes(0)
        .overlay(64, 1 << 20)
}

fn key(number: usize) -> Key {
    Key::new("g.x", "things", "ns", &format!("n{number}")).unwrap()
}

/// The files of a store with some history, and every revision of it.
fn fill(closed: bool) -> (Image, Vec<Revision>) {
    let disk = Disk::new();
    let store = Store::open_on(disk.clone(), options()).unwrap();
    let mut log = Vec::new();
    for round in 0..ROUNDS {
        let text = format!("a text of round {round} ").repeat(30);
        let body = format!(r#"{{"spec":"{text}"}}"#).into_bytes();
        let write = |number| match round {
            0 => Write::create(key(number), body.clone()),
            _ => Write::update(key(number), body.clone()),
        };
        log.extend(store.write_batch((0..KEYS).map(write).collect()).unwrap());
    }
    if closed {
        drop(store);
    }
    (disk.image(), log)
}

/// Reads everything; what can be read must be what was written.
fn read(image: Image, log: &[Revision]) -> Result<(), Error> {
    let store = Store::open_on(Disk::with(image), options())?;
    let same = |revision: &Revision| {
        let at = usize::try_from(revision.version().get()).unwrap() - 1;
        assert_eq!(log.get(at), Some(revision), "damage was answered as data");
    };
    let snapshot = store.snapshot()?;
    for number in 0..KEYS {
        if let Ok(Some(revision)) = snapshot.get(&key(number)) {
            same(&revision);
        }
        if let Ok(page) = snapshot.history(&key(number), 0, None) {
            page.items.iter().for_each(same);
        }
    }
    if let Ok(page) = snapshot.list(&List::new(Collection::all())) {
        page.items.iter().for_each(same);
    }
    let old = store.snapshot_at(Version::new(KEYS as u64))?;
    if let Ok(page) = old.list(&List::new(Collection::all())) {
        page.items.iter().for_each(same);
    }
    drop(store.check());
    Ok(())
}

#[test]
fn a_flipped_bit_is_an_error_or_matters_to_nobody() {
    for closed in [true, false] {
        let (image, log) = fill(closed);
        read(image.clone(), &log).unwrap();
        let mut random = Random::new(u64::from(closed));
        for _ in 0..scaled(FLIPS) {
            let mut image = image.clone();
            let file = random.below(image.len());
            if image[file].len() == 0 {
                continue;
            }
            let (at, mut byte) = (random.below(image[file].len()), [0]);
            image[file].read(at, &mut byte);
            image[file].write(at, &[byte[0] ^ (1 << random.below(8))]);
            drop(read(image, &log));
        }
    }
}
