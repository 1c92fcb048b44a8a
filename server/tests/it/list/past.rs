//! Catches a history or a trash on the road of lists that shows more, less or another order than what
//! was written: every way to ask, whole and in pages, against a model of random writes.

use serde_json::{Value, json};

use super::{Caller, playlists, token, version};
use crate::server::Server;

const NAMES: [&str; 3] = ["one", "two", "three"];
const HISTORY: &str = "labelSelector=grafana.app/get-history%3Dtrue";
const TRASH: &str = "labelSelector=grafana.app/get-trash%3Dtrue";

/// One write, and what the past shows of it.
#[derive(Clone, Debug, PartialEq)]
struct Written {
    name: String,
    version: u64,
    is_deleted: bool,
    title: String,
}

/// What was written, oldest first.
struct Model(Vec<Written>);

impl Model {
    async fn write(caller: &Caller) -> Self {
        let mut model = Model(Vec::new());
        let mut random: u32 = 7;
        for _ in 0..50 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let name = NAMES[(random >> 8) as usize % NAMES.len()];
            let wants_end = (random >> 16).is_multiple_of(3);
            model.step(caller, name, wants_end).await;
        }
        // At the end one has gone, one has come again, and one goes on.
        for name in ["one", "two", "three", "three"] {
            model.step(caller, name, false).await;
        }
        for (name, wants_end) in [("one", true), ("two", true), ("two", false)] {
            model.step(caller, name, wants_end).await;
        }
        model
    }

    /// Creates what is not there; what is there is changed, or deleted if it is to end.
    async fn step(&mut self, caller: &Caller, name: &str, wants_end: bool) {
        let path = format!("{}/{name}", playlists("default"));
        let title = format!("T{}", self.0.len());
        let last = self.0.iter().rfind(|written| written.name == name);
        let is_live = last.is_some_and(|written| !written.is_deleted);
        let (method, path, body) = match (is_live, wants_end) {
            (true, true) => ("DELETE", path, Value::Null),
            (true, false) => ("PATCH", path, json!({"spec": {"title": title}})),
            (false, _) => ("POST", playlists("default"), playlist(name, &title)),
        };
        let title = match method {
            "DELETE" => last.unwrap().title.clone(),
            _ => title,
        };
        caller.done(method, &path, body).await;
        let now = caller.done("GET", &playlists("default"), Value::Null).await;
        self.0.push(Written {
            name: name.to_owned(),
            version: version(&now),
            is_deleted: method == "DELETE",
            title,
        });
    }

    /// Newest first, of one name.
    fn of(&self, name: &str) -> Vec<Written> {
        let of_name = self.0.iter().rev().filter(|written| written.name == name);
        of_name.cloned().collect()
    }

    /// The revisions of the life that goes on.
    fn life(&self, name: &str) -> Vec<Written> {
        let all = self.of(name);
        all.into_iter()
            .take_while(|written| !written.is_deleted)
            .collect()
    }

    fn trash(&self, at: u64) -> Vec<Written> {
        let last = |name: &&str| {
            self.of(name)
                .into_iter()
                .find(|written| written.version <= at)
        };
        let last = NAMES.iter().filter_map(last);
        let mut trash: Vec<Written> = last.filter(|written| written.is_deleted).collect();
        trash.sort_by_key(|written| std::cmp::Reverse(written.version));
        trash
    }
}

fn playlist(name: &str, title: &str) -> Value {
    json!({
        "apiVersion": "playlist.grafana.app/v0alpha1", "kind": "Playlist",
        "metadata": {"name": name}, "spec": {"title": title, "interval": "5m"},
    })
}

fn read(item: &Value) -> Written {
    let metadata = &item["metadata"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let is_deleted = metadata.get("deletionTimestamp").is_some();
    assert_eq!(metadata["generation"] == -999, is_deleted, "{item}");
    let by = &metadata["annotations"]["grafana.app/updatedBy"];
    assert_eq!(
        by.as_str().is_some_and(|by| !by.is_empty()),
        is_deleted,
        "{item}"
    );
    Written {
        name: text(&metadata["name"]),
        version: version(item),
        is_deleted,
        title: text(&item["spec"]["title"]),
    }
}

/// All that a list shows, in pages of at most so many; zero asks for one piece.
async fn all(caller: &Caller, query: &str, limit: usize) -> Vec<Written> {
    let mut found = Vec::new();
    let (mut next, mut is_first) = (None, true);
    while is_first || next.is_some() {
        let mut path = format!("{}?{query}&limit={limit}", playlists("default"));
        if let Some(token) = &next {
            path = format!(
                "{}?{query}&limit={limit}&continue={token}",
                playlists("default")
            );
            // A token holds the version; to name it again is refused.
            path = path
                .split('&')
                .filter(|part| !part.starts_with("resourceVersion"))
                .collect::<Vec<_>>()
                .join("&");
        }
        let page = caller.done("GET", &path, Value::Null).await;
        let items = page["items"].as_array().unwrap();
        assert!(limit == 0 || items.len() <= limit);
        assert!(is_first || !items.is_empty(), "an empty page: {path}");
        found.extend(items.iter().map(read));
        (next, is_first) = (token(&page), false);
        assert!(found.len() <= 100, "tokens do not end: {path}");
    }
    found
}

#[tokio::test]
async fn each_way_to_ask_for_the_past() {
    let server = Server::start().await;
    let caller = Caller::new(&server).await;
    let model = Model::write(&caller).await;
    let versions: Vec<u64> = model.0.iter().map(|written| written.version).collect();
    for name in NAMES.iter().chain(&["never"]) {
        let query = format!("{HISTORY}&fieldSelector=metadata.name%3D{name}");
        for limit in [0, 1, 2, 3, 500] {
            assert_eq!(
                all(&caller, &query, limit).await,
                model.life(name),
                "{name} {limit}"
            );
        }
        for at in versions.iter().step_by(7) {
            let asked = format!("{query}&resourceVersion={at}");
            let pick = |keep: &dyn Fn(u64) -> bool| {
                let mut all = model.of(name);
                all.retain(|written| keep(written.version));
                all
            };
            let exact = format!("{asked}&resourceVersionMatch=Exact");
            assert_eq!(
                all(&caller, &exact, 0).await,
                pick(&|version| version == *at)
            );
            let upto = pick(&|version| version <= *at);
            assert_eq!(all(&caller, &asked, 0).await, upto);
            // A range comes in one piece.
            let asked = format!("{asked}&limit=1");
            let since = format!("{asked}&resourceVersionMatch=NotOlderThan");
            assert_eq!(
                all(&caller, &since, 0).await,
                pick(&|version| version >= *at)
            );
        }
    }
    let newest = *versions.last().unwrap();
    for limit in [0, 1, 2, 500] {
        assert_eq!(
            all(&caller, TRASH, limit).await,
            model.trash(newest),
            "{limit}"
        );
        for at in versions.iter().step_by(7) {
            let asked = format!("{TRASH}&resourceVersion={at}");
            let expected = match limit {
                // As for any list: without a limit it is the newest state.
                0 => model.trash(newest),
                _ => model.trash(*at),
            };
            assert_eq!(all(&caller, &asked, limit).await, expected, "{at} {limit}");
        }
    }
    for name in NAMES {
        let asked = format!("{TRASH}&fieldSelector=metadata.name%3D{name}");
        let mut expected = model.trash(newest);
        expected.retain(|written| written.name == name);
        assert_eq!(all(&caller, &asked, 0).await, expected);
    }
}

#[tokio::test]
async fn the_past_is_only_listed() {
    let server = Server::start().await;
    let caller = Caller::new(&server).await;
    let all = playlists("default");
    caller.done("POST", &all, playlist("x", "X")).await;
    let name = "fieldSelector=metadata.name%3Dx";
    for (query, why) in [
        (HISTORY.to_owned(), "whose history"),
        (format!("{HISTORY},a%3Db&{name}"), "no other label"),
        (format!("{TRASH}&watch=true"), "not watched"),
        (format!("{HISTORY}&{name}&watch=true"), "not watched"),
        (format!("{TRASH}&continue=x"), "continue key is not valid"),
    ] {
        let status = caller.refused(&format!("{all}?{query}"), 400).await;
        let message = status["message"].as_str().unwrap();
        assert!(message.contains(why), "{query}: {message}");
    }
    let everywhere = format!("{}?{HISTORY}&{name}", playlists(""));
    caller.refused(&everywhere, 400).await;
    // A command is no selector: it must not delete anything, nor everything.
    for query in [TRASH.to_owned(), format!("{HISTORY}&{name}")] {
        let path = format!("{all}?{query}");
        let answer = caller
            .send("DELETE", &path, "application/json", Value::Null)
            .await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
    }
    caller.done("GET", &format!("{all}/x"), Value::Null).await;
    let mut labelled = playlist("y", "Y");
    labelled["metadata"]["labels"] = json!({"grafana.app/get-trash": "true"});
    let answer = caller
        .send("POST", &all, "application/json", labelled)
        .await;
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(
        answer
            .body
            .contains("cannot save label: grafana.app/get-trash")
    );
    // A token of one is no token of the other.
    caller.done("POST", &all, playlist("z", "Z")).await;
    for name in ["x", "z"] {
        caller
            .done("DELETE", &format!("{all}/{name}"), Value::Null)
            .await;
    }
    let page = caller
        .done("GET", &format!("{all}?{TRASH}&limit=1"), Value::Null)
        .await;
    let token = token(&page).unwrap();
    for query in [String::new(), format!("{HISTORY}&{name}")] {
        caller
            .refused(&format!("{all}?{query}&limit=1&continue={token}"), 400)
            .await;
    }
}
