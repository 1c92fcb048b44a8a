//! Would catch a directory that is given to a second owner while something of the first still has
//! its file open: closing that would write over what the second has written.

use annals::{Collection, Error, Filter, Key, Options, Store, Version, Write};

fn options() -> Options {
    Options::new().index(false)
}

fn write(store: &Store, name: &str) -> Version {
    let key = Key::new("g.x", "things", "ns", name).unwrap();
    let revision = store.write(Write::create(key, b"{}".to_vec())).unwrap();
    revision.version()
}

#[test]
fn a_snapshot_or_a_watch_keeps_the_directory() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    write(&store, "first");
    let snapshot = store.snapshot().unwrap();
    let watch = store.watch(Collection::all(), Filter::default(), Version::ZERO);
    drop(store);
    let open = || Store::open(folder.path(), options());
    assert!(matches!(open(), Err(Error::Open { .. })));
    drop(snapshot);
    assert!(matches!(open(), Err(Error::Open { .. })));
    drop(watch);
    let store = open().unwrap();
    assert_eq!(write(&store, "second"), Version::new(2));
    assert_eq!(store.check().unwrap().wrong, 0);
}

#[test]
fn a_closed_store_reads_refuses_writes_and_ends_watches() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    let mut watch = store
        .watch(Collection::all(), Filter::default(), Version::ZERO)
        .unwrap();
    let version = write(&store, "first");
    store.close();
    let key = Key::new("g.x", "things", "ns", "second").unwrap();
    let refused = store.write(Write::create(key, b"{}".to_vec()));
    assert_eq!(refused, Err(Error::Closed));
    assert_eq!(store.snapshot().unwrap().version(), version);
    // What was committed is still handed out, then the watch ends and stays ended.
    assert_eq!(watch.next().unwrap().unwrap().version, version);
    assert!(watch.next().is_none());
    assert_eq!(watch.try_next(), Err(Error::Closed));
}
