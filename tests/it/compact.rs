//! Would catch a compaction that loses or changes a revision, gives no space back, or leaves a
//! store that cannot go on; and many revisions of one object in one commit that take more space than
//! those of as many commits.

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

#[test]
fn a_history_in_one_commit_takes_no_more_space_than_in_many() {
    const REVISIONS: usize = 500;
    let bytes = |at_once: bool| {
        let store = Store::open_on(Disk::new(), Options::new().index(false)).unwrap();
        // Words that pack badly, so that only copies make it small.
        let words: String = (0..400u64)
            .map(|n| format!("{:x} ", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        let body = |round| format!(r#"{{"spec":"{words}","round":{round}}}"#).into_bytes();
        let write = |round| match round {
            0 => Write::create(key(0), body(round)),
            _ => Write::update(key(0), body(round)),
        };
        let writes = (0..REVISIONS).map(write);
        if at_once {
            let made = store.load(writes.collect()).unwrap();
            assert!(
                made.iter()
                    .all(|revision| revision.header().batch_end == made.last().unwrap().version())
            );
        } else {
            writes.for_each(|write| drop(store.write(write).unwrap()));
        }
        let log = read_log(&store);
        assert!(
            log.iter()
                .enumerate()
                .all(|(round, revision)| revision.body() == body(round))
        );
        store.compact().unwrap().1
    };
    let (at_once, in_many) = (bytes(true), bytes(false));
    // The file grows in steps.
    assert!(
        at_once <= 2 * in_many,
        "{at_once} bytes at once, {in_many} in many"
    );
}
