//! Catches a get that shows other objects, other columns or another order than was asked for.

use serde_json::Value;

use super::{playlist, shell};
use crate::server::{Server, Shell};

/// The first column of a table, without its head.
fn names(table: &str) -> Vec<&str> {
    let rows = table.lines().skip(1);
    rows.filter_map(|row| row.split_whitespace().next())
        .collect()
}

/// Twenty-five playlists: `n00` to `n24`, titles in the opposite order, every third is `odd`.
async fn many(shell: &Shell) {
    let each = (0..25).map(|i| {
        let text = playlist(&format!("n{i:02}"), &format!("T{:02}", 24 - i), "5m");
        let labels = if i % 3 == 0 {
            "team: b\n    odd: x"
        } else {
            "team: a"
        };
        text.replace("team: a", labels)
    });
    let each: Vec<String> = each.collect();
    shell.file("many.yaml", &each.join("---\n"));
    let created = shell.ok("kubectl create -f many.yaml").await;
    assert_eq!(created.lines().count(), 25);
}

#[tokio::test]
async fn lists_are_selected_paged_and_sorted() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    many(&shell).await;
    let all: Vec<String> = (0..25).map(|i| format!("n{i:02}")).collect();

    let pages = shell.run("kubectl get playlists --chunk-size=7 -v=6").await;
    assert_eq!(names(&pages.out), all);
    let asked = pages.err.matches("limit=7").count();
    let followed = pages.err.matches("continue=").count();
    assert_eq!((asked, followed), (4, 3), "{}", pages.err);

    let sorted = shell
        .ok("kubectl get playlists --sort-by=.spec.title")
        .await;
    let backwards: Vec<&String> = all.iter().rev().collect();
    assert_eq!(names(&sorted), backwards);

    for (line, expected) in [
        ("-l odd", 9),
        ("-l '!odd'", 16),
        ("-l 'team in (a, b)'", 25),
        ("-l 'team in (a,c),!odd'", 16),
        ("-l 'team notin (a)'", 9),
        ("-l team=b,odd=x", 9),
        ("-l team!=b", 16),
        ("-l team=c", 0),
        ("--field-selector metadata.name=n07", 1),
        ("--field-selector metadata.name!=n07", 24),
        ("--field-selector metadata.namespace=default -l odd", 9),
    ] {
        let table = shell.ok(&format!("kubectl get playlists {line}")).await;
        assert_eq!(names(&table).len(), expected, "{line}: {table}");
    }
    let unknown = shell
        .fails("kubectl get playlists --field-selector spec.color=red")
        .await;
    assert!(
        unknown.contains("field label not supported: spec.color"),
        "{unknown}"
    );
}

#[tokio::test]
async fn every_form_of_output() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    shell.ok("kubectl create -f one.yaml -f two.yaml").await;
    let json = shell.ok("kubectl get playlists -o json").await;
    let list: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    assert_eq!(
        (
            &list["items"][1]["kind"],
            &list["items"][1]["spec"]["title"]
        ),
        (&"Playlist".into(), &"Two".into())
    );
    for (line, expected) in [
        (
            "kubectl get pl -o name",
            "playlist.playlist.grafana.app/one\nplaylist.playlist.grafana.app/two\n",
        ),
        (
            "kubectl get playlist/two playlist/one -o name",
            "playlist.playlist.grafana.app/two\nplaylist.playlist.grafana.app/one\n",
        ),
        (
            "kubectl get playlist one -o jsonpath='{.spec.interval} {.metadata.labels.team}'",
            "5m a",
        ),
        (
            "kubectl get playlists -o custom-columns=A:.metadata.name,B:.spec.interval",
            "A     B\none   5m\ntwo   10m\n",
        ),
        (
            "kubectl get playlists.v0alpha1.playlist.grafana.app one -o jsonpath={.kind}",
            "Playlist",
        ),
    ] {
        assert_eq!(shell.ok(line).await, expected, "{line}");
    }
    let wide = shell.ok("kubectl get pl one -o wide --show-labels").await;
    assert!(wide.lines().next().unwrap().ends_with("LABELS"), "{wide}");
    assert!(wide.trim_end().ends_with("team=a"), "{wide}");
    let all = shell.ok("kubectl get all").await;
    assert_eq!(
        names(&all),
        [
            "playlist.playlist.grafana.app/one",
            "playlist.playlist.grafana.app/two"
        ]
    );
    let described = shell.ok("kubectl describe playlist one").await;
    assert!(
        described.contains("Interval:  5m") && described.contains("Events:      <none>"),
        "{described}"
    );

    let missing = shell.fails("kubectl get playlist none").await;
    assert_eq!(
        missing,
        "Error from server (NotFound): playlists.playlist.grafana.app \"none\" not found\n"
    );
    let missing = shell.fails("kubectl get nonsense").await;
    assert_eq!(
        missing,
        "error: the server doesn't have a resource type \"nonsense\"\n"
    );
}
