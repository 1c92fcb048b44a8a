//! Catches a stop that loses requests, or that never comes to its end.

use std::time::Duration;

use annals_server::net::{Drained, Limits, Shutdown};
use annals_server::setup::DataDir;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{plain, short, slow_app, with_uri};
use crate::site::{Answer, PATIENCE, ask, dial, h2, start_with};

#[tokio::test]
async fn a_stop_lets_requests_and_watches_end() {
    let dir = DataDir::ephemeral().unwrap();
    let (shutdown, (seen, mut begun)) = (Shutdown::new(), mpsc::channel(9));
    let app = slow_app(&shutdown, &seen);
    let site = start_with(&dir, &[], Limits::default(), shutdown, app).await;
    let mut sender = h2(&site).await;
    let watch = sender.send_request(with_uri("/watch")).await.unwrap();
    let over_h2 = sender.send_request(with_uri("/finish"));
    let over_h1 = ask(&site, true, plain("/finish"));
    let idle = dial(site.address, &site.keys, true, "localhost", "http/1.1")
        .await
        .unwrap();
    let stop = async {
        for _ in 0..3 {
            begun.recv().await.unwrap();
        }
        site.shutdown.begin();
    };
    let (h1, h2, ()) = tokio::join!(over_h1, over_h2, stop);
    assert_eq!((h1.body.as_str(), h1.status), ("finished", StatusCode::OK));
    assert_eq!(Answer::read(h2.unwrap()).await.body, "finished");
    let lines = timeout(PATIENCE, watch.into_body().collect())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(lines.to_bytes(), "{\"n\":1}\n{\"n\":2}\n");
    let drained = timeout(PATIENCE, site.task).await.unwrap().unwrap();
    assert_eq!(drained, Drained { cut: 0 });
    drop(idle);
    assert!(
        TcpStream::connect(site.address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    for hurried in [false, true] {
        let dir = DataDir::ephemeral().unwrap();
        let (shutdown, (seen, mut begun)) = (Shutdown::new(), mpsc::channel(9));
        let app = slow_app(&shutdown, &seen);
        let limits = if hurried {
            Limits {
                drain_time_max: Duration::from_secs(3600),
                ..Limits::default()
            }
        } else {
            short()
        };
        let site = start_with(&dir, &[], limits, shutdown, app).await;
        let mut sender = h2(&site).await;
        let stuck = tokio::spawn(sender.send_request(with_uri("/hang")));
        begun.recv().await.unwrap();
        site.shutdown.begin();
        if hurried {
            site.shutdown.hurry();
        }
        let drained = timeout(PATIENCE, site.task).await.unwrap().unwrap();
        assert_eq!(drained, Drained { cut: 1 }, "hurried: {hurried}");
        assert!(timeout(PATIENCE, stuck).await.unwrap().unwrap().is_err());
    }
}
