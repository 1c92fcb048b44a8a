//! Catches a restart that the kubeconfig of the administrator does not survive, a certificate under
//! old names, and an address error that does not say what to do.

use annals_server::net::Limits;
use annals_server::setup::DataDir;
use tokio::time::timeout;

use super::{app, plain, running, with_token};
use crate::site::{PATIENCE, Site, ask, dial, start};

#[tokio::test]
async fn a_restart_keeps_authority_token_and_certificate() {
    let dir = DataDir::ephemeral().unwrap();
    let first = start(&dir, &[], Limits::default(), app()).await;
    first.shutdown.begin();
    timeout(PATIENCE, first.task).await.unwrap().unwrap();
    let mut second = start(&dir, &[], Limits::default(), app()).await;
    // Ask the second server with what the first one handed out.
    second.keys = first.keys;
    assert_eq!(ask(&second, true, plain("/who")).await.status, 200);
    let request = with_token("/who", &second.keys.token);
    assert_eq!(ask(&second, false, request).await.status, 200);
}

#[tokio::test]
async fn another_name_makes_another_certificate() {
    let dir = DataDir::ephemeral().unwrap();
    let reached = async |site: &Site, name: &str| {
        dial(site.address, &site.keys, false, name, "h2")
            .await
            .is_ok()
    };
    let first = start(&dir, &[], Limits::default(), app()).await;
    for name in ["localhost", "127.0.0.1", "::1"] {
        assert!(reached(&first, name).await, "{name}");
    }
    assert!(!reached(&first, "annals.test").await);
    let second = start(
        &dir,
        &["annals.test", "192.0.2.7"],
        Limits::default(),
        app(),
    )
    .await;
    for name in ["localhost", "annals.test", "192.0.2.7"] {
        assert!(reached(&second, name).await, "{name}");
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let (_dir, site) = running().await;
    let error = annals_server::net::bind(site.address)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&site.address.to_string()) && error.contains("--listen"),
        "{error}"
    );
    let foreign = "192.0.2.1:0".parse().unwrap();
    let error = annals_server::net::bind(foreign)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("not an address of this machine"), "{error}");
}
