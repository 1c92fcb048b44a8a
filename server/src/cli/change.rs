//! What changed between two values, place by place.
//!
//! Objects are compared by name; lists by their longest common part, so that an item put at the
//! front is one change and not one for every item behind it. Pure values, no I/O.

use serde_json::Value;
use similar::{Algorithm, DiffOp, capture_diff_slices};

/// One place where two values differ.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change<'a> {
    /// Where, such as `spec.items[2].title`; an item of a list by its new place, or its old one
    /// when it is gone.
    pub(super) path: String,
    /// What was there.
    pub(super) old: Option<&'a Value>,
    /// What is there.
    pub(super) new: Option<&'a Value>,
}

/// Every place where `old` and `new` differ, in the order of the new value; nothing if they do not.
pub(super) fn changes<'a>(old: &'a Value, new: &'a Value) -> Vec<Change<'a>> {
    let mut found = Vec::new();
    compare("", old, new, &mut found);
    found
}

fn compare<'a>(path: &str, old: &'a Value, new: &'a Value, found: &mut Vec<Change<'a>>) {
    match (old, new) {
        _ if old == new => {}
        (Value::Object(old), Value::Object(new)) => {
            for (name, value) in new {
                let path = member(path, name);
                match old.get(name) {
                    Some(before) => compare(&path, before, value, found),
                    None => found.push(Change {
                        path,
                        old: None,
                        new: Some(value),
                    }),
                }
            }
            let gone = old.iter().filter(|(name, _)| !new.contains_key(*name));
            found.extend(gone.map(|(name, value)| Change {
                path: member(path, name),
                old: Some(value),
                new: None,
            }));
        }
        (Value::Array(old), Value::Array(new)) => compare_lists(path, old, new, found),
        _ => found.push(Change {
            path: path.to_owned(),
            old: Some(old),
            new: Some(new),
        }),
    }
}

fn compare_lists<'a>(path: &str, old: &'a [Value], new: &'a [Value], found: &mut Vec<Change<'a>>) {
    // Texts are compared: values have no order, and the algorithm wants one.
    let texts = |list: &[Value]| list.iter().map(Value::to_string).collect::<Vec<_>>();
    for step in capture_diff_slices(Algorithm::Myers, &texts(old), &texts(new)) {
        let (_, before, after) = step.as_tag_tuple();
        if matches!(step, DiffOp::Equal { .. }) {
            continue;
        }
        let both = before.len().min(after.len());
        for (from, to) in before.clone().zip(after.clone()) {
            compare(&format!("{path}[{to}]"), &old[from], &new[to], found);
        }
        found.extend(before.skip(both).map(|at| Change {
            path: format!("{path}[{at}]"),
            old: old.get(at),
            new: None,
        }));
        found.extend(after.skip(both).map(|at| Change {
            path: format!("{path}[{at}]"),
            old: None,
            new: new.get(at),
        }));
    }
}

/// The path of a member; a name that is no plain word stands in brackets.
fn member(path: &str, name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '$';
    if name.is_empty() || !name.chars().all(is_plain) {
        return format!("{path}[{}]", Value::from(name));
    }
    if path.is_empty() {
        return name.to_owned();
    }
    format!("{path}.{name}")
}

#[cfg(test)]
mod tests {
    //! Catches a change that is not told, and one that never was.
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn told(old: &Value, new: &Value) -> Vec<String> {
        let line = |change: &Change<'_>| {
            let show = |value: Option<&Value>| value.map_or("-".to_owned(), Value::to_string);
            format!("{} {} {}", change.path, show(change.old), show(change.new))
        };
        changes(old, new).iter().map(line).collect()
    }

    #[test]
    fn names_the_place() {
        let old = json!({"a": {"b": 1, "c.d": 2, "gone": []}, "l": [1, 2, {"x": 1}]});
        let new = json!({"a": {"b": 3, "c.d": 4, "new": null}, "l": [0, 1, 2, {"x": 2}]});
        let expected = [
            "a.b 1 3",
            "a[\"c.d\"] 2 4",
            "a.new - null",
            "a.gone [] -",
            "l[0] - 0",
            "l[3].x 1 2",
        ];
        assert_eq!(told(&old, &new), expected);
        assert_eq!(told(&json!([1, 2]), &json!([2])), ["[0] 1 -"]);
        assert_eq!(told(&json!(1), &json!("1")), [" 1 \"1\""]);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = (0_u8..3).prop_map(|number| json!(number));
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|list| json!(list)),
                prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn something_is_told_exactly_when_something_changed(old in value(), new in value()) {
            let found = changes(&old, &new);
            prop_assert_eq!(found.is_empty(), old == new);
            for change in found {
                prop_assert_ne!(change.old, change.new);
            }
        }
    }
}
