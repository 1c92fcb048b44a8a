//! Would catch an I/O error that loses an acknowledged write, panics, leaves the store refusing
//! for ever, or is answered as success (P1).
//!
//! Two scripts run once for every call they make to the disk, with that call failing: once, or
//! from there on until the disk is mended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use annals::{
    Collection, Error, ErrorKind, Filter, Key, List, Options, Revision, Store, Version, Write,
};

use crate::disk::{Call, Disk, Fault};

/// How often a caller tries again before the store counts as refusing for ever.
const TRIES_MAX: usize = 3_000;
const PAUSE: Duration = Duration::from_millis(10);
/// No script makes as many calls.
const CALLS_MAX: u64 = 5_000;

fn options() -> Options {
    // Without a cache, and with layers of one commit, reads and the tables reach the disk.
    Options::new().index(false).cache_bytes(0).overlay(1, 1)
}

fn key(name: &str) -> Key {
    Key::new("g.x", "things", "ns", name).unwrap()
}

fn body(size: usize) -> Vec<u8> {
    format!(r#"{{"spec":"{}"}}"#, "x".repeat(size)).into_bytes()
}

/// What a script got to see.
#[derive(Debug, Default)]
struct Answers {
    acknowledged: Vec<Revision>,
    unknown: u64,
}

impl Answers {
    fn write(&mut self, store: &Store, writes: Vec<Write>) {
        match store.write_batch(writes) {
            Ok(revisions) => self.acknowledged.extend(revisions),
            Err(error) => {
                self.unknown += 1;
                expect_refusal(&error);
            }
        }
    }

    /// The store heals itself: after some tries a write is accepted.
    fn heal(&mut self, store: &Store, name: &str) {
        for attempt in 0..TRIES_MAX {
            let name = key(&format!("{name}-{attempt}"));
            match store.write(Write::create(name, body(1))) {
                Ok(revision) => {
                    self.acknowledged.push(revision);
                    assert_eq!(store.write_failure(), None);
                    return;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            }
            std::thread::sleep(PAUSE);
        }
        panic!("writes are refused for ever: {:?}", store.write_failure());
    }
}

/// Only what is not there because of an unknown write may be missed; else the fault is named.
fn expect_refusal(error: &Error) {
    let kinds = [
        ErrorKind::Unavailable,
        ErrorKind::NotFound,
        ErrorKind::AlreadyExists,
    ];
    assert!(kinds.contains(&error.kind()), "{error}");
}

type Script = fn(&Store, &mut Answers);

/// Single writes of every kind, with reads between.
fn singles(store: &Store, answers: &mut Answers) {
    for name in ["a", "b"] {
        answers.write(store, vec![Write::create(key(name), body(10))]);
        answers.write(store, vec![Write::update(key(name), body(6_000))]);
        read(store, name);
    }
    answers.write(store, vec![Write::delete(key("a"))]);
    read(store, "a");
    answers.write(store, vec![Write::create(key("a"), body(20))]);
    read(store, "a");
}

/// Batches that make the file grow.
fn batches(store: &Store, answers: &mut Answers) {
    for round in 0..3 {
        let name = |number| key(&format!("n{round}-{number}"));
        let writes = (0..4).map(|number| Write::create(name(number), body(120_000)));
        answers.write(store, writes.collect());
        let writes = (0..2).map(|number| Write::delete(name(number)));
        answers.write(store, writes.collect());
    }
    read(store, "n0-3");
}

/// Reads in every way; an error is one that says try again.
fn read(store: &Store, name: &str) {
    let read = || -> Result<(), Error> {
        let snapshot = store.snapshot()?;
        snapshot.get(&key(name))?;
        snapshot.list(&List::new(Collection::all()))?;
        snapshot.history(&key(name), 2, None)?;
        let mut watch = store.watch(Collection::all(), Filter::default(), Version::ZERO)?;
        while watch.try_next()?.is_some() {}
        Ok(())
    };
    if let Err(error) = read() {
        expect_refusal(&error);
    }
}

/// Runs the script with this fault; says whether the fault struck.
fn strike(script: Script, fault: Fault) -> bool {
    let disk = Disk::new();
    let store = Store::open_on(disk.clone(), options()).unwrap();
    disk.plan(fault);
    let mut answers = Answers::default();
    script(&store, &mut answers);
    if fault.lasting {
        expect_reason(&store, &mut answers);
    }
    let failures = disk.mend();
    answers.heal(&store, "healed");
    expect_whole(&store, &answers);
    let image = reopen(store, &disk);
    expect_whole(&image, &answers);
    failures > 0
}

fn reopen(store: Store, disk: &Arc<Disk>) -> Store {
    drop(store);
    Store::open_on(disk.clone(), options()).unwrap()
}

/// While the disk is broken, either no write has met it yet, or writes are refused with a reason.
fn expect_reason(store: &Store, answers: &mut Answers) {
    let before = answers.unknown;
    answers.write(store, vec![Write::create(key("probe"), body(1))]);
    if answers.unknown == before {
        return;
    }
    // The answer to the write that failed may come before the reason is set.
    let reason = (0..TRIES_MAX).find_map(|_| {
        std::thread::sleep(Duration::from_millis(1));
        store.write_failure()
    });
    assert!(reason.is_some_and(|reason| !reason.is_empty()));
    let refused = store.write(Write::create(key("refused"), body(1)));
    assert_eq!(
        refused.unwrap_err().kind(),
        ErrorKind::Unavailable,
        "a broken disk took a write"
    );
}

/// Every acknowledged revision is in the log, no batch is there in half, and the check is clean.
fn expect_whole(store: &Store, answers: &Answers) {
    let mut watch = store
        .watch(Collection::all(), Filter::default(), Version::ZERO)
        .unwrap();
    let mut log = Vec::new();
    while let Some(event) = watch.try_next().unwrap() {
        log.push(event.object);
    }
    for revision in &answers.acknowledged {
        let at = usize::try_from(revision.version().get()).unwrap() - 1;
        assert_eq!(log.get(at), Some(revision), "an acknowledged write is lost");
    }
    let last = log.last().unwrap();
    assert_eq!(last.header().batch_end, last.version(), "half of a batch");
    let report = store.check().unwrap();
    assert_eq!(report.wrong, 0, "{report:?}");
    assert_eq!(report.revisions, log.len() as u64);
}

/// Fails every call of this kind in turn; says how many there were.
fn strike_each(script: Script, call: Option<Call>, lasting: bool, stride: u64) -> u64 {
    for nth in 0..CALLS_MAX {
        let fault = Fault {
            call,
            after: nth * stride,
            lasting,
        };
        if !strike(script, fault) {
            return nth;
        }
    }
    panic!("the script has no end");
}

#[test]
fn any_one_call_of_single_writes_may_fail() {
    let calls = strike_each(singles, None, false, 1);
    assert!(calls > 100, "only {calls} calls were struck");
}

#[test]
fn any_one_call_of_batches_may_fail() {
    let kinds = [Call::Read, Call::Write, Call::SetLen, Call::Sync];
    for call in kinds {
        // Syncs are never reached where the canary feature has taken them out.
        let expected = u64::from(!(cfg!(feature = "canary") && call == Call::Sync));
        let calls = strike_each(batches, Some(call), false, 1);
        assert!(calls >= expected, "no {call:?} was struck");
    }
}

#[test]
fn the_disk_may_stay_broken_from_any_call_on() {
    let calls = strike_each(singles, None, true, 4);
    assert!(calls > 25, "only {calls} calls were struck");
}

/// A reader of a store that nobody writes to.
fn try_read(store: &Store) -> Result<(), Error> {
    let list = List::new(Collection::all());
    store.snapshot()?.list(&list).map(drop)
}

#[test]
fn reads_come_back_without_a_write() {
    let disk = Disk::new();
    let store = Store::open_on(disk.clone(), options()).unwrap();
    store.write(Write::create(key("a"), body(9_000))).unwrap();
    // What is closed is in the tables.
    let store = reopen(store, &disk);
    for after in 0..2 {
        let before = disk.reads();
        try_read(&store).unwrap();
        assert!(disk.reads() > before + 1, "the cache hides the reads");
        disk.plan(Fault {
            call: Some(Call::Read),
            after,
            lasting: false,
        });
        let error = try_read(&store).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(disk.mend(), 1);
        assert_eq!(try_read(&store), Ok(()));
    }
}

/// Tells the readers to end, also when the test fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn readers_without_a_pause_do_not_keep_writes_away() {
    let disk = Disk::new();
    let store = Store::open_on(disk.clone(), options()).unwrap();
    let mut answers = Answers::default();
    singles(&store, &mut answers);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    if let Err(error) = try_read(&store) {
                        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                    }
                }
            });
        }
        let done = Done(&done);
        for after in 0..20 {
            disk.plan(Fault {
                call: Some(Call::Write),
                after,
                lasting: false,
            });
            let name = key(&format!("struck{after}"));
            answers.write(&store, vec![Write::create(name, body(2_000))]);
            disk.mend();
            let name = format!("again{after}");
            answers.heal(&store, &name);
        }
        drop(done);
    });
    expect_whole(&store, &answers);
}
