//! Delivery of revisions to 1, 100 and 1,000 watchers, read by one thread as a server's would:
//! the shared ring with a cursor each, beside a channel for each watcher.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use annals::{Collection, Filter, Key, Options, Revision, Store, Watch, Write};
use annals_bench::{KIND, body, name, print_ratio};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

/// How many revisions are published before they are read.
const WAVE: u64 = 64;

fn batch(round: u64) -> Vec<Write> {
    let numbers = round * WAVE..(round + 1) * WAVE;
    let write = |number| {
        let key = Key::new(KIND.0, KIND.1, "default", &name(number)).expect("a key");
        Write::create(key, body(number))
    };
    numbers.map(write).collect()
}

/// Time to hand `WAVE` revisions to every watcher, the commit itself not counted.
fn ring(watchers: usize, rounds: u64) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), Options::new().index(false)).expect("a store");
    let start = store.snapshot().expect("a state").version();
    let collection = Collection::of(KIND.0, KIND.1).expect("a collection");
    let watch = |_| {
        store
            .watch(collection.clone(), Filter::default(), start)
            .expect("a watch")
    };
    let mut watches: Vec<Watch> = (0..watchers).map(watch).collect();
    let mut spent = Duration::ZERO;
    for round in 0..rounds {
        store.write_batch(batch(round)).expect("a batch");
        let begun = Instant::now();
        for watch in &mut watches {
            let mut seen = 0;
            while let Some(event) = watch.try_next().expect("an event") {
                seen += u64::from(event.object.version().get() > 0);
            }
            assert_eq!(seen, WAVE);
        }
        spent += begun.elapsed();
    }
    spent
}

/// The same revisions through a bounded channel for each watcher.
fn channels(watchers: usize, rounds: u64) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), Options::new().index(false)).expect("a store");
    type Pair = (SyncSender<Revision>, Receiver<Revision>);
    let pairs: Vec<Pair> = (0..watchers).map(|_| sync_channel(WAVE as usize)).collect();
    let mut spent = Duration::ZERO;
    for round in 0..rounds {
        let revisions = store.write_batch(batch(round)).expect("a batch");
        let begun = Instant::now();
        for revision in &revisions {
            for (sender, _) in &pairs {
                sender.send(revision.clone()).expect("a watcher");
            }
        }
        for (_, receiver) in &pairs {
            let mut seen = 0;
            while let Ok(revision) = receiver.try_recv() {
                seen += u64::from(revision.version().get() > 0);
            }
            assert_eq!(seen, WAVE);
        }
        spent += begun.elapsed();
    }
    spent
}

fn deliver(criterion: &mut Criterion) {
    for watchers in [1, 100, 1_000] {
        let title = format!("deliver {WAVE} revisions to {watchers} watchers");
        let mut group = criterion.benchmark_group(&title);
        group
            .sample_size(10)
            .measurement_time(Duration::from_secs(3));
        group.bench_function(BenchmarkId::from_parameter("annals"), |bencher| {
            bencher.iter_custom(|rounds| ring(watchers, rounds));
        });
        group.bench_function(BenchmarkId::from_parameter("channels"), |bencher| {
            bencher.iter_custom(|rounds| channels(watchers, rounds));
        });
        group.finish();
        print_ratio(&title, "annals", "channels");
    }
}

criterion_group!(benches, deliver);
criterion_main!(benches);
