//! A whole server in this process: store, API and door, as `annals serve` puts them together.

use std::cell::RefCell;
use std::sync::Arc;

use annals::{Options, Store};
use annals_server::api::{self, Api, indexed};
use annals_server::kinds::Kinds;
use annals_server::limits;
use annals_server::net::{self, Health, Limits, Shutdown};
use annals_server::setup::{DataDir, Wish, prepare};
use axum::body::Body;
use axum::http::Request;
use axum::http::request::Builder;
use hyper::client::conn::http2::SendRequest;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::site::{Answer, Keys, PATIENCE, Site, h2};

/// Where the objects of most cases are posted to.
pub(crate) const DASHBOARDS: &str =
    "/apis/dashboard.grafana.app/v1beta1/namespaces/default/dashboards";

/// A running server and where it lives. It stops when it is dropped.
pub(crate) struct Server {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) site: Option<Site>,
    pub(crate) store: Store,
    /// A connection for all requests that do not need one of their own.
    sender: RefCell<Option<SendRequest<Body>>>,
}

impl Server {
    /// Starts a server over what lies in `dir`.
    pub(crate) fn start(dir: &DataDir, with_index: bool) -> Self {
        let kinds = Kinds::built_in().unwrap();
        let options = Options::new()
            .cache_bytes(16 << 20)
            .object_bytes_max(limits::OBJECT_BYTES)
            .index(with_index)
            .kinds(indexed(&kinds));
        let store = Store::open(dir.path(), options).unwrap();
        let shutdown = Shutdown::new();
        let api = Api::new(store.clone(), kinds, shutdown.clone()).unwrap();
        let app = Health::new(shutdown.clone())
            .routes()
            .merge(api::routes(api));
        let runtime = Runtime::new().unwrap();
        let site = runtime.block_on(async {
            let (listener, address) = net::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let wish = Wish {
                listen: address,
                tls_sans: &[],
                now: jiff::Timestamp::now(),
            };
            let prepared = prepare(dir, &wish).unwrap();
            let app = net::door(app, prepared.gate);
            let limits = Limits::default();
            let serving = net::serve(listener, prepared.tls, app, limits, shutdown.clone());
            Site {
                address,
                shutdown: shutdown.clone(),
                task: tokio::spawn(serving),
                keys: Keys::of(dir),
            }
        });
        Server {
            runtime: Arc::new(runtime),
            site: Some(site),
            store,
            sender: RefCell::default(),
        }
    }

    /// How to reach it.
    pub(crate) fn site(&self) -> &Site {
        self.site.as_ref().unwrap()
    }

    /// Sends a request over HTTP/2 and reads the answer.
    pub(crate) fn send(&self, request: Request<Body>) -> Answer {
        let mut last = self.sender.borrow_mut();
        self.runtime.block_on(async {
            let mut sender = match last.take().filter(|sender| !sender.is_closed()) {
                Some(sender) => sender,
                None => h2(self.site()).await,
            };
            let answer = async { Answer::read(sender.send_request(request).await.unwrap()).await };
            let answer = timeout(PATIENCE, answer).await.expect("an answer");
            *last = Some(sender);
            answer
        })
    }

    /// Gets a path.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path).body(Body::empty()).unwrap())
    }

    /// Posts a body of JSON.
    pub(crate) fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = request("POST", path).header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap())
    }

    /// Posts a dashboard that is not kept.
    pub(crate) fn try_dashboard(&self, metadata: Value, spec: Value) -> Answer {
        let path = format!("{DASHBOARDS}?dryRun=All");
        self.post(
            &path,
            json!({"metadata": metadata, "spec": spec}).to_string(),
        )
    }

    /// The server answers as ever.
    #[track_caller]
    pub(crate) fn assert_healthy(&self) {
        let answer = self.get("/readyz");
        assert_eq!((answer.status.as_u16(), &*answer.body), (200, "ok"));
        assert_eq!(self.get(DASHBOARDS).status, 200);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let site = self.site.take().unwrap();
        site.shutdown.begin();
        // What does not drain in time is the worry of another test.
        let stop = async { timeout(PATIENCE, site.task).await };
        let _ = self.runtime.block_on(stop);
        self.store.close();
    }
}

/// A request as HTTP/2 wants it.
pub(crate) fn request(method: &str, path: &str) -> Builder {
    Request::builder()
        .method(method)
        .uri(format!("https://localhost{path}"))
}

/// It was accepted.
#[track_caller]
pub(crate) fn assert_accepted(answer: &Answer) {
    let shown: String = answer.body.chars().take(500).collect();
    assert!(answer.status.is_success(), "{} {shown}", answer.status);
}

/// It was refused with this code, and a Status on one line that names the field.
#[track_caller]
pub(crate) fn assert_refused(answer: &Answer, code: u16, field: &str) {
    let shown: String = answer.body.chars().take(500).collect();
    assert_eq!(answer.status.as_u16(), code, "{field}: {shown}");
    assert!(!answer.body.contains('\n'), "{field}: {shown}");
    let status: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(status["kind"], "Status", "{shown}");
    assert_eq!(status["status"], "Failure", "{shown}");
    assert_eq!(status["code"], code, "{shown}");
    assert!(!status["reason"].as_str().unwrap().is_empty(), "{shown}");
    let message = status["message"].as_str().unwrap();
    assert!(message.contains(field), "{field:?} is not named: {shown}");
}
