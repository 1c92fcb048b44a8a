//! Would catch a body, an object or a patch that is larger than its limit and gets through, or
//! that is not and is refused.

use annals::Key;
use annals_server::limits::{
    ANNOTATIONS_BYTES, BODY_BYTES, CAUSES, FINALIZERS, GENERATE_NAME_BYTES, JSON_DEPTH, JSON_KEYS,
    LABEL_NAME_BYTES, LABEL_PREFIX_BYTES, LABEL_VALUE_BYTES, LABELS, NAME_BYTES, NAMESPACE_BYTES,
    OBJECT_BYTES, OWNERS, PATCH_GROWTH_BYTES, PATCH_OPERATIONS, PATCH_WORK_BYTES,
};
use axum::body::{Body, Bytes};
use hyper::body::Frame;
use serde_json::{Map, Value, json};

use crate::server::{DASHBOARDS, Server, assert_accepted, assert_refused, request};
use crate::site::Answer;

/// The answer at the limit is good, and those beyond it are refused.
fn check(limit: usize, far: usize, (code, field): (u16, &str), answer: impl Fn(usize) -> Answer) {
    assert_accepted(&answer(limit));
    assert_refused(&answer(limit + 1), code, field);
    assert_refused(&answer(far), code, field);
}

pub(crate) fn object_bytes(server: &Server) {
    let create = |name: &str, filler: usize| {
        let body = json!({"metadata": {"name": name}, "spec": {"a": "x".repeat(filler)}});
        server.post(DASHBOARDS, body.to_string())
    };
    let stored = |name: &str| {
        let key = Key::new("dashboard.grafana.app", "dashboards", "default", name).unwrap();
        let found = server.store.snapshot().unwrap().get(&key).unwrap();
        found.unwrap().body().len()
    };
    // What the server adds is of the same length for names of one length.
    assert_accepted(&create("size-0", 0));
    let room = OBJECT_BYTES - stored("size-0");
    assert_accepted(&create("size-1", room));
    assert_eq!(stored("size-1"), OBJECT_BYTES);
    assert_refused(&create("size-2", room + 1), 413, "body");
    assert_refused(&create("size-3", 2 * room), 413, "body");
}

pub(crate) fn body_bytes(server: &Server) {
    let path = format!("{DASHBOARDS}?dryRun=All");
    check(BODY_BYTES, 3 * BODY_BYTES, (413, "body"), |size| {
        let mut body = json!({"metadata": {"name": "x"}, "spec": {}}).to_string();
        body.extend(std::iter::repeat_n(' ', size - body.len()));
        server.post(&path, body)
    });
    // A body that never ends, and one that only announces what it never sends.
    assert_refused(&server.post(&path, Body::new(Endless)), 413, "body");
    let announced = request("POST", &path)
        .header("content-type", "application/json")
        .header("content-length", "1000000000000");
    let answer = server.send(announced.body(Body::new(Silent)).unwrap());
    assert_refused(&answer, 413, "body");
}

/// A body that always has more.
struct Endless;

/// A body that never has anything.
struct Silent;

type Polled = std::task::Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>>;

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Polled {
        let spaces = Bytes::from_static(&[b' '; 16 * 1024]);
        std::task::Poll::Ready(Some(Ok(Frame::data(spaces))))
    }
}

impl hyper::body::Body for Silent {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Polled {
        std::task::Poll::Pending
    }
}

pub(crate) fn json_depth(server: &Server) {
    let path = format!("{DASHBOARDS}?dryRun=All");
    // The object and its spec are two levels.
    check(JSON_DEPTH, 1_000_000, (400, "64 levels"), |levels| {
        let (open, close) = ("[".repeat(levels - 2), "]".repeat(levels - 2));
        let body = format!(r#"{{"metadata":{{"name":"x"}},"spec":{{"a":{open}{close}}}}}"#);
        server.post(&path, body)
    });
}

pub(crate) fn json_keys(server: &Server) {
    check(JSON_KEYS, 150_000, (400, "spec"), |count| {
        let keys: Map<String, Value> = (0..count).map(|at| (format!("k{at}"), json!(0))).collect();
        server.try_dashboard(json!({"name": "x"}), Value::Object(keys))
    });
}

pub(crate) fn name_bytes(server: &Server) {
    check(NAME_BYTES, 1_000_000, (422, "metadata.name"), |length| {
        server.try_dashboard(json!({"name": "n".repeat(length)}), json!({}))
    });
    let path = format!("{DASHBOARDS}/{}", "n".repeat(NAME_BYTES + 1));
    assert_refused(&server.get(&path), 404, "nnn");
}

pub(crate) fn namespace_bytes(server: &Server) {
    check(NAMESPACE_BYTES, 100_000, (422, "metadata.name"), |length| {
        let body = json!({"metadata": {"name": "n".repeat(length)}});
        server.post("/api/v1/namespaces?dryRun=All", body.to_string())
    });
}

/// Here what is too long is cut, not refused.
pub(crate) fn generate_name_bytes(server: &Server) {
    for length in [GENERATE_NAME_BYTES, GENERATE_NAME_BYTES + 1, 100_000] {
        let metadata = json!({"generateName": "b".repeat(length)});
        let answer = server.try_dashboard(metadata, json!({}));
        assert_accepted(&answer);
        let object: Value = serde_json::from_str(&answer.body).unwrap();
        let name = object["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with(&"b".repeat(GENERATE_NAME_BYTES)), "{name}");
        assert_eq!(name.len(), GENERATE_NAME_BYTES + 5, "{name}");
    }
}

/// Posts an object with this metadata besides a name.
fn with(server: &Server, field: &str, value: Value) -> Answer {
    server.try_dashboard(json!({"name": "x", field: value}), json!({}))
}

pub(crate) fn label_prefix_bytes(server: &Server) {
    for field in ["labels", "annotations"] {
        let told = format!("metadata.{field}");
        check(LABEL_PREFIX_BYTES, 100_000, (422, &told), |length| {
            let mut prefix = "a.".repeat(length / 2);
            prefix.push_str(if length % 2 == 1 { "a" } else { "" });
            if prefix.ends_with('.') {
                prefix.replace_range(length - 2.., "aa");
            }
            assert_eq!(prefix.len(), length);
            let key = format!("{prefix}/name");
            with(server, field, json!({key: "v"}))
        });
    }
}

pub(crate) fn label_name_bytes(server: &Server) {
    for field in ["labels", "annotations"] {
        let told = format!("metadata.{field}");
        check(LABEL_NAME_BYTES, 100_000, (422, &told), |length| {
            let key = format!("a.b/{}", "n".repeat(length));
            with(server, field, json!({key: "v"}))
        });
    }
}

pub(crate) fn label_value_bytes(server: &Server) {
    check(
        LABEL_VALUE_BYTES,
        1_000_000,
        (422, "metadata.labels"),
        |length| with(server, "labels", json!({"a": "v".repeat(length)})),
    );
}

pub(crate) fn labels(server: &Server) {
    check(LABELS, 9_000, (422, "metadata.labels"), |count| {
        let labels: Map<String, Value> =
            (0..count).map(|at| (format!("l{at}"), json!(""))).collect();
        with(server, "labels", Value::Object(labels))
    });
}

pub(crate) fn annotations_bytes(server: &Server) {
    let told = (422, "metadata.annotations");
    check(ANNOTATIONS_BYTES, 2_900_000, told, |bytes| {
        let (half, rest) = (bytes / 2, bytes - bytes / 2);
        let one = "v".repeat(half - 1);
        let other = "v".repeat(rest - 1);
        with(server, "annotations", json!({"a": one, "b": other}))
    });
}

pub(crate) fn finalizers(server: &Server) {
    check(FINALIZERS, 100_000, (422, "metadata.finalizers"), |count| {
        let names: Vec<String> = (0..count).map(|at| format!("annals.dev/f{at}")).collect();
        with(server, "finalizers", json!(names))
    });
}

pub(crate) fn owners(server: &Server) {
    check(OWNERS, 20_000, (422, "metadata.ownerReferences"), |count| {
        let owner =
            |at| json!({"apiVersion": "v1", "kind": "K", "name": "n", "uid": format!("{at}")});
        let owners: Vec<Value> = (0..count).map(owner).collect();
        with(server, "ownerReferences", json!(owners))
    });
}

/// Faults beyond the limit are not listed.
pub(crate) fn causes(server: &Server) {
    let path = "/apis/playlist.grafana.app/v0alpha1/namespaces/default/playlists?dryRun=All";
    for (faults, told) in [
        (CAUSES - 1, CAUSES - 1),
        (CAUSES, CAUSES),
        (CAUSES + 1, CAUSES),
        (50_000, CAUSES),
    ] {
        let items = vec![json!({"type": "dashboard_by_uid"}); faults];
        let spec = json!({"title": "t", "interval": "5m", "items": items});
        let body = json!({"metadata": {"name": "x"}, "spec": spec});
        let answer = server.post(path, body.to_string());
        assert_refused(&answer, 422, "spec.items[0].value");
        let status: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(status["details"]["causes"].as_array().unwrap().len(), told);
    }
}

/// Makes sure that there is an object of this name and spec.
fn stored(server: &Server, name: &str, spec: Value) {
    let body = json!({"metadata": {"name": name}, "spec": spec});
    assert_accepted(&server.post(DASHBOARDS, body.to_string()));
}

fn patch(server: &Server, name: &str, operations: &[Value]) -> Answer {
    let path = format!("{DASHBOARDS}/{name}?dryRun=All");
    let request = request("PATCH", &path).header("content-type", "application/json-patch+json");
    let body = serde_json::to_string(operations).unwrap();
    server.send(request.body(body.into()).unwrap())
}

pub(crate) fn patch_operations(server: &Server) {
    stored(server, "operations", json!({}));
    let operation = json!({"op": "test", "path": "/spec", "value": {}});
    check(
        PATCH_OPERATIONS,
        50_000,
        (413, "operations of a JSON patch"),
        |count| patch(server, "operations", &vec![operation.clone(); count]),
    );
}

pub(crate) fn patch_growth_bytes(server: &Server) {
    const COPY_BYTES: usize = 256 * 1024;
    // Each copy replaces the one before, so that the object itself stays small.
    stored(server, "growth", json!({"a": "x".repeat(COPY_BYTES - 2)}));
    let copy = json!({"op": "copy", "from": "/spec/a", "path": "/spec/b"});
    let limit = PATCH_GROWTH_BYTES / COPY_BYTES;
    check(limit, 9_000, (413, "copied by a JSON patch"), |count| {
        patch(server, "growth", &vec![copy.clone(); count])
    });
}

pub(crate) fn patch_work_bytes(server: &Server) {
    stored(server, "work", json!({"a": "x".repeat(900_000)}));
    let size = server.get(&format!("{DASHBOARDS}/work")).body.len();
    let operation = json!({"op": "test", "path": "/kind", "value": "Dashboard"});
    let limit = PATCH_WORK_BYTES / size;
    check(limit, 10_000, (413, "times bytes of its object"), |count| {
        patch(server, "work", &vec![operation.clone(); count])
    });
}
