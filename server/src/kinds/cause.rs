//! A cause: one thing that is wrong with one field.
//!
//! Schemas, metadata checks and query checks all report causes, and an `Invalid` status lists
//! them. The reasons and the wording are those of Kubernetes, because clients match on them.

use std::fmt;

use serde_json::Value;

/// What kind of fault a cause reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CauseReason {
    /// A field that must be there is not.
    Required,
    /// A value of the right type is not allowed.
    Invalid,
    /// A value is not one of the listed ones.
    NotSupported,
    /// A value has the wrong type.
    TypeInvalid,
    /// The same value is there twice.
    Duplicate,
    /// A string is too long.
    TooLong,
    /// A list has too many entries.
    TooMany,
    /// A field may not be set here.
    Forbidden,
}

impl CauseReason {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::Duplicate => "FieldValueDuplicate",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Forbidden => "FieldValueForbidden",
        }
    }
}

/// One thing that is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The field, such as `spec.items[0].type`.
    pub field: String,
    /// What kind of fault it is.
    pub reason: CauseReason,
    /// The sentence for people, without the field in front.
    pub message: String,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl Cause {
    fn new(field: &str, reason: CauseReason, message: String) -> Self {
        Self {
            field: field.to_owned(),
            reason,
            message,
        }
    }

    /// The field must be there; `detail` may be empty.
    pub fn required(field: &str, detail: &str) -> Self {
        let message = match detail {
            "" => "Required value".to_owned(),
            detail => format!("Required value: {detail}"),
        };
        Self::new(field, CauseReason::Required, message)
    }

    /// The value is not allowed, and `detail` says what is.
    pub fn invalid(field: &str, value: &Value, detail: &str) -> Self {
        let message = format!("Invalid value: {}: {detail}", shown(value));
        Self::new(field, CauseReason::Invalid, message)
    }

    /// The value has the wrong type; `expected` names the right one.
    pub fn wrong_type(field: &str, value: &Value, expected: &str) -> Self {
        let found = type_name(value);
        let message = format!(
            "Invalid value: \"{found}\": {field} in body must be of type {expected}: \"{found}\""
        );
        Self::new(field, CauseReason::TypeInvalid, message)
    }

    /// The value is none of `supported`.
    pub fn not_supported(field: &str, value: &Value, supported: &[Value]) -> Self {
        let list: Vec<String> = supported.iter().map(shown).collect();
        let message = format!(
            "Unsupported value: {}: supported values: {}",
            shown(value),
            list.join(", ")
        );
        Self::new(field, CauseReason::NotSupported, message)
    }

    /// The value is in the list already.
    pub fn duplicate(field: &str, value: &Value) -> Self {
        Self::new(
            field,
            CauseReason::Duplicate,
            format!("Duplicate value: {}", shown(value)),
        )
    }

    /// The text is longer than `max` of `unit`.
    pub fn too_long(field: &str, max: usize, unit: &str) -> Self {
        let message = format!("Too long: may not be more than {max} {unit}");
        Self::new(field, CauseReason::TooLong, message)
    }

    /// There are `count` entries where `max` are allowed.
    pub fn too_many(field: &str, count: usize, max: usize) -> Self {
        let message = format!("Too many: {count}: must have at most {max} items");
        Self::new(field, CauseReason::TooMany, message)
    }

    /// The field may not be set here.
    pub fn forbidden(field: &str, detail: &str) -> Self {
        Self::new(
            field,
            CauseReason::Forbidden,
            format!("Forbidden: {detail}"),
        )
    }
}

/// The name of a JSON value's type as error texts use it.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A value as an error text shows it: JSON, cut where it gets long.
fn shown(value: &Value) -> String {
    const MAX_CHARS: usize = 200;
    let text = match value {
        Value::Array(_) | Value::Object(_) => return format!("\"{}\"", type_name(value)),
        value => value.to_string(),
    };
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
