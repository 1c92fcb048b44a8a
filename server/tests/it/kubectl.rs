//! Catches what a person at kubectl would notice: every command here is typed as in a terminal,
//! against the real server, and says what it says against Kubernetes.
//!
//! Without kubectl on the PATH these tests say so and pass; `ANNALS_REQUIRE_KUBECTL=1` makes them
//! fail instead.

mod apply;
mod change;
mod create;
mod delete;
mod discover;
mod past;
mod read;
mod watch;

use super::server::{Server, Shell};

/// A playlist as people write it down.
fn playlist(name: &str, title: &str, interval: &str) -> String {
    format!(
        "apiVersion: playlist.grafana.app/v0alpha1\n\
         kind: Playlist\n\
         metadata:\n  name: {name}\n  labels:\n    team: a\n\
         spec:\n  title: {title}\n  interval: {interval}\n"
    )
}

/// A shell whose folder holds `one.yaml` and `two.yaml`.
fn shell(server: &Server) -> Option<Shell> {
    let shell = server.kubectl()?;
    shell.file("one.yaml", &playlist("one", "One", "5m"));
    shell.file("two.yaml", &playlist("two", "Two", "10m"));
    Some(shell)
}

/// The version of the object that a YAML or JSON answer shows.
async fn version(shell: &Shell, name: &str) -> u64 {
    let line = format!("kubectl get playlist {name} -o jsonpath={{.metadata.resourceVersion}}");
    shell.ok(&line).await.parse().unwrap()
}
