//! Would catch a typed handle that shows other objects than the untyped store, loses what its type
//! does not know, writes over what it has not read, or takes an object for what it is not.

use std::collections::BTreeMap;

use annals::{
    Action, Collection, Error, ErrorKind, Event, EventKind, Filter, Key, List, ManualClock, Object,
    ObjectMeta, Objects, Options, Principal, Resource, Revision, Store, Timestamp, Version, Write,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Playlist {
    spec: Spec,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Spec {
    title: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    value: u32,
}

const GROUP: &str = "playlist.test";
const RESOURCE: &str = "playlists";

impl Resource for Playlist {
    const GROUP: &str = GROUP;
    const VERSION: &str = "v1";
    const KIND: &str = "Playlist";
    const RESOURCE: &str = RESOURCE;
}

/// A type that knows every field, and refuses none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Anything(BTreeMap<String, Value>);

impl Resource for Anything {
    const GROUP: &str = GROUP;
    const VERSION: &str = "v1";
    const KIND: &str = "Playlist";
    const RESOURCE: &str = RESOURCE;
}

/// A type of the cluster scope that refuses what it does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Room {
    floor: i8,
}

impl Resource for Room {
    const GROUP: &str = "";
    const VERSION: &str = "v2";
    const KIND: &str = "Room";
    const RESOURCE: &str = "rooms";
    const NAMESPACED: bool = false;
}

fn open() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::new().index(false)).unwrap();
    (folder, store)
}

fn playlist(title: &str, values: &[u32]) -> Playlist {
    let items = values.iter().map(|&value| Item { value }).collect();
    let title = title.to_owned();
    Playlist {
        spec: Spec { title, items },
    }
}

fn key(namespace: &str, name: &str) -> Key {
    Key::new(GROUP, RESOURCE, namespace, name).unwrap()
}

fn put(store: &Store, name: &str, body: &Value) -> Revision {
    let body = serde_json::to_vec(body).unwrap();
    store.write(Write::create(key("ns", name), body)).unwrap()
}

fn json_of(revision: &Revision) -> Value {
    serde_json::from_slice(revision.body()).unwrap()
}

fn stored<T>(object: &Object<T>) -> Value {
    json_of(object.revision().unwrap())
}

#[derive(Clone, Debug)]
enum Op {
    Create(u8, u8, bool, String),
    Update(u8, u8, Vec<u32>),
    Delete(u8, u8),
    Untyped(u8, u8, bool),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (ns, name) = (0..2_u8, 0..4_u8);
    prop::collection::vec(
        prop_oneof![
            3 => (ns.clone(), name.clone(), any::<bool>(), "[a-z]{0,3}")
                .prop_map(|(ns, name, label, title)| Op::Create(ns, name, label, title)),
            3 => (ns.clone(), name.clone(), prop::collection::vec(0..4_u32, 0..3))
                .prop_map(|(ns, name, items)| Op::Update(ns, name, items)),
            1 => (ns.clone(), name.clone()).prop_map(|(ns, name)| Op::Delete(ns, name)),
            1 => (ns, name, any::<bool>()).prop_map(|(ns, name, label)| Op::Untyped(ns, name, label)),
        ],
        1..24,
    )
}

/// Applies the steps; those that cannot be are refused with the right word.
fn apply(store: &Store, op: &Op) {
    let place = |ns: &u8, name: &u8| (format!("ns{ns}"), format!("p{name}"));
    let within = |ns: &str| store.kind::<Playlist>().within(ns).unwrap();
    let label = |yes: &bool| BTreeMap::from([("on".to_owned(), yes.to_string())]);
    match op {
        Op::Create(ns, name, on, title) => {
            let (ns, name) = place(ns, name);
            let mut new = Object::new(name.clone(), playlist(title, &[1, 2]));
            new.metadata.labels = label(on);
            let lived = within(&ns).get(&name).unwrap().is_some();
            match within(&ns).create(&new) {
                Ok(made) => assert!(!lived && made.value == new.value),
                Err(error) => assert!(lived && error.kind() == ErrorKind::AlreadyExists),
            }
        }
        Op::Update(ns, name, values) => {
            let (ns, name) = place(ns, name);
            if let Some(mut object) = within(&ns).get(&name).unwrap() {
                object.value = playlist("new", values);
                let newer = store.kind::<Playlist>().update(&object).unwrap();
                assert_eq!(newer.value, object.value);
                assert_eq!(stored(&newer)["more"], stored(&object)["more"]);
            }
        }
        Op::Delete(ns, name) => {
            let (ns, name) = place(ns, name);
            let lived = within(&ns).get(&name).unwrap().is_some();
            assert_eq!(within(&ns).delete(&name).is_ok(), lived);
        }
        Op::Untyped(ns, name, on) => {
            let (ns, name) = place(ns, name);
            let body = json!({"more": {"x": [1]}, "metadata": {"labels": label(on)},
                "spec": {"title": "t", "items": [{"value": 1, "x": 2}]}});
            let body = serde_json::to_vec(&body).unwrap();
            let write = if within(&ns).get(&name).unwrap().is_some() {
                Write::update(key(&ns, &name), body)
            } else {
                Write::create(key(&ns, &name), body)
            };
            store.write(write).unwrap();
        }
    }
}

/// A typed object and the revision it stands for.
fn agree(object: &Object<Playlist>, revision: &Revision) {
    assert_eq!(object.revision(), Some(revision));
    let (body, header) = (json_of(revision), revision.header());
    assert_eq!(
        serde_json::to_value(&object.value).unwrap()["spec"]["title"],
        body["spec"]["title"]
    );
    assert_eq!(object.key().unwrap(), header.key);
    assert_eq!(object.version(), header.version);
    assert_eq!(object.metadata.uid, header.uid);
    let labels: Vec<_> = object.metadata.labels.clone().into_iter().collect();
    assert_eq!(labels, header.labels);
    assert_eq!(body.pointer("/metadata/resourceVersion"), None);
    let anything = Object::<Anything>::read(revision.clone()).unwrap();
    let mut fields: BTreeMap<String, Value> = serde_json::from_value(body).unwrap();
    for own in ["apiVersion", "kind", "metadata"] {
        fields.remove(own);
    }
    assert_eq!(anything.value.0, fields);
    assert_eq!(anything.metadata, object.metadata);
}

fn agree_all(objects: &[Object<Playlist>], revisions: &[Revision]) {
    assert_eq!(objects.len(), revisions.len());
    objects
        .iter()
        .zip(revisions)
        .for_each(|(object, revision)| agree(object, revision));
}

fn check_state(store: &Store, version: Version, filter: &Filter, limit: usize) {
    let snapshot = store.snapshot_at(version).unwrap();
    for namespace in [None, Some("ns0"), Some("ns1")] {
        let (mut handle, mut all) = (store.kind::<Playlist>(), Collection::of(GROUP, RESOURCE));
        if let Some(namespace) = namespace {
            handle = handle.within(namespace).unwrap();
            all = Collection::within(GROUP, RESOURCE, namespace);
        }
        let at = handle.at(version).unwrap();
        assert_eq!(at.version(), version);
        let list = List::new(all.unwrap()).filter(filter.clone());
        let listed = snapshot.list(&list).unwrap().items;
        let trash = snapshot.trash(&list).unwrap().items;
        let walked: Result<Vec<_>, Error> = at.all(filter.clone()).unwrap().collect();
        agree_all(&walked.unwrap(), &listed);
        agree_all(&at.trash(filter.clone(), 0, None).unwrap().items, &trash);
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = at.list(filter.clone(), limit, after).unwrap();
            assert!(page.items.len() <= limit && page.version == version);
            paged.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        agree_all(&paged, &listed);
        for revision in listed.iter().chain(&trash) {
            let name = revision.key().name();
            let narrow = handle
                .within(revision.key().namespace())
                .unwrap()
                .at(version)
                .unwrap();
            let untyped = snapshot.history(revision.key(), 0, None).unwrap().items;
            agree_all(&narrow.history(name, 0, None).unwrap().items, &untyped);
            let got = narrow.get(name).unwrap().map(|got| got.version());
            assert_eq!(
                got,
                snapshot
                    .get(revision.key())
                    .unwrap()
                    .map(|got| got.version())
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn typed_and_untyped_views_agree(ops in ops(), limit in 1..4_usize, on in any::<bool>()) {
        let (_folder, store) = open();
        ops.iter().for_each(|op| apply(&store, op));
        let head = store.snapshot().unwrap().version();
        let filter = Filter::with_labels(format!("on={on}").parse().unwrap());
        for version in 0..=head.get() {
            check_state(&store, Version::new(version), &Filter::default(), limit);
            check_state(&store, Version::new(version), &filter, limit);
        }
        for filter in [Filter::default(), filter] {
            let collection = Collection::of(GROUP, RESOURCE).unwrap();
            let mut untyped = store.watch(collection, filter.clone(), Version::ZERO).unwrap();
            let mut typed = store.kind::<Playlist>().watch(filter, Version::ZERO).unwrap();
            while let Some(event) = untyped.try_next().unwrap() {
                let Event { kind, version, object, previous, is_create } =
                    typed.try_next().unwrap().unwrap();
                agree(&object, &event.object);
                let shown = (kind, version, previous, is_create);
                prop_assert_eq!(
                    shown, (event.kind, event.version, event.previous, event.is_create)
                );
            }
            prop_assert!(typed.try_next().unwrap().is_none());
            prop_assert_eq!(typed.version(), head);
        }
    }
}

#[test]
fn a_stale_update_changes_nothing() {
    let (_folder, store) = open();
    let playlists = store.kind::<Playlist>().within("ns").unwrap();
    let first = playlists
        .create(&Object::new("a", playlist("one", &[])))
        .unwrap();
    let mut mine = first.clone();
    mine.value.spec.title = "two".to_owned();
    let second = playlists.update(&mine).unwrap();
    mine.value.spec.title = "three".to_owned();
    let refused = playlists.update(&mine).unwrap_err();
    let (expected, actual) = (first.version(), second.version());
    let key = key("ns", "a");
    assert_eq!(
        refused,
        Error::VersionConflict {
            key,
            expected,
            actual
        }
    );
    assert_eq!(playlists.get("a").unwrap(), Some(second.clone()));

    // Nor does one of an earlier life, or of an object that was never read.
    playlists.delete("a").unwrap();
    assert_eq!(
        playlists.update(&second).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let third = playlists.create(&second).unwrap();
    assert_ne!(third.metadata.uid, second.metadata.uid);
    assert_eq!(
        playlists.update(&second).unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let unread = playlists
        .update(&Object::new("a", playlist("x", &[])))
        .unwrap_err();
    assert!(
        unread.to_string().starts_with("metadata.resourceVersion: "),
        "{unread}"
    );
    assert_eq!(playlists.get("a").unwrap(), Some(third));
}

#[test]
fn what_the_type_does_not_know_survives() {
    let (_folder, store) = open();
    put(
        &store,
        "a",
        &json!({
            "status": {"runs": 3},
            "metadata": {"managedFields": [1], "ownerReferences": [{"uid": "o"}],
                "annotations": {"note": "n", "none": null}, "labels": null,
                "resourceVersion": "7"},
            "spec": {"title": "t", "speed": 1.50,
                "items": [{"value": 1, "x": "one"}, {"value": 2, "x": "two"}]},
        }),
    );
    let playlists = store.kind::<Playlist>().within("ns").unwrap();
    let mut read = playlists.get("a").unwrap().unwrap();
    assert_eq!(
        read.metadata.annotations,
        [("note".to_owned(), "n".to_owned())].into()
    );
    read.value.spec.items.remove(0);
    read.metadata.labels.insert("l".to_owned(), "v".to_owned());
    let more = ("more".to_owned(), "m".to_owned());
    read.metadata.annotations.extend([more]);
    let written = stored(&playlists.update(&read).unwrap());
    let uid = &read.metadata.uid;
    let created = written.pointer("/metadata/creationTimestamp").unwrap();
    assert_eq!(
        written,
        json!({
            "status": {"runs": 3},
            "metadata": {"managedFields": [1], "ownerReferences": [{"uid": "o"}],
                "annotations": {"note": "n", "none": null, "more": "m"},
                "labels": {"l": "v"},
                "name": "a", "namespace": "ns", "uid": uid, "creationTimestamp": created},
            "spec": {"title": "t", "speed": 1.50, "items": [{"value": 2, "x": "two"}]},
            "apiVersion": "playlist.test/v1",
            "kind": "Playlist",
        })
    );
    // One made anew replaces everything.
    let mut anew = Object::new("a", playlist("anew", &[]));
    anew.metadata = playlists.get("a").unwrap().unwrap().metadata;
    let written = stored(&playlists.update(&anew).unwrap());
    assert_eq!(written["spec"], json!({"title": "anew"}));
    assert_eq!(written.get("status"), None);
    assert_eq!(written.pointer("/metadata/managedFields"), None);
}

#[test]
fn a_body_of_another_type_names_its_field() {
    let (_folder, store) = open();
    let spec = json!({"title": "t"});
    let cases = [
        (json!({}), "spec", "is missing"),
        (json!({"spec": {}}), "spec.title", "is missing"),
        (json!({"spec": {"title": 5}}), "spec.title", "integer `5`"),
        (
            json!({"spec": {"title": "t", "items": [{"value": 1}, {"value": -1}]}}),
            "spec.items[1].value",
            "integer `-1`",
        ),
        (
            json!({"spec": {"title": "t", "items": [{}]}}),
            "spec.items[0].value",
            "is missing",
        ),
        (
            json!({"spec": spec, "kind": "Folder"}),
            "kind",
            "is \"Folder\", not \"Playlist\"",
        ),
        (
            json!({"spec": spec, "apiVersion": "playlist.test/v2"}),
            "apiVersion",
            "v1",
        ),
        (
            json!({"spec": spec, "metadata": {"finalizers": ["a", 1]}}),
            "metadata.finalizers[1]",
            "integer `1`",
        ),
        (
            json!({"spec": spec, "metadata": {"creationTimestamp": "noon"}}),
            "metadata.creationTimestamp",
            "RFC 3339",
        ),
    ];
    let playlists = store.kind::<Playlist>().within("ns").unwrap();
    for (at, (body, field, problem)) in cases.iter().enumerate() {
        let name = format!("p{at}");
        let revision = put(&store, &name, body);
        let wrong = |error: Error| {
            let Error::NotOfType {
                key,
                version,
                kind,
                field: named,
                problem: said,
            } = &error
            else {
                panic!("{body}: {error:?}");
            };
            assert_eq!((key, *version), (revision.key(), revision.version()));
            assert_eq!((*kind, &**named), ("Playlist", *field), "{said}");
            assert!(said.contains(problem) && !said.contains("line"), "{said}");
            assert_eq!(error.kind(), ErrorKind::Invalid);
        };
        wrong(playlists.get(&name).unwrap_err());
        wrong(playlists.history(&name, 0).unwrap_err());
    }
    // A list says so; a walk and a watch go on behind it.
    let sound = playlists
        .create(&Object::new("q", playlist("t", &[])))
        .unwrap();
    assert!(matches!(
        playlists.list(Filter::default(), 0),
        Err(Error::NotOfType { .. })
    ));
    let walked: Vec<_> = playlists
        .now()
        .unwrap()
        .all(Filter::default())
        .unwrap()
        .collect();
    assert_eq!(walked.len(), cases.len() + 1);
    assert_eq!(
        walked.iter().filter(|one| one.is_err()).count(),
        cases.len()
    );
    assert_eq!(walked.last().unwrap(), &Ok(sound.clone()));
    let mut watch = playlists.watch(Filter::default(), Version::ZERO).unwrap();
    for _ in &cases {
        assert!(matches!(watch.try_next(), Err(Error::NotOfType { .. })));
    }
    assert_eq!(watch.try_next().unwrap().unwrap().object, sound);
}

/// What a caller does wrong is said before anything is written.
#[test]
fn a_wrong_use_names_what_is_wrong() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Odd(Value);
    impl Resource for Odd {
        const GROUP: &str = GROUP;
        const VERSION: &str = "v1";
        const KIND: &str = "Odd";
        const RESOURCE: &str = "odds";
    }
    #[derive(PartialEq, Debug, Serialize, Deserialize)]
    struct Uneven {
        #[serde(skip_serializing)]
        half: u8,
    }
    impl Resource for Uneven {
        const GROUP: &str = GROUP;
        const VERSION: &str = "v1";
        const KIND: &str = "Uneven";
        const RESOURCE: &str = "odds";
    }
    let (_folder, store) = open();
    let all = store.kind::<Playlist>();
    let ns = all.within("ns").unwrap();
    let new = |namespace: &str| {
        let mut new = Object::new("a", playlist("t", &[]));
        new.metadata.namespace = namespace.to_owned();
        new
    };
    let odds = store.kind::<Odd>().within("ns").unwrap();
    let odd = |value: Value| odds.create(&Object::new("a", Odd(value))).unwrap_err();
    let uneven = store.kind::<Uneven>().within("ns").unwrap();
    let uneven = uneven.create(&Object::new("a", Uneven { half: 1 }));
    let cases = [
        (all.get("a").unwrap_err(), "namespace: must be said"),
        (all.delete("a").unwrap_err(), "namespace: must be said"),
        (
            all.create(&new("")).unwrap_err(),
            "metadata.namespace: must be said",
        ),
        (
            ns.create(&new("other")).unwrap_err(),
            "metadata.namespace: is \"other\"",
        ),
        (
            ns.create(&Object::new("", playlist("t", &[]))).unwrap_err(),
            "name: ",
        ),
        (all.within("").unwrap_err(), "namespace: must not be empty"),
        (all.within("a/b").unwrap_err(), "namespace: "),
        (
            store.kind::<Room>().within("ns").unwrap_err(),
            "namespace: must be empty",
        ),
        (odd(json!([1])), "object: must become a JSON object"),
        (odd(json!({"metadata": {}})), "object: has a field metadata"),
        (
            uneven.unwrap_err(),
            "object: does not read back: half: is missing",
        ),
    ];
    for (error, expected) in cases {
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
        assert!(
            error.to_string().starts_with(expected),
            "{error}, not {expected}"
        );
    }
    assert_eq!(store.snapshot().unwrap().version(), Version::ZERO);
    // A handle over all namespaces writes where the object says.
    assert_eq!(all.create(&new("ns")).unwrap().version(), Version::new(1));
}

#[test]
fn a_create_is_a_new_life_in_the_cluster_scope_too() {
    let folder = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(ManualClock::default());
    clock.set(Timestamp(1_700_000_000_123_456));
    let options = Options::new().index(false).clock(clock);
    let store = Store::open(folder.path(), options).unwrap();
    let rooms: Objects<Room> = store.kind::<Room>().author(Principal::new("ann"));
    let mut new = Object::new("hall", Room { floor: -1 });
    new.metadata = ObjectMeta {
        uid: "mine".to_owned(),
        resource_version: Version::new(9),
        generation: Some(4),
        creation_timestamp: Some(Timestamp(5)),
        deletion_timestamp: Some(Timestamp(6)),
        ..new.metadata
    };
    let hall = rooms.create(&new).unwrap();
    assert_ne!(hall.metadata.uid, "mine");
    let body = stored(&hall);
    let metadata = json!({"name": "hall", "uid": hall.metadata.uid,
        "creationTimestamp": "2023-11-14T22:13:20Z"});
    let whole = json!({"apiVersion": "v2", "kind": "Room", "metadata": metadata, "floor": -1});
    assert_eq!(body, whole);
    assert_eq!(rooms.get("hall").unwrap(), Some(hall.clone()));
    let header = hall.revision().unwrap().header();
    assert_eq!(
        (header.action, header.author.as_str()),
        (Action::Created, "ann")
    );
    let shown = serde_json::to_value(&hall.metadata).unwrap();
    assert_eq!(shown["resourceVersion"], "1");
    assert_eq!(
        serde_json::from_value::<ObjectMeta>(shown).unwrap(),
        hall.metadata
    );
}

#[test]
fn a_batch_of_typed_bodies_and_the_watch_that_sees_it() {
    let (_folder, store) = open();
    let playlists = store.kind::<Playlist>().within("ns").unwrap();
    let mut watch = playlists.watch(Filter::default(), Version::ZERO).unwrap();
    let reader = std::thread::spawn(move || {
        let seen = watch.by_ref().take(4).map(Result::unwrap);
        seen.map(|event| (event.kind, event.object.value))
            .collect::<Vec<_>>()
    });
    let objects = ["a", "b"].map(|name| {
        let mut object = Object::new(name, playlist(name, &[7]));
        object.metadata.namespace = "ns".to_owned();
        object
    });
    let writes = objects
        .iter()
        .map(|object| Write::create(object.key().unwrap(), object.body().unwrap()));
    store.write_batch(writes.collect()).unwrap();
    let mut a = playlists.get("a").unwrap().unwrap();
    a.value.spec.items.clear();
    playlists.update(&a).unwrap();
    playlists.delete("b").unwrap();
    assert_eq!(
        reader.join().unwrap(),
        [
            (EventKind::Added, playlist("a", &[7])),
            (EventKind::Added, playlist("b", &[7])),
            (EventKind::Modified, playlist("a", &[])),
            (EventKind::Deleted, playlist("b", &[7])),
        ]
    );
}
