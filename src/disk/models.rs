//! Would catch a schedule of threads in which a view is not exactly one version: a reader that
//! misses what was acknowledged, sees half a batch, or sees what was written after its view was
//! taken, while the writer commits and seals and the applier puts a layer into the tables.
//!
//! Everything is the real code, but for the files, which are in memory, and the applier's thread,
//! which the checker schedules. The engine below has locks of its own, which the checker does not
//! see; nothing of ours runs while one of them is held.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use shuttle::thread;

use super::media::{Media, Volume};
use super::{Disk, Settings, Shelf, Staged, View, encode_body};
use crate::model::{Action, Epoch, Header, Key, Revision, Timestamp, Version};

/// How many schedules the model is run under: half of them random, half with few preemptions.
const SCHEDULES: usize = 2_000;
/// How many preemptions the second half has.
const PREEMPTIONS: usize = 3;
/// How many batches the writer commits; each writes both keys.
const BATCHES: u64 = 3;

#[derive(Debug, Default)]
struct Memory(Mutex<Vec<u8>>);

impl Media for Memory {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (bytes, at) = (self.0.lock().unwrap(), usize::try_from(offset).unwrap());
        let part = bytes.get(at..at + out.len());
        out.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let length = usize::try_from(len).unwrap();
        self.0.lock().unwrap().resize(length, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (mut bytes, at) = (self.0.lock().unwrap(), usize::try_from(offset).unwrap());
        let end = bytes.len().max(at + data.len());
        bytes.resize(end, 0);
        bytes[at..at + data.len()].copy_from_slice(data);
        Ok(())
    }
}

#[derive(Debug)]
struct InMemory;

impl Volume for InMemory {
    fn open(self: Arc<Self>, _name: &str) -> io::Result<Arc<dyn Media>> {
        Ok(Arc::new(Memory::default()))
    }
}

fn key(name: &str) -> Key {
    Key::new("g", "r", "ns", name).unwrap()
}

/// The revisions of a batch: `a` is created, then updated; `b` is created and deleted in turn.
fn batch(number: u64) -> Vec<Staged> {
    let first = number * 2 + 1;
    let revision = |name: &str, version: u64, action| {
        let previous = (number > 0).then(|| Version::new(version - 2));
        let header = Header {
            key: key(name),
            action,
            version: Version::new(version),
            previous,
            ordinal: number,
            jump: previous.unwrap_or(Version::new(version)),
            jump_ordinal: number.saturating_sub(1),
            batch_end: Version::new(first + 1),
            base: Version::new(version),
            base_ordinal: number,
            labelled: Version::new(version),
            time: Timestamp(version),
            created: Timestamp(1),
            creator: String::new(),
            author: String::new(),
            uid: String::new(),
            folder: String::new(),
            labels: Vec::new(),
        };
        let body = number.to_string().into_bytes();
        let (stored_body, _) = encode_body(&body, None);
        let revision = Revision::new(Arc::new(header), body.into());
        Staged {
            revision,
            stored_body,
        }
    };
    let of_a = if number == 0 {
        Action::Created
    } else {
        Action::Updated
    };
    let of_b = if number.is_multiple_of(2) {
        Action::Created
    } else {
        Action::Deleted
    };
    vec![revision("a", first, of_a), revision("b", first + 1, of_b)]
}

/// Looks at a view from all sides; answers its version.
fn look(view: &View) -> u64 {
    let head = view.head().get();
    assert!(head.is_multiple_of(2), "half a batch is visible");
    let batches = head / 2;
    let b_lives = batches % 2 == 1;
    for (name, wanted) in [("a", head.checked_sub(1)), ("b", Some(head))] {
        let newest = view.newest(&key(name), true).unwrap();
        let found = newest.map(|slot| view.fill(slot).unwrap());
        let version = found.as_ref().map(|found| found.version().get());
        assert_eq!(version, wanted.filter(|_| batches > 0), "{name} at {head}");
        if let Some(found) = found {
            assert_eq!(found.body(), (batches - 1).to_string().as_bytes());
        }
    }
    for (shelf, wanted) in [
        (Shelf::Live, u64::from(batches > 0) + u64::from(b_lives)),
        (Shelf::Trash, u64::from(batches > 0 && !b_lives)),
    ] {
        let mut versions = Vec::new();
        view.scan(shelf, "", None, &mut |slot| {
            versions.push(slot.header.version.get());
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        assert_eq!(versions.len() as u64, wanted, "{shelf:?} at {head}");
        assert!(versions.iter().all(|version| version + 2 > head));
    }
    let mut next = 1;
    view.log(Version::ZERO, &mut |revision| {
        assert_eq!(revision.version().get(), next);
        next += 1;
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    assert_eq!(next, head + 1, "the log ends where the view does");
    let counts = view.counts().unwrap();
    assert_eq!(counts.revisions, head);
    head
}

fn every_view_is_one_version() {
    let settings = Settings {
        cache_bytes: 1 << 20,
        overlay_revisions: 100,
        overlay_bytes: 1 << 20,
        new_epoch: Epoch([7; 16]),
        new_seed: 7,
    };
    let volume: Arc<dyn Volume> = Arc::new(InMemory);
    let disk = Disk::open_idle(&volume, settings).unwrap();
    let acknowledged = Arc::new(shuttle::sync::atomic::AtomicU64::new(0));
    let order = shuttle::sync::atomic::Ordering::SeqCst;
    let writer = thread::spawn({
        let (disk, acknowledged) = (Arc::clone(&disk), Arc::clone(&acknowledged));
        move || {
            for number in 0..BATCHES {
                disk.commit(batch(number), || ()).unwrap();
                acknowledged.store(number * 2 + 2, order);
                disk.seal().unwrap();
            }
        }
    });
    let applier = thread::spawn({
        let disk = Arc::clone(&disk);
        move || {
            for _ in 0..2 {
                disk.applier.apply(&disk).unwrap();
                thread::yield_now();
            }
        }
    });
    let reader = thread::spawn({
        let disk = Arc::clone(&disk);
        move || {
            let mut before = 0;
            for _ in 0..2 {
                let known = acknowledged.load(order);
                let view = disk.view().unwrap();
                let head = look(&view);
                assert!(head >= known, "what was acknowledged is visible");
                assert!(head >= before, "time goes forward");
                // Later commits do not change a view.
                assert_eq!(look(&view), head);
                before = head;
            }
        }
    });
    for thread in [writer, applier, reader] {
        thread.join().unwrap();
    }
    assert_eq!(look(&disk.view().unwrap()), BATCHES * 2);
}

fn run() {
    shuttle::check_random(every_view_is_one_version, SCHEDULES / 2);
    shuttle::check_pct(every_view_is_one_version, SCHEDULES / 2, PREEMPTIONS);
}

#[cfg(not(feature = "canary"))]
#[test]
fn models_of_the_overlay_hold() {
    run();
}

/// With the canary a layer shows what was written after the view was taken.
#[cfg(feature = "canary")]
#[test]
fn models_of_the_overlay_find_the_canary() {
    let found = std::panic::catch_unwind(run);
    assert!(found.is_err(), "the planted bug was not found");
}
