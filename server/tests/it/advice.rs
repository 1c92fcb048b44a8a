//! Catches an error that leaves a person alone: each says what is wrong, why, and what to do, and
//! ends with its own exit code.

use super::server::{Server, Shell};

/// Runs a line that fails so, and tells all of this.
async fn check(shell: &Shell, line: &str, code: i32, parts: &[&str]) {
    let run = shell.run(line).await;
    assert_eq!(run.code, code, "$ {line}\n{run:#?}");
    assert_eq!(run.err.lines().count(), 1, "$ {line}\n{}", run.err);
    for part in parts {
        assert!(run.err.contains(part), "$ {line}\n{part}: {}", run.err);
    }
}

#[tokio::test]
async fn who_is_not_reached_and_what_to_do() {
    let (mut server, other) = (Server::start().await, Server::start().await);
    let shell = server.shell();
    let mine = std::fs::read_to_string(server.kubeconfig()).unwrap();
    let address = server.address().to_string();

    // The right kubeconfig for the wrong server.
    let theirs = mine.replace(&address, &other.address().to_string());
    shell.file("theirs", &theirs);
    let line = "annals get playlists --kubeconfig theirs";
    check(
        &shell,
        line,
        5,
        &[
            "invalid peer certificate",
            "admin.kubeconfig in its data directory",
        ],
    )
    .await;
    let named = |line: &str| {
        let (indent, url) = line.split_once("server: ")?;
        Some(format!(
            "{indent}tls-server-name: other.test\n{indent}server: {url}\n"
        ))
    };
    let lines = mine.lines();
    let lines: String = lines
        .map(|line| named(line).unwrap_or_else(|| format!("{line}\n")))
        .collect();
    shell.file("name", &lines);
    let line = "annals get playlists --kubeconfig name";
    check(&shell, line, 5, &["other.test", "--tls-san NAME"]).await;
    shell.file("token", &mine.replace("token: ", "token: x"));
    let line = "annals get playlists --kubeconfig token";
    check(
        &shell,
        line,
        6,
        &["credentials", "take the kubeconfig of its data directory"],
    )
    .await;

    let line = "annals get playlists --kubeconfig nowhere";
    check(
        &shell,
        line,
        2,
        &["nowhere: No such file", "a server writes one"],
    )
    .await;
    let line = "env -u KUBECONFIG annals get playlists";
    check(
        &shell,
        line,
        2,
        &["looked for annals-data/admin.kubeconfig", "`annals serve`"],
    )
    .await;

    assert!(server.stop().await.success());
    let parts = [
        address.as_str(),
        "refused",
        "nobody listens there",
        "`annals serve`",
    ];
    check(&shell, "annals get playlists", 5, &parts).await;
}

#[tokio::test]
async fn what_is_taken_and_what_to_do() {
    let server = Server::start().await;
    let shell = server.shell();
    let (address, data) = (server.address(), server.data().display().to_string());
    let line = format!("annals serve --listen {address} --data-dir other");
    check(
        &shell,
        &line,
        1,
        &["is taken by another process", "--listen"],
    )
    .await;
    let line = format!("annals serve --listen 127.0.0.1:0 --data-dir {data}");
    check(
        &shell,
        &line,
        1,
        &["in use by process", "another directory"],
    )
    .await;
    let line = format!("annals get playlists --data-dir {data}");
    check(
        &shell,
        &line,
        1,
        &["in use by process", "leave --data-dir out"],
    )
    .await;
    let line = "annals get playlists --data-dir nowhere";
    check(
        &shell,
        line,
        3,
        &["nowhere: no data directory", "`annals serve --data-dir`"],
    )
    .await;
    // A device that is always full.
    if std::path::Path::new("/dev/full").exists() {
        let line = "annals get namespaces > /dev/full";
        check(&shell, line, 1, &["No space left", "free some space"]).await;
    }
}
