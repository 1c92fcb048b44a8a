//! Would catch a search that does not show the state of the version it names: one that was committed
//! inside a batch, skips or repeats a revision, forgets to follow, or trusts a foreign index.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use annals::search::{Hits, Query, Scope};
use annals::{Collection, Error, Keep, Key, Kind, List, Options, Store, Version, Write};

use crate::random::Random;

const GROUP: &str = "g.test";
const RESOURCE: &str = "things";

fn kind() -> Kind {
    Kind {
        group: GROUP.to_owned(),
        version: "v1".to_owned(),
        kind: "Thing".to_owned(),
        resource: RESOURCE.to_owned(),
        search_fields: Vec::new(),
    }
}

fn open(folder: &Path) -> Store {
    Store::open(folder, Options::new().kinds(vec![kind()])).unwrap()
}

fn key(name: &str) -> Key {
    Key::new(GROUP, RESOURCE, "ns", name).unwrap()
}

fn body(title: &str) -> Vec<u8> {
    format!(r#"{{"spec":{{"title":"{title}"}}}}"#).into_bytes()
}

fn everything() -> Query {
    Query {
        limit: 10_000,
        ..Query::default()
    }
}

/// The answer that reflects at least this version, however long the machine takes.
fn search(store: &Store, query: &Query, at_least: Version) -> Hits {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match store.search(query, &Scope::All, Some(at_least)) {
            Ok(hits) => return hits,
            Err(Error::IndexNotReady { .. } | Error::IndexBehind { .. })
                if Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn head(store: &Store) -> Version {
    store.snapshot().unwrap().version()
}

/// What is found must be what was live at the version that the answer names.
fn check(store: &Store, hits: &Hits) {
    let version = Version::new(hits.version);
    let found: BTreeMap<String, u64> = hits
        .hits
        .iter()
        .map(|hit| (hit.key.name.clone(), hit.version))
        .collect();
    let collection = Collection::of(GROUP, RESOURCE).unwrap();
    let page = store
        .snapshot_at(version)
        .unwrap()
        .list(&List::new(collection))
        .unwrap();
    let live: BTreeMap<String, u64> = page
        .items
        .iter()
        .map(|item| (item.key().name().to_owned(), item.version().get()))
        .collect();
    assert_eq!(found, live, "at version {version}");
    assert_eq!(hits.total, live.len() as u64);
    let newest = store.snapshot().unwrap();
    let all = newest.list(&List::new(Collection::all())).unwrap().items;
    let inside = all
        .iter()
        .map(|item| item.header())
        .find(|header| header.version <= version && version < header.batch_end);
    assert!(inside.is_none(), "version {version} is inside a batch");
}

/// Some random writes, single and in batches.
fn write(store: &Store, random: &mut Random, rounds: usize) {
    for _ in 0..rounds {
        let count = if random.below(3) == 0 {
            1 + random.below(20)
        } else {
            1
        };
        let snapshot = store.snapshot().unwrap();
        let mut names: Vec<String> = (0..count)
            .map(|_| format!("n{}", random.below(60)))
            .collect();
        names.sort();
        names.dedup();
        let writes = names.iter().map(|name| {
            let live = snapshot.get(&key(name)).unwrap();
            match (live, random.below(3)) {
                (None, _) => Write::create(key(name), body(name)),
                (Some(_), 0) => Write::delete(key(name)),
                (Some(_), _) => Write::update(key(name), body(name)),
            }
        });
        // Another writer may have been faster; then this batch does nothing.
        match store.write_batch(writes.collect()) {
            Ok(_) | Err(Error::NotFound { .. } | Error::AlreadyExists { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn an_answer_shows_the_version_it_names() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..3 {
        let store = open(folder.path());
        thread::scope(|scope| {
            for writer in 0..2 {
                let store = store.clone();
                scope.spawn(move || write(&store, &mut Random::new(seed * 10 + writer), 60));
            }
            for _ in 0..10 {
                let hits = search(&store, &everything(), head(&store));
                check(&store, &hits);
            }
            store.rebuild_index().unwrap();
            for _ in 0..10 {
                let hits = search(&store, &everything(), head(&store));
                check(&store, &hits);
            }
        });
        let newest = head(&store);
        let hits = search(&store, &everything(), newest);
        assert_eq!(hits.version, newest.get());
        check(&store, &hits);
        store.close();
    }
}

#[test]
fn an_index_of_other_kinds_is_foreign() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::new()).unwrap();
    store
        .write(Write::create(key("a"), body("lantern")))
        .unwrap();
    search(&store, &everything(), head(&store));
    drop(store);
    let store = open(folder.path());
    let query = Query {
        text: "lantern".to_owned(),
        ..Query::default()
    };
    assert_eq!(search(&store, &query, head(&store)).total, 1);
}

#[test]
fn a_deleted_index_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store
        .write(Write::create(key("a"), body("lantern")))
        .unwrap();
    let query = Query {
        text: "lantern".to_owned(),
        ..Query::default()
    };
    assert_eq!(search(&store, &query, head(&store)).total, 1);
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    store
        .write(Write::create(key("b"), body("lantern")))
        .unwrap();
    assert_eq!(search(&store, &query, head(&store)).total, 2);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !folder.path().join("index").exists() {
        assert!(Instant::now() < deadline, "the folder was not made again");
        thread::sleep(Duration::from_millis(5));
    }
    drop(store);
    std::fs::write(folder.path().join("index/manifest"), b"damage").unwrap();
    let store = open(folder.path());
    assert_eq!(search(&store, &query, head(&store)).total, 2);
}

#[test]
fn an_index_that_cannot_be_built_fails_no_write_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    // A file stands where the folder should be.
    std::fs::write(folder.path().join("index"), b"in the way").unwrap();
    let store = open(folder.path());
    store
        .write(Write::create(key("a"), body("lantern")))
        .unwrap();
    let refused = store.search(&everything(), &Scope::All, None);
    assert!(
        matches!(refused, Err(Error::IndexNotReady { .. })),
        "{refused:?}"
    );
    std::fs::remove_file(folder.path().join("index")).unwrap();
    assert_eq!(search(&store, &everything(), head(&store)).total, 1);
    assert!(store.index_report().is_ready());
}

#[test]
fn a_version_that_was_not_written_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let refused = store.search(&everything(), &Scope::All, Some(Version::new(1)));
    assert!(matches!(refused, Err(Error::Future { .. })), "{refused:?}");
}

/// The index stands before what retention has removed since: it is built anew, and shows nothing
/// that is gone.
#[test]
fn an_index_that_retention_has_passed_is_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(5);
    let store = open(folder.path());
    write(&store, &mut random, 40);
    let hits = search(&store, &everything(), head(&store));
    check(&store, &hits);
    drop(store);
    let keep = Keep::everything().revisions(1).trash(Duration::ZERO);
    let options = Options::new()
        .index(false)
        .retention(Collection::all(), keep)
        .background_retention(false)
        .retention_grace(Duration::ZERO);
    let store = Store::open(folder.path(), options).unwrap();
    write(&store, &mut random, 40);
    assert!(store.retain().unwrap() > 0);
    drop(store);
    let store = open(folder.path());
    assert!(store.compacted(&Collection::all()).unwrap() > Version::new(hits.version));
    let hits = search(&store, &everything(), head(&store));
    check(&store, &hits);
}
