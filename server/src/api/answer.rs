//! What a call is answered with.

use std::io::Write as _;

use annals::Version;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::net::{Written, add_ways};
use crate::wire::status::Status;

const JSON: &str = "application/json";

/// The most warnings one answer carries; the rest is left out.
const WARNINGS_MAX: usize = 32;

/// Up to this size an answer is not worth compressing; kube-apiserver draws the same line.
const PLAIN_BYTES_MAX: usize = 128 * 1024;

/// The fastest: what is saved is the network, not the disk.
const GZIP_LEVEL: u32 = 1;

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

    /// In another media type.
    pub(super) fn with_media_type(mut self, media_type: &'static str) -> Self {
        self.media_type = media_type;
        self
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

    /// Compressed, if it is large and the client takes it so. Not for streams: a watch is read line
    /// by line.
    pub(super) fn packed(mut self, takes_gzip: bool) -> Result<Self, Status> {
        if self.body.len() <= PLAIN_BYTES_MAX {
            return Ok(self);
        }
        let vary = HeaderValue::from_static("Accept-Encoding");
        self.headers.push((header::VARY, vary));
        if !takes_gzip {
            return Ok(self);
        }
        let mut packer = GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL));
        let packed = packer.write_all(&self.body).and_then(|()| packer.finish());
        self.body = packed.map_err(|error| Status::internal(&format!("gzip: {error}")))?;
        let gzip = HeaderValue::from_static("gzip");
        Ok(self.with_header(header::CONTENT_ENCODING, gzip))
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
        for (name, value) in self.headers {
            headers.append(name, value);
        }
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

#[cfg(test)]
mod tests {
    //! Catches an answer that unfolds to something else, or is folded for a client that cannot
    //! unfold it.

    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    fn packed(size: usize, takes_gzip: bool) -> (Vec<u8>, Answer) {
        let body: Vec<u8> = (0..size).map(|at| (at * at / 7) as u8).collect();
        let answer = Answer::bytes(body.clone()).packed(takes_gzip).unwrap();
        (body, answer)
    }

    fn has(answer: &Answer, name: &header::HeaderName) -> bool {
        answer.headers.iter().any(|(other, _)| other == name)
    }

    #[test]
    fn only_large_answers_are_compressed_and_only_for_those_who_take_it() {
        for (size, takes, is_packed) in [
            (0, true, false),
            (PLAIN_BYTES_MAX, true, false),
            (PLAIN_BYTES_MAX + 1, true, true),
            (PLAIN_BYTES_MAX + 1, false, false),
            (10 * PLAIN_BYTES_MAX, true, true),
        ] {
            let (body, answer) = packed(size, takes);
            assert_eq!(has(&answer, &header::CONTENT_ENCODING), is_packed, "{size}");
            assert_eq!(has(&answer, &header::VARY), size > PLAIN_BYTES_MAX);
            if is_packed {
                let mut unfolded = Vec::new();
                let mut reader = GzDecoder::new(answer.body.as_slice());
                reader.read_to_end(&mut unfolded).unwrap();
                assert_eq!(unfolded, body);
            } else {
                assert_eq!(answer.body, body);
            }
        }
    }
}
