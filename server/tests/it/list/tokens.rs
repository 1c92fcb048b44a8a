//! Catches a token that leads to another list than its own, that is lost with a restart, or that
//! is read although it is not what the server gave out.

use serde_json::{Value, json};

use super::{Caller, NAMESPACES, names, playlists, token, version};
use crate::server::Server;
use crate::watch::{create, delete, patch};

/// A server with these playlists in `default`.
async fn server_with(names: &[&str]) -> (Server, u64) {
    let server = Server::start().await;
    let mut last = 0;
    for name in names {
        last = create(&server, name, "old", "x").await;
    }
    (server, last)
}

async fn list(caller: &Caller, query: &str) -> Value {
    let path = format!("{}?{query}", playlists("default"));
    caller.done("GET", &path, Value::Null).await
}

#[tokio::test]
async fn a_bent_token_is_refused() {
    let (server, _) = server_with(&["a", "b"]).await;
    let caller = Caller::new(&server).await;
    let token = token(&list(&caller, "limit=1").await).unwrap();
    let mut bent = vec![
        token[1..].to_owned(),
        token[..token.len() - 1].to_owned(),
        format!("{token}A"),
        format!("{token}{token}"),
        // Other servers write `{"v":"meta.k8s.io/v1","rv":...,"start":...}`, and nothing else of it
        // is read here.
        "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhXHUwMDAwIn0".to_owned(),
        "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MCwic3RhcnQiOiIifQ".to_owned(),
    ];
    for at in 0..token.len() {
        let other = if token.as_bytes()[at] == b'A' {
            "B"
        } else {
            "A"
        };
        bent.push(format!("{}{other}{}", &token[..at], &token[at + 1..]));
    }
    for text in bent {
        let path = format!("{}?limit=1&continue={text}", playlists("default"));
        let status = caller.refused(&path, 400).await;
        assert_eq!(status["reason"], "BadRequest", "{text}");
        let message = status["message"].as_str().unwrap();
        assert!(
            message.starts_with("continue key is not valid: "),
            "{message}"
        );
    }
    let rest = list(&caller, &format!("limit=1&continue={token}")).await;
    assert_eq!(names(&rest), ["b"]);
}

#[tokio::test]
async fn a_token_is_bound_to_its_list() {
    let (server, _) = server_with(&["a", "b"]).await;
    let caller = Caller::new(&server).await;
    let other = json!({"metadata": {"name": "other"}});
    caller.done("POST", NAMESPACES, other).await;
    let own = playlists("default");
    let of_team = format!("{own}?labelSelector=team%3Dx&");
    let page = caller
        .done("GET", &format!("{of_team}limit=1"), Value::Null)
        .await;
    let token = token(&page).unwrap();
    let dashboards = "/apis/dashboard.grafana.app/v1beta1/namespaces/default/dashboards";
    for path in [
        format!("{own}?"),
        format!("{own}?labelSelector=team%3Dy&"),
        format!("{own}?labelSelector=team&"),
        format!("{of_team}fieldSelector=metadata.name!%3Dz&"),
        format!("{}?labelSelector=team%3Dx&", playlists("other")),
        format!("{}?labelSelector=team%3Dx&", playlists("")),
        format!("{dashboards}?labelSelector=team%3Dx&"),
        format!("{NAMESPACES}?labelSelector=team%3Dx&"),
    ] {
        let status = caller
            .refused(&format!("{path}continue={token}"), 400)
            .await;
        let message = status["message"].as_str().unwrap();
        assert!(
            message.contains("another kind, namespace or selector"),
            "{path}: {message}"
        );
    }
    let next = format!("{of_team}continue={token}");
    let rest = caller.done("GET", &next, Value::Null).await;
    assert_eq!(names(&rest), ["b"]);
}

#[tokio::test]
async fn a_token_leads_to_the_same_state_after_writes_and_a_kill() {
    let (mut server, then) = server_with(&["a", "b", "c", "d"]).await;
    let caller = Caller::new(&server).await;
    let first = list(&caller, "limit=1").await;
    assert_eq!(
        (version(&first), names(&first)),
        (then, vec!["a".to_owned()])
    );
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    let token_of_first = token(&first).unwrap();
    // What the token points at goes, and so does what comes next.
    delete(&server, "a").await;
    delete(&server, "b").await;
    patch(&server, "c", json!({"spec": {"title": "new"}})).await;
    create(&server, "bb", "new", "x").await;
    server.kill().await;
    server.start_again().await;
    let caller = Caller::new(&server).await;
    let rest = list(&caller, &format!("continue={token_of_first}")).await;
    assert_eq!(
        (version(&rest), names(&rest)),
        (then, ["b", "c", "d"].map(String::from).into())
    );
    assert_eq!(rest["items"][1]["spec"]["title"], "old");
    let mut next = Some(token_of_first);
    let mut paged = Vec::new();
    while let Some(at) = next {
        let page = list(&caller, &format!("limit=1&continue={at}")).await;
        assert_eq!(version(&page), then);
        paged.extend(names(&page));
        next = token(&page);
        assert!(paged.len() <= 3, "{paged:?}");
    }
    assert_eq!(paged, ["b", "c", "d"]);
}

#[tokio::test]
async fn every_form_of_a_list_can_be_continued() {
    let (server, then) = server_with(&["a", "b", "c"]).await;
    let caller = Caller::new(&server).await;
    let mut tokens = Vec::new();
    for (accept, kind, items) in [
        ("application/json", "PlaylistList", "items"),
        (
            "application/json;as=Table;v=v1;g=meta.k8s.io",
            "Table",
            "rows",
        ),
        (
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
            "PartialObjectMetadataList",
            "items",
        ),
    ] {
        let path = format!("{}?limit=2", playlists("default"));
        let page = caller.send("GET", &path, accept, Value::Null).await;
        let page: Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!(page["kind"], kind);
        assert_eq!(page[items].as_array().unwrap().len(), 2, "{page}");
        assert_eq!(page["metadata"]["remainingItemCount"], 1, "{page}");
        assert_eq!(version(&page), then);
        tokens.push(token(&page).unwrap());
    }
    // The form is no part of the list.
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    let rest = list(&caller, &format!("continue={}", tokens[1])).await;
    assert_eq!(names(&rest), ["c"]);
}
