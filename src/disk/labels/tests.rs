//! Would catch an index of labels that does not follow from the log: a posting that outlives its
//! label, one that is lost where a label is changed twice within one layer or over two, one that
//! retention leaves behind, and a rebuilt index that is not the one it replaces.
//!
//! Random histories are put into the tables in random layers; after each the postings must be
//! those that a fold over the headers expects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use proptest::prelude::*;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase};

use super::super::Settings;
use super::super::overlay::Layer;
use super::super::progress::Progress;
use super::super::record::encode_header;
use super::super::tables::{append, begin, create_tables};
use super::*;
use crate::model::{Epoch, Timestamp};

/// A change of one of four keys: what to do, and which labels to give.
type Op = (usize, u8, u8);

fn ops() -> impl Strategy<Value = Vec<Vec<Op>>> {
    let op = (0..4usize, 0..5u8, 0..5u8);
    prop::collection::vec(prop::collection::vec(op, 1..12), 1..6)
}

fn labels(number: u8) -> Vec<(String, String)> {
    let pairs: &[(&str, &str)] = match number {
        0 => &[],
        1 => &[("a", "1")],
        2 => &[("a", "1"), ("b", "1")],
        3 => &[("a", "2"), ("b", "1")],
        _ => &[("", ""), ("a\0", "\0\0")],
    };
    let owned = |&(label, value): &(&str, &str)| (label.to_owned(), value.to_owned());
    pairs.iter().map(owned).collect()
}

fn key(number: usize) -> Key {
    let (namespace, name) = [("a", "n"), ("a", "n0"), ("", "n"), ("b", "n")][number];
    Key::new("g.x", "things", namespace, name).unwrap()
}

/// The next revision of a key.
fn header(key: &Key, before: Option<&Header>, version: u64, op: Op) -> Header {
    let version = Version::new(version);
    let live = before.filter(|before| before.is_live());
    let action = match (live, op.1) {
        (None, _) => Action::Created,
        (Some(_), 0) => Action::Deleted,
        (Some(_), _) => Action::Updated,
    };
    let labels = match live {
        // Half of the updates leave the labels alone.
        Some(live) if action == Action::Deleted || op.1 < 3 => live.labels.clone(),
        _ => labels(op.2),
    };
    let same = live.filter(|live| live.labels == labels);
    Header {
        key: key.clone(),
        action,
        version,
        previous: before.map(|before| before.version),
        ordinal: before.map_or(0, |before| before.ordinal + 1),
        jump: before.map_or(version, |before| before.version),
        jump_ordinal: before.map_or(0, |before| before.ordinal),
        batch_end: version,
        base: version,
        base_ordinal: 0,
        labelled: same.map_or(version, |live| live.labelled),
        time: Timestamp(1),
        created: Timestamp(1),
        creator: String::new(),
        author: String::new(),
        uid: String::new(),
        folder: String::new(),
        labels,
    }
}

/// A store that is only tables, and the log of what is in them.
struct Bench {
    database: Database,
    log: Vec<Header>,
    newest: BTreeMap<Key, Header>,
}

impl Bench {
    fn new() -> Self {
        let backend = InMemoryBackend::new();
        let database = Database::builder().create_with_backend(backend).unwrap();
        let settings = Settings {
            cache_bytes: 1 << 20,
            overlay_revisions: 1,
            overlay_bytes: 1,
            new_epoch: Epoch([7; 16]),
            new_seed: 7,
        };
        create_tables(&database, settings).unwrap();
        Bench {
            database,
            log: Vec::new(),
            newest: BTreeMap::new(),
        }
    }

    /// Puts one layer into the tables.
    fn apply(&mut self, ops: &[Op]) {
        let layer = Layer::new(Version::new(self.log.len() as u64 + 1));
        for &op in ops {
            let key = key(op.0);
            let version = self.log.len() as u64 + 1;
            let header = header(&key, self.newest.get(&key), version, op);
            self.newest.insert(key, header.clone());
            self.log.push(header.clone());
            layer.push(Arc::new(Entry {
                stored_header: encode_header(&header).unwrap(),
                header: Arc::new(header),
                body: OnceLock::new(),
                stored_body: Vec::new(),
            }));
        }
        self.change(|transaction| append(transaction, &layer, &Progress::default()));
    }

    fn change(&self, work: impl FnOnce(&WriteTransaction) -> Result<(), Error>) {
        let transaction = begin(&self.database).unwrap();
        work(&transaction).unwrap();
        transaction.commit().unwrap();
    }

    /// What the index holds.
    fn found(&self) -> Expected {
        let transaction = self.database.begin_read().unwrap();
        let rows = |definition| {
            let table = transaction.open_table::<&[u8], u64>(definition).unwrap();
            let rows = table.iter().unwrap().map(|row| row.unwrap());
            rows.map(|(place, version)| (place.value().to_vec(), version.value()))
                .collect()
        };
        Expected {
            label: rows(LABEL),
            past: rows(LABEL_PAST),
        }
    }

    /// What it must hold, when these revisions were removed from the log.
    fn expected(&self, removed: &BTreeSet<Version>) -> Expected {
        let mut expected = Expected::default();
        let mut newest: BTreeMap<&Key, &Header> = BTreeMap::new();
        for header in &self.log {
            if !removed.contains(&header.version) {
                expected.add(newest.insert(&header.key, header), header);
            }
        }
        expected
    }

    /// Removes the oldest revisions of each key: all but so many, and those of a dead key too.
    fn retain(&self, keep: usize) -> BTreeSet<Version> {
        let mut removed = BTreeSet::new();
        self.change(|transaction| {
            let mut past = transaction.open_table(LABEL_PAST).unwrap();
            let mut headers = transaction.open_table(HEADER).unwrap();
            for key in self.newest.keys() {
                let chain: Vec<_> = self.log.iter().filter(|one| one.key == *key).collect();
                let gone = chain.len().saturating_sub(keep);
                for pair in chain.windows(2).take(gone) {
                    remove(&mut past, pair[0], pair[1])?;
                    removed.insert(pair[0].version);
                }
                for header in chain.iter().take(gone) {
                    headers.remove(header.version.get()).unwrap();
                }
            }
            Ok(())
        });
        removed
    }
}

proptest! {
    #[test]
    fn the_index_follows_from_the_log(layers in ops(), keep in 1..4usize) {
        let mut bench = Bench::new();
        for ops in &layers {
            bench.apply(ops);
            prop_assert_eq!(bench.found(), bench.expected(&BTreeSet::new()));
        }
        let relabelling = bench.log.iter().filter(|header| relabels(header));
        let known: Vec<Version> = relabelling.map(|header| header.version).collect();
        bench.change(rebuild);
        prop_assert_eq!(bench.found(), bench.expected(&BTreeSet::new()));
        bench.change(|transaction| rebuild_knowing(transaction, Some(&known)));
        prop_assert_eq!(bench.found(), bench.expected(&BTreeSet::new()));
        let removed = bench.retain(keep);
        prop_assert_eq!(bench.found(), bench.expected(&removed));
        bench.change(rebuild);
        prop_assert_eq!(bench.found(), bench.expected(&removed));
        bench.change(|transaction| rebuild_knowing(transaction, Some(&known)));
        prop_assert_eq!(bench.found(), bench.expected(&removed));
    }
}

#[test]
fn an_update_that_leaves_the_labels_alone_writes_nothing() {
    let mut bench = Bench::new();
    bench.apply(&[(0, 4, 2)]);
    let before = bench.found();
    assert_eq!((before.label.len(), before.past.len()), (2, 0));
    bench.apply(&[(0, 1, 0), (0, 2, 0), (0, 4, 2)]);
    assert_eq!(bench.found(), before);
}

#[test]
fn a_large_layer_is_written_in_steps() {
    let mut bench = Bench::new();
    let ops: Vec<Op> = (0..BATCH_MAX / 3)
        .map(|at| (at % 4, 4, 2 + (at / 4 % 2) as u8))
        .collect();
    bench.apply(&ops);
    let found = bench.found();
    assert!(found.label.len() + found.past.len() > BATCH_MAX / 2);
    assert_eq!(found, bench.expected(&BTreeSet::new()));
}
