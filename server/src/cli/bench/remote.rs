//! A server, over its HTTPS door: each caller has a connection of its own.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::sample::{self, GROUP, RESOURCE, VERSION};
use super::subject::{Caller, Fault, Subject, Watcher};
use crate::cli::{Exit, Failure};
use crate::client::{Client, Lines, Path, Target};

/// The namespace of a bench, before a random end.
const NAMESPACE: &str = "annals-bench-";

/// A server, and the namespace that is ours on it.
pub(super) struct There {
    target: Target,
    namespace: String,
    size: usize,
}

impl There {
    /// Makes a namespace on the server.
    pub(super) fn open(target: Target, size: usize) -> Result<Self, Failure> {
        let random = uuid::Uuid::new_v4().simple().to_string();
        let namespace = format!("{NAMESPACE}{}", &random[..8]);
        let there = Self {
            target,
            namespace,
            size,
        };
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": there.namespace},
        });
        let line = there.line()?;
        let path = Path::new("/api/v1/namespaces");
        line.runtime
            .block_on(line.client.post(&path, Some(&object)))?;
        Ok(there)
    }

    fn line(&self) -> Result<Line<'_>, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let wrong = |why| Failure::new(Exit::Failed, format!("cannot start a caller: {why}"));
        Ok(Line {
            there: self,
            client: Client::new(self.target.clone()),
            runtime: runtime.map_err(wrong)?,
            versions: HashMap::new(),
        })
    }

    fn collection(&self) -> Path {
        Path::new("/apis")
            .part(GROUP)
            .part(VERSION)
            .part("namespaces")
            .part(&self.namespace)
            .part(RESOURCE)
    }

    fn search(&self, word: &str) -> Path {
        Path::new("/apis/search.annals.dev/v1/namespaces")
            .part(&self.namespace)
            .part("search")
            .query("query", word)
            .query("limit", "10")
    }
}

impl Subject for There {
    fn caller(&self) -> Result<Box<dyn Caller + '_>, Failure> {
        Ok(Box::new(self.line()?))
    }

    fn watcher(&self) -> Result<Box<dyn Watcher + '_>, Failure> {
        let line = self.line()?;
        let list = line
            .runtime
            .block_on(line.client.get(&self.collection().query("limit", "1")))?;
        let version = list
            .pointer("/metadata/resourceVersion")
            .and_then(Value::as_str);
        let path = self
            .collection()
            .query("watch", "true")
            .query_if("resourceVersion", version);
        let lines = line.runtime.block_on(line.client.lines(&path))?;
        Ok(Box::new(Eye {
            runtime: line.runtime,
            lines,
        }))
    }

    fn wait_for_index(&self) -> Result<(), Failure> {
        let line = self.line()?;
        let path = self.search("*").query("minVersion", "latest");
        loop {
            match line.runtime.block_on(line.client.get(&path)) {
                Ok(_) => return Ok(()),
                // It waits a while by itself, and then says that it is not there yet.
                Err(error) if error.code() == Some(504) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn end(self: Box<Self>) -> Result<Option<String>, Failure> {
        let namespace = &self.namespace;
        Ok(Some(format!(
            "the objects are left in namespace {namespace}; remove them with: kubectl delete \
             namespace {namespace}"
        )))
    }
}

/// A connection, with the thread's own small runtime.
struct Line<'a> {
    there: &'a There,
    client: Client,
    runtime: Runtime,
    /// The versions of the objects that this caller wrote.
    versions: HashMap<u64, String>,
}

impl Line<'_> {
    fn body(&self, number: u64, stamp: u64) -> Result<Value, Fault> {
        let text = sample::body(&self.there.namespace, number, stamp, self.there.size);
        serde_json::from_str(&text).map_err(|why| why.to_string())
    }

    fn read(&self, path: &Path) -> Result<Value, Fault> {
        let read = self.runtime.block_on(self.client.get(path));
        read.map_err(|error| error.to_string())
    }

    fn object(&self, number: u64) -> Path {
        self.there.collection().part(&sample::name(number))
    }
}

/// The version of an object.
fn version(object: &Value) -> Result<String, Fault> {
    let version = object
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str);
    version
        .map(str::to_owned)
        .ok_or_else(|| "an object without a version".to_owned())
}

impl Caller for Line<'_> {
    fn create(&mut self, number: u64, stamp: u64) -> Result<(), Fault> {
        let body = self.body(number, stamp)?;
        let path = self.there.collection();
        let made = self.client.post(&path, Some(&body));
        let made = self
            .runtime
            .block_on(made)
            .map_err(|error| error.to_string())?;
        self.versions.insert(number, version(&made)?);
        Ok(())
    }

    /// The first update of an object by a caller reads its version before.
    fn update(&mut self, number: u64, stamp: u64) -> Result<(), Fault> {
        let path = self.object(number);
        let known = match self.versions.remove(&number) {
            Some(version) => version,
            None => version(&self.read(&path)?)?,
        };
        let mut body = self.body(number, stamp)?;
        body["metadata"]["resourceVersion"] = json!(known);
        let put = self.runtime.block_on(self.client.put(&path, &body));
        let put = put.map_err(|error| error.to_string())?;
        self.versions.insert(number, version(&put)?);
        Ok(())
    }

    fn get(&mut self, number: u64) -> Result<(), Fault> {
        self.read(&self.object(number)).map(drop)
    }

    fn list(&mut self, limit: usize) -> Result<(), Fault> {
        let path = self.there.collection().query("limit", &limit.to_string());
        self.read(&path).map(drop)
    }

    fn search(&mut self, word: &str) -> Result<(), Fault> {
        self.read(&self.there.search(word)).map(drop)
    }
}

struct Eye {
    runtime: Runtime,
    lines: Lines,
}

impl Watcher for Eye {
    fn next(&mut self, patience: Duration) -> Result<Option<u64>, Fault> {
        let lines = &mut self.lines;
        let next = self
            .runtime
            .block_on(async { timeout(patience, lines.next()).await });
        let Ok(event) = next else {
            return Ok(None);
        };
        let event = event.map_err(|error| error.to_string())?;
        let event = event.ok_or("the server ended the watch")?;
        let stamp = sample::stamp_of(&event["object"]);
        Ok(Some(stamp.unwrap_or_default()))
    }
}
