//! What a type does not know of an object is kept when the object is written again.
//!
//! Three trees meet: the object as it was read, what the type saw of it, and what the type says
//! now. What the type saw and still says stays as it was read; what it says otherwise is taken from
//! it; what it saw and says no more goes; what it never saw stays.
//!
//! ```text
//! read   {"title": "a", "panels": [{"id": 1, "x": 9}, {"id": 2}], "y": 5}
//! saw    {"title": "a", "panels": [{"id": 1},         {"id": 2}]}
//! says   {"title": "b", "panels": [{"id": 2}, {"id": 1}]}
//! ->     {"title": "b", "panels": [{"id": 2}, {"id": 1, "x": 9}], "y": 5}
//! ```
//!
//! An entry of a list is known again when it is unchanged, wherever it went, or else by its place
//! when the list is as long as before. Any other is new, and has what the type says alone.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// An object, with its fields in order.
pub(super) type Fields = Map<String, Value>;

/// The object to write: see the page.
pub(super) fn merge(read: Fields, saw: &Fields, mut says: Fields) -> Fields {
    let mut merged = Fields::new();
    for (name, value) in read {
        let said = says.get_mut(&name).map(Value::take);
        let value = match (saw.get(&name), said) {
            (None, None) => value,
            (Some(_), None) => continue,
            (None, Some(said)) => said,
            (Some(seen), Some(said)) => merge_value(value, seen, said),
        };
        merged.insert(name, value);
    }
    // New fields come last, in the order of the type.
    for (name, value) in says {
        merged.entry(name).or_insert(value);
    }
    merged
}

fn merge_value(read: Value, saw: &Value, says: Value) -> Value {
    match (read, saw, says) {
        (Value::Object(read), Value::Object(saw), Value::Object(says)) => {
            Value::Object(merge(read, saw, says))
        }
        (Value::Array(read), Value::Array(saw), Value::Array(says)) if read.len() == saw.len() => {
            Value::Array(merge_list(read, saw, says))
        }
        (read, saw, says) if *saw == says => read,
        (_, _, says) => says,
    }
}

fn merge_list(read: Vec<Value>, saw: &[Value], says: Vec<Value>) -> Vec<Value> {
    // Which entry of `saw` each of `says` is: first those that stayed, then those that moved.
    let mut origins: Vec<Option<usize>> = vec![None; says.len()];
    let mut taken = vec![false; saw.len()];
    for (at, said) in says.iter().enumerate() {
        if saw.get(at) == Some(said) {
            origins[at] = Some(at);
            taken[at] = true;
        }
    }
    let mut moved: HashMap<&Value, Vec<usize>> = HashMap::new();
    for (at, seen) in saw.iter().enumerate().rev().filter(|(at, _)| !taken[*at]) {
        moved.entry(seen).or_default().push(at);
    }
    for (origin, said) in origins.iter_mut().zip(&says) {
        if origin.is_none()
            && let Some(at) = moved.get_mut(said).and_then(Vec::pop)
        {
            *origin = Some(at);
            taken[at] = true;
        }
    }
    if says.len() == saw.len() {
        for (at, origin) in origins.iter_mut().enumerate() {
            if origin.is_none() && !taken[at] {
                *origin = Some(at);
            }
        }
    }
    let mut read: Vec<Option<Value>> = read.into_iter().map(Some).collect();
    let entries = says.into_iter().zip(origins);
    entries
        .map(|(said, origin)| {
            let known = origin.and_then(|at| Some((read.get_mut(at)?.take()?, saw.get(at)?)));
            match known {
                Some((value, seen)) => merge_value(value, seen, said),
                None => said,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        match value {
            Value::Object(fields) => fields,
            other => panic!("{other} is not an object"),
        }
    }

    fn merged(read: Value, saw: Value, says: Value) -> Value {
        Value::Object(merge(fields(read), &fields(saw), fields(says)))
    }

    /// What a type sees that knows the names below `u`.
    fn seen(value: &Value) -> Value {
        match value {
            Value::Object(all) => {
                let known = all.iter().filter(|(name, _)| name.as_str() < "u");
                let known = known.map(|(name, value)| (name.clone(), seen(value)));
                Value::Object(known.collect())
            }
            Value::Array(all) => Value::Array(all.iter().map(seen).collect()),
            other => other.clone(),
        }
    }

    fn object() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!(null)), (0..3).prop_map(|n| json!(n))];
        let tree = leaf.prop_recursive(4, 24, 4, |inner| {
            let list = prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array);
            prop_oneof![list, objects(inner)]
        });
        objects(tree)
    }

    fn objects(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
        let names = prop::sample::select(vec!["a", "b", "c", "x", "y"]);
        prop::collection::vec((names, inner), 0..4).prop_map(|entries| {
            let entries = entries.into_iter();
            Value::Object(
                entries
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
            )
        })
    }

    proptest! {
        /// The type reads back what it said, and nothing changes where it says what it saw.
        #[test]
        fn says_what_the_type_says(read in object(), other in object()) {
            let (saw, says) = (seen(&read), seen(&other));
            let result = merged(read.clone(), saw.clone(), says.clone());
            prop_assert_eq!(seen(&result), says);
            prop_assert_eq!(merged(read.clone(), saw.clone(), saw), read);
        }

        /// Fields outside lists that the type does not know stay, unless all around them goes.
        #[test]
        fn keeps_what_the_type_does_not_know(read in object(), other in object()) {
            let result = merged(read.clone(), seen(&read), seen(&other));
            for (name, value) in fields(read).iter().filter(|(name, _)| name.as_str() >= "u") {
                prop_assert_eq!(result.get(name), Some(value));
            }
        }
    }

    #[test]
    fn entries_of_lists_are_known_again() {
        let read = json!({"l": [{"a": 1, "x": 1}, {"a": 2, "x": 2}, {"a": 3, "x": 3}]});
        let says = |list: Value| {
            let result = merged(read.clone(), seen(&read), json!({"l": list}));
            result["l"].clone()
        };
        // Moved and one taken out.
        assert_eq!(
            says(json!([{"a": 3}, {"a": 1}])),
            json!([{"a": 3, "x": 3}, {"a": 1, "x": 1}])
        );
        // One changed where it stands, while the others change places.
        assert_eq!(
            says(json!([{"a": 3}, {"a": 9}, {"a": 1}])),
            json!([{"a": 3, "x": 3}, {"a": 9, "x": 2}, {"a": 1, "x": 1}])
        );
        // One put in before the others.
        assert_eq!(
            says(json!([{"a": 0}, {"a": 1}, {"a": 2}, {"a": 3}])),
            json!([{"a": 0}, {"a": 1, "x": 1}, {"a": 2, "x": 2}, {"a": 3, "x": 3}])
        );
    }
}
