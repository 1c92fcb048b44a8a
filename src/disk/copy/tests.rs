//! Would catch a copy that loses what retention has left: holes in the versions, a body that kept
//! ones are built from, and the compacted versions below which nothing may be answered.

use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::body;
use super::super::record::encode_header;
use super::super::{
    Disk, FileMedia, Floors, Found, Loader, Media, Reader, Settings, Shelf, Volume,
};
use super::*;
use crate::model::{Action, Epoch, Header, Key};

#[derive(Debug)]
struct Folder(PathBuf);

impl Volume for Folder {
    fn open(self: Arc<Self>, name: &str) -> io::Result<Arc<dyn Media>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        Ok(Arc::new(FileMedia::new(options.open(self.0.join(name))?)))
    }
}

fn settings(number: u8) -> Settings {
    Settings {
        cache_bytes: 1 << 20,
        overlay_revisions: 100,
        overlay_bytes: 1 << 20,
        new_epoch: Epoch([number; 16]),
        new_seed: u64::from(number),
    }
}

fn text(version: u64) -> Vec<u8> {
    format!(r#"{{"spec":"{}","at":{version}}}"#, "a text ".repeat(40)).into_bytes()
}

/// The header of a revision that is built from another, if one is named.
fn header(name: &str, version: u64, previous: Option<u64>, base: u64) -> Header {
    let first = previous.is_none();
    Header {
        key: Key::new("g.x", "things", "a", name).unwrap(),
        action: if first {
            Action::Created
        } else {
            Action::Updated
        },
        version: Version::new(version),
        previous: previous.map(Version::new),
        ordinal: if first { 0 } else { version },
        jump: Version::new(previous.unwrap_or(version)),
        jump_ordinal: 0,
        batch_end: Version::new(version),
        base: Version::new(base),
        base_ordinal: 0,
        labelled: Version::new(version),
        time: Timestamp(version),
        created: Timestamp(1),
        creator: String::new(),
        author: String::new(),
        uid: "uid".to_owned(),
        folder: String::new(),
        labels: Vec::new(),
    }
}

/// Tables of which retention has removed the revisions 1, 2 and 6; 3 and 5 are built from 1.
fn thinned() -> (tempfile::TempDir, Arc<Disk>) {
    let folder = tempfile::tempdir().unwrap();
    let volume: Arc<dyn Volume> = Arc::new(Folder(folder.path().to_owned()));
    let file = Arc::clone(&volume).open("store.redb").unwrap();
    let mut loader = Loader::create(&file, settings(1)).unwrap();
    let first = text(1);
    let mut add = |version: u64, header: Option<Header>, base: Option<u64>| {
        let older = base.map(|base| (Version::new(base), &*first));
        let mut stored_body = body::encode(&text(version), older);
        body::bind(&mut stored_body, Version::new(version));
        let stored_header = header.as_ref().map(|header| encode_header(header).unwrap());
        let found = Found {
            version: Version::new(version),
            header,
            stored_header: stored_header.as_deref().unwrap_or_default(),
            stored_body: &stored_body,
        };
        loader.add(found).unwrap();
    };
    add(1, None, None);
    add(3, Some(header("k", 3, Some(2), 1)), Some(1));
    add(4, Some(header("l", 4, None, 4)), None);
    add(5, Some(header("k", 5, Some(3), 1)), Some(1));
    add(7, Some(header("l", 7, Some(4), 7)), None);
    let mut floors = Floors::new(0);
    floors.raise("g.x\0things\0a\0", Version::new(3)).unwrap();
    floors.raise("g.x\0things\0b\0", Version::new(6)).unwrap();
    assert_eq!(loader.finish(Version::new(7), &floors), Ok(4));
    drop(file);
    let disk = Disk::open(&volume, settings(9)).unwrap();
    (folder, disk)
}

/// What a walk over stored revisions shows.
type Rows = Vec<(Version, Option<Vec<u8>>, Vec<u8>)>;

fn rows(view: &View) -> Rows {
    let mut rows = Vec::new();
    let walked = view.rows(Version::ZERO, &mut |version, header, body| {
        rows.push((version, header.map(<[u8]>::to_vec), body.to_vec()));
        Ok(ControlFlow::Continue(()))
    });
    walked.unwrap();
    rows
}

#[test]
fn what_retention_has_left_is_copied_and_loaded() {
    let (_folder, disk) = thinned();
    let view = disk.view().unwrap();
    assert_eq!(view.floors().unwrap().removed(), 3);
    assert_eq!(rows(&view).len(), 5);
    let mut piece = Vec::new();
    let summary = disk.copy(Version::ZERO, &mut piece).unwrap();
    assert_eq!((summary.revisions, summary.head.time), (4, Timestamp(7)));

    let folder = tempfile::tempdir().unwrap();
    let volume: Arc<dyn Volume> = Arc::new(Folder(folder.path().to_owned()));
    let file = Arc::clone(&volume).open("store.redb").unwrap();
    let mut loader = Loader::create(&file, settings(2)).unwrap();
    let reader = Reader::open(&*piece, "it").unwrap();
    let intro = reader.intro().clone();
    assert_eq!(&intro.floors, view.floors().unwrap());
    let read = reader.each(&mut |found| {
        loader.add(found)?;
        Ok(ControlFlow::Continue(()))
    });
    assert_eq!(read, Ok(Some(summary)));
    assert_eq!(loader.finish(Version::new(7), &intro.floors), Ok(4));
    let copy = Disk::open(&volume, settings(9)).unwrap();
    assert_eq!(copy.epoch(), Epoch([2; 16]));
    let copied = copy.view().unwrap();
    assert_eq!(rows(&copied), rows(&view));
    assert_eq!(copied.floors().unwrap(), view.floors().unwrap());
    let newest = copied.revision(Version::new(5)).unwrap().unwrap();
    assert_eq!(newest.body(), text(5));
    disk.close();
    copy.close();
}

#[test]
fn a_key_that_was_removed_and_made_again_has_no_older_past() {
    let folder = tempfile::tempdir().unwrap();
    let volume: Arc<dyn Volume> = Arc::new(Folder(folder.path().to_owned()));
    let file = Arc::clone(&volume).open("store.redb").unwrap();
    let mut loader = Loader::create(&file, settings(1)).unwrap();
    let add = |loader: &mut Loader, header: Header| {
        let (stored_header, stored_body) = (
            encode_header(&header).unwrap(),
            body::encode(&text(header.version.get()), None),
        );
        let found = Found {
            version: header.version,
            header: Some(header),
            stored_header: &stored_header,
            stored_body: &stored_body,
        };
        loader.add(found).unwrap();
    };
    let deleted = |name, version, previous| Header {
        action: Action::Deleted,
        ..header(name, version, Some(previous), version)
    };
    loader.begin(&Floors::new(0)).unwrap();
    add(&mut loader, header("k", 1, None, 1));
    add(&mut loader, deleted("k", 2, 1));
    add(&mut loader, header("l", 3, None, 3));
    add(&mut loader, deleted("l", 4, 3));
    // Retention removes the four, and then one of the two is created again.
    let mut floors = Floors::new(4);
    floors.raise("g.x\0things\0a\0", Version::new(4)).unwrap();
    loader.begin(&floors).unwrap();
    add(&mut loader, header("k", 5, None, 5));
    assert_eq!(loader.finish(Version::new(5), &floors), Ok(3));
    drop(file);
    let disk = Disk::open(&volume, settings(9)).unwrap();
    let view = disk.view().unwrap();
    let versions: Vec<u64> = rows(&view).iter().map(|row| row.0.get()).collect();
    assert_eq!(versions, [3, 4, 5]);
    let shelf = |shelf| {
        let mut names = Vec::new();
        let scanned = view.scan(shelf, "", None, &mut |slot| {
            names.push(slot.header.key.name().to_owned());
            Ok(ControlFlow::Continue(()))
        });
        scanned.unwrap();
        names
    };
    assert_eq!(shelf(Shelf::Live), ["k"]);
    assert_eq!(shelf(Shelf::Trash), ["l"]);
    disk.close();
}

#[test]
fn nothing_is_continued_where_something_is_missing() {
    let (_folder, disk) = thinned();
    let oldest = Version::new(6);
    for number in 1..6 {
        let requested = Version::new(number);
        let refused = disk.copy(requested, &mut Vec::new());
        assert_eq!(refused, Err(Error::Gone { requested, oldest }));
    }
    let rest = disk.copy(oldest, &mut Vec::new()).unwrap();
    assert_eq!(rest.revisions, 1);
    assert!(disk.copy(Version::ZERO, &mut Vec::new()).is_ok());
    disk.close();
}
