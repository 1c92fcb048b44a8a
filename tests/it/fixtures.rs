//! Would catch a change of the format that is not told by its version: stores that an earlier build
//! of the same format wrote must open, be sound, and hold what they held.
//!
//! `tests/fixtures/format-N/` has the files of a store that was killed with its commit log full,
//! each as one LZ4 block behind its length, and `listing.txt`, a line for each revision. They are
//! written by
//!
//! ```text
//! ANNALS_WRITE_FIXTURES=1 cargo test -p annals --test it fixtures
//! ```
//!
//! for the format of this build; a fixture of a format that was released is never written again.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use annals::{Revision, Store};
use lz4_flex::block::{compress_prepend_size, decompress_size_prepended};
use xxhash_rust::xxh3::xxh3_64;

use crate::wreck::{NAMES, fill, options, write};

/// The format of this build.
const FORMAT: u32 = 2;

fn folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join(format!("tests/fixtures/format-{FORMAT}"))
}

/// What is known of a revision, on one line.
fn line(revision: &Revision) -> String {
    let header = revision.header();
    let mut line = format!(
        "{} {} {} ordinal {} after {:?} batch {} time {} by {} uid {} created {} by {} folder {} \
         labels",
        header.version,
        header.action,
        header.key,
        header.ordinal,
        header.previous.map(|it| it.get()),
        header.batch_end,
        header.time.0,
        header.author,
        header.uid,
        header.created.0,
        header.creator,
        header.folder,
    );
    for (key, value) in &header.labels {
        write!(line, " {key}={value}").unwrap();
    }
    let body = revision.body();
    write!(line, " body {} bytes {:016x}", body.len(), xxh3_64(body)).unwrap();
    line
}

fn make(folder: &Path) {
    let (image, written) = fill(false);
    fs::create_dir_all(folder).unwrap();
    let plain = tempfile::tempdir().unwrap();
    write(&image, plain.path());
    for name in NAMES {
        let bytes = fs::read(plain.path().join(name)).unwrap();
        let packed = compress_prepend_size(&bytes);
        fs::write(folder.join(format!("{name}.lz4")), packed).unwrap();
    }
    let lines: Vec<String> = written.log.iter().map(line).collect();
    fs::write(folder.join("listing.txt"), lines.join("\n") + "\n").unwrap();
}

/// Every revision of a store, as the listing has it.
fn listing(store: &Store) -> String {
    let snapshot = store.snapshot().unwrap();
    let mut revisions = Vec::new();
    let all = annals::List::new(annals::Collection::all());
    let live = snapshot.list(&all).unwrap().items;
    let dead = snapshot.trash(&all).unwrap().items;
    for newest in live.iter().chain(&dead) {
        let page = snapshot.history(newest.key(), 0, None).unwrap();
        assert!(page.next.is_none());
        revisions.extend(page.items);
    }
    revisions.sort_by_key(Revision::version);
    let lines: Vec<String> = revisions.iter().map(line).collect();
    lines.join("\n") + "\n"
}

#[test]
fn a_store_of_this_format_opens_and_holds_what_it_held() {
    let folder = folder();
    if std::env::var_os("ANNALS_WRITE_FIXTURES").is_some() {
        make(&folder);
    }
    let directory = tempfile::tempdir().unwrap();
    for name in NAMES {
        let packed = fs::read(folder.join(format!("{name}.lz4"))).unwrap();
        let bytes = decompress_size_prepended(&packed).unwrap();
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    let wanted = fs::read_to_string(folder.join("listing.txt")).unwrap();
    let report = Store::check_directory(directory.path()).unwrap();
    assert!(report.is_sound(), "{:#?}", report.findings);
    assert_eq!(report.revisions, wanted.lines().count() as u64);
    assert!(report.live > 0 && report.trash > 0);
    for _ in 0..2 {
        // First from the commit log, then from the tables alone.
        let store = Store::open(directory.path(), options()).unwrap();
        assert_eq!(listing(&store), wanted);
        assert!(store.check().unwrap().is_sound());
    }
}
