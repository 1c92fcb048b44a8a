//! Errors as Kubernetes clients want them: a `Status` object on a single line.
//!
//! Watching clients split bodies at line ends, so the body has none.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;

/// An answer that refuses a request: a `Status` with this code, reason and message.
#[must_use]
pub fn refuse(code: StatusCode, reason: &str, message: &str) -> Response {
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code.as_u16(),
    });
    let mut response = Response::new(Body::from(status.to_string()));
    *response.status_mut() = code;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The answer to a request without a valid proof. It never says which part was wrong.
pub(super) fn unauthorized() -> Response {
    refuse(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
}

#[cfg(test)]
mod tests {
    //! Catches a refusal that a client cannot read as a Status.
    use super::*;

    #[tokio::test]
    async fn is_one_line_in_the_order_of_kubernetes() {
        let body = axum::body::to_bytes(unauthorized().into_body(), 4096)
            .await
            .unwrap();
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#
        );
        let body = refuse(StatusCode::BAD_REQUEST, "BadRequest", "a\nb").into_body();
        let body = axum::body::to_bytes(body, 4096).await.unwrap();
        assert!(!body.contains(&b'\n'));
    }
}
