//! Catches a backup of a running server that lacks a write, is taken by the wrong caller or is
//! refused without naming the field; a follower that does not go on after a kill; a restored
//! directory that a server does not open.

use std::fs;
use std::path::{Path, PathBuf};

use annals::backup::Pieces;
use axum::body::Body;
use serde_json::Value;

use super::server::{Server, Shell, until};
use super::site::{Answer, get, open};

const PATH: &str = "/apis/store.annals.dev/v1/backup";

fn manifest(name: &str) -> String {
    format!(
        r#"{{"apiVersion":"playlist.grafana.app/v0alpha1","kind":"Playlist","metadata":{{"name":"{name}","namespace":"default"}},"spec":{{"title":"{name}","interval":"5m"}}}}"#
    )
}

/// Writes a playlist through the server.
async fn write(server: &Server, name: &str) {
    let path = annals_server::client::Path::new(
        "/apis/playlist.grafana.app/v0alpha1/namespaces/default/playlists",
    );
    let object: Value = serde_json::from_str(&manifest(name)).unwrap();
    server.client().post(&path, Some(&object)).await.unwrap();
}

/// The names of the playlists of a directory, or of the server of a shell.
async fn names(shell: &Shell, of: &str) -> Vec<String> {
    let out = shell
        .ok(&format!("annals get playlists -o name {of}"))
        .await;
    let name = |line: &str| line.rsplit('/').next().unwrap_or_default().to_owned();
    out.lines().map(name).collect()
}

fn pieces(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "annals"))
        .collect();
    paths.sort();
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_saved_continued_proven_and_brought_back() {
    let server = Server::start().await;
    let shell = server.shell();
    write(&server, "one").await;
    let run = shell.run("annals backup -f whole.annals").await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.err
            .starts_with("whole backup at version 2: 2 revisions"),
        "{run:?}"
    );
    write(&server, "two").await;
    shell.ok("annals backup --since 2 > since.annals").await;
    write(&server, "three").await;
    shell.ok("annals backup -f - --since 3 > rest.annals").await;

    let verified = shell
        .ok("annals verify whole.annals since.annals rest.annals")
        .await;
    assert!(
        verified.starts_with("3 pieces, 4 revisions, "),
        "{verified}"
    );
    assert!(
        verified.ends_with("sound\nthey reach version 4\n"),
        "{verified}"
    );
    let alone = shell.ok("annals verify since.annals").await;
    assert!(alone.contains("continue version 2"), "{alone}");
    let gap = shell.run("annals verify whole.annals rest.annals").await;
    assert_eq!(gap.code, 1);
    assert!(
        gap.out.contains("rest.annals continues version 3"),
        "{gap:?}"
    );

    let all = "whole.annals since.annals rest.annals";
    let out = shell
        .ok(&format!("annals restore-backup {all} --data-dir new"))
        .await;
    assert!(
        out.starts_with("restored version 4 from 3 pieces: 4 revisions, 4 live"),
        "{out}"
    );
    assert_eq!(
        names(&shell, "--data-dir new").await,
        ["one", "three", "two"]
    );
    let again = shell
        .run(&format!("annals restore-backup {all} --data-dir new"))
        .await;
    assert_eq!(again.code, 1);
    assert!(again.err.contains("empty directory"), "{again:?}");
    shell
        .ok(&format!(
            "annals restore-backup {all} --data-dir old --to-version 3"
        ))
        .await;
    assert_eq!(names(&shell, "--data-dir old").await, ["one", "two"]);
    let ahead = shell
        .fails(&format!(
            "annals restore-backup {all} --data-dir x --to-version 9"
        ))
        .await;
    assert!(ahead.contains("version 9 is ahead"), "{ahead}");
    let before = shell
        .fails(&format!(
            "annals restore-backup {all} --data-dir x --to-time 2001-01-01T00:00:00Z"
        ))
        .await;
    assert!(before.contains("no batch had ended by then"), "{before}");
    let checked = shell.ok("annals check --data-dir new").await;
    assert!(checked.ends_with("sound\n"), "{checked}");
    // And as a piece again, of a directory.
    shell
        .ok("annals backup --data-dir new -f again.annals")
        .await;
    shell.ok("annals verify again.annals").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_opens_what_was_restored_and_searches_it() {
    let mut server = Server::start().await;
    write(&server, "one").await;
    let folder = tempfile::tempdir().unwrap();
    let piece = folder.path().join("whole.annals");
    let line = format!("annals backup -f {}", piece.display());
    server.shell().ok(&line).await;
    server.stop().await;
    fs::remove_dir_all(server.data()).unwrap();
    let line = format!(
        "annals restore-backup {} --data-dir {}",
        piece.display(),
        server.data().display()
    );
    server.shell().ok(&line).await;
    server.start_again().await;
    let shell = server.shell();
    assert_eq!(names(&shell, "").await, ["one"]);
    let found = until("the restored object is found", async || {
        let run = shell.run("annals search one").await;
        (run.code == 0 && run.out.contains("one")).then_some(run.out)
    });
    found.await;
    write(&server, "two").await;
    assert_eq!(names(&shell, "").await, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_goes_on_after_kills_and_damage() {
    let mut server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("pieces");
    let line = format!("annals backup --to {} --follow", place.display());
    let reaches = async |version: u64| {
        until("the pieces reach the version", async || {
            let found = Pieces::open(&pieces(&place)).ok()?;
            let newest = found.newest()?.head.version.get();
            (newest >= version).then_some(())
        })
        .await;
    };
    write(&server, "one").await;
    let shell = server.shell();
    let follower = shell.follow(&line);
    reaches(2).await;
    write(&server, "two").await;
    reaches(3).await;
    drop(follower);
    // What a kill leaves behind, and a disk: half of a piece, and one that was cut.
    let half = place.join(".next.annals.partial");
    fs::write(&half, "half").unwrap();
    let newest = pieces(&place).pop().unwrap();
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() - 1]).unwrap();
    write(&server, "three").await;
    // The follower's process may still be going away.
    let follower = until("the folder is free", async || {
        let add = format!("annals backup --to {}", place.display());
        let run = shell.run(&add).await;
        (run.code == 0).then(|| shell.follow(&line))
    })
    .await;
    reaches(4).await;
    assert!(!half.exists());
    let aside = newest.with_extension("annals.damaged");
    assert!(aside.exists(), "{}", aside.display());
    // A server that is away is waited for; its port is another one then, so a new follower.
    server.kill().await;
    server.start_again().await;
    drop(follower);
    write(&server, "four").await;
    let add = format!("annals backup --to {}", place.display());
    let shell = server.shell();
    until("the folder is free", async || {
        (shell.run(&add).await.code == 0).then_some(())
    })
    .await;
    reaches(5).await;
    let run = shell.run(&add).await;
    assert!(run.err.contains("nothing was committed"), "{run:?}");
    shell
        .ok(&format!("annals verify {}", place.display()))
        .await;
    let restored = format!("annals restore-backup {} --data-dir new", place.display());
    shell.ok(&restored).await;
    let expected = ["four", "one", "three", "two"];
    assert_eq!(names(&shell, "--data-dir new").await, expected);
    // A store of another line of history is kept out of the folder.
    let other = format!("annals backup --to {} --data-dir new", place.display());
    let refused = shell.fails(&other).await;
    assert!(refused.contains("name another folder"), "{refused}");
}

async fn asked(server: &Server, path: &str, group: Option<&str>) -> Answer {
    let mut request = get(path);
    if let Some(group) = group {
        request = request
            .header("impersonate-user", "ann")
            .header("impersonate-group", group);
    }
    let request = request.body(Body::empty()).unwrap();
    let (response, _connection) = open(server.address(), &server.keys(), true, request).await;
    Answer::read(response).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_served_is_refused_with_its_field() {
    let server = Server::start().await;
    for (query, code, word) in [
        ("?since=99", 400, "since: version 99 is ahead"),
        ("?since=x", 400, "since: "),
        ("?since=1&since=1", 400, "since: expected at most once"),
        ("?to=1", 400, "to: unknown parameter"),
    ] {
        let answer = asked(&server, &format!("{PATH}{query}"), None).await;
        assert_eq!(answer.status, code, "{}", answer.body);
        let status: Value = serde_json::from_str(&answer.body).unwrap();
        let message = status["message"].as_str().unwrap();
        assert!(message.starts_with(word), "{message}");
    }
    let answer = asked(&server, PATH, Some("crew")).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(answer.body.contains(PATH), "{}", answer.body);
    let path = annals_server::client::Path::new(PATH);
    let refused = server.client().post(&path, None).await.unwrap_err();
    assert_eq!(refused.code(), Some(405));
}
