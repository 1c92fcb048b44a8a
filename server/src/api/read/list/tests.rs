//! Catches a list that loops over a page which leads nowhere, that counts what it did not see, or
//! that leaves a client with a version which is gone and no way on.
//!
//! The state is a real store, and the pages that no sound store gives are made up.

use annals::{Collection, FieldTest, Filter, ObjectField, Options, Store, Write};

use super::*;

const OBJECTS: usize = 40;

/// A store with some objects, and the part of their list that is asked for.
struct Scene {
    _folder: tempfile::TempDir,
    snapshot: Snapshot,
}

fn key(at: usize) -> Key {
    Key::new("g.example", "things", "n", &format!("x{at:02}")).unwrap()
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::new().index(false)).unwrap();
        let body = |at| format!(r#"{{"metadata":{{"name":"x{at:02}","namespace":"n"}}}}"#);
        let writes = (0..OBJECTS).map(|at| Write::create(key(at), body(at).into_bytes()));
        store.write_batch(writes.collect()).unwrap();
        Scene {
            _folder: folder,
            snapshot: store.snapshot().unwrap(),
        }
    }

    fn page(&self, filter: &Filter, after: Option<Key>, limit: usize) -> Page<Key> {
        let collection = Collection::of("g.example", "things").unwrap();
        let list = List::new(collection).filter(filter.clone());
        self.snapshot.list(&list.after(after).limit(limit)).unwrap()
    }

    fn gather(&self, part: &Part) -> Listed {
        let filter = &part.binding.filter;
        let listed = part.gather(self.snapshot.version(), |after, limit| {
            Ok(self.page(filter, after, limit))
        });
        listed.unwrap()
    }
}

fn part(last: Option<usize>, limit: Option<usize>) -> Part {
    let binding = Binding {
        epoch: [1; 16],
        group: "g.example".into(),
        resource: "things".into(),
        namespace: None,
        filter: Filter::default(),
    };
    Part {
        binding,
        last: last.map(key),
        limit,
    }
}

fn gone() -> Error {
    Error::Gone {
        requested: Version::new(3),
        oldest: Version::new(9),
    }
}

#[test]
fn what_follows_a_page_is_counted_when_it_is_in_sight() {
    let scene = Scene::new();
    for limit in 1..=OBJECTS + 1 {
        let mut last = None;
        loop {
            let from = last.map_or(0, |last: usize| last + 1);
            let listed = scene.gather(&part(last, Some(limit)));
            let expected: Vec<Key> = (from..OBJECTS.min(from + limit)).map(key).collect();
            let keys: Vec<Key> = listed.items.iter().map(|item| item.key().clone()).collect();
            assert_eq!(keys, expected);
            let rest = OBJECTS - from - keys.len();
            let counted = (1..=COUNTED_MAX).contains(&rest).then_some(rest as u64);
            assert_eq!(listed.remaining, counted, "limit {limit} from {from}");
            assert_eq!(
                listed.token.is_some(),
                rest > 0,
                "limit {limit} from {from}"
            );
            let Some(token) = listed.token else { break };
            let read = part(None, None).binding.read(&token).unwrap();
            let place = OBJECTS - rest - 1;
            assert_eq!(read, (At::Version(listed.version), key(place)));
            last = Some(place);
        }
    }
    // A selector chooses among what follows, so it is not counted.
    let mut chosen = part(None, Some(OBJECTS - 2));
    chosen.binding.filter.fields.push(FieldTest {
        field: ObjectField::Name,
        equals: false,
        value: "x00".to_owned(),
    });
    let listed = scene.gather(&chosen);
    assert_eq!((listed.items.len(), listed.remaining), (OBJECTS - 2, None));
    assert!(listed.token.is_some());
}

/// The store ends a page early when its objects are large.
#[test]
fn a_page_that_is_shorter_than_its_limit_is_not_the_last() {
    let scene = Scene::new();
    for size in [1, 5, 9] {
        let listed = part(Some(3), Some(10)).gather(scene.snapshot.version(), |after, _| {
            Ok(scene.page(&Filter::default(), after, size))
        });
        let listed = listed.unwrap();
        assert_eq!((listed.items.len(), listed.remaining), (size, None));
        let read = part(None, None).binding.read(&listed.token.unwrap());
        assert_eq!(read.unwrap(), (At::Version(listed.version), key(3 + size)));
    }
}

#[test]
fn a_list_without_a_limit_is_whole() {
    let scene = Scene::new();
    let whole = part(None, None);
    // However small the pages are that the store gives.
    for size in [1, 7, OBJECTS] {
        let listed = whole.gather(scene.snapshot.version(), |after, _| {
            Ok(scene.page(&Filter::default(), after, size))
        });
        let listed = listed.unwrap();
        assert_eq!(listed.items.len(), OBJECTS);
        assert_eq!((listed.token, listed.remaining), (None, None));
    }
}

#[test]
fn a_version_that_is_gone_leaves_a_way_on() {
    let version = Version::new(3);
    for limit in [None, Some(2)] {
        let status = part(None, limit).gather(version, |_, _| Err(gone()));
        let status = status.unwrap_err();
        assert_eq!((status.code(), status.reason.as_str()), (410, "Expired"));
        let text = "The resourceVersion for the provided list is too old.";
        assert_eq!(
            (status.message.as_str(), status.continue_token),
            (text, None)
        );

        let continued = part(Some(5), limit);
        let status = continued.gather(version, |_, _| Err(gone())).unwrap_err();
        assert_eq!((status.code(), status.reason.as_str()), (410, "Expired"));
        let text =
            "The provided continue parameter is too old to display a consistent list result.";
        assert!(status.message.starts_with(text), "{status}");
        let fresh = status.continue_token.unwrap();
        let read = continued.binding.read(&fresh).unwrap();
        assert_eq!(read, (At::Newest, key(5)));
    }
}

#[test]
fn a_version_that_goes_while_it_is_read_leaves_the_way_on_of_its_token() {
    let scene = Scene::new();
    let continued = part(Some(5), None);
    let status = continued.gather(scene.snapshot.version(), |after, _| match after {
        Some(after) if after == key(5) => Ok(scene.page(&Filter::default(), Some(after), 3)),
        _ => Err(gone()),
    });
    // Nothing of this answer was shown, so the way on begins where it would have.
    let fresh = status.unwrap_err().continue_token.unwrap();
    let read = continued.binding.read(&fresh).unwrap();
    assert_eq!(read, (At::Newest, key(5)));
}

#[test]
fn other_errors_stay_what_they_are() {
    let closed = part(Some(5), None).gather(Version::new(3), |_, _| Err(Error::Closed));
    assert_eq!(closed.unwrap_err().code(), 503);
    let early = Error::Future {
        requested: Version::new(9),
        current: Version::new(3),
    };
    let early = part(None, None).refuse(&early);
    assert_eq!(early.message, "Too large resource version: 9, current: 3");
}

#[test]
fn a_page_that_leads_nowhere_ends_the_list() {
    let scene = Scene::new();
    let filter = Filter::default();
    let version = scene.snapshot.version();
    let made_up = |items: Vec<Revision>, next: usize| {
        let next = Some(key(next));
        Page {
            version,
            items,
            next,
        }
    };
    let first_two = || scene.page(&filter, None, 2).items;
    for limit in [None, Some(2)] {
        for (items, next) in [(Vec::new(), 9), (first_two(), 9), (first_two(), 1)] {
            // From the third object on, every page is the same.
            let page = |_, _| Ok(made_up(items.clone(), next));
            let status = part(Some(2), limit).gather(version, page).unwrap_err();
            assert_eq!(status.code(), 500, "{status}");
        }
    }
}
