//! Would catch damage that makes the store panic, that is answered as data, that `check` does not
//! see, or that `repair` makes worse.
//!
//! A store is closed, or killed with its commit log full, and bits of its files are flipped, or
//! pages are zeroed. What is read then is what was written, or an error; what `check` calls sound
//! is whole; and after `repair` the store is sound, all that was not touched is there, what it
//! names as lost is not, and every state that is answered is the one that was.
//!
//! A killed store is opened for use only if the tables are not what is damaged: the engine may end
//! the process when it writes to damaged tables. `check` and `repair` never write to them.

use annals::{Collection, Error, Key, List, Options, Revision, Store, Version, Write};

use crate::disk::{Disk, Image};
use crate::random::Random;
use crate::suite::scaled;
use crate::wreck::{Written, fill, options, verify};

const FLIPS: u64 = 800;
const REPAIRS: u64 = 120;
const PAGES: u64 = 40;
const PAGE_BYTES: usize = 4096;

/// Reads everything; what can be read must be what was written.
fn read(image: Image, written: &Written) -> Result<(), Error> {
    let store = Store::open_on(Disk::with(image), options())?;
    let same = |revision: &Revision| {
        let at = usize::try_from(revision.version().get()).unwrap() - 1;
        assert_eq!(
            written.log.get(at),
            Some(revision),
            "damage was answered as data"
        );
    };
    let snapshot = store.snapshot()?;
    for key in &written.keys {
        if let Ok(Some(revision)) = snapshot.get(key) {
            same(&revision);
        }
        if let Ok(page) = snapshot.history(key, 0, None) {
            page.items.iter().for_each(same);
        }
    }
    if let Ok(page) = snapshot.list(&List::new(Collection::all())) {
        page.items.iter().for_each(same);
    }
    let old = store.snapshot_at(Version::new(written.log.len() as u64 / 3))?;
    if let Ok(page) = old.list(&List::new(Collection::all())) {
        page.items.iter().for_each(same);
    }
    store.check().map(drop)
}

/// Flips a bit of one of these files; answers which.
fn flip(image: &mut Image, files: &[usize], random: &mut Random) -> usize {
    loop {
        let file = files[random.below(files.len())];
        let length = image[file].len();
        if length > 0 {
            let (at, mut byte) = (random.below(length), [0]);
            image[file].read(at, &mut byte);
            image[file].write(at, &[byte[0] ^ (1 << random.below(8))]);
            return file;
        }
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_matters_to_nobody() {
    for closed in [true, false] {
        let (image, written) = fill(closed);
        read(image.clone(), &written).unwrap();
        let mut random = Random::new(u64::from(closed));
        let files: &[usize] = if closed { &[0] } else { &[1, 2] };
        for _ in 0..scaled(FLIPS) {
            let mut image = image.clone();
            flip(&mut image, files, &mut random);
            drop(read(image, &written));
        }
    }
}

/// Checks a damaged image, repairs it if there is anything to repair, and verifies the store.
fn mend(image: &Image, written: &Written, may_lose_the_tail: bool, context: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    crate::wreck::write(image, folder.path());
    let before = Store::check_directory(folder.path()).unwrap();
    let is_same = crate::wreck::is_in(image, folder.path());
    assert!(is_same, "{context}: a check changes nothing");
    let repair = Store::repair(folder.path()).unwrap();
    assert_eq!(repair.changed, !before.is_sound(), "{context}");
    assert!(repair.after.is_sound(), "{context}: {:#?}", repair);
    verify(folder.path(), written, &repair, may_lose_the_tail, context);
    repair.changed
}

#[test]
fn what_check_calls_sound_is_whole_and_repair_mends_the_rest() {
    for closed in [true, false] {
        let (image, written) = fill(closed);
        let mut random = Random::new(10 + u64::from(closed));
        let mut repaired = 0;
        for round in 0..scaled(REPAIRS) {
            let mut image = image.clone();
            let file = flip(&mut image, &[0, 0, 1, 2], &mut random);
            let context = format!("closed {closed}, flip {round} in file {file}");
            repaired += u64::from(mend(&image, &written, file > 0, &context));
        }
        assert!(repaired > 0, "no flip mattered");
    }
}

#[test]
fn a_page_of_zeros_is_mended() {
    for closed in [true, false] {
        let (image, written) = fill(closed);
        let mut random = Random::new(20 + u64::from(closed));
        let mut repaired = 0;
        for round in 0..scaled(PAGES) {
            let mut image = image.clone();
            let page = random.below(image[0].len() / PAGE_BYTES);
            image[0].write(page * PAGE_BYTES, &[0; PAGE_BYTES]);
            let context = format!("closed {closed}, round {round}, page {page}");
            repaired += u64::from(mend(&image, &written, false, &context));
        }
        assert!(repaired > 0, "no page mattered");
    }
}

#[test]
fn a_gap_in_the_commit_log_is_a_hole_in_the_history() {
    let (image, written) = fill(false);
    let folder = tempfile::tempdir().unwrap();
    let mut image = image;
    let (file, at) = crate::wreck::frame(&image, 2);
    image[file].write(at + 60, b"damage");
    crate::wreck::write(&image, folder.path());
    let refused = Store::open(folder.path(), Options::new().index(false));
    let told = refused.map(drop).unwrap_err().to_string();
    assert!(told.contains("annals repair"), "{told}");
    let repair = Store::repair(folder.path()).unwrap();
    assert!(repair.lost > 0 && repair.after.is_sound(), "{repair:#?}");
    assert_eq!(repair.version.get(), written.log.len() as u64);
    verify(folder.path(), &written, &repair, false, "a gap");
}

#[test]
fn a_directory_in_use_and_another_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::new().index(false)).unwrap();
    let body = br#"{"spec":1}"#.to_vec();
    let key = Key::new("g.x", "things", "ns", "n").unwrap();
    store.write(Write::create(key, body)).unwrap();
    assert!(matches!(
        Store::repair(folder.path()),
        Err(Error::Open { .. })
    ));
    assert!(store.check().unwrap().is_sound());
    drop(store);
    std::fs::write(folder.path().join("store.redb"), vec![7; 100_000]).unwrap();
    let refused = Store::repair(folder.path()).unwrap_err();
    assert!(refused.to_string().contains("backup"), "{refused}");
}
