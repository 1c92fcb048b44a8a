//! Catches a body, an action or an author that is another one after a way through a file, a load
//! that stops where it was interrupted, and one that is there twice.

use annals::{Collection, FieldTest, Filter, Key, ObjectField, Write};
use annals_server::records::{Format, Selection};
use proptest::prelude::*;
use serde_json::Value;

use super::{Box, key, playlist};

/// What a body may hold that a format could spoil: `%` is the uid.
const BODIES: [&str; 9] = [
    r#"{"metadata":{"uid":"%"},"spec":{"n":1.50,"e":1e2,"big":18446744073709551615}}"#,
    "{ \"metadata\" : {\"uid\":\"%\"},\n \"spec\":\r\n[ ]\t}",
    r#"{"metadata":{"uid":"%"},"text":"line\nend\r\u2028é\u0085 - a: b # c\n\n  x\n"}"#,
    r#"{"metadata":{"uid":"%"},"words":["yes","no","null","~","0x10","1_0","","- a"," a ","---","..."]}"#,
    r#"{"metadata":{"uid":"%"},"":{"":{}},"list":[[],[[]],{}],"items":[{"kind":"List"}]}"#,
    r#"{"metadata":{"uid":"%"},"kind":"List","apiVersion":"v1","items":[]}"#,
    r#"{"metadata":{"uid":"%"},"kind":"Export","apiVersion":"export.annals.dev/v2"}"#,
    r#"{"metadata":{"uid":"%","annotations":{"grafana.app/folder":"f"}},"a":"\ud83d\ude00 \"\\"}"#,
    r#"{"metadata":{"uid":"%"},"tail":"x\n","tails":"x\n\n","lead":"\n x","tab":"\ta","nul":"\u0000"}"#,
];

/// One step: which object, which body; without one it is deleted.
fn steps() -> impl Strategy<Value = Vec<(usize, Option<usize>)>> {
    let body = prop_oneof![3 => (0..BODIES.len()).prop_map(Some), 1 => Just(None)];
    prop::collection::vec((0..6_usize, body), 1..40)
}

fn object(number: usize) -> Key {
    let (group, resource) = [("", "boats"), ("sea.test", "boats")][number % 2];
    Key::new(group, resource, ["", "a", "b"][number % 3], "x_Y:1").unwrap()
}

/// A store after these steps. A deletion of what is not there, and a creation of what is, become
/// what fits.
fn store(steps: &[(usize, Option<usize>)]) -> Box {
    let made = Box::new();
    let mut live: [Option<usize>; 6] = [None; 6];
    for (at, (number, body)) in steps.iter().enumerate() {
        let key = object(*number);
        let body = |life: usize| {
            let body = body.map(|body| BODIES[body].replace('%', &format!("uid-{life}")));
            body.map(String::into_bytes)
        };
        match (live[*number], body(live[*number].unwrap_or(at))) {
            (None, Some(body)) => {
                made.write(Write::create(key, body));
                live[*number] = Some(at);
            }
            (Some(_), Some(body)) => {
                made.write(Write::update(key, body));
            }
            (Some(_), None) => {
                made.write(Write::delete(key));
                live[*number] = None;
            }
            (None, None) => {}
        }
    }
    made
}

/// What a format keeps of a body.
fn kept(format: Format, body: &str) -> String {
    match format {
        Format::Parquet => body.to_owned(),
        Format::Ndjson => body.replace(['\n', '\r'], " "),
        Format::Yaml => serde_json::from_str::<Value>(body).unwrap().to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_changes_on_the_way(steps in steps(), history: bool) {
        let from = store(&steps);
        for format in [Format::Ndjson, Format::Yaml, Format::Parquet] {
            let path = from.export(format, history);
            let to = Box::new();
            let (tally, done) = to.load(format, &path);
            prop_assert_eq!(done, Ok(()));
            let mut expected = from.all(history);
            prop_assert_eq!(tally.records(), expected.len() as u64);
            for (_, action, author, body) in &mut expected {
                *body = kept(format, body);
                if format == Format::Parquet {
                    *author = "import".to_owned();
                }
                if !history {
                    *action = "created".to_owned();
                }
            }
            prop_assert_eq!(to.all(history), expected.clone());
            // Once more changes nothing.
            let (again, done) = to.load(format, &path);
            prop_assert_eq!(done, Ok(()));
            prop_assert_eq!((again.unchanged, again.records()), (tally.records(), tally.records()));
            prop_assert_eq!(to.all(history), expected);
            if history {
                let (home, done) = from.load(format, &path);
                prop_assert_eq!(done, Ok(()));
                prop_assert_eq!(home.unchanged, tally.records());
            }
        }
    }

    /// A load that broke off anywhere goes on and ends where one in one piece would have.
    #[test]
    fn a_broken_load_goes_on(steps in steps(), at: prop::sample::Index) {
        let from = store(&steps);
        let path = from.export(Format::Ndjson, true);
        let whole = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = whole.split_inclusive('\n').collect();
        let cut = at.index(lines.len());
        let to = Box::new();
        std::fs::write(&path, lines[..cut].concat()).unwrap();
        let (_, done) = to.load(Format::Ndjson, &path);
        prop_assert_eq!(done.is_err(), cut > 0, "without its end a file is cut off");
        std::fs::write(&path, &whole).unwrap();
        let (tally, done) = to.load(Format::Ndjson, &path);
        prop_assert_eq!(done, Ok(()));
        prop_assert_eq!(tally.records(), lines.len() as u64 - 2);
        let bodies = |all: Vec<(Key, String, String, String)>| {
            let plain = all.into_iter().map(|(key, action, author, body)| {
                (key, action, author, kept(Format::Ndjson, &body))
            });
            plain.collect::<Vec<_>>()
        };
        prop_assert_eq!(to.all(true), bodies(from.all(true)));
    }
}

#[test]
fn objects_stand_for_themselves_and_keep_every_byte() {
    let from = Box::new();
    let body = playlist("ns", "a", "u1", "one");
    from.write(Write::create(key("ns", "a"), body.clone()));
    for format in [Format::Ndjson, Format::Yaml, Format::Parquet] {
        let path = from.export(format, false);
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        if format != Format::Parquet {
            assert!(!text.contains("Revision"), "{text}");
        }
        let to = Box::new();
        to.load(format, &path).1.unwrap();
        let there = to.snapshot().get(&key("ns", "a")).unwrap().unwrap();
        assert_eq!(there.body(), body, "{format:?}");
        assert_eq!(there.header().uid, "u1");
    }
}

/// More revisions of one object than one page of its history holds.
#[test]
fn a_long_history_comes_oldest_first() {
    let from = Box::new();
    let pad = "x".repeat(900 * 1024);
    let body = |at: usize| format!(r#"{{"at":{at},"pad":"{pad}"}}"#).into_bytes();
    let object = object(1);
    from.write(Write::create(object.clone(), body(0)));
    for at in 1..80 {
        from.write(Write::update(object.clone(), body(at)));
    }
    let mut at = 0;
    Selection::all()
        .each(&from.snapshot(), true, &mut |revision| {
            assert_eq!(revision.body(), body(at));
            at += 1;
            Ok::<_, annals::Error>(())
        })
        .unwrap();
    assert_eq!(at, 80);
    let path = from.export(Format::Parquet, true);
    let to = Box::new();
    to.load(Format::Parquet, &path).1.unwrap();
    assert_eq!(to.all(true).len(), 80);
}

/// More objects than one batch holds.
#[test]
fn many_objects_come_in_several_batches() {
    let from = Box::new();
    let many = 2 * annals::BATCH_WRITES_MAX + 1;
    let write = |at: usize| {
        let name = format!("n{at}");
        Write::create(key("ns", &name), playlist("ns", &name, &name, "t"))
    };
    for chunk in (0..many).collect::<Vec<_>>().chunks(1_000) {
        from.store
            .write_batch(chunk.iter().map(|at| write(*at)).collect())
            .unwrap();
    }
    let to = Box::new();
    let (tally, done) = to.load(Format::Ndjson, &from.export(Format::Ndjson, false));
    done.unwrap();
    assert_eq!((tally.created, tally.collections), (many as u64, 1));
    assert_eq!(to.snapshot().version().get(), many as u64);
}

#[test]
fn a_selection_takes_what_it_names() {
    let from = Box::new();
    for (namespace, name, uid) in [("a", "one", "u1"), ("a", "two", "u2"), ("b", "one", "u3")] {
        let body = playlist(namespace, name, uid, "t");
        from.write(Write::create(key(namespace, name), body));
    }
    from.write(Write::create(object(0), b"{}".to_vec()));
    from.write(Write::delete(key("a", "two")));
    let count = |collections: &[Collection], filter: Filter, history: bool| {
        let selection = Selection {
            collections: collections.to_vec(),
            filter,
        };
        let mut count = 0;
        let counted = selection.each(&from.snapshot(), history, &mut |_| {
            count += 1;
            Ok::<_, annals::Error>(())
        });
        counted.unwrap();
        count
    };
    let playlists = [Collection::of("playlist.grafana.app", "playlists").unwrap()];
    let label = Filter {
        labels: "l=u2".parse().unwrap(),
        ..Filter::default()
    };
    let namespace = Filter {
        fields: vec![FieldTest {
            field: ObjectField::Namespace,
            equals: true,
            value: "a".to_owned(),
        }],
        ..Filter::default()
    };
    let all = [Collection::all()];
    assert_eq!(count(&all, Filter::default(), false), 3);
    assert_eq!(count(&all, Filter::default(), true), 5);
    assert_eq!(count(&playlists, Filter::default(), false), 2);
    assert_eq!(count(&playlists, label.clone(), false), 0);
    assert_eq!(count(&playlists, label, true), 2);
    assert_eq!(count(&all, namespace, true), 3);
}
