//! Backups: a piece as a stream of bytes, for administrators alone.
//!
//! ```text
//! GET /apis/store.annals.dev/v1/backup            everything
//! GET /apis/store.annals.dev/v1/backup?since=V    what was committed after version V
//! ```
//!
//! One blocking thread makes the piece and hands it over in parts; a client that reads slowly
//! stops that thread, and nobody else. What can be refused is refused before the first byte; a
//! stream that fails later is broken off, and a piece that was cut off is told from a whole one by
//! whoever reads it. Absent on purpose: a length, which is not known before the end.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use annals::{Error, Store, Version};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_core::Stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::sleep;

use super::call::Call;
use super::failure::general;
use crate::limits;
use crate::wire::query::Query;
use crate::wire::status::Status;

const SINCE: &str = "since";
/// How many parts wait for the client; each has some 256 KiB, or one large object.
const AHEAD: usize = 2;
const TIME_MAX: Duration = Duration::from_secs(limits::BACKUP_SECONDS as u64);

/// The places of the backups that are being taken.
pub(super) struct Places {
    free: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        Places {
            free: Arc::new(Semaphore::new(limits::BACKUPS)),
        }
    }
}

impl Places {
    fn enter(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.free).try_acquire_owned().map_err(|_| {
            let most = limits::BACKUPS;
            let message = format!("the server has its limit of {most} backups open");
            Status::too_many_requests(message, 10)
        })
    }
}

/// Answers with a piece.
pub(super) async fn start(call: Call) -> Result<Response, Status> {
    if !call.is_admin {
        return Err(call.only_administrators());
    }
    let since = since(&call.query)?;
    let place = call.api.shared.backups.enter()?;
    let (sender, mut parts) = mpsc::channel(AHEAD);
    let store = call.api.store().clone();
    tokio::task::spawn_blocking(move || {
        make(&store, since, &sender);
        drop(place);
    });
    let first = match parts.recv().await {
        Some(Ok(first)) => first,
        Some(Err(status)) => return Err(status),
        None => return Err(Status::internal("the backup ended before it began")),
    };
    let shutdown = call.api.shared.shutdown.clone();
    let ends = async move {
        tokio::select! {
            () = sleep(TIME_MAX) => {}
            () = shutdown.begun() => {}
        }
    };
    let mut response = Response::new(Body::new(StreamBody::new(Parts {
        first: Some(first),
        parts,
        ends: Some(Box::pin(ends)),
    })));
    let binary = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, binary);
    Ok(response)
}

/// The version that the query names.
fn since(query: &Query) -> Result<Option<Version>, Status> {
    let bad = |message: String| Err(Status::bad_request(message));
    if let Some(name) = query.names().find(|name| *name != SINCE) {
        return bad(format!("{name}: unknown parameter; expected {SINCE}"));
    }
    if query.all(SINCE).count() > 1 {
        return bad(format!("{SINCE}: expected at most once"));
    }
    match query.get(SINCE).map(str::parse) {
        None => Ok(None),
        Some(Ok(version)) => Ok(Some(version)),
        Some(Err(why)) => bad(format!("{SINCE}: {why}")),
    }
}

/// Makes the piece. Blocks until the client has taken it, or is gone.
fn make(store: &Store, since: Option<Version>, parts: &mpsc::Sender<Result<Bytes, Status>>) {
    if let Err(error) = store.backup(since, Out { parts }) {
        if !matches!(error, Error::Io { .. }) {
            tracing::warn!(%error, "a backup was not finished");
        }
        // The client may be the one who ended it.
        let _ = parts.blocking_send(Err(refusal(&error)));
    }
}

/// The answer to a backup that cannot be taken.
fn refusal(error: &Error) -> Status {
    match error {
        Error::Gone { .. } => Status::expired(format!(
            "{SINCE}: {error}; take a whole backup, which names no version"
        )),
        Error::Future { .. } => Status::bad_request(format!("{SINCE}: {error}")),
        other => general(other),
    }
}

/// The end of the channel at which the piece is written.
struct Out<'a> {
    parts: &'a mpsc::Sender<Result<Bytes, Status>>,
}

impl io::Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = Bytes::copy_from_slice(bytes);
        match self.parts.blocking_send(Ok(part)) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The body of the answer.
struct Parts {
    first: Option<Bytes>,
    parts: mpsc::Receiver<Result<Bytes, Status>>,
    /// When it is broken off; nothing once it was.
    ends: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Stream for Parts {
    type Item = io::Result<Frame<Bytes>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(ends) = &mut self.ends else {
            return Poll::Ready(None);
        };
        if ends.as_mut().poll(context).is_ready() {
            self.ends = None;
            self.parts.close();
            let why = "the backup took too long, or the server stops";
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, why))));
        }
        self.parts.poll_recv(context).map(|part| match part? {
            Ok(bytes) => Some(Ok(Frame::data(bytes))),
            Err(status) => Some(Err(io::Error::other(status.message))),
        })
    }
}

#[cfg(test)]
mod tests {
    //! Catches one backup too many, one that never ends, and a broken stream that looks whole.
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn one_backup_too_many_is_turned_away() {
        let places = Places::default();
        let mut taken: Vec<_> = (0..limits::BACKUPS)
            .map(|_| places.enter().unwrap())
            .collect();
        for _ in 0..100 {
            let status = places.enter().err().unwrap();
            assert_eq!(status.code(), 429);
            assert!(status.message.contains("backups open"), "{status}");
        }
        taken.pop();
        taken.push(places.enter().unwrap());
        assert!(places.enter().is_err());
    }

    fn body(
        parts: Vec<Result<Bytes, Status>>,
        ends: impl Future<Output = ()> + Send + 'static,
    ) -> StreamBody<Parts> {
        let (sender, receiver) = mpsc::channel(AHEAD + 2);
        for part in parts {
            sender.try_send(part).unwrap();
        }
        StreamBody::new(Parts {
            first: Some(Bytes::from_static(b"a")),
            parts: receiver,
            ends: Some(Box::pin(ends)),
        })
    }

    #[tokio::test]
    async fn a_backup_that_takes_too_long_is_broken_off() {
        assert_eq!(TIME_MAX.as_secs(), limits::BACKUP_SECONDS as u64);
        let late = body(vec![Ok(Bytes::from_static(b"b"))], async {});
        let error = late.collect().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let never = std::future::pending();
        let whole = body(vec![Ok(Bytes::from_static(b"b"))], never);
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "ab");
    }

    #[tokio::test]
    async fn a_failure_behind_the_first_byte_breaks_the_stream() {
        let failed = vec![Ok(Bytes::from_static(b"b")), Err(Status::internal("no"))];
        let broken = body(failed, std::future::pending());
        assert!(broken.collect().await.is_err());
    }

    #[test]
    fn a_version_is_read_or_named() {
        for (text, expected) in [
            ("", Ok(None)),
            ("since=7", Ok(Some(7))),
            ("since=0", Ok(Some(0))),
            ("since=", Err("since")),
            ("since=-1", Err("since")),
            ("since=07", Err("since")),
            ("since=18446744073709551616", Err("since")),
            ("since=1&since=2", Err("since")),
            ("until=1", Err("until")),
        ] {
            let found = Query::parse(text).and_then(|query| since(&query));
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.map(Version::get), expected),
                (Err(status), Err(named)) => {
                    assert_eq!(status.code(), 400, "{text}");
                    assert!(status.message.starts_with(named), "{text}: {status}");
                }
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn what_is_gone_or_ahead_is_told_with_the_parameter() {
        let (requested, other) = (Version::new(3), Version::new(9));
        for (error, code) in [
            (
                Error::Gone {
                    requested,
                    oldest: other,
                },
                410,
            ),
            (
                Error::Future {
                    requested: other,
                    current: requested,
                },
                400,
            ),
        ] {
            let status = refusal(&error);
            assert_eq!(status.code(), code);
            assert!(status.message.starts_with("since: version"), "{status}");
        }
    }
}
