//! Catches a list that is not what each way to ask for it means: every combination of place,
//! selector, limit, version and match over the states that eight writes to three namespaces leave.
//!
//! ```text
//! version   first   second       third
//! at[1]     bar
//! at[2]     bar     bar
//! at[3]     bar     bar foo
//! at[4]     bar     bar foo      barfoo
//! at[5]     bar     bar foo      barfoo foo
//! at[6]     bar     bar baz foo  barfoo foo
//! at[7]     bar*    bar baz foo  barfoo foo     `first/bar` has another title
//! at[8]     bar*    bar foo      barfoo foo
//! at[9]     the same: the write was to another kind
//! ```

use serde_json::{Value, json};

use super::{Caller, NAMESPACES, playlists, token, version};
use crate::server::Server;

/// A server after those writes.
struct Levels {
    caller: Caller,
    /// The version before them, and that of each.
    at: Vec<u64>,
    /// What there was at each version: namespace, name, and the version of the object.
    states: Vec<Vec<(&'static str, &'static str, u64)>>,
    _server: Server,
}

fn body(name: &str, title: &str) -> Value {
    json!({
        "apiVersion": "playlist.grafana.app/v0alpha1",
        "kind": "Playlist",
        "metadata": {"name": name},
        "spec": {"title": title, "interval": "5m"},
    })
}

impl Levels {
    async fn new() -> Self {
        let server = Server::start().await;
        let caller = Caller::new(&server).await;
        let mut before = 0;
        for name in ["first", "second", "third", "zero"] {
            let made = json!({"metadata": {"name": name}});
            before = version(&caller.done("POST", NAMESPACES, made).await);
        }
        let mut levels = Levels {
            caller,
            at: vec![before],
            states: vec![Vec::new()],
            _server: server,
        };
        levels.play().await;
        levels
    }

    async fn play(&mut self) {
        let mut live = Vec::new();
        for (namespace, name) in [
            ("first", "bar"),
            ("second", "bar"),
            ("second", "foo"),
            ("third", "barfoo"),
            ("third", "foo"),
            ("second", "baz"),
        ] {
            let path = playlists(namespace);
            let made = self.caller.done("POST", &path, body(name, "old")).await;
            live.push((namespace, name, version(&made)));
            live.sort_unstable();
            self.close(&live);
        }
        let path = format!("{}/bar", playlists("first"));
        let title = json!({"spec": {"title": "new"}});
        live[0].2 = version(&self.caller.done("PATCH", &path, title).await);
        self.close(&live);
        let path = format!("{}/baz", playlists("second"));
        self.caller.done("DELETE", &path, Value::Null).await;
        live.remove(2);
        self.close(&live);
        let made = json!({"metadata": {"name": "last"}});
        self.caller.done("POST", NAMESPACES, made).await;
        self.close(&live);
        let list = self.list("", "").await;
        assert_eq!(version(&list), self.at[9], "one write, one version");
    }

    fn close(&mut self, live: &[(&'static str, &'static str, u64)]) {
        self.at.push(self.at[0] + self.at.len() as u64);
        self.states.push(live.to_vec());
    }

    async fn list(&self, namespace: &str, query: &str) -> Value {
        let path = format!("{}?{query}", playlists(namespace));
        self.caller.done("GET", &path, Value::Null).await
    }

    /// A list shows what there was at a level, of one namespace or of all, as the check picks it.
    async fn check(&self, case: &Case<'_>) {
        let Case {
            namespace,
            query,
            level,
            shown,
            rest,
        } = case;
        let list = self.list(namespace, query).await;
        let place = format!("{namespace:?} {query}");
        assert_eq!(list["kind"], "PlaylistList", "{place}");
        assert_eq!(version(&list), self.at[*level], "{place}");
        let items = list["items"].as_array().unwrap();
        let found: Vec<String> = items.iter().map(short).collect();
        let state = self.states[*level].iter();
        let expected: Vec<String> = state
            .map(|(namespace, name, version)| format!("{namespace}/{name}@{version}"))
            .filter(|object| {
                shown
                    .iter()
                    .any(|name| object.starts_with(&format!("{name}@")))
            })
            .collect();
        assert_eq!(
            expected.len(),
            shown.len(),
            "{place}: a case that cannot be"
        );
        assert_eq!(found, expected, "{place}");
        let remaining = list["metadata"].get("remainingItemCount");
        let (more, count) = match rest {
            Rest::Nothing => (false, None),
            Rest::Counted(count) => (true, Some(*count)),
            Rest::Uncounted => (true, None),
        };
        assert_eq!(token(&list).is_some(), more, "{place}");
        assert_eq!(remaining.and_then(Value::as_u64), count, "{place}");
        assert_eq!(remaining.is_some(), count.is_some(), "{place}");
    }
}

fn short(object: &Value) -> String {
    let text = |name: &str| object["metadata"][name].as_str().unwrap().to_owned();
    format!(
        "{}/{}@{}",
        text("namespace"),
        text("name"),
        text("resourceVersion")
    )
}

/// What follows a page.
#[derive(Clone, Copy, Debug)]
enum Rest {
    Nothing,
    Counted(u64),
    /// There is a selector, so it is not said how much follows.
    Uncounted,
}

/// A way to ask, and what comes of it.
struct Case<'a> {
    /// Empty for all.
    namespace: &'a str,
    query: String,
    /// The version is that of this level.
    level: usize,
    shown: &'a [&'a str],
    rest: Rest,
}

const NOW: usize = 9;
const ALL: &[&str] = &[
    "first/bar",
    "second/bar",
    "second/foo",
    "third/barfoo",
    "third/foo",
];

#[tokio::test]
async fn each_version_in_each_way() {
    use Rest::{Counted, Nothing};
    let levels = Levels::new().await;
    let rv = |level: usize| format!("resourceVersion={}", levels.at[level]);
    let exact = |level: usize| format!("{}&resourceVersionMatch=Exact", rv(level));
    let not_older = |level: usize| format!("{}&resourceVersionMatch=NotOlderThan", rv(level));
    let zero = || "resourceVersion=0".to_owned();
    let zero_not_older = || format!("{}&resourceVersionMatch=NotOlderThan", zero());
    let first: &[&str] = &["first/bar"];
    let second: &[&str] = &["second/bar", "second/foo"];
    let mut cases: Vec<(&str, String, usize, &[&str], Rest)> = vec![
        ("nowhere", String::new(), NOW, &[], Nothing),
        ("zero", String::new(), NOW, &[], Nothing),
        ("zero", zero(), NOW, &[], Nothing),
        ("zero", "limit=1".to_owned(), NOW, &[], Nothing),
        ("first", exact(1), 1, first, Nothing),
        ("second", exact(1), 1, &[], Nothing),
        ("second", exact(2), 2, &["second/bar"], Nothing),
        ("second", format!("limit=1&{}", exact(1)), 1, &[], Nothing),
        (
            "second",
            format!("limit=1&{}", exact(2)),
            2,
            &["second/bar"],
            Nothing,
        ),
        (
            "second",
            exact(6),
            6,
            &["second/bar", "second/baz", "second/foo"],
            Nothing,
        ),
        ("", exact(0), 0, &[], Nothing),
        // Exact means it, also where nothing of the kind was written.
        ("", exact(9), 9, ALL, Nothing),
    ];
    for newest in [
        String::new(),
        zero(),
        zero_not_older(),
        rv(0),
        not_older(0),
        rv(3),
        not_older(3),
        rv(NOW),
        not_older(NOW),
        exact(NOW),
    ] {
        cases.push(("first", newest.clone(), NOW, first, Nothing));
        cases.push(("second", newest.clone(), NOW, second, Nothing));
        cases.push(("", newest.clone(), NOW, ALL, Nothing));
        // With a limit, a version without a match means that version.
        if newest != rv(0) && newest != rv(3) {
            let page = format!("limit=1&{newest}");
            cases.push(("second", page, NOW, &second[..1], Counted(1)));
            cases.push(("second", format!("limit=2&{newest}"), NOW, second, Nothing));
            cases.push(("", format!("limit=3&{newest}"), NOW, &ALL[..3], Counted(2)));
        }
    }
    cases.push(("second", format!("limit=1&{}", rv(0)), 0, &[], Nothing));
    cases.push((
        "second",
        format!("limit=1&{}", rv(3)),
        3,
        &second[..1],
        Counted(1),
    ));
    for (namespace, query, level, shown, rest) in cases {
        let case = Case {
            namespace,
            query,
            level,
            shown,
            rest,
        };
        levels.check(&case).await;
    }
}

#[tokio::test]
async fn pages_at_each_write() {
    let levels = Levels::new().await;
    for (level, state) in levels.states.iter().enumerate() {
        let all: Vec<String> = state
            .iter()
            .map(|(ns, name, _)| format!("{ns}/{name}"))
            .collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let exact = format!(
            "resourceVersion={}&resourceVersionMatch=Exact",
            levels.at[level]
        );
        for limit in [1, 2, 4, 8] {
            let mut query = format!("limit={limit}&{exact}");
            let mut from = 0;
            loop {
                let to = all.len().min(from + limit);
                let left = (all.len() - to) as u64;
                let rest = match left {
                    0 => Rest::Nothing,
                    left => Rest::Counted(left),
                };
                let case = Case {
                    namespace: "",
                    query: query.clone(),
                    level,
                    shown: &all[from..to],
                    rest,
                };
                levels.check(&case).await;
                let Some(token) = token(&levels.list("", &query).await) else {
                    break;
                };
                // The version of the token is that of the first page; 0 says nothing else.
                query = format!("limit={limit}&resourceVersion=0&continue={token}");
                from = to;
            }
            assert_eq!(
                from.div_ceil(limit),
                all.len().saturating_sub(1) / limit,
                "{level}"
            );
        }
    }
}

#[tokio::test]
async fn each_selection() {
    use Rest::{Nothing, Uncounted};
    let levels = Levels::new().await;
    let bars: &[&str] = &["first/bar", "second/bar"];
    let foos: &[&str] = &["second/foo", "third/foo"];
    let (name, namespace) = ("metadata.name", "metadata.namespace");
    let is = |field: &str, value: &str| format!("fieldSelector={field}%3D{value}");
    let is_not = |field: &str, value: &str| format!("fieldSelector={field}!%3D{value}");
    let both = |of: &str, called: &str| format!("{}%2C{name}%3D{called}", is(namespace, of));
    let limit = |limit: usize, query: String| format!("limit={limit}&{query}");
    let cases: [(&str, String, &[&str], Rest); 30] = [
        ("first", is_not(name, "bar"), &[], Nothing),
        ("first", is(name, "bar"), &bars[..1], Nothing),
        ("first", is(name, "foo"), &[], Nothing),
        ("", is(name, "barfoo"), &["third/barfoo"], Nothing),
        // Nothing behind the page matches, so there is no next page.
        ("", limit(1, is(name, "barfoo")), &["third/barfoo"], Nothing),
        ("", limit(2, is(name, "barfoo")), &["third/barfoo"], Nothing),
        ("", is(name, "bar"), bars, Nothing),
        ("", limit(1, is(name, "bar")), &bars[..1], Uncounted),
        ("", limit(2, is(name, "bar")), bars, Nothing),
        ("", limit(1, is(name, "foo")), &foos[..1], Uncounted),
        ("", limit(2, is(name, "foo")), foos, Nothing),
        ("", limit(3, is(name, "foo")), foos, Nothing),
        ("", is(name, "never"), &[], Nothing),
        ("", limit(1, is(name, "never")), &[], Nothing),
        ("", is_not(name, "bar"), &ALL[2..], Nothing),
        ("", limit(2, is_not(name, "bar")), &ALL[2..4], Uncounted),
        ("", limit(3, is_not(name, "bar")), &ALL[2..], Nothing),
        ("", is(namespace, "second"), &ALL[1..3], Nothing),
        ("", limit(1, is(namespace, "second")), &ALL[1..2], Uncounted),
        (
            "",
            is_not(namespace, "second"),
            &["first/bar", "third/barfoo", "third/foo"],
            Nothing,
        ),
        ("", is(namespace, "sec"), &[], Nothing),
        ("", both("third", "foo"), &["third/foo"], Nothing),
        ("", both("first", "foo"), &[], Nothing),
        ("second", is(namespace, "second"), &ALL[1..3], Nothing),
        ("second", is(namespace, "third"), &[], Nothing),
        ("second", is_not(namespace, "second"), &[], Nothing),
        ("second", is_not(namespace, "third"), &ALL[1..3], Nothing),
        ("second", both("second", "foo"), &["second/foo"], Nothing),
        ("second", both("third", "foo"), &[], Nothing),
        (
            "second",
            limit(1, is_not(name, "bar")),
            &["second/foo"],
            Nothing,
        ),
    ];
    for (namespace, query, shown, rest) in cases {
        let case = Case {
            namespace,
            query,
            level: NOW,
            shown,
            rest,
        };
        levels.check(&case).await;
    }
    let unknown = format!("{}?{}", playlists("first"), is("spec.title", "x"));
    let status = levels.caller.refused(&unknown, 400).await;
    let message = status["message"].as_str().unwrap();
    assert!(
        message.contains("field label not supported: spec.title"),
        "{message}"
    );
}

#[tokio::test]
async fn what_cannot_be_asked_for() {
    let levels = Levels::new().await;
    let (past, last) = (levels.at[0], levels.at[NOW]);
    let page = levels.list("second", "limit=1").await;
    let token = token(&page).unwrap();
    let (early, ahead) = ("Too large resource version: ", last + 1);
    let forbidden = "resourceVersionMatch is forbidden";
    let cases: [(String, u16, &str, &str); 19] = [
        (
            "resourceVersion=abc".into(),
            400,
            "BadRequest",
            "resourceVersion",
        ),
        (
            "resourceVersion=-1".into(),
            400,
            "BadRequest",
            "resourceVersion",
        ),
        (
            "resourceVersion=1.5".into(),
            400,
            "BadRequest",
            "resourceVersion",
        ),
        ("limit=-1".into(), 400, "BadRequest", "limit"),
        (
            format!("resourceVersion={past}&continue={token}"),
            400,
            "BadRequest",
            "specifying resource version is not allowed when using continue",
        ),
        (
            format!("resourceVersion={past}&resourceVersionMatch=Exact&continue={token}"),
            422,
            "Invalid",
            forbidden,
        ),
        (
            format!("resourceVersion=0&resourceVersionMatch=NotOlderThan&continue={token}"),
            422,
            "Invalid",
            forbidden,
        ),
        (
            "resourceVersion=0&resourceVersionMatch=Invalid".into(),
            422,
            "Invalid",
            "Unsupported",
        ),
        (
            format!("resourceVersion={past}&resourceVersionMatch=Invalid"),
            422,
            "Invalid",
            "Unsupported",
        ),
        (
            "resourceVersionMatch=Exact".into(),
            422,
            "Invalid",
            forbidden,
        ),
        (
            "resourceVersionMatch=NotOlderThan".into(),
            422,
            "Invalid",
            forbidden,
        ),
        (
            "resourceVersion=0&resourceVersionMatch=Exact".into(),
            422,
            "Invalid",
            "is forbidden for resourceVersion \"0\"",
        ),
        (
            "sendInitialEvents=true".into(),
            422,
            "Invalid",
            "sendInitialEvents is forbidden",
        ),
        (
            format!("resourceVersion={}", i64::MAX),
            504,
            "Timeout",
            early,
        ),
        (
            format!("resourceVersion={}", u64::MAX),
            504,
            "Timeout",
            early,
        ),
        (format!("resourceVersion={ahead}"), 504, "Timeout", early),
        (
            format!("resourceVersion={ahead}&limit=1"),
            504,
            "Timeout",
            early,
        ),
        (
            format!("resourceVersion={ahead}&resourceVersionMatch=Exact"),
            504,
            "Timeout",
            early,
        ),
        (
            format!("resourceVersion={ahead}&resourceVersionMatch=NotOlderThan"),
            504,
            "Timeout",
            early,
        ),
    ];
    for (query, code, reason, text) in cases {
        let path = format!("{}?{query}", playlists("second"));
        let status = levels.caller.refused(&path, code).await;
        assert_eq!(status["reason"], reason, "{query}");
        let message = status["message"].as_str().unwrap();
        assert!(message.contains(text), "{query}: {message}");
        assert_eq!(status["metadata"], json!({}), "{query}");
    }
}
