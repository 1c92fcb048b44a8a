//! Catches a search that does not find what a person looks for, and an index that does not come
//! back when it is lost.

use std::path::PathBuf;

use annals_server::client::{Client, Path};
use annals_server::limits;
use serde_json::{Value, json};

use super::server::{Server, Shell, until};

const SEARCH: &str = "/apis/search.annals.dev/v1/namespaces/default/search";
const FOLDERS: &str = "/apis/folder.grafana.app/v1beta1/namespaces/default/folders";
const DASHBOARDS: &str = "/apis/dashboard.grafana.app/v1beta1/namespaces/default/dashboards";
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/dashboards");

async fn make_folder(client: &Client, name: &str) {
    let folder = json!({
        "apiVersion": "folder.grafana.app/v1beta1",
        "kind": "Folder",
        "metadata": {"name": name},
        "spec": {"title": format!("Folder {name}")},
    });
    client
        .post(&Path::new(FOLDERS), Some(&folder))
        .await
        .unwrap();
}

/// The version that the store has reached.
async fn head(client: &Client) -> String {
    let list = client.get(&Path::new(FOLDERS)).await.unwrap();
    list["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A search that waits for everything that was written.
async fn search(client: &Client, query: &[(&str, &str)]) -> Value {
    let head = head(client).await;
    let path = query
        .iter()
        .fold(Path::new(SEARCH), |path, (name, value)| {
            path.query(name, value)
        })
        .query("minVersion", &head);
    let answer = until("the index answers", async || client.get(&path).await.ok()).await;
    let reached: u64 = answer["resourceVersion"].as_str().unwrap().parse().unwrap();
    assert!(reached >= head.parse().unwrap());
    answer
}

fn each<'a>(answer: &'a Value, field: &str) -> Vec<&'a str> {
    let hits = answer["hits"].as_array().unwrap();
    hits.iter()
        .map(|hit| hit[field].as_str().unwrap())
        .collect()
}

/// A server with the samples in the folder `island`.
async fn island() -> (Server, Shell, Client) {
    let server = Server::start().await;
    let (shell, client) = (server.shell(), server.client());
    make_folder(&client, "island").await;
    let line = format!("annals import dashboards {SAMPLES} --folder island");
    assert_eq!(
        shell.ok(&line).await,
        "created 6, updated 0, unchanged 0, failed 0\n"
    );
    (server, shell, client)
}

#[tokio::test]
async fn import_tells_and_repeats() {
    let server = Server::start().await;
    let (shell, client) = (server.shell(), server.client());
    let line = format!("annals import dashboards {SAMPLES} --folder island");
    let missing = shell.run(&line).await;
    assert_eq!(missing.code, 3, "{missing:?}");
    assert!(
        missing
            .err
            .contains("there is no folder island in namespace default"),
        "{}",
        missing.err
    );
    make_folder(&client, "island").await;
    shell.ok(&line).await;
    let before = head(&client).await;
    assert_eq!(
        shell.ok(&line).await,
        "created 0, updated 0, unchanged 6, failed 0\n"
    );
    assert_eq!(head(&client).await, before);
}

#[tokio::test]
async fn parameters_narrow_a_search() {
    let (_server, _, client) = island().await;
    let labelled = json!({
        "apiVersion": "dashboard.grafana.app/v1beta1",
        "kind": "Dashboard",
        "metadata": {"name": "alone", "labels": {"team": "coast"}},
        "spec": {"title": "Ferry Alone"},
    });
    client
        .post(&Path::new(DASHBOARDS), Some(&labelled))
        .await
        .unwrap();
    // Each search and the names it finds, in any order.
    let ferries = ["alone", "ferry", "ferry-night"];
    for (query, expected) in [
        (&[("query", "ferry")][..], &ferries[..]),
        (&[("query", "ferry"), ("folder", "island")], &ferries[1..]),
        (&[("query", "ferry"), ("folder", "general")], &ferries[..1]),
        (&[("query", "ferry"), ("folder", "nowhere")], &[]),
        (&[("tag", "passengers")], &ferries[1..]),
        (&[("tag", "passengers"), ("tag", "harbour")], &ferries[1..2]),
        (&[("label", "team=coast")], &ferries[..1]),
        (&[("label", "team=other")], &[]),
        (&[("name", "alone"), ("name", "ferry")], &ferries[..2]),
        (&[("type", "folder")], &["island"]),
        (
            &[("type", "Dashboard"), ("query", "keeper")],
            &["lighthouse"],
        ),
        (&[("query", "kerosene")], &["lighthouse"]),
        (&[("query", "steam")], &["boiler"]),
        (&[("field", "ds_types:postgres")], &["ferry"]),
        (&[("query", "ПОГОДА")], &["observatory"]),
        (&[("query", "nowhere-to-be-found")], &[]),
    ] {
        let answer = search(&client, query).await;
        let mut names = each(&answer, "name");
        names.sort_unstable();
        assert_eq!(names, expected, "{query:?}");
        assert_eq!(answer["totalHits"], expected.len(), "{query:?}");
    }
    let shown = search(&client, &[("name", "ferry"), ("field", "ds_types")]).await;
    assert_eq!(
        shown["hits"][0]["field"]["ds_types"],
        json!(["prometheus", "postgres"])
    );

    let sorted = [
        ("type", "dashboard"),
        ("sort", "-title"),
        ("facet", "tag"),
        ("limit", "3"),
    ];
    let sorted = search(&client, &sorted).await;
    assert_eq!(
        each(&sorted, "name"),
        ["observatory", "lighthouse", "cranes"]
    );
    // The facets count all that was found, not the page.
    assert_eq!(
        sorted["facets"]["tag"]["terms"][0],
        json!({"term": "passengers", "count": 2})
    );
}

#[tokio::test]
async fn pages_are_pieces_of_one_order() {
    let (_server, shell, client) = island().await;
    let whole = search(&client, &[("query", "*")]).await;
    let all = each(&whole, "name");
    assert_eq!(all.len(), 7);
    for offset in [0, 3, 6, 9] {
        let at = offset.to_string();
        let page = search(&client, &[("query", "*"), ("limit", "3"), ("offset", &at)]).await;
        let expected: Vec<&str> = all.iter().copied().skip(offset).take(3).collect();
        assert_eq!(each(&page, "name"), expected);
        assert_eq!(page["totalHits"], 7);
    }
    let printed = shell
        .ok("annals search ferry --folder island --tag harbour -o name")
        .await;
    assert_eq!(printed, "dashboards/ferry\n");
}

#[tokio::test]
async fn a_bad_parameter_is_named() {
    let server = Server::start().await;
    let client = server.client();
    for (name, value) in [
        ("limit", "x"),
        ("limit", "1001"),
        ("offset", "-1"),
        ("minVersion", "1.5"),
        ("type", "nonsense"),
        ("label", "no-pair"),
        ("colour", "red"),
        ("sort", "nonsense"),
        ("sort", "-panel_types"),
        ("facet", "nonsense"),
        ("field", "nonsense"),
        ("field", "panel_title:x"),
    ] {
        let path = Path::new(SEARCH).query(name, value);
        let refused = client.get(&path).await.unwrap_err();
        assert_eq!(refused.code(), Some(400), "{name}={value}: {refused}");
        assert!(
            refused.to_string().contains(name),
            "{name}={value}: {refused}"
        );
    }
    let twice = Path::new(SEARCH).query("query", "a").query("query", "b");
    let refused = client.get(&twice).await.unwrap_err();
    assert_eq!(refused.code(), Some(400), "{refused}");
    assert!(refused.to_string().contains("query"), "{refused}");
    let long = "x ".repeat(limits::SEARCH_QUERY_WORDS + 1);
    let refused = client.get(&Path::new(SEARCH).query("query", &long)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Some(400), "{refused}");
    let future = Path::new(SEARCH).query("minVersion", "999999");
    let refused = client.get(&future).await.unwrap_err();
    assert_eq!(refused.code(), Some(504));
    assert!(refused.to_string().contains("999999"), "{refused}");
}

#[tokio::test]
async fn a_lost_index_comes_back() {
    let (mut server, _, client) = island().await;
    let found = search(&client, &[("query", "ferry")]).await;
    assert_eq!(each(&found, "name"), ["ferry", "ferry-night"]);
    let folder = server.data().join("index");

    // While the server runs: it goes on answering, and takes new writes in.
    std::fs::remove_dir_all(&folder).unwrap();
    make_folder(&client, "ferries").await;
    let found = search(&client, &[("type", "folder")]).await;
    assert_eq!(found["totalHits"], 2);
    let found = search(&client, &[("query", "ferry"), ("type", "dashboard")]).await;
    assert_eq!(each(&found, "name"), ["ferry", "ferry-night"]);

    // While it is down.
    server.kill().await;
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    server.start_again().await;
    let client = server.client();
    let found = search(&client, &[("query", "ferry"), ("type", "dashboard")]).await;
    assert_eq!(each(&found, "name"), ["ferry", "ferry-night"]);
    assert!(folder.exists());
}

#[tokio::test]
async fn the_state_of_the_index() {
    let (server, shell, client) = island().await;
    search(&client, &[]).await;
    let status = "annals index status -o json";
    let ready = until("the index is ready", async || {
        let status: Value = serde_json::from_str(&shell.ok(status).await).unwrap();
        (status["ready"] == true).then_some(status)
    })
    .await;
    assert_eq!(ready["storeVersion"], head(&client).await);
    assert_eq!(
        (&ready["documents"], &ready["setAside"]),
        (&json!(7), &json!(0))
    );
    shell.ok("annals index rebuild").await;
    let again = until("the new index is ready", async || {
        let status: Value = serde_json::from_str(&shell.ok(status).await).unwrap();
        (status["ready"] == true && status["state"] == "ready").then_some(status)
    })
    .await;
    assert_eq!(again["documents"], 7);
    let found = search(&client, &[("query", "lamp")]).await;
    assert_eq!(each(&found, "name"), ["lighthouse"]);
    drop(server);
}

#[tokio::test]
async fn history_and_diff() {
    let (_server, shell, client) = island().await;
    let path = Path::new(DASHBOARDS).part("boiler");
    let first = client.get(&path).await.unwrap();
    let mut second = first.clone();
    second["spec"]["title"] = json!("Engine House");
    let second = client.put(&path, &second).await.unwrap();
    let version = |object: &Value| {
        let version = object["metadata"]["resourceVersion"].as_str();
        version.unwrap().to_owned()
    };
    let (first, second) = (version(&first), version(&second));

    let history = shell.ok("annals history dashboard boiler -o json").await;
    let history: Value = serde_json::from_str(&history).unwrap();
    let told: Vec<(&str, &str, &str)> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let text = |field: &str| item[field].as_str().unwrap();
            (text("version"), text("action"), text("author"))
        })
        .collect();
    assert_eq!(
        told,
        [
            (second.as_str(), "updated", "admin"),
            (first.as_str(), "created", "admin")
        ]
    );
    let names = shell.ok("annals history dashboard boiler -o name").await;
    let object = "dashboards.dashboard.grafana.app/boiler";
    assert_eq!(names, format!("{object}@{second}\n{object}@{first}\n"));

    let diff = shell.ok("annals diff dashboard boiler").await;
    assert!(
        diff.starts_with(&format!("--- {object}@{first}\n+++ {object}@{second}\n")),
        "{diff}"
    );
    let changed: Vec<&str> = diff
        .lines()
        .skip(2)
        .filter(|line| line.starts_with(['+', '-']))
        .collect();
    assert!(
        changed.contains(&"-  title: Boiler Room") && changed.contains(&"+  title: Engine House"),
        "{diff}"
    );
    assert!(!diff.contains("-  description"), "{diff}");
    // The new title is found, the old one no more.
    assert_eq!(
        search(&client, &[("query", "engine")]).await["totalHits"],
        1
    );
    assert_eq!(search(&client, &[("query", "room")]).await["totalHits"], 0);
}

/// The folder of the real dashboards.
fn real_dashboards() -> Option<PathBuf> {
    let Some(data) = std::env::var_os("ANNALS_TEST_DATA") else {
        println!("skipped: ANNALS_TEST_DATA is not set");
        return None;
    };
    Some(PathBuf::from(data).join("dashboards"))
}

#[tokio::test]
async fn five_searches_in_real_dashboards() {
    let Some(folder) = real_dashboards() else {
        return;
    };
    let (server, shell, client) = island().await;
    make_folder(&client, "system").await;
    let line = format!(
        "annals import dashboards '{}' --folder system",
        folder.display()
    );
    let done = "created 41, updated 0, unchanged 0, failed 0\n";
    assert_eq!(shell.ok(&line).await, done);
    assert_eq!(
        shell.ok(&line).await,
        "created 0, updated 0, unchanged 41, failed 0\n"
    );
    let titles = async |text: &str| {
        let answer = search(&client, &[("query", text)]).await;
        let titles: Vec<String> = each(&answer, "title")
            .into_iter()
            .map(str::to_owned)
            .collect();
        let head = head(&client).await;
        let printed = shell
            .ok(&format!(
                "annals search '{text}' --min-version {head} -o json"
            ))
            .await;
        let printed: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(printed["hits"], answer["hits"], "{text}");
        (titles, answer["relaxed"] == true)
    };
    let (found, relaxed) = titles("coredns").await;
    assert!(found[0].contains("CoreDNS") && !relaxed, "{found:?}");

    let (found, relaxed) = titles("api server").await;
    let is_one = |title: &String| title.to_lowercase().contains("api server");
    assert!(found[..2].iter().all(is_one) && !relaxed, "{found:?}");

    let (found, relaxed) = titles("node exporter").await;
    let named = found
        .iter()
        .take_while(|title| title.starts_with("Node Exporter"));
    assert_eq!(named.count(), 5, "{found:?}");
    assert!(!relaxed);

    let (found, relaxed) = titles("kubernetes pods").await;
    let is_one = |title: &String| title.to_lowercase().contains("pod");
    assert!(found[..3].iter().any(is_one) && !relaxed, "{found:?}");

    let (found, relaxed) = titles("coredns latency").await;
    assert!(found[0].contains("CoreDNS") && relaxed, "{found:?}");
    drop(server);
}
