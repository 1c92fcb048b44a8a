//! The object that a command is about, and the road to its history.

use clap::Args;
use serde_json::Value;

use super::kind::{Kind, resolve};
use super::server::Server;
use super::{Exit, Failure};
use crate::client::{Client, Path};

const HISTORY: &str = "/apis/history.annals.dev/v1";

/// The core group has no name, and a path has no empty part.
const CORE: &str = "core";

/// One object by kind and name.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// Plural, singular, short name or kind, with or without its group
    #[arg(value_name = "KIND")]
    kind: String,
    /// The name of the object
    pub(super) name: String,
    /// Its namespace [default: that of the kubeconfig]
    #[arg(short, long)]
    namespace: Option<String>,
    #[command(flatten)]
    server: Server,
}

/// The object, found.
pub(super) struct Found {
    pub(super) client: Client,
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) namespace: String,
}

impl Named {
    /// Connects and resolves the kind. Whether the object exists is not asked.
    pub(super) async fn find(&self) -> Result<Found, Failure> {
        let client = self.server.client()?;
        let kind = resolve(&client, &self.kind).await?;
        let namespace = self
            .namespace
            .as_deref()
            .unwrap_or(client.namespace())
            .to_owned();
        Ok(Found {
            client,
            kind,
            name: self.name.clone(),
            namespace,
        })
    }
}

impl Found {
    /// `plural.group/name`.
    pub(super) fn qualified(&self) -> String {
        format!("{}/{}", self.kind.qualified(), self.name)
    }

    /// The newest `limit` revisions, or those before the revision `before`, newest first.
    pub(super) async fn revisions(
        &self,
        limit: u32,
        before: Option<u64>,
    ) -> Result<Value, Failure> {
        let root = Path::new(HISTORY);
        let root = if self.kind.is_namespaced {
            root.part("namespaces").part(&self.namespace)
        } else {
            root
        };
        let group = if self.kind.group.is_empty() {
            CORE
        } else {
            &self.kind.group
        };
        let path = root
            .part(group)
            .part(&self.kind.plural)
            .part(&self.name)
            .query("limit", &limit.to_string())
            .query_if(
                "before",
                before.map(|version| version.to_string()).as_deref(),
            );
        Ok(self.client.get(&path).await?)
    }

    /// The newest revision, or the newest before the revision `before`.
    pub(super) async fn newest(&self, before: Option<u64>) -> Result<Option<Value>, Failure> {
        let answer = self.revisions(1, before).await?;
        Ok(items(&answer, "items")?.into_iter().next())
    }

    /// The revision with exactly this version, or the newest.
    pub(super) async fn revision(&self, wanted: Option<u64>) -> Result<Value, Failure> {
        let before = wanted.map(|wanted| wanted.saturating_add(1));
        let nearest = self.newest(before).await?;
        let missing = |hint: String| {
            let what = wanted.map_or("any revision".to_owned(), |wanted| {
                format!("revision {wanted}")
            });
            let message = format!("{} does not have {what}{hint}", self.qualified());
            Failure::new(Exit::NotFound, message)
        };
        let nearest = nearest.ok_or_else(|| missing(String::new()))?;
        let version = version(&nearest)?;
        if wanted.is_some_and(|wanted| wanted != version) {
            return Err(missing(format!("; the newest before it is {version}")));
        }
        Ok(nearest)
    }
}

/// The version of a revision.
pub(super) fn version(revision: &Value) -> Result<u64, Failure> {
    let text = revision.get("version").and_then(Value::as_str);
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| Failure::new(Exit::Failed, "the server sent a revision without a version"))
}

/// The list in an answer.
pub(super) fn items(answer: &Value, field: &str) -> Result<Vec<Value>, Failure> {
    let list = answer.get(field).and_then(Value::as_array).cloned();
    list.ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            format!("the server's answer has no list {field}"),
        )
    })
}
