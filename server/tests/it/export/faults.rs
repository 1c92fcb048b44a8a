//! Catches a file that is damaged, cut off or somebody else's and is taken for good, and a fault
//! that does not say where it is.

use annals::Write;
use annals_server::kinds::Kinds;
use annals_server::records::{Format, ITEM_BYTES_MAX, reader};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::{Box, key, playlist};

const EXPORT: &str = r#"{"apiVersion":"export.annals.dev/v1","kind":"Export","version":"7","epoch":"e","history":false}"#;
const END: &str = r#"{"apiVersion":"export.annals.dev/v1","kind":"End","records":1}"#;
const OBJECT: &str = r#"{"apiVersion":"playlist.grafana.app/v0alpha1","kind":"Playlist","metadata":{"name":"a","namespace":"ns"},"spec":{"title":"t","interval":"1m"}}"#;
const REVISION: &str = r#"{"apiVersion":"export.annals.dev/v1","kind":"Revision","group":"g.test","resource":"boats","namespace":"","name":"x","version":"1","action":"created","time":"2030-01-01T00:00:00Z","author":"","object":{"a":1}}"#;

/// Loads a text into a fresh store; how many objects came of it, or the fault.
fn load(format: Format, text: &str) -> Result<usize, String> {
    let to = Box::new();
    let path = to.dir.path().join("in");
    std::fs::write(&path, text).unwrap();
    let (_, done) = to.load(format, &path);
    done.map(|()| to.all(false).len()).map_err(|error| {
        let name = path.display().to_string();
        assert!(
            error.place == "the store" || error.place.starts_with(&name),
            "{error}"
        );
        error.to_string().replace(&name, "FILE")
    })
}

fn check(format: Format, text: &str, expected: Result<usize, &str>) {
    let shown = &text[..text.len().min(1_000)];
    match (load(format, text), expected) {
        (Ok(count), Ok(expected)) => assert_eq!(count, expected, "{shown}"),
        (Err(error), Err(expected)) => {
            assert!(
                error.contains(expected),
                "{shown}\n{error}\nexpected {expected}"
            );
        }
        (found, expected) => panic!("{shown}: {found:?}, expected {expected:?}"),
    }
}

#[test]
fn ndjson() {
    let lines = |lines: &[&str]| lines.join("\n");
    let with = |from: &str, to: &str| OBJECT.replace(from, to);
    for (text, expected) in [
        (String::new(), Ok(0)),
        ("\n\n".to_owned(), Ok(0)),
        (OBJECT.to_owned(), Ok(1)),
        (lines(&[EXPORT, OBJECT, END]), Ok(1)),
        (lines(&[EXPORT, "", OBJECT, END, ""]), Ok(1)),
        (REVISION.to_owned(), Ok(1)),
        (
            lines(&[EXPORT, OBJECT]),
            Err("FILE, line 3: the file is cut off"),
        ),
        (
            lines(&[EXPORT, END]),
            Err("FILE, line 2: an End of 1 records after 0"),
        ),
        (lines(&[END]), Err("FILE, line 1: an End without an Export")),
        (lines(&[OBJECT, END]), Err("FILE, line 2: an End")),
        (
            lines(&[EXPORT, OBJECT, END, OBJECT]),
            Err("FILE, line 4: something after the End"),
        ),
        (
            lines(&[OBJECT, EXPORT]),
            Err("FILE, line 2: an Export that is not"),
        ),
        (
            lines(&[OBJECT, "[1]"]),
            Err("FILE, line 2: expected a JSON object"),
        ),
        (
            lines(&[OBJECT, "{\"a\":"]),
            Err("FILE, line 2: not an object"),
        ),
        (
            "{\"a\":1}\u{0}".to_owned(),
            Err("FILE, line 1: not an object"),
        ),
        (
            with("Playlist", "Boat"),
            Err("FILE, line 1: kind: \"Boat\""),
        ),
        (
            with("v0alpha1", "v9"),
            Err("apiVersion: playlist.grafana.app/v9 is not served"),
        ),
        (with("\"name\":\"a\",", ""), Err("metadata.name: missing")),
        (
            with(",\"namespace\":\"ns\"", ""),
            Err("metadata.namespace: missing"),
        ),
        (with("\"a\"", "\"a/b\""), Err("FILE, line 1: name")),
        (with(",\"interval\":\"1m\"", ""), Err("spec.interval")),
        (with("\"title\":\"t\"", "\"title\":1"), Err("spec.title")),
        (
            REVISION.replace("created", "made"),
            Err("action: expected created"),
        ),
        (
            REVISION.replace("{\"a\":1}", "[]"),
            Err("object: expected a JSON object"),
        ),
        (REVISION.replace("\"1\"", "\"one\""), Err("version: ")),
        (
            REVISION.replace("Revision", "Thing"),
            Err("kind: expected Export, Revision or End"),
        ),
        (
            REVISION.replace("created", "deleted"),
            Err("is deleted where it is not live"),
        ),
        (
            lines(&[EXPORT, &REVISION.replace("created", "deleted"), END]),
            Err("without history"),
        ),
        (lines(&[OBJECT, OBJECT]), Err("already exists")),
        (
            lines(&[&REVISION.replace("\"x\"", "\"y\""), REVISION]),
            Err("FILE, line 2: boats.g.test/x: stands after y"),
        ),
    ] {
        check(Format::Ndjson, &text, expected);
    }
    let long = "x".repeat(ITEM_BYTES_MAX + 1);
    check(Format::Ndjson, &long, Err("FILE, line 1: longer than"));
}

#[test]
fn yaml() {
    let object = |name: &str, indent: &str| {
        let lines = [
            "apiVersion: playlist.grafana.app/v0alpha1",
            "kind: Playlist",
            "metadata:",
            &format!("  name: {name}"),
            "  namespace: ns",
            "spec:",
            "  title: |-",
            "    - not an item",
            "",
            "    # not a comment",
            "  interval: 1m",
        ];
        let lines = lines.map(|line| match line {
            "" => String::new(),
            line => format!("{indent}{line}"),
        });
        lines.join("\n") + "\n"
    };
    let item = |name: &str, indent: &str| {
        let text = object(name, &format!("{indent}  "));
        format!("{indent}-{}", &text[indent.len() + 1..])
    };
    let (a, b) = (item("a", ""), item("b", ""));
    let (ia, ib) = (item("a", "  "), item("b", "  "));
    let head = "apiVersion: v1\nkind: List\nmetadata:\n  resourceVersion: \"7\"\nitems:\n";
    for (text, expected) in [
        (String::new(), Ok(0)),
        (object("a", ""), Ok(1)),
        (
            format!("---\n{}---\n{}", object("a", ""), object("b", "")),
            Ok(2),
        ),
        (
            format!(
                "apiVersion: v1\nitems:\n{a}{b}kind: List\nmetadata:\n  resourceVersion: \"\"\n"
            ),
            Ok(2),
        ),
        (
            format!("apiVersion: v1\nitems:\n{ia}# a comment\n{ib}kind: List\n"),
            Ok(2),
        ),
        (
            format!("# first\nkind: PlaylistList\nitems:\n{a}\n---\nkind: List\nitems:\n{ib}"),
            Ok(2),
        ),
        ("kind: List\nitems: []\n".to_owned(), Ok(0)),
        (format!("{head}{a}{b}...\n"), Ok(2)),
        (format!("{head}...\n"), Ok(0)),
        (format!("{head}{a}{b}"), Err("the file is cut off")),
        (head.to_owned(), Err("the file is cut off")),
        (
            format!("{head}{a}---\n{b}"),
            Err("expected the line \"...\""),
        ),
        (
            format!("{{\"kind\": \"List\", \"items\": [{OBJECT}]}}"),
            Err("use ndjson"),
        ),
        (
            format!("kind: List\nitems:\n{a}- [1]\n"),
            Err("FILE, line 14: expected a JSON object"),
        ),
        (
            format!("kind: List\nitems:\n{a}- a: b: c\n"),
            Err("FILE, line 14: the item that begins here"),
        ),
        ("just text\n".to_owned(), Err("expected a JSON object")),
        ("a: [\n".to_owned(), Err("not YAML")),
        (EXPORT.to_owned(), Err("belongs into an NDJSON file")),
    ] {
        check(Format::Yaml, &text, expected);
    }
    let deep = format!("- {}", "[".repeat(500_000));
    check(
        Format::Yaml,
        &format!("kind: List\nitems:\n{deep}\n"),
        Err("FILE, line 3"),
    );
    let mut long = "kind: List\nitems:\n- a: |\n".to_owned();
    long.push_str(&"    xxxxxxxxxxx\n".repeat(ITEM_BYTES_MAX / 16 + 1));
    check(Format::Yaml, &long, Err("an item that is larger than"));
}

#[test]
fn only_a_file_that_has_rows_is_parquet() {
    for text in [
        "",
        "PAR1",
        "PAR1\0\0\0\0PAR1",
        "no columns at all, but long enough",
    ] {
        check(Format::Parquet, text, Err("FILE: not a Parquet file"));
    }
}

/// Changed bytes are found, or change values alone; never a panic, and never without an end.
#[test]
fn damaged_parquet_is_an_error() {
    let from = Box::new();
    for at in 0..50 {
        let name = format!("n{at}");
        let body = playlist("ns", &name, "u", "t");
        from.write(Write::create(key("ns", &name), body));
    }
    let path = from.export(Format::Parquet, false);
    let sound = std::fs::read(&path).unwrap();
    let kinds = Kinds::built_in().unwrap();
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let all = reader(Format::Parquet, &path, &kinds)?;
        all.collect::<Result<Vec<_>, _>>()
    };
    assert_eq!(read(&sound).unwrap().len(), 50);
    let mut faults = 0;
    let strategy = (
        any::<prop::sample::Index>(),
        1..=255_u8,
        any::<prop::sample::Index>(),
    );
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..1_000 {
        let tree = strategy.new_tree(&mut runner).unwrap();
        let (at, flip, length) = tree.current();
        let mut bytes = sound.clone();
        bytes[at.index(sound.len())] ^= flip;
        faults += usize::from(read(&bytes).is_err());
        faults += usize::from(read(&sound[..length.index(sound.len())]).is_err());
    }
    assert!(
        faults > 1_000,
        "{faults}: every file that is cut off, and many others"
    );
}

#[test]
fn a_store_with_another_history_is_left_alone() {
    let (one, other) = (Box::new(), Box::new());
    for (made, title) in [(&one, "one"), (&other, "other")] {
        made.write(Write::create(
            key("ns", "a"),
            playlist("ns", "a", "u", title),
        ));
    }
    let before = other.all(true);
    let (_, done) = other.load(Format::Ndjson, &one.export(Format::Ndjson, true));
    let error = done.unwrap_err().to_string();
    assert!(
        error.contains("another revision in this place, version 1"),
        "{error}"
    );
    assert_eq!(other.all(true), before);
}

#[test]
fn what_the_server_owns_stays_when_an_object_is_loaded_over_another() {
    let (one, other) = (Box::new(), Box::new());
    one.write(Write::create(
        key("ns", "a"),
        playlist("ns", "a", "u1", "new"),
    ));
    other.write(Write::create(
        key("ns", "a"),
        playlist("ns", "a", "u2", "old"),
    ));
    let path = one.export(Format::Ndjson, false);
    let (tally, done) = other.load(Format::Ndjson, &path);
    done.unwrap();
    assert_eq!((tally.updated, tally.created), (1, 0));
    let there = other.snapshot().get(&key("ns", "a")).unwrap().unwrap();
    let value: serde_json::Value = serde_json::from_slice(there.body()).unwrap();
    assert_eq!(value["metadata"]["uid"], "u2");
    assert_eq!(value["metadata"]["generation"], 2);
    assert_eq!(value["spec"]["title"], "new");
    assert_eq!(value["metadata"]["labels"]["l"], "u1");
    let (tally, _) = other.load(Format::Ndjson, &path);
    assert_eq!((tally.updated, tally.unchanged), (0, 1));
}

#[test]
fn an_object_without_the_metadata_of_the_server_gets_it() {
    let to = Box::new();
    let path = to.dir.path().join("in");
    let given = OBJECT.replace("\"name\":\"a\"", "\"name\":\"a\",\"resourceVersion\":\"9\"");
    std::fs::write(&path, given).unwrap();
    to.load(Format::Ndjson, &path).1.unwrap();
    let there = to.snapshot().get(&key("ns", "a")).unwrap().unwrap();
    let value: serde_json::Value = serde_json::from_slice(there.body()).unwrap();
    let metadata = &value["metadata"];
    assert_eq!(metadata["uid"], there.header().uid);
    assert_eq!(metadata["generation"], 1);
    assert!(metadata["creationTimestamp"].is_string(), "{metadata}");
    assert!(metadata.get("resourceVersion").is_none(), "{metadata}");
}
