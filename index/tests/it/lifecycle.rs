//! Catches an index that answers though it must not (foreign, ahead, closed), that is read again
//! from the beginning though it need not, or that a rebuild leaves half swapped.

use annals_index::{
    Change, Document, Epoch, Error, Index, IndexOptions, Opening, Query, Scope, State,
};

use crate::samples::{EPOCH, document, ready};

fn put(name: &str, version: u64) -> Change {
    Change::Put(Box::new(document("a", name, name, version)))
}

fn titles(index: &Index) -> Vec<String> {
    let hits = index.search(&Query::default(), &Scope::All).unwrap();
    hits.hits.into_iter().map(|hit| hit.title).collect()
}

fn generations(dir: &std::path::Path) -> usize {
    let names = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("gen-"))
        .count()
}

/// A folder with one document at version 3.
fn folder(close: bool) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let index = ready(dir.path(), IndexOptions::default());
    index.apply(vec![put("one", 3)]).unwrap();
    index.commit(3).unwrap();
    if close {
        index.close().unwrap();
    }
    dir
}

fn check_rebuild(epoch: Epoch, head: u64, options: IndexOptions, word: &str) {
    for close in [true, false] {
        let dir = folder(close);
        let (index, opening) = Index::open(dir.path(), epoch, head, options.clone()).unwrap();
        match opening {
            Opening::Rebuild { reason } => assert!(reason.contains(word), "{word}: {reason}"),
            sound => panic!("{word}: {sound:?}"),
        }
        assert_eq!(index.version(), None);
        let answer = index.search(&Query::default(), &Scope::All);
        assert!(matches!(answer, Err(Error::NotReady { .. })), "{answer:?}");
        assert!(matches!(
            index.apply(vec![put("two", 4)]),
            Err(Error::NotReady { .. })
        ));
        let mut rebuild = index.begin_rebuild().unwrap();
        rebuild.add(document("a", "new", "new", 1)).unwrap();
        rebuild.finish(2).unwrap();
        assert_eq!(
            (titles(&index), index.version()),
            (vec!["new".into()], Some(2))
        );
        assert_eq!(generations(dir.path()), 1);
    }
}

#[test]
fn only_an_index_of_this_epoch_and_layout_not_ahead_answers() {
    let options = IndexOptions::default;
    check_rebuild(Epoch([8; 16]), 3, options(), "epoch");
    check_rebuild(EPOCH, 2, options(), "version 3");
    check_rebuild(EPOCH, 3, options().shards(5), "shards");
}

#[test]
fn a_sound_index_is_followed_from_where_it_was() {
    for close in [true, false] {
        let dir = folder(close);
        let (index, opening) = Index::open(dir.path(), EPOCH, 9, IndexOptions::default()).unwrap();
        assert_eq!(opening, Opening::Sound { version: 3 });
        assert_eq!(
            (titles(&index), index.version()),
            (vec!["one".into()], Some(3))
        );
        index
            .apply(vec![put("stale", 2), put("one", 3), put("two", 4)])
            .unwrap();
        assert_eq!(titles(&index), ["one"], "seen before the commit");
        index.commit(4).unwrap();
        assert_eq!(titles(&index), ["one", "two"]);
        assert_eq!(index.status().unwrap().state, State::Ready);
    }
}

#[test]
fn versions_without_changes_do_not_come_back_after_a_restart() {
    let dir = folder(false);
    let (index, _) = Index::open(dir.path(), EPOCH, 3, IndexOptions::default()).unwrap();
    for version in (4..60_000).step_by(500) {
        index.commit(version).unwrap();
    }
    assert_eq!(index.version(), Some(59_504));
    drop(index);
    let (index, opening) = Index::open(dir.path(), EPOCH, 60_000, IndexOptions::default()).unwrap();
    match opening {
        Opening::Sound { version } => assert!(version >= 49_504, "back to {version}"),
        rebuild => panic!("{rebuild:?}"),
    }
    index.commit(60_000).unwrap();
    index.close().unwrap();
    let (_, opening) = Index::open(dir.path(), EPOCH, 60_000, IndexOptions::default()).unwrap();
    assert_eq!(opening, Opening::Sound { version: 60_000 });
}

#[test]
fn the_old_index_answers_and_follows_until_the_rebuild_is_finished() {
    let dir = folder(false);
    let (index, _) = Index::open(dir.path(), EPOCH, 3, IndexOptions::default()).unwrap();
    let mut rebuild = index.begin_rebuild().unwrap();
    assert!(matches!(index.begin_rebuild(), Err(Error::NotReady { .. })));
    assert_eq!(index.status().unwrap().state, State::Building);
    rebuild.add(document("a", "rebuilt", "rebuilt", 3)).unwrap();
    index.apply(vec![put("two", 4)]).unwrap();
    index.commit(4).unwrap();
    assert_eq!(titles(&index), ["one", "two"]);
    rebuild
        .add(Document {
            title: "again".into(),
            ..document("a", "rebuilt", "", 3)
        })
        .unwrap();
    rebuild.finish(4).unwrap();
    assert_eq!(titles(&index), ["again"]);
    index.apply(vec![put("two", 5)]).unwrap();
    index.commit(5).unwrap();
    assert_eq!(titles(&index), ["again", "two"]);
}

#[test]
fn a_rebuild_that_is_given_up_leaves_nothing_behind() {
    let dir = folder(false);
    let (index, _) = Index::open(dir.path(), EPOCH, 3, IndexOptions::default()).unwrap();
    let mut rebuild = index.begin_rebuild().unwrap();
    rebuild.add(document("a", "rebuilt", "rebuilt", 3)).unwrap();
    assert_eq!(generations(dir.path()), 2);
    drop(rebuild);
    assert_eq!(
        (generations(dir.path()), titles(&index)),
        (1, vec!["one".into()])
    );
    assert_eq!(index.status().unwrap().state, State::Ready);
    drop(index.begin_rebuild().unwrap());
}

#[test]
fn the_leftovers_of_an_interrupted_rebuild_are_removed() {
    let dir = folder(true);
    std::fs::create_dir_all(dir.path().join("gen-9/0")).unwrap();
    std::fs::write(dir.path().join("gen-9/0/meta.json"), b"half").unwrap();
    std::fs::write(dir.path().join("manifest.new"), b"half").unwrap();
    let (index, opening) = Index::open(dir.path(), EPOCH, 3, IndexOptions::default()).unwrap();
    assert_eq!(opening, Opening::Sound { version: 3 });
    assert_eq!(
        (generations(dir.path()), titles(&index)),
        (1, vec!["one".into()])
    );
}

#[test]
fn a_closed_index_answers_no_more() {
    let dir = folder(false);
    let (index, _) = Index::open(dir.path(), EPOCH, 3, IndexOptions::default()).unwrap();
    index.close().unwrap();
    index.close().unwrap();
    assert!(matches!(
        index.search(&Query::default(), &Scope::All),
        Err(Error::NotReady { .. })
    ));
    assert!(matches!(index.commit(9), Err(Error::NotReady { .. })));
}

#[test]
fn searches_during_commits_see_one_version_or_another() {
    let dir = tempfile::tempdir().unwrap();
    let index = ready(dir.path(), IndexOptions::default().shards(3));
    let versions = 30;
    std::thread::scope(|threads| {
        for _ in 0..2 {
            let index = index.clone();
            threads.spawn(move || {
                let mut last = 0;
                while last < versions {
                    let hits = index.search(&Query::default(), &Scope::All).unwrap();
                    assert_eq!(hits.total, hits.version, "version {}", hits.version);
                    assert!(hits.version >= last);
                    last = hits.version;
                }
            });
        }
        for version in (2..=versions).step_by(2) {
            let put = |version: u64| {
                let space = format!("space{version}");
                Change::Put(Box::new(document(&space, "name", "title", version)))
            };
            index.apply(vec![put(version - 1), put(version)]).unwrap();
            index.commit(version).unwrap();
        }
    });
}
