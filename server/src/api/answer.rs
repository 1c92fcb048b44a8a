//! What a call is answered with.

use annals::Version;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::Value;

use crate::net::{Written, add_ways};
use crate::wire::status::Status;

const JSON: &str = "application/json";

/// The most warnings one answer carries; the rest is left out.
const WARNINGS_MAX: usize = 32;

/// A whole answer, held in memory.
#[derive(Debug)]
pub(super) struct Answer {
    code: StatusCode,
    body: Vec<u8>,
    media_type: &'static str,
    warnings: Vec<String>,
    headers: Vec<(header::HeaderName, HeaderValue)>,
    /// What the call has written last.
    written: Option<Version>,
}

impl Answer {
    /// 200 with bytes that are JSON on one line.
    pub(super) fn bytes(body: Vec<u8>) -> Self {
        let (warnings, headers) = (Vec::new(), Vec::new());
        Answer {
            code: StatusCode::OK,
            body,
            media_type: JSON,
            warnings,
            headers,
            written: None,
        }
    }

    /// 200 with a value.
    pub(super) fn value(value: &Value) -> Self {
        Answer::bytes(value.to_string().into_bytes())
    }

    /// 200 with plain text.
    pub(super) fn text(text: String) -> Self {
        Answer {
            media_type: "text/plain; version=0.0.4",
            ..Answer::bytes(text.into_bytes())
        }
    }

    /// With another status code.
    pub(super) fn with_code(mut self, code: StatusCode) -> Self {
        self.code = code;
        self
    }

    /// With warnings, which kubectl prints.
    pub(super) fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    /// With a header.
    pub(super) fn with_header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Says what the call has written last; zero is nothing.
    pub(super) fn written(mut self, version: Version) -> Self {
        self.written = (version > Version::ZERO).then_some(version);
        self
    }

    /// With another field in the object that the body is.
    pub(super) fn with_field(mut self, name: &str, value: &Value) -> Self {
        if let Ok(Value::Object(mut object)) = serde_json::from_slice(&self.body) {
            object.insert(name.to_owned(), value.clone());
            self.body = Value::Object(object).to_string().into_bytes();
        }
        self
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        if let Some(version) = self.written {
            response.extensions_mut().insert(Written(version.get()));
        }
        *response.status_mut() = self.code;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(self.media_type),
        );
        for warning in self.warnings.iter().take(WARNINGS_MAX) {
            // 299 is "miscellaneous persistent warning", RFC 7234 section 5.5.
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
                headers.append(header::WARNING, value);
            }
        }
        headers.extend(self.headers);
        response
    }
}

/// A failure as a response: a Status on one line, with `Retry-After` where there is a time.
pub(super) fn failure(status: &Status) -> Response {
    let code = StatusCode::from_u16(status.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = Answer::bytes(status.to_json()).with_code(code);
    if let Some(seconds) = status.retry_after_seconds() {
        answer = answer.with_header(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    let mut response = answer.into_response();
    if code == StatusCode::UNAUTHORIZED {
        add_ways(response.headers_mut());
    }
    response
}
