//! Catches a client that cannot find out what the server serves.

use super::shell;
use crate::server::Server;

#[tokio::test]
async fn what_is_served() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    let resources = shell.ok("kubectl api-resources --no-headers").await;
    let rows: Vec<Vec<&str>> = resources
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    for row in [
        ["namespaces", "ns", "v1", "false", "Namespace"],
        [
            "playlists",
            "pl",
            "playlist.grafana.app/v0alpha1",
            "true",
            "Playlist",
        ],
        [
            "dashboards",
            "dash",
            "dashboard.grafana.app/v1beta1",
            "true",
            "Dashboard",
        ],
        [
            "folders",
            "fold",
            "folder.grafana.app/v1beta1",
            "true",
            "Folder",
        ],
    ] {
        assert!(
            rows.iter().any(|other| *other == row),
            "{row:?}: {resources}"
        );
    }
    let versions = shell.ok("kubectl api-versions").await;
    for version in [
        "v1",
        "playlist.grafana.app/v0alpha1",
        "dashboard.grafana.app/v0alpha1",
    ] {
        assert!(versions.lines().any(|line| line == version), "{versions}");
    }
    let version = shell.ok("kubectl version").await;
    let own = concat!("+annals.", env!("CARGO_PKG_VERSION"));
    assert!(
        version.contains("Server Version: v1.") && version.contains(own),
        "{version}"
    );
    let ready = shell.ok("kubectl get --raw '/readyz?verbose'").await;
    assert!(
        ready.contains("[+]store ok") && ready.ends_with("check passed\n"),
        "{ready}"
    );
    for path in ["/livez", "/healthz", "/readyz"] {
        assert_eq!(shell.ok(&format!("kubectl get --raw {path}")).await, "ok");
    }
}

/// The addresses that a command asks for, by what it tells of itself.
async fn asked(shell: &super::Shell, line: &str) -> Vec<String> {
    let told = shell.run(&format!("{line} -v=8")).await;
    assert_eq!(told.code, 0, "{told:?}");
    let paths = told
        .err
        .lines()
        .filter(|line| line.contains("GET") && line.contains("https://"));
    let path = |line: &str| {
        let (_, rest) = line.split_once("https://").unwrap_or_default();
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        let end = path.find(['?', '"', ' ']).unwrap_or(path.len());
        format!("/{}", &path[..end])
    };
    let mut paths: Vec<String> = paths.map(path).collect();
    // Some versions tell of the request and of the answer.
    paths.sort();
    paths.dedup();
    paths
}

#[tokio::test]
async fn two_requests_say_all_that_is_served() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    assert_eq!(
        asked(&shell, "kubectl api-resources").await,
        ["/api", "/apis"]
    );
    assert_eq!(
        asked(&shell, "kubectl api-versions").await,
        ["/api", "/apis"]
    );
}

#[tokio::test]
async fn explain_reads_the_schema() {
    let server = Server::start().await;
    let Some(shell) = shell(&server) else { return };
    let spec = shell.ok("kubectl explain playlist.spec").await;
    for line in [
        "GROUP:      playlist.grafana.app",
        "KIND:       Playlist",
        "VERSION:    v0alpha1",
        "FIELD: spec <Object>",
        "  title\t<string> -required-",
        "  items\t<[]Object>",
    ] {
        assert!(spec.lines().any(|other| other == line), "{line}: {spec}");
    }
    let all = shell.ok("kubectl explain playlists --recursive").await;
    assert!(
        all.contains("interval\t<string>") && all.contains("labels"),
        "{all}"
    );
    let field = shell.ok("kubectl explain playlist.spec.items.type").await;
    assert!(field.contains("ENUM:\n    dashboard_by_uid"), "{field}");
    let missing = shell.fails("kubectl explain playlist.spec.color").await;
    assert!(
        missing.contains("field \"color\" does not exist"),
        "{missing}"
    );
    assert!(
        shell
            .ok("kubectl explain namespace")
            .await
            .contains("KIND:       Namespace")
    );
}
