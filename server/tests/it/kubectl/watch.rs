//! Catches a watch in a terminal that misses a change, or shows one twice.

use super::shell;
use crate::server::Server;

#[tokio::test]
async fn get_w_shows_changes_and_the_end() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    shell.ok("kubectl create -f one.yaml -f two.yaml").await;
    let mut watch = shell.follow("kubectl get playlist one -w --output-watch-events");
    let mut row = async || {
        let line = watch.line().await;
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        words[..4.min(words.len())].join(" ")
    };
    assert_eq!(row().await, "EVENT NAME TITLE INTERVAL");
    assert_eq!(row().await, "ADDED one One 5m");
    shell.ok("kubectl label playlist two other=x").await;
    for interval in ["6m", "7m"] {
        let patch = format!("{{\"spec\":{{\"interval\":\"{interval}\"}}}}");
        shell
            .ok(&format!(
                "kubectl patch playlist one --type merge -p '{patch}'"
            ))
            .await;
        assert_eq!(row().await, format!("MODIFIED one One {interval}"));
    }
    shell.ok("kubectl delete playlist one --wait=false").await;
    assert_eq!(row().await, "DELETED one One 7m");
}

#[tokio::test]
async fn a_watch_of_all_starts_with_all() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    shell.ok("kubectl create -f one.yaml").await;
    let mut watch = shell.follow("kubectl get playlists -A -w -o name");
    assert_eq!(watch.line().await, "playlist.playlist.grafana.app/one");
    shell.ok("kubectl create -f two.yaml").await;
    assert_eq!(watch.line().await, "playlist.playlist.grafana.app/two");
    shell.ok("kubectl label playlist one other=x").await;
    assert_eq!(watch.line().await, "playlist.playlist.grafana.app/one");
}
