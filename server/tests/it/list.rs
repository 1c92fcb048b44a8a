//! Catches a list that shows another version than the one that was asked for.
//!
//! `levels` asks in every way for the states that a few writes leave; `past` for revisions and the
//! trash; `tokens` bends tokens.

mod levels;
mod past;
mod tokens;

use axum::body::Body;
use axum::http::Request;
use hyper::client::conn::http2::SendRequest;
use serde_json::{Value, json};

use super::server::Server;
use super::site::{Answer, h2_to};
use super::watch::{ask, create, delete, patch};

const NAMESPACES: &str = "/api/v1/namespaces";
const PLAYLISTS: &str = "/apis/playlist.grafana.app/v0alpha1";

/// The path of the playlists of a namespace, or of all.
fn playlists(namespace: &str) -> String {
    match namespace {
        "" => format!("{PLAYLISTS}/playlists"),
        namespace => format!("{PLAYLISTS}/namespaces/{namespace}/playlists"),
    }
}

/// A connection for many requests.
struct Caller(SendRequest<Body>);

impl Caller {
    async fn new(server: &Server) -> Self {
        Caller(h2_to(server.address(), &server.keys()).await)
    }

    async fn send(&self, method: &str, path: &str, accept: &str, body: Value) -> Answer {
        let text = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let kind = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("https://localhost{path}"))
            .header("accept", accept)
            .header("content-type", kind)
            .body(Body::from(text))
            .unwrap();
        Answer::read(self.0.clone().send_request(request).await.unwrap()).await
    }

    /// The body of a request that succeeds.
    async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.send(method, path, "application/json", body).await;
        assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// The Status of a get that is refused, on one line.
    async fn refused(&self, path: &str, code: u16) -> Value {
        let answer = self
            .send("GET", path, "application/json", Value::Null)
            .await;
        assert_eq!(answer.status, code, "{path}: {answer:?}");
        assert!(!answer.body.contains('\n'), "{path}: {answer:?}");
        let status: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(status["kind"], "Status", "{path}");
        assert_eq!(status["code"], code, "{path}");
        status
    }
}

/// A version, of an object or a list.
fn version(of: &Value) -> u64 {
    let text = of["metadata"]["resourceVersion"].as_str();
    text.expect("a version").parse().unwrap()
}

/// The token of a list.
fn token(list: &Value) -> Option<String> {
    list["metadata"]["continue"].as_str().map(str::to_owned)
}

/// The names in a list.
fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("items").iter();
    let name = |item: &Value| item["metadata"]["name"].as_str().unwrap().to_owned();
    items.map(name).collect()
}

/// What a list shows: its version, and the names and titles in it.
async fn list(server: &Server, query: &str) -> (u64, Vec<String>) {
    let answer = ask(server, query).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    let list: Value = serde_json::from_str(&answer.body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = list["items"].as_array().unwrap().iter().map(|item| {
        let (name, title) = (&item["metadata"]["name"], &item["spec"]["title"]);
        format!("{}={}", text(name), text(title))
    });
    let version = text(&list["metadata"]["resourceVersion"]);
    (version.parse().unwrap(), items.collect())
}

#[tokio::test]
async fn each_way_to_name_a_version() {
    let server = Server::start().await;
    create(&server, "a", "A", "x").await;
    let then = create(&server, "b", "B", "x").await;
    patch(&server, "a", json!({"spec": {"title": "A2"}})).await;
    delete(&server, "b").await;
    let now = create(&server, "c", "C", "x").await;
    let before = (then, vec!["a=A".to_owned(), "b=B".to_owned()]);
    let newest = (now, vec!["a=A2".to_owned(), "c=C".to_owned()]);
    let at = format!("resourceVersion={then}");
    for (query, expected) in [
        (String::new(), &newest),
        ("resourceVersion=0".to_owned(), &newest),
        (at.clone(), &newest),
        (format!("{at}&resourceVersionMatch=NotOlderThan"), &newest),
        (format!("{at}&resourceVersionMatch=Exact"), &before),
        // Pages must agree with each other, so with a limit a version means that version.
        (format!("{at}&limit=500"), &before),
        (
            format!("{at}&limit=500&resourceVersionMatch=NotOlderThan"),
            &newest,
        ),
    ] {
        assert_eq!(list(&server, &query).await, *expected, "{query}");
    }
    for (query, code) in [
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422),
        ("resourceVersion=2&resourceVersionMatch=Nearly", 422),
        ("resourceVersion=x", 400),
        ("limit=x", 400),
    ] {
        assert_eq!(ask(&server, query).await.status, code, "{query}");
    }
}
