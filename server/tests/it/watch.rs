//! Catches a watch that misses, doubles, reorders or invents an event, or ends without a word.

mod agree;
mod resume;
mod stream;

use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::server::Server;
use super::site::{Answer, PATIENCE, get, open};

const PLAYLISTS: &str = "/apis/playlist.grafana.app/v0alpha1/namespaces/default/playlists";

/// An open watch, read as it is on the wire.
struct Stream {
    body: Incoming,
    bytes: Vec<u8>,
}

fn request(query: &str, accept: &str) -> Request<Body> {
    let request = get(&format!("{PLAYLISTS}?{query}")).header("accept", accept);
    request.body(Body::empty()).unwrap()
}

/// An answer that ends.
pub(crate) async fn ask(server: &Server, query: &str) -> Answer {
    let request = request(query, "application/json");
    let (response, _) = open(server.address(), &server.keys(), true, request).await;
    Answer::read(response).await
}

impl Stream {
    async fn open(server: &Server, query: &str) -> Self {
        Self::open_as(server, query, "application/json").await
    }

    async fn open_as(server: &Server, query: &str, accept: &str) -> Self {
        let request = request(&format!("watch=true&{query}"), accept);
        let (response, _) = open(server.address(), &server.keys(), true, request).await;
        let status = response.status();
        if !status.is_success() {
            panic!("{:?}", Answer::read(response).await);
        }
        let kind = response.headers().get(header::CONTENT_TYPE);
        assert_eq!(kind.unwrap(), "application/json");
        let (body, bytes) = (response.into_body(), Vec::new());
        Self { body, bytes }
    }

    /// The next event; nothing when the server has ended the watch or is gone.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(at) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let rest = self.bytes.split_off(at + 1);
                let line = std::mem::replace(&mut self.bytes, rest);
                let event: Value = serde_json::from_slice(&line).expect("one event on each line");
                assert_eq!(event.as_object().unwrap().len(), 2, "{event}");
                return Some(event);
            }
            match timeout(PATIENCE, self.body.frame())
                .await
                .expect("an event")
            {
                Some(Ok(frame)) => self.bytes.extend(frame.into_data().unwrap_or_default()),
                Some(Err(_)) => return None,
                None => {
                    assert!(self.bytes.is_empty(), "the last line has its end");
                    return None;
                }
            }
        }
    }

    /// The next event, in short.
    async fn short(&mut self) -> Short {
        Short::of(&self.next().await.expect("an event before the end"))
    }

    /// All that is left.
    async fn rest(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

/// What a test says of an event: type, name, title, version.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Short(String, String, String, u64);

impl Short {
    fn of(event: &Value) -> Self {
        let object = &event["object"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self(
            text(&event["type"]),
            text(&object["metadata"]["name"]),
            text(&object["spec"]["title"]),
            version(object),
        )
    }
}

fn short(kind: &str, name: &str, title: &str, version: u64) -> Short {
    Short(kind.to_owned(), name.to_owned(), title.to_owned(), version)
}

fn version(object: &Value) -> u64 {
    let version = object["metadata"]["resourceVersion"].as_str();
    version.expect("a version").parse().unwrap()
}

fn body(name: &str, title: &str, team: &str) -> Value {
    json!({
        "apiVersion": "playlist.grafana.app/v0alpha1",
        "kind": "Playlist",
        "metadata": {"name": name, "labels": {"team": team}},
        "spec": {"title": title, "interval": "5m"},
    })
}

/// One request that succeeds; answers the version of the object.
async fn send(server: &Server, method: &str, name: &str, body: &Value) -> u64 {
    let path = match method {
        "POST" => PLAYLISTS.to_owned(),
        _ => format!("{PLAYLISTS}/{name}"),
    };
    let kind = match method {
        "PATCH" => "application/merge-patch+json",
        _ => "application/json",
    };
    let text = match body {
        Value::Null => String::new(),
        // With line ends, which must not reach the lines of a watch.
        body => serde_json::to_string_pretty(body).unwrap(),
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("content-type", kind)
        .body(Body::from(text))
        .unwrap();
    let (response, _) = open(server.address(), &server.keys(), true, request).await;
    let answer = Answer::read(response).await;
    assert!(answer.status.is_success(), "{method} {name}: {answer:?}");
    let object: Value = serde_json::from_str(&answer.body).unwrap();
    let version = object["metadata"]["resourceVersion"].as_str();
    version.map_or(0, |version| version.parse().unwrap())
}

pub(crate) async fn create(server: &Server, name: &str, title: &str, team: &str) -> u64 {
    send(server, "POST", name, &body(name, title, team)).await
}

pub(crate) async fn patch(server: &Server, name: &str, patch: Value) -> u64 {
    send(server, "PATCH", name, &patch).await
}

pub(crate) async fn delete(server: &Server, name: &str) {
    send(server, "DELETE", name, &Value::Null).await;
}
