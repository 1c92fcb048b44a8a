//! Watches: a stream of lines, one event each, from a version on.
//!
//! ```text
//! start     as `plan` reads the parameters: with the state of now as ADDED, and a bookmark that
//!           says so if one was asked for, or after a version
//! then      events as they come; bookmarks every minute if they were asked for
//!           only what the caller sees; an object that moves out of sight is DELETED, one that moves
//!           into it ADDED
//! end       after timeoutSeconds, an hour at most, or 30 to 60 minutes; when the server stops;
//!           when the client goes; when the version it is at is no longer kept;
//!           when the caller is no longer let in, or sees another part of the store: with 410, so
//!           that clients list anew
//! ```
//!
//! The stream is made by one task that waits for the store, the clock, the client and the stop of
//! the server at once. A client that does not read stops its own task, and nothing else: the
//! library keeps no queue for it. Reads of the past go to a blocking thread.
//!
//! A stream that has begun, and one that would have to begin at a version that is no longer kept,
//! ends with an event of the type ERROR that holds the Status; every other refusal is an answer
//! without a stream.

mod count;
mod guard;
mod pen;
mod plan;

use std::convert::Infallible;
use std::future::poll_fn;
use std::time::Duration;

use annals::{Collection, Error, Event, Filter, List, Step, Version, Watch};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, sleep_until};

use super::call::Call;
use crate::wire::list::error_event;
use crate::wire::status::{Reason, Status};

pub(super) use count::Count;

use guard::Guard;
use pen::Pen;
use plan::{Plan, plan, subject};

/// How many events are rendered at a time.
const STEP: usize = 128;
/// How many bytes of objects are rendered at a time, the last one not counted.
const STEP_BYTES: usize = 1024 * 1024;
/// How many rendered steps wait for the client.
const AHEAD: usize = 1;
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// Answers a watch.
pub(super) async fn start(call: Call) -> Result<Response, Status> {
    let place = call.api.shared.watches.enter(call.principal.name())?;
    let planned = tokio::task::spawn_blocking(move || plan(&call).map(|plan| (call, plan)))
        .await
        .map_err(|panic| Status::internal(&panic.to_string()))?;
    let (call, plan) = match planned {
        Ok(planned) => planned,
        Err(status) => return refused(&status),
    };
    let (sender, receiver) = mpsc::channel(AHEAD);
    let shutdown = call.api.shared.shutdown.clone();
    tokio::spawn(async move {
        let ends = plan.ends;
        tokio::select! {
            () = run(call, plan, &sender) => {}
            () = sender.closed() => {}
            () = shutdown.begun() => {}
            // A client that does not read must not hold its place for ever.
            () = sleep_until(ends + Duration::from_secs(5)) => {}
        }
        drop(place);
    });
    Ok(stream(Body::new(StreamBody::new(Lines { receiver }))))
}

/// The answer to a watch that cannot begin. Informers expect to hear in the stream that a version
/// is no longer kept, and list anew then; other refusals are told by the status line.
fn refused(status: &Status) -> Result<Response, Status> {
    match status.reason {
        Reason::Expired => Ok(stream(Body::from(error_event(status)))),
        _ => Err(status.clone()),
    }
}

fn stream(body: Body) -> Response {
    let mut response = Response::new(body);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

struct Lines {
    receiver: mpsc::Receiver<Bytes>,
}

impl futures_core::Stream for Lines {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.receiver
            .poll_recv(context)
            .map(|next| next.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Why the stream ends.
enum End {
    /// The client has gone, or the store.
    Quiet,
    Failed(Status),
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        End::Failed(status)
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error {
            Error::Closed => End::Quiet,
            other => End::Failed(plan::refuse(&other)),
        }
    }
}

async fn run(call: Call, plan: Plan, lines: &mpsc::Sender<Bytes>) {
    if let Err(End::Failed(status)) = follow(&call, plan, lines).await {
        // The status line has long been sent: the error is an event.
        let _ = lines.send(error_event(&status).into()).await;
    }
}

async fn follow(call: &Call, plan: Plan, lines: &mpsc::Sender<Bytes>) -> Result<(), End> {
    let Plan {
        collection,
        filter,
        form,
        query,
        ends,
        initial,
        mut watch,
        mut guard,
    } = plan;
    let scope = filter.scope.clone();
    let mut pen = Pen::new(subject(call)?, form, &query);
    let wants_bookmarks = query.allow_watch_bookmarks;
    if let Some(version) = initial {
        let asked = (collection, filter);
        send_initial(call, &mut pen, &guard, asked, version, lines).await?;
        if wants_bookmarks && query.send_initial_events == Some(true) {
            send(lines, pen.bookmark(version, true)?).await?;
        }
    }
    let mut bookmarks = interval_at(Instant::now() + BOOKMARK_EVERY, BOOKMARK_EVERY);
    loop {
        tokio::select! {
            biased;
            () = sleep_until(ends) => {
                if wants_bookmarks {
                    let version = watch.version();
                    guard.check(call, &scope, version).await?;
                    send(lines, pen.bookmark(version, false)?).await?;
                }
                return Ok(());
            }
            // Who goes on from a bookmark must not miss that it sees another part of the store.
            _ = bookmarks.tick(), if wants_bookmarks => {
                let version = watch.version();
                guard.check(call, &scope, version).await?;
                send(lines, pen.bookmark(version, false)?).await?;
            }
            () = poll_fn(|context| guard.poll(context)) => guard.renew(call, &scope).await?,
            () = poll_fn(|context| watch.poll_ready(context)) => {
                let step;
                (watch, step) = next_step(watch).await?;
                if let Some(last) = step.last() {
                    guard.check(call, &scope, last.version).await?;
                }
                let rendered: Vec<Vec<u8>> =
                    step.iter().map(|change| pen.change(change)).collect::<Result<_, _>>()?;
                if !rendered.is_empty() {
                    send(lines, rendered.concat()).await?;
                }
            }
        }
    }
}

async fn send(lines: &mpsc::Sender<Bytes>, line: Vec<u8>) -> Result<(), End> {
    lines.send(line.into()).await.map_err(|_| End::Quiet)
}

/// What there was at a version, as events.
async fn send_initial(
    call: &Call,
    pen: &mut Pen<'_>,
    guard: &Guard,
    (collection, filter): (Collection, Filter),
    version: Version,
    lines: &mpsc::Sender<Bytes>,
) -> Result<(), End> {
    let snapshot = call.api.store().snapshot_at(version)?;
    let mut after = None;
    loop {
        let list = List::new(collection.clone())
            .filter(filter.clone())
            .limit(STEP)
            .after(after);
        let from = snapshot.clone();
        let page = blocking(move || from.list(&list)).await??;
        let rendered: Vec<Vec<u8>> = page
            .items
            .iter()
            .map(|item| pen.initial(item))
            .collect::<Result<_, _>>()?;
        guard.check(call, &filter.scope, version).await?;
        if !rendered.is_empty() {
            send(lines, rendered.concat()).await?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// The next events that are there. What is on disk is read on a blocking thread, a piece at a
/// time, so that a watch of few objects in a long log leaves the thread to others.
async fn next_step(mut watch: Watch) -> Result<(Watch, Vec<Event>), End> {
    if !watch.is_behind() {
        let events = take(&mut watch)?;
        return Ok((watch, events));
    }
    let step = blocking(move || {
        let events = take(&mut watch);
        (watch, events)
    });
    let (watch, events) = step.await?;
    Ok((watch, events?))
}

/// Events for one step, up to its limits, or until the log has to be read further.
fn take(watch: &mut Watch) -> Result<Vec<Event>, Error> {
    let (mut events, mut bytes) = (Vec::new(), 0);
    while events.len() < STEP && bytes < STEP_BYTES {
        match watch.step()? {
            Step::Event(event) => {
                bytes += event.object.body().len();
                events.push(event);
            }
            Step::Looked if watch.is_behind() => break,
            Step::Looked => {}
            Step::CaughtUp => break,
        }
    }
    Ok(events)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, End> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panic| End::Failed(Status::internal(&panic.to_string())))
}

#[cfg(test)]
mod tests {
    //! Catches a count of watches that lets one too many in or forgets one that has ended, a watch
    //! that outlives the longest time, and one that cannot begin and says so where its client does
    //! not listen.
    use http_body_util::BodyExt;
    use serde_json::Value;

    use super::plan::{LIFETIME_MAX, lifetime};
    use super::*;
    use crate::limits;

    #[test]
    fn the_watches_of_all_clients_are_counted() {
        let count = Count::default();
        let clients = limits::WATCHES / limits::WATCHES_PER_CLIENT;
        let mut places = Vec::new();
        for client in 0..clients {
            let client = format!("client {client}");
            let enter = || count.enter(&client);
            places.extend((0..limits::WATCHES_PER_CLIENT).map(|_| enter().unwrap()));
            assert_eq!(enter().err().map(|status| status.code()), Some(429));
        }
        assert_eq!(count.total(), limits::WATCHES as u64);
        for _ in 0..1_000 {
            let status = count.enter("a new client").err().unwrap();
            assert_eq!(status.code(), 429);
            assert!(status.message.contains("watches open"), "{status}");
        }
        places.pop();
        places.push(count.enter("a new client").unwrap());
        assert!(count.enter("a new client").is_err());
        drop(places);
        assert_eq!(count.total(), 0);
    }

    #[test]
    fn a_watch_ends_within_the_longest_time() {
        let most = limits::WATCH_SECONDS as u64;
        for (asked, expected) in [(1, 1), (most, most), (most + 1, most), (u64::MAX, most)] {
            assert_eq!(lifetime(Some(asked)), Duration::from_secs(expected));
        }
        for _ in 0..1_000 {
            let unasked = lifetime(None);
            assert!(LIFETIME_MAX / 2 <= unasked && unasked <= LIFETIME_MAX);
        }
    }

    #[tokio::test]
    async fn a_version_that_is_gone_is_told_in_the_stream() {
        let gone = Error::Gone {
            requested: Version::new(3),
            oldest: Version::new(9),
        };
        let status = plan::refuse(&gone);
        let (head, body) = refused(&status).unwrap().into_parts();
        assert_eq!(head.status, 200);
        assert_eq!(head.headers[header::CONTENT_TYPE], "application/json");
        let bytes = body.collect().await.unwrap().to_bytes();
        assert!(bytes.ends_with(b"}\n") && bytes.iter().filter(|b| **b == b'\n').count() == 1);
        let event: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(event["type"], "ERROR");
        assert_eq!(event["object"], status.to_value());
        // A stream that has begun ends with the same words.
        match End::from(gone) {
            End::Failed(ended) => assert_eq!(ended, status),
            End::Quiet => panic!("it ended without a word"),
        }
    }

    #[test]
    fn other_refusals_are_answers() {
        for status in [
            Status::too_large_version(9, 3),
            Status::bad_request("no"),
            Status::service_unavailable("no"),
        ] {
            assert_eq!(refused(&status).unwrap_err(), status);
        }
        assert!(matches!(End::from(Error::Closed), End::Quiet));
    }
}
