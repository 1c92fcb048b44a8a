//! Catches damage that is served, that panics, or that a rebuild cannot mend: flipped bits, files
//! cut short or taken away while closed, and the whole folder taken away while open.

use std::fs;
use std::path::{Path, PathBuf};

use annals_index::{Change, Error, Index, IndexOptions, Opening, Query, Scope, State};

use crate::samples::{Dice, EPOCH, document, ready};

fn options() -> IndexOptions {
    IndexOptions::default().shards(2)
}

fn put(version: u64) -> Change {
    let name = format!("n{version}");
    let space = format!("space{version}");
    Change::Put(Box::new(document(
        &space,
        &name,
        &format!("Title {name}"),
        version,
    )))
}

/// An index of six documents in two shards, with a deletion.
fn build(dir: &Path) -> Index {
    let index = ready(dir, options());
    for version in 1..=6 {
        index.apply(vec![put(version)]).unwrap();
        index.commit(version).unwrap();
    }
    let key = put(1).key().clone();
    index
        .apply(vec![Change::Remove { key, version: 7 }])
        .unwrap();
    index.commit(7).unwrap();
    index
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.to_string_lossy().ends_with(".lock") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
}

fn titles(index: &Index) -> Vec<String> {
    let hits = index.search(&Query::default(), &Scope::All).unwrap();
    hits.hits.into_iter().map(|hit| hit.title).collect()
}

/// Opens a damaged copy: it must ask for a rebuild, or be right. Says whether it noticed.
fn open_damaged(dir: &Path, expected: &[String], what: &str) -> bool {
    let (index, opening) = Index::open(dir, EPOCH, 7, options()).unwrap();
    match opening {
        Opening::Sound { version } => {
            assert_eq!((version, &titles(&index)[..]), (7, expected), "{what}");
            false
        }
        Opening::Rebuild { .. } => {
            assert!(index.version().is_none(), "{what}");
            true
        }
    }
}

/// Damages every file of an index that was not closed cleanly, in every way.
#[test]
fn damage_is_noticed_or_harmless() {
    let origin = tempfile::tempdir().unwrap();
    let index = build(origin.path());
    let expected = titles(&index);
    let clean_close = tempfile::tempdir().unwrap();
    index.close().unwrap();
    copy(origin.path(), clean_close.path());
    fs::remove_file(origin.path().join("clean")).unwrap();
    let mut dice = Dice::new(5);
    let (mut tried, mut noticed) = (0, 0);
    for file in files(origin.path()) {
        let content = fs::read(&file).unwrap();
        for way in 0..4 {
            let mut damaged = content.clone();
            let at = dice.roll(content.len().max(1));
            match way {
                0 => damaged[at] ^= 1 << dice.roll(8),
                1 => damaged.truncate(at),
                2 => damaged[at..].fill(0),
                _ => damaged.clear(),
            }
            if damaged == content {
                continue;
            }
            let dir = tempfile::tempdir().unwrap();
            copy(origin.path(), dir.path());
            let relative = file.strip_prefix(origin.path()).unwrap();
            fs::write(dir.path().join(relative), &damaged).unwrap();
            let what = format!("{} way {way} at {at}", relative.display());
            noticed += u32::from(open_damaged(dir.path(), &expected, &what));
            tried += 1;
            if way == 1 {
                let dir = tempfile::tempdir().unwrap();
                copy(clean_close.path(), dir.path());
                fs::write(dir.path().join(relative), &damaged).unwrap();
                open_damaged(dir.path(), &expected, &format!("{what}, closed cleanly"));
            }
        }
    }
    assert!(
        tried > 100 && noticed * 10 > tried * 9,
        "{noticed} of {tried} noticed"
    );
}

#[test]
fn a_file_or_shard_taken_away_while_closed_is_noticed() {
    let origin = tempfile::tempdir().unwrap();
    let index = build(origin.path());
    let expected = titles(&index);
    index.close().unwrap();
    for file in files(origin.path()) {
        let dir = tempfile::tempdir().unwrap();
        copy(origin.path(), dir.path());
        fs::remove_file(dir.path().join(file.strip_prefix(origin.path()).unwrap())).unwrap();
        open_damaged(dir.path(), &expected, &file.display().to_string());
    }
    for shard in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        copy(origin.path(), dir.path());
        fs::remove_dir_all(dir.path().join(format!("gen-1/{shard}"))).unwrap();
        assert!(
            open_damaged(dir.path(), &expected, "a shard"),
            "shard {shard}"
        );
    }
}

#[test]
fn the_folder_may_vanish_while_the_index_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("index");
    let index = build(&folder);
    index.check().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(titles(&index).len(), 5, "the last view still answers");
    assert!(matches!(index.check(), Err(Error::Damaged { .. })));
    assert!(matches!(
        index.apply(vec![put(8)]),
        Err(Error::Damaged { .. })
    ));
    assert!(matches!(index.commit(8), Err(Error::Damaged { .. })));
    assert!(matches!(
        index.status().unwrap().state,
        State::Failed { .. }
    ));
    assert!(matches!(index.search(&Query::default(), &Scope::All), Ok(hits) if hits.version == 7));

    let mut rebuild = index.begin_rebuild().unwrap();
    if let Change::Put(document) = put(8) {
        rebuild.add(*document).unwrap();
    }
    rebuild.finish(8).unwrap();
    assert_eq!(
        (titles(&index), index.version()),
        (vec!["Title n8".into()], Some(8))
    );
    index.check().unwrap();
    index.apply(vec![put(9)]).unwrap();
    index.commit(9).unwrap();
    drop(index);
    let (_, opening) = Index::open(&folder, EPOCH, 9, options()).unwrap();
    assert_eq!(opening, Opening::Sound { version: 9 });
}

#[test]
fn a_commit_into_a_vanished_folder_says_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("index");
    let index = build(&folder);
    index.apply(vec![put(8)]).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let committed = index.commit(8);
    assert!(
        matches!(committed, Err(Error::Damaged { .. })),
        "{committed:?}"
    );
    index.begin_rebuild().unwrap().finish(8).unwrap();
    assert_eq!(titles(&index), Vec::<String>::new());
}

#[test]
fn a_rebuild_whose_folder_vanishes_can_be_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("index");
    let index = build(&folder);
    let mut rebuild = index.begin_rebuild().unwrap();
    if let Change::Put(document) = put(8) {
        rebuild.add(*document).unwrap();
    }
    fs::remove_dir_all(&folder).unwrap();
    let finished = rebuild.finish(8);
    if finished.is_err() {
        index.begin_rebuild().unwrap().finish(8).unwrap();
    }
    assert_eq!(index.version(), Some(8));
    index.check().unwrap();
}

#[test]
fn things_of_another_kind_in_the_folder_ask_for_a_rebuild() {
    for name in ["manifest", "gen-1", "gen-1/0"] {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path());
        let path = dir.path().join(name);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
            fs::write(&path, b"a file where a folder was").unwrap();
        } else {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        }
        let (_, opening) = Index::open(dir.path(), EPOCH, 7, options()).unwrap();
        assert!(
            matches!(opening, Opening::Rebuild { .. }),
            "{name}: {opening:?}"
        );
    }
}

#[test]
fn a_folder_that_cannot_be_one_is_an_error_of_the_disk() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let opened = Index::open(file.path(), EPOCH, 7, options());
    assert!(matches!(opened.err(), Some(Error::Io(_))));
}
