//! The kinds that are served: what they are called, how they look, what may be in them.
//!
//! A kind is declared by a CustomResourceDefinition manifest. [`ServedKind`] is such a manifest
//! read and checked, [`Kinds`] is the registry of all of them, [`Schema`] checks and completes
//! objects, and [`Path`] is the JSONPath of columns and search fields. Everything here is pure:
//! no I/O, no clock, no HTTP. Callers are the `wire` modules and the request handlers.

mod cause;
mod field;
mod kind;
mod manifest;
mod registry;
mod schema;

pub use annals::{Path, PathError};
pub use cause::{Cause, CauseReason, type_name};
pub use field::{FieldPath, Mark};
pub use kind::{Column, ColumnType, KindVersion, NameRule, Names, Scope, ServedKind};
pub use manifest::ManifestError;
pub use registry::{Found, Group, Kinds};
pub(crate) use schema::is_rfc3339;
pub use schema::{Schema, SchemaError};
