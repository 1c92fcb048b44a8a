//! A draft: what a client wants written, between its bytes and the object that is stored.
//!
//! Create, update and patch share one road. [`Draft::new`] checks that the body is what the path
//! says, finds unknown and repeated fields, removes them, and fills in defaults; the handler then
//! sets the fields of the system, and [`Draft::validate`] has the last word.

use serde_json::{Map, Value};

use super::json::Document;
use super::meta;
use super::query::FieldValidation;
use super::status::Status;
use crate::kinds::{Cause, Found};
use crate::limits;

/// An object on its way to the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The object, without unknown fields and with defaults.
    pub object: Value,
    /// What to warn the client of, one `Warning` header each.
    pub warnings: Vec<String>,
    /// Whether a value outside `metadata` differs from the client's bytes, so that these cannot be
    /// stored as they are.
    pub changed: bool,
}

impl Draft {
    /// Takes a body, or the result of a patch with no duplicates.
    pub fn new(
        found: Found<'_>,
        document: Document,
        validation: FieldValidation,
    ) -> Result<Self, Status> {
        let Document {
            value: mut object,
            duplicates,
        } = document;
        let Value::Object(map) = &mut object else {
            return Err(Status::bad_request("the body is not a JSON object"));
        };
        check_type(found, map)?;
        let causes = meta::check_types(&object);
        if !causes.is_empty() {
            return Err(invalid(found, &object, &causes));
        }
        let schema = &found.version.schema;
        let unknown = schema.unknown_fields(&object).into_iter();
        let unknown = unknown.chain(meta::unknown_fields(&object));
        let faults = unknown.map(|field| format!("unknown field {field:?}"));
        let repeated = duplicates
            .iter()
            .map(|field| format!("duplicate field {field:?}"));
        let mut warnings: Vec<String> = faults.chain(repeated).take(limits::CAUSES).collect();
        match validation {
            FieldValidation::Strict if !warnings.is_empty() => {
                return Err(Status::strict(found.kind, &found.version.name, &warnings));
            }
            FieldValidation::Ignore => warnings.clear(),
            FieldValidation::Strict | FieldValidation::Warn => {}
        }
        meta::prune(&mut object);
        let pruned = schema.prune(&mut object);
        let defaulted = schema.default(&mut object);
        let changed = pruned || defaulted || !duplicates.is_empty();
        Ok(Self {
            object,
            warnings,
            changed,
        })
    }

    /// Checks the whole object, once the fields of the system are set.
    pub fn validate(&self, found: Found<'_>) -> Result<(), Status> {
        let mut causes = meta::check_values(found.kind, &self.object);
        causes.extend(found.version.schema.validate(&self.object));
        causes.truncate(limits::CAUSES);
        if causes.is_empty() {
            Ok(())
        } else {
            Err(invalid(found, &self.object, &causes))
        }
    }
}

fn invalid(found: Found<'_>, object: &Value, causes: &[Cause]) -> Status {
    let name = object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let end = name
        .char_indices()
        .nth(limits::NAME_BYTES)
        .map_or(name.len(), |(end, _)| end);
    Status::invalid(found.kind, &name[..end], causes)
}

/// Checks that the body is of the kind and version of the path, and says so where it is silent.
fn check_type(found: Found<'_>, map: &mut Map<String, Value>) -> Result<(), Status> {
    let fields = [
        ("apiVersion", "API version", found.api_version()),
        ("kind", "kind", found.kind.names.kind.clone()),
    ];
    for (field, words, expected) in fields {
        match map.get(field) {
            Some(Value::String(text)) if *text == expected => {}
            None | Some(Value::Null) => {
                map.insert(field.to_owned(), Value::from(expected));
            }
            Some(Value::String(text)) if text.is_empty() => {
                map.insert(field.to_owned(), Value::from(expected));
            }
            Some(Value::String(text)) => {
                let text: String = text.chars().take(limits::NAME_BYTES).collect();
                return Err(Status::bad_request(format!(
                    "the {words} in the data ({text}) does not match the expected {words} \
                     ({expected})"
                )));
            }
            Some(_) => return Err(Status::bad_request(format!("{field}: expected a string"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    //! Catches an object of the wrong kind or with unknown fields that is stored, and a good one
    //! whose bytes are changed without need.

    use serde_json::json;

    use super::*;
    use crate::kinds::Kinds;
    use crate::wire::json::read;

    fn draft(body: &Value, validation: FieldValidation) -> Result<Draft, Status> {
        let kinds = Kinds::built_in().unwrap();
        let found = kinds
            .find("playlist.grafana.app", "v0alpha1", "playlists")
            .unwrap();
        let document = read(body.to_string().as_bytes()).unwrap();
        let draft = Draft::new(found, document, validation)?;
        draft.validate(found)?;
        Ok(draft)
    }

    fn playlist() -> Value {
        json!({"apiVersion": "playlist.grafana.app/v0alpha1", "kind": "Playlist",
            "metadata": {"name": "n"}, "spec": {"title": "t", "interval": "5m",
            "items": [{"type": "dashboard_by_uid", "value": "u"}]}})
    }

    #[test]
    fn a_good_object_stays_as_it_is() {
        let found = draft(&playlist(), FieldValidation::Strict).unwrap();
        assert_eq!(
            found,
            Draft {
                object: playlist(),
                warnings: vec![],
                changed: false
            }
        );
        let mut silent = playlist();
        silent.as_object_mut().unwrap().shift_remove("apiVersion");
        assert_eq!(
            draft(&silent, FieldValidation::Strict).unwrap().object,
            playlist()
        );
    }

    #[test]
    fn unknown_fields_do_what_the_client_asked_for() {
        let mut body = playlist();
        body["spec"]["titel"] = json!(1);
        let status = draft(&body, FieldValidation::Strict).unwrap_err();
        let message = "Playlist in version \"v0alpha1\" cannot be handled as a Playlist: strict \
                       decoding error: unknown field \"spec.titel\"";
        assert_eq!((status.code(), status.message.as_str()), (400, message));
        let warned = draft(&body, FieldValidation::Warn).unwrap();
        assert_eq!(warned.warnings, ["unknown field \"spec.titel\""]);
        assert_eq!((warned.object, warned.changed), (playlist(), true));
        assert!(
            draft(&body, FieldValidation::Ignore)
                .unwrap()
                .warnings
                .is_empty()
        );
    }

    #[test]
    fn repeated_fields_are_faults_too() {
        let kinds = Kinds::built_in().unwrap();
        let found = kinds.find("", "v1", "namespaces").unwrap();
        let body = br#"{"metadata": {"name": "a", "name": "b"}}"#;
        let draft = |validation| Draft::new(found, read(body).unwrap(), validation);
        let status = draft(FieldValidation::Strict).unwrap_err();
        assert!(
            status
                .message
                .ends_with("duplicate field \"metadata.name\""),
            "{status}"
        );
        let warned = draft(FieldValidation::Warn).unwrap();
        assert_eq!(warned.object["metadata"]["name"], "b");
        assert!(warned.changed);
    }

    #[test]
    fn wrong_objects_are_refused() {
        for (pointer, value, code, text) in [
            (
                "/apiVersion",
                json!("v1"),
                400,
                "the API version in the data (v1) does not match",
            ),
            (
                "/kind",
                json!("Folder"),
                400,
                "the kind in the data (Folder) does not match",
            ),
            ("/kind", json!(7), 400, "kind: expected a string"),
            (
                "/metadata",
                json!([]),
                422,
                "metadata in body must be of type object",
            ),
            (
                "/metadata/name",
                json!("a/b"),
                422,
                "metadata.name: Invalid value",
            ),
            (
                "/spec/title",
                json!(7),
                422,
                "spec.title in body must be of type string",
            ),
            (
                "/spec/title",
                json!(null),
                422,
                "spec.title: Required value",
            ),
            (
                "/spec/items/0/type",
                json!("x"),
                422,
                "spec.items[0].type: Unsupported value",
            ),
            ("/spec", json!(null), 422, "spec: Required value"),
        ] {
            let mut body = playlist();
            *body.pointer_mut(pointer).unwrap() = value;
            let status = draft(&body, FieldValidation::Warn).unwrap_err();
            assert_eq!(status.code(), code, "{status}");
            assert!(status.message.contains(text), "{status}");
        }
    }
}
