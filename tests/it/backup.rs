//! Would catch a backup that lacks something, or is not one version; a restored store that differs
//! from its source at any version; damage that is restored, or not told; a restore that looks like
//! a store before it has ended.
//!
//! The source is the oracle: the restored store must answer as it does, for every version that
//! both have.

mod damage;
mod place;
mod thinned;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::backup::{Pieces, Summary, Until};
use annals::{
    Collection, Error, Filter, Key, List, ManualClock, Options, Revision, Store, Timestamp,
    Version, Write,
};
use tempfile::TempDir;

use crate::disk::Disk;
use crate::random::Random;
use crate::suite::{first_seed, scaled};

const KEYS: usize = 9;

fn options() -> Options {
    // Small layers and a short ring: most of it is in the tables, some is not.
    Options::new()
        .index(false)
        .cache_bytes(1 << 20)
        .overlay(16, 1 << 20)
        .ring(4, 1 << 20)
}

fn key(number: usize) -> Key {
    let namespace = ["a", "b", ""][number % 3];
    Key::new("g.x", "things", namespace, &format!("n{number}")).unwrap()
}

/// A store that was written to at random, and the pieces that were taken meanwhile.
struct Source {
    store: Store,
    clock: Arc<ManualClock>,
    random: Random,
    now: u64,
    folder: TempDir,
    pieces: Vec<PathBuf>,
    last: Option<Version>,
}

impl Source {
    fn new(seed: u64) -> Self {
        Source::with(seed, options())
    }

    fn with(seed: u64, options: Options) -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = Store::open_on(Disk::new(), options.clock(clock.clone())).unwrap();
        Source {
            store,
            clock,
            random: Random::new(seed),
            now: 0,
            folder: tempfile::tempdir().unwrap(),
            pieces: Vec::new(),
            last: None,
        }
    }

    fn body(&mut self) -> Vec<u8> {
        // Long enough that most bodies are built from an older one.
        let text = "a panel of a dashboard ".repeat(self.random.below(20));
        let (label, serial) = (self.random.below(3), self.random.below(1_000));
        format!(
            r#"{{"metadata":{{"labels":{{"l":"{label}"}}}},"spec":"{text}","serial":{serial}}}"#
        )
        .into_bytes()
    }

    /// Commits a batch of up to so many writes.
    fn write(&mut self, most: usize) {
        self.now += self.random.below(3) as u64;
        self.clock.set(Timestamp(self.now));
        let snapshot = self.store.snapshot().unwrap();
        let mut keys: Vec<usize> = (0..KEYS).collect();
        self.random.shuffle(&mut keys);
        let count = 1 + self.random.below(most);
        let writes = keys[..count]
            .iter()
            .map(|&number| {
                let key = key(number);
                let body = self.body();
                match snapshot.get(&key).unwrap() {
                    None => Write::create(key, body),
                    Some(_) if self.random.one_in(4) => Write::delete(key),
                    Some(_) => Write::update(key, body),
                }
            })
            .collect();
        self.store.write_batch(writes).unwrap();
    }

    /// Takes a piece since the last one.
    fn piece(&mut self) -> Summary {
        let name = format!("{:03}.annals", self.pieces.len());
        let path = self.folder.path().join(name);
        let summary = backup_to(&self.store, self.last, &path);
        self.last = Some(summary.head.version);
        self.pieces.push(path);
        summary
    }

    fn restore(&self, until: Until) -> Result<Copy, Error> {
        restore(&self.pieces, until)
    }
}

fn backup_to(store: &Store, since: Option<Version>, path: &Path) -> Summary {
    let file = fs::File::create(path).unwrap();
    let summary = store.backup(since, &file).unwrap();
    assert_eq!(summary.bytes, file.metadata().unwrap().len());
    summary
}

/// A restored store, in a directory of its own.
struct Copy {
    store: Store,
    _folder: TempDir,
}

fn restore(pieces: &[PathBuf], until: Until) -> Result<Copy, Error> {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("data");
    let restored = Pieces::open(pieces)?.restore(&directory, until, true)?;
    let store = Store::open(&directory, options()).unwrap();
    assert_eq!(store.epoch(), restored.epoch);
    let stats = store.stats().unwrap();
    assert_eq!(
        (stats.version, stats.revisions),
        (restored.version, restored.revisions)
    );
    Ok(Copy {
        store,
        _folder: folder,
    })
}

fn list(store: &Store, at: Version, live: bool) -> Vec<Revision> {
    let snapshot = store.snapshot_at(at).unwrap();
    let list = List::new(Collection::all());
    let page = if live {
        snapshot.list(&list)
    } else {
        snapshot.trash(&list)
    };
    page.unwrap().items
}

/// The live objects with a label, which are found by an index of their own.
fn labelled(store: &Store, at: Version) -> Vec<Revision> {
    let filter = Filter {
        labels: "l=1".parse().unwrap(),
        ..Filter::default()
    };
    let list = List::new(Collection::of("g.x", "things").unwrap()).filter(filter);
    store.snapshot_at(at).unwrap().list(&list).unwrap().items
}

/// The events after a version, up to another.
fn events(store: &Store, after: Version, until: Version) -> Vec<annals::Event> {
    let watch = store.watch(Collection::all(), Filter::default(), after);
    let mut watch = watch.unwrap();
    let mut events = Vec::new();
    while let Some(event) = watch.try_next().unwrap() {
        if event.version > until {
            break;
        }
        events.push(event);
    }
    events
}

/// The copy answers as its source did at this version, and goes on from there.
fn expect_same(source: &Store, copy: &Store, head: Version) {
    assert_eq!(copy.snapshot().unwrap().version(), head);
    assert_ne!(copy.epoch(), source.epoch());
    for at in (0..=head.get()).map(Version::new) {
        for live in [true, false] {
            assert_eq!(list(copy, at, live), list(source, at, live), "at {at}");
        }
        assert_eq!(labelled(copy, at), labelled(source, at), "at {at}");
        if at.get() % 5 == 0 {
            assert_eq!(events(copy, at, head), events(source, at, head));
        }
    }
    for number in 0..KEYS {
        let history = |store: &Store| {
            let snapshot = store.snapshot_at(head).unwrap();
            snapshot.history(&key(number), 0, None)
        };
        assert_eq!(history(copy), history(source), "{number}");
    }
    let report = copy.check().unwrap();
    assert_eq!(report.wrong, 0, "{report:?}");
    let fresh = Key::new("g.x", "things", "a", "fresh").unwrap();
    let written = copy.write(Write::create(fresh, b"{}".to_vec())).unwrap();
    assert_eq!(written.version(), head.next());
}

/// The newest version at which a batch has ended by then.
fn batch_end(source: &Store, by: Version) -> Version {
    let ends = events(source, Version::ZERO, source.snapshot().unwrap().version());
    let ends = ends.iter().map(|event| event.object.header().batch_end);
    ends.filter(|end| *end <= by).max().unwrap_or_default()
}

/// The newest version that was committed at this time or before.
fn version_at(source: &Store, time: Timestamp) -> Version {
    let all = events(source, Version::ZERO, source.snapshot().unwrap().version());
    let by = all
        .iter()
        .filter(|event| event.object.header().time <= time);
    by.map(|event| event.version).max().unwrap_or_default()
}

#[test]
fn a_chain_restores_every_version_and_every_time() {
    for seed in first_seed()..first_seed() + scaled(6) {
        let mut source = Source::new(seed);
        for _ in 0..6 {
            for _ in 0..source.random.below(9) {
                source.write(5);
            }
            if source.random.one_in(3) {
                source.store.compact().unwrap();
            }
            source.piece();
        }
        let head = source.last.unwrap();
        // Behind the last piece nothing is seen.
        source.write(5);
        let newest = source.restore(Until::Newest).unwrap();
        expect_same(&source.store, &newest.store, head);
        for _ in 0..6 {
            let wanted = Version::new(1 + source.random.below(head.get() as usize) as u64);
            let end = batch_end(&source.store, wanted);
            expect_until(&source, Until::Version(wanted), end);
            let time = Timestamp(source.random.below(source.now as usize + 2) as u64);
            let end = version_at(&source.store, time).min(head);
            expect_until(&source, Until::Time(time), end);
        }
    }
}

fn expect_until(source: &Source, until: Until, end: Version) {
    let restored = source.restore(until);
    if end == Version::ZERO {
        let refused = restored.map(drop).unwrap_err();
        let field = matches!(refused, Error::Invalid { field: "until", .. });
        assert!(field, "{until:?}: {refused}");
        return;
    }
    let copy = restored.unwrap_or_else(|error| panic!("{until:?}: {error}"));
    expect_same(&source.store, &copy.store, end);
}

#[test]
fn a_version_ahead_of_the_pieces_is_refused() {
    let mut source = Source::new(1);
    source.write(3);
    let current = source.piece().head.version;
    let requested = current.next();
    let refused = source.restore(Until::Version(requested)).map(drop);
    assert_eq!(refused, Err(Error::Future { requested, current }));
    let refused = source.store.backup(Some(requested), Vec::new());
    assert_eq!(refused, Err(Error::Future { requested, current }));
}

#[test]
fn a_version_inside_a_batch_cannot_be_continued() {
    let mut source = Source::new(2);
    let batch = |from: usize| {
        let writes = (from..from + 3).map(|number| Write::create(key(number), b"{}".to_vec()));
        writes.collect::<Vec<_>>()
    };
    source.store.write_batch(batch(0)).unwrap();
    source.store.write_batch(batch(3)).unwrap();
    for (since, fits) in [(0, true), (2, false), (3, true), (5, false), (6, true)] {
        let answer = source.store.backup(Some(Version::new(since)), Vec::new());
        let refused = matches!(answer, Err(Error::Invalid { field: "since", .. }));
        assert_eq!(refused, !fits, "{since}: {answer:?}");
    }
    source.piece();
}

#[test]
fn an_empty_store_is_backed_up_and_restored() {
    let mut source = Source::new(3);
    assert_eq!(source.piece().revisions, 0);
    let copy = source.restore(Until::Newest).unwrap();
    expect_same(&source.store, &copy.store, Version::ZERO);
}

#[test]
fn pieces_join_without_a_gap_and_within_one_epoch() {
    let mut source = Source::new(4);
    for _ in 0..3 {
        source.write(4);
        source.piece();
    }
    let all = source.pieces.clone();
    let refused = |pieces: &[&PathBuf], word: &str| {
        let pieces: Vec<PathBuf> = pieces.iter().map(|piece| (*piece).clone()).collect();
        let error = restore(&pieces, Until::Newest).map(drop).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    };
    refused(&[&all[0], &all[2]], "002.annals continues version");
    refused(&[&all[1], &all[2]], "001.annals continues version");
    let mut other = Source::new(5);
    other.write(4);
    other.piece();
    refused(&[&all[0], &other.pieces[0]], "line of history");
    // The order in which they are named does not matter, nor one that is not needed.
    let shuffled = [&all[2], &all[0], &all[1]].map(PathBuf::clone);
    let copy = restore(&shuffled, Until::Newest).unwrap();
    expect_same(&source.store, &copy.store, source.last.unwrap());
    source.last = None;
    let whole = source.piece();
    let copy = source.restore(Until::Newest).unwrap();
    expect_same(&source.store, &copy.store, whole.head.version);
    let verified = Pieces::open(&source.pieces).unwrap().verify().unwrap();
    assert_eq!((verified.pieces, verified.wrong), (4, 0), "{verified:?}");
    let gap = [&all[0], &all[2]];
    let verified = Pieces::open(&gap).unwrap().verify().unwrap();
    assert_eq!((verified.pieces, verified.wrong), (2, 1), "{verified:?}");
}

#[test]
fn a_backup_taken_under_writes_is_one_version() {
    let mut source = Source::new(6);
    let store = source.store.clone();
    let done = std::sync::atomic::AtomicBool::new(false);
    let ended = &done;
    let source = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer: usize| {
                let store = &store;
                scope.spawn(move || {
                    let mut random = Random::new(writer as u64);
                    for serial in 0..400 {
                        let body = format!(r#"{{"spec":"{}"}}"#, "text ".repeat(serial % 90));
                        let number = random.below(KEYS);
                        let put = |write: fn(Key, Vec<u8>) -> Write| {
                            store.write(write(key(number), body.clone().into_bytes()))
                        };
                        let written = match put(Write::update) {
                            Err(Error::NotFound { .. }) => put(Write::create),
                            other => other,
                        };
                        match written {
                            Ok(_) | Err(Error::NotFound { .. } | Error::AlreadyExists { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                        if random.one_in(5) {
                            drop(store.write(Write::delete(key(number))));
                        }
                    }
                })
            })
            .collect();
        let taker = scope.spawn(move || {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                source.piece();
            }
            source.piece();
            source
        });
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        taker.join().unwrap()
    });
    assert!(source.pieces.len() > 3, "only {}", source.pieces.len());
    let chain = source.restore(Until::Newest).unwrap();
    let whole = source.folder.path().join("whole");
    backup_to(&source.store, None, &whole);
    let whole = restore(&[whole], Until::Newest).unwrap();
    let head = source.last.unwrap();
    for at in (0..=head.get()).step_by(97).map(Version::new) {
        for live in [true, false] {
            let expected = list(&source.store, at, live);
            assert_eq!(list(&chain.store, at, live), expected);
            assert_eq!(list(&whole.store, at, live), expected);
        }
    }
    let all = events(&source.store, Version::ZERO, head);
    assert_eq!(events(&chain.store, Version::ZERO, head), all);
    assert_eq!(events(&whole.store, Version::ZERO, head), all);
}
