//! Catches a patch, edit or replace that changes something else, or overwrites another's change.

use super::{playlist, shell, version};
use crate::server::Server;

const ONE: &str = "playlist.playlist.grafana.app/one";

#[tokio::test]
async fn patches_of_each_kind() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    shell.ok("kubectl create -f one.yaml").await;
    let merge = r#"kubectl patch playlist one --type merge -p '{"spec":{"interval":"7m"}}'"#;
    assert_eq!(shell.ok(merge).await, format!("{ONE} patched\n"));
    let first = version(&shell, "one").await;
    assert_eq!(
        shell.ok(merge).await,
        format!("{ONE} patched (no change)\n")
    );
    assert_eq!(version(&shell, "one").await, first);

    let json = r#"kubectl patch playlist one --type json -p \
        '[{"op":"test","path":"/spec/interval","value":"7m"},
          {"op":"replace","path":"/spec/title","value":"Uno"},
          {"op":"remove","path":"/metadata/labels/team"}]'"#;
    assert_eq!(shell.ok(json).await, format!("{ONE} patched\n"));
    let yaml = shell.ok("kubectl get playlist one -o yaml").await;
    assert!(
        yaml.contains("title: Uno") && !yaml.contains("team"),
        "{yaml}"
    );

    let failed = r#"kubectl patch playlist one --type json -p \
        '[{"op":"test","path":"/spec/title","value":"else"},
          {"op":"replace","path":"/spec/title","value":"Due"}]'"#;
    let refused = shell.fails(failed).await;
    assert!(
        refused.contains("value did not match at path \"/spec/title\""),
        "{refused}"
    );
    let untitled = r#"kubectl patch playlist one --type merge -p '{"spec":{"title":null}}'"#;
    let refused = shell.fails(untitled).await;
    assert!(refused.contains("spec.title: Required value"), "{refused}");
    let strategic = r#"kubectl patch playlist one -p '{"spec":{"interval":"8m"}}'"#;
    let refused = shell.fails(strategic).await;
    assert!(
        refused.contains("application/strategic-merge-patch+json is not supported"),
        "{refused}"
    );
    assert_eq!(shell.ok("kubectl get playlist one -o yaml").await, yaml);
}

#[tokio::test]
async fn edit_and_replace() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    shell.ok("kubectl create -f one.yaml").await;
    let edit = |script: &str| format!("EDITOR='sed -i.old {script}' kubectl edit playlist one");
    assert_eq!(
        shell.ok(&edit("s/One/Uno/")).await,
        format!("{ONE} edited\n")
    );
    let idle = shell.run(&edit("s/nothing/more/")).await;
    assert_eq!(
        (idle.code, idle.err.trim()),
        (0, "Edit cancelled, no changes made.")
    );
    let title = "kubectl get playlist one -o jsonpath='{.spec.title}'";
    assert_eq!(shell.ok(title).await, "Uno");

    shell
        .ok("kubectl get playlist one -o yaml > live.yaml")
        .await;
    shell.ok("sed s/Uno/Due/ live.yaml > mine.yaml").await;
    assert_eq!(
        shell.ok("kubectl replace -f mine.yaml").await,
        format!("{ONE} replaced\n")
    );
    assert_eq!(shell.ok(title).await, "Due");
    // The file still says the version it was made from.
    shell.ok("sed s/Uno/Tre/ live.yaml > stale.yaml").await;
    let stale = shell.fails("kubectl replace -f stale.yaml").await;
    assert!(
        stale.contains("(Conflict)") && stale.contains("the object has been modified"),
        "{stale}"
    );
    assert_eq!(shell.ok(title).await, "Due");

    let uid = "kubectl get playlist one -o jsonpath='{.metadata.uid}'";
    let first = shell.ok(uid).await;
    shell.file("one.yaml", &playlist("one", "Quattro", "5m"));
    let forced = shell.ok("kubectl replace --force -f one.yaml").await;
    assert!(
        forced.contains("deleted") && forced.ends_with(&format!("{ONE} replaced\n")),
        "{forced}"
    );
    assert_eq!(shell.ok(title).await, "Quattro");
    assert_ne!(shell.ok(uid).await, first);
    let missing = shell.fails("kubectl replace -f two.yaml").await;
    assert!(missing.contains("\"two\" not found"), "{missing}");
}

#[tokio::test]
async fn labels_and_annotations() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    shell.ok("kubectl create -f one.yaml").await;
    for (line, told) in [
        ("kubectl label playlist one x=y", "labeled"),
        ("kubectl label playlist one x=z --overwrite", "labeled"),
        ("kubectl label playlist one x=z", "not labeled"),
        ("kubectl label playlist one team-", "unlabeled"),
        (
            "kubectl annotate playlist one note='two words'",
            "annotated",
        ),
        ("kubectl label playlists --all all=yes", "labeled"),
    ] {
        assert_eq!(shell.ok(line).await, format!("{ONE} {told}\n"), "{line}");
    }
    let meta = "kubectl get playlist one -o \
        jsonpath='{.metadata.labels} {.metadata.annotations} {.metadata.generation}'";
    let expected = r#"{"all":"yes","x":"z"} {"note":"two words"} 1"#;
    assert_eq!(shell.ok(meta).await, expected);

    let now = version(&shell, "one").await;
    for verb in ["label", "annotate"] {
        let stale = format!("kubectl {verb} playlist one x=q --overwrite --resource-version=1");
        let stale = shell.fails(&stale).await;
        assert!(stale.contains("(Conflict)"), "{stale}");
    }
    let refused = shell
        .fails("kubectl label playlist one 'x=a b' --overwrite")
        .await;
    assert!(refused.contains("a b"), "{refused}");
    assert_eq!(version(&shell, "one").await, now);
    shell
        .ok(&format!(
            "kubectl annotate playlist one x=q --resource-version={now}"
        ))
        .await;
}
