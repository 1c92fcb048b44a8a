//! Walks that change the shape of an object: defaults, unknown fields, pruning.
//!
//! [`Unknown`] and [`prune`] decide by the same rule, `known`, so that what is reported is what is
//! removed.

use serde_json::{Map, Value};

use super::node::Node;
use crate::kinds::FieldPath;
use crate::limits;

/// The fields that every resource has, whatever its schema says.
pub(super) const RESOURCE_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// What a schema says about one key of an object.
pub(super) enum Key<'a> {
    /// It has a schema.
    Known(&'a Node),
    /// Anything may be there.
    Free,
    /// It is not declared.
    Unknown,
}

/// What the schema says about a key.
pub(super) fn known<'a>(node: &'a Node, key: &str) -> Key<'a> {
    if node.embedded && RESOURCE_FIELDS.contains(&key) {
        return Key::Free;
    }
    match node.properties.get(key).or(node.additional.as_deref()) {
        Some(child) => Key::Known(child),
        None if node.preserve_unknown || node.additional_any => Key::Free,
        None => Key::Unknown,
    }
}

/// Collects the fields that a schema does not know.
#[derive(Default)]
pub(super) struct Unknown {
    pub(super) fields: Vec<String>,
}

impl Unknown {
    pub(super) fn walk(&mut self, node: &Node, value: &Value, path: &mut FieldPath) {
        match (value, &node.items) {
            (Value::Object(map), _) => {
                for (key, value) in map {
                    if self.fields.len() == limits::CAUSES {
                        return;
                    }
                    match known(node, key) {
                        Key::Known(child) => {
                            let mark = path.enter_key(key);
                            self.walk(child, value, path);
                            path.leave(mark);
                        }
                        Key::Free => {}
                        Key::Unknown => self.fields.push(path.key(key)),
                    }
                }
            }
            (Value::Array(list), Some(items)) => {
                for (index, value) in list.iter().enumerate() {
                    let mark = path.enter_index(index);
                    self.walk(items, value, path);
                    path.leave(mark);
                }
            }
            _ => {}
        }
    }
}

/// Removes the fields that the schema does not know; says whether there were any.
pub(super) fn prune(node: &Node, value: &mut Value) -> bool {
    let mut changed = false;
    match (value, &node.items) {
        (Value::Object(map), _) => map.retain(|key, value| match known(node, key) {
            Key::Known(child) => {
                changed |= prune(child, value);
                true
            }
            Key::Free => true,
            Key::Unknown => {
                changed = true;
                false
            }
        }),
        (Value::Array(list), Some(items)) => {
            for value in list {
                changed |= prune(items, value);
            }
        }
        _ => {}
    }
    changed
}

/// Fills in defaults and removes nulls where none are allowed; says whether anything changed.
pub(super) fn default(node: &Node, value: &mut Value) -> bool {
    let mut changed = false;
    match (value, &node.items) {
        (Value::Object(map), _) => {
            changed |= default_properties(node, map);
            for (key, value) in map {
                if let Key::Known(child) = known(node, key) {
                    changed |= default(child, value);
                }
            }
        }
        (Value::Array(list), Some(items)) => {
            for value in list {
                changed |= default(items, value);
            }
        }
        _ => {}
    }
    changed
}

fn default_properties(node: &Node, map: &mut Map<String, Value>) -> bool {
    let mut changed = false;
    for (name, child) in &node.properties {
        if node.embedded && RESOURCE_FIELDS.contains(&name.as_str()) {
            continue;
        }
        if !child.nullable && map.get(name).is_some_and(Value::is_null) {
            map.shift_remove(name);
            changed = true;
        }
        if let (Some(value), false) = (&child.default, map.contains_key(name)) {
            map.insert(name.clone(), value.clone());
            changed = true;
        }
    }
    changed
}
