//! Would catch a limit that is off by one, is not kept at all, or is reported under another name.
//!
//! Each is tried at the limit, one above it and far above it.

use annals::{
    BATCH_WRITES_MAX, Collection, Error, Key, LOAD_WRITES_MAX, LabelSelector, List, NAME_BYTES_MAX,
    NAMESPACE_BYTES_MAX, Options, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, Path, Principal,
    SELECTOR_BYTES_MAX, Store, Version, Write,
};

use crate::disk::Disk;

fn options() -> Options {
    Options::new().index(false)
}

fn open(options: Options) -> Store {
    Store::open_on(Disk::new(), options).unwrap()
}

fn key(number: usize) -> Key {
    Key::new("g.x", "things", "ns", &format!("n{number:06}")).unwrap()
}

/// An object of exactly this many bytes.
fn body(bytes: usize) -> Vec<u8> {
    let filler = "x".repeat(bytes - r#"{"a":""}"#.len());
    format!(r#"{{"a":"{filler}"}}"#).into_bytes()
}

fn create(number: usize, bytes: usize) -> Write {
    Write::create(key(number), body(bytes))
}

fn too_large(field: &'static str, actual: usize, limit: usize) -> Error {
    Error::TooLarge {
        field,
        actual: actual as u64,
        limit: limit as u64,
    }
}

#[test]
fn an_object_has_a_largest_size() {
    for max in [64, 1024 * 1024] {
        let store = open(options().object_bytes_max(max));
        let at = store.write(create(0, max)).unwrap();
        assert_eq!(at.body().len(), max);
        for above in [max + 1, 4 * max] {
            let expected = too_large("body", above, max);
            assert_eq!(store.write(create(1, above)), Err(expected.clone()));
            let update = Write::update(key(0), body(above));
            assert_eq!(store.write(update), Err(expected));
        }
        assert_eq!(store.snapshot().unwrap().version(), Version::new(1));
    }
}

#[test]
fn the_default_object_size_is_one_mebibyte() {
    let store = open(options());
    let max = 1024 * 1024;
    assert!(store.write(create(0, max)).is_ok());
    let answer = store.write(create(1, max + 1));
    assert_eq!(answer, Err(too_large("body", max + 1, max)));
}

#[test]
fn a_batch_has_a_largest_length() {
    let store = open(options());
    let batch = |count| (0..count).map(|number| create(number, 16)).collect();
    for above in [BATCH_WRITES_MAX + 1, 20 * BATCH_WRITES_MAX] {
        let expected = too_large("batch", above, BATCH_WRITES_MAX);
        assert_eq!(store.write_batch(batch(above)), Err(expected));
    }
    assert_eq!(store.snapshot().unwrap().version(), Version::ZERO);
    let made = store.write_batch(batch(BATCH_WRITES_MAX)).unwrap();
    assert_eq!(made.len(), BATCH_WRITES_MAX);
    assert_eq!(store.write_batch(Vec::new()), Ok(Vec::new()));
}

#[test]
fn a_load_has_a_largest_length_and_is_seen_as_a_whole() {
    let store = open(options());
    let load = |count| (0..count).map(|number| create(number, 16)).collect();
    let expected = too_large("batch", LOAD_WRITES_MAX + 1, LOAD_WRITES_MAX);
    assert_eq!(store.load(load(LOAD_WRITES_MAX + 1)), Err(expected));
    assert_eq!(store.snapshot().unwrap().version(), Version::ZERO);
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| store.load(load(LOAD_WRITES_MAX)).unwrap());
        while !loading.is_finished() {
            let seen = store.snapshot().unwrap().version().get();
            assert!(
                seen == 0 || seen == LOAD_WRITES_MAX as u64,
                "a part is seen: {seen}"
            );
        }
    });
    assert_eq!(store.stats().unwrap().objects, LOAD_WRITES_MAX as u64);
}

#[test]
fn a_page_has_a_largest_number_of_entries() {
    let store = open(options());
    let total = PAGE_ENTRIES_MAX + 1;
    let numbers: Vec<usize> = (0..total).collect();
    for chunk in numbers.chunks(BATCH_WRITES_MAX) {
        let writes = chunk.iter().map(|&number| create(number, 16));
        store.write_batch(writes.collect()).unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    let all = || List::new(Collection::all());
    for limit in [0, PAGE_ENTRIES_MAX, PAGE_ENTRIES_MAX + 1, usize::MAX] {
        let page = snapshot.list(&all().limit(limit)).unwrap();
        assert_eq!(page.items.len(), PAGE_ENTRIES_MAX);
        let last = snapshot.list(&all().limit(limit).after(page.next)).unwrap();
        assert_eq!((last.items.len(), last.next), (1, None));
    }
    for chunk in numbers.chunks(BATCH_WRITES_MAX) {
        let writes = chunk.iter().map(|&number| Write::delete(key(number)));
        store.write_batch(writes.collect()).unwrap();
    }
    let page = store.snapshot().unwrap().trash(&all()).unwrap();
    assert_eq!(
        (page.items.len(), page.next.is_some()),
        (PAGE_ENTRIES_MAX, true)
    );
}

#[test]
fn a_history_page_has_a_largest_number_of_entries() {
    let store = open(options());
    store.write(create(0, 16)).unwrap();
    for _ in 0..PAGE_ENTRIES_MAX / BATCH_WRITES_MAX {
        let writes = (0..BATCH_WRITES_MAX).map(|_| Write::update(key(0), body(16)));
        store.write_batch(writes.collect()).unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    for limit in [0, PAGE_ENTRIES_MAX + 1, usize::MAX] {
        let page = snapshot.history(&key(0), limit, None).unwrap();
        assert_eq!(page.items.len(), PAGE_ENTRIES_MAX);
        assert_eq!(page.next, Some(Version::new(1)));
    }
}

#[test]
fn a_page_ends_early_when_its_bodies_are_large() {
    let store = open(options());
    let size = 1024 * 1024;
    let fitting = PAGE_BYTES_MAX / size;
    for number in 0..fitting + 2 {
        store.write(create(number, size)).unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    let page = snapshot.list(&List::new(Collection::all())).unwrap();
    assert_eq!(page.items.len(), fitting);
    let rest = List::new(Collection::all()).after(page.next);
    assert_eq!(snapshot.list(&rest).unwrap().items.len(), 2);
}

/// Each part of a key at its limit, one above and far above.
#[test]
fn the_parts_of_a_key_have_largest_lengths() {
    type Make = fn(&str) -> Result<Key, Error>;
    let parts: [(&str, usize, Make); 4] = [
        ("group", NAME_BYTES_MAX, |text| {
            Key::new(text, "r", "ns", "n")
        }),
        ("resource", NAMESPACE_BYTES_MAX, |text| {
            Key::new("g", text, "ns", "n")
        }),
        ("namespace", NAMESPACE_BYTES_MAX, |text| {
            Key::new("g", "r", text, "n")
        }),
        ("name", NAME_BYTES_MAX, |text| {
            Key::new("g", "r", "ns", text)
        }),
    ];
    for (part, max, make) in parts {
        assert!(make(&"a".repeat(max)).is_ok(), "{part}");
        for above in [max + 1, 1024 * 1024] {
            match make(&"a".repeat(above)) {
                Err(Error::Invalid { field, problem }) => {
                    assert_eq!(field, part);
                    assert!(problem.contains(&max.to_string()), "{problem}");
                    assert!(problem.len() < 256, "the message repeats the input");
                }
                other => panic!("{part} of {above} bytes: {other:?}"),
            }
        }
    }
    let longest = "a".repeat(NAME_BYTES_MAX);
    let longest = Key::new(&longest, &"r".repeat(63), &"n".repeat(63), &longest).unwrap();
    let store = open(options());
    store
        .write(Write::create(longest.clone(), body(16)))
        .unwrap();
    assert!(store.snapshot().unwrap().get(&longest).unwrap().is_some());
}

#[test]
fn an_author_is_cut_at_a_character() {
    let exact = "é".repeat(NAME_BYTES_MAX / 2);
    assert_eq!(Principal::new(exact.clone()).name(), exact);
    assert_eq!(Principal::new("é".repeat(10_000)).name(), exact);
    assert_eq!(Principal::new("a".repeat(254)).name().len(), NAME_BYTES_MAX);
}

#[test]
fn a_selector_has_a_largest_length_and_number_of_parts() {
    let padded = |bytes: usize| format!("{}a", " ".repeat(bytes - 1));
    assert!(padded(SELECTOR_BYTES_MAX).parse::<LabelSelector>().is_ok());
    for above in [SELECTOR_BYTES_MAX + 1, 1024 * 1024] {
        let error = padded(above).parse::<LabelSelector>().unwrap_err();
        let limit = SELECTOR_BYTES_MAX.to_string();
        assert!(error.to_string().contains(&limit), "{error}");
    }
    let parts = |count| vec!["a=b"; count].join(",").parse::<LabelSelector>();
    assert_eq!(parts(256).unwrap().requirements().len(), 256);
    assert!(parts(257).unwrap_err().to_string().contains("256"));
    assert!(parts(1_000).unwrap_err().to_string().contains("256"));
}

#[test]
fn a_path_has_a_largest_length() {
    let path = |bytes: usize| Path::parse(&format!(".{}", "a".repeat(bytes - 1)));
    assert!(path(1_024).is_ok());
    for above in [1_025, 1024 * 1024] {
        let message = path(above).unwrap_err().to_string();
        assert!(message.contains("1,024"), "{message}");
        assert!(message.len() < 1_024, "the message repeats the input");
    }
}

/// A body is refused for what is wrong with it, under the name of the field.
#[test]
fn a_body_that_is_no_object_names_its_field() {
    let store = open(options());
    let deep = format!(r#"{{"a":{}"#, "[".repeat(500_000));
    let cases: [(&[u8], &str); 8] = [
        (b"", "body"),
        (b"null", "body"),
        (b"[1]", "body"),
        (b"{", "body"),
        (b"{}{}", "body"),
        (br#"{"metadata":{"name":"other"}}"#, "metadata.name"),
        (
            br#"{"metadata":{"namespace":"other"}}"#,
            "metadata.namespace",
        ),
        (deep.as_bytes(), "body"),
    ];
    for (body, expected) in cases {
        match store.write(Write::create(key(0), body.to_vec())) {
            Err(Error::Invalid { field, .. }) => assert_eq!(field, expected),
            other => panic!("{other:?}, expected a bad {expected}"),
        }
    }
}
