//! Lists by label over 100,000 objects of 1 KiB: from the index of labels beside the same list by
//! walking over the objects, for labels that few or many have; and what the index costs a create.

use std::time::{Duration, Instant};

use annals::{Collection, Filter, Key, List, Options, Store, Write};
use annals_bench::{KIND, body, name, print_ratio};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const OBJECTS: u64 = 100_000;
const PAGE: usize = 500;
/// Labels, each on one of so many objects.
const SHARES: [u64; 5] = [1_000, 100, 10, 3, 1];

/// An object whose metadata has this, with two labels or two annotations of the same length.
fn object(number: u64, field: &str, more: &str) -> Vec<u8> {
    let text = String::from_utf8(body(number)).expect("a text");
    let (front, back) = text.split_once("\"labels\":{").expect("labels");
    let (_, back) = back.split_once("\"annotations\":{").expect("annotations");
    let (_, back) = back.split_once('}').expect("an end");
    let (app, tier) = (number % 10, number % 3);
    format!(r#"{front}"{field}":{{"app":"a{app}","tier":"t{tier}"{more}}}{back}"#).into_bytes()
}

fn key(number: u64) -> Key {
    Key::new(KIND.0, KIND.1, "default", &name(number)).expect("a key")
}

fn open(folder: &std::path::Path) -> Store {
    let options = Options::new().index(false).cache_bytes(1 << 30);
    Store::open(folder, options).expect("a store")
}

/// Creates objects with or without labels, a thousand in a batch.
fn create(store: &Store, batch: u64, field: &str, more: impl Fn(u64) -> String) {
    let numbers = batch * 1000..(batch + 1) * 1000;
    let writes = numbers.map(|n| Write::create(key(n), object(n, field, &more(n))));
    store.write_batch(writes.collect()).expect("a batch");
}

fn select(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    for batch in 0..OBJECTS / 1000 {
        create(&store, batch, "labels", |number| {
            let shares = SHARES.into_iter().filter(|share| number % share == 0);
            shares
                .map(|share| format!(r#","in{share}":"yes""#))
                .collect()
        });
    }
    // What is closed is in the tables.
    drop(store);
    let store = open(folder.path());
    let collection = Collection::within(KIND.0, KIND.1, "default").expect("a collection");
    let list = |selector: &str| {
        let filter = Filter {
            labels: selector.parse().expect("a selector"),
            ..Filter::default()
        };
        let list = List::new(collection.clone()).filter(filter).limit(PAGE);
        let page = store.snapshot().expect("a state").list(&list);
        page.expect("a page").items.len()
    };
    for share in SHARES {
        let title = format!("list of up to {PAGE} by a label that 1 of {share} has");
        let mut group = criterion.benchmark_group(&title);
        group
            .sample_size(20)
            .measurement_time(Duration::from_secs(3));
        // That a label is there is not asked of the index.
        for (way, selector) in [
            ("index", format!("in{share}=yes")),
            ("scan", format!("in{share}")),
        ] {
            assert!(list(&selector) > 0);
            group.bench_function(BenchmarkId::from_parameter(way), |bencher| {
                bencher.iter(|| list(&selector));
            });
        }
        group.finish();
        print_ratio(&title, "index", "scan");
    }
}

fn cost(criterion: &mut Criterion) {
    let title = "a thousand creates, and their way into the tables";
    let mut group = criterion.benchmark_group(title);
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(20));
    for (way, field) in [("2 labels", "labels"), ("none", "annotations")] {
        group.bench_function(BenchmarkId::from_parameter(way), |bencher| {
            bencher.iter_custom(|batches| {
                let folder = tempfile::tempdir().expect("a folder");
                let store = open(folder.path());
                let start = Instant::now();
                for batch in 0..batches {
                    create(&store, batch, field, |_| String::new());
                }
                drop(store);
                start.elapsed()
            });
        });
    }
    group.finish();
    print_ratio(title, "2 labels", "none");
}

criterion_group!(benches, select, cost);
criterion_main!(benches);
