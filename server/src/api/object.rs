//! What the server makes of a body: checked, defaulted, with metadata that the server owns.
//!
//! ```text
//! bytes -> strict JSON -> draft: right kind, known fields, defaults -> right name and namespace
//!       -> the server's own metadata -> schema -> bytes to store
//! ```

use annals::Revision;
use jiff::{Timestamp, Unit};
use serde_json::{Map, Value, json};

use super::call::{Call, Subject};
use super::read::parse;
use crate::kinds::Cause;
use crate::limits;
use crate::wire::accept::{BodyType, body_type};
use crate::wire::draft::Draft;
use crate::wire::json::{self, Document};
use crate::wire::query::FieldValidation;
use crate::wire::status::Status;
use crate::wire::{object, protobuf};

/// A draft, and the client's own bytes where there are some.
#[derive(Debug)]
pub(super) struct Intake {
    draft: Draft,
    bytes: Option<Vec<u8>>,
}

/// The body of a create or update.
pub(super) fn read_body(
    call: &Call,
    of: &Subject<'_>,
    validation: FieldValidation,
) -> Result<Intake, Status> {
    match body_type(call.content_type.as_deref(), of.is_namespace())? {
        BodyType::Json => {
            let document = json::read_object(&call.body)?;
            let draft = Draft::new(of.found, document, validation)?;
            Ok(Intake {
                draft,
                bytes: Some(call.body.to_vec()),
            })
        }
        BodyType::Protobuf => {
            from_value(of, protobuf::namespace(&call.body)?, Vec::new(), validation)
        }
    }
}

/// An object that has no bytes of its own.
pub(super) fn from_value(
    of: &Subject<'_>,
    value: Value,
    duplicates: Vec<String>,
    validation: FieldValidation,
) -> Result<Intake, Status> {
    let draft = Draft::new(of.found, Document { value, duplicates }, validation)?;
    Ok(Intake { draft, bytes: None })
}

/// A text of the metadata that is there and not empty.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object
        .get("metadata")?
        .get(field)?
        .as_str()
        .filter(|text| !text.is_empty())
}

impl Intake {
    /// A text of the metadata.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        text(&self.draft.object, field)
    }

    /// The namespace of the body must be that of the path.
    pub(super) fn check_namespace(&self, of: &Subject<'_>) -> Result<(), Status> {
        match self.text("namespace") {
            Some(given) if Some(given) != of.namespace => Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the \
                 request",
            )),
            _ => Ok(()),
        }
    }

    /// The name of the body must be that of the path; a missing one is filled in.
    pub(super) fn check_name(&mut self, name: &str) -> Result<(), Status> {
        match self.text("name") {
            Some(given) if given != name => Err(Status::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            ))),
            _ => {
                self.metadata().insert("name".to_owned(), json!(name));
                Ok(())
            }
        }
    }

    pub(super) fn metadata(&mut self) -> &mut Map<String, Value> {
        let metadata = &mut self.draft.object["metadata"];
        if !metadata.is_object() {
            *metadata = json!({});
        }
        match metadata {
            Value::Object(map) => map,
            _ => unreachable!("made an object above"),
        }
    }

    /// The object as it is by now.
    pub(super) fn object(&self) -> &Value {
        &self.draft.object
    }

    /// The object, to be changed outside its metadata: then the client's bytes no longer hold.
    pub(super) fn object_mut(&mut self) -> &mut Value {
        self.bytes = None;
        &mut self.draft.object
    }

    /// What the client should know.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.draft.warnings)
    }

    /// The metadata of a new object.
    pub(super) fn begin(&mut self, of: &Subject<'_>) -> Result<(), Status> {
        if self.text("resourceVersion").is_some() {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Status::bad_request(message));
        }
        let namespace = of.namespace.map(str::to_owned);
        let metadata = self.metadata();
        for owned in OWNED {
            metadata.shift_remove(owned);
        }
        set_namespace(metadata, namespace);
        metadata.insert("uid".to_owned(), json!(uuid::Uuid::new_v4().to_string()));
        metadata.insert("creationTimestamp".to_owned(), json!(now()));
        metadata.insert("generation".to_owned(), json!(1));
        tidy(metadata);
        self.draft.validate(of.found)
    }

    /// The metadata of the next state of an object. What the server owns is taken from the state
    /// before; `generation` grows when anything outside the metadata changes.
    pub(super) fn succeed(&mut self, of: &Subject<'_>, before: &Value) -> Result<(), Status> {
        let changed = outside(&self.draft.object) != outside(before);
        let namespace = of.namespace.map(str::to_owned);
        let old = before
            .get("metadata")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let metadata = self.metadata();
        for owned in OWNED {
            // In place, so that the order of the fields stays as it is.
            match old.get(owned) {
                Some(value) => metadata.insert(owned.to_owned(), value.clone()),
                None => metadata.shift_remove(owned),
            };
        }
        set_namespace(metadata, namespace);
        if changed {
            let generation = old.get("generation").and_then(Value::as_i64).unwrap_or(0);
            metadata.insert("generation".to_owned(), json!(generation + 1));
        }
        tidy(metadata);
        self.draft.validate(of.found)
    }

    /// The bytes to store: the client's own wherever the server did not have to change them.
    pub(super) fn bytes(&self, of: &Subject<'_>) -> Result<Vec<u8>, Status> {
        let api_version = of.kind.api_version(&of.kind.storage().name);
        let kind = &of.kind.names.kind;
        let object = &self.draft.object;
        let metadata = object.get("metadata").unwrap_or(&Value::Null);
        let bytes = match self.bytes.as_ref().filter(|_| !self.draft.changed) {
            Some(bytes) => object::rewrite(bytes, &api_version, kind, metadata)
                .map_err(|error| Status::bad_request(error.to_string()))?,
            None => object::encode(object, &api_version, kind, metadata),
        };
        if bytes.len() > limits::OBJECT_BYTES {
            return Err(Status::too_large(
                "the object of the body",
                limits::OBJECT_BYTES,
            ));
        }
        Ok(bytes)
    }
}

/// What the store allows above the largest object, for metadata that the server adds to it: a
/// deletion must not fail because the object is large.
pub(crate) const OWN_BYTES: usize = 4 * 1024;

/// The fields of the metadata that only the server sets.
const OWNED: [&str; 8] = [
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
];

fn set_namespace(metadata: &mut Map<String, Value>, namespace: Option<String>) {
    match namespace {
        Some(namespace) => metadata.insert("namespace".to_owned(), json!(namespace)),
        None => metadata.shift_remove("namespace"),
    };
}

/// Nulls and empty lists say nothing, and would make equal objects look different.
fn tidy(metadata: &mut Map<String, Value>) {
    metadata.retain(|_, value| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    });
}

/// What an object says besides its metadata, and which version it is shown in.
fn outside(object: &Value) -> Vec<(&String, &Value)> {
    let skipped = ["metadata", "apiVersion", "kind"];
    let fields = object.as_object().into_iter().flatten();
    let mut fields: Vec<_> = fields
        .filter(|(name, _)| !skipped.contains(&name.as_str()))
        .collect();
    fields.sort_by_key(|(name, _)| *name);
    fields
}

/// Whether two states of an object say the same.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    let metadata = |object: &Value| {
        let mut metadata = object.get("metadata").and_then(Value::as_object).cloned();
        if let Some(fields) = &mut metadata {
            fields.shift_remove("resourceVersion");
        }
        metadata
    };
    outside(one) == outside(other) && metadata(one) == metadata(other)
}

/// The object of a revision, as stored.
pub(super) fn stored(revision: &Revision) -> Result<Value, Status> {
    parse(revision.body())
}

/// The bytes of an object whose deletion begins: the client's own but for the metadata.
pub(super) fn marked(revision: &Revision) -> Result<Vec<u8>, Status> {
    let mut value = stored(revision)?;
    let generation = value
        .pointer("/metadata/generation")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    let metadata = &mut value["metadata"];
    metadata["deletionTimestamp"] = json!(now());
    metadata["deletionGracePeriodSeconds"] = json!(0);
    metadata["generation"] = json!(generation + 1);
    let text = |field: &str| value[field].as_str().unwrap_or_default();
    object::rewrite(
        revision.body(),
        text("apiVersion"),
        text("kind"),
        &value["metadata"],
    )
    .map_err(|error| Status::internal(&error.to_string()))
}

/// The finalizers that hold an object back from going.
pub(super) fn finalizers(object: &Value) -> Vec<&str> {
    let list = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Whether a deletion has begun.
pub(super) fn is_going(object: &Value) -> bool {
    text(object, "deletionTimestamp").is_some()
}

/// An object whose deletion has begun loses finalizers and gains none.
pub(super) fn check_finalizers(
    of: &Subject<'_>,
    before: &Value,
    after: &Value,
) -> Result<(), Status> {
    let had = finalizers(before);
    let added = finalizers(after)
        .into_iter()
        .find(|name| !had.contains(name));
    match added {
        Some(added) if is_going(before) => {
            let why = "no new finalizers can be added if the object is being deleted";
            let cause = Cause::forbidden("metadata.finalizers", &format!("{why}, found {added:?}"));
            let name = text(after, "name").unwrap_or_default();
            Err(Status::invalid(of.kind, name, &[cause]))
        }
        _ => Ok(()),
    }
}

/// The present moment as Kubernetes writes it: UTC, to the second.
pub(super) fn now() -> String {
    Timestamp::now()
        .round(Unit::Second)
        .unwrap_or_default()
        .to_string()
}
