//! How objects are written: to the store, and to clients.
//!
//! The server owns `metadata`, `apiVersion` and `kind`; every other top-level value of an object
//! stays byte for byte what its writer sent. In the store an object looks like this:
//!
//! ```text
//! {"apiVersion":"g/v1","kind":"K","metadata":{...},"spec":<the client's bytes>, ...}
//! ```
//!
//! `resourceVersion` is never stored: it is only known after the write, so it is spliced in on the
//! way out, with the `apiVersion` that was asked for. The splice also takes objects that other
//! doors stored in another order, or with an old `resourceVersion` inside.

use serde_json::Value;

use super::scan::{Member, members};

/// Why an object cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// The bytes are not a JSON object.
    #[error("the object is not a JSON object")]
    NotAnObject,
    /// The `metadata` field is not a JSON object.
    #[error("metadata: expected an object")]
    NoMetadata,
}

/// The bytes to store for an object that is the client's apart from what the server owns.
///
/// `bytes` must be JSON that the strict reader took, without repeated keys at the top;
/// `api_version`, `kind` and `metadata` replace what is there.
pub fn rewrite(
    bytes: &[u8],
    api_version: &str,
    kind: &str,
    metadata: &Value,
) -> Result<Vec<u8>, ObjectError> {
    let (members, _) = members(bytes, 0).ok_or(ObjectError::NotAnObject)?;
    let mut out = head(bytes.len(), api_version, kind, metadata);
    let owned = |member: &Member| {
        ["apiVersion", "kind", "metadata"]
            .iter()
            .any(|name| member.is(bytes, name))
    };
    for member in members.iter().filter(|member| !owned(member)) {
        out.push(b',');
        out.extend_from_slice(&bytes[member.key.clone()]);
        out.push(b':');
        out.extend_from_slice(&bytes[member.value.clone()]);
    }
    out.push(b'}');
    Ok(out)
}

/// The bytes to store for an object whose values the server changed, by a patch or by defaults.
pub fn encode(object: &Value, api_version: &str, kind: &str, metadata: &Value) -> Vec<u8> {
    let mut out = head(1024, api_version, kind, metadata);
    for (key, value) in object.as_object().into_iter().flatten() {
        if !matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
            out.push(b',');
            out.extend(Value::from(key.as_str()).to_string().into_bytes());
            out.push(b':');
            out.extend(value.to_string().into_bytes());
        }
    }
    out.push(b'}');
    out
}

fn head(size: usize, api_version: &str, kind: &str, metadata: &Value) -> Vec<u8> {
    let metadata = metadata.to_string();
    let mut out = Vec::with_capacity(size + metadata.len() + 64);
    let (api_version, kind) = (Value::from(api_version), Value::from(kind));
    let head = format!("{{\"apiVersion\":{api_version},\"kind\":{kind},\"metadata\":{metadata}");
    out.extend(head.into_bytes());
    out
}

/// A stored object as it is served: with its version, in the API version asked for.
pub fn with_resource_version(
    bytes: &[u8],
    version: u64,
    api_version: &str,
) -> Result<Vec<u8>, ObjectError> {
    let (top, _) = members(bytes, 0).ok_or(ObjectError::NotAnObject)?;
    let find = |name: &str| top.iter().find(|member| member.is(bytes, name));
    let metadata = find("metadata")
        .ok_or(ObjectError::NoMetadata)?
        .value
        .clone();
    let (inner, _) = members(bytes, metadata.start).ok_or(ObjectError::NoMetadata)?;

    // At most two cuts, each a range that is replaced; an empty range inserts.
    let version = format!("\"{version}\"");
    let old = inner
        .iter()
        .find(|member| member.is(bytes, "resourceVersion"));
    let version_cut = match old {
        Some(member) => (member.value.clone(), version),
        None => {
            let at = metadata.start + 1;
            let comma = if inner.is_empty() { "" } else { "," };
            (at..at, format!("\"resourceVersion\":{version}{comma}"))
        }
    };
    let api_version = Value::from(api_version);
    let api_cut = match find("apiVersion") {
        Some(member) => (member.value.clone(), api_version.to_string()),
        None => {
            let at = top[0].key.start;
            (at..at, format!("\"apiVersion\":{api_version},"))
        }
    };
    let mut cuts = [version_cut, api_cut];
    cuts.sort_by_key(|(range, _)| range.start);

    let mut out = Vec::with_capacity(bytes.len() + 64);
    let mut done = 0;
    for (range, text) in cuts {
        out.extend_from_slice(&bytes[done..range.start]);
        out.extend_from_slice(text.as_bytes());
        done = range.end;
    }
    out.extend_from_slice(&bytes[done..]);
    Ok(out)
}

#[cfg(test)]
mod tests {
    //! Catches a write that changes a byte of what belongs to the client, or a splice that breaks
    //! the JSON or leaves an old version in it.

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_values_of_the_client_stay_byte_for_byte() {
        let bytes = br#" { "spec" : {"a" : 1.50, "a\u0062":[ ]} , "metadata":{"x":"}"},
            "kind":"Old", "n":1e2 ,"s":"\"}" } "#;
        let out = rewrite(bytes, "g/v1", "K", &json!({"name": "n"})).unwrap();
        let expected = concat!(
            r#"{"apiVersion":"g/v1","kind":"K","metadata":{"name":"n"},"#,
            r#""spec":{"a" : 1.50, "a\u0062":[ ]},"n":1e2,"s":"\"}"}"#
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let escaped = br#"{"meta\u0064ata":{"uid":"forged"}}"#;
        let out = rewrite(escaped, "v1", "K", &json!({})).unwrap();
        assert_eq!(out, br#"{"apiVersion":"v1","kind":"K","metadata":{}}"#);
    }

    fn check(stored: &str, expected: &str) {
        let out = with_resource_version(stored.as_bytes(), 7, "g/v2").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn the_version_is_spliced_in() {
        check(
            r#"{"apiVersion":"g/v1","kind":"K","metadata":{"name":"n"},"spec":{}}"#,
            concat!(
                r#"{"apiVersion":"g/v2","kind":"K","#,
                r#""metadata":{"resourceVersion":"7","name":"n"},"spec":{}}"#
            ),
        );
        check(
            r#"{"metadata":{ "resourceVersion" : "3" , "name":"n"}, "apiVersion" : 1}"#,
            r#"{"metadata":{ "resourceVersion" : "7" , "name":"n"}, "apiVersion" : "g/v2"}"#,
        );
        check(
            r#"{"metadata":{}}"#,
            r#"{"apiVersion":"g/v2","metadata":{"resourceVersion":"7"}}"#,
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for bad in [
            "",
            "[]",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1",
            "{\"a\":\"\\",
            "7",
        ] {
            let found = with_resource_version(bad.as_bytes(), 1, "v1");
            assert_eq!(found, Err(ObjectError::NotAnObject), "{bad}");
        }
        for bad in ["{}", "{\"metadata\":7}", "{\"metadata\":[]}"] {
            let found = with_resource_version(bad.as_bytes(), 1, "v1");
            assert_eq!(found, Err(ObjectError::NoMetadata), "{bad}");
        }
    }

    fn any_object() -> impl Strategy<Value = serde_json::Map<String, Value>> {
        let leaf = prop_oneof![
            any::<f64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|map| Value::from(serde_json::Map::from_iter(map))),
            ]
        });
        let key = prop_oneof!["[a-c\"\\\\]{1,3}", Just("kind".to_owned())];
        prop::collection::btree_map(key, value, 0..5).prop_map(serde_json::Map::from_iter)
    }

    proptest! {
        #[test]
        fn both_roads_agree_and_the_raw_bytes_survive(object in any_object(), pretty: bool) {
            let value = Value::from(object.clone());
            let bytes = if pretty {
                serde_json::to_vec_pretty(&value).unwrap()
            } else {
                value.to_string().into_bytes()
            };
            let metadata = json!({"name": "n", "labels": {"a": "}\"{"}});
            let out = rewrite(&bytes, "g/v1", "K", &metadata).unwrap();
            let parsed: Value = serde_json::from_slice(&out).unwrap();
            let encoded = encode(&value, "g/v1", "K", &metadata);
            prop_assert_eq!(&parsed, &serde_json::from_slice::<Value>(&encoded).unwrap());
            let (before, _) = members(&bytes, 0).unwrap();
            let (after, _) = members(&out, 0).unwrap();
            for member in before.iter().filter(|member| !member.is(&bytes, "kind")) {
                let raw = &bytes[member.value.clone()];
                let key = &bytes[member.key.clone()];
                let twin = after.iter().find(|twin| &out[twin.key.clone()] == key).unwrap();
                prop_assert_eq!(raw, &out[twin.value.clone()]);
            }
            let served = with_resource_version(&out, u64::MAX, "g/v2").unwrap();
            let mut served: Value = serde_json::from_slice(&served).unwrap();
            prop_assert_eq!(&served["apiVersion"], "g/v2");
            prop_assert_eq!(&served["metadata"]["resourceVersion"], &json!(u64::MAX.to_string()));
            served["apiVersion"] = json!("g/v1");
            served["metadata"].as_object_mut().unwrap().remove("resourceVersion");
            prop_assert_eq!(served, parsed);
        }

        #[test]
        fn no_bytes_panic(text in "[{}\\[\\]\",:\\\\ a1]{0,24}") {
            let _ = with_resource_version(text.as_bytes(), 1, "v1");
            let _ = with_resource_version(format!("{{\"metadata\":{text}").as_bytes(), 1, "v1");
            let _ = rewrite(text.as_bytes(), "v1", "K", &json!({}));
        }
    }
}
