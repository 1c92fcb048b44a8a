//! Catches a record that is lost, changed or doubled on its way out of a store, through a file,
//! and into another; the parts say which way.

mod columns;
mod commands;
mod faults;
mod round;

use std::path::{Path, PathBuf};

use annals::{Key, Options, Principal, Revision, Snapshot, Store, Write};
use annals_server::kinds::Kinds;
use annals_server::records::{
    About, Error, Format, Record, Selection, Tally, load, reader, writer,
};
use tempfile::TempDir;

/// A store without index, and its directory.
struct Box {
    store: Store,
    dir: TempDir,
}

impl Box {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("data"), Options::new().index(false)).unwrap();
        Self { store, dir }
    }

    fn write(&self, write: Write) -> Revision {
        self.store
            .write(write.author(Principal::new("ann")))
            .unwrap()
    }

    fn snapshot(&self) -> Snapshot {
        self.store.snapshot().unwrap()
    }

    fn export(&self, format: Format, history: bool) -> PathBuf {
        self.export_some(&Selection::all(), format, history)
    }

    fn export_some(&self, selection: &Selection, format: Format, history: bool) -> PathBuf {
        let path = self.dir.path().join("out");
        let snapshot = self.snapshot();
        let about = About::new(snapshot.version(), self.store.epoch(), history);
        let kinds = Kinds::built_in().unwrap();
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = writer(format, file, &about, &kinds).unwrap();
        selection
            .each(&snapshot, history, &mut |revision| {
                writer.write(&Record::from(revision)).unwrap();
                Ok::<_, annals::Error>(())
            })
            .unwrap();
        writer.finish().unwrap();
        path
    }

    fn load(&self, format: Format, path: &Path) -> (Tally, Result<(), Error>) {
        let kinds = Kinds::built_in().unwrap();
        let mut tally = Tally::default();
        let author = Principal::new("import");
        let done = reader(format, path, &kinds).and_then(|reader| {
            load(
                &self.store,
                &kinds,
                &author,
                reader,
                &mut tally,
                &mut |_| {},
            )
        });
        (tally, done)
    }

    /// What the store holds: key, action, author and body, in the order of an export.
    fn all(&self, history: bool) -> Vec<(Key, String, String, String)> {
        let mut all = Vec::new();
        Selection::all()
            .each(&self.snapshot(), history, &mut |revision| {
                let header = revision.header();
                let body = String::from_utf8(revision.body().to_vec()).unwrap();
                let action = header.action.to_string();
                all.push((header.key.clone(), action, header.author.clone(), body));
                Ok::<_, annals::Error>(())
            })
            .unwrap();
        all
    }
}

fn key(namespace: &str, name: &str) -> Key {
    Key::new("playlist.grafana.app", "playlists", namespace, name).unwrap()
}

/// A playlist as a server stores it.
fn playlist(namespace: &str, name: &str, uid: &str, title: &str) -> Vec<u8> {
    format!(
        r#"{{"apiVersion":"playlist.grafana.app/v0alpha1","kind":"Playlist","metadata":{{"name":"{name}","namespace":"{namespace}","uid":"{uid}","creationTimestamp":"2030-01-01T00:00:00Z","generation":1,"labels":{{"l":"{uid}"}}}},"spec":{{"title":"{title}","interval":"5m"}}}}"#
    )
    .into_bytes()
}
