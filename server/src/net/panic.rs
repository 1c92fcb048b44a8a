//! A panic in a handler ends its request with 500, and nothing else.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

use super::refuse;

/// The middleware.
pub(super) async fn contain(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    match catch(next.run(request)).await {
        Ok(response) => response,
        Err(panic) => {
            tracing::error!(%method, path, panic = text(&*panic), "a handler panicked");
            let message = "the server failed while it handled the request";
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
        }
    }
}

/// Runs `future`; a panic inside comes back as an error. The future is not polled again after
/// one, and what it shared with others is behind locks that notice a panic, or needs none.
async fn catch<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = Box::pin(future);
    poll_fn(
        move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        },
    )
    .await
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
