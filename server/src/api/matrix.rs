//! The access matrix: every route, method, kind of caller and object, and what is answered.
//!
//! Catches a road that forgets to ask, and one that tells a hidden object from a missing one. The
//! match over the routes has no wildcard, so a route that is not listed here does not build; one
//! that is listed and not asked for fails a test.

mod late;
mod past;

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};

use annals::{Options, Store};

use super::route::{Review, Route, Target};
use super::{Api, indexed, routes};
use crate::access::Row;
use crate::kinds::Kinds;
use crate::net::{ADMINISTRATORS, How, Identity, Shutdown};

const DASHBOARDS: &str = "/apis/dashboard.grafana.app/v1beta1/namespaces/a/dashboards";
const FOLDERS: &str = "/apis/folder.grafana.app/v1beta1/namespaces/a/folders";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    /// By the token of the data directory.
    Admin,
    /// By a row.
    Root,
    NamespaceAdmin,
    Editor,
    Viewer,
    FolderEditor,
    FolderViewer,
    OtherTenant,
    /// Somebody without any place.
    Nobody,
    /// An editor whose row is gone.
    Revoked,
    Anonymous,
}

use Caller::{
    Admin, Anonymous, Editor, FolderEditor, FolderViewer, NamespaceAdmin, Nobody, OtherTenant,
    Revoked, Root, Viewer,
};

const CALLERS: [Caller; 11] = [
    Admin,
    Root,
    NamespaceAdmin,
    Editor,
    Viewer,
    FolderEditor,
    FolderViewer,
    OtherTenant,
    Nobody,
    Revoked,
    Anonymous,
];

/// What is asked for: in the folder of the folder callers, outside of it, or nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Object {
    Own,
    Other,
    Missing,
}

const OBJECTS: [Object; 3] = [Object::Own, Object::Other, Object::Missing];
const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

impl Caller {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn places(self) -> Value {
        let place = |role: &str, namespace: &str| json!({"role": role, "namespace": namespace});
        let folder = |role: &str| json!({"role": role, "namespace": "a", "folders": ["f"]});
        match self {
            Root => json!([{"role": "admin"}]),
            NamespaceAdmin => json!([place("admin", "a")]),
            Editor | Revoked => json!([place("editor", "a")]),
            Viewer => json!([place("viewer", "a")]),
            FolderEditor => json!([folder("editor")]),
            FolderViewer => json!([folder("viewer")]),
            OtherTenant => json!([place("admin", "b")]),
            Admin | Nobody | Anonymous => json!([]),
        }
    }

    fn is_admin(self) -> bool {
        matches!(self, Admin | Root)
    }

    fn is_known(self) -> bool {
        !matches!(self, Revoked | Anonymous)
    }

    /// Whether the caller has anything in the namespace `a`.
    fn is_member(self) -> bool {
        self.is_known() && !matches!(self, OtherTenant | Nobody)
    }

    fn writes(self) -> bool {
        !matches!(self, Viewer | FolderViewer)
    }

    fn sees(self, object: Object) -> bool {
        let by_folder = matches!(self, FolderEditor | FolderViewer);
        object == Object::Own || (object == Object::Other && !by_folder)
    }
}

struct World {
    _dir: tempfile::TempDir,
    api: Api,
    /// What the revoked caller has shown.
    stale: Option<Identity>,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let kinds = Kinds::built_in().unwrap();
        let options = Options::new().kinds(indexed(&kinds));
        let store = Store::open(dir.path(), options).unwrap();
        let api = Api::new(store, kinds, Shutdown::new()).unwrap();
        let mut world = World {
            _dir: dir,
            api,
            stale: None,
        };
        for name in ["a", "b"] {
            let namespace =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            world.make("/api/v1/namespaces", &namespace).await;
        }
        for (name, parent) in [("f", ""), ("g", "f"), ("h", "")] {
            world.make(FOLDERS, &folder(name, parent)).await;
        }
        for (name, parent) in [("own", "g"), ("other", "h")] {
            world.make(DASHBOARDS, &dashboard(name, parent)).await;
        }
        for caller in CALLERS {
            let user = json!({
                "metadata": {"name": caller.name()},
                "spec": {"places": caller.places()},
                "password": "",
            });
            if !matches!(caller, Admin | Anonymous) {
                world.make("/apis/access.annals.dev/v1/users", &user).await;
            }
        }
        world.stale = world.identity(Revoked);
        let gone = format!("/apis/access.annals.dev/v1/users/{}", Revoked.name());
        let (code, _) = world.ask(Admin, Method::DELETE, &gone, None).await;
        assert_eq!(code, 200);
        world
    }

    fn identity(&self, caller: Caller) -> Option<Identity> {
        match caller {
            Admin => Some(Identity::of_token("admin", &[ADMINISTRATORS])),
            Anonymous => None,
            Revoked if self.stale.is_some() => self.stale.clone(),
            other => {
                let state = self.api.access().state().unwrap();
                let proof = state.user(&other.name()).unwrap().proof();
                let identity = Identity::proven(other.name(), Vec::new(), How::Password, proof);
                Some(identity)
            }
        }
    }

    async fn ask(
        &self,
        caller: Caller,
        method: Method,
        path: &str,
        body: Option<(&'static str, Value)>,
    ) -> (u16, String) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some((kind, _)) = &body {
            request = request.header("content-type", *kind);
        }
        let bytes = body.map_or_else(String::new, |(_, body)| body.to_string());
        let mut request = request.body(Body::from(bytes)).unwrap();
        if let Some(identity) = self.identity(caller) {
            request.extensions_mut().insert(identity);
        }
        let service = TowerToHyperService::new(routes(self.api.clone()));
        let response = service.call(request).await.unwrap();
        let code = response.status().as_u16();
        // A watch or a backup has no end worth waiting for.
        if path.contains("watch=") || path.ends_with("/backup") {
            return (code, String::new());
        }
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (code, String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn make(&self, path: &str, object: &Value) {
        let body = Some(("application/json", object.clone()));
        let (code, text) = self.ask(Admin, Method::POST, path, body).await;
        assert_eq!(code, 201, "{path}: {text}");
    }
}

fn folder(name: &str, parent: &str) -> Value {
    json!({
        "apiVersion": "folder.grafana.app/v1beta1", "kind": "Folder",
        "metadata": {"name": name, "annotations": {"grafana.app/folder": parent}},
        "spec": {"title": name},
    })
}

fn dashboard(name: &str, parent: &str) -> Value {
    json!({
        "apiVersion": "dashboard.grafana.app/v1beta1", "kind": "Dashboard",
        "metadata": {"name": name, "annotations": {"grafana.app/folder": parent}},
        "spec": {"title": name},
    })
}

fn own(text: &str) -> String {
    text.to_owned()
}

fn target(group: &str, resource: &str, namespace: Option<&str>, name: Option<&str>) -> Route {
    let version = if group.is_empty() { "v1" } else { "v1beta1" };
    Route::Resource(Target {
        group: own(group),
        version: own(version),
        namespace: namespace.map(own),
        resource: own(resource),
        name: name.map(own),
    })
}

/// Writes the sorts of routes and the match over them from the same lines, so that neither lacks one
/// that the other has.
macro_rules! sorts {
    ($($sort:pat,)*) => {
        const SORTS: &[&str] = &[$(stringify!($sort)),*];

        /// What sort of route this is. There is no wildcard: a new route does not build until it is
        /// here, and `every_sort_of_route_is_asked_for` fails until it is in [`all_routes`].
        fn sort(route: &Route) -> &'static str {
            match route {
                $($sort => stringify!($sort),)*
            }
        }
    };
}

sorts! {
    Route::CoreVersions,
    Route::Groups,
    Route::Group(_),
    Route::Resources { .. },
    Route::OpenApi,
    Route::OpenApiOf { .. },
    Route::Resource(Target { namespace: Some(_), name: Some(_), .. }),
    Route::Resource(Target { namespace: Some(_), name: None, .. }),
    Route::Resource(Target { namespace: None, name: Some(_), .. }),
    Route::Resource(Target { namespace: None, name: None, .. }),
    Route::Search { .. },
    Route::Index,
    Route::IndexRebuild,
    Route::Check,
    Route::Compact,
    Route::History { .. },
    Route::Backup,
    Route::Accounts { row: Row::User, name: None },
    Route::Accounts { row: Row::User, name: Some(_) },
    Route::Accounts { row: Row::Token, name: None },
    Route::Accounts { row: Row::Token, name: Some(_) },
    Route::Password { .. },
    Route::Review(Review::Access),
    Route::Review(Review::Subject),
    Route::Metrics,
}

/// Every route that there is; the objects of one are filled in later.
fn all_routes() -> Vec<Route> {
    let dashboards = "dashboard.grafana.app";
    vec![
        Route::CoreVersions,
        Route::Groups,
        Route::Group(own(dashboards)),
        Route::Resources {
            group: own(dashboards),
            version: own("v1beta1"),
        },
        Route::OpenApi,
        Route::OpenApiOf {
            group: own(dashboards),
            version: own("v1beta1"),
        },
        target(dashboards, "dashboards", Some("a"), None),
        target(dashboards, "dashboards", None, None),
        target(dashboards, "dashboards", Some("a"), Some("?")),
        target("", "namespaces", None, None),
        target("", "namespaces", None, Some("?")),
        Route::Search {
            namespace: own("a"),
        },
        Route::Index,
        Route::IndexRebuild,
        Route::Check,
        Route::Compact,
        Route::History {
            namespace: own("a"),
            group: own(dashboards),
            resource: own("dashboards"),
            name: own("?"),
        },
        Route::Backup,
        Route::Accounts {
            row: Row::User,
            name: None,
        },
        Route::Accounts {
            row: Row::Token,
            name: None,
        },
        Route::Accounts {
            row: Row::User,
            name: Some(own("?")),
        },
        Route::Accounts {
            row: Row::Token,
            name: Some(own("?")),
        },
        Route::Password { user: own("?") },
        Route::Review(Review::Access),
        Route::Review(Review::Subject),
        Route::Metrics,
    ]
}

/// The path of a route, for an object of this name.
fn path(route: &Route, object: Object) -> String {
    let name = match object {
        Object::Own => "own",
        Object::Other => "other",
        Object::Missing => "missing",
    };
    match route {
        Route::CoreVersions => own("/api"),
        Route::Groups => own("/apis"),
        Route::Group(group) => format!("/apis/{group}"),
        Route::Resources { group, version } => format!("/apis/{group}/{version}"),
        Route::OpenApi => own("/openapi/v3"),
        Route::OpenApiOf { group, version } => format!("/openapi/v3/apis/{group}/{version}"),
        Route::Resource(target) => {
            let mut path = match target.group.as_str() {
                "" => format!("/api/{}", target.version),
                group => format!("/apis/{group}/{}", target.version),
            };
            if let Some(namespace) = &target.namespace {
                path.push_str(&format!("/namespaces/{namespace}"));
            }
            path.push_str(&format!("/{}", target.resource));
            if target.name.is_some() {
                let name = match (target.resource.as_str(), object) {
                    ("namespaces", Object::Own) => "a",
                    ("namespaces", Object::Other) => "b",
                    _ => name,
                };
                path.push_str(&format!("/{name}"));
            }
            path
        }
        Route::Search { namespace } => {
            format!("/apis/search.annals.dev/v1/namespaces/{namespace}/search")
        }
        Route::Index => own("/apis/search.annals.dev/v1/index"),
        Route::IndexRebuild => own("/apis/search.annals.dev/v1/index/rebuild"),
        Route::Check => own("/apis/store.annals.dev/v1/check"),
        Route::Compact => own("/apis/store.annals.dev/v1/compact"),
        Route::History {
            namespace,
            group,
            resource,
            ..
        } => {
            format!("/apis/history.annals.dev/v1/namespaces/{namespace}/{group}/{resource}/{name}")
        }
        Route::Backup => own("/apis/store.annals.dev/v1/backup"),
        Route::Accounts { row, name } => {
            let path = format!("/apis/access.annals.dev/v1/{}", row.resource());
            name.as_ref()
                .map_or(path.clone(), |_| format!("{path}/nobody.here"))
        }
        Route::Password { .. } => own("/apis/access.annals.dev/v1/users/nobody.here/password"),
        Route::Review(Review::Access) => {
            own("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
        }
        Route::Review(Review::Subject) => own("/apis/authentication.k8s.io/v1/selfsubjectreviews"),
        Route::Metrics => own("/metrics"),
    }
}

/// What is sent along.
fn body(route: &Route, method: &Method, object: Object) -> Option<(&'static str, Value)> {
    let json = "application/json";
    match (route, method) {
        (_, &Method::PATCH) => Some((
            "application/merge-patch+json",
            json!({"metadata": {"labels": {"x": "y"}}}),
        )),
        (Route::Resource(target), &Method::POST | &Method::PUT) => {
            let name = match (target.resource.as_str(), object) {
                ("namespaces", Object::Own) => "a",
                ("namespaces", Object::Other) => "b",
                (_, Object::Own) => "own",
                (_, Object::Other) => "other",
                (_, Object::Missing) => "missing",
            };
            let mut object = if target.resource == "namespaces" {
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            } else {
                dashboard(name, "g")
            };
            if *method == Method::PUT {
                object["metadata"]["resourceVersion"] = json!("1");
            }
            Some((json, object))
        }
        (Route::Compact, &Method::POST) => Some((
            json,
            json!({"group": "dashboard.grafana.app", "resource": "dashboards", "resourceVersion": "1"}),
        )),
        (Route::Review(_), _) => Some((
            json,
            json!({"spec": {"resourceAttributes": {"verb": "list", "resource": "x"}}}),
        )),
        _ => None,
    }
}

/// What must be answered; a set where more than one code says yes.
fn expected(route: &Route, method: &Method, caller: Caller, object: Object) -> &'static [u16] {
    if !caller.is_known() {
        return &[401];
    }
    let only = |wanted: &Method, codes: &'static [u16]| {
        if method == wanted { codes } else { &[405][..] }
    };
    match route {
        Route::CoreVersions
        | Route::Groups
        | Route::Group(_)
        | Route::Resources { .. }
        | Route::OpenApi
        | Route::OpenApiOf { .. } => only(&Method::GET, &[200]),
        Route::Review(_) => only(&Method::POST, &[201]),
        Route::Index
        | Route::IndexRebuild
        | Route::Check
        | Route::Compact
        | Route::Metrics
        | Route::Backup
        | Route::Accounts { .. }
        | Route::Password { .. }
            if !caller.is_admin() =>
        {
            &[403]
        }
        Route::Index | Route::Metrics | Route::Backup => only(&Method::GET, &[200]),
        Route::IndexRebuild => only(&Method::POST, &[202]),
        Route::Check | Route::Compact => only(&Method::POST, &[200]),
        Route::Accounts { name, .. } => match (method, name) {
            (&Method::GET, None) => &[200],
            (&Method::GET | &Method::DELETE, Some(_)) => &[404],
            // There is no body.
            (&Method::POST, None) | (&Method::PUT, Some(_)) => &[400],
            _ => &[405],
        },
        Route::Password { .. } => only(&Method::PUT, &[404]),
        Route::Search { .. } if !caller.is_member() => only(&Method::GET, &[403]),
        Route::Search { .. } => only(&Method::GET, &[200, 503, 504]),
        Route::History { .. } if *method != Method::GET => &[405],
        Route::History { .. } if !caller.is_member() => &[403],
        Route::History { .. } if caller.sees(object) => &[200],
        Route::History { .. } => &[404],
        Route::Resource(target) if target.resource == "namespaces" => {
            of_namespaces(target.name.is_some(), method, caller, object)
        }
        Route::Resource(target) => {
            let everywhere = target.namespace.is_none();
            of_dashboards(target.name.is_some(), everywhere, method, caller, object)
        }
    }
}

fn of_namespaces(
    is_named: bool,
    method: &Method,
    caller: Caller,
    object: Object,
) -> &'static [u16] {
    let is_own = match caller {
        Admin | Root => object != Object::Missing,
        OtherTenant => object == Object::Other,
        _ => object == Object::Own,
    };
    match (method, is_named) {
        (&Method::GET, _) if caller == Nobody => &[403],
        (&Method::GET, false) => &[200],
        (&Method::GET, true) if is_own => &[200],
        (&Method::GET, true) => &[404],
        (&Method::POST, false) if !caller.is_admin() => &[403],
        (&Method::POST, false) if object == Object::Missing => &[201],
        (&Method::POST, false) => &[409],
        (&Method::PATCH | &Method::PUT, true) => match caller {
            Admin | Root | NamespaceAdmin | OtherTenant if is_own && method == Method::PATCH => {
                &[200]
            }
            // The version in the body is an old one.
            Admin | Root | NamespaceAdmin | OtherTenant if is_own => &[409],
            Admin | Root | NamespaceAdmin | OtherTenant => &[404],
            _ => &[403],
        },
        (&Method::DELETE, true) if !caller.is_admin() => &[403],
        (&Method::DELETE, true) if is_own => &[200],
        (&Method::DELETE, true) => &[404],
        (&Method::DELETE, false) if !caller.is_admin() => &[403],
        _ => &[405],
    }
}

fn of_dashboards(
    is_named: bool,
    everywhere: bool,
    method: &Method,
    caller: Caller,
    object: Object,
) -> &'static [u16] {
    // A list over all namespaces shows what the caller sees in each.
    let is_member = caller.is_member() || (everywhere && caller == OtherTenant);
    let is_write = *method != Method::GET;
    match (method, is_named) {
        (&Method::POST, true) | (&Method::PUT | &Method::PATCH, false) => &[405],
        _ if !is_member || (is_write && !caller.writes()) => &[403],
        (&Method::GET, false) => &[200],
        (&Method::POST, false) | (&Method::DELETE, false) if everywhere => &[405],
        (&Method::DELETE, false) => &[200],
        (&Method::POST, false) if object == Object::Missing => &[201],
        (&Method::POST, false) => &[409],
        _ if !caller.sees(object) => &[404],
        // The version in the body is an old one.
        (&Method::PUT, _) => &[409],
        _ => &[200],
    }
}

#[test]
fn every_sort_of_route_is_asked_for() {
    let routes = all_routes();
    for wanted in SORTS {
        let is_there = routes.iter().any(|route| sort(route) == *wanted);
        assert!(is_there, "all_routes() lacks {wanted}");
    }
    // What is asked for by its path must come to the route that is meant.
    for route in &routes {
        let parsed = Route::parse(&path(route, Object::Own));
        let parsed = parsed.as_ref().map(sort);
        assert_eq!(parsed, Some(sort(route)), "{route:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_road_asks_who_comes() {
    let world = World::new().await;
    let mut cases = 0;
    for route in all_routes() {
        for method in METHODS {
            for caller in CALLERS {
                for object in OBJECTS {
                    let mut path = path(&route, object);
                    assert!(Route::parse(&path).is_some(), "{path}");
                    if matches!(route, Route::Resource(_)) && method != Method::GET {
                        path.push_str("?dryRun=All");
                    }
                    let body = body(&route, &method, object);
                    let (code, text) = world.ask(caller, method.clone(), &path, body).await;
                    let expected = expected(&route, &method, caller, object);
                    assert!(
                        expected.contains(&code),
                        "{method} {path} by {caller:?}: {code}, not {expected:?}: {text}"
                    );
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(
        cases,
        all_routes().len() * METHODS.len() * CALLERS.len() * OBJECTS.len()
    );
}

/// What is hidden and what is missing are answered in the same words, but for the name.
#[tokio::test(flavor = "multi_thread")]
async fn hidden_and_missing_are_answered_alike() {
    let world = World::new().await;
    for route in all_routes() {
        for method in METHODS {
            for caller in [FolderEditor, FolderViewer, OtherTenant, Nobody] {
                let mut answers = Vec::new();
                for object in [Object::Other, Object::Missing] {
                    let is_create = method == Method::POST && matches!(route, Route::Resource(_));
                    let is_own = path(&route, object).ends_with("/namespaces/b");
                    if is_create || is_own {
                        continue;
                    }
                    let mut path = path(&route, object);
                    if matches!(route, Route::Resource(_)) && method != Method::GET {
                        path.push_str("?dryRun=All");
                    }
                    let body = body(&route, &method, object);
                    let (code, text) = world.ask(caller, method.clone(), &path, body).await;
                    answers.push((
                        code,
                        text.replace("other", "NAME").replace("missing", "NAME"),
                    ));
                }
                if let [other, missing] = &answers[..]
                    && !matches!(route, Route::Metrics | Route::Review(_))
                {
                    assert_eq!(
                        other,
                        missing,
                        "{method} {} by {caller:?}",
                        path(&route, Object::Other)
                    );
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_and_a_search_hold_what_is_seen_and_no_more() {
    let world = World::new().await;
    let names = |text: &str| {
        let list: Value = serde_json::from_str(text).unwrap();
        let items = list.get("items").or_else(|| list.get("hits")).unwrap();
        let name = |item: &Value| {
            let name = item.pointer("/metadata/name").or_else(|| item.get("name"));
            name.and_then(Value::as_str).unwrap().to_owned()
        };
        let mut names: Vec<String> = items.as_array().unwrap().iter().map(name).collect();
        names.sort();
        names
    };
    let search = "/apis/search.annals.dev/v1/namespaces/a/search?minVersion=latest&facet=folder";
    for (caller, dashboards, folders) in [
        (Admin, &["other", "own"][..], &["f", "g", "h"][..]),
        (Viewer, &["other", "own"], &["f", "g", "h"]),
        (FolderViewer, &["own"], &["f", "g"]),
        (FolderEditor, &["own"], &["f", "g"]),
    ] {
        let get = async |path: &str| {
            let (code, text) = world.ask(caller, Method::GET, path, None).await;
            assert_eq!(code, 200, "{path}: {text}");
            text
        };
        assert_eq!(names(&get(DASHBOARDS).await), dashboards, "{caller:?}");
        assert_eq!(names(&get(FOLDERS).await), folders, "{caller:?}");
        let paged = format!("{DASHBOARDS}?limit=1");
        let page: Value = serde_json::from_str(&get(&paged).await).unwrap();
        let left = page.pointer("/metadata/remainingItemCount");
        assert_eq!(
            left.and_then(Value::as_u64),
            (dashboards.len() > 1).then_some(dashboards.len() as u64 - 1)
        );
        let text = get(search).await;
        let mut all: Vec<&str> = dashboards.iter().chain(folders).copied().collect();
        all.sort_unstable();
        assert_eq!(names(&text), all, "{caller:?}");
        let found: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(found["totalHits"], all.len());
        assert_eq!(text.contains("\"h\""), all.contains(&"h"), "{text}");
    }
}
