//! Catches a history or a trash that kubectl cannot read, and a wait that does not end.

use super::{playlist, shell};
use crate::server::Server;

const HISTORY: &str = "kubectl get playlists -l grafana.app/get-history=true \
                       --field-selector metadata.name=one";
const TRASH: &str = "kubectl get playlists -l grafana.app/get-trash=true";

#[tokio::test]
async fn history_and_trash_by_label() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    shell.ok("kubectl create -f one.yaml -f two.yaml").await;
    for interval in ["6m", "7m"] {
        shell.file("one.yaml", &playlist("one", "One", interval));
        shell
            .ok("kubectl replace --save-config=false -f one.yaml")
            .await;
    }
    let intervals = "-o jsonpath='{.items[*].spec.interval}'";
    for pages in ["", "--chunk-size=1"] {
        let found = shell.ok(&format!("{HISTORY} {pages} {intervals}")).await;
        assert_eq!(found, "7m 6m 5m", "{pages}");
    }
    let table = shell.ok(&format!("{HISTORY} --no-headers")).await;
    assert_eq!(table.lines().count(), 3, "{table}");

    assert_eq!(shell.ok(&format!("{TRASH} -o name")).await, "");
    shell.ok("kubectl delete playlist one two").await;
    assert_eq!(shell.ok(&format!("{HISTORY} -o name")).await, "");
    let names = shell.ok(&format!("{TRASH} --chunk-size=1 -o name")).await;
    let kind = "playlist.playlist.grafana.app";
    assert_eq!(names, format!("{kind}/two\n{kind}/one\n"));
    let marks = "-o jsonpath='{.items[1].metadata.generation} {.items[1].spec.interval}'";
    assert_eq!(shell.ok(&format!("{TRASH} {marks}")).await, "-999 7m");

    // What is created again is no longer in the trash, and its history begins anew.
    shell.file("one.yaml", &playlist("one", "One", "8m"));
    shell.ok("kubectl create -f one.yaml").await;
    let names = shell.ok(&format!("{TRASH} -o name")).await;
    assert_eq!(names, format!("{kind}/two\n"));
    assert_eq!(shell.ok(&format!("{HISTORY} {intervals}")).await, "8m");
}

#[tokio::test]
async fn wait_ends_when_it_is_so() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    let late = "kubectl wait playlist/one --for=jsonpath='{.spec.interval}'=6m --timeout=30s";
    let made = "kubectl wait playlist/one --for=create --timeout=30s";
    let gone = "kubectl wait playlist/one --for=delete --timeout=30s";
    let (made, _) = tokio::join!(shell.run(made), shell.ok("kubectl create -f one.yaml"));
    assert_eq!(made.code, 0, "{made:?}");
    let change = r#"kubectl patch playlist one --type merge -p '{"spec":{"interval":"6m"}}'"#;
    let (seen, _) = tokio::join!(shell.run(late), shell.ok(change));
    assert_eq!(seen.code, 0, "{seen:?}");
    assert!(seen.out.contains("condition met"), "{seen:?}");
    let (gone, _) = tokio::join!(shell.run(gone), shell.ok("kubectl delete playlist one"));
    assert_eq!(gone.code, 0, "{gone:?}");
    let never = "kubectl wait playlist/two --for=jsonpath='{.spec.interval}'=9m --timeout=1s";
    shell.ok("kubectl create -f two.yaml").await;
    assert!(shell.fails(never).await.contains("timed out"));
}
