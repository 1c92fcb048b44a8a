//! Catches a command that exports something else than was asked for, or that cannot be read back
//! by the other one, through a server and a directory alike.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::server::Server;
use crate::watch::{create, delete, patch};

fn annals(kubeconfig: Option<&Path>, line: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_annals"));
    command.args(line);
    if let Some(kubeconfig) = kubeconfig {
        command.env("KUBECONFIG", kubeconfig);
    }
    command.output().unwrap()
}

fn done(output: Output) -> String {
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{err}");
    String::from_utf8(output.stdout).unwrap()
}

/// The objects of an export, without its first and last line.
fn objects(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let all: Vec<Value> = lines.collect();
    assert_eq!(all[0]["kind"], "Export");
    assert_eq!(all[all.len() - 1]["kind"], "End");
    all[1..all.len() - 1].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_and_its_directory_export_the_same() {
    let mut server = Server::start().await;
    create(&server, "a", "A", "x").await;
    create(&server, "b", "B", "x").await;
    patch(&server, "a", json!({"spec": {"title": "A2"}})).await;
    delete(&server, "b").await;
    let kubeconfig = server.kubeconfig();
    let served = done(annals(Some(&kubeconfig), &["export"]));
    let home = tempfile::tempdir().unwrap();
    let yaml = home.path().join("all.yaml");
    let to_file = [
        "export",
        "playlists",
        "-n",
        "default",
        "-f",
        yaml.to_str().unwrap(),
    ];
    assert_eq!(done(annals(Some(&kubeconfig), &to_file)), "");
    let again = ["import", "file", yaml.to_str().unwrap()];
    let told = done(annals(Some(&kubeconfig), &again));
    assert_eq!(told, "0 created, 0 updated, 0 deleted, 1 unchanged\n");
    assert!(server.stop().await.success());

    let data = server.data();
    let data = data.to_str().unwrap();
    let local = done(annals(None, &["export", "--data-dir", data]));
    assert_eq!(objects(&served), objects(&local));
    let version = |text: &str| serde_json::from_str::<Value>(text.lines().next().unwrap()).unwrap();
    assert_eq!(version(&served)["version"], version(&local)["version"]);
    let names: Vec<_> = objects(&local)
        .iter()
        .map(|o| o["metadata"]["name"].clone())
        .collect();
    assert_eq!(names, ["default", "a"]);
    round(home.path(), data);
}

/// History into a fresh directory, by each format, and out again.
fn round(home: &Path, data: &str) {
    for format in ["ndjson", "yaml", "parquet"] {
        let file = home.join(format!("history.{format}"));
        let file = file.to_str().unwrap();
        let fresh = home.join(format);
        let fresh = fresh.to_str().unwrap();
        done(annals(
            None,
            &["export", "--history", "--data-dir", data, "-f", file],
        ));
        let told = done(annals(None, &["import", "file", file, "--data-dir", fresh]));
        assert_eq!(
            told, "3 created, 1 updated, 1 deleted, 0 unchanged\n",
            "{format}"
        );
        let told = done(annals(None, &["import", "file", file, "--data-dir", fresh]));
        assert_eq!(
            told, "0 created, 0 updated, 0 deleted, 5 unchanged\n",
            "{format}"
        );
        let (one, other) = (
            done(annals(None, &["export", "--data-dir", data])),
            done(annals(None, &["export", "--data-dir", fresh])),
        );
        assert_eq!(objects(&one), objects(&other), "{format}");
        let checked = done(annals(None, &["check", "--data-dir", fresh]));
        assert!(
            checked.contains("5 revisions, 2 live objects, 1 deleted ones: sound"),
            "{checked}"
        );
    }
}

#[test]
fn a_failed_export_leaves_no_file() {
    let home = tempfile::tempdir().unwrap();
    let (dir, file) = (home.path().join("none"), home.path().join("x.ndjson"));
    let line = [
        "export",
        "--data-dir",
        dir.to_str().unwrap(),
        "-f",
        file.to_str().unwrap(),
    ];
    assert_eq!(annals(None, &line).status.code(), Some(3));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    for line in [["export", "-o", "xml"], ["import", "file", "x"]] {
        let code = annals(Some(&home.path().join("no.kubeconfig")), &line)
            .status
            .code();
        assert!(matches!(code, Some(1 | 2)), "{line:?}: {code:?}");
    }
}
