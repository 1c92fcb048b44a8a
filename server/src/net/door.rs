//! What surrounds the application, from the outside in: the marks every answer carries, the
//! limit on addresses, the gate, and the net under panics.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use uuid::Uuid;

use super::gate::authenticate;
use super::panic::contain;
use super::{Gate, refuse};
use crate::limits;

/// The longest path and query.
pub const URI_BYTES_MAX: usize = limits::URI_BYTES;

/// The id of one request, in its extensions and in the `Audit-Id` header of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditId(pub Uuid);

/// Puts the door before `app`: nobody gets in but through `gate`.
pub fn door(app: Router, gate: Gate) -> Router {
    app.layer(from_fn(contain))
        .layer(from_fn_with_state(gate, authenticate))
        .layer(from_fn(limit_uri))
        .layer(from_fn(mark))
}

/// The answer for a path that nobody serves.
#[allow(clippy::unused_async, reason = "a fallback is a handler")]
pub async fn not_found() -> Response {
    refuse(
        StatusCode::NOT_FOUND,
        "NotFound",
        "the server could not find the requested resource",
    )
}

async fn mark(mut request: Request, next: Next) -> Response {
    let id = Uuid::new_v4();
    request.extensions_mut().insert(AuditId(id));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert("audit-id", value);
    }
    let private = HeaderValue::from_static("no-cache, private");
    headers.entry(header::CACHE_CONTROL).or_insert(private);
    response
}

async fn limit_uri(request: Request, next: Next) -> Response {
    let length = request
        .uri()
        .path_and_query()
        .map_or(0, |text| text.as_str().len());
    if length > URI_BYTES_MAX {
        let message = format!("path and query are longer than the limit of {URI_BYTES_MAX} bytes");
        return refuse(StatusCode::URI_TOO_LONG, "RequestURITooLong", &message);
    }
    next.run(request).await
}
