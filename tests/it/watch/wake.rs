//! Would catch a wake-up that is lost, one that is for somebody else, and an idle watcher that
//! reads what others write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

use annals::{
    Collection, FieldTest, Filter, Key, ObjectField, Options, Store, Version, Watch, Write,
};

use super::{Bell, key, open, sleep_until_ready, watch};
use crate::disk::Disk;
use crate::random::Random;
use crate::validator::Lens;

/// Each event here needs a wake-up of its own: the next write waits for the reader.
#[test]
fn no_wake_up_is_lost() {
    const ROUNDS: u64 = 3_000;
    let store = open(8);
    let read = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let bell = Bell::new();
            let mut watch = watch(&store, Lens::All, Version::ZERO);
            while read.load(Ordering::SeqCst) < ROUNDS {
                match watch.try_next().unwrap() {
                    Some(event) => read.store(event.version.get(), Ordering::SeqCst),
                    None => sleep_until_ready(&mut watch, &bell),
                }
            }
        });
        let key = key("one", 0);
        let mut version = store
            .write(Write::create(key.clone(), b"{}".to_vec()))
            .unwrap()
            .version();
        while version.get() < ROUNDS {
            while read.load(Ordering::SeqCst) < version.get() {
                assert!(!reader.is_finished(), "the reader gave up");
                std::thread::yield_now();
            }
            version = store
                .write(Write::update(key.clone(), b"{}".to_vec()))
                .unwrap()
                .version();
        }
    });
}

/// A waker that is left and never fetched, or whose watch is gone, is rung at most once.
#[test]
fn a_dropped_watch_leaves_no_waker() {
    let store = open(8);
    let bell = Bell::new();
    let waker = Waker::from(Arc::clone(&bell));
    let mut first = watch(&store, Lens::All, Version::ZERO);
    assert!(
        first
            .poll_ready(&mut Context::from_waker(&waker))
            .is_pending()
    );
    drop(first);
    store
        .write(Write::create(key("one", 0), b"{}".to_vec()))
        .unwrap();
    assert!(!bell.rung.load(Ordering::SeqCst));
    drop(waker);
    assert_eq!(Arc::strong_count(&bell), 1, "the hub keeps a waker");
}

/// A watcher is woken, and reads, for what happens to its own keys; nothing else costs it
/// anything, not even to learn how far the log has come.
#[test]
fn what_others_write_wakes_nobody_and_is_not_read() {
    const FOREIGN: u64 = 2_000;
    let disk = Disk::new();
    let options = Options::new().index(false).ring(8, 64 * 1024);
    let store = Store::open_on(disk.clone(), options.cache_bytes(0)).unwrap();
    let bell = Bell::new();
    let waker = Waker::from(Arc::clone(&bell));
    let mut own = watch(&store, Lens::Namespace("a"), Version::ZERO);
    assert!(
        own.poll_ready(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let create = |name: String, number| {
        let write = Write::create(key(&name, number), b"{}".to_vec());
        store.write(write).unwrap().version()
    };
    for number in 0..FOREIGN {
        let head = create(format!("f{number}"), 1);
        if number % 100 == 0 {
            let reads = disk.reads();
            assert_eq!(own.version(), head);
            assert!(!own.is_behind() && own.is_caught_up());
            assert_eq!(disk.reads(), reads, "something was read");
        }
    }
    let reads = disk.reads();
    assert_eq!(own.try_next(), Ok(None));
    assert_eq!(own.version().get(), FOREIGN);
    assert_eq!(disk.reads(), reads, "something was read");
    assert!(!bell.rung.load(Ordering::SeqCst), "woken for others");
    let wanted = create("own".to_owned(), 0);
    assert!(bell.rung.load(Ordering::SeqCst), "not woken");
    // Forgotten by the ring, it is fetched alone: what lies before and behind is not read.
    for number in 0..100 {
        create(format!("g{number}"), 1);
    }
    assert!(own.is_behind() && !own.is_caught_up());
    assert_eq!(own.version().get(), FOREIGN);
    assert_eq!(own.try_next().unwrap().unwrap().version, wanted);
    assert_eq!(own.try_next(), Ok(None));
    assert_eq!(own.version().get(), wanted.get() + 100);
}

/// A watcher that sleeps, for `a_commit_wakes_those_it_concerns`.
struct Sleeper {
    watch: Watch,
    collection: Collection,
    name: Option<&'static str>,
    /// Whether it is woken for its name alone, rather than for its whole collection.
    is_exact: bool,
    bell: Arc<Bell>,
}

const GROUPS: [&str; 2] = ["", "g.x"];
const RESOURCES: [&str; 2] = ["r", "rs"];
const SPACES: [&str; 3] = ["", "a", "ab"];
const NAMES: [&str; 3] = ["x", "xy", "y"];

impl Sleeper {
    fn new(store: &Store, random: &mut Random) -> Self {
        let (group, resource) = (GROUPS[random.below(2)], RESOURCES[random.below(2)]);
        let space = SPACES[random.below(3)];
        let (collection, is_space) = match random.below(5) {
            0 => (Collection::all(), false),
            1 => (Collection::of(group, resource).unwrap(), false),
            _ => (Collection::within(group, resource, space).unwrap(), true),
        };
        let name = random.one_in(2).then(|| NAMES[random.below(3)]);
        let named = |name: &str| FieldTest {
            field: ObjectField::Name,
            equals: true,
            value: name.to_owned(),
        };
        let filter = Filter {
            fields: name.map(named).into_iter().collect(),
            ..Filter::default()
        };
        let head = store.snapshot().unwrap().version();
        let mut watch = store.watch(collection.clone(), filter, head).unwrap();
        let bell = Bell::new();
        let waker = Waker::from(Arc::clone(&bell));
        assert!(
            watch
                .poll_ready(&mut Context::from_waker(&waker))
                .is_pending()
        );
        Sleeper {
            watch,
            collection,
            name,
            is_exact: is_space && name.is_some(),
            bell,
        }
    }

    /// Whether it woke for these keys as it should, and then sees them.
    fn check(&mut self, keys: &[Key]) {
        let near = |key: &&Key| self.collection.contains(key);
        let own = |key: &&Key| near(key) && self.name.is_none_or(|name| key.name() == name);
        let events = keys.iter().filter(own).count();
        let woken = if self.is_exact {
            events > 0
        } else {
            keys.iter().any(|key| near(&key))
        };
        let rung = self.bell.rung.load(Ordering::SeqCst);
        assert_eq!(rung, woken, "{:?} {:?} for {keys:?}", self.watch, self.name);
        let seen = std::iter::from_fn(|| self.watch.try_next().unwrap()).count();
        assert_eq!(seen, events);
    }
}

/// Whoever a commit concerns is woken, and nobody else, whatever they watch.
#[test]
fn a_commit_wakes_those_it_concerns() {
    let store = open(64);
    let mut random = Random::new(11);
    for _ in 0..60 {
        let mut sleepers: Vec<_> = (0..40).map(|_| Sleeper::new(&store, &mut random)).collect();
        let count = 1 + random.below(3);
        let keys: Vec<Key> = (0..count)
            .map(|_| {
                let (group, resource) = (GROUPS[random.below(2)], RESOURCES[random.below(2)]);
                let (space, name) = (SPACES[random.below(3)], NAMES[random.below(3)]);
                Key::new(group, resource, space, name).unwrap()
            })
            .collect();
        let state = store.snapshot().unwrap();
        let mut live: Vec<Key> = Vec::new();
        let writes = keys.iter().map(|key| {
            if state.get(key).unwrap().is_some() || live.contains(key) {
                return Write::update(key.clone(), b"{}".to_vec());
            }
            live.push(key.clone());
            Write::create(key.clone(), b"{}".to_vec())
        });
        store.write_batch(writes.collect()).unwrap();
        sleepers.iter_mut().for_each(|sleeper| sleeper.check(&keys));
    }
}
