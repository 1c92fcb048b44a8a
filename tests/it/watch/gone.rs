//! Would catch a watcher that goes on in silence past what retention has removed before it was
//! read, or that is told "gone" although everything it needs is there.
//!
//! Retention works all the time and leaves one revision of a key. Watchers that fall behind are
//! told so and begin anew at the state of that moment; each piece between two beginnings passes
//! the nine checks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use annals::{Collection, Error, Keep, Options, Store, Version};

use super::{LENSES, WRITERS, write_much};
use crate::disk::Disk;
use crate::random::Random;
use crate::validator::{Lens, Seen, Truth};

const WATCHERS: usize = 24;

fn open() -> Store {
    let options = Options::new()
        .index(false)
        .ring(8, 64 * 1024)
        .overlay(256, 1 << 20)
        .cache_bytes(8 << 20)
        .retention(Collection::all(), Keep::everything().revisions(1))
        .retention_grace(Duration::ZERO);
    Store::open_on(Disk::new(), options).unwrap()
}

/// What one watcher saw, in pieces; the last one reaches the end of the log.
fn follow(store: &Store, number: usize) -> Vec<Seen> {
    let mut random = Random::new(number as u64);
    let lens = LENSES[number % LENSES.len()];
    let mut pieces = Vec::new();
    loop {
        let start = store.snapshot().unwrap().version();
        let (piece, is_last) = read(store, lens, start, &mut random);
        pieces.push(piece);
        if is_last {
            return pieces;
        }
    }
}

/// Reads until the watch is told that something is gone, or the store is closed: then `true`.
fn read(store: &Store, lens: Lens, start: Version, random: &mut Random) -> (Seen, bool) {
    let mut seen = Seen::new(lens, start);
    // The state may have been passed already.
    let mut watch = match store.watch(lens.collection(), lens.filter(), start) {
        Ok(watch) => watch,
        Err(Error::Gone { .. }) => {
            seen.gone = Some(start);
            return (seen, false);
        }
        Err(error) => panic!("{error}"),
    };
    let is_last = loop {
        match watch.next_timeout(Duration::from_millis(5)) {
            Ok(Some(event)) => seen.events.push(event),
            Ok(None) => {}
            Err(Error::Closed) => break true,
            Err(Error::Gone { requested, oldest }) => {
                assert!(requested < oldest, "{requested} is not before {oldest}");
                break false;
            }
            Err(error) => panic!("{error}"),
        }
        if random.one_in(200) {
            std::thread::sleep(Duration::from_millis(random.next() % 20));
        }
    };
    let reached = watch.version();
    seen.bookmarks.push((seen.events.len(), reached));
    seen.gone = (!is_last).then_some(reached);
    (seen, is_last)
}

#[test]
fn watchers_are_told_what_retention_has_taken_from_them() {
    let store = open();
    let working = AtomicBool::new(true);
    let (answers, pieces) = std::thread::scope(|scope| {
        let (store, working) = (&store, &working);
        scope.spawn(move || {
            while working.load(Ordering::Relaxed) {
                store.retain().unwrap();
            }
        });
        let watchers: Vec<_> = (0..WATCHERS)
            .map(|number| scope.spawn(move || follow(store, number)))
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|id| scope.spawn(move || write_much(store, id)))
            .collect();
        let answers: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        working.store(false, Ordering::Relaxed);
        store.close();
        let answers = answers.into_iter().flat_map(Result::unwrap).collect();
        let pieces: Vec<Vec<Seen>> = watchers.into_iter().map(|w| w.join().unwrap()).collect();
        (answers, pieces)
    });
    let truth = Truth::new(answers);
    let mut events = 0;
    for seen in pieces.iter().flatten() {
        events += truth.validate(seen);
    }
    let gone: usize = pieces.iter().map(|pieces| pieces.len() - 1).sum();
    assert!(gone > 0, "nobody was told that anything is gone");
    for pieces in &pieces {
        assert_eq!(
            pieces.last().unwrap().bookmarks.last().unwrap().1,
            truth.head()
        );
    }
    println!("{events} events, {gone} times gone");
}
