//! Patches: RFC 6902 and RFC 7386 applied to an object.
//!
//! A patch works on a copy in memory; the handler then checks and writes the result like an
//! update. The work one patch may cause is limited in four ways: its operations, what its copies
//! add, how deep its result nests, and operations times bytes, because every insertion into a
//! list may move all of it.

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

use super::json;
use super::status::Status;
use crate::limits;

/// Applies a JSON patch to an object of `bytes` bytes. After an error the object may be half
/// patched and must be thrown away. The result may be larger than an object may be.
pub fn apply_json(object: &mut Value, bytes: usize, patch: &[u8]) -> Result<(), Status> {
    let document = json::read(patch)?;
    let Patch(operations) = serde_json::from_value(document.value)
        .map_err(|error| Status::bad_request(format!("the body is not a JSON patch: {error}")))?;
    if operations.len() > limits::PATCH_OPERATIONS {
        return Err(Status::too_large(
            "operations of a JSON patch",
            limits::PATCH_OPERATIONS,
        ));
    }
    let mut budget = Budget {
        bytes,
        copied: 0,
        work: 0,
    };
    for (index, operation) in operations.iter().enumerate() {
        budget.spend(object, operation)?;
        apply_one(object, index, operation)?;
    }
    Ok(())
}

/// What a patch has used of its limits.
struct Budget {
    /// The object has at most about as many bytes.
    bytes: usize,
    copied: usize,
    work: usize,
}

impl Budget {
    fn spend(&mut self, object: &Value, operation: &PatchOperation) -> Result<(), Status> {
        self.bytes += match operation {
            PatchOperation::Add(add) => size(&add.value),
            PatchOperation::Replace(replace) => size(&replace.value),
            PatchOperation::Copy(copy) => {
                let copied = object.pointer(copy.from.as_str()).map_or(0, size);
                self.copied += copied;
                copied
            }
            _ => 0,
        };
        self.work = self.work.saturating_add(self.bytes);
        if self.copied > limits::PATCH_GROWTH_BYTES {
            let what = "bytes copied by a JSON patch";
            return Err(Status::too_large(what, limits::PATCH_GROWTH_BYTES));
        }
        if self.work > limits::PATCH_WORK_BYTES {
            let what = "operations of a JSON patch times bytes of its object";
            return Err(Status::too_large(what, limits::PATCH_WORK_BYTES));
        }
        Ok(())
    }
}

fn apply_one(object: &mut Value, index: usize, operation: &PatchOperation) -> Result<(), Status> {
    let fail = |why: String| Status::unprocessable(format!("JSON patch: operation {index}: {why}"));
    json_patch::patch_unsafe(object, std::slice::from_ref(operation))
        .map_err(|error| fail(format!("{} at path {:?}", error.kind, error.path.as_str())))?;
    // A short move can nest an object once more each time, so depth is looked at after each.
    let path = operation.path();
    let depth = path.count() + object.pointer(path.as_str()).map_or(0, json::depth);
    if depth > limits::JSON_DEPTH {
        return Err(fail(format!(
            "the result has more than {} levels",
            limits::JSON_DEPTH
        )));
    }
    Ok(())
}

/// About how many bytes of JSON a value takes.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().map(size).sum::<usize>() + list.len() + 2,
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| key.len() + size(value) + 4)
            .sum(),
        Value::String(text) => text.len() + 2,
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

/// Applies a merge patch to an object; a patch that is not an object is refused, because it would
/// replace the object by something that is none. Repeated keys of the patch are handed up.
pub fn apply_merge(object: &mut Value, patch: &[u8]) -> Result<Vec<String>, Status> {
    let document = json::read_object(patch)?;
    merge(object, &document.value);
    Ok(document.duplicates)
}

/// Merges as RFC 7386 says. Keys stay in their order, also when one is removed: the stored bytes
/// then differ only where the patch says so, and history stays readable.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(map) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            map.shift_remove(key);
        } else {
            merge(map.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Catches a patch that gives another result than its RFC, fails with the wrong code, or lets
    //! a small body cause much work.

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn patched(mut object: Value, patch: &Value) -> Result<Value, Status> {
        let bytes = object.to_string().len();
        apply_json(&mut object, bytes, patch.to_string().as_bytes()).map(|()| object)
    }

    #[test]
    fn json_patches_are_applied() {
        let patch = json!([
            {"op": "test", "path": "/a", "value": 1},
            {"op": "replace", "path": "/a", "value": 2},
            {"op": "add", "path": "/list/-", "value": 3},
            {"op": "copy", "from": "/a", "path": "/x~1y"},
            {"op": "move", "from": "/list/0", "path": "/first"},
            {"op": "remove", "path": "/gone"},
        ]);
        let found = patched(json!({"a": 1, "list": [0], "gone": 1}), &patch).unwrap();
        assert_eq!(found, json!({"a": 2, "list": [3], "x/y": 2, "first": 0}));
    }

    #[test]
    fn json_patches_fail_with_the_right_code() {
        let object = json!({"a": 1, "list": []});
        for (patch, code) in [
            (json!([{"op": "test", "path": "/a", "value": 2}]), 422),
            (json!([{"op": "remove", "path": "/b"}]), 422),
            (json!([{"op": "remove", "path": "/list/-"}]), 422),
            (json!([{"op": "add", "path": "/list/7", "value": 1}]), 422),
            (
                json!([{"op": "move", "from": "/list", "path": "/list/0"}]),
                422,
            ),
            (json!([{"op": "explode", "path": "/a"}]), 400),
            (json!([{"op": "add", "path": "a", "value": 1}]), 400),
            (json!({"op": "add"}), 400),
            (json!([]), 0),
        ] {
            let found = patched(object.clone(), &patch);
            assert_eq!(
                found.err().map_or(0, |status| status.code()),
                code,
                "{patch}"
            );
        }
        let operation = json!({"op": "test", "path": "/a", "value": 1});
        let status = patched(
            object.clone(),
            &Value::from(vec![operation.clone(); 10_001]),
        );
        assert_eq!(status.unwrap_err().code(), 413);
        assert!(patched(object, &Value::from(vec![operation; 10_000])).is_ok());
    }

    #[test]
    fn small_patches_cannot_cause_much_work() {
        let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        let object = json!({"a": ["x".repeat(1000)]});
        let status = patched(object, &Value::from(vec![double; 60])).unwrap_err();
        assert!(matches!(status.code(), 413 | 422), "{status}");
        let wrap = [
            json!({"op": "add", "path": "/b", "value": {}}),
            json!({"op": "move", "from": "/a", "path": "/b/a"}),
            json!({"op": "move", "from": "/b", "path": "/a"}),
        ];
        let wraps: Vec<Value> = wrap.iter().cycle().take(300).cloned().collect();
        let status = patched(json!({"a": {}}), &Value::from(wraps)).unwrap_err();
        assert!(status.message.contains("more than 64 levels"), "{status}");
        let mut large = json!({"a": 1});
        let test = json!({"op": "test", "path": "/a", "value": 1});
        let patch = Value::from(vec![test; 2000]).to_string();
        let status = apply_json(&mut large, limits::OBJECT_BYTES, patch.as_bytes()).unwrap_err();
        assert_eq!(status.code(), 413);
    }

    #[test]
    fn merge_patches_follow_the_table_of_the_rfc() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!([1, 2]),
                json!({"a": "b", "c": null}),
                json!({"a": "b"}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            let mut found = target.clone();
            merge(&mut found, &patch);
            assert_eq!(found, expected, "{target} + {patch}");
        }
        let mut object = json!({"z": 1, "gone": 1, "y": 1, "x": 1});
        let repeated = apply_merge(&mut object, br#"{"gone": null, "n": 1, "n": 2}"#).unwrap();
        assert_eq!(object.to_string(), r#"{"z":1,"y":1,"x":1,"n":2}"#);
        assert_eq!(repeated, ["n"]);
        assert_eq!(apply_merge(&mut object, b"[]").unwrap_err().code(), 400);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<i8>().prop_map(Value::from)];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..3)
                    .prop_map(|map| Value::from(serde_json::Map::from_iter(map))),
            ]
        })
    }

    proptest! {
        #[test]
        fn merging_agrees_with_the_json_patch_crate(target in any_json(), patch in any_json()) {
            let (mut ours, mut theirs) = (target.clone(), target);
            merge(&mut ours, &patch);
            json_patch::merge(&mut theirs, &patch);
            prop_assert_eq!(ours, theirs);
        }
    }
}
