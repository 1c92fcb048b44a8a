//! Whether a connection has open requests, so that an idle one can be closed.
//!
//! HTTP/1.1 has its own clock for heads. HTTP/2 has none: a client may finish the TLS handshake
//! and say nothing, or ask once and stay. A request is open from its head until the last byte of
//! its answer, so a quiet watch is not idle.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::timeout;

/// The open requests of one connection.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    open: Arc<watch::Sender<usize>>,
}

/// An open request. Dropping it closes the request.
#[derive(Debug)]
pub(super) struct Open {
    open: Arc<watch::Sender<usize>>,
}

/// The body of an answer, which keeps its request open.
pub(super) struct Answer {
    body: Body,
    _open: Open,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            open: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Opens a request.
    pub(super) fn open(&self) -> Open {
        self.open.send_modify(|open| *open += 1);
        Open {
            open: Arc::clone(&self.open),
        }
    }

    /// Waits until no request came for `first` at the beginning, or for `later` after one.
    pub(super) async fn idle(&self, first: Duration, later: Duration) {
        let mut open = self.open.subscribe();
        let mut patience = first;
        loop {
            let is_busy = *open.borrow_and_update() > 0;
            // The sender lives in `self`, so the channel cannot close.
            if is_busy {
                let _ = open.changed().await;
            } else if timeout(patience, open.changed()).await.is_err() {
                return;
            }
            patience = later;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.open.send_modify(|open| *open -= 1);
    }
}

impl Answer {
    pub(super) fn new(body: Body, open: Open) -> Self {
        Self { body, _open: open }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
