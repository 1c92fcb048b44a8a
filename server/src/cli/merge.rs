//! What must change so that an object says what a file says: a merge in three ways.
//!
//! ```text
//! last     what the file said when it was applied before; kept in an annotation
//! file     what it says now
//! live     what the object says
//!
//! in the file, and not so in the object      is set
//! in last, and no longer in the file         is removed
//! only in the object                         stays: others wrote it
//! ```
//!
//! The annotation is kubectl's, so that `kubectl apply` and `annals apply` can take turns. Lists
//! are one value, as for every kind that Kubernetes does not know itself. Pure values, no I/O.

use serde_json::{Map, Value, json};

/// Where the file that was applied last is kept.
pub(super) const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The object of a file with a record of what the file says.
pub(super) fn recorded(file: &Value) -> Value {
    let plain = plain(file);
    let mut object = plain.clone();
    let text = record(plain);
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let notes = metadata.entry("annotations").or_insert_with(|| json!({}));
        if !notes.is_object() {
            return object;
        }
        notes[LAST] = json!(text);
    }
    object
}

/// What a file says, byte for byte as kubectl records it, so that it finds nothing to change:
/// sorted, with annotations, and with the escapes of Go.
fn record(mut plain: Value) -> String {
    if let Some(metadata) = plain.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.entry("annotations").or_insert_with(|| json!({}));
    }
    let mut text = sorted(plain).to_string();
    // These stand in strings only.
    for (char, escape) in [
        ('<', "\\u003c"),
        ('>', "\\u003e"),
        ('&', "\\u0026"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ] {
        if text.contains(char) {
            text = text.replace(char, escape);
        }
    }
    text + "\n"
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.into_iter().collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            let members = members.into_iter();
            Value::Object(members.map(|(name, value)| (name, sorted(value))).collect())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

/// The merge patch that brings `live` to what `file` says; nothing if it says so already.
pub(super) fn patch(live: &Value, file: &Value) -> Option<Value> {
    let last = live
        .pointer("/metadata/annotations")
        .and_then(|notes| notes.get(LAST));
    let last = last
        .and_then(Value::as_str)
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .unwrap_or(Value::Null);
    let plain = plain(file);
    let mut changes = Map::new();
    difference(&last, &plain, live, &mut changes);
    if changes.is_empty() && self::plain(&last) == plain {
        return None;
    }
    let mut changes = Value::Object(changes);
    // The record goes with every change, so that the next apply knows what this one said.
    let record = recorded(file);
    let note = record
        .pointer("/metadata/annotations")
        .and_then(|notes| notes.get(LAST));
    if let Some(note) = note {
        let metadata = &mut changes["metadata"];
        if !metadata.is_object() {
            *metadata = json!({});
        }
        let notes = &mut metadata["annotations"];
        if !notes.is_object() {
            *notes = json!({});
        }
        notes[LAST] = note.clone();
    }
    Some(changes)
}

/// What a file says of its own: without the record, and without what says nothing.
fn plain(file: &Value) -> Value {
    let mut object = file.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        // A file that was read from the server holds these; they are no wish.
        for owned in [
            "creationTimestamp",
            "generation",
            "managedFields",
            "resourceVersion",
            "uid",
        ] {
            metadata.shift_remove(owned);
        }
        if let Some(notes) = metadata
            .get_mut("annotations")
            .and_then(Value::as_object_mut)
        {
            notes.shift_remove(LAST);
            if notes.is_empty() {
                metadata.shift_remove("annotations");
            }
        }
    }
    object
}

/// Puts into `changes` what brings `live` to `file`.
fn difference(last: &Value, file: &Value, live: &Value, changes: &mut Map<String, Value>) {
    let empty = Map::new();
    let (file, live) = (
        file.as_object().unwrap_or(&empty),
        live.as_object().unwrap_or(&empty),
    );
    for (name, wanted) in file {
        let found = live.get(name);
        match (wanted, found) {
            // In a merge patch nothing means: remove.
            (Value::Null, None) => {}
            (Value::Object(_), Some(Value::Object(_))) => {
                let mut below = Map::new();
                let last = last.get(name).unwrap_or(&Value::Null);
                difference(last, wanted, found.unwrap_or(&Value::Null), &mut below);
                if !below.is_empty() {
                    changes.insert(name.clone(), Value::Object(below));
                }
            }
            _ if found == Some(wanted) => {}
            _ => {
                changes.insert(name.clone(), wanted.clone());
            }
        }
    }
    for (name, said) in last.as_object().unwrap_or(&empty) {
        let Some(found) = live.get(name).filter(|_| !file.contains_key(name)) else {
            continue;
        };
        let gone = removal(said, found);
        if gone.as_object().is_none_or(|gone| !gone.is_empty()) {
            changes.insert(name.clone(), gone);
        }
    }
}

/// What removes the wish `said` from `found`, and leaves what others put beside it.
fn removal(said: &Value, found: &Value) -> Value {
    let (Value::Object(_), Value::Object(live)) = (said, found) else {
        return Value::Null;
    };
    let mut below = Map::new();
    difference(said, &Value::Null, found, &mut below);
    if below.len() == live.len() && below.values().all(Value::is_null) {
        return Value::Null;
    }
    Value::Object(below)
}

#[cfg(test)]
mod tests {
    //! Catches an apply that forgets a wish, undoes what others wrote, or writes for nothing.
    use proptest::prelude::*;

    use super::*;

    /// What a server makes of a merge patch.
    fn apply(object: &Value, patch: &Value) -> Value {
        let mut object = object.clone();
        json_patch::merge(&mut object, patch);
        object
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (0_u8..3).prop_map(|number| json!(number)),
            "[ab]".prop_map(|text| json!(text)),
            prop::collection::vec(0_u8..2, 0..3).prop_map(|list| json!(list)),
        ];
        let tree = leaf.prop_recursive(3, 12, 3, |inner| {
            prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|map| json!(map))
        });
        prop::collection::btree_map("[a-c]", tree, 0..3).prop_map(|map| json!(map))
    }

    fn object(spec: &Value) -> Value {
        json!({"kind": "A", "metadata": {"name": "x"}, "spec": spec})
    }

    /// Every leaf of `wanted` is in `found`.
    fn says(found: &Value, wanted: &Value) -> bool {
        match wanted {
            Value::Object(map) => map
                .iter()
                .all(|(name, wanted)| found.get(name).is_some_and(|found| says(found, wanted))),
            _ => found == wanted,
        }
    }

    proptest! {
        #[test]
        fn the_object_says_what_the_file_says(old in tree(), new in tree(), others in tree()) {
            let first = recorded(&object(&old));
            let live = apply(&first, &json!({"spec": others}));
            let file = object(&new);
            let after = patch(&live, &file).map_or(live.clone(), |patch| apply(&live, &patch));
            prop_assert!(says(&after, &file), "{after}");
            prop_assert_eq!(patch(&after, &file), None);
        }

        #[test]
        fn what_nobody_else_wrote_goes_with_the_file(old in tree(), new in tree()) {
            let live = recorded(&object(&old));
            let file = object(&new);
            let after = patch(&live, &file).map_or(live.clone(), |patch| apply(&live, &patch));
            prop_assert_eq!(plain(&after), file);
        }
    }

    #[test]
    fn the_record_is_that_of_kubectl() {
        let file = json!({"kind": "A", "apiVersion": "v1", "spec": {"b": "<&>", "a": 1},
            "metadata": {"namespace": "n", "name": "x"}});
        let expected = concat!(
            r#"{"apiVersion":"v1","kind":"A","metadata":{"annotations":{},"name":"x","#,
            r#""namespace":"n"},"spec":{"a":1,"b":"\u003c\u0026\u003e"}}"#,
            "\n"
        );
        assert_eq!(recorded(&file)["metadata"]["annotations"][LAST], expected);
    }

    #[test]
    fn others_keep_what_they_wrote() {
        let file = json!({"metadata": {"name": "x", "labels": {"a": "1"}}, "spec": {"b": [1]}});
        let mut live = recorded(&file);
        live["metadata"]["labels"]["theirs"] = json!("x");
        live["metadata"]["resourceVersion"] = json!("7");
        assert_eq!(patch(&live, &file), None);
        let file = json!({"metadata": {"name": "x"}, "spec": {"b": [2]}});
        let patch = patch(&live, &file).unwrap();
        assert_eq!(patch["spec"], json!({"b": [2]}));
        assert_eq!(patch["metadata"]["labels"], json!({"a": null}));
        let after = apply(&live, &patch);
        assert_eq!(after["metadata"]["resourceVersion"], "7");
    }
}
