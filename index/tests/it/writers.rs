//! Catches writers that are never closed: memory and threads that grow with the namespaces.

use annals_index::{Change, Index, IndexOptions, Opening, Query, Scope};

use crate::samples::{EPOCH, document, ready};

#[test]
fn forty_namespaces_never_hold_more_than_eight_writers() {
    let dir = tempfile::tempdir().unwrap();
    let options = IndexOptions::default().shards(16);
    let index = ready(dir.path(), options.clone());
    let mut version = 0;
    for round in 0..3 {
        for space in 0..40 {
            version += 1;
            let title = format!("Round {round}");
            let put = document(&format!("space{space}"), "name", &title, version);
            index.apply(vec![Change::Put(Box::new(put))]).unwrap();
            if space % 7 == 0 {
                index.commit(version).unwrap();
                let open = index.status().unwrap().open_writers;
                assert!((1..=8).contains(&open), "{open} writers");
            }
        }
    }
    index.commit(version).unwrap();
    check(&index);
    drop(index);
    let (index, opening) = Index::open(dir.path(), EPOCH, version, options).unwrap();
    assert_eq!(opening, Opening::Sound { version });
    check(&index);
    let mut rebuild = index.begin_rebuild().unwrap();
    for space in 0..40 {
        let put = document(&format!("space{space}"), "name", "Round 2", version);
        rebuild.add(put).unwrap();
    }
    rebuild.finish(version).unwrap();
    assert!(index.status().unwrap().open_writers <= 8);
    check(&index);
}

/// Every namespace has its newest document, and nothing older is left.
fn check(index: &Index) {
    let query = Query {
        text: "round 2".into(),
        ..Query::default()
    };
    assert_eq!(index.search(&query, &Scope::All).unwrap().total, 40);
    assert_eq!(index.status().unwrap().documents, 40);
    let one = Query {
        namespace: Some("space7".into()),
        ..Query::default()
    };
    assert_eq!(index.search(&one, &Scope::All).unwrap().total, 1);
}
