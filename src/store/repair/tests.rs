//! Would catch a repair that was cut short and has harmed the store, or after which another one
//! does something else.
//!
//! A damaged store is repaired once for each call that changes a file, with that call failing, or
//! it and all after it, as if the process had ended there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Gate, LOGS, TABLES, repair_through};
use crate::{Error, Key, Options, Repair, Store, Write};

const KEYS: usize = 6;
const ROUNDS: usize = 8;
const PAGE_BYTES: usize = 4096;
/// No repair of the small store makes as many calls.
const CALLS_MAX: u64 = 2_000;

fn options() -> Options {
    Options::new().index(false).overlay(16, 1 << 20)
}

fn key(number: usize) -> Key {
    Key::new("g.x", "things", "ns", &format!("n{number}")).unwrap()
}

/// The files of a store, by name.
type Files = BTreeMap<&'static str, Vec<u8>>;

fn read(directory: &Path) -> Files {
    let files = [TABLES, LOGS[0], LOGS[1]].into_iter();
    files
        .map(|name| (name, fs::read(directory.join(name)).unwrap()))
        .collect()
}

fn write(files: &Files) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    fs::create_dir(folder.path().join("index")).unwrap();
    folder
}

/// A store whose page of headers is lost.
fn damaged() -> Files {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    for round in 0..ROUNDS {
        let write = |number| {
            let body = format!(r#"{{"spec":"{}","round":{round}}}"#, "text ".repeat(30));
            match round {
                0 => Write::create(key(number), body.into_bytes()),
                _ => Write::update(key(number), body.into_bytes()),
            }
        };
        store.write_batch((0..KEYS).map(write).collect()).unwrap();
    }
    drop(store);
    let sound = read(folder.path());
    let pages = sound[TABLES].len() / PAGE_BYTES;
    for page in (1..pages).rev() {
        let mut files = sound.clone();
        let tables = files.get_mut(TABLES).unwrap();
        tables[page * PAGE_BYTES..(page + 1) * PAGE_BYTES].fill(0);
        let folder = write(&files);
        let report = Store::check_directory(folder.path()).unwrap();
        let place = report.findings.first().map(|finding| finding.place);
        if place == Some(crate::Place::Header) {
            return files;
        }
    }
    panic!("no page holds headers");
}

/// What a store holds, by version.
fn contents(directory: &Path) -> Vec<String> {
    let store = Store::open(directory, options()).unwrap();
    let snapshot = store.snapshot().unwrap();
    let mut all = Vec::new();
    for number in 0..KEYS {
        match snapshot.history(&key(number), 0, None) {
            Ok(page) => all.extend(page.items.iter().map(|it| {
                let body = String::from_utf8_lossy(it.body()).into_owned();
                format!("{it:?} {body}")
            })),
            Err(Error::NotFound { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    all
}

/// A gate that refuses one call, or all from there on; and how many it was asked for.
fn gate(refused: u64, for_good: bool) -> (Gate, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let asked = Arc::clone(&calls);
    let gate = Gate(Arc::new(move || {
        let call = asked.fetch_add(1, Ordering::Relaxed);
        if call == refused || (for_good && call > refused) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }));
    (gate, calls)
}

/// What two repairs of the same files have in common.
fn same(repair: &Repair) -> Repair {
    Repair {
        set_aside: None,
        ..repair.clone()
    }
}

#[test]
fn a_repair_that_is_cut_short_changes_nothing_and_can_be_made_again() {
    let files = damaged();
    let whole = write(&files);
    let expected = Store::repair(whole.path()).unwrap();
    assert!(
        expected.changed && expected.after.is_sound(),
        "{expected:#?}"
    );
    let wanted = contents(whole.path());
    let mut cut_short = 0;
    for for_good in [false, true] {
        for refused in 0..CALLS_MAX {
            let folder = write(&files);
            let (gate, calls) = gate(refused, for_good);
            let answer = repair_through(&gate, folder.path());
            if calls.load(Ordering::Relaxed) <= refused {
                assert_eq!(answer.as_ref().map(same), Ok(same(&expected)));
                break;
            }
            let context = format!("call {refused}, for good: {for_good}");
            cut_short += 1;
            let is_done = read(folder.path())[TABLES] != files[TABLES];
            if is_done {
                let aside = fs::read_dir(folder.path()).unwrap();
                let aside = aside.map(|entry| entry.unwrap().path());
                let kept = aside.filter(|path| path.join("report.json").exists());
                let kept: Vec<_> = kept.collect();
                assert_eq!(kept.len(), 1, "{context}");
                assert_eq!(read(&kept[0]), files, "{context}: what was set aside");
            } else {
                assert!(answer.is_err(), "{context}: said to be done");
                assert_eq!(read(folder.path()), files, "{context}: the files");
            }
            let again = Store::repair(folder.path()).unwrap();
            assert_eq!(again.changed, !is_done, "{context}");
            assert!(again.after.is_sound(), "{context}: {:?}", again.after);
            if again.changed {
                assert_eq!(same(&again), same(&expected), "{context}");
            }
            assert_eq!(contents(folder.path()), wanted, "{context}");
        }
    }
    assert!(cut_short > 60, "only {cut_short} calls were cut short");
}
