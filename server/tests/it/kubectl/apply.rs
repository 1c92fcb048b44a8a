//! Catches an apply or diff that writes when nothing changed, or forgets what changed.

use super::{playlist, shell, version};
use crate::server::Server;

#[tokio::test]
async fn apply_creates_keeps_and_configures() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    let one = "playlist.playlist.grafana.app/one";
    assert_eq!(
        shell.ok("kubectl apply -f one.yaml").await,
        format!("{one} created\n")
    );
    let first = version(&shell, "one").await;
    assert_eq!(
        shell.ok("kubectl apply -f one.yaml").await,
        format!("{one} unchanged\n")
    );
    assert_eq!(version(&shell, "one").await, first);

    // What others wrote stays, what the file no longer says goes.
    shell.ok("kubectl label playlist one theirs=x").await;
    let changed = playlist("one", "One", "6m").replace("team: a", "squad: a");
    shell.file("one.yaml", &changed);
    assert_eq!(
        shell.ok("kubectl apply -f one.yaml").await,
        format!("{one} configured\n")
    );
    let now = shell
        .ok("kubectl get playlist one -o jsonpath='{.spec.interval} {.metadata.labels} {.metadata.generation}'")
        .await;
    assert_eq!(now, r#"6m {"squad":"a","theirs":"x"} 2"#);

    let refused = shell.fails("kubectl apply --server-side -f one.yaml").await;
    assert!(
        refused.starts_with("error: Server-side apply not available on the server"),
        "{refused}"
    );
}

#[tokio::test]
async fn diff_shows_and_does_not_write() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    let missing = shell.run("kubectl diff -f one.yaml").await;
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(missing.out.contains("+  title: One"), "{}", missing.out);
    assert_eq!(shell.ok("kubectl get playlists -o name").await, "");

    shell.ok("kubectl apply -f one.yaml").await;
    let first = version(&shell, "one").await;
    let same = shell.run("kubectl diff -f one.yaml").await;
    assert_eq!((same.code, same.out.as_str()), (0, ""), "{same:?}");
    shell.file("one.yaml", &playlist("one", "One", "6m"));
    let changed = shell.run("kubectl diff -f one.yaml").await;
    assert_eq!(changed.code, 1, "{changed:?}");
    let lines: Vec<&str> = changed
        .out
        .lines()
        .filter(|line| {
            line.starts_with(['+', '-']) && !line.starts_with("+++") && !line.starts_with("---")
        })
        .collect();
    assert_eq!(
        lines,
        [
            "-  generation: 1",
            "+  generation: 2",
            "-  interval: 5m",
            "+  interval: 6m"
        ],
        "{}",
        changed.out
    );
    assert_eq!(version(&shell, "one").await, first);
}
