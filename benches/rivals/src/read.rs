//! Reads of a million objects: one by its key, and a page of a list, beside a raw get and a raw
//! range scan of redb with the same bytes in its current table.
//!
//! Both may keep as much in memory. Twice: with keys from everywhere, so that the memory does not
//! hold what is read, and with keys of a hundredth of the objects, as those are read that are in
//! use.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use annals::{Collection, List, Store, Write};
use redb::{Database, ReadableDatabase, ReadableTable};

use crate::Asked;
use crate::objects::{self, Text};
use crate::report::{Cell, Report};
use crate::slices::{Sample, cpu_seconds, slice};
use crate::{own, raw};

/// The size of an object.
const BYTES: usize = 1024;
/// How many objects a page has.
const PAGE: usize = 500;

/// How many pages are read again and again.
const LISTS: u64 = 20;

/// One call of a workload.
type Call<'a> = &'a (dyn Fn(u64) + Sync);

pub(crate) fn run(asked: &Asked, report: &mut Report) {
    let folder = tempfile::tempdir_in(&asked.folder).expect("a directory");
    let objects = asked.number("objects", 1_000_000);
    let cache = usize::try_from(asked.number("cache-mib", 1024)).expect("a size") << 20;
    let (store, database) = fill(folder.path(), objects, cache);
    let hot = (objects / 100).max(1);
    let get = |number| get(&store, number);
    let raw_get = |number| raw_get(&database, number);
    let wanted = |what| asked.text("only").is_none_or(|only| only == what);
    for (title, among) in [("all", objects), ("a hundredth", hot)] {
        for callers in [1, 2].into_iter().filter(|_| wanted("get")) {
            let pick = |number| objects::scatter(number) % among;
            let title = format!("get of {title} of {objects} objects, {callers} callers");
            let calls: [(&str, Call<'_>); 2] = [
                ("annals", &|number| get(pick(number))),
                ("redb", &|number| raw_get(pick(number))),
            ];
            compare(&title, callers, calls, asked, report);
        }
    }
    for callers in [1, 2].into_iter().filter(|_| wanted("list")) {
        let title = format!("list of {PAGE} of {objects} objects, {callers} callers");
        let calls: [(&str, Call<'_>); 2] = [
            ("annals", &|number| list(&store, number % objects)),
            ("redb", &|number| raw_list(&database, number % objects)),
        ];
        compare(&title, callers, calls, asked, report);
    }
    if wanted("list") {
        let title = format!("list of {PAGE}, one of {LISTS}, of {objects} objects, 1 callers");
        let pick = |number| objects::scatter(number) % LISTS;
        let calls: [(&str, Call<'_>); 2] = [
            ("annals", &|number| list(&store, pick(number))),
            ("redb", &|number| raw_list(&database, pick(number))),
        ];
        compare(&title, 1, calls, asked, report);
    }
}

/// Slices of both in turn.
fn compare(
    title: &str,
    callers: usize,
    calls: [(&str, Call<'_>); 2],
    asked: &Asked,
    report: &mut Report,
) {
    let time = Duration::from_millis(asked.number("slice-ms", 1_000));
    let mut samples = [Sample::default(), Sample::default()];
    // Both are asked for the same keys.
    let counters = [AtomicU64::new(0), AtomicU64::new(0)];
    // One round more than is counted: the first fills what memory there is.
    for round in 0..=asked.number("rounds", 5) {
        for at in 0..2 {
            let call = calls[at].1;
            let make = || {
                let timed = move |number| {
                    let begun = Instant::now();
                    call(number);
                    begun.elapsed()
                };
                Box::new(timed) as Box<dyn FnMut(u64) -> Duration + Send>
            };
            let before = cpu_seconds(None);
            let mut sample = slice(callers, time, &counters[at], make);
            let spent = cpu_seconds(None) - before;
            sample.cpu = vec![spent * 1e6 / sample.calls.len() as f64];
            if round > 0 {
                samples[at].add(sample);
            }
        }
    }
    let cells = calls.iter().zip(&samples);
    let cells = cells.map(|((name, _), sample)| Cell::of(name, sample));
    report.row(title, cells.collect());
}

fn fill(folder: &std::path::Path, objects: u64, cache: usize) -> (Store, Database) {
    let store = own::open(&folder.join("annals"), cache);
    let database = raw::open(folder, cache);
    for start in (0..objects).step_by(1_000) {
        let numbers = start..(start + 1_000).min(objects);
        let body = |number| objects::body(number, 0, BYTES, Text::Words);
        let writes = numbers
            .clone()
            .map(|number| Write::create(own::key(number), body(number)));
        store.write_batch(writes.collect()).expect("a batch");
        let transaction = database.begin_write().expect("a transaction");
        {
            let mut current = transaction.open_table(raw::CURRENT).expect("a table");
            for number in numbers {
                let key = objects::key(number);
                current.insert(&*key, &*body(number)).expect("a write");
            }
        }
        transaction.commit().expect("a commit");
    }
    // What is closed is in the tables.
    drop(store);
    (own::open(&folder.join("annals"), cache), database)
}

fn get(store: &Store, number: u64) {
    let snapshot = store.snapshot().expect("a state");
    let found = snapshot.get(&own::key(number)).expect("a read");
    assert_eq!(found.expect("an object").body().len(), BYTES);
}

fn raw_get(database: &Database, number: u64) {
    let transaction = database.begin_read().expect("a transaction");
    let table = transaction.open_table(raw::CURRENT).expect("a table");
    let value = ReadableTable::get(&table, &*objects::key(number)).expect("a read");
    assert_eq!(value.expect("an object").value().to_vec().len(), BYTES);
}

fn list(store: &Store, number: u64) {
    let (group, resource) = annals_bench::KIND;
    let collection = Collection::within(group, resource, "default").expect("a collection");
    let list = List::new(collection)
        .limit(PAGE)
        .after(Some(own::key(number)));
    let page = store.snapshot().expect("a state").list(&list);
    assert!(
        page.expect("a page")
            .items
            .iter()
            .all(|item| item.body().len() == BYTES)
    );
}

fn raw_list(database: &Database, number: u64) {
    let transaction = database.begin_read().expect("a transaction");
    let table = transaction.open_table(raw::CURRENT).expect("a table");
    let range = ReadableTable::range::<&str>(&table, &*objects::key(number)..).expect("a range");
    let bodies: Vec<Vec<u8>> = range
        .skip(1)
        .take(PAGE)
        .map(|entry| entry.expect("a read").1.value().to_vec())
        .collect();
    assert!(bodies.iter().all(|body| body.len() == BYTES));
}
