//! What becomes of an object that somebody wrote, before it is stored.
//!
//! As at the door of the server, an object of a kind that is served is checked against its schema
//! and gets the metadata that the server owns, where it has none. What is good stays byte for
//! byte. Over an object that is there already, the stored one's own metadata counts.

use jiff::Unit;
use serde_json::{Map, Value, json};

use super::Record;
use super::item::kind_of;
use crate::kinds::{Found, Kinds};
use crate::wire::draft::Draft;
use crate::wire::query::FieldValidation;
use crate::wire::{json as strict, object};

/// What the server alone sets.
const OWNED: [&str; 6] = [
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
];

/// The body to store for a new object. A record that is exact is stored as it is.
pub(super) fn complete(record: &Record, kinds: &Kinds) -> Result<Vec<u8>, String> {
    if record.is_exact {
        return Ok(record.body.clone());
    }
    let document = strict::read_object(&record.body).map_err(|why| why.to_string())?;
    if let Some(field) = document.duplicates.first() {
        return Err(format!("{field} is there twice"));
    }
    let text = |field: &str| document.value.get(field).and_then(Value::as_str);
    let owned = |field: &str| text(field).unwrap_or_default().to_owned();
    let (api_version, word) = (owned("apiVersion"), owned("kind"));
    let kind = kind_of(kinds, &api_version, &word)?;
    let version = api_version.rsplit_once('/');
    let version = version.map_or(&*api_version, |(_, version)| version);
    let version = kind.version(version).filter(|version| version.served);
    let version = version.ok_or_else(|| format!("apiVersion: {api_version} is not served"))?;
    let found = Found { kind, version };
    let given = document.value.get("metadata").cloned();
    let refused = |status: crate::wire::status::Status| status.message;
    let mut draft = Draft::new(found, document, FieldValidation::Ignore).map_err(refused)?;
    let metadata = metadata(&mut draft.object);
    for passing in ["resourceVersion", "selfLink"] {
        metadata.shift_remove(passing);
    }
    let now = jiff::Timestamp::now().round(Unit::Second);
    let now = now.unwrap_or_default().to_string();
    let uid = uuid::Uuid::new_v4().to_string();
    for (field, value) in [
        ("uid", json!(uid)),
        ("creationTimestamp", json!(now)),
        ("generation", json!(1)),
    ] {
        if metadata.get(field).is_none_or(Value::is_null) {
            metadata.insert(field.to_owned(), value);
        }
    }
    draft.validate(found).map_err(refused)?;
    let stored_version = kind.api_version(&kind.storage().name);
    let metadata = draft.object.get("metadata");
    if !draft.changed && metadata == given.as_ref() && api_version == stored_version {
        return Ok(record.body.clone());
    }
    let metadata = metadata.unwrap_or(&Value::Null);
    let word = &kind.names.kind;
    if draft.changed {
        return Ok(object::encode(
            &draft.object,
            &stored_version,
            word,
            metadata,
        ));
    }
    object::rewrite(&record.body, &stored_version, word, metadata).map_err(|why| why.to_string())
}

/// The body to store over `old`, with the metadata that the server owns taken from there; nothing
/// when `new` says the same already.
///
/// # Errors
/// When one of them is not a JSON object.
pub fn merge(old: &[u8], new: &[u8]) -> Result<Option<Vec<u8>>, String> {
    if old == new {
        return Ok(None);
    }
    let parse = |bytes| serde_json::from_slice::<Value>(bytes).map_err(|why| why.to_string());
    let (before, mut after) = (parse(old)?, parse(new)?);
    if !after.get("metadata").is_some_and(Value::is_object) || after.get("kind").is_none() {
        // Nothing in it is the server's.
        return Ok(Some(new.to_vec()));
    }
    let own = before.get("metadata").and_then(Value::as_object);
    let fields = metadata(&mut after);
    for owned in OWNED {
        // In place, so that the order of the fields stays as it is.
        match own.and_then(|own| own.get(owned)) {
            Some(value) => fields.insert(owned.to_owned(), value.clone()),
            None => fields.shift_remove(owned),
        };
    }
    if after == before {
        return Ok(None);
    }
    if outside(&after) != outside(&before)
        && let Some(generation) = own.and_then(|own| own.get("generation")?.as_i64())
    {
        metadata(&mut after).insert("generation".to_owned(), json!(generation + 1));
    }
    let text = |field: &str| after.get(field).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let body = object::rewrite(new, api_version, kind, &after["metadata"]);
    body.map(Some).map_err(|why| why.to_string())
}

/// What an object says besides its metadata.
fn outside(object: &Value) -> Option<Map<String, Value>> {
    let mut fields = object.as_object()?.clone();
    fields.shift_remove("metadata");
    Some(fields)
}

fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    let slot = &mut object["metadata"];
    if !slot.is_object() {
        *slot = json!({});
    }
    match slot {
        Value::Object(map) => map,
        _ => unreachable!("made an object above"),
    }
}
