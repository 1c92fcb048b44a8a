//! Watching at scale, beside a channel for each watcher.
//!
//! - publish: what a write costs while nobody watches, and while 10,000 watchers of 1,000 other
//!   namespaces sleep;
//! - deliver: events read by 1 to 10,000 watchers of the same objects, on one thread and on two.
//!   An event is delivered when the watcher's thread has read its key and version;
//! - wake: the same from the write on: each watcher sleeps until it is woken.
//!
//! The files are in memory: what a disk costs would hide what a watcher does.

use std::hint::black_box;
use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, RwLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use annals::{Collection, Filter, Key, Media, Options, Revision, Store, Volume, Watch, Write};
use annals_bench::{KIND, body, name, print_ratio};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crossbeam::channel;

/// How many revisions are published before they are read.
const WAVE: u64 = 64;
/// Watchers that sleep while others write, and how many namespaces they watch.
const SLEEPERS: usize = 10_000;
const NAMESPACES: usize = 1_000;

/// Files in memory.
#[derive(Debug, Default)]
struct Memory;

#[derive(Debug, Default)]
struct MemoryFile(RwLock<Vec<u8>>);

impl Volume for Memory {
    fn open(self: Arc<Self>, _name: &str) -> io::Result<Arc<dyn Media>> {
        Ok(Arc::new(MemoryFile::default()))
    }
}

impl Media for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.read().expect("a lock").len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).expect("an offset");
        out.copy_from_slice(&self.0.read().expect("a lock")[at..at + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).expect("a length");
        self.0.write().expect("a lock").resize(len, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).expect("an offset");
        let mut bytes = self.0.write().expect("a lock");
        if bytes.len() < at + data.len() {
            bytes.resize(at + data.len(), 0);
        }
        bytes[at..at + data.len()].copy_from_slice(data);
        Ok(())
    }
}

fn open() -> Store {
    let options = Options::new().index(false).cache_bytes(64 << 20);
    Store::open_on(Arc::new(Memory), options).expect("a store")
}

fn key(number: u64) -> Key {
    Key::new(KIND.0, KIND.1, "default", &name(number)).expect("a key")
}

fn batch(round: u64) -> Vec<Write> {
    let numbers = round * WAVE..(round + 1) * WAVE;
    numbers
        .map(|number| Write::create(key(number), body(number)))
        .collect()
}

/// What this selector chooses: everything, if it is empty.
fn filter(selector: &str) -> Filter {
    Filter {
        labels: selector.parse().expect("a selector"),
        ..Filter::default()
    }
}

fn watches(store: &Store, count: usize, filter: &Filter) -> Vec<Watch> {
    let start = store.snapshot().expect("a state").version();
    let collection = Collection::of(KIND.0, KIND.1).expect("a collection");
    let watch = |_| store.watch(collection.clone(), filter.clone(), start);
    (0..count)
        .map(watch)
        .collect::<Result<_, _>>()
        .expect("watches")
}

/// Runs the work of each part on a thread of its own; a single part runs here.
fn on_threads<T: Send>(parts: Vec<&mut [T]>, work: impl Fn(&mut T) + Sync) {
    let work = &work;
    let mut parts = parts.into_iter();
    let own = parts.next();
    std::thread::scope(|scope| {
        for part in parts {
            scope.spawn(move || part.iter_mut().for_each(work));
        }
        own.into_iter().flatten().for_each(work);
    });
}

/// Cuts a list into so many parts.
fn cut<T>(list: &mut [T], parts: usize) -> Vec<&mut [T]> {
    list.chunks_mut(list.len().div_ceil(parts)).collect()
}

/// Reads all there is; answers how many events.
fn drain(watch: &mut Watch) -> u64 {
    let mut seen = 0;
    let mut more = true;
    while more {
        let visit = watch.visit(|sight| {
            black_box((sight.object.key(), sight.version));
            seen += 1;
            ControlFlow::Continue(())
        });
        more = visit.expect("events");
    }
    seen
}

/// Time to hand `WAVE` revisions to every watcher, the commit itself not counted.
fn ring((watchers, threads): (usize, usize), selector: &str, rounds: u64) -> Duration {
    let store = open();
    let mut watches = watches(&store, watchers, &filter(selector));
    let mut spent = Duration::ZERO;
    for round in 0..rounds {
        store.write_batch(batch(round)).expect("a batch");
        let begun = Instant::now();
        on_threads(cut(&mut watches, threads), |watch| {
            assert_eq!(drain(watch), WAVE);
        });
        spent += begun.elapsed();
    }
    spent
}

/// A channel of either make.
trait Pipe: Sync + Sized {
    type End: Send;
    fn new(size: usize) -> (Self, Self::End);
    fn put(&self, revision: Revision);
    fn take(end: &mut Self::End) -> Option<Revision>;
}

impl Pipe for mpsc::SyncSender<Revision> {
    type End = mpsc::Receiver<Revision>;

    fn new(size: usize) -> (Self, Self::End) {
        mpsc::sync_channel(size)
    }

    fn put(&self, revision: Revision) {
        self.send(revision).expect("a watcher");
    }

    fn take(end: &mut Self::End) -> Option<Revision> {
        end.try_recv().ok()
    }
}

impl Pipe for channel::Sender<Revision> {
    type End = channel::Receiver<Revision>;

    fn new(size: usize) -> (Self, Self::End) {
        channel::bounded(size)
    }

    fn put(&self, revision: Revision) {
        self.send(revision).expect("a watcher");
    }

    fn take(end: &mut Self::End) -> Option<Revision> {
        end.try_recv().ok()
    }
}

/// Reads all there is; answers how many revisions.
fn empty<P: Pipe>(end: &mut P::End) -> u64 {
    let mut seen = 0;
    while let Some(revision) = P::take(end) {
        black_box((revision.key(), revision.version()));
        seen += 1;
    }
    seen
}

/// The same revisions through a bounded channel for each watcher.
fn channels<P: Pipe>((watchers, threads): (usize, usize), rounds: u64) -> Duration {
    let store = open();
    let (pipes, mut ends): (Vec<P>, Vec<P::End>) =
        (0..watchers).map(|_| P::new(WAVE as usize)).unzip();
    let mut spent = Duration::ZERO;
    for round in 0..rounds {
        let revisions = store.write_batch(batch(round)).expect("a batch");
        let begun = Instant::now();
        for pipe in &pipes {
            revisions
                .iter()
                .for_each(|revision| pipe.put(revision.clone()));
        }
        on_threads(cut(&mut ends, threads), |end| {
            assert_eq!(empty::<P>(end), WAVE);
        });
        spent += begun.elapsed();
    }
    spent
}

/// Puts the number of a watcher that was woken on a list.
struct Alarm {
    number: usize,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.woken.lock().expect("a lock").push(self.number);
    }
}

/// Time from the write to the last delivery, with a wake-up for every watcher.
fn ring_woken(watchers: usize, rounds: u64) -> Duration {
    let store = open();
    let woken = Arc::new(Mutex::new(Vec::new()));
    let wakers: Vec<Waker> = (0..watchers)
        .map(|number| {
            Arc::new(Alarm {
                number,
                woken: Arc::clone(&woken),
            })
            .into()
        })
        .collect();
    let mut watches = watches(&store, watchers, &Filter::default());
    let sleep = |watch: &mut Watch, waker: &Waker| {
        assert_eq!(
            watch.poll_ready(&mut Context::from_waker(waker)),
            Poll::Pending
        );
    };
    for (watch, waker) in watches.iter_mut().zip(&wakers) {
        sleep(watch, waker);
    }
    let mut spent = Duration::ZERO;
    for round in 0..rounds {
        let writes = batch(round);
        let begun = Instant::now();
        store.write_batch(writes).expect("a batch");
        let up = std::mem::take(&mut *woken.lock().expect("a lock"));
        assert_eq!(up.len(), watchers);
        for number in up {
            assert_eq!(drain(&mut watches[number]), WAVE);
            sleep(&mut watches[number], &wakers[number]);
        }
        spent += begun.elapsed();
    }
    spent
}

/// The same with a channel and a waker for each watcher.
fn channels_woken(watchers: usize, rounds: u64) -> Duration {
    type Line = channel::Sender<Revision>;
    let store = open();
    let woken = Arc::new(Mutex::new(Vec::new()));
    let wakers: Vec<Waker> = (0..watchers)
        .map(|number| {
            Arc::new(Alarm {
                number,
                woken: Arc::clone(&woken),
            })
            .into()
        })
        .collect();
    let mut lines: Vec<_> = (0..watchers)
        .map(|_| <Line as Pipe>::new(WAVE as usize))
        .collect();
    let mut spent = Duration::ZERO;
    for round in 0..rounds {
        let writes = batch(round);
        let begun = Instant::now();
        let revisions = store.write_batch(writes).expect("a batch");
        for ((line, _), waker) in lines.iter().zip(&wakers) {
            revisions
                .iter()
                .for_each(|revision| line.put(revision.clone()));
            waker.wake_by_ref();
        }
        let up = std::mem::take(&mut *woken.lock().expect("a lock"));
        for number in up {
            assert_eq!(empty::<Line>(&mut lines[number].1), WAVE);
        }
        spent += begun.elapsed();
    }
    spent
}

fn deliver(criterion: &mut Criterion) {
    for size in [
        (1, 1),
        (100, 1),
        (1_000, 1),
        (10_000, 1),
        (1_000, 2),
        (10_000, 2),
    ] {
        let (watchers, threads) = size;
        let title = format!("deliver {WAVE} to {watchers} watchers on {threads} threads");
        let mut group = criterion.benchmark_group(&title);
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2))
            .throughput(Throughput::Elements(WAVE * watchers as u64));
        group.bench_function(BenchmarkId::from_parameter("annals"), |bencher| {
            bencher.iter_custom(|rounds| ring(size, "", rounds));
        });
        group.bench_function(BenchmarkId::from_parameter("annals selector"), |bencher| {
            bencher.iter_custom(|rounds| ring(size, "app,tier!=none", rounds));
        });
        group.bench_function(BenchmarkId::from_parameter("crossbeam"), |bencher| {
            bencher.iter_custom(|rounds| channels::<channel::Sender<Revision>>(size, rounds));
        });
        group.bench_function(BenchmarkId::from_parameter("std"), |bencher| {
            bencher.iter_custom(|rounds| channels::<mpsc::SyncSender<Revision>>(size, rounds));
        });
        group.finish();
        for ours in ["annals", "annals selector"] {
            print_ratio(&title, ours, "crossbeam");
            print_ratio(&title, ours, "std");
        }
    }
}

fn wake(criterion: &mut Criterion) {
    for watchers in [100, 10_000] {
        let title = format!("write {WAVE}, wake and deliver to {watchers} watchers");
        let mut group = criterion.benchmark_group(&title);
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2))
            .throughput(Throughput::Elements(WAVE * watchers as u64));
        group.bench_function(BenchmarkId::from_parameter("annals"), |bencher| {
            bencher.iter_custom(|rounds| ring_woken(watchers, rounds));
        });
        group.bench_function(BenchmarkId::from_parameter("crossbeam"), |bencher| {
            bencher.iter_custom(|rounds| channels_woken(watchers, rounds));
        });
        group.finish();
        print_ratio(&title, "annals", "crossbeam");
    }
}

/// Sleeping watchers of other namespaces than the one that is written.
fn sleepers(store: &Store) -> Vec<Watch> {
    let waker = Waker::noop();
    let start = store.snapshot().expect("a state").version();
    let sleeper = |number: usize| {
        let namespace = format!("other-{}", number % NAMESPACES);
        let collection = Collection::within(KIND.0, KIND.1, &namespace).expect("a collection");
        let watch = store.watch(collection, Filter::default(), start);
        let mut watch = watch.expect("a watch");
        assert!(
            watch
                .poll_ready(&mut Context::from_waker(waker))
                .is_pending()
        );
        watch
    };
    (0..SLEEPERS).map(sleeper).collect()
}

/// Writes this wave, in batches of this size.
fn write(store: &Store, wave: u64, size: u64) -> Duration {
    let mut writes = batch(wave);
    let begun = Instant::now();
    while !writes.is_empty() {
        let rest = writes.split_off(size as usize);
        store.write_batch(writes).expect("a write");
        writes = rest;
    }
    begun.elapsed()
}

/// One store, written in turns while the sleepers are its own and while they are another store's,
/// so that the heap is the same. The median of many pairs says more than two runs one after the
/// other, because the machine is never as quiet as five per cent.
fn publish(_: &mut Criterion) {
    const PAIRS: u64 = 100;
    const WAVES: u64 = 5;
    for size in [1, WAVE] {
        let (store, other) = (open(), open());
        let mut wave = 0;
        let mut time = |watched: bool| {
            let held = sleepers(if watched { &store } else { &other });
            // The first is not counted: making the sleepers has emptied the caches.
            let times: Vec<Duration> = (wave..wave + WAVES)
                .map(|wave| write(&store, wave, size))
                .collect();
            wave += WAVES;
            drop(held);
            times[1..].iter().sum::<Duration>().as_secs_f64()
        };
        let mut ratios: Vec<f64> = (0..PAIRS)
            .map(|pair| {
                // Neither is always the first.
                let first = time(pair % 2 == 0);
                let second = time(pair % 2 == 1);
                if pair % 2 == 0 {
                    first / second
                } else {
                    second / first
                }
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        let median = ratios[ratios.len() / 2];
        println!(
            "RATIO publish by {size}: with {SLEEPERS} sleeping watchers of others a write takes \
             {median:.3}x the time"
        );
    }
}

criterion_group!(benches, publish, deliver, wake);
criterion_main!(benches);
