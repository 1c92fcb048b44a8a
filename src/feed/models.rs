//! Would catch a schedule of threads in which a watcher sleeps through a commit, sees a change
//! twice, out of order or not at all, or is told that nothing happened when something did.
//!
//! Every model runs under schedules that the checker chooses, at every lock and atomic of the feed.
//! A watcher that is never woken is a deadlock, which the checker reports. The disk below is a list
//! of revisions: what matters is when it learns them, which is before they are published.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use shuttle::future::block_on;
use shuttle::thread;

use super::fake::{Log, revision};
use super::{Change, Commit, Hub, RingLimits, Watch};
use crate::model::{Collection, Filter, Revision, Version};

/// How many schedules each model is run under: half of them random, half of them with few
/// preemptions at random points.
const SCHEDULES: usize = 30_000;
/// How many preemptions the second half has.
const PREEMPTIONS: usize = 3;

/// The namespaces of the revisions, in order; each inner list is one commit.
const COMMITS: [&[&str]; 5] = [&["b"], &["a", "b"], &["b"], &["a"], &["b", "a"]];

/// The store of a model: a log, and a ring of two revisions over it.
#[derive(Clone)]
struct Stage {
    log: Log,
    hub: Arc<Hub>,
}

impl Stage {
    fn new() -> Self {
        let limits = RingLimits {
            revisions: 2,
            bytes: 1 << 20,
        };
        Stage {
            log: Log::default(),
            hub: Arc::new(Hub::new(Version::ZERO, limits)),
        }
    }

    /// Commits and publishes one object in each of these namespaces.
    fn write(&self, namespaces: &[&str]) {
        let first = self.hub.head().get() + 1;
        let revisions: Vec<Revision> = (first..)
            .zip(namespaces)
            .map(|(version, namespace)| revision(version, namespace))
            .collect();
        self.log.append(&revisions);
        let change = |revision| Change {
            revision,
            before: None,
        };
        let changes = revisions.into_iter().map(change).collect();
        self.hub.publish(Commit::new(changes).unwrap());
    }

    fn write_all(&self) {
        COMMITS.iter().for_each(|commit| self.write(commit));
    }

    fn watch(&self, collection: Collection, after: u64) -> Watch {
        let (hub, disk) = (Arc::clone(&self.hub), Arc::new(self.log.clone()));
        let after = Version::new(after);
        Watch::new(hub, disk, collection, Filter::default(), after)
    }
}

fn space(namespace: &str) -> Collection {
    Collection::within("g", "r", namespace).unwrap()
}

/// The versions behind `after` that a watcher of this collection must see.
fn wanted(collection: &Collection, after: u64) -> Vec<u64> {
    let all = COMMITS.iter().copied().flatten();
    let keys = (1..)
        .zip(all)
        .map(|(version, ns)| (version, revision(version, ns)));
    keys.filter(|(version, revision)| *version > after && collection.contains(revision.key()))
        .map(|(version, _)| version)
        .collect()
}

fn check(model: fn()) {
    shuttle::check_random(model, SCHEDULES / 2);
    shuttle::check_pct(model, SCHEDULES / 2, PREEMPTIONS);
}

/// Reads until everything has come, and asks how far it is before each event.
fn read_blocking(mut watch: Watch, collection: &Collection, after: u64) {
    let mut bookmark = Version::new(after);
    for expected in wanted(collection, after) {
        let claimed = watch.version();
        assert!(bookmark <= claimed, "a bookmark went backwards");
        assert!(claimed.get() < expected, "a bookmark skips an event");
        let event = watch.next().unwrap().unwrap();
        assert_eq!(event.version.get(), expected);
        bookmark = event.version;
    }
}

/// As an executor reads: sleeps on a waker, and visits what is there.
fn read_polled(mut watch: Watch, collection: &Collection, after: u64) {
    let wanted = wanted(collection, after);
    let mut seen = Vec::new();
    while seen.len() < wanted.len() {
        block_on(poll_fn(|context| watch.poll_ready(context)));
        let visit = watch.visit(|sight| {
            seen.push(sight.version.get());
            ControlFlow::Continue(())
        });
        visit.unwrap();
    }
    assert_eq!(seen, wanted);
}

fn sleep_and_wake() {
    let stage = Stage::new();
    let (one, all) = (
        stage.watch(space("a"), 0),
        stage.watch(Collection::all(), 0),
    );
    let readers = [
        thread::spawn(move || read_blocking(one, &space("a"), 0)),
        thread::spawn(move || read_polled(all, &Collection::all(), 0)),
    ];
    stage.write_all();
    readers
        .into_iter()
        .for_each(|reader| reader.join().unwrap());
}

fn history_meets_the_ring() {
    let stage = Stage::new();
    let writer = {
        let stage = stage.clone();
        thread::spawn(move || stage.write_all())
    };
    // They come while it is written, and begin wherever the log then is, or at its beginning.
    let head = stage.hub.head().get();
    let late = stage.watch(space("b"), head);
    let early = stage.watch(space("a"), 0);
    let reader = thread::spawn(move || read_polled(early, &space("a"), 0));
    read_blocking(late, &space("b"), head);
    reader.join().unwrap();
    writer.join().unwrap();
}

/// A waker that only counts its owners.
struct Ear;

impl Wake for Ear {
    fn wake(self: Arc<Self>) {}
}

fn a_watcher_leaves() {
    let stage = Stage::new();
    let (stays, leaves) = (stage.watch(space("a"), 0), stage.watch(space("a"), 0));
    let ear = Arc::new(Ear);
    let waker = Waker::from(Arc::clone(&ear));
    let reader = thread::spawn(move || read_blocking(stays, &space("a"), 0));
    let leaver = thread::spawn(move || {
        let mut watch = leaves;
        let _ = watch.poll_ready(&mut Context::from_waker(&waker));
    });
    stage.write_all();
    leaver.join().unwrap();
    reader.join().unwrap();
    assert_eq!(Arc::strong_count(&ear), 1, "the hub keeps a waker");
    // The topic went with its last watcher: a new one begins afresh.
    let head = stage.hub.head();
    assert_eq!(stage.watch(space("a"), head.get()).version(), head);
}

#[cfg(not(feature = "canary"))]
mod sound {
    use super::*;

    fn the_store_closes() {
        let stage = Stage::new();
        let readers: Vec<_> = ["a", "b"]
            .into_iter()
            .map(|namespace| {
                let watch = stage.watch(space(namespace), 0);
                thread::spawn(move || {
                    let versions = watch.map(|event| event.unwrap().version.get());
                    assert_eq!(versions.collect::<Vec<_>>(), wanted(&space(namespace), 0));
                })
            })
            .collect();
        stage.write_all();
        stage.hub.close();
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
    }

    #[test]
    fn no_wake_up_is_lost() {
        check(sleep_and_wake);
    }

    #[test]
    fn the_log_and_the_ring_meet() {
        check(history_meets_the_ring);
    }

    #[test]
    fn who_leaves_takes_nothing_along() {
        check(a_watcher_leaves);
    }

    #[test]
    fn a_closed_store_wakes_all() {
        check(the_store_closes);
    }
}

#[cfg(feature = "canary")]
#[test]
fn the_planted_wake_up_is_found() {
    // A store that closes wakes everybody once more, so that model cannot see it.
    let models = [sleep_and_wake, history_meets_the_ring, a_watcher_leaves];
    for (number, model) in models.into_iter().enumerate() {
        let found = std::panic::catch_unwind(|| check(model)).is_err();
        assert!(found, "model {number} does not see it");
    }
}
