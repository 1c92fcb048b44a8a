//! The check of `metadata`: types, names, labels, annotations, finalizers and owners.
//!
//! Metadata has the same shape in every kind, so it is checked here and not by schemas. The check
//! goes on after a fault, up to [`limits::CAUSES`]. Unknown fields are no fault of their own: what
//! they mean depends on `fieldValidation`, so they are reported apart, and [`prune`] removes them.

use serde_json::{Map, Value};

use super::past::{HISTORY_LABEL, TRASH_LABEL};
use crate::kinds::{Cause, NameRule, ServedKind, is_rfc3339};
use crate::limits;

/// The type of a metadata field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Time,
    Whole,
    Texts,
    TextMap,
    Owners,
    Managers,
}

const FIELDS: [(&str, Type); 15] = [
    ("name", Type::Text),
    ("generateName", Type::Text),
    ("namespace", Type::Text),
    ("selfLink", Type::Text),
    ("uid", Type::Text),
    ("resourceVersion", Type::Text),
    ("generation", Type::Whole),
    ("creationTimestamp", Type::Time),
    ("deletionTimestamp", Type::Time),
    ("deletionGracePeriodSeconds", Type::Whole),
    ("labels", Type::TextMap),
    ("annotations", Type::TextMap),
    ("ownerReferences", Type::Owners),
    ("finalizers", Type::Texts),
    ("managedFields", Type::Managers),
];

const OWNER_FIELDS: [&str; 6] = [
    "apiVersion",
    "kind",
    "name",
    "uid",
    "controller",
    "blockOwnerDeletion",
];
const MANAGER_FIELDS: [&str; 7] = [
    "manager",
    "operation",
    "apiVersion",
    "time",
    "fieldsType",
    "subresource",
    "fieldsV1",
];

/// What is wrong with the types of an object's metadata; the object cannot be read if anything is.
pub fn check_types(object: &Value) -> Vec<Cause> {
    let metadata = match object.get("metadata") {
        None => return Vec::new(),
        Some(Value::Object(metadata)) => metadata,
        Some(other) => return vec![Cause::wrong_type("metadata", other, "object")],
    };
    let mut causes = Vec::new();
    for (name, kind) in FIELDS {
        // A null is as good as nothing: typed clients send `"creationTimestamp": null`.
        if let Some(value) = metadata.get(name).filter(|value| !value.is_null()) {
            check_type(kind, &format!("metadata.{name}"), value, &mut causes);
        }
    }
    causes.truncate(limits::CAUSES);
    causes
}

fn check_type(kind: Type, field: &str, value: &Value, causes: &mut Vec<Cause>) {
    let expected = match kind {
        Type::Text | Type::Time => "string",
        Type::Whole => "integer",
        Type::TextMap => "object",
        Type::Texts | Type::Owners | Type::Managers => "array",
    };
    let fits = match expected {
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "object" => value.is_object(),
        _ => value.is_array(),
    };
    if !fits {
        causes.push(Cause::wrong_type(field, value, expected));
        return;
    }
    match (kind, value) {
        (Type::Time, Value::String(text)) if !is_rfc3339(text) => {
            let rule = format!("{field} in body must be of type date-time: {value}");
            causes.push(Cause::invalid(field, value, &rule));
        }
        (Type::TextMap, Value::Object(map)) => {
            let wrong = map.iter().filter(|(_, value)| !value.is_string());
            for (key, value) in wrong.take(limits::CAUSES) {
                causes.push(Cause::wrong_type(&place(field, key), value, "string"));
            }
        }
        (Type::Texts, Value::Array(list)) => {
            let wrong = list
                .iter()
                .enumerate()
                .filter(|(_, value)| !value.is_string());
            for (index, value) in wrong.take(limits::CAUSES) {
                causes.push(Cause::wrong_type(
                    &format!("{field}[{index}]"),
                    value,
                    "string",
                ));
            }
        }
        (Type::Owners | Type::Managers, Value::Array(list)) => {
            for (index, entry) in list.iter().enumerate() {
                if causes.len() >= limits::CAUSES {
                    return;
                }
                check_entry(kind, &format!("{field}[{index}]"), entry, causes);
            }
        }
        _ => {}
    }
}

fn check_entry(kind: Type, field: &str, entry: &Value, causes: &mut Vec<Cause>) {
    let Some(map) = entry.as_object() else {
        causes.push(Cause::wrong_type(field, entry, "object"));
        return;
    };
    let known = entry_fields(kind).unwrap_or_default();
    for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        let expected = match key.as_str() {
            "fieldsV1" => "object",
            "controller" | "blockOwnerDeletion" => "boolean",
            key if known.contains(&key) => "string",
            _ => continue,
        };
        if crate::kinds::type_name(value) != expected {
            causes.push(Cause::wrong_type(&place(field, key), value, expected));
        }
    }
}

/// What is wrong with the values of an object's metadata, whose types were checked.
pub fn check_values(kind: &ServedKind, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let empty = Map::new();
    let metadata = object
        .get("metadata")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let text = |name: &str| {
        metadata
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let map = |name: &str| {
        metadata
            .get(name)
            .and_then(Value::as_object)
            .unwrap_or(&empty)
    };
    let list = |name: &str| {
        metadata
            .get(name)
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default()
    };
    check_names(kind, text("name"), text("generateName"), &mut causes);
    if kind.is_namespaced() {
        let namespace = text("namespace");
        if !namespace.is_empty() {
            causes.extend(NameRule::Label.check("metadata.namespace", namespace).err());
        }
    } else if !text("namespace").is_empty() {
        let why = "not allowed on this type";
        causes.push(Cause::forbidden("metadata.namespace", why));
    }
    check_labels(map("labels"), &mut causes);
    check_annotations(map("annotations"), &mut causes);
    check_finalizers(list("finalizers"), &mut causes);
    check_owners(list("ownerReferences"), &mut causes);
    causes.truncate(limits::CAUSES);
    causes
}

fn check_names(kind: &ServedKind, name: &str, base: &str, causes: &mut Vec<Cause>) {
    if !name.is_empty() {
        causes.extend(kind.name_rule.check("metadata.name", name).err());
    } else if base.is_empty() {
        let why = "name or generateName is required";
        causes.push(Cause::required("metadata.name", why));
    } else {
        // The random suffix ends the name, so any character that may stand inside may end the base.
        let kept: String = base.chars().take(limits::GENERATE_NAME_BYTES).collect();
        causes.extend(
            kind.name_rule
                .check("metadata.generateName", &format!("{kept}x"))
                .err(),
        );
    }
}

fn check_labels(labels: &Map<String, Value>, causes: &mut Vec<Cause>) {
    let field = "metadata.labels";
    if labels.len() > limits::LABELS {
        causes.push(Cause::too_many(field, labels.len(), limits::LABELS));
        return;
    }
    for (key, value) in labels {
        causes.extend(check_qualified(field, key).err());
        if [HISTORY_LABEL, TRASH_LABEL].contains(&key.as_str()) {
            causes.push(Cause::forbidden(
                field,
                &format!("cannot save label: {key}"),
            ));
        }
        let text = value.as_str().unwrap_or_default();
        if text.len() > limits::LABEL_VALUE_BYTES {
            let why = format!("must be no more than {} bytes", limits::LABEL_VALUE_BYTES);
            causes.push(Cause::invalid(field, value, &why));
        } else if !text.is_empty() && !is_qualified_part(text) {
            let why = "a valid label must be an empty string or consist of alphanumeric \
                       characters, '-', '_' or '.', and must start and end with an alphanumeric \
                       character";
            causes.push(Cause::invalid(field, value, why));
        }
    }
}

fn check_annotations(annotations: &Map<String, Value>, causes: &mut Vec<Cause>) {
    let field = "metadata.annotations";
    let size = |(key, value): (&String, &Value)| key.len() + value.as_str().map_or(0, str::len);
    let total: usize = annotations.iter().map(size).sum();
    if total > limits::ANNOTATIONS_BYTES {
        causes.push(Cause::too_long(field, limits::ANNOTATIONS_BYTES, "bytes"));
        return;
    }
    // Unlike label keys, annotation keys may hold upper case in their prefix.
    for key in annotations.keys().take(limits::JSON_KEYS) {
        causes.extend(check_qualified(field, &key.to_lowercase()).err());
        if causes.len() >= limits::CAUSES {
            return;
        }
    }
}

fn check_finalizers(finalizers: &[Value], causes: &mut Vec<Cause>) {
    let field = "metadata.finalizers";
    if finalizers.len() > limits::FINALIZERS {
        causes.push(Cause::too_many(field, finalizers.len(), limits::FINALIZERS));
        return;
    }
    for finalizer in finalizers.iter().filter_map(Value::as_str) {
        causes.extend(check_qualified(field, finalizer).err());
    }
}

fn check_owners(owners: &[Value], causes: &mut Vec<Cause>) {
    let field = "metadata.ownerReferences";
    if owners.len() > limits::OWNERS {
        causes.push(Cause::too_many(field, owners.len(), limits::OWNERS));
        return;
    }
    for (index, owner) in owners.iter().enumerate() {
        for name in &OWNER_FIELDS[..4] {
            if owner
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .is_empty()
            {
                let why = format!("{name} must not be empty");
                let field = format!("{field}[{index}].{name}");
                causes.push(Cause::invalid(&field, &Value::from(""), &why));
            }
        }
    }
    let controls = |owner: &&Value| owner.get("controller") == Some(&Value::Bool(true));
    if owners.iter().filter(controls).count() > 1 {
        let why = "Only one reference can have Controller set to true.";
        causes.push(Cause::invalid(field, &Value::Array(Vec::new()), why));
    }
}

/// Checks a key such as `grafana.app/folder` or `app`.
fn check_qualified(field: &str, key: &str) -> Result<(), Cause> {
    let fail = |why: &str| Err(Cause::invalid(field, &Value::from(key), why));
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if let Some(prefix) = prefix
        && (prefix.len() > limits::LABEL_PREFIX_BYTES
            || NameRule::Subdomain.check(field, prefix).is_err())
    {
        return fail("prefix part must be a lowercase RFC 1123 subdomain");
    }
    if name.len() > limits::LABEL_NAME_BYTES {
        return fail("name part must be no more than 63 bytes");
    }
    if name.is_empty() || !is_qualified_part(name) {
        return fail(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start \
             and end with an alphanumeric character",
        );
    }
    Ok(())
}

fn is_qualified_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

fn place(field: &str, key: &str) -> String {
    crate::kinds::FieldPath::at(field).key(key)
}

/// The fields of an object's metadata that metadata does not have; the first hundred of them.
pub fn unknown_fields(object: &Value) -> Vec<String> {
    let Some(Value::Object(metadata)) = object.get("metadata") else {
        return Vec::new();
    };
    let mut unknown = Vec::new();
    for (key, value) in metadata {
        let room = limits::CAUSES - unknown.len();
        let field = place("metadata", key);
        match field_type(key).map(entry_fields) {
            None => unknown.extend(Some(field).filter(|_| room > 0)),
            Some(None) => {}
            Some(Some(known)) => {
                unknown.extend(unknown_entries(known, &field, value).take(room));
            }
        }
    }
    unknown
}

fn unknown_entries<'a>(
    known: &'static [&'static str],
    field: &'a str,
    value: &'a Value,
) -> impl Iterator<Item = String> + 'a {
    let entries = value.as_array().into_iter().flatten().enumerate();
    entries.flat_map(move |(index, entry)| {
        let keys = entry.as_object().into_iter().flat_map(Map::keys);
        let others = keys.filter(|key| !known.contains(&key.as_str()));
        others.map(move |key| place(&format!("{field}[{index}]"), key))
    })
}

/// Removes what [`unknown_fields`] reports, and nulls; says whether there was anything.
pub fn prune(object: &mut Value) -> bool {
    let Some(Value::Object(metadata)) = object.get_mut("metadata") else {
        return false;
    };
    let mut changed = false;
    let mut keep = |kept: bool| {
        changed |= !kept;
        kept
    };
    metadata.retain(|key, value| {
        let kind = field_type(key);
        if let (Some(known), Value::Array(list)) = (kind.and_then(entry_fields), &mut *value) {
            for map in list.iter_mut().filter_map(Value::as_object_mut) {
                map.retain(|key, _| keep(known.contains(&key.as_str())));
            }
        }
        keep(kind.is_some() && !value.is_null())
    });
    changed
}

fn field_type(name: &str) -> Option<Type> {
    FIELDS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, kind)| *kind)
}

/// The fields of the entries of a field that is a list of objects.
fn entry_fields(kind: Type) -> Option<&'static [&'static str]> {
    match kind {
        Type::Owners => Some(&OWNER_FIELDS),
        Type::Managers => Some(&MANAGER_FIELDS),
        Type::Text | Type::Time | Type::Whole | Type::Texts | Type::TextMap => None,
    }
}

#[cfg(test)]
mod tests {
    //! Catches metadata that breaks a rule and is stored, or keeps all rules and is refused.

    use serde_json::json;

    use super::*;
    use crate::kinds::Kinds;

    #[track_caller]
    fn check_for(plural: (&str, &str), metadata: Value, expected: &[&str]) {
        let kinds = Kinds::built_in().unwrap();
        let kind = kinds.kind(plural.0, plural.1).unwrap();
        let object = json!({"metadata": metadata});
        assert_eq!(check_types(&object), []);
        let causes: Vec<String> = check_values(kind, &object)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(causes.len(), expected.len(), "{causes:?}");
        for (cause, expected) in causes.iter().zip(expected) {
            assert!(cause.starts_with(expected), "{cause} / {expected}");
        }
    }

    #[track_caller]
    fn check(mut metadata: Value, expected: &[&str]) {
        if metadata.get("generateName").is_none() && metadata.get("name").is_none() {
            metadata["name"] = json!("n");
        }
        check_for(("playlist.grafana.app", "playlists"), metadata, expected);
    }

    #[test]
    fn names_follow_the_rule_of_the_kind() {
        check(json!({"name": "aB_c"}), &[]);
        check(
            json!({"name": "a/b"}),
            &["metadata.name: Invalid value: \"a/b\""],
        );
        check(
            json!({"name": ""}),
            &["metadata.name: Required value: name or generateName"],
        );
        check(json!({"generateName": "x-"}), &[]);
        check(json!({"generateName": "a".repeat(300)}), &[]);
        check(
            json!({"generateName": "x/"}),
            &["metadata.generateName: Invalid value"],
        );
        check(
            json!({"namespace": "Upper"}),
            &["metadata.namespace: Invalid value"],
        );
        let namespaces = ("", "namespaces");
        check_for(namespaces, json!({"name": "a-b"}), &[]);
        check_for(
            namespaces,
            json!({"name": "a.b"}),
            &["metadata.name: Invalid value"],
        );
        let inside = json!({"name": "a", "namespace": "b"});
        check_for(
            namespaces,
            inside,
            &["metadata.namespace: Forbidden: not allowed"],
        );
    }

    #[test]
    fn labels_annotations_and_finalizers_are_checked() {
        check(
            json!({"labels": {"app": "x", "a.b/c": "", "x_Y": "1.2"}}),
            &[],
        );
        for (key, value) in [
            ("-a", "x"),
            ("A.b/c", "x"),
            ("a/b/c", "x"),
            ("a", "-x"),
            ("/a", ""),
        ] {
            check(
                json!({"labels": {key: value}}),
                &["metadata.labels: Invalid value"],
            );
        }
        check(
            json!({"labels": {"a": "v".repeat(64)}}),
            &["metadata.labels: Invalid value"],
        );
        check(
            json!({"labels": {"k".repeat(64): "v"}}),
            &["metadata.labels: Invalid value"],
        );
        let many: Map<String, Value> = (0..65).map(|i| (format!("k{i}"), json!("v"))).collect();
        for key in [HISTORY_LABEL, TRASH_LABEL] {
            let expected = format!("metadata.labels: Forbidden: cannot save label: {key}");
            check(json!({"labels": {key: "true"}}), &[expected.as_str()]);
        }
        check(json!({"labels": many}), &["metadata.labels: Too many: 65"]);
        check(
            json!({"annotations": {"Grafana.app/folder": "any text\n"}}),
            &[],
        );
        check(
            json!({"annotations": {"a b": ""}}),
            &["metadata.annotations: Invalid value"],
        );
        let long = "x".repeat(limits::ANNOTATIONS_BYTES);
        check(
            json!({"annotations": {"a": long}}),
            &["metadata.annotations: Too long"],
        );
        check(json!({"finalizers": ["a.b/c", "kubernetes"]}), &[]);
        check(
            json!({"finalizers": ["a b"]}),
            &["metadata.finalizers: Invalid value"],
        );
    }

    #[test]
    fn owners_are_checked() {
        let owner = json!({"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u",
            "controller": true});
        check(json!({"ownerReferences": [owner]}), &[]);
        let two = ["metadata.ownerReferences: Invalid value"];
        check(json!({"ownerReferences": [owner, owner]}), &two);
        let mut nameless = owner;
        nameless["uid"] = json!("");
        let uid = ["metadata.ownerReferences[0].uid: Invalid value: \"\": uid must not be empty"];
        check(json!({"ownerReferences": [nameless]}), &uid);
    }

    #[test]
    fn types_are_checked() {
        for (metadata, field) in [
            (json!(7), "metadata"),
            (json!({"name": 7}), "metadata.name"),
            (json!({"generation": "1"}), "metadata.generation"),
            (json!({"labels": {"a": 1}}), "metadata.labels.a"),
            (json!({"labels": []}), "metadata.labels"),
            (json!({"finalizers": [1]}), "metadata.finalizers[0]"),
            (
                json!({"creationTimestamp": "yesterday"}),
                "metadata.creationTimestamp",
            ),
            (
                json!({"ownerReferences": [1]}),
                "metadata.ownerReferences[0]",
            ),
            (
                json!({"ownerReferences": [{"uid": 1}]}),
                "metadata.ownerReferences[0].uid",
            ),
            (
                json!({"managedFields": [{"fieldsV1": ""}]}),
                "metadata.managedFields[0].fieldsV1",
            ),
        ] {
            let causes = check_types(&json!({"metadata": metadata}));
            assert_eq!(causes.len(), 1, "{metadata}");
            assert_eq!(causes[0].field, field);
        }
        assert_eq!(
            check_types(&json!({"metadata": {"creationTimestamp": null}})),
            []
        );
    }

    #[test]
    fn unknown_fields_are_named_and_removed() {
        let mut object = json!({"metadata": {"name": "n", "nam": 1, "uid": null,
            "ownerReferences": [{"uid": "u", "x": 1}]}});
        assert_eq!(
            unknown_fields(&object),
            ["metadata.nam", "metadata.ownerReferences[0].x"]
        );
        assert!(prune(&mut object));
        let expected = json!({"metadata": {"name": "n", "ownerReferences": [{"uid": "u"}]}});
        assert_eq!(object, expected);
        assert!(!prune(&mut object));
    }
}
