//! One request: what it asks for, in which form, and with which body.

use annals::{Collection, Filter, Key, LabelSelector, ObjectField, Principal, Snapshot};
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderName, Method, header};

use super::answer::Answer;
use super::failure::general;
use super::route::{Route, Target};
use super::{Api, account, check, compact, delete, page, read, review, search, write};
use crate::kinds::{Found, KindVersion, ServedKind};
use crate::net::{ADMINISTRATORS, BODY_BYTES_MAX, BODY_TIME_MAX, Identity, read_body};
use crate::wire::accept::{Form, negotiate, plain_body, takes_gzip};
use crate::wire::past;
use crate::wire::query::{ListQuery, Query};
use crate::wire::status::Status;
use annals::access::Verb;

/// A request, read.
pub(super) struct Call {
    pub(super) api: Api,
    pub(super) method: Method,
    pub(super) route: Route,
    pub(super) query: Query,
    pub(super) accept: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) if_none_match: Option<String>,
    /// Whether the answer may be compressed.
    pub(super) takes_gzip: bool,
    pub(super) path: String,
    pub(super) identity: Identity,
    pub(super) principal: Principal,
    /// Whether the caller is an administrator.
    pub(super) is_admin: bool,
    pub(super) body: Bytes,
}

/// Reads a request to its end.
pub(super) async fn read(api: Api, request: Request) -> Result<Call, Status> {
    let (parts, body) = request.into_parts();
    let route = Route::parse(parts.uri.path()).ok_or_else(Status::no_such_path)?;
    let query = Query::parse(parts.uri.query().unwrap_or_default())?;
    let text = |name: HeaderName| {
        let value = parts.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let identity = parts.extensions.get::<Identity>();
    let identity = identity.cloned().ok_or_else(Status::unauthorized)?;
    plain_body(text(header::CONTENT_ENCODING).as_deref())?;
    let body = read_body(body, BODY_BYTES_MAX, BODY_TIME_MAX)
        .await
        .map_err(|error| {
            use crate::net::BodyError;
            match error {
                BodyError::TooLarge(limit) => Status::too_large("the request body", limit),
                BodyError::TooSlow(_) => Status::timeout(error.to_string()),
                BodyError::Broken(_) => Status::bad_request(error.to_string()),
            }
        })?;
    // The body may have taken its time.
    let principal = admit(&api, &identity).await?;
    Ok(Call {
        api,
        route,
        query,
        accept: text(header::ACCEPT),
        content_type: text(header::CONTENT_TYPE),
        if_none_match: text(header::IF_NONE_MATCH),
        takes_gzip: takes_gzip(text(header::ACCEPT_ENCODING).as_deref()),
        path: parts.uri.path().to_owned(),
        is_admin: principal.is_administrator(),
        identity,
        principal,
        method: parts.method,
        body,
    })
}

/// Whether the caller is an administrator whom no row can take back.
pub(super) fn is_fixed(identity: &Identity) -> bool {
    identity.proof.is_none() && identity.is_in(ADMINISTRATORS)
}

/// Who the caller is by now. For the administrator nothing is read; the thread is changed only when
/// users or folders have just changed.
async fn admit(api: &Api, identity: &Identity) -> Result<Principal, Status> {
    if is_fixed(identity) {
        return Ok(Principal::new(&identity.user).administrator());
    }
    if let Some(state) = api.access().state_at_hand() {
        return state.admit(identity).ok_or_else(Status::unauthorized);
    }
    let (api, identity) = (api.clone(), identity.clone());
    let admitted = tokio::task::spawn_blocking(move || api.admit(&identity));
    let admitted = admitted
        .await
        .map_err(|panic| Status::internal(&panic.to_string()))?;
    let admitted = admitted.map_err(|error| general(&error))?;
    admitted.ok_or_else(Status::unauthorized)
}

impl Call {
    /// Whether this is a watch of a collection.
    pub(super) fn is_watch(&self) -> Result<bool, Status> {
        match &self.route {
            Route::Resource(Target { name: None, .. }) if self.method == Method::GET => {
                Ok(self.query.list()?.watch)
            }
            _ => Ok(false),
        }
    }

    /// Whether a piece of a backup is asked for.
    pub(super) fn is_backup(&self) -> bool {
        self.route == Route::Backup && self.method == Method::GET
    }

    /// Answers everything that is held in memory: not a watch, nor a backup. Blocks.
    pub(super) fn answer(&self) -> Result<Answer, Status> {
        match &self.route {
            Route::Resource(target) => self.resource(target),
            Route::Search { namespace } => {
                self.only(&Method::GET, || search::search(self, namespace))
            }
            Route::Index
            | Route::IndexRebuild
            | Route::Check
            | Route::Compact
            | Route::Metrics
            | Route::Accounts { .. }
            | Route::Password { .. }
            | Route::Backup
                if !self.is_admin =>
            {
                Err(self.only_administrators())
            }
            Route::Index => self.only(&Method::GET, || search::index(self)),
            Route::IndexRebuild => self.only(&Method::POST, || search::rebuild(self)),
            Route::Check => self.only(&Method::POST, || check::check(self)),
            Route::Compact => self.only(&Method::POST, || compact::compact(self)),
            Route::Accounts { row, name } => account::answer(self, *row, name.as_deref()),
            Route::Password { user } => self.only(&Method::PUT, || account::passwd(self, user)),
            Route::Review(review) => self.only(&Method::POST, || review::answer(self, *review)),
            Route::History {
                namespace,
                group,
                resource,
                name,
            } => self.only(&Method::GET, || {
                search::history(self, namespace, group, resource, name)
            }),
            Route::Backup => Err(Status::method_not_allowed()),
            Route::CoreVersions
            | Route::Groups
            | Route::Group(_)
            | Route::Resources { .. }
            | Route::OpenApi
            | Route::OpenApiOf { .. }
            | Route::Metrics => self.only(&Method::GET, || page::page(self)),
        }
    }

    fn only(
        &self,
        method: &Method,
        answer: impl FnOnce() -> Result<Answer, Status>,
    ) -> Result<Answer, Status> {
        if self.method == *method {
            answer()
        } else {
            Err(Status::method_not_allowed())
        }
    }

    fn resource(&self, target: &Target) -> Result<Answer, Status> {
        let of = self.subject(target)?;
        let name = target.name.as_deref();
        let verb = verb(&self.method, name).ok_or_else(Status::method_not_allowed)?;
        self.enter(verb, &of, name.unwrap_or_default())?;
        let turn = (self.method != Method::GET).then(|| self.turn(&of));
        let _turn = turn.transpose()?;
        match (&self.method, name) {
            (&Method::GET, None) => read::list(self, &of),
            (&Method::GET, Some(name)) => read::get(self, &of, name),
            (&Method::POST, None) => write::create(self, &of),
            (&Method::PUT, Some(name)) => write::update(self, &of, name),
            (&Method::PATCH, Some(name)) => write::patch(self, &of, name),
            (&Method::DELETE, Some(name)) => delete::delete(self, &of, name),
            (&Method::DELETE, None) => delete::delete_collection(self, &of),
            _ => Err(Status::method_not_allowed()),
        }
    }

    /// The kind that a target names, and where.
    pub(super) fn subject<'a>(&'a self, target: &'a Target) -> Result<Subject<'a>, Status> {
        let Target {
            group,
            version,
            namespace,
            resource,
            name,
        } = target;
        let found = self.api.kinds().find(group, version, resource);
        let found = found.ok_or_else(Status::no_such_path)?;
        let fits = match (found.kind.is_namespaced(), namespace) {
            (true, None) => name.is_none(),
            (false, Some(_)) => false,
            _ => true,
        };
        if !fits {
            return Err(Status::no_such_path());
        }
        let (kind, version) = (found.kind, found.version);
        Ok(Subject {
            found,
            kind,
            version,
            namespace: namespace.as_deref(),
        })
    }

    /// The newest state of the store.
    pub(super) fn snapshot(&self) -> Result<Snapshot, Status> {
        let snapshot = self.api.store().snapshot();
        snapshot.map_err(|error| general(&error))
    }

    /// The form of the answer.
    pub(super) fn form(&self) -> Result<Form, Status> {
        negotiate(self.accept.as_deref())
    }
}

/// What a method means for a collection or an object; nothing, if it is not allowed.
fn verb(method: &Method, name: Option<&str>) -> Option<Verb> {
    match (method, name) {
        (&Method::GET, None) => Some(Verb::List),
        (&Method::GET, Some(_)) => Some(Verb::Get),
        (&Method::POST, None) => Some(Verb::Create),
        (&Method::PUT, Some(_)) => Some(Verb::Update),
        (&Method::PATCH, Some(_)) => Some(Verb::Patch),
        (&Method::DELETE, Some(_)) => Some(Verb::Delete),
        (&Method::DELETE, None) => Some(Verb::DeleteCollection),
        _ => None,
    }
}

/// A kind in one version, and the namespace if the path named one.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) found: Found<'a>,
    pub(super) kind: &'a ServedKind,
    pub(super) version: &'a KindVersion,
    pub(super) namespace: Option<&'a str>,
}

impl Subject<'_> {
    /// Whether the kind is the namespace itself.
    pub(super) fn is_namespace(&self) -> bool {
        self.kind.group.is_empty() && self.kind.names.kind == "Namespace"
    }

    /// The `apiVersion` that objects are shown in.
    pub(super) fn api_version(&self) -> String {
        self.kind.api_version(&self.version.name)
    }

    /// The key of an object of this kind. A name that no object can have is not found.
    pub(super) fn key(&self, name: &str) -> Result<Key, Status> {
        let (group, resource) = (&self.kind.group, &self.kind.names.plural);
        Key::new(group, resource, self.namespace.unwrap_or_default(), name)
            .map_err(|_| Status::not_found(self.kind, name))
    }

    /// The collection in its namespace, or in all.
    pub(super) fn collection(&self) -> Result<Collection, Status> {
        let (group, resource) = (&self.kind.group, &self.kind.names.plural);
        let collection = match (self.kind.is_namespaced(), self.namespace) {
            (true, None) => Collection::of(group, resource),
            (_, namespace) => Collection::within(group, resource, namespace.unwrap_or_default()),
        };
        collection.map_err(|error| Status::bad_request(error.to_string()))
    }

    /// The filter of a list of what is there, of a watch or of a deletecollection.
    pub(super) fn filter(&self, query: &ListQuery) -> Result<Filter, Status> {
        let filter = self.selectors(query)?;
        if let Some(label) = past::command(&filter.labels) {
            let message = format!("labelSelector: {label} can be listed, not watched or deleted");
            return Err(Status::bad_request(message));
        }
        Ok(filter)
    }

    /// The selectors of a request as a filter.
    pub(super) fn selectors(&self, query: &ListQuery) -> Result<Filter, Status> {
        let labels: LabelSelector = query.label_selector.parse().map_err(|error| {
            Status::bad_request(format!("unable to parse requirement: {error}"))
        })?;
        let fields = query.field_selector.clone();
        let by_namespace = fields
            .iter()
            .any(|test| test.field == ObjectField::Namespace);
        if by_namespace && !self.kind.is_namespaced() {
            return Err(Status::bad_request(
                "field label not supported: metadata.namespace",
            ));
        }
        Ok(Filter {
            labels,
            fields,
            ..Filter::default()
        })
    }
}
