//! Catches a create that stores something else than the file says, or lets a mistake through.

use jiff::Timestamp;

use super::{playlist, shell};
use crate::server::Server;

const GENERATED: &str = r#"
apiVersion: playlist.grafana.app/v0alpha1
kind: Playlist
metadata:
  generateName: x-
  labels:
    foo: bar
  annotations:
    xyz: value
spec:
  title: Playlist with auto generated UID
  interval: 5m
  items:
  - type: dashboard_by_tag
    value: panel-tests
"#;

#[tokio::test]
async fn the_first_tour() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    let empty = shell.run("kubectl get playlists").await;
    assert_eq!(
        (empty.code, empty.out.as_str(), empty.err.as_str()),
        (0, "", "No resources found in default namespace.\n")
    );

    shell.file("generated.yaml", GENERATED);
    let created = shell.ok("kubectl create -f generated.yaml").await;
    let name = created
        .strip_prefix("playlist.playlist.grafana.app/")
        .and_then(|rest| rest.strip_suffix(" created\n"))
        .expect(&created);
    let suffix = name.strip_prefix("x-").expect(name);
    assert!(suffix.len() == 5 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric()));

    let table = shell.ok("kubectl get playlists").await;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    let heads: Vec<&str> = lines[0].split("   ").map(str::trim).collect();
    let heads: Vec<&str> = heads.into_iter().filter(|head| !head.is_empty()).collect();
    assert_eq!(heads, ["NAME", "TITLE", "INTERVAL", "CREATED AT"]);
    let row = lines[1];
    assert!(row.starts_with(name) && row.contains("Playlist with auto generated UID   5m"));
    let made: Timestamp = row.split_whitespace().last().unwrap().parse().unwrap();

    let yaml = shell
        .ok(&format!("kubectl get playlist {name} -o yaml"))
        .await;
    for line in [
        "apiVersion: playlist.grafana.app/v0alpha1",
        "kind: Playlist",
        "    xyz: value",
        "  generateName: x-",
        "  generation: 1",
        "    foo: bar",
        &format!("  name: {name}"),
        "  namespace: default",
        &format!("  creationTimestamp: \"{made}\""),
        "    value: panel-tests",
    ] {
        assert!(yaml.lines().any(|other| other == line), "{line}: {yaml}");
    }

    shell.ok("kubectl create -f generated.yaml").await;
    let names = shell.ok("kubectl get playlists -o name").await;
    assert_eq!(names.lines().count(), 2, "{names}");
    assert!(names.contains(&format!("playlist.playlist.grafana.app/{name}\n")));
}

#[tokio::test]
async fn mistakes_are_told_and_not_stored() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    shell.ok("kubectl create -f one.yaml").await;
    let again = shell.fails("kubectl create -f one.yaml").await;
    assert!(
        again.contains("Error from server (AlreadyExists)")
            && again.contains("playlists.playlist.grafana.app \"one\" already exists"),
        "{again}"
    );

    let untitled = playlist("bad", "T", "5m").replace("  title: T\n", "");
    shell.file("untitled.yaml", &untitled);
    for line in [
        "kubectl create -f untitled.yaml",
        "kubectl create -f untitled.yaml --validate=false",
        "kubectl apply -f untitled.yaml",
        "kubectl create -f untitled.yaml --dry-run=server",
    ] {
        let refused = shell.fails(line).await;
        let expected = "The Playlist \"bad\" is invalid: spec.title: Required value\n";
        assert_eq!(refused, expected, "{line}");
    }
    let wrong = playlist("Bad Name", "T", "5m");
    shell.file("named.yaml", &wrong);
    let refused = shell.fails("kubectl create -f named.yaml").await;
    assert!(refused.contains("is invalid: metadata.name"), "{refused}");
    shell.file("typed.yaml", &playlist("bad", "T", "[5]"));
    let refused = shell.fails("kubectl create -f typed.yaml").await;
    assert!(
        refused.contains("spec.interval: Invalid value"),
        "{refused}"
    );

    let coloured = playlist("red", "Red", "5m") + "  color: red\n";
    shell.file("coloured.yaml", &coloured);
    let refused = shell.fails("kubectl create -f coloured.yaml").await;
    assert!(
        refused.contains("strict decoding error: unknown field \"spec.color\""),
        "{refused}"
    );
    assert_eq!(
        shell.ok("kubectl get playlists -o name").await,
        "playlist.playlist.grafana.app/one\n"
    );
    let warned = shell
        .run("kubectl create -f coloured.yaml --validate=warn")
        .await;
    assert_eq!(warned.err, "Warning: unknown field \"spec.color\"\n");
    let red = shell.ok("kubectl get playlist red -o yaml").await;
    assert!(
        red.contains("title: Red") && !red.contains("color"),
        "{red}"
    );
}

#[tokio::test]
async fn a_namespace_must_be_there() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    let missing = shell.fails("kubectl create -f one.yaml -n team").await;
    assert!(
        missing.contains("(NotFound)") && missing.contains("namespaces \"team\" not found"),
        "{missing}"
    );
    // kubectl sends namespaces as protobuf.
    assert_eq!(
        shell.ok("kubectl create ns team").await,
        "namespace/team created\n"
    );
    let again = shell.fails("kubectl create namespace team").await;
    assert!(
        again.contains("namespaces \"team\" already exists"),
        "{again}"
    );
    let table = shell.ok("kubectl get namespaces").await;
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().take(2).collect())
        .collect();
    assert_eq!(
        rows,
        [
            ["NAME", "STATUS"],
            ["default", "Active"],
            ["team", "Active"]
        ]
    );
    shell.ok("kubectl create -f one.yaml -n team").await;
    assert_eq!(
        shell.run("kubectl get playlists").await.err,
        "No resources found in default namespace.\n"
    );
    let all = shell.ok("kubectl get playlists -A").await;
    let row: Vec<&str> = all.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..4], ["team", "one", "One", "5m"]);
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    shell.ok("kubectl create -f one.yaml").await;
    let before = shell.ok("kubectl get playlists -o json").await;
    for (line, told) in [
        (
            "kubectl create -f two.yaml --dry-run=server",
            "playlist.playlist.grafana.app/two created (server dry run)\n",
        ),
        (
            "kubectl apply -f two.yaml --dry-run=server",
            "playlist.playlist.grafana.app/two created (server dry run)\n",
        ),
        (
            r#"kubectl patch playlist one --type merge -p '{"spec":{"interval":"9m"}}' \
               --dry-run=server -o jsonpath='{.spec.interval}'"#,
            "9m",
        ),
        (
            "kubectl delete playlist one --dry-run=server -o name",
            "playlist.playlist.grafana.app/one\n",
        ),
        (
            "kubectl create ns team --dry-run=server -o name",
            "namespace/team\n",
        ),
    ] {
        assert_eq!(shell.ok(line).await, told, "{line}");
    }
    assert_eq!(shell.ok("kubectl get playlists -o json").await, before);
    assert_eq!(
        shell.ok("kubectl get ns -o name").await,
        "namespace/default\n"
    );
}
