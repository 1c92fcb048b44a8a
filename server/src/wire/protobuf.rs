//! The protobuf bodies that typed clients insist on: Namespace, DeleteOptions, and the review of what
//! a caller may do.
//!
//! kubectl sends `create namespace` only in this form. A body is four magic bytes and an envelope
//! that names the kind and holds the message; it becomes the JSON value that the same client
//! would have sent as JSON, and from there all checks are the same. Answers are always JSON, so
//! there is no encoder. Fields that the server does not keep are passed over, as nulls would be.

use std::collections::HashMap;

use prost::Message;
use serde_json::{Map, Value, json};

use super::status::Status;
use crate::limits;

/// What every protobuf body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Why a protobuf body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// The magic bytes are missing.
    #[error("the body is not Kubernetes protobuf: expected it to begin with \"k8s\\0\"")]
    Magic,
    /// A message is broken.
    #[error("the body is not Kubernetes protobuf: {part}: {error}")]
    Message {
        /// Which message.
        part: &'static str,
        /// What is wrong with it.
        error: prost::DecodeError,
    },
    /// The message inside is encoded once more.
    #[error("the body is not Kubernetes protobuf: contentEncoding: expected none")]
    Encoding,
    /// The message is of a kind that is not read from protobuf.
    #[error("the body is a {found} in protobuf: expected {expected}")]
    Kind {
        /// The kind of the body.
        found: String,
        /// The kind that can be read here.
        expected: &'static str,
    },
    /// A map has more entries than an object of a body may have keys.
    #[error("{field}: expected at most {} entries", limits::JSON_KEYS)]
    TooMany {
        /// Which map.
        field: &'static str,
    },
}

impl From<ProtobufError> for Status {
    fn from(error: ProtobufError) -> Self {
        Self::bad_request(error.to_string())
    }
}

#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
    #[prost(string, tag = "3")]
    content_encoding: String,
}

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, tag = "1")]
    api_version: String,
    #[prost(string, tag = "2")]
    kind: String,
}

#[derive(Clone, PartialEq, Message)]
struct Namespace {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "2")]
    spec: Option<NamespaceSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct NamespaceSpec {
    #[prost(string, repeated, tag = "1")]
    finalizers: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ObjectMeta {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    generate_name: String,
    #[prost(string, tag = "3")]
    namespace: String,
    #[prost(string, tag = "5")]
    uid: String,
    #[prost(string, tag = "6")]
    resource_version: String,
    #[prost(map = "string, string", tag = "11")]
    labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "12")]
    annotations: HashMap<String, String>,
    #[prost(string, repeated, tag = "14")]
    finalizers: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct DeleteOptions {
    #[prost(int64, optional, tag = "1")]
    grace_period_seconds: Option<i64>,
    #[prost(message, optional, tag = "2")]
    preconditions: Option<Preconditions>,
    #[prost(bool, optional, tag = "3")]
    orphan_dependents: Option<bool>,
    #[prost(string, optional, tag = "4")]
    propagation_policy: Option<String>,
    #[prost(string, repeated, tag = "5")]
    dry_run: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Preconditions {
    #[prost(string, optional, tag = "1")]
    uid: Option<String>,
    #[prost(string, optional, tag = "2")]
    resource_version: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct AccessReview {
    #[prost(message, optional, tag = "2")]
    spec: Option<AccessReviewSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct AccessReviewSpec {
    #[prost(message, optional, tag = "1")]
    resource: Option<ResourceAttributes>,
    #[prost(message, optional, tag = "2")]
    path: Option<PathAttributes>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceAttributes {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    verb: String,
    #[prost(string, tag = "3")]
    group: String,
    #[prost(string, tag = "4")]
    version: String,
    #[prost(string, tag = "5")]
    resource: String,
    #[prost(string, tag = "6")]
    subresource: String,
    #[prost(string, tag = "7")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct PathAttributes {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(string, tag = "2")]
    verb: String,
}

/// Reads a SelfSubjectAccessReview.
pub fn access_review(body: &[u8]) -> Result<Value, ProtobufError> {
    let (_, raw) = open(body, "SelfSubjectAccessReview")?;
    let review: AccessReview = decode("SelfSubjectAccessReview", &raw)?;
    let mut spec = Map::new();
    let asked = review.spec.unwrap_or_default();
    if let Some(of) = asked.resource {
        let attributes = json!({
            "namespace": of.namespace, "verb": of.verb, "group": of.group, "version": of.version,
            "resource": of.resource, "subresource": of.subresource, "name": of.name,
        });
        spec.insert("resourceAttributes".to_owned(), attributes);
    }
    if let Some(of) = asked.path {
        let attributes = json!({"path": of.path, "verb": of.verb});
        spec.insert("nonResourceAttributes".to_owned(), attributes);
    }
    Ok(json!({"spec": spec}))
}

/// Reads a Namespace.
pub fn namespace(body: &[u8]) -> Result<Value, ProtobufError> {
    let (type_meta, raw) = open(body, "Namespace")?;
    let namespace: Namespace = decode("Namespace", &raw)?;
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), json!(type_meta.api_version));
    object.insert("kind".to_owned(), json!(type_meta.kind));
    object.insert(
        "metadata".to_owned(),
        metadata(namespace.metadata.unwrap_or_default())?,
    );
    if let Some(spec) = namespace.spec.filter(|spec| !spec.finalizers.is_empty()) {
        object.insert("spec".to_owned(), json!({"finalizers": spec.finalizers}));
    }
    Ok(Value::Object(object))
}

/// Reads the options of a delete, to be merged with the query.
pub fn delete_options(body: &[u8]) -> Result<Value, ProtobufError> {
    let (_, raw) = open(body, "DeleteOptions")?;
    let options: DeleteOptions = decode("DeleteOptions", &raw)?;
    let preconditions = options
        .preconditions
        .map(|found| json!({"uid": found.uid, "resourceVersion": found.resource_version}));
    Ok(json!({
        "gracePeriodSeconds": options.grace_period_seconds,
        "preconditions": preconditions,
        "orphanDependents": options.orphan_dependents,
        "propagationPolicy": options.propagation_policy,
        "dryRun": options.dry_run,
    }))
}

fn open(body: &[u8], expected: &'static str) -> Result<(TypeMeta, Vec<u8>), ProtobufError> {
    let envelope = body.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?;
    let envelope: Envelope = decode("envelope", envelope)?;
    if !envelope.content_encoding.is_empty() {
        return Err(ProtobufError::Encoding);
    }
    let type_meta = envelope.type_meta.unwrap_or_default();
    if type_meta.kind != expected {
        let found: String = type_meta
            .kind
            .chars()
            .take(limits::LABEL_NAME_BYTES)
            .collect();
        return Err(ProtobufError::Kind { found, expected });
    }
    Ok((type_meta, envelope.raw))
}

fn decode<M: Message + Default>(part: &'static str, bytes: &[u8]) -> Result<M, ProtobufError> {
    M::decode(bytes).map_err(|error| ProtobufError::Message { part, error })
}

fn metadata(meta: ObjectMeta) -> Result<Value, ProtobufError> {
    let mut object = Map::new();
    let texts = [
        ("name", meta.name),
        ("generateName", meta.generate_name),
        ("namespace", meta.namespace),
        ("uid", meta.uid),
        ("resourceVersion", meta.resource_version),
    ];
    for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        object.insert(key.to_owned(), Value::from(text));
    }
    for (key, map) in [("labels", meta.labels), ("annotations", meta.annotations)] {
        if map.len() > limits::JSON_KEYS {
            return Err(ProtobufError::TooMany { field: key });
        }
        if !map.is_empty() {
            // Maps on the wire have no order; sorted keys make equal bodies equal objects.
            let mut entries: Vec<_> = map.into_iter().collect();
            entries.sort_unstable();
            let entries = entries
                .into_iter()
                .map(|(key, text)| (key, Value::from(text)));
            object.insert(key.to_owned(), Value::Object(entries.collect()));
        }
    }
    if !meta.finalizers.is_empty() {
        object.insert("finalizers".to_owned(), json!(meta.finalizers));
    }
    Ok(Value::Object(object))
}

#[cfg(test)]
mod tests {
    //! Catches a typed client whose body is misread, and bytes that make the reader panic.

    use proptest::prelude::*;

    use super::*;

    fn seal(kind: &str, raw: Vec<u8>) -> Vec<u8> {
        let type_meta = TypeMeta {
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
        };
        let content_encoding = String::new();
        let envelope = Envelope {
            type_meta: Some(type_meta),
            raw,
            content_encoding,
        };
        [MAGIC, &envelope.encode_to_vec()].concat()
    }

    #[test]
    fn the_bytes_of_kubectl_create_namespace_are_read() {
        // Envelope {typeMeta {"v1", "Namespace"}, raw, contentEncoding "", contentType ""} around
        // Namespace {metadata {name "demo", all else empty}, spec {}, status {phase ""}}.
        let head = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09Namespace\x12\x1c";
        let metadata = b"\x0a\x14\x0a\x04demo\x12\0\x1a\0\x22\0\x2a\0\x32\0\x38\0\x42\0";
        let tail = b"\x12\0\x1a\x02\x0a\0\x1a\0\x22\0";
        let body = [head.as_slice(), metadata, tail].concat();
        let metadata = json!({"name": "demo"});
        let expected = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        assert_eq!(namespace(&body).unwrap(), expected);
    }

    #[test]
    fn everything_that_is_kept_is_read() {
        let map = |key: &str| HashMap::from([(key.to_owned(), "v".to_owned())]);
        let meta = ObjectMeta {
            generate_name: "g-".to_owned(),
            labels: map("l"),
            annotations: map("a"),
            finalizers: vec!["x/y".to_owned()],
            ..ObjectMeta::default()
        };
        let spec = NamespaceSpec {
            finalizers: vec!["kubernetes".to_owned()],
        };
        let body = Namespace {
            metadata: Some(meta),
            spec: Some(spec),
        }
        .encode_to_vec();
        let expected = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "generateName": "g-", "labels": {"l": "v"}, "annotations": {"a": "v"},
            "finalizers": ["x/y"]}, "spec": {"finalizers": ["kubernetes"]}});
        assert_eq!(namespace(&seal("Namespace", body)).unwrap(), expected);
    }

    #[test]
    fn delete_options_are_read_like_their_json() {
        let options = DeleteOptions {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: Some("u".to_owned()),
                resource_version: None,
            }),
            propagation_policy: Some("Background".to_owned()),
            dry_run: vec!["All".to_owned()],
            ..DeleteOptions::default()
        };
        let value = delete_options(&seal("DeleteOptions", options.encode_to_vec())).unwrap();
        let query = super::super::query::Query::default();
        let found = super::super::query::DeleteOptions::read(&query, Some(&value)).unwrap();
        assert_eq!(found.grace_period_seconds, Some(0));
        assert_eq!(found.uid.as_deref(), Some("u"));
        assert_eq!(found.resource_version, None);
        assert!(found.dry_run);
    }

    #[test]
    fn broken_bodies_are_refused() {
        assert_eq!(namespace(b"{}"), Err(ProtobufError::Magic));
        let broken = namespace(b"k8s\0\xff").unwrap_err().to_string();
        assert!(broken.contains("envelope"), "{broken}");
        let broken = namespace(&seal("Namespace", vec![0x0a, 0x7f]))
            .unwrap_err()
            .to_string();
        assert!(broken.contains("Namespace"), "{broken}");
        let pod = namespace(&seal("Pod", Vec::new())).unwrap_err().to_string();
        assert_eq!(pod, "the body is a Pod in protobuf: expected Namespace");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = namespace(&[MAGIC, &bytes].concat());
            let _ = namespace(&seal("Namespace", bytes.clone()));
            let _ = delete_options(&seal("DeleteOptions", bytes));
        }
    }
}
