//! Catches a list that shows another version than the one that was asked for.

use serde_json::{Value, json};

use super::server::Server;
use super::watch::{ask, create, delete, patch};

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
