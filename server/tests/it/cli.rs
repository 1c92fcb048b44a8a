//! Catches a command that asks the server for the wrong thing, prints what it did not say, or
//! ends with the wrong exit code. The server behind it is a small imitation.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use annals_server::net::{Limits, refuse};
use annals_server::setup::DataDir;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value, json};
use tokio::process::Command;

use super::site::{Site, start};

/// The objects by path, and the requests that were made.
#[derive(Default)]
struct World {
    objects: BTreeMap<String, Value>,
    writes: Vec<String>,
    queries: Vec<String>,
}

type Shared = Arc<Mutex<World>>;

const PLAYLISTS: &str = "/apis/playlist.grafana.app/v1/namespaces/default/playlists";
const DASHBOARDS: &str = "/apis/dashboard.grafana.app/v1beta1/namespaces/default/dashboards";
const FOLDERS: &str = "/apis/folder.grafana.app/v1beta1/namespaces/default/folders";
const HISTORY: &str =
    "/apis/history.annals.dev/v1/namespaces/default/playlist.grafana.app/playlists/x";

fn discovery(path: &str) -> Option<Value> {
    let list = |name: &str, kind: &str, short: &str| {
        json!({"kind": "APIResourceList", "resources": [
            {"name": format!("{name}s"), "singularName": name, "namespaced": true, "kind": kind,
             "shortNames": [short], "verbs": ["get"]},
            {"name": format!("{name}s/status"), "singularName": "", "namespaced": true,
             "kind": kind},
        ]})
    };
    let group =
        |name: &str, version: &str| json!({"name": name, "preferredVersion": {"version": version}});
    Some(match path {
        "/api/v1" => list("configmap", "ConfigMap", "cm"),
        "/apis" => json!({"kind": "APIGroupList", "groups": [
            group("broken.test", "v1"), group("playlist.grafana.app", "v1"),
            group("dashboard.grafana.app", "v1beta1"), group("folder.grafana.app", "v1beta1")]}),
        "/apis/playlist.grafana.app/v1" => list("playlist", "Playlist", "pl"),
        "/apis/dashboard.grafana.app/v1beta1" => list("dashboard", "Dashboard", "db"),
        "/apis/folder.grafana.app/v1beta1" => list("folder", "Folder", "fo"),
        _ => return None,
    })
}

/// Revisions 9 (created), 12 (updated) and 15 (deleted) of the playlist x.
fn history(query: &str) -> Value {
    let number = |name: &str| {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(name));
        pair.map(|value| value.parse::<u64>().unwrap())
    };
    let object = |title: &str| json!({"kind": "Playlist", "spec": {"title": title}});
    let revision = |version: u64, action: &str, object: Value| {
        json!({"version": version.to_string(), "action": action, "time": "2030-01-01T00:00:00Z",
            "author": "admin", "object": object})
    };
    let all = [
        (15, revision(15, "deleted", object("two"))),
        (12, revision(12, "updated", object("two"))),
        (9, revision(9, "created", object("one"))),
    ];
    let before = number("before=").unwrap_or(u64::MAX);
    let limit = usize::try_from(number("limit=").unwrap()).unwrap();
    let items = all
        .into_iter()
        .filter(|(at, _)| *at < before)
        .take(limit)
        .map(|(_, item)| item);
    json!({"kind": "History", "metadata": {}, "items": items.collect::<Vec<_>>()})
}

fn table(objects: &[&Value]) -> Value {
    let row = |object: &&Value| {
        json!({"cells": [object["metadata"]["name"], object["spec"]["title"]],
        "object": {"metadata": {"namespace": "default"}}})
    };
    json!({"kind": "Table", "metadata": {},
        "columnDefinitions": [{"name": "Name"}, {"name": "Title"}],
        "rows": objects.iter().map(row).collect::<Vec<_>>()})
}

async fn answer(
    State(world): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut world = world.lock().unwrap();
    let (path, query) = (uri.path(), uri.query().unwrap_or(""));
    world.queries.push(uri.to_string());
    if let Some(list) = discovery(path) {
        return axum::Json(list).into_response();
    }
    if path == HISTORY {
        return axum::Json(history(query)).into_response();
    }
    if path.ends_with("/search") {
        let hit = json!({"resource": "playlists", "name": "x", "title": "A \u{1b}[31mred title"});
        return axum::Json(json!({"totalHits": 1, "hits": [hit], "resourceVersion": "7"}))
            .into_response();
    }
    if path.starts_with("/apis/search.annals.dev/v1/index") {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            "the index is not ready",
        );
    }
    let wants_table = headers
        .get("accept")
        .is_some_and(|a| a.to_str().unwrap().contains("as=Table"));
    match method {
        Method::GET => read(&world.objects, path, query, wants_table),
        _ => write(&mut world, &method, path, &body),
    }
}

fn read(objects: &BTreeMap<String, Value>, path: &str, query: &str, wants_table: bool) -> Response {
    if let Some(object) = objects.get(path) {
        let whole = if wants_table {
            table(&[object])
        } else {
            object.clone()
        };
        return axum::Json(whole).into_response();
    }
    if path.split('/').count().is_multiple_of(2) {
        return refuse(StatusCode::NOT_FOUND, "NotFound", "things \"x\" not found");
    }
    // Two objects on a page, whatever the client asks for.
    let prefix = format!("{path}/");
    let all: Vec<_> = objects
        .iter()
        .filter(|(at, _)| at.starts_with(&prefix))
        .collect();
    let from = query
        .split_once("continue=")
        .map_or(0, |(_, token)| token.parse().unwrap());
    let page: Vec<&Value> = all
        .iter()
        .skip(from)
        .take(2)
        .map(|(_, object)| *object)
        .collect();
    let mut list = if wants_table {
        table(&page)
    } else {
        json!({"kind": "List", "metadata": {}, "items": page})
    };
    if from + 2 < all.len() {
        list["metadata"]["continue"] = json!((from + 2).to_string());
    }
    axum::Json(list).into_response()
}

fn write(world: &mut World, method: &Method, path: &str, body: &[u8]) -> Response {
    let mut object: Value = serde_json::from_slice(body).unwrap();
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    if name == "forbidden" {
        return refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            "spec.title: too long",
        );
    }
    let at = if method == Method::POST {
        format!("{path}/{name}")
    } else {
        path.to_owned()
    };
    world.writes.push(format!("{method} {at}"));
    object["metadata"]["resourceVersion"] = json!(world.writes.len().to_string());
    world.objects.insert(at, object.clone());
    axum::Json(object).into_response()
}

struct Run {
    code: i32,
    out: String,
    err: String,
}

struct Stage {
    dir: DataDir,
    world: Shared,
    _site: Site,
}

async fn stage() -> Stage {
    let dir = DataDir::ephemeral().unwrap();
    let world = Shared::default();
    for name in ["one", "three", "two"] {
        let object = json!({"apiVersion": "playlist.grafana.app/v1", "kind": "Playlist",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"title": format!("T {name}")}});
        world
            .lock()
            .unwrap()
            .objects
            .insert(format!("{PLAYLISTS}/{name}"), object);
    }
    let app = Router::new()
        .route("/{*path}", any(answer))
        .with_state(Arc::clone(&world));
    let site = start(&dir, &[], Limits::default(), app).await;
    Stage {
        dir,
        world,
        _site: site,
    }
}

impl Stage {
    async fn run(&self, line: &[&str]) -> Run {
        run(&self.dir.path().join("admin.kubeconfig"), line).await
    }
}

async fn run(kubeconfig: &Path, line: &[&str]) -> Run {
    let done = Command::new(env!("CARGO_BIN_EXE_annals"))
        .args(line)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .await
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run {
        code: done.status.code().unwrap(),
        out: text(done.stdout),
        err: text(done.stderr),
    }
}

#[tokio::test]
async fn get_prints_every_page() {
    let stage = stage().await;
    let all = stage.run(&["get", "pl"]).await;
    assert_eq!(
        all.out, "NAME    TITLE\none     T one\nthree   T three\ntwo     T two\n",
        "{}",
        all.err
    );
    assert_eq!(all.code, 0);
    let one = stage.run(&["get", "Playlist", "two", "-o", "yaml"]).await;
    assert!(
        one.out
            .starts_with("apiVersion: playlist.grafana.app/v1\nkind: Playlist\n"),
        "{}",
        one.out
    );
    let names = stage
        .run(&["get", "playlists.playlist.grafana.app", "-o", "name"])
        .await;
    let expected = ["one", "three", "two"].map(|n| format!("playlists.playlist.grafana.app/{n}\n"));
    assert_eq!(names.out, expected.concat());
    let list = stage
        .run(&["get", "playlists", "-o", "json", "-l", "a=b,c!=d"])
        .await;
    let list: Value = serde_json::from_str(&list.out).unwrap();
    assert_eq!(
        (list["items"].as_array().unwrap().len(), &list["metadata"]),
        (3, &json!({}))
    );
    let asked = stage.world.lock().unwrap().queries.clone();
    assert!(
        asked
            .iter()
            .any(|q| q.contains("labelSelector=a%3Db%2Cc%21%3Dd")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn exit_codes_are_stable() {
    let stage = stage().await;
    for (line, code, told) in [
        (&["get", "playlist", "none"][..], 3, "not found"),
        (&["get", "nonsense"], 3, "has no kind \"nonsense\""),
        (&["get", "configmap.broken.test"], 3, "no kind"),
        (&["get", "playlists", "-o", "xml"], 2, "xml"),
        (&["nonsense"], 2, "nonsense"),
        (&["index", "status"], 7, "the index is not ready"),
        (
            &["get", "playlists", "--kubeconfig", "/nowhere/x"],
            2,
            "/nowhere/x",
        ),
        (&["version"], 0, ""),
        (&["--help"], 0, ""),
    ] {
        let run = stage.run(line).await;
        assert_eq!(run.code, code, "{line:?} {}", run.err);
        assert!(run.err.contains(told), "{line:?} {}", run.err);
    }
    let kubeconfig = stage.dir.path().join("admin.kubeconfig");
    let text = std::fs::read_to_string(&kubeconfig).unwrap();
    let other = tempfile::tempdir().unwrap();
    let path = other.path().join("config");
    // Nobody listens on port 1.
    let (before, rest) = text.split_once("127.0.0.1:").unwrap();
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    std::fs::write(&path, format!("{before}127.0.0.1:1{rest}")).unwrap();
    let gone = run(&path, &["get", "playlists"]).await;
    assert_eq!(gone.code, 5, "{}", gone.err);
    let wrong = text.replace("token: ", "token: x");
    assert_ne!(wrong, text);
    std::fs::write(&path, wrong).unwrap();
    let refused = run(&path, &["get", "playlists"]).await;
    assert_eq!(refused.code, 6, "{}", refused.err);
}

#[tokio::test]
async fn history_and_diff_follow_the_revisions() {
    let stage = stage().await;
    let history = stage.run(&["history", "playlist", "x"]).await;
    let lines: Vec<&str> = history.out.lines().collect();
    assert!(
        lines[0].starts_with("VERSION") && lines.len() == 4,
        "{}",
        history.out
    );
    let some = stage
        .run(&["history", "playlist", "x", "--limit", "2", "-o", "name"])
        .await;
    let name = "playlists.playlist.grafana.app/x";
    assert_eq!(some.out, format!("{name}@15\n{name}@12\n"));

    let diff = stage
        .run(&["diff", "playlist", "x", "--from", "9", "--to", "12"])
        .await;
    let expected = format!(
        "--- {name}@9\n+++ {name}@12\n@@ -1,3 +1,3 @@\n kind: Playlist\n spec:\n\
         -  title: one\n+  title: two\n"
    );
    assert_eq!(diff.out, expected, "{}", diff.err);
    let line = [
        "diff", "playlist", "x", "--from", "9", "--to", "12", "--format", "paths",
    ];
    let plain = stage.run(&line).await;
    let change = "spec.title\n  - \"one\"\n  + \"two\"\n";
    assert_eq!(plain.out, format!("--- {name}@9\n+++ {name}@12\n{change}"));
    let colour = stage
        .run(&[&line[..], &["--color", "always"]].concat())
        .await;
    let (red, green, end) = ("\u{1b}[31m", "\u{1b}[32m", "\u{1b}[0m");
    let change = format!("{red}  - \"one\"{end}\n{green}  + \"two\"{end}\n");
    assert!(colour.out.ends_with(&change), "{}", colour.out);
    let first = stage.run(&["diff", "playlist", "x", "--to", "9"]).await;
    assert!(first.out.starts_with("--- /dev/null\n"), "{}", first.out);
    let newest = stage.run(&["diff", "playlist", "x"]).await;
    assert!(newest.out.contains("-kind: Playlist\n"), "{}", newest.out);
    let missing = stage.run(&["diff", "playlist", "x", "--from", "10"]).await;
    assert_eq!(missing.code, 3);
    assert!(
        missing
            .err
            .contains("revision 10; the newest before it is 9"),
        "{}",
        missing.err
    );
}

#[tokio::test]
async fn search_prints_hits_and_no_colours_of_theirs() {
    let stage = stage().await;
    let run = stage.run(&["search", "red"]).await;
    assert!(run.out.contains("A \u{fffd}[31mred title"), "{}", run.out);
    assert!(!run.out.contains('\u{1b}'));
    assert!(run.err.contains("1 of 1 hits at version 7"), "{}", run.err);
    // Nothing of ours, either: this is no terminal. Asked for, the words stand out.
    let run = stage.run(&["search", "Title", "--color", "always"]).await;
    let shown = "A \u{fffd}[31mred \u{1b}[1;33mtitle\u{1b}[0m";
    assert!(
        run.out.contains(shown) && run.out.starts_with("RESOURCE"),
        "{}",
        run.out
    );
    let names = stage.run(&["search", "red", "-o", "name"]).await;
    assert_eq!(
        (names.out.as_str(), names.err.as_str()),
        ("playlists/x\n", "")
    );
}

#[tokio::test]
async fn import_writes_what_differs_and_tells_what_failed() {
    let stage = stage().await;
    let files = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(files.path().join(name), text).unwrap();
    put(
        "a.json",
        r#"{"uid": "a", "title": "A", "panels": [1.50, 2e3]}"#,
    );
    put("My Board.json", r#"{"title": "B"}"#);
    let dir = files.path().to_str().unwrap();
    let line = ["import", "dashboards", dir, "--folder", "team"];

    let run = stage.run(&line).await;
    assert_eq!(run.code, 3, "{}", run.out);
    assert!(
        run.err.contains("no folder team") && run.err.contains("kubectl create"),
        "{}",
        run.err
    );
    assert!(stage.world.lock().unwrap().writes.is_empty());

    stage
        .world
        .lock()
        .unwrap()
        .objects
        .insert(format!("{FOLDERS}/team"), json!({}));
    let run = stage.run(&line).await;
    assert_eq!(
        (run.out.as_str(), run.code),
        ("created 2, updated 0, unchanged 0, failed 0\n", 0),
        "{}",
        run.err
    );
    let expected = [
        format!("POST {DASHBOARDS}/my-board"),
        format!("POST {DASHBOARDS}/a"),
    ];
    assert_eq!(
        std::mem::take(&mut stage.world.lock().unwrap().writes),
        expected
    );

    put("a.json", r#"{"uid": "a", "title": "A2"}"#);
    put("b.json", r#"{"uid": "a", "title": "twin"}"#);
    put("c.json", r#"{"uid": "forbidden"}"#);
    put("d.json", "{");
    let run = stage.run(&line).await;
    assert_eq!(run.code, 1);
    assert!(
        run.out
            .starts_with("created 0, updated 1, unchanged 1, failed 3\n"),
        "{}",
        run.out
    );
    for told in [
        "b.json: its name a is also that of",
        "spec.title: too long",
        "d.json: not JSON",
    ] {
        assert!(run.out.contains(told), "{told}: {}", run.out);
    }
    assert_eq!(
        stage.world.lock().unwrap().writes,
        [format!("PUT {DASHBOARDS}/a")]
    );
}
