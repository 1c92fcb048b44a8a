//! From a revision to what the index takes: which fields, and where they stand in the object.

use std::collections::HashMap;
use std::sync::Arc;

use annals_index::{Change, Document, DocumentKey, FieldSpec, FieldValue, Value as IndexValue};
use serde_json::Value;

use crate::model::{FieldKind, Key, Kind, Path, Revision, Timestamp};

/// The kinds that are indexed, by group and resource.
pub(super) struct Catalog {
    kinds: HashMap<(String, String), Entry>,
}

struct Entry {
    kind: String,
    fields: Vec<(Arc<FieldSpec>, Vec<Path>)>,
}

impl Catalog {
    pub(super) fn new(kinds: Vec<Kind>) -> Self {
        let entry = |kind: Kind| {
            let fields = kind.search_fields.into_iter().map(|field| {
                let spec = FieldSpec {
                    name: field.name,
                    kind: index_kind(field.kind),
                    weight: field.weight,
                    filterable: field.filterable,
                    sortable: field.sortable,
                };
                (Arc::new(spec), field.paths)
            });
            (
                (kind.group, kind.resource),
                Entry {
                    kind: kind.kind,
                    fields: fields.collect(),
                },
            )
        };
        Catalog {
            kinds: kinds.into_iter().map(entry).collect(),
        }
    }

    /// A store's identity, changed by what is indexed: an index of other kinds or other fields
    /// is foreign, and built anew.
    pub(super) fn mix_into(&self, mut epoch: [u8; 16]) -> [u8; 16] {
        let mut parts: Vec<String> = self
            .kinds
            .iter()
            .map(|(key, entry)| {
                let fields = entry
                    .fields
                    .iter()
                    .map(|(spec, paths)| format!("{spec:?} {paths:?}"));
                format!(
                    "{key:?} {} {}",
                    entry.kind,
                    fields.collect::<Vec<_>>().join(";")
                )
            })
            .collect();
        parts.sort();
        // 64-bit FNV-1a: it tells honest changes apart, and is the same in every build.
        let sum = parts
            .join("\n")
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
                (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        for (byte, mixed) in epoch.iter_mut().zip(sum.to_be_bytes()) {
            *byte ^= mixed;
        }
        epoch
    }

    /// The groups and resources that are indexed.
    pub(super) fn resources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.kinds
            .keys()
            .map(|(group, resource)| (group.as_str(), resource.as_str()))
    }

    /// What a revision changes in the index; `None` for a resource that is not indexed.
    pub(super) fn change(&self, revision: &Revision) -> Option<Change> {
        let header = revision.header();
        let key = &header.key;
        let entry = self
            .kinds
            .get(&(key.group().to_owned(), key.resource().to_owned()))?;
        if !header.is_live() {
            return Some(Change::Remove {
                key: document_key(key),
                version: header.version.get(),
            });
        }
        Some(Change::Put(Box::new(entry.document(revision))))
    }
}

impl Entry {
    fn document(&self, revision: &Revision) -> Document {
        // The store took the body as JSON; were it damaged, the object is still found by name.
        let object: Value = serde_json::from_slice(revision.body()).unwrap_or_default();
        let header = revision.header();
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        // Objects that come from elsewhere bring their authors along.
        let author = |annotation: &str, known: &str| {
            let brought = object["metadata"]["annotations"][annotation].as_str();
            brought.unwrap_or(known).to_owned()
        };
        let title = ["/spec/title", "/spec/name", "/title"]
            .into_iter()
            .find_map(|pointer| text(pointer).filter(|title| !title.is_empty()));
        let tags = object.pointer("/spec/tags").and_then(Value::as_array);
        let tags = tags
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned);
        let fields = self.fields.iter().map(|(spec, paths)| FieldValue {
            spec: Arc::clone(spec),
            values: values(spec.kind, paths, &object),
        });
        Document {
            key: document_key(&header.key),
            version: header.version.get(),
            title: title.unwrap_or(header.key.name()).to_owned(),
            description: text("/spec/description").unwrap_or_default().to_owned(),
            tags: tags.collect(),
            labels: header.labels.clone(),
            folder: header.folder.clone(),
            kind: self.kind.clone(),
            created_ms: millis(header.created),
            updated_ms: millis(header.time),
            created_by: author("grafana.app/createdBy", &header.creator),
            updated_by: author("grafana.app/updatedBy", &header.author),
            fields: fields.filter(|field| !field.values.is_empty()).collect(),
        }
    }
}

fn document_key(key: &Key) -> DocumentKey {
    DocumentKey {
        group: key.group().to_owned(),
        resource: key.resource().to_owned(),
        namespace: key.namespace().to_owned(),
        name: key.name().to_owned(),
    }
}

fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.0 / 1_000).unwrap_or(i64::MAX)
}

fn index_kind(kind: FieldKind) -> annals_index::FieldKind {
    match kind {
        FieldKind::Text => annals_index::FieldKind::Text,
        FieldKind::Keyword => annals_index::FieldKind::Keyword,
        FieldKind::Number => annals_index::FieldKind::Number,
        FieldKind::Bool => annals_index::FieldKind::Bool,
        FieldKind::Date => annals_index::FieldKind::Date,
    }
}

/// The values at these paths that are of the field's kind; others are left out.
fn values(kind: annals_index::FieldKind, paths: &[Path], object: &Value) -> Vec<IndexValue> {
    let mut found = Vec::new();
    for value in paths.iter().flat_map(|path| path.find(object)) {
        found.extend(match kind {
            annals_index::FieldKind::Text | annals_index::FieldKind::Keyword => match value {
                Value::String(text) => Some(IndexValue::Text(text.clone())),
                Value::Number(number) => Some(IndexValue::Text(number.to_string())),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
            },
            annals_index::FieldKind::Number => value.as_f64().map(IndexValue::Number),
            annals_index::FieldKind::Bool => value.as_bool().map(IndexValue::Bool),
            annals_index::FieldKind::Date => {
                let time = value
                    .as_str()
                    .and_then(|text| text.parse::<jiff::Timestamp>().ok());
                time.map(|time| IndexValue::Date(time.as_millisecond()))
            }
        });
    }
    found
}
