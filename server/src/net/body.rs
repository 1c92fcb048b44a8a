//! Reading a request body, with a limit in size and in time.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::refuse;
use crate::limits;

/// The largest request body.
pub const BODY_BYTES_MAX: usize = limits::BODY_BYTES;

/// The longest time a client may take to send one.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(limits::BODY_READ_SECONDS as u64);

/// A body that was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than allowed.
    #[error("the request body is larger than the limit of {0} bytes")]
    TooLarge(usize),
    /// It did not come in time.
    #[error("the request body did not arrive within {} seconds", .0.as_secs())]
    TooSlow(Duration),
    /// The client stopped in the middle.
    #[error("the request body ended early: {0}")]
    Broken(String),
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let (code, reason) = match self {
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
            Self::TooSlow(_) => (StatusCode::REQUEST_TIMEOUT, "Timeout"),
            Self::Broken(_) => (StatusCode::BAD_REQUEST, "BadRequest"),
        };
        refuse(code, reason, &self.to_string())
    }
}

/// Reads `body` to its end: at most `bytes_max`, within `time_max`. A body that announces more is
/// refused before a byte of it is read. Callers take [`BODY_BYTES_MAX`] and [`BODY_TIME_MAX`].
///
/// # Errors
/// When the body is too large, too slow, or breaks off. The error answers 413, 408 or 400.
pub async fn read_body(
    body: Body,
    bytes_max: usize,
    time_max: Duration,
) -> Result<Bytes, BodyError> {
    let announced = body.size_hint().lower();
    if usize::try_from(announced).map_or(true, |announced| announced > bytes_max) {
        return Err(BodyError::TooLarge(bytes_max));
    }
    let collected = tokio::time::timeout(time_max, Limited::new(body, bytes_max).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge(bytes_max)),
        Ok(Err(error)) => Err(BodyError::Broken(error.to_string())),
        Err(_) => Err(BodyError::TooSlow(time_max)),
    }
}

#[cfg(test)]
mod tests {
    //! Catches a body limit that is off by one, and a body that never ends.
    use super::*;

    #[tokio::test]
    async fn the_limit_is_exact() {
        for (size, fits) in [
            (0, true),
            (99, true),
            (100, true),
            (101, false),
            (10_000, false),
        ] {
            let whole = read_body(Body::from(vec![0; size]), 100, BODY_TIME_MAX).await;
            assert_eq!(whole.is_ok(), fits, "{size}");
            // A body that does not announce its length.
            let chunk = Limited::new(Body::from(vec![0; size]), usize::MAX);
            let frames = chunk.map_frame(|frame| frame);
            let unknown = read_body(Body::new(Unknown(frames)), 100, BODY_TIME_MAX).await;
            assert_eq!(unknown.is_ok(), fits, "{size}");
        }
    }

    #[tokio::test]
    async fn an_endless_body_is_cut() {
        let body = Body::new(Silent);
        let error = read_body(body, 100, Duration::from_millis(1))
            .await
            .unwrap_err();
        assert_eq!(error.into_response().status(), StatusCode::REQUEST_TIMEOUT);
    }

    struct Silent;

    impl HttpBody for Silent {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }

    struct Unknown<B>(B);

    impl<B: HttpBody + Unpin> HttpBody for Unknown<B> {
        type Data = B::Data;
        type Error = B::Error;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<B::Data>, B::Error>>> {
            std::pin::Pin::new(&mut self.0).poll_frame(context)
        }
    }
}
