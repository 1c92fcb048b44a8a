//! Catches a rule of retention that a command takes and does not follow, and a version that
//! retention has passed and that is answered with another state.

use annals_server::client::Path;
use serde_json::{Value, json};

use crate::server::Server;

const PLAYLISTS: &str = "/apis/playlist.grafana.app/v0alpha1/namespaces/default/playlists";

fn body(name: &str, round: usize) -> Value {
    json!({
        "apiVersion": "playlist.grafana.app/v0alpha1",
        "kind": "Playlist",
        "metadata": {"name": name},
        "spec": {"title": format!("round {round}"), "interval": "5m"},
    })
}

fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn what_a_rule_lets_go_is_gone_and_the_rest_is_whole() {
    let mut server = Server::start().await;
    let client = server.client();
    let mut versions = Vec::new();
    let path = Path::new(PLAYLISTS);
    versions.push(version(
        &client.post(&path, Some(&body("a", 0))).await.unwrap(),
    ));
    for round in 1..6 {
        let path = Path::new(PLAYLISTS).part("a");
        let mut next = body("a", round);
        next["metadata"]["resourceVersion"] = json!(versions[round - 1]);
        versions.push(version(&client.put(&path, &next).await.unwrap()));
    }
    let shell = server.shell();
    server.stop().await;
    let dir = server.data().display().to_string();
    let rule = "playlists.playlist.grafana.app/default:revisions=2";
    let told = shell
        .ok(&format!("annals compact --data-dir {dir} --keep {rule}"))
        .await;
    assert!(told.starts_with("4 revisions removed\n"), "{told}");
    let told = shell.ok(&format!("annals check --data-dir {dir}")).await;
    assert!(told.contains("sound"), "{told}");

    server.start_again().await;
    let client = server.client();
    let list = |at: &str| {
        Path::new(PLAYLISTS)
            .query("resourceVersion", at)
            .query("resourceVersionMatch", "Exact")
    };
    for (round, at) in versions.iter().enumerate() {
        let found = client.get(&list(at)).await;
        if round < 4 {
            assert_eq!(found.unwrap_err().code(), Some(410), "round {round}");
        } else {
            let title = &found.unwrap()["items"][0]["spec"]["title"];
            assert_eq!(*title, format!("round {round}"));
        }
    }
    let shell = server.shell();
    let history = shell.ok("annals history playlist a -o json").await;
    assert_eq!(history.matches("\"round ").count(), 2, "{history}");
    let metrics = shell.ok("kubectl get --raw /metrics || true").await;
    assert!(metrics.is_empty() || metrics.contains("annals_store_removed_revisions 4"));
}

#[tokio::test]
async fn a_rule_that_means_nothing_is_refused() {
    let server = Server::start().await;
    let shell = server.shell();
    for (rule, part) in [
        ("revisions=0", "from 1 to"),
        ("dashboards:revisions=1", "no such kind"),
        ("age=4", "such as 30d"),
    ] {
        for command in ["serve", "compact"] {
            let run = shell
                .run(&format!("annals {command} --data-dir x --keep {rule}"))
                .await;
            assert_eq!(run.code, 2, "{run:?}");
            assert!(run.err.contains(part), "{run:?}");
        }
    }
    for (rules, part) in [
        ("revisions=1;age=x", "such as 30d"),
        (";", "expected a rule"),
    ] {
        let run = shell
            .run(&format!("ANNALS_KEEP='{rules}' annals serve --data-dir x"))
            .await;
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.err.contains(part), "{run:?}");
    }
    // A list may end as it goes on: what is refused here is the address.
    let run = shell
        .run("ANNALS_KEEP='revisions=1;' annals serve --data-dir x --listen nowhere")
        .await;
    assert_eq!(run.code, 2, "{run:?}");
    assert!(
        run.err.contains("nowhere") && !run.err.contains("keep"),
        "{run:?}"
    );
}

const COMPACT: &str = "/apis/store.annals.dev/v1/compact";

/// Writes a playlist some times; answers the versions.
async fn rounds(server: &Server, namespace: &str, count: usize) -> Vec<String> {
    let client = server.client();
    let list = PLAYLISTS.replace("default", namespace);
    let mut versions: Vec<String> = Vec::new();
    for round in 0..count {
        let mut next = body("a", round);
        let written = match versions.last() {
            None => client.post(&Path::new(&list), Some(&next)).await,
            Some(last) => {
                next["metadata"]["resourceVersion"] = json!(last);
                client.put(&Path::new(&list).part("a"), &next).await
            }
        };
        versions.push(version(&written.unwrap()));
    }
    versions
}

/// The title at a version, or the code of the refusal.
async fn title(server: &Server, namespace: &str, at: &str) -> Result<String, u16> {
    let path = Path::new(&PLAYLISTS.replace("default", namespace))
        .query("resourceVersion", at)
        .query("resourceVersionMatch", "Exact");
    match server.client().get(&path).await {
        Ok(list) => Ok(list["items"][0]["spec"]["title"]
            .as_str()
            .unwrap()
            .to_owned()),
        Err(error) => Err(error.code().unwrap()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_made_the_oldest_of_a_kind() {
    let mut server = Server::start().await;
    let shell = server.shell();
    let namespace = json!({"metadata": {"name": "other"}});
    let path = Path::new("/api/v1/namespaces");
    server.client().post(&path, Some(&namespace)).await.unwrap();
    let here = rounds(&server, "default", 4).await;
    let there = rounds(&server, "other", 4).await;

    // One namespace, and only that.
    let kind = "playlists.playlist.grafana.app";
    let to = &there[1];
    let told = shell
        .ok(&format!("annals compact {kind}/other --to {to}"))
        .await;
    assert_eq!(told, format!("{kind}/other: compacted version {to}\n"));
    assert_eq!(title(&server, "other", &there[0]).await, Err(410));
    assert_eq!(title(&server, "other", to).await, Ok("round 1".to_owned()));
    assert_eq!(
        title(&server, "default", &here[0]).await,
        Ok("round 0".to_owned())
    );

    // All of them. What is compacted further stays so.
    let to = &here[2];
    let wish =
        json!({"group": "playlist.grafana.app", "resource": "playlists", "resourceVersion": to});
    let answer = server
        .client()
        .post(&Path::new(COMPACT), Some(&wish))
        .await
        .unwrap();
    let expected = json!({
        "kind": "Compaction",
        "apiVersion": "store.annals.dev/v1",
        "group": "playlist.grafana.app",
        "resource": "playlists",
        "compactedVersion": to,
    });
    assert_eq!(answer, expected);
    assert_eq!(title(&server, "default", &here[1]).await, Err(410));
    assert_eq!(
        title(&server, "default", to).await,
        Ok("round 2".to_owned())
    );
    assert_eq!(
        title(&server, "other", &there[2]).await,
        Ok("round 2".to_owned())
    );

    // And of a directory.
    server.stop().await;
    let (dir, to) = (server.data().display().to_string(), &there[3]);
    let told = shell
        .ok(&format!("annals compact {kind} --to {to} --data-dir {dir}"))
        .await;
    assert_eq!(told, format!("{kind}: compacted version {to}\n"));
    let ahead = format!("annals compact {kind} --to 99 --data-dir {dir}");
    let told = shell.fails(&ahead).await;
    assert!(told.contains("version 99 is ahead"), "{told}");
    let told = shell.ok(&format!("annals check --data-dir {dir}")).await;
    assert!(told.contains("sound"), "{told}");
    server.start_again().await;
    assert_eq!(title(&server, "default", &here[3]).await, Err(410));
    assert_eq!(title(&server, "other", to).await, Ok("round 3".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_that_cannot_be_is_refused_with_its_field() {
    let server = Server::start().await;
    let client = server.client();
    let wish = |version: &str| json!({"resource": "namespaces", "resourceVersion": version});
    for (path, wish, word) in [
        (
            COMPACT,
            Some(wish("99")),
            "resourceVersion: version 99 is ahead",
        ),
        (COMPACT, Some(wish("x")), "resourceVersion: expected"),
        (
            COMPACT,
            Some(json!({"resource": "x", "resourceVersion": "1"})),
            "resource: there is no",
        ),
        (COMPACT, None, "the body"),
        (
            "/apis/store.annals.dev/v1/compact?dryRun=All",
            Some(wish("1")),
            "dryRun: unknown",
        ),
    ] {
        let refused = client
            .post(&Path::new(path), wish.as_ref())
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Some(400), "{word}");
        assert!(refused.to_string().contains(word), "{refused}");
    }
    let refused = client.get(&Path::new(COMPACT)).await.unwrap_err();
    assert_eq!(refused.code(), Some(405));
    // Who is nobody's administrator removes nothing, and does not learn what there is to remove.
    for path in [COMPACT, "/apis/store.annals.dev/v1/check"] {
        let request = axum::http::Request::post(path)
            .header("impersonate-user", "ann")
            .header("impersonate-group", "crew")
            .header("content-type", "application/json")
            .body(wish("1").to_string().into_bytes())
            .unwrap();
        let refused = server
            .kube()
            .await
            .request::<Value>(request)
            .await
            .unwrap_err();
        let kube::Error::Api(status) = refused else {
            panic!("{refused}");
        };
        assert_eq!(status.code, 403, "{path}: {}", status.message);
        assert!(status.message.contains(path), "{}", status.message);
    }
    assert_eq!(
        client
            .post(&Path::new(COMPACT), Some(&wish("1")))
            .await
            .unwrap()["compactedVersion"],
        "1"
    );
}
