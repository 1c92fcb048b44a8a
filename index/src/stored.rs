//! What the index keeps of a document to answer with, as JSON inside tantivy's document store.
//!
//! The public types stay free of serialisation; this is the only shape that is written.

use serde::{Deserialize, Serialize};

use crate::document::{Document, DocumentKey, Value};
use crate::error::{Error, Result};
use crate::query::Hit;

/// How many characters of a key are kept with a document that was set aside.
const ASIDE_NAME_CHARS: usize = 256;

/// A document as a hit returns it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stored {
    group: String,
    resource: String,
    namespace: String,
    name: String,
    version: u64,
    title: String,
    description: String,
    tags: Vec<String>,
    labels: Vec<(String, String)>,
    folder: String,
    kind: String,
    created_ms: i64,
    updated_ms: i64,
    created_by: String,
    updated_by: String,
    fields: Vec<(String, Vec<Value>)>,
}

impl Stored {
    pub(crate) fn new(document: &Document) -> Stored {
        let Document { key, fields, .. } = document.clone();
        Stored {
            group: key.group,
            resource: key.resource,
            namespace: key.namespace,
            name: key.name,
            version: document.version,
            title: document.title.clone(),
            description: document.description.clone(),
            tags: document.tags.clone(),
            labels: document.labels.clone(),
            folder: document.folder.clone(),
            kind: document.kind.clone(),
            created_ms: document.created_ms,
            updated_ms: document.updated_ms,
            created_by: document.created_by.clone(),
            updated_by: document.updated_by.clone(),
            fields: fields
                .into_iter()
                .map(|own| (own.spec.name.clone(), own.values))
                .collect(),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn read(bytes: &[u8], score: f32) -> Result<Hit> {
        let stored: Stored = serde_json::from_slice(bytes)
            .map_err(|error| Error::damaged(format!("a stored document: {error}")))?;
        Ok(Hit {
            key: DocumentKey {
                group: stored.group,
                resource: stored.resource,
                namespace: stored.namespace,
                name: stored.name,
            },
            version: stored.version,
            title: stored.title,
            description: stored.description,
            tags: stored.tags,
            labels: stored.labels,
            folder: stored.folder,
            kind: stored.kind,
            created_ms: stored.created_ms,
            updated_ms: stored.updated_ms,
            created_by: stored.created_by,
            updated_by: stored.updated_by,
            score,
            fields: stored.fields,
        })
    }
}

/// The mark left in place of a document that cannot be indexed.
#[derive(Serialize, Deserialize)]
pub(crate) struct Aside {
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) reason: String,
}

impl Aside {
    pub(crate) fn new(document: &Document, reason: String) -> Aside {
        let DocumentKey {
            group,
            resource,
            namespace,
            name,
        } = &document.key;
        let name = format!("{group}/{resource}/{namespace}/{name}");
        let name = name.chars().take(ASIDE_NAME_CHARS).collect();
        Aside {
            name,
            version: document.version,
            reason,
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Aside> {
        serde_json::from_slice(bytes)
            .map_err(|error| Error::damaged(format!("a document set aside: {error}")))
    }
}
