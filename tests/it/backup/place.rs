//! Would catch a restore over something else, one that looks like a store before it has ended, and
//! a reader of a backup that harms the store by failing.

use std::fs;
use std::io::{self, Write as _};

use annals::backup::{Pieces, Until};
use annals::{Error, Store, Version};

use super::{Source, expect_same, options};

fn source() -> Source {
    let mut source = Source::new(10);
    for _ in 0..8 {
        source.write(3);
    }
    source.piece();
    source
}

#[test]
fn only_an_empty_directory_takes_a_restore() {
    let source = source();
    let folder = tempfile::tempdir().unwrap();
    let pieces = Pieces::open(&source.pieces).unwrap();
    fs::write(folder.path().join("thesis.txt"), "text").unwrap();
    let refused = pieces.restore(folder.path(), Until::Newest, true);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("this one holds thesis.txt"), "{refused}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    fs::remove_file(folder.path().join("thesis.txt")).unwrap();
    let restored = pieces.restore(folder.path(), Until::Newest, true).unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    expect_same(&source.store, &store, restored.version);
    drop(store);
    let again = pieces.restore(folder.path(), Until::Newest, true);
    assert!(matches!(again, Err(Error::Open { .. })), "{again:?}");
}

#[test]
fn an_interrupted_restore_is_no_store_and_is_run_again() {
    let source = source();
    let folder = tempfile::tempdir().unwrap();
    let stage = folder.path().join("restoring");
    let pieces = Pieces::open(&source.pieces).unwrap();
    // What a kill leaves: from the first file on, up to just before the rename.
    for left in [&b""[..], b"half of a file"] {
        fs::create_dir(&stage).unwrap();
        for name in ["lock", "log.0", "store.redb"] {
            fs::write(stage.join(name), left).unwrap();
        }
        let refused = Store::open(folder.path(), options()).map(drop);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("has not ended here"), "{refused}");
        let restored = pieces.restore(folder.path(), Until::Newest, false).unwrap();
        assert!(!stage.exists());
        let store = Store::open(folder.path(), options()).unwrap();
        expect_same(&source.store, &store, restored.version);
        drop(store);
        for entry in fs::read_dir(folder.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
    // And just behind it: the store is there, and only the folder is left.
    pieces.restore(folder.path(), Until::Newest, false).unwrap();
    fs::create_dir(&stage).unwrap();
    fs::write(stage.join("lock"), "1").unwrap();
    assert!(Store::open(folder.path(), options()).is_ok());
}

/// Takes so many bytes and then fails.
struct Short(usize);

impl io::Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_fails_harms_nobody() {
    let mut source = source();
    source.store.compact().unwrap();
    let mut whole = Vec::new();
    source.store.backup(None, &mut whole).unwrap();
    for taken in 0..whole.len() {
        let answer = source.store.backup(None, Short(taken));
        assert!(matches!(answer, Err(Error::Io { .. })), "{answer:?}");
    }
    assert!(source.store.backup(None, Short(whole.len())).is_ok());
    assert_eq!(source.store.write_failure(), None);
    source.write(3);
    assert_eq!(source.store.check().unwrap().wrong, 0);
    let mut again = Vec::new();
    source.store.backup(None, &mut again).unwrap();
    assert!(again.len() > whole.len());
    again.flush().unwrap();
}

#[test]
fn folders_are_searched_for_pieces_alone() {
    let mut source = source();
    source.write(2);
    source.piece();
    let folder = source.folder.path();
    fs::write(folder.join("notes.txt"), "text").unwrap();
    fs::write(folder.join(".000.annals.partial"), "half").unwrap();
    let pieces = Pieces::open(&[folder]).unwrap();
    assert_eq!((pieces.all().len(), pieces.damaged().len()), (2, 0));
    assert_eq!(pieces.all()[0].head.since, Version::ZERO);
    fs::write(folder.join("zzz.annals"), "no piece").unwrap();
    let pieces = Pieces::open(&[folder]).unwrap();
    assert_eq!((pieces.all().len(), pieces.damaged().len()), (2, 1));
    // Something that may have been the newest piece is not passed over.
    let place = tempfile::tempdir().unwrap();
    let refused = pieces.restore(place.path(), Until::Newest, true);
    assert!(
        matches!(refused, Err(Error::BadPiece { .. })),
        "{refused:?}"
    );
    let empty = tempfile::tempdir().unwrap();
    let refused = Pieces::open(&[empty.path()]).map(drop);
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
}
