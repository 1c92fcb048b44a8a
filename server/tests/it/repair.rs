//! Catches an `annals check` that calls a damaged store sound, changes it, or is not to be had of a
//! running server, and an `annals repair` that leaves the server unable to start, or lets a page
//! token of the old line of history go on in the new one.

use std::fs;
use std::io::{Seek, SeekFrom, Write};

use annals_server::client::Path;
use serde_json::{Value, json};

use super::server::Server;

const PLAYLISTS: usize = 40;
const PLAYLIST_PATH: &str = "/apis/playlist.grafana.app/v0alpha1/namespaces/default/playlists";

/// Zeroes the pages of the tables in which these bytes stand.
fn wipe(file: &std::path::Path, needle: &[u8]) -> usize {
    const PAGE_BYTES: usize = 4096;
    let bytes = fs::read(file).unwrap();
    let mut out = fs::File::options().write(true).open(file).unwrap();
    let mut wiped = 0;
    for (number, page) in bytes.chunks(PAGE_BYTES).enumerate() {
        if page.windows(needle.len()).any(|part| part == needle) {
            let at = (number * PAGE_BYTES) as u64;
            out.seek(SeekFrom::Start(at)).unwrap();
            out.write_all(&[0; PAGE_BYTES]).unwrap();
            wiped += 1;
        }
    }
    wiped
}

#[tokio::test]
async fn check_and_repair_from_the_command_line() {
    let mut server = Server::start().await;
    let shell = server.shell();
    let mut text = String::new();
    for number in 0..PLAYLISTS {
        text.push_str(&format!(
            "---\napiVersion: playlist.grafana.app/v0alpha1\nkind: Playlist\nmetadata:\n  name: p{number}\n  \
             namespace: default\nspec:\n  title: list {number}\n  interval: 5m\n  items:\n  - \
             type: dashboard_by_tag\n    value: boats\n"
        ));
    }
    shell.file("lists.yaml", &text);
    shell.ok("annals import file lists.yaml").await;
    // The server runs: it answers for itself, and its directory is not to be had.
    let told = shell.ok("annals check").await;
    assert!(told.contains("sound"), "{told}");
    let json: Value = serde_json::from_str(&shell.ok("annals check -o json").await).unwrap();
    assert_eq!(json["sound"], true, "{json}");
    assert_eq!(json["kind"], "CheckReport", "{json}");
    let data = server.data().display().to_string();
    let why = shell
        .fails(&format!("annals repair --data-dir {data}"))
        .await;
    assert!(why.contains("in use"), "{why}");
    let why = shell
        .fails(&format!("annals check --data-dir {data}"))
        .await;
    assert!(why.contains("in use"), "{why}");

    assert!(server.stop().await.success());
    let told = shell.ok(&format!("annals check --data-dir {data}")).await;
    assert!(told.contains("sound"), "{told}");
    let told = shell.ok(&format!("annals repair --data-dir {data}")).await;
    assert!(told.contains("nothing was changed"), "{told}");

    let tables = server.data().join("store.redb");
    assert!(wipe(&tables, b"p17") > 0);
    let run = shell
        .run(&format!("annals check --data-dir {data} -o json"))
        .await;
    assert_eq!(run.code, 1, "{run:#?}");
    let json: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(json["sound"], false, "{json}");
    assert!(!json["findings"].as_array().unwrap().is_empty());
    let run = shell.run(&format!("annals repair --data-dir {data}")).await;
    assert!(run.out.contains("set-aside-"), "{run:#?}");
    let told = shell.ok(&format!("annals check --data-dir {data}")).await;
    assert!(told.contains("sound"), "{told}");

    server.start_again().await;
    let told = server.shell().ok("annals check").await;
    assert!(told.contains("sound"), "{told}");
    let line = "annals get playlists -n default -o name | wc -l";
    let left = server.shell().ok(line).await;
    assert!(left.trim().parse::<usize>().unwrap() <= PLAYLISTS);
}

#[tokio::test]
async fn a_page_token_of_before_a_repair_is_gone_and_leaves_a_way_on() {
    let mut server = Server::start().await;
    for number in 0..PLAYLISTS {
        let playlist = json!({
            "apiVersion": "playlist.grafana.app/v0alpha1",
            "kind": "Playlist",
            "metadata": {"name": format!("p{number}"), "namespace": "default"},
            "spec": {"title": "a list", "interval": "5m", "items": []},
        });
        let path = Path::new(PLAYLIST_PATH);
        server.client().post(&path, Some(&playlist)).await.unwrap();
    }
    let page = |token: Option<&str>| {
        let path = Path::new(PLAYLIST_PATH).query("limit", "9");
        path.query_if("continue", token)
    };
    let first = server.client().get(&page(None)).await.unwrap();
    let token = first["metadata"]["continue"].as_str().unwrap();
    assert!(server.client().get(&page(Some(token))).await.is_ok());
    assert!(server.stop().await.success());
    assert!(wipe(&server.data().join("store.redb"), b"p17") > 0);
    let data = server.data().display().to_string();
    server
        .shell()
        .run(&format!("annals repair --data-dir {data}"))
        .await;
    server.start_again().await;
    let refused = server.client().get(&page(Some(token))).await.unwrap_err();
    assert_eq!(refused.code(), Some(410), "{refused}");
    let fresh = server.client().get(&page(None)).await.unwrap();
    let token = fresh["metadata"]["continue"].as_str().unwrap();
    assert!(server.client().get(&page(Some(token))).await.is_ok());
}
