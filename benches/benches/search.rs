//! Search and rebuild over 20,000 objects: the store's index beside raw tantivy with the same
//! words in three plain text fields.

use std::path::Path;
use std::time::{Duration, Instant};

use annals::search::{Query, Scope};
use annals::{Key, Kind, Options, Store, Write};
use annals_bench::{KIND, body, name, print_ratio};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tantivy::collector::{Count, TopDocs};
use tantivy::query::{BooleanQuery, Occur, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, STRING, Schema, TEXT};
use tantivy::{Index, TantivyDocument, Term};

const OBJECTS: u64 = 20_000;
const HITS: usize = 20;
/// A word that about one object in fifty holds.
const COMMON: &str = "w0";

fn options() -> Options {
    let kind = Kind {
        group: KIND.0.to_owned(),
        version: "v1".to_owned(),
        kind: "Thing".to_owned(),
        resource: KIND.1.to_owned(),
        search_fields: Vec::new(),
    };
    Options::new().kinds(vec![kind])
}

/// Opens the store and waits until its index reflects everything in it.
fn open(folder: &Path) -> Store {
    let store = Store::open(folder, options()).expect("a store");
    wait(&store);
    store
}

fn wait(store: &Store) {
    let newest = store.stats().expect("a state").version;
    while !store.index_report().reflects(newest) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn fill(folder: &Path) {
    let store = Store::open(folder, options().index(false)).expect("a store");
    for start in (0..OBJECTS).step_by(1000) {
        let write = |number| {
            let key = Key::new(KIND.0, KIND.1, "default", &name(number)).expect("a key");
            Write::create(key, body(number))
        };
        store
            .write_batch((start..start + 1000).map(write).collect())
            .expect("a batch");
    }
}

struct Raw {
    index: Index,
    fields: [Field; 3],
}

/// Parses and indexes the same objects with one thread.
fn build_raw(folder: &Path) -> Raw {
    let mut schema = Schema::builder();
    let fields = [
        schema.add_text_field("name", STRING),
        schema.add_text_field("title", TEXT),
        schema.add_text_field("description", TEXT),
    ];
    let index = Index::create_in_dir(folder, schema.build()).expect("an index");
    let mut writer = index
        .writer_with_num_threads(1, 64 << 20)
        .expect("a writer");
    for number in 0..OBJECTS {
        let object: serde_json::Value = serde_json::from_slice(&body(number)).expect("JSON");
        let mut document = TantivyDocument::default();
        document.add_text(fields[0], name(number));
        document.add_text(
            fields[1],
            object["spec"]["title"].as_str().expect("a title"),
        );
        document.add_text(
            fields[2],
            object["spec"]["description"].as_str().expect("a text"),
        );
        writer.add_document(document).expect("an added document");
    }
    writer.commit().expect("a commit");
    writer.wait_merging_threads().expect("merges");
    Raw { index, fields }
}

fn search(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path());
    let store = open(folder.path());
    let raw_folder = tempfile::tempdir().expect("a folder");
    let raw = build_raw(raw_folder.path());
    let searcher = raw.index.reader().expect("a reader").searcher();

    let words = (0..100u64)
        .map(|word| format!("{COMMON}{word:03x}"))
        .collect::<Vec<_>>();
    let title = "search one word, top 20 and total";
    let mut group = criterion.benchmark_group(title);
    let mut at = 0;
    let mut next = || {
        at = (at + 1) % words.len();
        &words[at]
    };
    group.bench_function(BenchmarkId::from_parameter("annals"), |bencher| {
        bencher.iter(|| {
            let query = Query {
                text: next().clone(),
                limit: HITS,
                ..Query::default()
            };
            store
                .search(&query, &Scope::All, None)
                .expect("an answer")
                .total
        });
    });
    group.bench_function(BenchmarkId::from_parameter("raw tantivy"), |bencher| {
        bencher.iter(|| {
            let word = next();
            let clauses = raw.fields.map(|field| {
                let term = Term::from_field_text(field, word);
                let query = TermQuery::new(term, IndexRecordOption::WithFreqs);
                (
                    Occur::Should,
                    Box::new(query) as Box<dyn tantivy::query::Query>,
                )
            });
            let query = BooleanQuery::new(clauses.into());
            let top = TopDocs::with_limit(HITS).order_by_score();
            searcher.search(&query, &(top, Count)).expect("an answer").1
        });
    });
    group.finish();
    print_ratio(title, "annals", "raw tantivy");

    drop(store);
    let title = "rebuild the index of 20,000 objects";
    let mut group = criterion.benchmark_group(title);
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    group.bench_function(BenchmarkId::from_parameter("annals"), |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                std::fs::remove_dir_all(folder.path().join("index")).expect("an index");
                let begun = Instant::now();
                let store = open(folder.path());
                spent += begun.elapsed();
                store.close();
            }
            spent
        });
    });
    group.bench_function(BenchmarkId::from_parameter("raw tantivy"), |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                let folder = tempfile::tempdir().expect("a folder");
                let begun = Instant::now();
                build_raw(folder.path());
                spent += begun.elapsed();
            }
            spent
        });
    });
    group.finish();
    print_ratio(title, "annals", "raw tantivy");
}

criterion_group!(benches, search);
criterion_main!(benches);
