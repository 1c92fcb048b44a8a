//! Catches a client that says little or nothing and keeps its place, and a watch that is taken for
//! one.

use std::time::Duration;

use annals_server::client::Path;
use annals_server::net::{Limits, Shutdown};
use annals_server::setup::DataDir;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{app, plain, running, short, slow_app, with_uri};
use crate::site::{PATIENCE, admin, ask, dial, h2, start, start_with};

/// Waits until the other end closes, whether cleanly or not.
async fn closes(stream: &mut (impl AsyncReadExt + Unpin)) {
    let mut bytes = Vec::new();
    // How it closes does not matter, only that it does.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("the server closes");
}

#[tokio::test]
async fn slow_clients_are_cut() {
    let dir = DataDir::ephemeral().unwrap();
    let site = start(&dir, &[], short(), app()).await;
    closes(&mut TcpStream::connect(site.address).await.unwrap()).await;
    for head in ["", "GET / HTTP/1.1\r\nhost: x\r\n"] {
        let mut stream = dial(site.address, &site.keys, true, "localhost", "http/1.1")
            .await
            .unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        closes(&mut stream).await;
    }
    // HTTP/2 that says nothing after the handshake, and HTTP/2 that says nothing any more.
    let mut silent = dial(site.address, &site.keys, true, "localhost", "h2")
        .await
        .unwrap();
    closes(&mut silent).await;
    let mut sender = h2(&site).await;
    assert_eq!(
        sender
            .send_request(with_uri("/who"))
            .await
            .unwrap()
            .status(),
        200
    );
    let idle = async {
        while !sender.is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, idle).await.expect("the server closes");
    assert_eq!(ask(&site, true, plain("/who")).await.status, 200);
}

#[tokio::test]
async fn a_quiet_watch_is_not_idle() {
    let dir = DataDir::ephemeral().unwrap();
    let (shutdown, (seen, _begun)) = (Shutdown::new(), mpsc::channel(9));
    let app = slow_app(&shutdown, &seen);
    let site = start_with(&dir, &[], short(), shutdown, app).await;
    let mut sender = h2(&site).await;
    let over_h2 = sender
        .send_request(with_uri("/watch"))
        .await
        .unwrap()
        .into_body();
    let mut over_h1 = admin(&dir).lines(&Path::new("/watch")).await.unwrap();
    assert_eq!(over_h1.next().await.unwrap().unwrap()["n"], 1);
    tokio::time::sleep(4 * short().idle_time_max).await;
    site.shutdown.begin();
    assert_eq!(over_h1.next().await.unwrap().unwrap()["n"], 2);
    let lines = timeout(PATIENCE, over_h2.collect()).await.unwrap().unwrap();
    assert_eq!(lines.to_bytes(), "{\"n\":1}\n{\"n\":2}\n");
}

#[tokio::test]
async fn plain_http_gets_no_answer() {
    let (_dir, site) = running().await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("HTTP"));
}

#[tokio::test]
async fn connections_have_a_limit() {
    let dir = DataDir::ephemeral().unwrap();
    let limits = Limits {
        connections_max: 1,
        ..Limits::default()
    };
    let site = start(&dir, &[], limits, app()).await;
    let first = h2(&site).await;
    let mut second = Box::pin(ask(&site, true, plain("/who")));
    let early = timeout(Duration::from_millis(100), &mut second).await;
    assert!(early.is_err(), "the second waits while the first is open");
    drop(first);
    assert_eq!(timeout(PATIENCE, second).await.unwrap().status, 200);
}
