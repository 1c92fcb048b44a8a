//! Structural schemas: what the objects of a kind may hold.
//!
//! The OpenAPI v3 subset of CustomResourceDefinitions. A [`Schema`] is parsed once, then it
//! validates objects, fills in defaults, and finds or removes the fields it does not know. The
//! fields `apiVersion`, `kind` and `metadata` of an object are known to every schema and are
//! checked elsewhere.
//!
//! Every walk follows the schema, never the value alone, so its depth is that of the schema, which
//! the parser limits. Absent on purpose: `allOf`, `anyOf`, `oneOf`, `not` and CEL rules; a schema
//! with them is refused, because ignoring them would let bad objects in.

mod format;
mod node;
mod shape;
mod validate;

#[cfg(test)]
mod tests;

pub(crate) use format::is_rfc3339;
use node::Node;
pub use node::SchemaError;
use serde_json::Value;

use super::{Cause, FieldPath};

/// What the objects of one version of a kind may hold.
#[derive(Debug, Clone)]
pub struct Schema {
    root: Node,
    source: Value,
}

impl Schema {
    /// Reads and checks a schema, given as the value of `openAPIV3Schema`.
    pub fn parse(source: &Value) -> Result<Self, SchemaError> {
        let root = node::parse_root(source)?;
        Ok(Self {
            root,
            source: source.clone(),
        })
    }

    /// The schema as the manifest gives it, for publishing.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// What is wrong with an object; empty if nothing is. Metadata is not looked at.
    pub fn validate(&self, object: &Value) -> Vec<Cause> {
        validate::validate(&self.root, object)
    }

    /// Fills in defaults and removes nulls where none are allowed; says whether anything changed.
    pub fn default(&self, object: &mut Value) -> bool {
        shape::default(&self.root, object)
    }

    /// The fields of an object that the schema does not know; the first hundred of them.
    pub fn unknown_fields(&self, object: &Value) -> Vec<String> {
        let mut unknown = shape::Unknown::default();
        unknown.walk(&self.root, object, &mut FieldPath::default());
        unknown.fields
    }

    /// Removes the fields that the schema does not know; says whether there were any.
    pub fn prune(&self, object: &mut Value) -> bool {
        shape::prune(&self.root, object)
    }
}
