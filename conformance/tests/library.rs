//! Would catch a library that breaks a promise of the store: a lost or doubled event, a page of
//! another state, a precondition that is not kept, or anything that a reopen changes.
//!
//! The suite of behaviours runs over the library three times: with one store; with a store that
//! is reopened for every behaviour and in it between writing and reading; and with a ring so small
//! that watchers read from disk.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use annals::{
    Collection, Error, ErrorKind, FieldTest, Filter, Key, List, ObjectField, Options, Revision,
    Snapshot, Store, Version, Watch, Write,
};
use annals_conformance::{
    Choice, Cut, Door, Draft, Event, EventKind, Events, Expect, Failure, FailureKind, Object, Page,
    Promise, Start, run_all,
};
use serde_json::{Value, json};

const GROUP: &str = "stage.annals.dev";
const RESOURCE: &str = "things";
/// Nobody waits as long unless an event was lost.
const PATIENCE: Duration = Duration::from_secs(60);

struct Library(Store);

fn failure(error: Error) -> Failure {
    let kind = match error.kind() {
        ErrorKind::NotFound => FailureKind::NotFound,
        ErrorKind::AlreadyExists => FailureKind::AlreadyExists,
        ErrorKind::Conflict => FailureKind::Conflict,
        ErrorKind::Invalid => FailureKind::Invalid,
        ErrorKind::Gone => FailureKind::Gone,
        ErrorKind::Future => FailureKind::Future,
        ErrorKind::Unavailable | ErrorKind::Corrupt => FailureKind::Other,
    };
    Failure::new(kind, error.to_string())
}

fn key(namespace: &str, name: &str) -> Result<Key, Failure> {
    Key::new(GROUP, RESOURCE, namespace, name).map_err(failure)
}

fn body(draft: &Draft) -> Vec<u8> {
    let Draft {
        namespace,
        name,
        labels,
        spec,
    } = draft;
    let metadata = json!({"name": name, "namespace": namespace, "labels": labels});
    json!({"metadata": metadata, "spec": spec})
        .to_string()
        .into_bytes()
}

fn object(revision: &Revision) -> Object {
    let (header, key) = (revision.header(), revision.key());
    let body: Value = serde_json::from_slice(revision.body()).unwrap();
    Object {
        namespace: key.namespace().to_owned(),
        name: key.name().to_owned(),
        version: revision.version().get(),
        uid: header.uid.clone(),
        labels: header.labels.iter().cloned().collect(),
        spec: body["spec"].clone(),
    }
}

fn expecting(mut write: Write, expect: &Expect) -> Write {
    if let Some(version) = expect.version {
        write = write.if_version(Version::new(version));
    }
    if let Some(uid) = &expect.uid {
        write = write.if_uid(uid);
    }
    write
}

fn chosen(choice: &Choice) -> Result<(Collection, Filter), Failure> {
    let collection = match &choice.namespace {
        Some(namespace) => Collection::within(GROUP, RESOURCE, namespace),
        None => Collection::of(GROUP, RESOURCE),
    };
    let test = |name: &Option<String>, equals| {
        let value = name.clone()?;
        let field = ObjectField::Name;
        Some(FieldTest {
            field,
            equals,
            value,
        })
    };
    let fields = [test(&choice.name, true), test(&choice.not_name, false)];
    let fields = fields.into_iter().flatten().collect();
    let labels = choice.labels.parse().unwrap();
    let filter = Filter {
        labels,
        fields,
        ..Filter::default()
    };
    Ok((collection.map_err(failure)?, filter))
}

impl Library {
    fn at(&self, version: Option<u64>) -> Result<Snapshot, Failure> {
        let snapshot = match version {
            Some(version) => self.0.snapshot_at(Version::new(version)),
            None => self.0.snapshot(),
        };
        snapshot.map_err(failure)
    }

    fn write(&self, write: Write) -> Result<Object, Failure> {
        let revision = self.0.write(write).map_err(failure)?;
        Ok(object(&revision))
    }
}

impl Door for Library {
    fn promises(&self, promise: Promise) -> bool {
        match promise {
            Promise::QuietUpdate | Promise::BoundToken | Promise::GeneratedName => false,
        }
    }

    fn make_namespace(&self, _: &str) -> Result<(), Failure> {
        Ok(())
    }

    fn create(&self, draft: &Draft) -> Result<Object, Failure> {
        let key = key(&draft.namespace, &draft.name)?;
        self.write(Write::create(key, body(draft)))
    }

    fn create_named_by_door(&self, _: &Draft) -> Result<Object, Failure> {
        let words = "the library makes no names";
        Err(Failure::new(FailureKind::Other, words))
    }

    fn get(&self, namespace: &str, name: &str, at: Option<u64>) -> Result<Object, Failure> {
        let key = key(namespace, name)?;
        let found = self.at(at)?.get(&key).map_err(failure)?;
        let missing = || failure(Error::NotFound { key });
        found.as_ref().map(object).ok_or_else(missing)
    }

    fn update(&self, draft: &Draft, expect: &Expect) -> Result<Object, Failure> {
        let key = key(&draft.namespace, &draft.name)?;
        self.write(expecting(Write::update(key, body(draft)), expect))
    }

    fn delete(&self, namespace: &str, name: &str, expect: &Expect) -> Result<(), Failure> {
        let write = Write::delete(key(namespace, name)?);
        self.write(expecting(write, expect)).map(|_| ())
    }

    fn compact(&self, version: u64) -> Result<(), Failure> {
        let things = Collection::of(GROUP, RESOURCE).map_err(failure)?;
        let compacted = self.0.compact_to(&things, Version::new(version));
        assert!(compacted.map_err(failure)?.get() >= version);
        Ok(())
    }

    fn list(&self, choice: &Choice, cut: &Cut) -> Result<Page, Failure> {
        let (collection, filter) = chosen(choice)?;
        let (at, after) = match &cut.token {
            Some(token) => {
                let (version, last) = token.split_once(' ').unwrap();
                let last = Key::decode(last).map_err(failure)?;
                (Some(version.parse().unwrap()), Some(last))
            }
            None => (cut.at, None),
        };
        let list = List::new(collection).filter(filter).after(after);
        let list = list.limit(cut.limit.unwrap_or(0));
        let page = self.at(at)?.list(&list).map_err(failure)?;
        let next = page.next.as_ref();
        Ok(Page {
            version: page.version.get(),
            objects: page.items.iter().map(object).collect(),
            token: next.map(|last| format!("{} {}", page.version, last.encoded())),
        })
    }

    fn watch(&self, choice: &Choice, start: Start) -> Result<Box<dyn Events>, Failure> {
        let (collection, filter) = chosen(choice)?;
        let (after, first) = match start {
            Start::After(version) => (Version::new(version), VecDeque::new()),
            Start::Now => {
                let page = self.list(choice, &Cut::default())?;
                (Version::new(page.version), page.objects.into())
            }
        };
        let watch = self.0.watch(collection, filter, after).map_err(failure)?;
        Ok(Box::new(Following { first, watch }))
    }

    fn version(&self) -> Result<u64, Failure> {
        Ok(self.at(None)?.version().get())
    }
}

/// A watch, and the objects that were there when it began.
struct Following {
    first: VecDeque<Object>,
    watch: Watch,
}

impl Events for Following {
    fn next(&mut self) -> Result<Event, Failure> {
        if let Some(object) = self.first.pop_front() {
            let kind = EventKind::Added;
            return Ok(Event { kind, object });
        }
        let event = self.watch.next_timeout(PATIENCE).map_err(failure)?;
        let silent = || Failure::new(FailureKind::Other, "no event came");
        let event = event.ok_or_else(silent)?;
        let kind = match event.kind {
            annals::EventKind::Added => EventKind::Added,
            annals::EventKind::Modified => EventKind::Modified,
            annals::EventKind::Deleted => EventKind::Deleted,
        };
        let version = event.version.get();
        let object = Object {
            version,
            ..object(&event.object)
        };
        Ok(Event { kind, object })
    }
}

fn open(folder: &Path, options: Options) -> Store {
    let options = options.index(false).cache_bytes(8 << 20);
    Store::open(folder, options).unwrap()
}

#[test]
fn the_library_passes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), Options::new());
    run_all(&|| Box::new(Library(store.clone())));
    assert_eq!(store.check().unwrap().wrong, 0);
}

#[test]
fn the_library_passes_when_it_is_reopened() {
    let folder = tempfile::tempdir().unwrap();
    run_all(&|| Box::new(Library(open(folder.path(), Options::new()))));
    let store = open(folder.path(), Options::new());
    assert_eq!(store.check().unwrap().wrong, 0);
}

#[test]
fn the_library_passes_with_a_ring_of_one_revision() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), Options::new().ring(1, 1));
    run_all(&|| Box::new(Library(store.clone())));
}
