//! The HTTPS door, tested from outside: one file for each worry, and here what they share.

mod client;
mod drain;
mod gate;
mod limits;
mod slow;
mod start;

use std::time::Duration;

use annals_server::net::{
    BODY_BYTES_MAX, BODY_TIME_MAX, Health, Identity, Limits, Shutdown, read_body,
};
use annals_server::setup::DataDir;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{get as on_get, post as on_post};
use axum::{Extension, Router};
use tokio::sync::mpsc;

use crate::site::{Site, get, start};

async fn who(Extension(identity): Extension<Identity>, headers: HeaderMap) -> String {
    assert!(
        !headers.contains_key("authorization"),
        "a handler has no need of the secret"
    );
    format!("{} {}", identity.user, identity.groups.join(","))
}

async fn length(body: Body) -> Response {
    match read_body(body, BODY_BYTES_MAX, BODY_TIME_MAX).await {
        Ok(bytes) => bytes.len().to_string().into_response(),
        Err(error) => error.into_response(),
    }
}

async fn impatient(body: Body) -> Response {
    read_body(body, BODY_BYTES_MAX, Duration::from_millis(50))
        .await
        .map_or_else(IntoResponse::into_response, |bytes| {
            bytes.len().to_string().into_response()
        })
}

async fn fail() -> &'static str {
    panic!("planted")
}

fn app() -> Router {
    Health::new(Shutdown::new())
        .check("planted", || Err("secret name".into()))
        .routes()
        .route("/who", on_get(who))
        .route("/length", on_post(length))
        .route("/impatient", on_post(impatient))
        .route("/fail", on_get(fail))
}

async fn running() -> (DataDir, Site) {
    let dir = DataDir::ephemeral().unwrap();
    let site = start(&dir, &[], Limits::default(), app()).await;
    (dir, site)
}

fn with_token(path: &str, token: &str) -> Request<Body> {
    get(path)
        .header("authorization", format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap()
}

fn plain(path: &str) -> Request<Body> {
    get(path).body(Body::empty()).unwrap()
}

fn with_uri(path: &str) -> Request<Body> {
    Request::get(format!("https://localhost{path}"))
        .body(Body::empty())
        .unwrap()
}

type Frame = hyper::body::Frame<Bytes>;
type Polled = std::task::Poll<Option<Result<Frame, std::convert::Infallible>>>;

fn short() -> Limits {
    Limits {
        handshake_time_max: Duration::from_millis(100),
        header_time_max: Duration::from_millis(100),
        idle_time_max: Duration::from_millis(100),
        ping_time_max: Duration::from_millis(100),
        drain_time_max: Duration::from_millis(100),
        ..Limits::default()
    }
}

/// An application with a request that ends when told, one that never ends, and a watch.
fn slow_app(shutdown: &Shutdown, seen: &mpsc::Sender<()>) -> Router {
    let (finishing, stuck, watching) = (seen.clone(), seen.clone(), seen.clone());
    let (until, end) = (shutdown.clone(), shutdown.clone());
    let finish = move || {
        let (seen, until) = (finishing.clone(), until.clone());
        async move {
            seen.send(()).await.unwrap();
            until.begun().await;
            "finished"
        }
    };
    let hang = move || {
        let seen = stuck.clone();
        async move {
            seen.send(()).await.unwrap();
            std::future::pending::<()>().await;
        }
    };
    let watch = move || {
        let (seen, end) = (watching.clone(), end.clone());
        async move {
            let (sender, receiver) = mpsc::channel::<Bytes>(1);
            tokio::spawn(async move {
                sender
                    .send(Bytes::from_static(b"{\"n\":1}\n"))
                    .await
                    .unwrap();
                seen.send(()).await.unwrap();
                end.begun().await;
                sender
                    .send(Bytes::from_static(b"{\"n\":2}\n"))
                    .await
                    .unwrap();
            });
            Body::new(Channel(receiver))
        }
    };
    Router::new()
        .route("/finish", on_get(finish))
        .route("/hang", on_get(hang))
        .route("/watch", on_get(watch))
}

struct Channel(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Channel {
    type Data = Bytes;
    type Error = std::convert::Infallible;
    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> Polled {
        self.0
            .poll_recv(context)
            .map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
