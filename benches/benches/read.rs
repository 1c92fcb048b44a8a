//! Point reads and list pages over 100,000 objects: the store beside raw redb, which keeps the
//! value in its current table. Both may cache a gibibyte, redb's default.

use std::time::Duration;

use annals::{Collection, Key, List, Options, Store, Write};
use annals_bench::{KIND, body, name, print_ratio};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

const CURRENT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("current");
const OBJECTS: u64 = 100_000;
const PAGE: usize = 500;

fn fill(folder: &std::path::Path) -> (Store, Database) {
    let open = || {
        let options = Options::new().index(false).cache_bytes(1 << 30);
        Store::open(folder.join("annals"), options).expect("a store")
    };
    let store = open();
    let database = Database::create(folder.join("raw.redb")).expect("a file");
    for start in (0..OBJECTS).step_by(1000) {
        let numbers = start..start + 1000;
        let batch = numbers.clone().map(|number| {
            let key = Key::new(KIND.0, KIND.1, "default", &name(number)).expect("a key");
            Write::create(key, body(number))
        });
        store.write_batch(batch.collect()).expect("a batch");
        let transaction = database.begin_write().expect("a transaction");
        {
            let mut current = transaction.open_table(CURRENT).expect("a table");
            for number in numbers {
                current
                    .insert(name(number).as_str(), body(number).as_slice())
                    .expect("a write");
            }
        }
        transaction.commit().expect("a commit");
    }
    // What is closed is in the tables.
    drop(store);
    (open(), database)
}

fn read(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, database) = fill(folder.path());

    let mut group = criterion.benchmark_group("get");
    group.measurement_time(Duration::from_secs(5));
    let mut number = 0;
    let mut next = || {
        number = (number + 7919) % OBJECTS;
        name(number)
    };
    group.bench_function(BenchmarkId::from_parameter("annals"), |bencher| {
        bencher.iter(|| {
            let key = Key::new(KIND.0, KIND.1, "default", &next()).expect("a key");
            store
                .snapshot()
                .expect("a state")
                .get(&key)
                .expect("a read")
                .expect("an object")
        });
    });
    group.bench_function(BenchmarkId::from_parameter("raw redb"), |bencher| {
        bencher.iter(|| {
            let transaction = database.begin_read().expect("a transaction");
            let table = transaction.open_table(CURRENT).expect("a table");
            let value = ReadableTable::get(&table, next().as_str()).expect("a read");
            value.expect("an object").value().to_vec()
        });
    });
    group.finish();
    print_ratio("get", "annals", "raw redb");

    let title = format!("list page of {PAGE}");
    let mut group = criterion.benchmark_group(&title);
    group.measurement_time(Duration::from_secs(5));
    let collection = Collection::within(KIND.0, KIND.1, "default").expect("a collection");
    group.bench_function(BenchmarkId::from_parameter("annals"), |bencher| {
        bencher.iter(|| {
            let after = Key::new(KIND.0, KIND.1, "default", &next()).expect("a key");
            let list = List::new(collection.clone()).limit(PAGE).after(Some(after));
            store
                .snapshot()
                .expect("a state")
                .list(&list)
                .expect("a page")
                .items
                .len()
        });
    });
    group.bench_function(BenchmarkId::from_parameter("raw redb"), |bencher| {
        bencher.iter(|| {
            let transaction = database.begin_read().expect("a transaction");
            let table = transaction.open_table(CURRENT).expect("a table");
            let range = ReadableTable::range::<&str>(&table, next().as_str()..).expect("a range");
            range
                .take(PAGE)
                .map(|entry| entry.expect("a read").1.value().to_vec())
                .collect::<Vec<_>>()
        });
    });
    group.finish();
    print_ratio(&title, "annals", "raw redb");
}

criterion_group!(benches, read);
criterion_main!(benches);
