//! Catches an event in the wrong form: lines, bookmarks, initial events, tables, endings.

use serde_json::{Value, json};

use super::{Short, Stream, ask, create, delete, patch, short, version};
use crate::server::Server;

#[tokio::test]
async fn one_object_from_birth_to_end() {
    let server = Server::start().await;
    let mut watch = Stream::open(&server, "resourceVersion=1").await;
    let made = create(&server, "a", "A", "x").await;
    let changed = patch(&server, "a", json!({"spec": {"title": "B"}})).await;
    // A patch that changes nothing is no event.
    let same = patch(&server, "a", json!({"spec": {"title": "B"}})).await;
    assert_eq!(same, changed);
    delete(&server, "a").await;
    let again = create(&server, "a", "C", "x").await;
    for expected in [
        short("ADDED", "a", "A", made),
        short("MODIFIED", "a", "B", changed),
        short("DELETED", "a", "B", changed + 1),
        short("ADDED", "a", "C", again),
    ] {
        assert_eq!(watch.short().await, expected);
    }
}

#[tokio::test]
async fn bookmarks_come_when_asked_for() {
    let server = Server::start().await;
    let made = create(&server, "a", "A", "x").await;
    let from = format!("resourceVersion={made}&timeoutSeconds=1");
    let mut plain = Stream::open(&server, &from).await;
    assert_eq!(plain.rest().await, Vec::<Value>::new());
    let mut marked = Stream::open(&server, &format!("{from}&allowWatchBookmarks=true")).await;
    let events = marked.rest().await;
    assert!(!events.is_empty());
    for event in events {
        assert_eq!(event["type"], "BOOKMARK");
        let object = &event["object"];
        assert_eq!(
            (&object["kind"], &object["apiVersion"]),
            (&json!("Playlist"), &json!("playlist.grafana.app/v0alpha1"))
        );
        assert_eq!(object["metadata"]["annotations"], Value::Null);
        assert!(version(object) >= made);
    }
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() {
    let server = Server::start().await;
    let a = create(&server, "a", "A", "x").await;
    let b = create(&server, "b", "B", "x").await;
    let head = {
        create(&server, "c", "C", "x").await;
        delete(&server, "c").await;
        b + 2
    };
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = Stream::open(&server, query).await;
    assert_eq!(watch.short().await, short("ADDED", "a", "A", a));
    assert_eq!(watch.short().await, short("ADDED", "b", "B", b));
    let end = watch.next().await.unwrap();
    assert_eq!(Short::of(&end), short("BOOKMARK", "", "", head));
    let mark = &end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"];
    assert_eq!(mark, "true");
    let d = create(&server, "d", "D", "x").await;
    assert_eq!(watch.short().await, short("ADDED", "d", "D", d));

    // Version 0 means: what there is, without a bookmark that nobody asked for.
    let mut from_zero = Stream::open(&server, "resourceVersion=0").await;
    for (name, title, version) in [("a", "A", a), ("b", "B", b), ("d", "D", d)] {
        let expected = short("ADDED", name, title, version);
        assert_eq!(from_zero.short().await, expected);
    }
    let none = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=0";
    let mut from_now = Stream::open(&server, none).await;
    delete(&server, "d").await;
    let expected = short("DELETED", "d", "D", d + 1);
    assert_eq!(from_now.short().await, expected);
    assert_eq!(from_zero.short().await, expected);

    for wrong in [
        "watch=true&sendInitialEvents=true",
        "watch=true&resourceVersionMatch=NotOlderThan",
        "watch=true&sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=1",
    ] {
        assert_eq!(ask(&server, wrong).await.status, 422, "{wrong}");
    }
}

#[tokio::test]
async fn what_leaves_the_selection_is_deleted() {
    let server = Server::start().await;
    let mut team = Stream::open(&server, "resourceVersion=1&labelSelector=team%3Dx").await;
    let mut one = Stream::open(&server, "resourceVersion=1&fieldSelector=metadata.name%3Da").await;
    let label = |team: &str| json!({"metadata": {"labels": {"team": team}}});
    let made = create(&server, "a", "A", "y").await;
    create(&server, "b", "B", "y").await;
    let came = patch(&server, "a", label("x")).await;
    let changed = patch(&server, "a", json!({"spec": {"title": "A2"}})).await;
    let left = patch(&server, "a", label("y")).await;
    let unseen = patch(&server, "a", json!({"spec": {"title": "A3"}})).await;
    let back = patch(&server, "a", label("x")).await;
    delete(&server, "a").await;

    assert_eq!(team.short().await, short("ADDED", "a", "A", came));
    assert_eq!(team.short().await, short("MODIFIED", "a", "A2", changed));
    let gone = team.next().await.unwrap();
    assert_eq!(Short::of(&gone), short("DELETED", "a", "A2", left));
    // It is shown as it last was in the selection.
    assert_eq!(gone["object"]["metadata"]["labels"]["team"], "x");
    assert_eq!(team.short().await, short("ADDED", "a", "A3", back));
    assert_eq!(team.short().await, short("DELETED", "a", "A3", back + 1));

    assert_eq!(one.short().await, short("ADDED", "a", "A", made));
    for (title, version) in [
        ("A", came),
        ("A2", changed),
        ("A2", left),
        ("A3", unseen),
        ("A3", back),
    ] {
        assert_eq!(one.short().await, short("MODIFIED", "a", title, version));
    }
    assert_eq!(one.short().await, short("DELETED", "a", "A3", back + 1));
}

#[tokio::test]
async fn a_version_that_is_not_yet_is_refused() {
    let server = Server::start().await;
    for query in [
        "watch=true&resourceVersion=4000",
        "resourceVersion=4000",
        "resourceVersion=4000&resourceVersionMatch=Exact",
    ] {
        let answer = ask(&server, query).await;
        assert_eq!(answer.status, 504, "{query}: {answer:?}");
        let status: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(status["reason"], "Timeout");
        assert_eq!(
            status["details"]["causes"][0]["reason"],
            "ResourceVersionTooLarge"
        );
        assert_eq!(status["details"]["retryAfterSeconds"], 1);
        let message = "Too large resource version: 4000, current: 1";
        assert_eq!(status["message"], message);
    }
    for bad in ["abc", "-1", "1.0"] {
        let query = format!("watch=true&resourceVersion={bad}");
        assert_eq!(ask(&server, &query).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn tables_describe_their_columns_once() {
    let server = Server::start().await;
    create(&server, "a", "A", "x").await;
    create(&server, "b", "B", "x").await;
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let mut watch = Stream::open_as(&server, "resourceVersion=1", accept).await;
    delete(&server, "a").await;
    for (at, (kind, name)) in [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")]
        .into_iter()
        .enumerate()
    {
        let event = watch.next().await.unwrap();
        let table = &event["object"];
        assert_eq!(
            (&event["type"], &table["kind"]),
            (&json!(kind), &json!("Table"))
        );
        let heads = table["columnDefinitions"].as_array().map_or(0, Vec::len);
        assert_eq!(heads, if at == 0 { 4 } else { 0 }, "{event}");
        assert_eq!(table["rows"].as_array().unwrap().len(), 1);
        assert_eq!(table["rows"][0]["cells"][0], name);
    }
    let accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    let mut watch = Stream::open_as(&server, "resourceVersion=1", accept).await;
    let event = watch.next().await.unwrap();
    assert_eq!(event["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(event["object"]["spec"], Value::Null);
}

#[tokio::test]
async fn a_stop_ends_every_watch() {
    let mut server = Server::start().await;
    let made = create(&server, "a", "A", "x").await;
    let mut watches = Vec::new();
    for _ in 0..5 {
        let mut watch = Stream::open(&server, "resourceVersion=0").await;
        assert_eq!(watch.short().await, short("ADDED", "a", "A", made));
        watches.push(watch);
    }
    let status = server.stop().await;
    assert!(status.success(), "{status}");
    for watch in &mut watches {
        assert_eq!(watch.rest().await, Vec::<Value>::new());
    }
}
