//! Compaction by hand: making a version the oldest that can be read of a kind.
//!
//! ```text
//! POST /apis/store.annals.dev/v1/compact                             for administrators alone
//! {"group": "dashboard.grafana.app", "resource": "dashboards",       the group is empty or left out
//!                                                                    for the core group
//!  "namespace": "team-a",                                            left out: all namespaces
//!  "resourceVersion": "41870"}
//!
//! {"kind": "Compaction", "apiVersion": "store.annals.dev/v1", "group": ..., "resource": ...,
//!  "namespace": "team-a", "compactedVersion": "41870"}
//! ```
//!
//! The answer says how far it came: less far than asked where a read that is open needs more. What
//! does not end within the time for a request goes on unheard, and asking again goes on behind it.

use annals::{Collection, Error, Version};
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::call::Call;
use super::failure::general;
use crate::kinds::{Kinds, ServedKind, type_name};
use crate::wire::accept::body_type;
use crate::wire::json::read_object;
use crate::wire::report::STORE_API;
use crate::wire::status::Status;

const GROUP: &str = "group";
const RESOURCE: &str = "resource";
const NAMESPACE: &str = "namespace";
const VERSION: &str = "resourceVersion";
const FIELDS: [&str; 4] = [GROUP, RESOURCE, NAMESPACE, VERSION];

/// What is to be compacted, and up to where.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    group: String,
    resource: String,
    /// All of them, if there is none.
    namespace: Option<String>,
    version: Version,
}

/// POST .../compact
pub(super) fn compact(call: &Call) -> Result<Answer, Status> {
    if let Some(name) = call.query.names().next() {
        let message = format!("{name}: unknown parameter; expected none, but a body");
        return Err(Status::bad_request(message));
    }
    body_type(call.content_type.as_deref(), false)?;
    let wish = Wish::read(&call.body)?;
    let collection = wish.collection(call.api.kinds())?;
    let reached = call.api.store().compact_to(&collection, wish.version);
    let reached = reached.map_err(|error| refusal(&error))?;
    Ok(Answer::value(&wish.answer(reached)))
}

/// The answer to a compaction that cannot be.
fn refusal(error: &Error) -> Status {
    match error {
        Error::Future { .. } => Status::bad_request(format!("{VERSION}: {error}")),
        other => general(other),
    }
}

fn bad<T>(field: &str, problem: &str) -> Result<T, Status> {
    Err(Status::bad_request(format!("{field}: {problem}")))
}

impl Wish {
    /// Reads a body.
    fn read(body: &[u8]) -> Result<Self, Status> {
        let document = read_object(body)?;
        if let Some(field) = document.duplicates.first() {
            return bad(field, "expected once");
        }
        let Value::Object(fields) = document.value else {
            return bad("the body", "expected an object");
        };
        if let Some(field) = fields
            .keys()
            .find(|field| !FIELDS.contains(&field.as_str()))
        {
            let expected = FIELDS.join(", ");
            return bad(field, &format!("unknown field; expected {expected}"));
        }
        let Some(resource) = text(&fields, RESOURCE)? else {
            return bad(RESOURCE, "expected the plural name of a kind");
        };
        let version = text(&fields, VERSION)?.unwrap_or_default();
        let version = version.parse().unwrap_or_default();
        if version == Version::ZERO {
            return bad(VERSION, "expected a version from \"1\" on, as a string");
        }
        Ok(Wish {
            group: text(&fields, GROUP)?.unwrap_or_default(),
            resource,
            namespace: text(&fields, NAMESPACE)?,
            version,
        })
    }

    /// What is meant, if it is served.
    fn collection(&self, kinds: &Kinds) -> Result<Collection, Status> {
        let Wish {
            group, resource, ..
        } = self;
        let Some(kind) = kinds.kind(group, resource) else {
            if kinds.iter().all(|kind| kind.group != *group) {
                return bad(GROUP, &format!("there is no {group:?}"));
            }
            let there = kinds.iter().filter(|kind| kind.group == *group);
            let there: Vec<&str> = there.map(|kind| kind.names.plural.as_str()).collect();
            let there = there.join(", ");
            return bad(
                RESOURCE,
                &format!("there is no {resource:?} in it, but {there}"),
            );
        };
        let collection = match &self.namespace {
            Some(_) if !kind.is_namespaced() => {
                let name = ServedKind::resource(kind);
                return bad(NAMESPACE, &format!("{name} have none: leave it out"));
            }
            // Objects of the cluster scope are the only ones without.
            Some(namespace) if namespace.is_empty() => {
                return bad(
                    NAMESPACE,
                    "expected a name; left out, it means all namespaces",
                );
            }
            Some(namespace) => Collection::within(group, resource, namespace),
            None if kind.is_namespaced() => Collection::of(group, resource),
            None => Collection::within(group, resource, ""),
        };
        collection.map_err(|error| Status::bad_request(error.to_string()))
    }

    fn answer(&self, reached: Version) -> Value {
        let mut answer = json!({
            "kind": "Compaction",
            "apiVersion": STORE_API,
            GROUP: self.group,
            RESOURCE: self.resource,
        });
        if let Some(namespace) = &self.namespace {
            answer[NAMESPACE] = Value::from(namespace.as_str());
        }
        answer["compactedVersion"] = Value::from(reached.to_string());
        answer
    }
}

/// A field that is a string, if it is there.
fn text(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, Status> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => bad(
            name,
            &format!("expected a string, found {}", type_name(other)),
        ),
    }
}

#[cfg(test)]
mod tests {
    //! Catches a body that is taken for another wish, and one whose refusal does not name the field.
    use super::*;

    /// The wish in a body, as the collection and version it means.
    fn meant(body: &str) -> Result<(Collection, u64), Status> {
        let wish = Wish::read(body.as_bytes())?;
        let collection = wish.collection(&Kinds::built_in().unwrap())?;
        Ok((collection, wish.version.get()))
    }

    #[test]
    fn a_body_means_one_collection() {
        let (group, resource) = ("dashboard.grafana.app", "dashboards");
        let all = format!(r#"{{"group":"{group}","resource":"{resource}","resourceVersion":"7"}}"#);
        assert_eq!(
            meant(&all),
            Ok((Collection::of(group, resource).unwrap(), 7))
        );
        let one = all.replace('}', r#","namespace":"team-a"}"#);
        let within = Collection::within(group, resource, "team-a").unwrap();
        assert_eq!(meant(&one), Ok((within, 7)));
        let core = Collection::within("", "namespaces", "").unwrap();
        for group in ["", r#""group":"","#] {
            let body = format!(r#"{{{group}"resource":"namespaces","resourceVersion":"1"}}"#);
            assert_eq!(meant(&body), Ok((core.clone(), 1)));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |rest: &str| {
            format!(r#"{{"group":"dashboard.grafana.app","resource":"dashboards"{rest}}}"#)
        };
        let at = |rest: &str| with(&format!(r#","resourceVersion":"1"{rest}"#));
        for (body, named) in [
            ("", "the body is not acceptable JSON"),
            ("[]", "expected an object"),
            ("{}", "resource: expected the plural"),
            (r#"{"resource":7}"#, "resource: expected a string"),
            (
                r#"{"resource":"nothing","resourceVersion":"1"}"#,
                "resource: there is no \"nothing\"",
            ),
            (
                r#"{"group":"g","resource":"r","resourceVersion":"1"}"#,
                "group: there is no \"g\"",
            ),
            (&with(""), "resourceVersion: expected a version"),
            (
                &with(r#","resourceVersion":1"#),
                "resourceVersion: expected a string",
            ),
            (
                &with(r#","resourceVersion":"0""#),
                "resourceVersion: expected a version",
            ),
            (
                &with(r#","resourceVersion":"-1""#),
                "resourceVersion: expected a version",
            ),
            (
                &with(r#","resourceVersion":"01""#),
                "resourceVersion: expected a version",
            ),
            (
                &at(r#","resourceVersion":"2""#),
                "resourceVersion: expected once",
            ),
            (&at(r#","namespace":null"#), "namespace: expected a string"),
            (&at(r#","namespace":"""#), "namespace: expected a name"),
            (&at(r#","namespace":"a/b""#), "namespace"),
            (&at(r#","until":"1""#), "until: unknown field"),
            (
                r#"{"resource":"namespaces","namespace":"a","resourceVersion":"1"}"#,
                "namespace: namespaces have none",
            ),
        ] {
            let status = meant(body).unwrap_err();
            assert_eq!(status.code(), 400, "{body}: {status}");
            assert!(status.message.contains(named), "{body}: {status}");
        }
    }
}
