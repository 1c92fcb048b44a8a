//! What it costs that not everybody sees everything: a get through the server by callers of whom
//! more and more is asked, a list of 500 of which not all is seen, and the making of a scope.
//!
//! The gets go through the door and the API in this process, without a socket or TLS, so what is
//! asked of the caller weighs more here than for a client.

use std::time::{Duration, Instant};

use annals::access::{Authorizer, Place, Role, Rules, Verb};
use annals::{Collection, Filter, Key, List, Options, Principal, Scope, Store, Write};
use annals_bench::{KIND, body, name, print_ratio};
use annals_server::api::{Api, routes};
use annals_server::kinds::Kinds;
use annals_server::net::{ADMINISTRATORS, Gate, Identity, Shutdown, TokenHash, door};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const OBJECTS: u64 = 100_000;
const PAGE: usize = 500;
const FOLDERS: u64 = 10_000;

const DASHBOARDS: &str = "/apis/dashboard.grafana.app/v1beta1/namespaces/default/dashboards";
const USERS: &str = "/apis/access.annals.dev/v1/users";
const TOKENS: &str = "/apis/access.annals.dev/v1/tokens";
/// Dashboards behind the server. Each is a durable write.
const SERVED: u64 = 64;

/// The administrator, as the gate knows it.
fn administrator() -> Identity {
    Identity::of_token("admin", &[ADMINISTRATORS])
}

async fn ask(app: &Router, request: Request<Body>) -> (u16, Bytes) {
    let service = TowerToHyperService::new(app.clone());
    let response = service.call(request).await.expect("an answer");
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body");
    (code, body.to_bytes())
}

/// A server in this process.
struct Site {
    /// Behind the gate: who comes here has an identity.
    inside: Router,
    /// Before the gate.
    outside: Router,
}

impl Site {
    fn new(store: Store) -> Self {
        let kinds = Kinds::built_in().expect("kinds");
        let api = Api::new(store, kinds, Shutdown::new()).expect("an API");
        let gate = Gate::new(vec![(TokenHash::of(b"of-the-admin"), administrator())]);
        let gate = gate.with_logins(api.logins().expect("logins"));
        let inside = routes(api);
        let outside = door(inside.clone(), gate);
        Site { inside, outside }
    }

    /// Makes an object as the administrator.
    async fn make(&self, path: &str, object: &Value) -> Value {
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request.header("content-type", "application/json");
        let mut request = request.body(object.to_string().into()).expect("a request");
        request.extensions_mut().insert(administrator());
        let (code, text) = ask(&self.inside, request).await;
        assert_eq!(code, 201, "{}", String::from_utf8_lossy(&text));
        serde_json::from_slice(&text).expect("an object")
    }

    /// A token that has this place.
    async fn token(&self, user: &str, place: Value) -> String {
        let user = json!({
            "metadata": {"name": user}, "spec": {"places": [place]}, "password": "",
        });
        self.make(USERS, &user).await;
        let name = &user["metadata"]["name"];
        let token = json!({"metadata": {"name": name}, "spec": {"user": name}});
        let made = self.make(TOKENS, &token).await;
        made["token"].as_str().expect("a token").to_owned()
    }

    async fn get(&self, token: Option<&str>, number: u64) {
        let uri = format!("{DASHBOARDS}/{}", name(number));
        let request = Request::builder().uri(uri);
        let code = if let Some(token) = token {
            let request = request.header("authorization", format!("Bearer {token}"));
            let request = request.body(Body::empty()).expect("a request");
            ask(&self.outside, request).await.0
        } else {
            let mut request = request.body(Body::empty()).expect("a request");
            request.extensions_mut().insert(administrator());
            ask(&self.inside, request).await.0
        };
        assert_eq!(code, 200);
    }
}

fn get(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let site = Site::new(open(folder.path()));
    let (viewer, folder_viewer) = runtime.block_on(async {
        for number in 0..SERVED {
            let mut dashboard: Value = serde_json::from_slice(&body(number)).expect("JSON");
            dashboard["apiVersion"] = json!("dashboard.grafana.app/v1beta1");
            dashboard["kind"] = json!("Dashboard");
            dashboard["metadata"]["annotations"] = json!({"grafana.app/folder": "f"});
            site.make(DASHBOARDS, &dashboard).await;
        }
        let place = json!({"role": "viewer", "namespace": "default"});
        let viewer = site.token("viewer", place).await;
        let place = json!({"role": "viewer", "namespace": "default", "folders": ["f"]});
        (viewer, site.token("folder-viewer", place).await)
    });
    let title = "get through the API";
    let mut group = criterion.benchmark_group(title);
    let ways = [
        ("nobody asked", None),
        ("administrator", Some("of-the-admin")),
        ("viewer", Some(viewer.as_str())),
        ("viewer of a folder", Some(folder_viewer.as_str())),
    ];
    for (way, token) in ways {
        group.bench_function(BenchmarkId::from_parameter(way), |bencher| {
            bencher.iter_custom(|gets| {
                runtime.block_on(async {
                    let start = Instant::now();
                    for number in 0..gets {
                        site.get(token, number % SERVED).await;
                    }
                    start.elapsed()
                })
            });
        });
    }
    group.finish();
    for (way, _) in &ways[1..] {
        print_ratio(title, way, ways[0].0);
    }
    print_ratio(title, "viewer", "administrator");
}

fn open(folder: &std::path::Path) -> Store {
    let options = Options::new().index(false).cache_bytes(1 << 30);
    Store::open(folder, options).expect("a store")
}

/// Rules with these folders in one namespace, each with its parent, and a viewer of some.
fn rules(folders: impl Iterator<Item = (String, String)>, below: &[String]) -> Rules {
    let mut rules = Rules::new("folder.grafana.app", "folders");
    for (folder, parent) in folders {
        rules.put_folder("default", &folder, Some(&parent));
    }
    let place = Place {
        role: Role::Viewer,
        namespace: Some("default".to_owned()),
        folders: below.to_vec(),
    };
    rules.set("ann", &[place]);
    rules
}

fn scope(rules: &Rules) -> Scope {
    rules.scope(&Principal::new("ann"), Verb::List, &Collection::all())
}

/// Of the hundred folders of the objects, a scope of those that fit.
fn some(fits: impl Fn(u64) -> bool) -> Scope {
    let below: Vec<String> = (0..100).filter(|at| fits(*at)).map(folder).collect();
    let folders = (0..100).map(|at| (folder(at), String::new()));
    scope(&rules(folders, &below))
}

/// The name of a folder of the objects, as in their bodies.
fn folder(number: u64) -> String {
    format!("f{number}")
}

fn list(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    for start in (0..OBJECTS).step_by(1000) {
        let batch = (start..start + 1000).map(|number| {
            let key = Key::new(KIND.0, KIND.1, "default", &name(number)).expect("a key");
            Write::create(key, body(number))
        });
        store.write_batch(batch.collect()).expect("a batch");
    }
    // What is closed is in the tables.
    drop(store);
    let store = open(directory.path());
    let collection = Collection::within(KIND.0, KIND.1, "default").expect("a collection");
    let title = format!("list of {PAGE} by what is seen");
    let ways = [
        ("everything", Scope::All),
        ("all folders by name", some(|_| true)),
        ("every second object", some(|at| at % 2 == 0)),
        ("1 of 100 objects", some(|at| at == 7)),
    ];
    let mut group = criterion.benchmark_group(&title);
    group.sample_size(20);
    for (way, scope) in &ways {
        group.bench_function(BenchmarkId::from_parameter(way), |bencher| {
            let filter = Filter {
                scope: scope.clone(),
                ..Filter::default()
            };
            let list = List::new(collection.clone()).filter(filter).limit(PAGE);
            bencher.iter(|| {
                let page = store.snapshot().expect("a state").list(&list);
                assert_eq!(page.expect("a page").items.len(), PAGE);
            });
        });
    }
    group.finish();
    for (way, _) in &ways[1..] {
        print_ratio(&title, way, ways[0].0);
    }
}

fn compile(criterion: &mut Criterion) {
    // A folder stands in the one with an eighth of its number: five levels for ten thousand.
    let title = format!("scope of {FOLDERS} folders");
    let name_of = |at: u64| format!("folder-{}", name(at));
    let folders = (1..=FOLDERS).map(|at| {
        let parent = match at / 8 {
            0 => String::new(),
            parent => name_of(parent),
        };
        (name_of(at), parent)
    });
    let roots: Vec<String> = (1..8).map(name_of).collect();
    let mut rules = rules(folders, &roots);
    let mut group = criterion.benchmark_group(&title);
    let mut is_there = false;
    group.bench_function(BenchmarkId::from_parameter("cold"), |bencher| {
        bencher.iter_custom(|times| {
            let mut total = Duration::ZERO;
            for _ in 0..times {
                // A move, so that nothing that was kept can be used.
                is_there = !is_there;
                rules.put_folder("default", "mover", is_there.then_some(""));
                let start = Instant::now();
                let made = scope(&rules);
                total += start.elapsed();
                drop(made);
            }
            total
        });
    });
    group.bench_function(BenchmarkId::from_parameter("kept"), |bencher| {
        bencher.iter(|| scope(&rules));
    });
    group.finish();
    print_ratio(&title, "kept", "cold");
}

criterion_group!(benches, get, list, compile);
criterion_main!(benches);
