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
    let run = shell
        .run("ANNALS_KEEP='revisions=1;age=x' annals serve --data-dir x")
        .await;
    assert_eq!(run.code, 2, "{run:?}");
}
