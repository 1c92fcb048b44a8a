//! Would catch a repaired store that passes for the line of history it was made of: pieces of
//! backups of both would join to a store that never was.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::backup::{Pieces, Until};
use annals::{Epoch, FileMedia, Media, Place, Store, Version, Wound, wound};

use crate::wreck::{fill, options, write};

fn damage(folder: &Path, one: Wound) {
    let mut open = File::options();
    let file = open.read(true).write(true).open(folder.join("store.redb"));
    let media: Arc<dyn Media> = Arc::new(FileMedia::new(file.unwrap()));
    wound(&media, one).unwrap();
}

fn open(folder: &Path) -> (Store, Epoch) {
    let store = Store::open(folder, options()).unwrap();
    let epoch = store.epoch();
    (store, epoch)
}

fn backup(store: &Store, since: Option<Version>, path: PathBuf) -> PathBuf {
    store.backup(since, File::create(&path).unwrap()).unwrap();
    path
}

#[test]
fn pieces_of_before_and_after_a_repair_do_not_join() {
    let (image, written) = fill(true);
    let (folder, pieces) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&image, folder.path());
    let head = Version::new(written.log.len() as u64);
    let piece = |name: &str| pieces.path().join(name);
    let (store, first) = open(folder.path());
    let before = backup(&store, None, piece("before"));
    drop(store);
    // A sound store stays what it is.
    assert!(!Store::repair(folder.path()).unwrap().changed);
    let (store, same) = open(folder.path());
    assert_eq!(same, first);
    drop(store);
    // All of it is made again, and yet the line is another.
    damage(folder.path(), Wound::Unshelved(head.get()));
    let repair = Store::repair(folder.path()).unwrap();
    assert!(repair.changed && repair.lost == 0, "{repair:#?}");
    let (store, second) = open(folder.path());
    assert_ne!(second, first);
    let after = backup(&store, Some(head), piece("after"));
    let whole = backup(&store, None, piece("whole"));
    drop(store);
    let refused = Pieces::open(&[&before, &after]).map(drop).unwrap_err();
    assert!(refused.to_string().contains("line of history"), "{refused}");
    let target = tempfile::tempdir().unwrap();
    let own = Pieces::open(&[&whole, &after]).unwrap();
    let target = target.path().join("store");
    let restored = own.restore(&target, Until::Newest, true).unwrap();
    assert_eq!(restored.version, head);
    // Each repair begins a line of its own.
    damage(folder.path(), Wound::Noise(Place::Header, 1));
    assert!(Store::repair(folder.path()).unwrap().changed);
    let (_store, third) = open(folder.path());
    assert!(third != first && third != second);
}
