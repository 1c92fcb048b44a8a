//! Catches a restored key that stands on no shelf, on two, or with another revision than its newest,
//! wherever the filling was cut into steps.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::record::encode_header;
use super::super::{Disk, FileMedia, Floors, Found, Settings, Shelf, Volume, body};
use super::keys::KEY_BYTES;
use super::{Limits, Loader, Media};
use crate::model::{Action, Epoch, Header, Key, Timestamp, Version};

const NAMES: usize = 5;

#[derive(Debug)]
struct Folder(std::path::PathBuf);

impl Volume for Folder {
    fn open(self: Arc<Self>, name: &str) -> std::io::Result<Arc<dyn Media>> {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.0.join(name))?;
        Ok(Arc::new(FileMedia::new(file)))
    }
}

fn settings() -> Settings {
    Settings {
        cache_bytes: 1 << 20,
        overlay_revisions: 16,
        overlay_bytes: 1 << 20,
        new_epoch: Epoch([1; 16]),
        new_seed: 1,
    }
}

/// The revision after `before`.
fn next(before: Option<&Header>, name: usize, version: u64, is_delete: bool) -> Header {
    let action = match (before.is_some_and(Header::is_live), is_delete) {
        (true, true) => Action::Deleted,
        (true, false) => Action::Updated,
        (false, _) => Action::Created,
    };
    let version = Version::new(version);
    Header {
        key: Key::new("g.x", "things", "a", &format!("n{name}")).unwrap(),
        action,
        version,
        previous: before.map(|before| before.version),
        ordinal: before.map_or(0, |before| before.ordinal + 1),
        jump: before.map_or(version, |before| before.version),
        jump_ordinal: before.map_or(0, |before| before.ordinal),
        batch_end: version,
        base: version,
        base_ordinal: 0,
        labelled: version,
        time: Timestamp(version.get()),
        created: Timestamp(1),
        creator: String::new(),
        author: String::new(),
        uid: "uid".to_owned(),
        folder: String::new(),
        labels: Vec::new(),
    }
}

/// Which key, and whether it is deleted if it is live.
type Op = (usize, bool);

/// Limits that are met again and again, or never.
fn limits() -> impl Strategy<Value = Limits> {
    let some = || prop_oneof![0..2_000usize, Just(usize::MAX)];
    let limits = (some(), 1..20usize, some(), some());
    limits.prop_map(
        |(commit_bytes, commit_revisions, keys_bytes, step_bytes)| Limits {
            commit_bytes,
            commit_revisions,
            keys_bytes,
            step_bytes,
        },
    )
}

fn shelf(disk: &Disk, shelf: Shelf) -> BTreeMap<Key, Version> {
    let mut found = BTreeMap::new();
    let view = disk.view().unwrap();
    let scanned = view.scan(shelf, "", None, &mut |slot| {
        found.insert(slot.header.key.clone(), slot.header.version);
        Ok(ControlFlow::Continue(()))
    });
    scanned.unwrap();
    found
}

fn load(ops: &[Op], limits: Limits) {
    let folder = tempfile::tempdir().unwrap();
    let volume: Arc<dyn Volume> = Arc::new(Folder(folder.path().to_owned()));
    let file = Arc::clone(&volume).open("store.redb").unwrap();
    let mut loader = Loader::create(&file, settings()).unwrap();
    loader.limits = limits;
    loader.begin(&Floors::new(0)).unwrap();
    let mut newest: BTreeMap<usize, Header> = BTreeMap::new();
    for (version, &(name, is_delete)) in (1..).zip(ops) {
        let header = next(newest.get(&name), name, version, is_delete);
        let found = Found {
            version: header.version,
            header: Some(header.clone()),
            stored_header: &encode_header(&header).unwrap(),
            stored_body: &body::encode(b"{}", None),
        };
        newest.insert(name, header);
        loader.add(found).unwrap();
        let unshelved = limits.commit_revisions * ("g.x things a n0".len() + KEY_BYTES);
        assert!(loader.rows.len() < limits.commit_revisions);
        assert!(loader.keys.bytes() < limits.keys_bytes.saturating_add(unshelved));
    }
    let head = Version::new(ops.len() as u64);
    assert_eq!(loader.finish(head, &Floors::new(0)), Ok(head.get()));
    drop(file);
    let disk = Disk::open(&volume, settings()).unwrap();
    for (which, is_live) in [(Shelf::Live, true), (Shelf::Trash, false)] {
        let wanted = newest.values().filter(|header| header.is_live() == is_live);
        let wanted = wanted.map(|header| (header.key.clone(), header.version));
        assert_eq!(shelf(&disk, which), wanted.collect(), "{which:?}");
    }
    disk.close();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_key_stands_on_its_shelf(
        ops in prop::collection::vec((0..NAMES, any::<bool>()), 0..60),
        limits in limits(),
    ) {
        load(&ops, limits);
    }
}
