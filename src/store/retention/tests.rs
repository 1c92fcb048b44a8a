//! Catches a run of retention that lasts as long as others write, places of sweeps that are kept
//! for rules that nobody has any more, and a compaction of several namespaces that leaves one out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::super::{Engine, Store};
use crate::clock::{Clock, ManualClock};
use crate::model::{Collection, Keep, Key, Timestamp, Version};
use crate::{Error, List, Options, Write};

fn key(namespace: &str, name: &str) -> Key {
    Key::new("g.x", "things", namespace, name).unwrap()
}

fn body(number: u64) -> Vec<u8> {
    format!(r#"{{"spec":{number}}}"#).into_bytes()
}

fn options() -> Options {
    Options::new()
        .index(false)
        .cache_bytes(1 << 20)
        .background_retention(false)
        .retention_grace(Duration::ZERO)
}

/// How often somebody writes before the test gives up.
const ROUNDS_MAX: u64 = 50;

/// A clock at which somebody writes whenever one thread asks for the time.
#[derive(Debug, Default)]
struct Meddler {
    store: OnceLock<Weak<Engine>>,
    asked_by: OnceLock<ThreadId>,
    rounds: AtomicU64,
}

impl Clock for Meddler {
    fn now(&self) -> Timestamp {
        let is_asked = self.asked_by.get() == Some(&thread::current().id());
        let engine = self.store.get().and_then(Weak::upgrade);
        if let Some(engine) = engine.filter(|_| is_asked) {
            let round = self.rounds.fetch_add(1, Ordering::Relaxed);
            // Of an overlay of one revision the last two writes are not in the tables at most.
            for number in 0..if round < ROUNDS_MAX { 4 } else { 0 } {
                let write = Write::update(key("a", "busy"), body(round * 4 + number));
                Store {
                    engine: Arc::clone(&engine),
                }
                .write(write)
                .unwrap();
            }
        }
        Timestamp(1)
    }
}

#[test]
fn it_ends_although_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Meddler::default());
    let options = options()
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .overlay(1, 1)
        .retention(Collection::all(), Keep::everything().revisions(1));
    let store = Store::open(folder.path(), options).unwrap();
    store
        .write(Write::create(key("a", "busy"), body(0)))
        .unwrap();
    for number in 1..10 {
        store
            .write(Write::update(key("a", "busy"), body(number)))
            .unwrap();
    }
    assert!(clock.store.set(Arc::downgrade(&store.engine)).is_ok());
    assert!(clock.asked_by.set(thread::current().id()).is_ok());
    // What was there goes; what came meanwhile is the business of the next run.
    assert_eq!(store.retain(), Ok(9));
    let rounds = clock.rounds.load(Ordering::Relaxed);
    assert!((1..10).contains(&rounds), "{rounds} steps");
}

#[test]
fn places_of_other_rules_do_not_gather() {
    let folder = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for count in 1..8 {
        let keep = Keep::everything().revisions(count).trash(Duration::ZERO);
        let options = options().retention(Collection::all(), keep);
        let store = Store::open(folder.path(), options).unwrap();
        let name = format!("n{count}");
        store
            .write(Write::create(key("a", &name), body(0)))
            .unwrap();
        for number in 0..10 {
            store
                .write(Write::update(key("a", &name), body(number)))
                .unwrap();
        }
        store.write(Write::delete(key("a", &name))).unwrap();
        store
            .write(Write::create(key("a", &format!("{name}-behind")), body(0)))
            .unwrap();
        if count == 3 {
            let (things, to) = (key("a", &name).collection(), store.stats().unwrap().version);
            assert_eq!(store.compact_to(&things, to), Ok(to));
        }
        assert!(store.retain().unwrap() > 0);
        names = store.engine.disk.view().unwrap().sweeps().unwrap();
    }
    // One that a compaction has left goes by no rule.
    let rules = Keep::everything().revisions(7).trash(Duration::ZERO);
    let place = |part: &str| format!("{part} {rules} of \"\" {rules}");
    let compact = format!("compact {:?}", "g.x\0things\0a\0");
    assert_eq!(names, [compact, place("revisions"), place("trash")]);
    // A store that is opened without rules, as a command does, leaves the places for the server.
    let store = Store::open(folder.path(), options()).unwrap();
    assert_eq!(store.retain(), Ok(0));
    assert_eq!(store.engine.disk.view().unwrap().sweeps().unwrap().len(), 3);
}

#[test]
fn all_namespaces_are_compacted_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let options = options().clock(Arc::new(ManualClock::default()));
    let store = Store::open(folder.path(), options).unwrap();
    let namespaces = ["", "a", "a-b", "a.b", "ab", "b"];
    for number in 0..4 {
        for namespace in namespaces {
            let key = key(namespace, "one");
            let write = match number {
                0 => Write::create(key, body(number)),
                // The last namespace has nothing but a marker.
                3 if namespace == "b" => Write::delete(key),
                _ => Write::update(key, body(number)),
            };
            store.write(write).unwrap();
        }
    }
    let other = Key::new("g.x", "thingses", "a", "one").unwrap();
    store.write(Write::create(other.clone(), body(0))).unwrap();
    let things = Collection::of("g.x", "things").unwrap();
    let to = Version::new(20);
    let before = store
        .snapshot_at(to)
        .unwrap()
        .list(&List::new(things.clone()))
        .unwrap();
    assert_eq!(store.compact_to(&things, to), Ok(to));
    for namespace in namespaces {
        let part = Collection::within("g.x", "things", namespace).unwrap();
        assert_eq!(store.compacted(&part), Ok(to), "{namespace:?}");
        let list = List::new(part);
        let refused = store.snapshot_at(Version::new(19)).unwrap().list(&list);
        assert!(matches!(refused, Err(Error::Gone { .. })), "{refused:?}");
    }
    let after = store
        .snapshot_at(to)
        .unwrap()
        .list(&List::new(things))
        .unwrap();
    assert_eq!(after, before);
    assert_eq!(store.compacted(&other.collection()), Ok(Version::ZERO));
    assert_eq!(store.stats().unwrap().removed, 14);
    assert_eq!(store.check().unwrap().wrong, 0);
    // Nothing to be lost is no reason to refuse.
    let nothing = Collection::of("g.x", "nothing").unwrap();
    assert_eq!(store.compact_to(&nothing, to), Ok(to));
    // Everything, which counts what has a compacted version already.
    let to = Version::new(25);
    assert_eq!(store.compact_to(&Collection::all(), to), Ok(to));
    assert_eq!(store.compacted(&other.collection()), Ok(to));
}
