//! Catches a client that loses events of a watch, hides why it was refused, or gives up too early.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use annals_server::client::Path;
use annals_server::net::{Limits, Shutdown};
use annals_server::setup::DataDir;
use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::any;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::slow_app;
use crate::site::{PATIENCE, admin, start, start_with};

#[tokio::test]
async fn the_client_follows_a_watch_and_reads_refusals() {
    let dir = DataDir::ephemeral().unwrap();
    let (shutdown, (seen, mut begun)) = (Shutdown::new(), mpsc::channel(9));
    let app = slow_app(&shutdown, &seen);
    let site = start_with(&dir, &[], Limits::default(), shutdown, app).await;
    let client = admin(&dir);
    let mut lines = client.lines(&Path::new("/watch")).await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap()["n"], 1);
    begun.recv().await.unwrap();
    let error = client.get(&Path::new("/nowhere")).await.unwrap_err();
    assert_eq!(error.code(), Some(404));
    assert!(error.to_string().contains("could not find"), "{error}");
    let error = client.lines(&Path::new("/nowhere")).await.unwrap_err();
    assert_eq!(error.code(), Some(404));
    site.shutdown.begin();
    assert_eq!(lines.next().await.unwrap().unwrap()["n"], 2);
    assert!(lines.next().await.unwrap().is_none());
    timeout(PATIENCE, site.task).await.unwrap().unwrap();
    let error = client.get(&Path::new("/who")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cannot reach the server at https://127.0.0.1:"),
        "{error}"
    );
}

#[tokio::test]
async fn the_client_comes_again_when_asked_to() {
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let busy = move |uri: Uri| {
        let tries = Arc::clone(&counted);
        async move {
            let nth = tries.fetch_add(1, Ordering::Relaxed) + 1;
            match uri.path() {
                "/twice" if nth > 2 => "{}".into_response(),
                "/silent" => StatusCode::TOO_MANY_REQUESTS.into_response(),
                _ => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response(),
            }
        }
    };
    let dir = DataDir::ephemeral().unwrap();
    let app = Router::new().route("/{*path}", any(busy));
    let _site = start(&dir, &[], Limits::default(), app).await;
    let client = admin(&dir);
    for (path, code, expected) in [
        ("/twice", None, 3),
        ("/silent", Some(429), 1),
        ("/always", Some(429), 5),
    ] {
        tries.store(0, Ordering::Relaxed);
        let answer = client
            .post(&Path::new(path), Some(&serde_json::json!({})))
            .await;
        assert_eq!(answer.err().and_then(|error| error.code()), code, "{path}");
        assert_eq!(tries.load(Ordering::Relaxed), expected, "{path}");
    }
}
