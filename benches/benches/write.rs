//! Durable creates by 1, 8 and 64 callers: the store beside raw redb doing the obvious thing, a
//! group commit of the value into a current and a history table, with redb's defaults.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use annals::{Key, Options, Store, Write};
use annals_bench::{KIND, body, name, print_ratio, with_callers};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use redb::{Database, ReadableTable, TableDefinition};

const CURRENT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("current");
const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");

type Job = (String, Vec<u8>, SyncSender<()>);

/// A queue and one committing thread over redb.
struct Raw {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Raw {
    fn open(folder: &std::path::Path) -> Raw {
        let database = Database::create(folder.join("raw.redb")).expect("a new file");
        let (jobs, waiting) = sync_channel::<Job>(4096);
        let thread = std::thread::spawn(move || {
            let mut version = 0;
            while let Ok(first) = waiting.recv() {
                let wave: Vec<Job> = std::iter::once(first)
                    .chain(waiting.try_iter().take(1023))
                    .collect();
                let transaction = database.begin_write().expect("a transaction");
                {
                    let mut current = transaction.open_table(CURRENT).expect("a table");
                    let mut history = transaction.open_table(HISTORY).expect("a table");
                    for (name, body, _) in &wave {
                        // A create looks whether the name is taken.
                        assert!(current.get(name.as_str()).expect("a read").is_none());
                        version += 1;
                        current
                            .insert(name.as_str(), body.as_slice())
                            .expect("a write");
                        history.insert(version, body.as_slice()).expect("a write");
                    }
                }
                transaction.commit().expect("a commit");
                wave.into_iter()
                    .for_each(|(_, _, done)| done.send(()).expect("a caller"));
            }
        });
        Raw {
            jobs: Some(jobs),
            thread: Some(thread),
        }
    }

    fn create(&self, number: u64) {
        let (done, wait) = sync_channel(1);
        let jobs = self.jobs.as_ref().expect("open");
        jobs.send((name(number), body(number), done))
            .expect("the thread");
        wait.recv().expect("an answer");
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.jobs.take();
        self.thread.take().map(JoinHandle::join);
    }
}

fn durable_create(criterion: &mut Criterion) {
    for callers in [1, 8, 64] {
        let title = format!("durable create 1 KiB, {callers} callers");
        let mut group = criterion.benchmark_group(&title);
        group
            .sample_size(10)
            .measurement_time(Duration::from_secs(5));
        group.bench_function(BenchmarkId::from_parameter("annals"), |bencher| {
            bencher.iter_custom(|total| {
                let folder = tempfile::tempdir().expect("a folder");
                let store =
                    Store::open(folder.path(), Options::new().index(false)).expect("a store");
                with_callers(callers, total, |number| {
                    let key = Key::new(KIND.0, KIND.1, "default", &name(number)).expect("a key");
                    store
                        .write(Write::create(key, body(number)))
                        .expect("a write");
                })
            });
        });
        group.bench_function(BenchmarkId::from_parameter("raw redb"), |bencher| {
            bencher.iter_custom(|total| {
                let folder = tempfile::tempdir().expect("a folder");
                let raw = Raw::open(folder.path());
                with_callers(callers, total, |number| raw.create(number))
            });
        });
        group.finish();
        print_ratio(&title, "annals", "raw redb");
    }
}

criterion_group!(benches, durable_create);
criterion_main!(benches);
