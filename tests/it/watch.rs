//! Would catch a watcher that misses, doubles or reorders an event where it passes from the log on
//! disk to the ring in memory, sleeps through a commit, or slows a writer down (W1, W2).
//!
//! Four writers, many watchers of every kind, and a ring of a few revisions, so that the hand-over
//! happens all the time. What each watcher saw passes the nine checks of `validator`.

mod gone;
mod wake;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use annals::{Error, Event, Key, Options, Revision, Store, Version, Watch, Write};

use crate::disk::Disk;
use crate::random::Random;
use crate::validator::{GROUP, Lens, RESOURCE, Seen, Truth};

/// How many events a run validates at least.
const EVENTS_MIN: usize = 1_000_000;
const WRITERS: usize = 4;
const WATCHERS: usize = 64;
/// How many revisions each writer makes at least.
const REVISIONS: usize = 6_000;
/// Keys that a writer has for itself, and those that all share.
const OWN_KEYS: usize = 8;
const SHARED_KEYS: usize = 4;
/// Nobody sleeps as long unless a wake-up was lost.
const WATCHDOG: Duration = Duration::from_secs(3);

fn open(ring: usize) -> Store {
    let options = Options::new()
        .index(false)
        .ring(ring, 64 * 1024)
        .overlay(256, 1 << 20);
    Store::open_on(Disk::new(), options.cache_bytes(8 << 20)).unwrap()
}

fn key(name: &str, number: usize) -> Key {
    Key::new(GROUP, RESOURCE, ["a", "b"][number % 2], name).unwrap()
}

fn body(random: &mut Random) -> Vec<u8> {
    let labels = ["{}", r#"{"tier":"a"}"#, r#"{"tier":"b"}"#][random.below(3)];
    let number = random.next();
    format!(r#"{{"metadata":{{"labels":{labels}}},"spec":{number}}}"#).into_bytes()
}

/// A writer: batches over keys of its own, single writes over those that all share.
fn write_much(store: &Store, id: usize) -> Vec<Revision> {
    let mut random = Random::new(id as u64);
    let mut live = [false; OWN_KEYS];
    let mut answers = Vec::new();
    while answers.len() < REVISIONS {
        if random.one_in(2) {
            answers.extend(write_shared(store, &mut random));
            continue;
        }
        let size = 1 + random.below(16);
        let writes = (0..size).map(|_| {
            let number = random.below(OWN_KEYS);
            let key = key(&format!("w{id}n{number}"), number);
            let was_live = std::mem::replace(&mut live[number], true);
            if !was_live {
                return Write::create(key, body(&mut random));
            }
            if random.one_in(4) {
                live[number] = false;
                return Write::delete(key);
            }
            Write::update(key, body(&mut random))
        });
        answers.extend(store.write_batch(writes.collect()).unwrap());
    }
    answers
}

/// Another writer may have been faster: then nothing was written.
fn write_shared(store: &Store, random: &mut Random) -> Option<Revision> {
    let number = random.below(SHARED_KEYS);
    let key = key(&format!("s{number}"), number);
    let write = match random.below(4) {
        0 => Write::create(key, body(random)),
        1 => Write::delete(key),
        _ => Write::update(key, body(random)),
    };
    store.write(write).ok()
}

/// How a watcher reads.
#[derive(Clone, Copy, Debug)]
enum Style {
    /// Blocks for every event.
    Block,
    /// Asks again and again.
    Poll,
    /// Leaves a waker and sleeps.
    Wake,
    /// The same, but looks at what is there without keeping it, and breaks off here and there.
    Visit,
    /// Rests after some events and falls behind the ring.
    Slow,
    /// Gives up its watch after some events and resumes with a new one.
    Resume,
}

const STYLES: [Style; 7] = [
    Style::Block,
    Style::Poll,
    Style::Wake,
    Style::Slow,
    Style::Resume,
    Style::Visit,
    Style::Visit,
];

const LENSES: [Lens; 8] = [
    Lens::All,
    Lens::Namespace("a"),
    Lens::All,
    Lens::Tier("a"),
    Lens::All,
    Lens::NotTier("b"),
    Lens::All,
    Lens::Name("w1n3"),
];

/// Wakes a thread that has parked itself.
struct Bell {
    rung: AtomicBool,
    thread: Thread,
}

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Bell {
            rung: AtomicBool::new(false),
            thread: std::thread::current(),
        })
    }

    /// Sleeps until it rings.
    fn wait(&self) {
        while !self.rung.swap(false, Ordering::SeqCst) {
            let start = std::time::Instant::now();
            std::thread::park_timeout(WATCHDOG);
            assert!(start.elapsed() < WATCHDOG, "a wake-up was lost");
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// One copy of each revision: a million events read from disk would hold a million.
#[derive(Default)]
struct Pool {
    revisions: Mutex<HashMap<Version, Revision>>,
}

impl Pool {
    /// The event, with the copy that others have if it is equal.
    fn share(&self, mut event: Event) -> Event {
        let mut revisions = self.revisions.lock().unwrap();
        let known = revisions.entry(event.object.version());
        let known = known.or_insert_with(|| event.object.clone());
        if *known == event.object {
            event.object = known.clone();
        }
        event
    }
}

/// A watcher at work.
struct Reader<'a> {
    store: &'a Store,
    pool: &'a Pool,
    watch: Watch,
    style: Style,
    random: Random,
    bell: Arc<Bell>,
    seen: Seen,
    /// How often it was found behind the ring.
    behind: u64,
}

impl<'a> Reader<'a> {
    fn new(store: &'a Store, pool: &'a Pool, number: usize) -> Self {
        let mut random = Random::new(1_000 + number as u64);
        let lens = LENSES[number % LENSES.len()];
        // Half of them start at the beginning, the others where the log is, or was.
        let head = store.snapshot().unwrap().version().get();
        let start = if number.is_multiple_of(2) {
            Version::ZERO
        } else {
            Version::new(random.next() % (head + 1))
        };
        Reader {
            store,
            pool,
            watch: watch(store, lens, start),
            style: STYLES[number % STYLES.len()],
            random,
            bell: Bell::new(),
            seen: Seen::new(lens, start),
            behind: 0,
        }
    }

    /// Reads until the store is closed and everything was handed out.
    fn run(mut self) -> (Seen, u64) {
        loop {
            self.behind += u64::from(self.watch.is_behind());
            match self.next() {
                Ok(Some(event)) => self.seen.events.push(self.pool.share(event)),
                Ok(None) => {}
                Err(Error::Closed) => break,
                Err(error) => panic!("{error}"),
            }
            if self.random.one_in(50) {
                self.pause();
            }
        }
        self.bookmark();
        (self.seen, self.behind)
    }

    fn next(&mut self) -> Result<Option<Event>, Error> {
        match self.style {
            Style::Block => self.watch.next().unwrap_or(Err(Error::Closed)).map(Some),
            Style::Slow | Style::Resume => self.watch.next_timeout(Duration::from_millis(5)),
            Style::Poll => {
                // Who is told that there is nothing must have missed nothing.
                if self.watch.is_caught_up() {
                    std::thread::yield_now();
                    return Ok(None);
                }
                let event = self.watch.try_next();
                if event == Ok(None) {
                    std::thread::yield_now();
                }
                event
            }
            Style::Visit => self.visit().map(|()| None),
            Style::Wake => {
                let event = self.watch.try_next()?;
                if event.is_none() {
                    sleep_until_ready(&mut self.watch, &self.bell);
                }
                Ok(event)
            }
        }
    }

    fn visit(&mut self) -> Result<(), Error> {
        let (random, pool, events) = (&mut self.random, self.pool, &mut self.seen.events);
        let more = self.watch.visit(|sight| {
            events.push(pool.share(sight.to_event()));
            if random.one_in(7) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if !more {
            sleep_until_ready(&mut self.watch, &self.bell);
        }
        Ok(())
    }

    fn pause(&mut self) {
        self.bookmark();
        match self.style {
            Style::Slow => std::thread::sleep(Duration::from_millis(2)),
            Style::Resume => {
                let version = self.watch.version();
                self.seen.resumes.push((self.seen.events.len(), version));
                self.watch = watch(self.store, self.seen.lens, version);
            }
            Style::Block | Style::Poll | Style::Wake | Style::Visit => {}
        }
    }

    fn bookmark(&mut self) {
        let bookmark = (self.seen.events.len(), self.watch.version());
        self.seen.bookmarks.push(bookmark);
    }
}

fn watch(store: &Store, lens: Lens, after: Version) -> Watch {
    store
        .watch(lens.collection(), lens.filter(), after)
        .unwrap()
}

fn sleep_until_ready(watch: &mut Watch, bell: &Arc<Bell>) {
    let waker = Waker::from(Arc::clone(bell));
    if watch.poll_ready(&mut Context::from_waker(&waker)) == Poll::Pending {
        bell.wait();
    }
}

#[test]
fn every_watcher_passes_the_nine_checks() {
    let (store, pool) = (open(8), Pool::default());
    let (answers, seen) = std::thread::scope(|scope| {
        let (store, pool) = (&store, &pool);
        let reader = |number| scope.spawn(move || Reader::new(store, pool, number).run());
        let early: Vec<_> = (0..WATCHERS / 2).map(reader).collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|id| scope.spawn(move || write_much(store, id)))
            .collect();
        let late: Vec<_> = (WATCHERS / 2..WATCHERS).map(reader).collect();
        let answers: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        // Before a failed writer is reported: the readers end only with the store.
        store.close();
        let answers = answers.into_iter().flat_map(Result::unwrap).collect();
        let readers = early.into_iter().chain(late);
        let seen: Vec<_> = readers.map(|reader| reader.join().unwrap()).collect();
        (answers, seen)
    });
    let truth = Truth::new(answers);
    let mut events = 0;
    for (seen, _) in &seen {
        events += truth.validate(seen);
        assert_eq!(seen.bookmarks.last().unwrap().1, truth.head());
    }
    assert!(events >= EVENTS_MIN, "only {events} events");
    let behind = seen.iter().filter(|(_, behind)| *behind > 0).count();
    assert!(
        behind > WATCHERS / 4,
        "only {behind} watchers fell behind the ring"
    );
    println!("{events} events, {behind} watchers fell behind");
}

/// They have more before them than a topic remembers: the planted bug is that it does not say so.
#[test]
#[cfg_attr(feature = "canary", should_panic)]
fn watchers_that_never_read_hold_up_nobody_and_still_miss_nothing() {
    let store = open(4);
    let idle: Vec<Watch> = (0..100)
        .map(|number| watch(&store, LENSES[number % LENSES.len()], Version::ZERO))
        .collect();
    let truth = Truth::new(write_much(&store, 0));
    for (number, mut watch) in idle.into_iter().enumerate() {
        let mut seen = Seen::new(LENSES[number % LENSES.len()], Version::ZERO);
        assert!(watch.is_behind(), "the ring has not forgotten");
        while let Some(event) = watch.try_next().unwrap() {
            seen.events.push(event);
        }
        truth.validate(&seen);
    }
}
