//! `/livez`, `/readyz`, `/healthz` and `/version`: what anyone may ask.
//!
//! The answers are `ok` or `not ok` and name nothing; for administrators `?verbose` and failures list
//! the checks. The process is alive while it answers; it is ready when every
//! check passes and it is not stopping.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::json;

use super::{ADMINISTRATORS, Identity, Shutdown};

/// The Kubernetes version whose behaviour we follow.
const KUBERNETES: (&str, &str) = ("1", "36");

type Probe = Box<dyn Fn() -> Result<(), String> + Send + Sync>;
type Note = Box<dyn Fn() -> String + Send + Sync>;

/// The checks behind the health endpoints.
pub struct Health {
    shutdown: Shutdown,
    checks: Vec<(&'static str, Probe)>,
    notes: Vec<(&'static str, Note)>,
}

impl Health {
    /// Health without checks: ready until `shutdown` begins.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self {
            shutdown,
            checks: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a check. It is run for each request, so it must be quick and must not block.
    #[must_use]
    pub fn check(
        mut self,
        name: &'static str,
        probe: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push((name, Box::new(probe)));
        self
    }

    /// Adds a line to the verbose answer that does not decide whether the server is ready.
    #[must_use]
    pub fn note(
        mut self,
        name: &'static str,
        note: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        self.notes.push((name, Box::new(note)));
        self
    }

    /// The routes.
    pub fn routes(self) -> Router {
        Router::new()
            .route("/livez", get(live))
            .route("/readyz", get(ready))
            .route("/healthz", get(ready))
            .route("/version", get(version))
            .with_state(Arc::new(self))
    }

    /// The lines of the verbose answer, and whether all is well.
    fn report(&self) -> (bool, String) {
        let stopping = self
            .shutdown
            .has_begun()
            .then(|| "the server is stopping".to_owned());
        let stopping = ("shutdown", stopping.map_or(Ok(()), Err));
        let results = self.checks.iter().map(|(name, probe)| (*name, probe()));
        let (mut is_well, mut text) = (true, String::from("[+]ping ok\n"));
        for (name, result) in results.chain([stopping]) {
            match result {
                Ok(()) => text.push_str(&format!("[+]{name} ok\n")),
                Err(why) => {
                    is_well = false;
                    text.push_str(&format!("[-]{name} failed: {why}\n"));
                }
            }
        }
        (is_well, text)
    }
}

#[allow(clippy::unused_async, reason = "a handler")]
async fn live() -> &'static str {
    "ok"
}

async fn ready(
    State(health): State<Arc<Health>>,
    RawQuery(query): RawQuery,
    identity: Option<Extension<Identity>>,
) -> Response {
    let (is_well, mut text) = health.report();
    let code = if is_well {
        StatusCode::OK
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let is_verbose = query.is_some_and(|query| {
        query
            .split('&')
            .any(|pair| pair == "verbose" || pair.starts_with("verbose="))
    });
    let is_admin = identity.is_some_and(|identity| identity.is_in(ADMINISTRATORS));
    if is_admin && (is_verbose || !is_well) {
        for (name, note) in &health.notes {
            text.push_str(&format!("[i]{name}: {}\n", note()));
        }
        text.push_str(if is_well {
            "check passed\n"
        } else {
            "check failed\n"
        });
        return (code, text).into_response();
    }
    (code, if is_well { "ok" } else { "not ok" }).into_response()
}

/// Clients insist on a semantic version of Kubernetes and warn when it is far from theirs.
async fn version() -> Json<serde_json::Value> {
    let (major, minor) = KUBERNETES;
    let own = env!("CARGO_PKG_VERSION");
    Json(json!({
        "major": major,
        "minor": minor,
        "gitVersion": format!("v{major}.{minor}.0+annals.{own}"),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, platform()),
    }))
}

/// The architecture in the words of Go, which clients expect.
fn platform() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
