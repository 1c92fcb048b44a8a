//! Catches a server for trying things out that does not say how to come in, or leaves something
//! behind; and scripts and pages that do not know the commands.

use std::path::Path;

use super::server::Server;

#[tokio::test]
async fn dev_says_how_to_come_in_and_leaves_nothing() {
    let server = Server::start().await;
    let shell = server.shell();
    let mut dev = shell.follow("annals dev");
    let first = dev.line().await;
    let (_, url) = first.split_once(" listens on ").expect(&first);
    assert!(
        url.starts_with("https://127.0.0.1:") && !url.ends_with(":0"),
        "{url}"
    );
    let token = dev.line().await;
    let token = token.strip_prefix("token           ").expect(&token);
    let path = dev.line().await;
    let path = path.strip_prefix("kubeconfig      ").expect(&path);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(token) && text.contains(url), "{text}");
    let names = shell
        .ok(&format!(
            "annals get namespaces -o name --kubeconfig {path}"
        ))
        .await;
    assert_eq!(names, "namespaces/default\n");
    assert!(dev.stop().await.success());
    let folder = Path::new(path).parent().unwrap();
    assert!(!folder.exists(), "{}", folder.display());
}

#[tokio::test]
async fn scripts_and_pages_know_every_command() {
    let server = Server::start().await;
    let shell = server.shell();
    for name in ["bash", "zsh", "fish"] {
        let script = shell.ok(&format!("annals completion {name}")).await;
        for word in ["apply", "restore-backup", "kubeconfig"] {
            assert!(script.contains(word), "{name}: no {word}");
        }
    }
    // The shell itself takes the script.
    shell
        .ok("annals completion bash > c; if command -v bash; then bash -n c; fi")
        .await;
    let page = shell.ok("annals man").await;
    assert!(
        page.contains(".TH annals 1") && page.contains("Exit codes"),
        "{page}"
    );
    let page = shell.ok("annals man user add").await;
    assert!(
        page.contains(".TH annals-user-add 1") && page.contains("password"),
        "{page}"
    );
    let told = shell.fails("annals man nonsense").await;
    assert!(
        told.contains("\"nonsense\": there is no such command"),
        "{told}"
    );
    shell
        .ok("mkdir pages && annals man --to pages && test -s pages/annals-token-create.1")
        .await;
    let told = shell.fails("annals man --to nowhere").await;
    assert!(told.contains("nowhere: cannot write the manual"), "{told}");
}
