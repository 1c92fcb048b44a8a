//! Catches a setting that comes from somewhere else than it says, and a slip in a file of settings
//! that is passed over.

use super::server::Server;

#[tokio::test]
async fn flags_win_over_the_environment_and_that_over_the_file() {
    let server = Server::start().await;
    let shell = server.shell();
    let file = "listen: 127.0.0.1:1\ncache-size: 64MiB\nlog: info\n\
                tls-san: [a.test, b.test]\nephemeral: true\n";
    shell.file("c.yaml", file);
    let line = "ANNALS_LOG=debug ANNALS_CACHE_SIZE=1GiB ANNALS_CONFIG=c.yaml annals config show \
                --origin --log error";
    let shown = shell.ok(line).await;
    let rows: Vec<Vec<&str>> = shown
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|t| !t.is_empty())
                .collect()
        })
        .collect();
    for row in [
        ["SETTING", "VALUE", "ORIGIN"],
        ["data-dir", "./annals-data", "default"],
        ["listen", "127.0.0.1:1", "file c.yaml"],
        ["tls-san", "a.test,b.test", "file c.yaml"],
        ["ephemeral", "true", "file c.yaml"],
        ["cache-size", "1GiB", "environment ANNALS_CACHE_SIZE"],
        ["log", "error", "flag --log"],
        ["audit-log", "<none>", "default"],
    ] {
        assert!(rows.contains(&row.to_vec()), "{row:?}\n{shown}");
    }
    let plain = shell.ok("annals config show -o yaml --config c.yaml").await;
    assert!(plain.contains("cache-size: 64MiB\n"), "{plain}");
}

#[tokio::test]
async fn the_file_is_what_serve_takes() {
    let server = Server::start().await;
    let shell = server.shell();
    shell.file("c.yaml", "listen: 127.0.0.1:0\ndata-dir: here\n");
    let mut serve = shell.follow("annals serve --config c.yaml");
    let first = serve.line().await;
    assert!(
        first.contains("https://127.0.0.1:") && !first.ends_with(":6443"),
        "{first}"
    );
    shell.ok("test -s here/admin.kubeconfig").await;
    assert!(serve.stop().await.success());

    for (text, told) in [
        (
            "lisen: 127.0.0.1:0",
            "c.yaml: unknown key \"lisen\": expected one of data-dir, listen",
        ),
        (
            "listen: nowhere",
            "c.yaml: invalid value 'nowhere' for '--listen <LISTEN>': expected IP:PORT",
        ),
        ("listen: [a]", "c.yaml: listen: expected a text"),
        (
            "tls-san: [{a: b}]",
            "c.yaml: tls-san: expected a text or a list of them",
        ),
        ("- listen", "c.yaml: expected settings"),
        ("a: b: c", "c.yaml: not YAML"),
    ] {
        shell.file("c.yaml", text);
        let run = shell.run("annals serve --config c.yaml").await;
        assert_eq!(run.code, 2, "{text}: {run:?}");
        assert!(run.err.contains(told), "{text}: {}", run.err);
    }
    let run = shell.run("annals serve --config nowhere.yaml").await;
    assert_eq!(run.code, 2, "{run:?}");
    assert!(
        run.err.contains("nowhere.yaml: No such file"),
        "{}",
        run.err
    );
}
