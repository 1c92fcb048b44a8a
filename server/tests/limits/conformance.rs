//! Would catch a door of HTTPS that means something else by a version, a page or an event than the
//! library does, or that forgets something when the server starts again.
//!
//! The door is the client of kube-rs, so that what is tested is what clients see.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use annals_conformance::{
    Choice, Cut, Door, Draft, Event, EventKind, Events, Expect, Failure, FailureKind, Object, Page,
    Promise, Start, run_all,
};
use annals_server::setup::DataDir;
use axum::http::Request;
use futures_core::Stream;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, ListParams, PostParams, Preconditions, VersionMatch,
    WatchEvent, WatchParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::server::Server;
use crate::site::PATIENCE;

struct Https {
    client: Client,
    runtime: Arc<Runtime>,
    /// Keeps the server running.
    _server: Rc<Server>,
}

fn failure(error: kube::Error) -> Failure {
    let kube::Error::Api(status) = &error else {
        return Failure::new(FailureKind::Other, error.to_string());
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let is_early = causes
        .into_iter()
        .any(|cause| cause.reason == "ResourceVersionTooLarge");
    let kind = match (status.code, status.reason.as_str()) {
        (504, "Timeout") if is_early => FailureKind::Future,
        (404, "NotFound") => FailureKind::NotFound,
        (409, "AlreadyExists") => FailureKind::AlreadyExists,
        (409, "Conflict") => FailureKind::Conflict,
        (410, "Expired") => FailureKind::Gone,
        (400, "BadRequest") | (422, "Invalid") => FailureKind::Invalid,
        _ => FailureKind::Other,
    };
    let metadata = status.metadata.as_ref();
    let token = metadata.and_then(|metadata| metadata.continue_.clone());
    Failure::new(kind, format!("{} {}", status.code, status.message)).with_token(token)
}

fn resource() -> ApiResource {
    ApiResource {
        group: "dashboard.grafana.app".to_owned(),
        version: "v1beta1".to_owned(),
        api_version: "dashboard.grafana.app/v1beta1".to_owned(),
        kind: "Dashboard".to_owned(),
        plural: "dashboards".to_owned(),
    }
}

fn object(found: DynamicObject) -> Object {
    let metadata = found.metadata;
    Object {
        namespace: metadata.namespace.unwrap(),
        name: metadata.name.unwrap(),
        version: metadata.resource_version.unwrap().parse().unwrap(),
        uid: metadata.uid.unwrap(),
        labels: metadata.labels.unwrap_or_default(),
        spec: found.data["spec"].clone(),
    }
}

fn body(draft: &Draft) -> DynamicObject {
    let mut object = DynamicObject::new(&draft.name, &resource()).within(&draft.namespace);
    object.metadata.labels = Some(draft.labels.clone());
    object.data = json!({"spec": draft.spec});
    object
}

fn fields(choice: &Choice) -> Option<String> {
    let is = choice
        .name
        .iter()
        .map(|name| format!("metadata.name={name}"));
    let is_not = choice.not_name.iter();
    let is_not = is_not.map(|name| format!("metadata.name!={name}"));
    let terms: Vec<String> = is.chain(is_not).collect();
    (!terms.is_empty()).then(|| terms.join(","))
}

fn labels(choice: &Choice) -> Option<String> {
    (!choice.labels.is_empty()).then(|| choice.labels.clone())
}

impl Https {
    fn new(dir: &DataDir, server: Rc<Server>) -> Self {
        let file = dir.path().join("admin.kubeconfig");
        let runtime = Arc::clone(&server.runtime);
        let client = runtime.block_on(async {
            let kubeconfig = Kubeconfig::read_from(file).unwrap();
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
            let mut config = config.unwrap();
            // What is refused is to be seen, not tried again.
            config.default_retry = false;
            Client::try_from(config).unwrap()
        });
        Https {
            client,
            runtime,
            _server: server,
        }
    }

    fn api(&self, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource()),
            None => Api::all_with(self.client.clone(), &resource()),
        }
    }

    /// Waits for an answer.
    fn wait<T>(&self, answer: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
        let answer = async { timeout(PATIENCE, answer).await };
        self.runtime
            .block_on(answer)
            .expect("an answer")
            .map_err(failure)
    }

    /// Replaces what the draft says, at whatever version the object is.
    fn patch(&self, draft: &Draft, uid: Option<&String>) -> Result<Object, Failure> {
        let Draft {
            namespace,
            name,
            labels,
            spec,
        } = draft;
        let mut patch = vec![
            json!({"op": "add", "path": "/metadata/labels", "value": labels}),
            json!({"op": "add", "path": "/spec", "value": spec}),
        ];
        patch.extend(uid.map(|uid| json!({"op": "add", "path": "/metadata/uid", "value": uid})));
        let api = self.api(Some(namespace));
        let request = Request::patch(format!("{}/{name}", api.resource_url()))
            .header("content-type", "application/json-patch+json")
            .body(Value::from(patch).to_string().into_bytes())
            .unwrap();
        self.wait(self.client.request(request)).map(object)
    }
}

impl Door for Https {
    fn promises(&self, promise: Promise) -> bool {
        match promise {
            Promise::QuietUpdate | Promise::BoundToken | Promise::GeneratedName => true,
        }
    }

    fn make_namespace(&self, name: &str) -> Result<(), Failure> {
        let namespace = json!({"metadata": {"name": name}});
        let request = Request::post("/api/v1/namespaces")
            .header("content-type", "application/json")
            .body(namespace.to_string().into_bytes())
            .unwrap();
        self.wait(self.client.request::<Value>(request)).map(|_| ())
    }

    fn create(&self, draft: &Draft) -> Result<Object, Failure> {
        let api = self.api(Some(&draft.namespace));
        let (parameters, body) = (PostParams::default(), body(draft));
        self.wait(api.create(&parameters, &body)).map(object)
    }

    fn create_named_by_door(&self, draft: &Draft) -> Result<Object, Failure> {
        let api = self.api(Some(&draft.namespace));
        let (parameters, mut body) = (PostParams::default(), body(draft));
        body.metadata.generate_name = body.metadata.name.take();
        self.wait(api.create(&parameters, &body)).map(object)
    }

    fn get(&self, namespace: &str, name: &str, at: Option<u64>) -> Result<Object, Failure> {
        if at.is_none() {
            let api = self.api(Some(namespace));
            return self.wait(api.get(name)).map(object);
        }
        // A get takes a version for the oldest that will do; a list can mean it.
        let choice = Choice {
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            ..Choice::default()
        };
        let (limit, token) = (None, None);
        let page = self.list(&choice, &Cut { limit, token, at })?;
        let missing = || Failure::new(FailureKind::NotFound, name);
        page.objects.into_iter().next().ok_or_else(missing)
    }

    fn update(&self, draft: &Draft, expect: &Expect) -> Result<Object, Failure> {
        let Some(version) = expect.version else {
            return self.patch(draft, expect.uid.as_ref());
        };
        let api = self.api(Some(&draft.namespace));
        let (parameters, mut body) = (PostParams::default(), body(draft));
        body.metadata.resource_version = Some(version.to_string());
        body.metadata.uid.clone_from(&expect.uid);
        self.wait(api.replace(&draft.name, &parameters, &body))
            .map(object)
    }

    fn delete(&self, namespace: &str, name: &str, expect: &Expect) -> Result<(), Failure> {
        let preconditions = Preconditions {
            resource_version: expect.version.map(|version| version.to_string()),
            uid: expect.uid.clone(),
        };
        let parameters = DeleteParams::default().preconditions(preconditions);
        let api = self.api(Some(namespace));
        self.wait(api.delete(name, &parameters)).map(|_| ())
    }

    fn list(&self, choice: &Choice, cut: &Cut) -> Result<Page, Failure> {
        let parameters = ListParams {
            label_selector: labels(choice),
            field_selector: fields(choice),
            limit: cut.limit.map(|limit| u32::try_from(limit).unwrap()),
            continue_token: cut.token.clone(),
            version_match: cut.at.map(|_| VersionMatch::Exact),
            resource_version: cut.at.map(|version| version.to_string()),
            ..ListParams::default()
        };
        let api = self.api(choice.namespace.as_deref());
        let list = self.wait(api.list(&parameters))?;
        Ok(Page {
            version: list.metadata.resource_version.unwrap().parse().unwrap(),
            objects: list.items.into_iter().map(object).collect(),
            token: list.metadata.continue_.filter(|token| !token.is_empty()),
        })
    }

    fn watch(&self, choice: &Choice, start: Start) -> Result<Box<dyn Events>, Failure> {
        let parameters = WatchParams {
            label_selector: labels(choice),
            field_selector: fields(choice),
            ..WatchParams::default()
        };
        let version = match start {
            Start::Now => 0,
            Start::After(version) => version,
        };
        let api = self.api(choice.namespace.as_deref());
        let version = version.to_string();
        let stream = self.wait(api.watch(&parameters, &version))?;
        Ok(Box::new(Lines {
            stream: Box::pin(stream),
            runtime: Arc::clone(&self.runtime),
        }))
    }

    fn version(&self) -> Result<u64, Failure> {
        let anywhere = Choice {
            namespace: Some("default".to_owned()),
            ..Choice::default()
        };
        Ok(self.list(&anywhere, &Cut::default())?.version)
    }

    fn compact(&self, version: u64) -> Result<(), Failure> {
        let ApiResource { group, plural, .. } = resource();
        let version_text = version.to_string();
        let body = json!({"group": group, "resource": plural, "resourceVersion": version_text});
        let request = Request::post("/apis/store.annals.dev/v1/compact")
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes())
            .unwrap();
        let answer = self.wait(self.client.request::<Value>(request))?;
        let reached = answer["compactedVersion"].as_str().unwrap().parse();
        // Of the namespaces that an earlier behaviour has compacted further, their own.
        assert!(
            reached.is_ok_and(|reached: u64| reached >= version),
            "{answer}"
        );
        Ok(())
    }
}

type Stated = kube::Result<WatchEvent<DynamicObject>>;

/// An open watch.
struct Lines {
    stream: Pin<Box<dyn Stream<Item = Stated>>>,
    runtime: Arc<Runtime>,
}

impl Events for Lines {
    fn next(&mut self) -> Result<Event, Failure> {
        let other = |words: &str| Failure::new(FailureKind::Other, words);
        loop {
            let next = std::future::poll_fn(|context| self.stream.as_mut().poll_next(context));
            let next = self
                .runtime
                .block_on(async { timeout(PATIENCE, next).await });
            let next = next.map_err(|_| other("no event came"))?;
            let event = next.ok_or_else(|| other("the watch ended"))?;
            let (kind, found) = match event.map_err(failure)? {
                WatchEvent::Added(found) => (EventKind::Added, found),
                WatchEvent::Modified(found) => (EventKind::Modified, found),
                WatchEvent::Deleted(found) => (EventKind::Deleted, found),
                WatchEvent::Bookmark(_) => continue,
                WatchEvent::Error(status) => return Err(failure(kube::Error::Api(status))),
            };
            let object = object(found);
            return Ok(Event { kind, object });
        }
    }
}

#[test]
fn the_https_door_passes() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Rc::new(Server::start(&dir, false));
    run_all(&|| Box::new(Https::new(&dir, Rc::clone(&server))));
}

#[test]
fn the_https_door_passes_when_the_server_starts_again() {
    let dir = DataDir::ephemeral().unwrap();
    // Never two at a time: whoever opens the door has closed the one before.
    let last: RefCell<std::rc::Weak<Server>> = RefCell::default();
    run_all(&|| {
        assert!(last.borrow().upgrade().is_none());
        let server = Rc::new(Server::start(&dir, false));
        *last.borrow_mut() = Rc::downgrade(&server);
        Box::new(Https::new(&dir, server))
    });
}
