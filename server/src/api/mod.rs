//! The Kubernetes API over the store: from an authenticated request to its answer.
//!
//! `cli::serve` builds an [`Api`] and puts [`routes`] behind the door. A request becomes a
//! `call::Call`: its path read by `route`, its query and headers by `wire`. Everything that touches
//! the store runs on a blocking thread; only watches are asynchronous.
//!
//! | file | answers |
//! | --- | --- |
//! | `route` | what a path means |
//! | `call` | one request, and what it may be answered with |
//! | `read` | get and list; `token` carries a list from page to page |
//! | `past` | lists of revisions and of the trash |
//! | `watch` | watches |
//! | `write` | create, update, patch; `object` is what the server makes of a body |
//! | `delete` | delete and deletecollection; `namespace` is the life of a namespace |
//! | `backup` | pieces of a backup, as a stream |
//! | `search` | search, history, the state of the index |
//! | `check` | whether the store is whole |
//! | `compact` | how far back a kind can be read |
//! | `lives` | which lives of a name a caller sees |
//! | `guard` | what the caller may do and see, for all the others |
//! | `account` | users and tokens, for administrators |
//! | `folder` | where a folder may stand, and when it may go |
//! | `review` | what a caller asks about itself |
//! | `failure` | the store's errors as answers |
//!
//! Invariants: nothing is written that its schema refuses; a dry run goes the whole way and writes
//! nothing; every error is a Status on one line; nothing is answered before `guard` was asked.
//! Absent on purpose: subresources, server-side apply.

mod account;
mod answer;
mod backup;
mod call;
mod check;
mod compact;
mod delete;
mod failure;
mod folder;
mod guard;
mod lives;
#[cfg(test)]
mod matrix;
mod namespace;
mod object;
mod page;
mod past;
mod read;
mod review;
mod route;
mod search;
mod token;
mod watch;
mod write;

use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use annals::{Kind, Store};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::time::timeout;

use crate::access::{Access, Desk};
use crate::kinds::{Kinds, ServedKind};
use crate::limits;
use crate::net::{Logins, Shutdown};
use crate::wire::openapi;
use crate::wire::status::Status;

pub(crate) use object::OWN_BYTES;

/// What every request needs. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    kinds: Kinds,
    shutdown: Shutdown,
    /// The OpenAPI documents, rendered when the first client asks.
    documents: OnceLock<Vec<openapi::Document>>,
    watches: watch::Count,
    backups: backup::Places,
    access: Arc<Access>,
    /// Whoever changes rules or folders has it alone; whoever writes by them shares it from the
    /// judgement to the commit. So nothing is written by rules that no longer hold.
    order: RwLock<()>,
}

impl Api {
    /// An API over this store. Writes the namespace `default` if there is none, and goes on with
    /// the deletion of namespaces that a stop interrupted.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn new(store: Store, kinds: Kinds, shutdown: Shutdown) -> Result<Self, annals::Error> {
        let documents = OnceLock::new();
        let watches = watch::Count::default();
        let access = Arc::new(Access::new(store.clone()));
        let shared = Arc::new(Shared {
            store,
            kinds,
            shutdown,
            documents,
            watches,
            backups: backup::Places::default(),
            access,
            order: RwLock::default(),
        });
        let api = Api { shared };
        namespace::prepare(&api)?;
        Ok(api)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Who knows the users and tokens of the store, for the gate.
    ///
    /// # Errors
    /// When there are no random numbers.
    pub fn logins(&self) -> Result<Arc<dyn Logins>, String> {
        Ok(Arc::new(Desk::new(Arc::clone(&self.shared.access))?))
    }

    fn access(&self) -> &Access {
        &self.shared.access
    }

    pub(crate) fn kinds(&self) -> &Kinds {
        &self.shared.kinds
    }

    fn documents(&self) -> &[openapi::Document] {
        self.shared
            .documents
            .get_or_init(|| openapi::documents(&self.shared.kinds))
    }
}

/// The routes of the API. Whoever comes here has an identity.
pub fn routes(api: Api) -> Router {
    Router::new().fallback(serve).with_state(api)
}

async fn serve(State(api): State<Api>, request: Request) -> Response {
    match answer(api, request).await {
        Ok(response) => response,
        Err(status) => answer::failure(&status),
    }
}

async fn answer(api: Api, request: Request) -> Result<Response, Status> {
    let call = call::read(api, request).await?;
    if call.is_watch()? {
        return watch::start(call).await;
    }
    if call.is_backup() {
        return backup::start(call).await;
    }
    let work = move || call.answer()?.packed(call.takes_gzip);
    let answer = within(REQUEST_TIME_MAX, work).await?;
    answer.map(answer::Answer::into_response)
}

/// How long a request other than a watch may take.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(limits::REQUEST_SECONDS as u64);

/// Runs a handler on a blocking thread. What takes too long goes on there, but nobody waits.
async fn within<T: Send + 'static>(
    time_max: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    match timeout(time_max, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(panic)) => {
            tracing::error!(%panic, "a handler panicked");
            Err(Status::internal("the handler panicked"))
        }
        Err(_) => Err(Status::timeout("the request did not finish in time")),
    }
}

/// The kinds of the store's index, as the manifests declare them.
#[must_use]
pub fn indexed(kinds: &Kinds) -> Vec<Kind> {
    let is_indexed = |kind: &&ServedKind| !kind.group.is_empty();
    kinds.iter().filter(is_indexed).map(indexed_kind).collect()
}

fn indexed_kind(kind: &ServedKind) -> Kind {
    Kind {
        group: kind.group.clone(),
        version: kind.storage().name.clone(),
        kind: kind.names.kind.clone(),
        resource: kind.names.plural.clone(),
        search_fields: kind.search_fields.clone(),
    }
}

#[cfg(test)]
mod tests {
    //! Catches a handler that holds its caller for ever, or takes the server down with it.
    use super::*;

    #[tokio::test]
    async fn a_request_that_does_not_end_is_answered() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let status = within(Duration::from_millis(1), move || held.recv())
            .await
            .unwrap_err();
        assert_eq!(status.code(), 504);
        drop(release);
        assert_eq!(within(REQUEST_TIME_MAX, || 7).await, Ok(7));
        let status = within(REQUEST_TIME_MAX, || panic!("planted")).await;
        assert_eq!(status.map(|(): ()| 0).unwrap_err().code(), 500);
    }
}
