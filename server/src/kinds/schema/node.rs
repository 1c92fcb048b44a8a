//! One level of a schema, and its parser.
//!
//! The parser refuses what Kubernetes refuses in a structural schema: levels without a type,
//! `$ref`, `properties` beside `additionalProperties`, list keys that are not declared. It also
//! compiles patterns, and checks that defaults fit the schema they stand in.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::validate;
use crate::limits;

/// Why a schema was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schema{path}: expected {expected}")]
pub struct SchemaError {
    /// The place in the schema, such as `.properties.spec.type`.
    pub path: String,
    /// What should be there.
    pub expected: String,
}

type Result<T> = std::result::Result<T, SchemaError>;

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
    Any,
}

impl Type {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer,string",
            Self::Any => "any",
        }
    }
}

/// What a list is to those who change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListType {
    Atomic,
    Set,
    Map(Vec<String>),
}

/// A bound of a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) value: f64,
    pub(super) exclusive: bool,
}

/// One level of a schema.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Type,
    pub(super) nullable: bool,
    pub(super) preserve_unknown: bool,
    pub(super) embedded: bool,
    pub(super) default: Option<Value>,
    pub(super) properties: BTreeMap<String, Node>,
    /// The schema of values under keys that `properties` does not list.
    pub(super) additional: Option<Box<Node>>,
    /// `additionalProperties: true`: any value under any key.
    pub(super) additional_any: bool,
    pub(super) required: Vec<String>,
    pub(super) items: Option<Box<Node>>,
    pub(super) list: ListType,
    pub(super) allowed: Vec<Value>,
    pub(super) minimum: Option<Bound>,
    pub(super) maximum: Option<Bound>,
    pub(super) multiple_of: Option<f64>,
    pub(super) length: [Option<usize>; 2],
    pub(super) item_count: [Option<usize>; 2],
    pub(super) property_count: [Option<usize>; 2],
    pub(super) pattern: Option<Regex>,
    pub(super) format: Option<String>,
}

/// Parses the schema of a whole object, which always has `apiVersion`, `kind` and `metadata`.
pub(super) fn parse_root(source: &Value) -> Result<Node> {
    let mut root = Source {
        value: source,
        path: String::new(),
        depth: 0,
    }
    .node()?;
    if root.kind != Type::Object {
        return Err(SchemaError {
            path: ".type".to_owned(),
            expected: "object".to_owned(),
        });
    }
    root.embedded = true;
    Ok(root)
}

const KNOWN: &[&str] = &[
    "type",
    "nullable",
    "default",
    "description",
    "title",
    "example",
    "externalDocs",
    "properties",
    "additionalProperties",
    "required",
    "items",
    "enum",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "pattern",
    "format",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
];

/// A level of the schema's JSON that knows where it is.
struct Source<'a> {
    value: &'a Value,
    path: String,
    depth: usize,
}

impl Source<'_> {
    fn node(&self) -> Result<Node> {
        if self.depth > limits::SCHEMA_DEPTH {
            return Err(self.expected("", "at most 64 levels"));
        }
        let map = self
            .value
            .as_object()
            .ok_or_else(|| self.expected("", "an object"))?;
        if let Some(name) = map.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(self.expected(name, "nothing: it is not offered"));
        }
        let (additional, additional_any) = self.additional(map)?;
        let node = Node {
            kind: self.kind(map)?,
            nullable: self.flag(map, "nullable")?,
            preserve_unknown: self.flag(map, "x-kubernetes-preserve-unknown-fields")?,
            embedded: self.flag(map, "x-kubernetes-embedded-resource")?,
            default: map.get("default").cloned(),
            properties: self.properties(map)?,
            additional,
            additional_any,
            required: self.texts(map, "required")?,
            items: map
                .get("items")
                .map(|_| self.child("items")?.node())
                .transpose()?
                .map(Box::new),
            list: self.list(map)?,
            allowed: self.list_of(map, "enum")?.to_vec(),
            minimum: self.bound(map, "minimum", "exclusiveMinimum")?,
            maximum: self.bound(map, "maximum", "exclusiveMaximum")?,
            multiple_of: self.number(map, "multipleOf")?,
            length: [self.count(map, "minLength")?, self.count(map, "maxLength")?],
            item_count: [self.count(map, "minItems")?, self.count(map, "maxItems")?],
            property_count: [
                self.count(map, "minProperties")?,
                self.count(map, "maxProperties")?,
            ],
            pattern: self.pattern(map)?,
            format: self.text(map, "format")?.map(str::to_owned),
        };
        self.check(&node)?;
        Ok(node)
    }

    fn check(&self, node: &Node) -> Result<()> {
        if node.kind == Type::Array && node.items.is_none() {
            return Err(self.expected("items", "the schema of the entries"));
        }
        if !node.properties.is_empty() && (node.additional.is_some() || node.additional_any) {
            return Err(self.expected("additionalProperties", "nothing beside properties"));
        }
        if let ListType::Map(keys) = &node.list {
            let items = node
                .items
                .as_ref()
                .filter(|items| items.kind == Type::Object);
            let declared = |key| items.is_some_and(|items| items.properties.contains_key(key));
            if keys.is_empty() || !keys.iter().all(declared) {
                let name = "x-kubernetes-list-map-keys";
                return Err(self.expected(name, "properties of the entries"));
            }
        }
        if node.multiple_of.is_some_and(|step| step <= 0.0) {
            return Err(self.expected("multipleOf", "a number above 0"));
        }
        match &node.default {
            Some(value) if !validate::validate_part(node, value).is_empty() => {
                Err(self.expected("default", "a value that fits the schema"))
            }
            _ => Ok(()),
        }
    }

    fn kind(&self, map: &Map<String, Value>) -> Result<Type> {
        if self.flag(map, "x-kubernetes-int-or-string")? {
            return match map.contains_key("type") {
                true => Err(self.expected("type", "nothing beside x-kubernetes-int-or-string")),
                false => Ok(Type::IntOrString),
            };
        }
        match self.text(map, "type")? {
            Some("object") => Ok(Type::Object),
            Some("array") => Ok(Type::Array),
            Some("string") => Ok(Type::String),
            Some("integer") => Ok(Type::Integer),
            Some("number") => Ok(Type::Number),
            Some("boolean") => Ok(Type::Boolean),
            None if self.flag(map, "x-kubernetes-preserve-unknown-fields")? => Ok(Type::Any),
            _ => Err(self.expected("type", "object, array, string, integer, number or boolean")),
        }
    }

    fn properties(&self, map: &Map<String, Value>) -> Result<BTreeMap<String, Node>> {
        let Some(value) = map.get("properties") else {
            return Ok(BTreeMap::new());
        };
        let names = value
            .as_object()
            .ok_or_else(|| self.expected("properties", "an object"))?;
        let path = format!("{}.properties", self.path);
        let properties = names.iter().map(|(name, value)| {
            let path = format!("{path}.{name}");
            let node = Source {
                value,
                path,
                depth: self.depth + 1,
            }
            .node()?;
            Ok((name.clone(), node))
        });
        properties.collect()
    }

    fn additional(&self, map: &Map<String, Value>) -> Result<(Option<Box<Node>>, bool)> {
        match map.get("additionalProperties") {
            None => Ok((None, false)),
            Some(Value::Bool(true)) => Ok((None, true)),
            Some(Value::Object(_)) => Ok((
                Some(Box::new(self.child("additionalProperties")?.node()?)),
                false,
            )),
            Some(_) => Err(self.expected("additionalProperties", "true or a schema")),
        }
    }

    fn list(&self, map: &Map<String, Value>) -> Result<ListType> {
        match self.text(map, "x-kubernetes-list-type")? {
            None | Some("atomic") => Ok(ListType::Atomic),
            Some("set") => Ok(ListType::Set),
            Some("map") => Ok(ListType::Map(
                self.texts(map, "x-kubernetes-list-map-keys")?,
            )),
            Some(_) => Err(self.expected("x-kubernetes-list-type", "atomic, set or map")),
        }
    }

    fn pattern(&self, map: &Map<String, Value>) -> Result<Option<Regex>> {
        let Some(text) = self.text(map, "pattern")? else {
            return Ok(None);
        };
        let regex = RegexBuilder::new(text)
            .size_limit(limits::PATTERN_BYTES)
            .build();
        regex
            .map(Some)
            .map_err(|_| self.expected("pattern", "a regular expression of 1 MiB at most"))
    }

    fn bound(
        &self,
        map: &Map<String, Value>,
        name: &str,
        exclusive: &str,
    ) -> Result<Option<Bound>> {
        let exclusive = self.flag(map, exclusive)?;
        Ok(self
            .number(map, name)?
            .map(|value| Bound { value, exclusive }))
    }

    fn number(&self, map: &Map<String, Value>, name: &str) -> Result<Option<f64>> {
        let Some(value) = map.get(name) else {
            return Ok(None);
        };
        value
            .as_f64()
            .map(Some)
            .ok_or_else(|| self.expected(name, "a number"))
    }

    fn count(&self, map: &Map<String, Value>, name: &str) -> Result<Option<usize>> {
        let Some(value) = map.get(name) else {
            return Ok(None);
        };
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        count
            .map(Some)
            .ok_or_else(|| self.expected(name, "a whole number from 0"))
    }

    fn flag(&self, map: &Map<String, Value>, name: &str) -> Result<bool> {
        let Some(value) = map.get(name) else {
            return Ok(false);
        };
        value
            .as_bool()
            .ok_or_else(|| self.expected(name, "true or false"))
    }

    fn text<'b>(&self, map: &'b Map<String, Value>, name: &str) -> Result<Option<&'b str>> {
        let Some(value) = map.get(name) else {
            return Ok(None);
        };
        value
            .as_str()
            .map(Some)
            .ok_or_else(|| self.expected(name, "a string"))
    }

    fn list_of<'b>(&self, map: &'b Map<String, Value>, name: &str) -> Result<&'b [Value]> {
        let Some(value) = map.get(name) else {
            return Ok(&[]);
        };
        let list = value
            .as_array()
            .ok_or_else(|| self.expected(name, "a list"))?;
        Ok(list)
    }

    fn texts(&self, map: &Map<String, Value>, name: &str) -> Result<Vec<String>> {
        let texts = self.list_of(map, name)?.iter().map(|entry| {
            entry
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| self.expected(name, "strings"))
        });
        texts.collect()
    }

    fn child(&self, name: &str) -> Result<Source<'_>> {
        let value = self
            .value
            .get(name)
            .ok_or_else(|| self.expected(name, "a schema"))?;
        Ok(Source {
            value,
            path: format!("{}.{name}", self.path),
            depth: self.depth + 1,
        })
    }

    fn expected(&self, name: &str, expected: &str) -> SchemaError {
        let path = match name {
            "" => self.path.clone(),
            name => format!("{}.{name}", self.path),
        };
        SchemaError {
            path,
            expected: expected.to_owned(),
        }
    }
}
