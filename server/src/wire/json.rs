//! The strict reader of JSON bodies.
//!
//! It refuses what the JSON standard refuses, and besides it bodies that nest deeper than
//! [`limits::JSON_DEPTH`] or hold an object of more than [`limits::JSON_KEYS`] keys. Repeated keys
//! are legal JSON but a trap: the last one counts, and their places are handed up, because what
//! they mean to the request depends on its `fieldValidation`.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::status::Status;
use crate::kinds::FieldPath;
use crate::limits;

/// A body that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The value.
    pub value: Value,
    /// The places of keys that were there already; the first hundred of them.
    pub duplicates: Vec<String>,
}

/// Why a body is not JSON that the server takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is not acceptable JSON: {0}")]
pub struct JsonError(String);

impl From<JsonError> for Status {
    fn from(error: JsonError) -> Self {
        Self::bad_request(error.to_string())
    }
}

/// Reads a body.
pub fn read(bytes: &[u8]) -> Result<Document, JsonError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| JsonError(format!("invalid UTF-8 at byte {}", error.valid_up_to())))?;
    let mut walk = Walk::default();
    let mut source = serde_json::Deserializer::from_str(text);
    let value = Seed(&mut walk).deserialize(&mut source);
    let value = value.and_then(|value| source.end().map(|()| value));
    match value {
        Ok(value) => Ok(Document {
            value,
            duplicates: walk.duplicates,
        }),
        Err(error) => Err(JsonError(match walk.path.as_str() {
            "" => error.to_string(),
            path => format!("{error} in {path}"),
        })),
    }
}

/// Reads a body that must be a JSON object.
pub fn read_object(bytes: &[u8]) -> Result<Document, JsonError> {
    let document = read(bytes)?;
    match &document.value {
        Value::Object(_) => Ok(document),
        other => {
            let found = crate::kinds::type_name(other);
            Err(JsonError(format!("expected an object, found {found}")))
        }
    }
}

/// How deep a value nests: 0 for a scalar, 1 for an empty list or object.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[derive(Default)]
struct Walk {
    path: FieldPath,
    duplicates: Vec<String>,
}

struct Seed<'a>(&'a mut Walk);

impl Seed<'_> {
    fn check_depth<E: serde::de::Error>(&self) -> Result<(), E> {
        match self.0.path.depth() < limits::JSON_DEPTH {
            true => Ok(()),
            false => Err(E::custom(format_args!(
                "more than {} levels",
                limits::JSON_DEPTH
            ))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut list = Vec::new();
        loop {
            let mark = self.0.path.enter_index(list.len());
            // After a fault the path stays where it is, so that the message can name the place.
            let value = source.next_element_seed(Seed(&mut *self.0))?;
            self.0.path.leave(mark);
            match value {
                Some(value) => list.push(value),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut map = Map::new();
        while let Some(key) = source.next_key::<String>()? {
            let mark = self.0.path.enter_key(&key);
            let value = source.next_value_seed(Seed(&mut *self.0))?;
            if map.contains_key(&key) && self.0.duplicates.len() < limits::CAUSES {
                self.0.duplicates.push(self.0.path.to_string());
            }
            self.0.path.leave(mark);
            map.insert(key, value);
            if map.len() > limits::JSON_KEYS {
                let limit = limits::JSON_KEYS;
                return Err(A::Error::custom(format_args!("more than {limit} keys")));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    //! Catches a reader that takes a body serde_json refuses, reads another value out of it, or
    //! gives up on hostile bytes by panicking.

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fault(body: &str) -> String {
        read(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn faults_say_where_they_are() {
        assert!(fault("{\"a\": {\"b\": [1, x]}}").ends_with("line 1 column 17 in a.b[1]"));
        assert!(fault("{} {}").contains("trailing characters at line 1 column 4"));
        assert!(fault("").contains("EOF"));
        assert!(fault("[1e999]").contains("number out of range"));
        assert!(fault("[\"\\ud800\"]").contains("column"));
        let error = read(b"{\"a\": \"\xff\"}").unwrap_err().to_string();
        assert!(error.ends_with("invalid UTF-8 at byte 7"), "{error}");
        assert!(
            read_object(b"[]")
                .unwrap_err()
                .to_string()
                .ends_with("found array")
        );
    }

    #[test]
    fn repeated_keys_are_told_and_the_last_one_counts() {
        let document = read(br#"{"a": 1, "b": [{"c": 1, "\u0063": 2}], "a": 3}"#).unwrap();
        assert_eq!(document.value, json!({"a": 3, "b": [{"c": 2}]}));
        assert_eq!(document.duplicates, ["b[0].c", "a"]);
    }

    #[test]
    fn depth_and_keys_are_limited() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(depth(&read(nested(64).as_bytes()).unwrap().value), 64);
        assert!(fault(&nested(65)).contains("more than 64 levels"));
        assert!(fault(&"[".repeat(100_000)).contains("more than 64 levels"));
        let keys = |count| {
            let keys: Vec<String> = (0..count).map(|key| format!("\"{key}\":0")).collect();
            format!("{{{}}}", keys.join(","))
        };
        assert!(read(keys(10_000).as_bytes()).is_ok());
        assert!(fault(&keys(10_001)).contains("more than 10000 keys"));
    }

    proptest! {
        #[test]
        fn it_agrees_with_serde_json(text in "[\\[\\]{}\",:0-9a-c.eE \\\\u-]{0,24}|null|true") {
            let plain = serde_json::from_str::<Value>(&text);
            match read(text.as_bytes()) {
                Ok(document) => prop_assert_eq!(Some(document.value), plain.ok()),
                Err(_) => prop_assert!(plain.is_err(), "{}", text),
            }
        }

        #[test]
        fn what_serde_json_writes_is_read_back(
            map in prop::collection::hash_map(".{0,6}", (any::<i64>(), ".{0,6}"), 0..6),
        ) {
            let value = serde_json::to_value(map).unwrap();
            let document = read(value.to_string().as_bytes()).unwrap();
            prop_assert_eq!(document.value, value);
            prop_assert!(document.duplicates.is_empty());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&bytes);
        }
    }
}
