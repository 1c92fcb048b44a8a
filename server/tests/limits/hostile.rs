//! Would catch input that brings the server down, gets an answer of 5xx, or is taken for something
//! that it is not; and a refusal that does not say which field is wrong.

use annals_server::setup::DataDir;
use axum::body::Body;
use serde_json::{Value, json};

use crate::server::{DASHBOARDS, Server, assert_accepted, assert_refused, request};
use crate::site::Answer;

/// The number of bodies that are tried at least.
const BODIES_MIN: usize = 300;

/// It was refused in the way of the caller's fault: a Status on one line, and no 5xx.
#[track_caller]
pub(crate) fn assert_fault(answer: &Answer, told: &str) {
    let code = answer.status.as_u16();
    let shown: String = answer.body.chars().take(300).collect();
    assert!((400..500).contains(&code), "{told}: {code} {shown}");
    assert_refused(answer, code, "");
}

pub(crate) fn dashboard(spec: &str) -> Vec<u8> {
    format!(r#"{{"metadata":{{"name":"x"}},"spec":{spec}}}"#).into_bytes()
}

#[test]
fn repeated_keys_do_what_the_caller_asked_for() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(&dir, false);
    let body = |name: &str| {
        format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{{"a":1,"b":{{"c":1,"c":2}},"a":3}}}}"#)
    };
    let path = |validation: &str| format!("{DASHBOARDS}?fieldValidation={validation}");
    let strict = server.post(&path("Strict"), body("strict"));
    assert_refused(&strict, 400, r#"duplicate field "spec.a""#);
    assert_refused(&strict, 400, r#"duplicate field "spec.b.c""#);
    for (validation, warnings) in [("Warn", 2), ("Ignore", 0)] {
        let name = validation.to_lowercase();
        let answer = server.post(&path(validation), body(&name));
        assert_accepted(&answer);
        let told: Vec<_> = answer.headers.get_all("warning").iter().collect();
        assert_eq!(told.len(), warnings, "{told:?}");
        // The last one counts, and is the only one that is stored.
        let found = server.get(&format!("{DASHBOARDS}/{name}"));
        let object: Value = serde_json::from_str(&found.body).unwrap();
        assert_eq!(object["spec"], json!({"a": 3, "b": {"c": 2}}));
        assert_eq!(found.body.matches("\"a\":").count(), 1, "{}", found.body);
    }
    assert_eq!(server.get(&format!("{DASHBOARDS}/strict")).status, 404);
    let twice = r#"{"metadata":{"name":"a","name":"b"},"spec":{}}"#;
    let strict = server.post(&path("Strict"), twice);
    assert_refused(&strict, 400, r#"duplicate field "metadata.name""#);
}

/// A body, and the words that must be in its refusal.
type Fault = (Vec<u8>, &'static str);

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// Bodies that are not the JSON that is taken.
fn faults_of_json() -> Vec<Fault> {
    vec![
        (text(""), "EOF"),
        (text("null"), "expected an object"),
        (text("[]"), "expected an object"),
        (text("\"text\""), "expected an object"),
        (dashboard("{\"a\": \"\u{0}\"}"), "in spec"),
        (dashboard("{\"a\": NaN}"), "in spec.a"),
        (dashboard("{\"a\": Infinity}"), "in spec.a"),
        (dashboard("{\"a\": -Infinity}"), "in spec.a"),
        (dashboard("{\"a\": 1e999}"), "in spec.a"),
        (dashboard("{\"a\": 01}"), "in spec"),
        (dashboard("{\"a\": +1}"), "in spec.a"),
        (dashboard("{\"a\": .5}"), "in spec.a"),
        (dashboard("{\"a\": 5.}"), "in spec.a"),
        (dashboard("{\"a\": 0x10}"), "in spec"),
        (dashboard("{\"a\": \"\\ud800\"}"), "in spec.a"),
        (dashboard("{\"a\": \"\\udc00\\ud800\"}"), "in spec.a"),
        (dashboard("{\"a\": \"\\ud800x\"}"), "in spec.a"),
        (dashboard("{\"a\": \"\\u12\"}"), "in spec.a"),
        (dashboard("{\"a\": \"\\x\"}"), "in spec.a"),
        (dashboard("{\"a\": 1,}"), "in spec"),
        (dashboard("{\"a\": [1,]}"), "in spec.a"),
        (dashboard("{a: 1}"), "in spec"),
        (dashboard("{'a': 1}"), "in spec"),
        (dashboard("{\"a\": 1} // note"), "column"),
        (dashboard("{\"a\": 1"), "EOF"),
        ([dashboard("{}"), dashboard("{}")].concat(), "trailing"),
        ([dashboard("{}"), text("x")].concat(), "trailing"),
        ([dashboard("{}"), vec![0]].concat(), "trailing"),
        ([text("\u{feff}"), dashboard("{}")].concat(), "column 1"),
        (
            dashboard("{\"a\": \"\u{e9}\"}")[..40].to_vec(),
            "invalid UTF-8 at byte 39",
        ),
        (
            [&dashboard("{\"a\": \"")[..], b"\xff\xfe\"}}"].concat(),
            "invalid UTF-8 at byte",
        ),
        (
            [&dashboard("{\"a\": \"")[..], b"\xc0\x80\"}}"].concat(),
            "invalid UTF-8 at byte",
        ),
        (
            [&dashboard("{\"a\": \"")[..], b"\xed\xa0\x80\"}}"].concat(),
            "invalid UTF-8 at byte",
        ),
    ]
}

/// Bodies that are JSON, but not the object that is wanted.
fn faults_of_objects() -> Vec<Fault> {
    let with = |metadata: &str| format!(r#"{{"metadata":{metadata},"spec":{{}}}}"#).into_bytes();
    vec![
        (dashboard("1"), "spec"),
        (dashboard("[]"), "spec"),
        (dashboard("{\"title\": 1}"), "spec.title"),
        (text(r#"{"metadata":{"name":"x"}}"#), "spec"),
        (text(r#"{"metadata":1,"spec":{}}"#), "metadata"),
        (text(r#"{"spec":{}}"#), "metadata.name"),
        (with("{}"), "metadata.name"),
        (with(r#"{"name":""}"#), "metadata.name"),
        (with(r#"{"name":1}"#), "metadata.name"),
        (with(r#"{"name":"a/b"}"#), "metadata.name"),
        (with(r#"{"name":"."}"#), "metadata.name"),
        (with(r#"{"name":".."}"#), "metadata.name"),
        (with(r#"{"name":"a b"}"#), "metadata.name"),
        (with(r#"{"name":"a\u0000"}"#), "metadata.name"),
        (with(r#"{"name":"a\nb"}"#), "metadata.name"),
        (with(r#"{"name":"\u00e9"}"#), "metadata.name"),
        (with(r#"{"generateName":"a b"}"#), "metadata.name"),
        (with(r#"{"name":"x","namespace":"other"}"#), "namespace"),
        (with(r#"{"name":"x","namespace":1}"#), "metadata.namespace"),
        (with(r#"{"name":"x","labels":[]}"#), "metadata.labels"),
        (with(r#"{"name":"x","labels":{"a":1}}"#), "metadata.labels"),
        (with(r#"{"name":"x","labels":{"":"a"}}"#), "metadata.labels"),
        (
            with(r#"{"name":"x","labels":{"a":"b c"}}"#),
            "metadata.labels",
        ),
        (
            with(r#"{"name":"x","annotations":{"a":1}}"#),
            "metadata.annotations",
        ),
        (
            with(r#"{"name":"x","annotations":{"/":""}}"#),
            "metadata.annotations",
        ),
        (
            with(r#"{"name":"x","finalizers":[1]}"#),
            "metadata.finalizers",
        ),
        (
            with(r#"{"name":"x","finalizers":["a b"]}"#),
            "metadata.finalizers",
        ),
        (
            with(r#"{"name":"x","ownerReferences":[1]}"#),
            "metadata.ownerReferences",
        ),
        (
            with(r#"{"name":"x","ownerReferences":[{}]}"#),
            "metadata.ownerReferences",
        ),
        (
            with(r#"{"name":"x","generation":1.5}"#),
            "metadata.generation",
        ),
        (
            with(r#"{"name":"x","generation":1e30}"#),
            "metadata.generation",
        ),
        (
            with(r#"{"name":"x","creationTimestamp":"yesterday"}"#),
            "metadata.creationTimestamp",
        ),
        (
            with(r#"{"name":"x","resourceVersion":"1"}"#),
            "resourceVersion",
        ),
        (
            text(r#"{"apiVersion":"v1","metadata":{"name":"x"},"spec":{}}"#),
            "API version",
        ),
        (
            text(r#"{"apiVersion":1,"metadata":{"name":"x"},"spec":{}}"#),
            "apiVersion",
        ),
        (
            text(r#"{"kind":"Folder","metadata":{"name":"x"},"spec":{}}"#),
            "kind",
        ),
        (
            text(r#"{"kind":{},"metadata":{"name":"x"},"spec":{}}"#),
            "kind",
        ),
    ]
}

/// Bodies that are cut or bent: each is the good one with a part gone or another byte in it.
fn bent_bodies() -> Vec<Vec<u8>> {
    let good = br#"{"metadata":{"name":"x","labels":{"a":"b"}},"spec":{"a":[1,"\u00e9",{}]}}"#;
    let cut = (0..good.len()).map(|end| good[..end].to_vec());
    let bytes = [0x00, 0x0a, b'"', b'\\', b'}', b'[', 0x80, 0xff];
    let bent = (0..good.len()).flat_map(|at| {
        bytes.into_iter().map(move |byte| {
            let mut body = good.to_vec();
            body[at] = byte;
            body
        })
    });
    cut.chain(bent).collect()
}

#[test]
fn hostile_bodies_are_refused_by_the_name_of_the_field() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(&dir, false);
    let path = format!("{DASHBOARDS}?dryRun=All");
    assert_accepted(&server.post(&path, dashboard("{}")));
    let version = server.store.snapshot().unwrap().version();
    let faults = [faults_of_json(), faults_of_objects()].concat();
    let mut tried = faults.len();
    let mut unnamed = Vec::new();
    for (body, field) in faults {
        let told = String::from_utf8_lossy(&body).into_owned();
        let answer = server.post(&path, body);
        if !(400..500).contains(&answer.status.as_u16()) || !answer.body.contains(field) {
            unnamed.push(format!("{told} should name {field}: {}", answer.body));
        } else {
            assert_fault(&answer, &told);
        }
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
    for body in bent_bodies() {
        tried += 1;
        let told = String::from_utf8_lossy(&body).into_owned();
        let is_json = serde_json::from_slice::<Value>(&body).is_ok();
        let answer = server.post(&path, body);
        if is_json && answer.status.is_success() {
            continue;
        }
        assert_fault(&answer, &told);
    }
    assert!(tried >= BODIES_MIN, "{tried} bodies");
    for levels in [65, 1_000, 500_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = open.repeat(levels) + "1" + &close.repeat(levels);
            let answer = server.post(&path, dashboard(&nested));
            assert_fault(&answer, "nested");
        }
        let answer = server.post(&path, "[".repeat(levels));
        assert_fault(&answer, "nested and never closed");
    }
    assert_eq!(server.store.snapshot().unwrap().version(), version);
    server.assert_healthy();
}

#[test]
fn an_update_must_be_of_the_object_in_the_path() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(&dir, false);
    assert_accepted(&server.post(DASHBOARDS, dashboard("{}")));
    let found = server.get(&format!("{DASHBOARDS}/x"));
    let good: Value = serde_json::from_str(&found.body).unwrap();
    let cases = [
        ("/metadata/name", json!("y"), "name"),
        ("/metadata/namespace", json!("other"), "namespace"),
        ("/metadata/uid", json!("other"), "UID"),
        ("/metadata/resourceVersion", json!("1"), "modified"),
        (
            "/metadata/resourceVersion",
            json!(""),
            "metadata.resourceVersion",
        ),
        (
            "/metadata/resourceVersion",
            json!("x"),
            "metadata.resourceVersion",
        ),
        (
            "/metadata/resourceVersion",
            json!("-1"),
            "metadata.resourceVersion",
        ),
        (
            "/metadata/resourceVersion",
            json!(1),
            "metadata.resourceVersion",
        ),
        (
            "/apiVersion",
            json!("dashboard.grafana.app/v9"),
            "API version",
        ),
        ("/kind", json!("Playlist"), "kind"),
    ];
    for (place, value, field) in cases {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap() = value;
        let put = request("PUT", &format!("{DASHBOARDS}/x"))
            .header("content-type", "application/json")
            .body(Body::from(bad.to_string()));
        let answer = server.send(put.unwrap());
        assert_fault(&answer, place);
        assert_refused(&answer, answer.status.as_u16(), field);
    }
    assert_eq!(server.get(&format!("{DASHBOARDS}/x")).body, found.body);
}

#[test]
fn hostile_patches_are_refused() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(&dir, false);
    assert_accepted(&server.post(DASHBOARDS, dashboard("{\"list\": []}")));
    let before = server.get(&format!("{DASHBOARDS}/x")).body;
    let json = "application/json-patch+json";
    let merge = "application/merge-patch+json";
    let cases = [
        (json, "{}"),
        (json, "[1]"),
        (json, r#"[{"op":"add"}]"#),
        (json, r#"[{"op":"explode","path":"/spec"}]"#),
        (json, r#"[{"op":"add","path":"spec","value":1}]"#),
        (
            json,
            r#"[{"op":"add","path":"/spec/list/99999999999999999999","value":1}]"#,
        ),
        (json, r#"[{"op":"add","path":"/spec/list/-1","value":1}]"#),
        (json, r#"[{"op":"remove","path":"/nothing"}]"#),
        (json, r#"[{"op":"remove","path":""}]"#),
        (json, r#"[{"op":"replace","path":"","value":1}]"#),
        (json, r#"[{"op":"replace","path":"/metadata","value":[]}]"#),
        (
            json,
            r#"[{"op":"move","from":"/spec","path":"/spec/deeper"}]"#,
        ),
        (json, r#"[{"op":"test","path":"/kind","value":"Folder"}]"#),
        (
            json,
            r#"[{"op":"replace","path":"/kind","value":"Folder"}]"#,
        ),
        (
            json,
            r#"[{"op":"replace","path":"/metadata/name","value":"y"}]"#,
        ),
        (merge, "[]"),
        (merge, "null"),
        (merge, "{"),
        (merge, r#"{"spec":null}"#),
        (merge, r#"{"spec":1}"#),
        (merge, r#"{"metadata":{"labels":"x"}}"#),
        (merge, r#"{"metadata":{"name":"y"}}"#),
        (merge, r#"{"metadata":{"namespace":"y"}}"#),
        (merge, r#"{"metadata":{"resourceVersion":"1"}}"#),
        (merge, r#"{"apiVersion":"v1"}"#),
        ("application/strategic-merge-patch+json", "{}"),
        ("text/plain", "{}"),
        ("", "{}"),
    ];
    for (media, body) in cases {
        let patch = request("PATCH", &format!("{DASHBOARDS}/x")).header("content-type", media);
        let answer = server.send(patch.body(Body::from(body)).unwrap());
        assert_fault(&answer, &format!("{media} {body}"));
    }
    assert_eq!(server.get(&format!("{DASHBOARDS}/x")).body, before);
    server.assert_healthy();
}

#[test]
fn hostile_parameters_are_refused_by_name() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(&dir, false);
    for (query, field) in [
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=%00", "limit"),
        ("resourceVersion=-1", "resourceVersion"),
        ("resourceVersion=abc", "resourceVersion"),
        (
            "resourceVersion=1&resourceVersionMatch=Invalid",
            "resourceVersionMatch",
        ),
        (
            "resourceVersion=0&resourceVersionMatch=Exact",
            "resourceVersionMatch",
        ),
        ("resourceVersionMatch=Exact", "resourceVersionMatch"),
        ("continue=%ff", "continue"),
        ("continue=e30", "continue"),
        ("continue=..%2F..", "continue"),
        ("labelSelector=%3D%3D", "requirement"),
        ("labelSelector=a+in+(", "requirement"),
        ("labelSelector=a%00=b", "requirement"),
        ("fieldSelector=spec.title=x", "spec.title"),
        ("fieldSelector=metadata.name", "fieldSelector"),
        ("fieldSelector=metadata.name=%5Cx", "fieldSelector"),
        ("watch=1&timeoutSeconds=-1", "timeoutSeconds"),
        ("watch=1&sendInitialEvents=true", "sendInitialEvents"),
        ("watch=1&resourceVersion=x", "resourceVersion"),
        ("%ff=1", "query parameter"),
        ("a=%zz", "query parameter"),
        ("a=%", "query parameter"),
        ("includeObject=All", "includeObject"),
    ] {
        let answer = server.get(&format!("{DASHBOARDS}?{query}"));
        assert_fault(&answer, query);
        assert_refused(&answer, answer.status.as_u16(), field);
    }
    for (query, field) in [
        ("dryRun=None", "dryRun"),
        ("fieldValidation=Perhaps", "fieldValidation"),
        ("fieldManager=%07", "fieldManager"),
    ] {
        let answer = server.post(&format!("{DASHBOARDS}?{query}"), dashboard("{}"));
        assert_fault(&answer, query);
        assert_refused(&answer, 422, field);
    }
    server.assert_healthy();
}
