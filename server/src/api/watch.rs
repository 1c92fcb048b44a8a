//! Watches: a stream of lines, one event each, from a version on.
//!
//! ```text
//! start     resourceVersion unset or 0, or sendInitialEvents: the state of now as ADDED,
//!           a bookmark that says so if one was asked for, then what follows
//!           resourceVersion N: what follows N
//! then      events as they come; bookmarks every minute if they were asked for
//! end       after timeoutSeconds, an hour at most, or 30 to 60 minutes; when the server stops; when the client goes
//! ```
//!
//! The stream is made by one task that waits for the store, the clock, the client and the stop of
//! the server at once. A client that does not read stops its own task, and nothing else: the
//! library keeps no queue for it. Reads of the past go to a blocking thread.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use annals::{Collection, Error, Event, EventKind, Filter, List, Revision, Step, Version, Watch};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use http_body_util::StreamBody;
use hyper::body::Frame;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, sleep_until};

use super::call::{Call, Subject};
use super::failure::general;
use super::read::{parse, serve};
use super::route::Route;
use crate::limits;
use crate::wire::accept::Form;
use crate::wire::list::{EventType, bookmark, error_event, event};
use crate::wire::query::ListQuery;
use crate::wire::status::Status;
use crate::wire::table::{ListMeta, Style, partial_object, table};

/// How many events are rendered at a time.
const STEP: usize = 128;
/// How many bytes of objects are rendered at a time, the last one not counted.
const STEP_BYTES: usize = 1024 * 1024;
/// How many rendered steps wait for the client.
const AHEAD: usize = 1;
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
const LIFETIME_MAX: Duration = Duration::from_secs(limits::WATCH_SECONDS as u64);

/// How many watches are open, for each client and in all.
#[derive(Default)]
pub(super) struct Count {
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_client: HashMap<String, usize>,
}

/// One open watch in the count.
struct Place {
    open: Arc<Mutex<Open>>,
    client: String,
}

impl Count {
    pub(super) fn total(&self) -> u64 {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .total as u64
    }

    fn enter(&self, client: &str) -> Result<Place, Status> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= limits::WATCHES {
            let message = format!(
                "the server has its limit of {} watches open",
                limits::WATCHES
            );
            return Err(Status::too_many_requests(message, 10));
        }
        let own = open.by_client.entry(client.to_owned()).or_default();
        if *own >= limits::WATCHES_PER_CLIENT {
            let most = limits::WATCHES_PER_CLIENT;
            let message = format!("{client:?} has its limit of {most} watches open");
            return Err(Status::too_many_requests(message, 10));
        }
        *own += 1;
        open.total += 1;
        Ok(Place {
            open: Arc::clone(&self.open),
            client: client.to_owned(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        if let Some(own) = open.by_client.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                open.by_client.remove(&self.client);
            }
        }
    }
}

/// What a watch needs besides its call.
struct Plan {
    collection: Collection,
    filter: Filter,
    form: Form,
    query: ListQuery,
    ends: Instant,
    /// What is sent before the first change: the objects of this version.
    initial: Option<Version>,
    watch: Watch,
}

/// Answers a watch.
pub(super) async fn start(call: Call) -> Result<Response, Status> {
    let place = call.api.shared.watches.enter(call.principal.name())?;
    let (call, plan) = tokio::task::spawn_blocking(move || plan(&call).map(|plan| (call, plan)))
        .await
        .map_err(|panic| Status::internal(&panic.to_string()))??;
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
    let body = StreamBody::new(Lines { receiver });
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    Ok(response)
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

fn subject(call: &Call) -> Result<Subject<'_>, Status> {
    match &call.route {
        Route::Resource(target) => call.subject(target),
        _ => Err(Status::no_such_path()),
    }
}

/// Where the watch starts, by the rules of `resourceVersion` and `sendInitialEvents`.
fn plan(call: &Call) -> Result<Plan, Status> {
    let of = subject(call)?;
    let form = call.form()?;
    let query = call.query.list()?;
    let (collection, filter) = (of.collection()?, of.filter(&query)?);
    let store = call.api.store();
    let head = store.snapshot().map_err(|error| general(&error))?.version();
    let asked = query.resource_version.unwrap_or(0);
    if asked > head.get() {
        return Err(Status::too_large_version(asked, head.get()));
    }
    let wants_initial = query.send_initial_events.unwrap_or(asked == 0);
    let from_past = asked > 0 && query.send_initial_events != Some(true);
    let after = if from_past { Version::new(asked) } else { head };
    let watch = store.watch(collection.clone(), filter.clone(), after);
    let watch = watch.map_err(|error| general(&error))?;
    Ok(Plan {
        collection,
        filter,
        form,
        ends: Instant::now() + lifetime(query.timeout_seconds),
        initial: wants_initial.then_some(head),
        query,
        watch,
    })
}

/// How long a watch lasts. Without a time of its own it ends in the second half of the longest
/// time, so that clients that came together do not all come back together.
fn lifetime(asked_seconds: Option<u64>) -> Duration {
    if let Some(seconds) = asked_seconds {
        return Duration::from_secs(seconds).min(LIFETIME_MAX);
    }
    let mut random = [0; 2];
    // Without random numbers all watches last equally long.
    let _ = getrandom::fill(&mut random);
    let share = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
    (LIFETIME_MAX / 2).mul_f64(1.0 + share)
}

/// Renders events as lines, in the form the client asked for.
struct Pen<'a> {
    of: Subject<'a>,
    form: Form,
    query: &'a ListQuery,
    /// Only the first table of a watch describes its columns.
    headers: bool,
}

impl Pen<'_> {
    fn line(&mut self, kind: EventType, object: &[u8]) -> Result<Vec<u8>, Status> {
        let shown = match self.form {
            Form::Object => return Ok(event(kind, object)),
            Form::Table(version) => {
                let headers = std::mem::take(&mut self.headers);
                let include = self.query.include_object;
                let style = Style {
                    version,
                    include,
                    headers,
                    now: Timestamp::now(),
                };
                table(
                    self.of.version,
                    style,
                    &ListMeta::default(),
                    [&parse(object)?],
                )
            }
            Form::Metadata(version) => partial_object(version, &parse(object)?),
        };
        Ok(event(kind, shown.to_string().as_bytes()))
    }

    fn initial(&mut self, revision: &Revision) -> Result<Vec<u8>, Status> {
        let served = serve(&self.of, revision, revision.version())?;
        self.line(EventType::Added, &served)
    }

    fn change(&mut self, change: &Event) -> Result<Vec<u8>, Status> {
        let kind = match change.kind {
            EventKind::Added => EventType::Added,
            EventKind::Modified => EventType::Modified,
            EventKind::Deleted => EventType::Deleted,
        };
        let served = serve(&self.of, &change.object, change.version)?;
        self.line(kind, &served)
    }

    fn bookmark(&mut self, version: Version, initial_end: bool) -> Result<Vec<u8>, Status> {
        let object = bookmark(self.of.found, version.get(), initial_end);
        self.line(EventType::Bookmark, &object)
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
            Error::Gone { requested, oldest } => {
                let message = format!("too old resource version: {requested} ({oldest})");
                End::Failed(Status::expired(message))
            }
            other => End::Failed(general(&other)),
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
    } = plan;
    let mut pen = Pen {
        of: subject(call)?,
        form,
        query: &query,
        headers: true,
    };
    let wants_bookmarks = query.allow_watch_bookmarks;
    if let Some(version) = initial {
        send_initial(call, &mut pen, (collection, filter), version, lines).await?;
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
                    send(lines, pen.bookmark(watch.version(), false)?).await?;
                }
                return Ok(());
            }
            _ = bookmarks.tick(), if wants_bookmarks => {
                send(lines, pen.bookmark(watch.version(), false)?).await?;
            }
            () = poll_fn(|context| watch.poll_ready(context)) => {
                let step;
                (watch, step) = next_step(watch).await?;
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
    //! Catches a count of watches that lets one too many in or forgets one that has ended, and a
    //! watch that outlives the longest time.
    use super::*;

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
        assert!(count.open.lock().unwrap().by_client.is_empty());
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
}
