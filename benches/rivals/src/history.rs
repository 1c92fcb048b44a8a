//! A thousand small edits of each real dashboard: how much of the JSON the directory takes after
//! `Store::compact`, and how long it takes to read any old revision, by the size of the object.
//!
//! `ANNALS_TEST_DATA` names the folder that has `dashboards/*.json`; without it documents of 8,
//! 50, 100 and 500 KB are generated.

use std::time::{Duration, Instant};

use annals::{Key, Store, Write};
use annals_bench::documents::{Document, dashboards};

use crate::Asked;
use crate::objects;
use crate::own;
use crate::report::{Cell, Report};

/// The classes, by the largest size in KB that belongs to them.
const CLASSES: [(&str, usize); 4] = [
    ("up to 8 KB", 8_000),
    ("up to 50 KB", 50_000),
    ("up to 100 KB", 100_000),
    ("above 100 KB", usize::MAX),
];
/// Sizes of the documents that are made to have a given size, in KB.
const SIZES: [usize; 4] = [8, 50, 100, 500];
/// How many old revisions of a group are read, at most.
const READS: u64 = 4_000;
/// Revisions that are written at once.
const BATCH: usize = 100;
/// Small, so that most of what is read is read from the files.
const CACHE_BYTES: usize = 16 << 20;

pub(crate) fn run(asked: &Asked, report: &mut Report) {
    let revisions = asked.number("revisions", 1_000);
    let mut total = (0, 0);
    for (title, most) in CLASSES {
        let at = CLASSES
            .iter()
            .position(|class| class.1 == most)
            .unwrap_or(0);
        let least = if at == 0 { 0 } else { CLASSES[at - 1].1 };
        let documents = dashboards().into_iter().filter(|spec| {
            let size = spec.to_string().len();
            size > least && size <= most
        });
        let documents: Vec<Document> = documents.map(Document::new).collect();
        if documents.is_empty() {
            println!("no real dashboard {title}");
            continue;
        }
        let title = format!("{} real dashboards {title}", documents.len());
        let (stored, sent) = measure(&title, documents, revisions, asked, report);
        total = (total.0 + stored, total.1 + sent);
    }
    if total.0 > 0 {
        share("all real dashboards", total.0, total.1, report);
    }
    for size in SIZES {
        let title = format!("one document of {size} KB");
        let documents = vec![Document::of(size * 1_000)];
        measure(&title, documents, revisions, asked, report);
    }
}

fn share(title: &str, stored: u64, sent: u64, report: &mut Report) {
    let title = format!("{title}: bytes on disk, and as sent");
    let cells = vec![
        Cell::cost("annals", stored as f64, "bytes"),
        Cell::cost("as sent", sent as f64, "bytes"),
    ];
    report.row(&title, cells);
}

/// The bytes of the directory, and of the JSON.
fn measure(
    title: &str,
    mut documents: Vec<Document>,
    revisions: u64,
    asked: &Asked,
    report: &mut Report,
) -> (u64, u64) {
    let folder = tempfile::tempdir_in(&asked.folder).expect("a directory");
    let store = own::open(folder.path(), CACHE_BYTES);
    let mut sent = 0;
    let keys: Vec<Key> = (0..documents.len() as u64).map(own::key).collect();
    for (key, document) in keys.iter().zip(&mut documents) {
        let mut batch = Vec::new();
        for number in 0..revisions {
            let body = document.revise_as(key.name());
            sent += body.len() as u64;
            batch.push(if number == 0 {
                Write::create(key.clone(), body)
            } else {
                Write::update(key.clone(), body)
            });
            if batch.len() == BATCH || number + 1 == revisions {
                send(&store, std::mem::take(&mut batch));
            }
        }
    }
    let (_, stored) = store.compact().expect("a compaction");
    share(title, stored, sent, report);
    drop(store);
    let store = own::open(folder.path(), CACHE_BYTES);
    let [typical, worst, again] = read(&store, &keys, revisions);
    let title = format!("{title}: an old revision, read from the files");
    let cells = vec![
        Cell::cost("median", typical, "us"),
        Cell::cost("p99", worst, "us"),
        Cell::cost("median of its bytes copied", again, "us"),
    ];
    report.row(&title, cells);
    (stored, sent)
}

fn send(store: &Store, batch: Vec<Write>) {
    for write in batch {
        store.write(write).expect("a write");
    }
}

/// Microseconds to read an old revision that was not read before: median, p99; and to copy its
/// bytes, which any store has to do.
fn read(store: &Store, keys: &[Key], revisions: u64) -> [f64; 3] {
    let head = store.snapshot().expect("a state").version().get();
    let (mut times, mut copies) = (Vec::new(), Vec::new());
    let reads = READS.min(head);
    for at in 0..reads {
        // Far from each other, so that no two share what is in memory.
        let version = 1 + objects::scatter(at) % head;
        let key = &keys[usize::try_from((version - 1) / revisions).expect("a key")];
        let begun = Instant::now();
        let snapshot = store.snapshot_at(annals::Version::new(version));
        let found = snapshot.expect("a state").get(key).expect("a read");
        times.push(begun.elapsed());
        let found = found.expect("it was live");
        assert_eq!(found.version().get(), version);
        let begun = Instant::now();
        std::hint::black_box(found.body().to_vec());
        copies.push(begun.elapsed());
    }
    times.sort();
    copies.sort();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let at = |times: &[Duration], share: f64| {
        let at = ((times.len() as f64 * share) as usize).min(times.len() - 1);
        micros(times[at])
    };
    [at(&times, 0.5), at(&times, 0.99), at(&copies, 0.5)]
}
