//! The check of a value against a schema, with the error texts of Kubernetes.
//!
//! The walk goes on after a fault, so that a client sees all of them at once, up to
//! [`limits::CAUSES`].

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::format;
use super::node::{Bound, ListType, Node, Type};
use super::shape::{Key, RESOURCE_FIELDS, known};
use crate::kinds::{Cause, FieldPath};
use crate::limits;

/// What is wrong with a whole object.
pub(super) fn validate(root: &Node, object: &Value) -> Vec<Cause> {
    let mut check = Check::default();
    check.value(root, object);
    check.causes
}

/// What is wrong with a value that stands for a part of an object.
pub(super) fn validate_part(node: &Node, value: &Value) -> Vec<Cause> {
    let mut check = Check {
        path: FieldPath::at("value"),
        ..Check::default()
    };
    check.value(node, value);
    check.causes
}

#[derive(Default)]
struct Check {
    path: FieldPath,
    causes: Vec<Cause>,
}

impl Check {
    fn report(&mut self, cause: Cause) {
        if self.causes.len() < limits::CAUSES {
            self.causes.push(cause);
        }
    }

    /// Reports `<field> in body <rule>`.
    fn broken(&mut self, value: &Value, rule: &str) {
        let field = self.path.as_str();
        let cause = Cause::invalid(field, value, &format!("{field} in body {rule}"));
        self.report(cause);
    }

    fn value(&mut self, node: &Node, value: &Value) {
        if self.causes.len() == limits::CAUSES || value.is_null() && node.nullable {
            return;
        }
        if !has_type(node.kind, value) {
            let cause = Cause::wrong_type(self.path.as_str(), value, node.kind.as_str());
            return self.report(cause);
        }
        if !node.allowed.is_empty() && !node.allowed.contains(value) {
            let cause = Cause::not_supported(self.path.as_str(), value, &node.allowed);
            self.report(cause);
        }
        match value {
            Value::Object(map) => self.object(node, value, map),
            Value::Array(list) => self.list(node, value, list),
            Value::String(text) => self.text(node, value, text),
            Value::Number(number) => self.number(node, value, number.as_f64().unwrap_or(f64::NAN)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn object(&mut self, node: &Node, value: &Value, map: &Map<String, Value>) {
        for name in node.required.iter().filter(|name| !map.contains_key(*name)) {
            let cause = Cause::required(&self.path.key(name), "");
            self.report(cause);
        }
        if node.embedded {
            self.resource(map);
        }
        for (key, value) in map {
            if let Key::Known(child) = known(node, key) {
                let mark = self.path.enter_key(key);
                self.value(child, value);
                self.path.leave(mark);
            }
        }
        let [min, max] = node.property_count;
        if let Some(min) = min.filter(|min| map.len() < *min) {
            self.broken(value, &format!("should have at least {min} properties"));
        }
        if let Some(max) = max.filter(|max| map.len() > *max) {
            let cause = Cause::too_many(self.path.as_str(), map.len(), max);
            self.report(cause);
        }
    }

    /// The fields that make an object a resource. What is in its metadata is checked elsewhere.
    fn resource(&mut self, map: &Map<String, Value>) {
        for (name, expected) in RESOURCE_FIELDS.iter().zip(["string", "string", "object"]) {
            let field = self.path.key(name);
            match map.get(*name) {
                None if expected == "string" => self.report(Cause::required(&field, "")),
                Some(value) if crate::kinds::type_name(value) != expected => {
                    self.report(Cause::wrong_type(&field, value, expected));
                }
                None | Some(_) => {}
            }
        }
    }

    fn list(&mut self, node: &Node, value: &Value, list: &[Value]) {
        let [min, max] = node.item_count;
        if let Some(min) = min.filter(|min| list.len() < *min) {
            self.broken(value, &format!("should have at least {min} items"));
        }
        if let Some(max) = max.filter(|max| list.len() > *max) {
            let cause = Cause::too_many(self.path.as_str(), list.len(), max);
            self.report(cause);
        }
        let mut seen = HashSet::new();
        for (index, entry) in list.iter().enumerate() {
            let mark = self.path.enter_index(index);
            if let Some(items) = &node.items {
                self.value(items, entry);
                let identity = identity(&node.list, items, entry);
                if identity.is_some_and(|identity| !seen.insert(identity)) {
                    let cause = Cause::duplicate(self.path.as_str(), entry);
                    self.report(cause);
                }
            }
            self.path.leave(mark);
        }
    }

    fn text(&mut self, node: &Node, value: &Value, text: &str) {
        if node.length != [None, None] {
            let [min, max] = node.length;
            let count = text.chars().count();
            if let Some(min) = min.filter(|min| count < *min) {
                self.broken(value, &format!("should be at least {min} chars long"));
            }
            if let Some(max) = max.filter(|max| count > *max) {
                let cause = Cause::too_long(self.path.as_str(), max, "characters");
                self.report(cause);
            }
        }
        if let Some(pattern) = node
            .pattern
            .as_ref()
            .filter(|pattern| !pattern.is_match(text))
        {
            self.broken(value, &format!("should match '{pattern}'"));
        }
        if let Some(format) = node
            .format
            .as_ref()
            .filter(|name| !format::fits(name, text))
        {
            self.broken(value, &format!("must be of type {format}: {value}"));
        }
    }

    fn number(&mut self, node: &Node, value: &Value, number: f64) {
        if let Some(Bound {
            value: min,
            exclusive,
        }) = node.minimum
        {
            let words = if exclusive {
                "greater than"
            } else {
                "greater than or equal to"
            };
            if number < min || exclusive && number == min {
                self.broken(value, &format!("should be {words} {min}"));
            }
        }
        if let Some(Bound {
            value: max,
            exclusive,
        }) = node.maximum
        {
            let words = if exclusive {
                "less than"
            } else {
                "less than or equal to"
            };
            if number > max || exclusive && number == max {
                self.broken(value, &format!("should be {words} {max}"));
            }
        }
        if let Some(step) = node
            .multiple_of
            .filter(|step| (number / step).fract() != 0.0)
        {
            self.broken(value, &format!("should be a multiple of {step}"));
        }
        let narrow = node.format.as_deref() == Some("int32");
        if narrow
            && value
                .as_i64()
                .is_none_or(|number| i32::try_from(number).is_err())
        {
            self.broken(value, &format!("must be of type int32: \"{value}\""));
        }
        if node.format.as_deref() == Some("int64") && value.is_u64() && value.as_i64().is_none() {
            self.broken(value, &format!("must be of type int64: \"{value}\""));
        }
    }
}

fn has_type(kind: Type, value: &Value) -> bool {
    match kind {
        Type::Any => true,
        Type::Object => value.is_object(),
        Type::Array => value.is_array(),
        Type::String => value.is_string(),
        Type::Boolean => value.is_boolean(),
        Type::Number => value.is_number(),
        Type::Integer => is_whole(value),
        Type::IntOrString => is_whole(value) || value.is_string(),
    }
}

/// Whether a value is a whole number; `1.0` is one.
fn is_whole(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

/// What may be in a list only once: the entry of a set, the keys of a map's entry.
fn identity(list: &ListType, items: &Node, entry: &Value) -> Option<String> {
    match list {
        ListType::Atomic => None,
        ListType::Set => Some(entry.to_string()),
        ListType::Map(keys) => {
            let found = keys.iter().map(|key| {
                let default = items
                    .properties
                    .get(key)
                    .and_then(|node| node.default.as_ref());
                entry.get(key).or(default).unwrap_or(&Value::Null).clone()
            });
            Some(Value::from(found.collect::<Vec<_>>()).to_string())
        }
    }
}
