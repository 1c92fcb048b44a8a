//! Errors as Kubernetes clients want them: a `Status` object on a single line.
//!
//! Watching clients split bodies at line ends, so the body has none.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
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
    let mut response = refuse(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized");
    add_ways(response.headers_mut());
    response
}

/// Says in which ways a caller may prove who it is.
pub(crate) fn add_ways(headers: &mut HeaderMap) {
    for way in [
        "Bearer realm=\"annals\"",
        "Basic realm=\"annals\", charset=\"UTF-8\"",
    ] {
        headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(way));
    }
}

/// The answer to one who has failed too often.
pub(super) fn too_many(seconds: u64) -> Response {
    let mut response = refuse(
        StatusCode::TOO_MANY_REQUESTS,
        "TooManyRequests",
        "too many failed logins, please try again later",
    );
    let wait = HeaderValue::from(seconds);
    response.headers_mut().insert(header::RETRY_AFTER, wait);
    response
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
