//! Catches an object that is gone too early, too late, or not at all.

use super::shell;
use crate::server::Server;

const NONE: &str = "No resources found in default namespace.\n";

#[tokio::test]
async fn by_name_label_file_and_all() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    shell.ok("kubectl create -f one.yaml -f two.yaml").await;
    let deleted = shell.ok("kubectl delete playlist one").await;
    // Newer ones go on: from which namespace.
    let told = "playlist.playlist.grafana.app \"one\" deleted";
    assert!(deleted.starts_with(told), "{deleted}");
    let gone = shell.fails("kubectl delete playlist one").await;
    assert!(gone.contains("(NotFound)") && gone.contains("\"one\" not found"));
    assert_eq!(
        shell
            .ok("kubectl delete playlist one --ignore-not-found")
            .await,
        ""
    );
    shell.ok("kubectl create -f one.yaml").await;
    shell
        .ok("kubectl label playlist two team=b --overwrite")
        .await;
    let selected = shell.ok("kubectl delete playlists -l team=b").await;
    assert!(selected.contains("\"two\" deleted") && !selected.contains("\"one\""));
    shell.ok("kubectl create -f two.yaml").await;
    let all = shell.ok("kubectl delete playlists --all").await;
    assert_eq!(all.lines().count(), 2, "{all}");
    assert_eq!(shell.run("kubectl get playlists").await.err, NONE);
    shell.ok("kubectl create -f one.yaml").await;
    shell
        .ok("kubectl delete -f one.yaml --cascade=foreground --now")
        .await;
    assert_eq!(shell.run("kubectl get playlists").await.err, NONE);
}

#[tokio::test]
async fn a_finalizer_holds_until_it_is_taken_away() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    shell.ok("kubectl create -f one.yaml").await;
    shell
        .ok(r#"kubectl patch playlist one --type merge -p '{"metadata":{"finalizers":["test.annals.dev/a","test.annals.dev/b"]}}'"#)
        .await;
    shell.ok("kubectl delete playlist one --wait=false").await;
    let when = "kubectl get playlist one -o jsonpath='{.metadata.deletionTimestamp}'";
    let first = shell.ok(when).await;
    assert!(first.parse::<jiff::Timestamp>().is_ok(), "{first}");
    // A second delete changes nothing, and none of this lets the object go.
    let held = super::version(&shell, "one").await;
    shell.ok("kubectl delete playlist one --wait=false").await;
    assert_eq!(super::version(&shell, "one").await, held);
    let added = shell
        .fails(r#"kubectl patch playlist one --type json -p '[{"op":"add","path":"/metadata/finalizers/-","value":"test.annals.dev/c"}]'"#)
        .await;
    assert!(added.contains("no new finalizers can be added"), "{added}");
    shell
        .ok(r#"kubectl patch playlist one --type merge -p '{"metadata":{"finalizers":["test.annals.dev/b"],"deletionTimestamp":null}}'"#)
        .await;
    assert_eq!(shell.ok(when).await, first);

    let (waited, patched) = tokio::join!(
        shell.run("kubectl wait --for=delete playlist/one --timeout=30s"),
        shell.run(
            r#"kubectl patch playlist one --type merge -p '{"metadata":{"finalizers":null}}'"#
        )
    );
    assert_eq!(
        (waited.code, patched.code),
        (0, 0),
        "{waited:?} {patched:?}"
    );
    let gone = shell.fails("kubectl get playlist one").await;
    assert!(gone.contains("not found"), "{gone}");
}

#[tokio::test]
async fn delete_waits_for_the_finalizer() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    shell.ok("kubectl create -f one.yaml").await;
    shell
        .ok(r#"kubectl patch playlist one --type merge -p '{"metadata":{"finalizers":["test.annals.dev/a"]}}'"#)
        .await;
    let deleted = shell.run("kubectl delete playlist one");
    let freed = async {
        let when = "kubectl wait --for=jsonpath='{.metadata.deletionTimestamp}' playlist/one";
        shell.ok(when).await;
        let free = r#"kubectl patch playlist one --type merge -p '{"metadata":{"finalizers":[]}}'"#;
        shell.ok(free).await
    };
    let (deleted, _) = tokio::join!(deleted, freed);
    assert_eq!(deleted.code, 0, "{deleted:?}");
    assert_eq!(shell.run("kubectl get playlists").await.err, NONE);
}

#[tokio::test]
async fn a_namespace_takes_its_contents_with_it() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    shell.ok("kubectl create ns team").await;
    shell
        .ok("kubectl create -f one.yaml -f two.yaml -n team")
        .await;
    shell.ok("kubectl create -f one.yaml").await;
    shell
        .ok(r#"kubectl patch playlist two -n team --type merge -p '{"metadata":{"finalizers":["test.annals.dev/a"]}}'"#)
        .await;
    shell.ok("kubectl delete ns team --wait=false").await;
    // What is held holds the namespace; nothing new comes in.
    let left = shell.ok("kubectl get playlists -n team -o name").await;
    assert_eq!(left, "playlist.playlist.grafana.app/two\n");
    let phase = "kubectl get ns team -o jsonpath='{.status.phase}'";
    assert_eq!(shell.ok(phase).await, "Terminating");
    // A label is no reason to let the namespace go before what it holds, nor can a client revive it.
    shell.ok("kubectl label ns team seen=yes").await;
    shell
        .ok(r#"kubectl patch ns team --type merge -p '{"status":{"phase":"Active"}}'"#)
        .await;
    assert_eq!(shell.ok(phase).await, "Terminating");
    let left = shell.ok("kubectl get playlists -n team -o name").await;
    assert_eq!(left, "playlist.playlist.grafana.app/two\n");
    let refused = shell.fails("kubectl create -f one.yaml -n team").await;
    assert!(
        refused.contains("(Forbidden)") && refused.contains("is being terminated"),
        "{refused}"
    );
    shell
        .ok(r#"kubectl patch playlist two -n team --type merge -p '{"metadata":{"finalizers":null}}'"#)
        .await;
    shell
        .ok("kubectl wait --for=delete ns/team --timeout=30s")
        .await;
    let rest = shell.ok("kubectl get playlists -A --no-headers").await;
    assert!(
        rest.starts_with("default") && rest.lines().count() == 1,
        "{rest}"
    );
    let refused = shell.fails("kubectl delete ns default").await;
    assert!(
        refused.contains("namespaces \"default\" is forbidden: this namespace may not be deleted"),
        "{refused}"
    );
}
