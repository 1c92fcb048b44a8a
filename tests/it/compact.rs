//! Would catch a compaction that loses or changes a revision, gives no space back, or leaves a
//! store that cannot go on.

use annals::{Collection, Filter, Key, Options, Revision, Store, Version, Write};

use crate::disk::Disk;

const KEYS: usize = 40;
const ROUNDS: usize = 30;

fn key(number: usize) -> Key {
    Key::new("g.x", "things", "ns", &format!("n{number}")).unwrap()
}

fn body(round: usize) -> Vec<u8> {
    format!(
        r#"{{"spec":"{}","round":{round}}}"#,
        "a text of a panel ".repeat(60)
    )
    .into_bytes()
}

fn read_log(store: &Store) -> Vec<Revision> {
    let all = (Collection::all(), Filter::default());
    let watch = store.watch(all.0, all.1, Version::ZERO).unwrap();
    let newest = store.stats().unwrap().version.get();
    watch
        .take(usize::try_from(newest).unwrap())
        .map(|event| event.unwrap().object)
        .collect()
}

#[test]
fn everything_is_there_in_less_space() {
    let disk = Disk::new();
    let options = || Options::new().index(false).ring(1, 1).overlay(64, 1 << 20);
    let store = Store::open_on(disk.clone(), options()).unwrap();
    let mut json = 0;
    for round in 0..ROUNDS {
        let write = |number| match round {
            0 => Write::create(key(number), body(round)),
            _ => Write::update(key(number), body(round)),
        };
        json += KEYS * body(round).len();
        store.write_batch((0..KEYS).map(write).collect()).unwrap();
    }
    let log = read_log(&store);
    let (before, after) = store.compact().unwrap();
    assert!(after < before, "{after} bytes after {before}");
    assert!(
        after < json as u64,
        "{after} bytes for {json} bytes of JSON"
    );
    assert_eq!(read_log(&store), log);
    store.write(Write::delete(key(0))).unwrap();
    drop(store);
    let store = Store::open_on(disk, options()).unwrap();
    assert_eq!(read_log(&store)[..log.len()], log);
    assert_eq!(store.check().unwrap().wrong, 0);
}
