//! Catches a bench that measures nothing, leaves something behind, or cannot be stopped, and one
//! whose figures do not say where they come from.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::server::Server;

fn bench(line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_annals"));
    command.arg("bench").args(line).args(["-o", "json"]);
    command.args([
        "--callers",
        "3",
        "--objects",
        "40",
        "--warm-up",
        "0",
        "--limit",
        "10",
    ]);
    command
}

fn report(output: &Output) -> Value {
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every workload did its operations, and its percentiles are in order.
fn check(report: &Value, count: u64) {
    let results = report["results"].as_array().unwrap();
    let names: Vec<_> = results
        .iter()
        .map(|one| one["workload"].as_str().unwrap())
        .collect();
    let all = [
        "create", "update", "get", "list", "watch", "search", "mixed",
    ];
    assert_eq!(names, all);
    for result in results {
        // Each of three watchers sees what the one writer wrote.
        let times = if result["workload"] == "watch" { 3 } else { 1 };
        assert_eq!(result["operations"], count * times, "{result}");
        assert_eq!(result["errors"], 0, "{result}");
        assert!(result["perSecond"].as_f64().unwrap() > 0.0, "{result}");
        let shares = ["p50", "p90", "p99", "p99.9", "max"];
        let latencies = shares.map(|share| result["latencyMicros"][share].as_f64().unwrap());
        assert!(latencies.is_sorted() && latencies[0] > 0.0, "{result}");
    }
    assert_eq!(report["parameters"]["callers"], 3);
    assert_eq!(report["parameters"]["count"], count);
    assert!(report["machine"]["cores"].as_u64().unwrap() > 0);
    assert_eq!(report["annals"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["interrupted"], false);
}

#[test]
fn a_directory_is_measured_and_removed() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("bench");
    let dir = dir.to_str().unwrap();
    let done = bench(&["--data-dir", dir, "--count", "30"])
        .output()
        .unwrap();
    let report = report(&done);
    check(&report, 30);
    assert_eq!(report["target"], "directory");
    assert!(!report["machine"]["fileSystem"].as_str().unwrap().is_empty());
    assert!(!Path::new(dir).exists());
}

#[test]
fn a_directory_that_is_kept_is_a_sound_store() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("bench");
    let dir = dir.to_str().unwrap();
    let line = [
        "create",
        "--data-dir",
        dir,
        "--count",
        "30",
        "--keep",
        "--no-index",
    ];
    let report = report(&bench(&line).output().unwrap());
    assert_eq!(report["results"].as_array().unwrap().len(), 1);
    let mut check = Command::new(env!("CARGO_BIN_EXE_annals"));
    let checked = check.args(["check", "--data-dir", dir]).output().unwrap();
    let text = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(
        text,
        "70 revisions, 70 live objects, 0 deleted ones: sound\n"
    );
    // It is not empty now, and nobody's to remove.
    let again = bench(&["create", "--data-dir", dir]).output().unwrap();
    assert_eq!(again.status.code(), Some(2));
    assert!(Path::new(dir).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_measured() {
    let server = Server::start().await;
    let kubeconfig = server.kubeconfig();
    let line = [
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
        "--count",
        "12",
    ];
    let done = bench(&line).output().unwrap();
    check(&report(&done), 12);
    let err = String::from_utf8(done.stderr).unwrap();
    assert!(
        err.contains("kubectl delete namespace annals-bench-"),
        "{err}"
    );
}

#[test]
fn an_interrupt_prints_what_was_measured() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("bench");
    let line = [
        "create",
        "get",
        "--data-dir",
        dir.to_str().unwrap(),
        "--seconds",
        "3600",
    ];
    let mut command = bench(&line);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    told.read_line(&mut first).unwrap();
    assert_eq!(first, "writing 40 objects\n");
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let done = child.wait_with_output().unwrap();
    let report = report(&done);
    assert_eq!(report["interrupted"], true);
    assert!(report["results"].as_array().unwrap().len() < 2);
    assert!(!dir.exists());
}

#[test]
fn a_wrong_parameter_is_named() {
    for (line, flag) in [
        (&["--data-dir", "d", "--callers", "0"][..], "--callers"),
        (&["--data-dir", "d", "--size", "100"][..], "--size"),
        (&["--data-dir", "d", "--seconds", "0"][..], "--seconds"),
        (&["--data-dir", "d", "--no-index"][..], "--no-index"),
        (&["--data-dir", "d", "--warm-up", "x"][..], "--warm-up"),
        (&["create"][..], "--data-dir"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_annals"));
        let done = command.arg("bench").args(line).output().unwrap();
        let err = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(2), "{line:?}: {err}");
        assert!(err.contains(flag), "{line:?}: {err}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_annals"));
    let line = [
        "bench",
        "--data-dir",
        "d",
        "--callers",
        "9",
        "--objects",
        "8",
    ];
    let err = String::from_utf8(command.args(line).output().unwrap().stderr).unwrap();
    assert!(err.contains("--objects"), "{err}");
}
