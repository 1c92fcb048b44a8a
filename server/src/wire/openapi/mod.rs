//! OpenAPI v3: what kubectl reads before `create`, `apply`, `replace`, `edit` and `explain`.
//!
//! One document per group and version, made from the schemas of its kinds, and a root document
//! that lists them with a hash of their bytes. Schemas and operations carry
//! `x-kubernetes-group-version-kind`, and writes carry the parameters `dryRun`, `fieldManager` and
//! `fieldValidation`: without these kubectl falls back to OpenAPI v2, which is absent on purpose.
//! Building a document costs more than sending it, so callers build each once and keep the bytes.
//!
//! Invariant: equal kinds give equal bytes, so the hash is stable from one start to the next.

mod meta;

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::kinds::{Found, Kinds};
use meta::{META, type_fields};

/// The document of one group and version, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The path after `/openapi/v3/`, such as `apis/playlist.grafana.app/v0alpha1`.
    pub path: String,
    /// The hash of the bytes, in upper-case hexadecimal; also the `ETag`.
    pub hash: String,
    /// The JSON.
    pub bytes: Vec<u8>,
}

/// The hash of a document, in upper-case hexadecimal: what clients know it by.
pub fn hash(bytes: &[u8]) -> String {
    let mut hash = String::new();
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(hash, "{byte:02X}");
    }
    hash
}

/// The documents of all groups and versions, in the order of discovery.
pub fn documents(kinds: &Kinds) -> Vec<Document> {
    let mut documents = Vec::new();
    for group in kinds.groups() {
        for version in group.versions {
            let path = root_of(group.name, version);
            let found: Vec<Found<'_>> = kinds.in_version(group.name, version).collect();
            let bytes = document(&path, &found).to_string().into_bytes();
            let hash = hash(&bytes);
            documents.push(Document { path, hash, bytes });
        }
    }
    documents
}

/// `/openapi/v3`: where the documents are.
pub fn root(documents: &[Document]) -> Value {
    let paths = documents.iter().map(|document| {
        let Document { path, hash, .. } = document;
        let url = format!("/openapi/v3/{path}?hash={hash}");
        (path.clone(), json!({"serverRelativeURL": url}))
    });
    json!({"paths": paths.collect::<Map<_, _>>()})
}

fn root_of(group: &str, version: &str) -> String {
    match group {
        "" => format!("api/{version}"),
        group => format!("apis/{group}/{version}"),
    }
}

fn document(root: &str, kinds: &[Found<'_>]) -> Value {
    let mut schemas = meta::schemas();
    let mut paths = Map::new();
    for found in kinds {
        add_schemas(&mut schemas, found);
        add_paths(&mut paths, root, found);
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "annals", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// The name of a kind's schema: the group reversed, the version, the kind.
fn schema_name(found: &Found<'_>) -> String {
    let group = match found.kind.group.as_str() {
        "" => "core.k8s.io",
        group => group,
    };
    let mut parts: Vec<&str> = group.split('.').rev().collect();
    parts.extend([found.version.name.as_str(), found.kind.names.kind.as_str()]);
    parts.join(".")
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A reference with a description beside it, which a bare reference may not have.
fn described(name: &str, description: &str) -> Value {
    json!({"description": description, "default": {}, "allOf": [reference(name)]})
}

fn identity(found: &Found<'_>, kind: &str) -> Value {
    json!({"group": found.kind.group, "version": found.version.name, "kind": kind})
}

fn add_schemas(schemas: &mut Map<String, Value>, found: &Found<'_>) {
    let names = &found.kind.names;
    let name = schema_name(found);
    let mut object = found.version.schema.source().clone();
    let mut properties = type_fields();
    let metadata = described(
        &format!("{META}.ObjectMeta"),
        "Its name, labels and all else that is no content.",
    );
    properties.insert("metadata".to_owned(), metadata);
    if let Some(Value::Object(own)) = object.get("properties") {
        for (key, value) in own.iter().filter(|(key, _)| *key != "metadata") {
            properties
                .entry(key.as_str())
                .or_insert_with(|| value.clone());
        }
    }
    object["properties"] = Value::Object(properties);
    object["x-kubernetes-group-version-kind"] = json!([identity(found, &names.kind)]);

    let mut list = type_fields();
    let metadata = described(
        &format!("{META}.ListMeta"),
        "The version and the next page.",
    );
    list.insert("metadata".to_owned(), metadata);
    let items = format!("The {} of the list.", names.plural);
    list.insert(
        "items".to_owned(),
        json!({"type": "array", "description": items, "items": reference(&name)}),
    );
    let list_name = format!("{name}List");
    let list = json!({
        "type": "object",
        "description": format!("A list of {}.", names.plural),
        "required": ["items"],
        "properties": list,
        "x-kubernetes-group-version-kind": [identity(found, &names.list_kind)],
    });
    schemas.insert(name, object);
    schemas.insert(list_name, list);
}

fn add_paths(paths: &mut Map<String, Value>, root: &str, found: &Found<'_>) {
    let names = &found.kind.names;
    let plural = &names.plural;
    let mut collection = json!({
        "get": operation(found, Verb::List),
        "post": operation(found, Verb::Create),
        "delete": operation(found, Verb::DeleteCollection),
    });
    let mut object = json!({
        "get": operation(found, Verb::Get),
        "put": operation(found, Verb::Update),
        "patch": operation(found, Verb::Patch),
        "delete": operation(found, Verb::Delete),
    });
    let name = path_parameter("name", "The name of the object.");
    let place = if found.kind.is_namespaced() {
        let namespace = path_parameter("namespace", "The namespace of the object.");
        collection["parameters"] = json!([namespace]);
        object["parameters"] = json!([name, namespace]);
        let everywhere = json!({"get": operation(found, Verb::ListAll)});
        paths.insert(format!("/{root}/{plural}"), everywhere);
        format!("/{root}/namespaces/{{namespace}}/{plural}")
    } else {
        object["parameters"] = json!([name]);
        format!("/{root}/{plural}")
    };
    paths.insert(format!("{place}/{{name}}"), object);
    paths.insert(place, collection);
}

#[derive(Clone, Copy, PartialEq)]
enum Verb {
    Get,
    List,
    ListAll,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    /// The start of the operation's id, and the action of Kubernetes.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Get => ("read", "get"),
            Self::List | Self::ListAll => ("list", "list"),
            Self::Create => ("create", "post"),
            Self::Update => ("replace", "put"),
            Self::Patch => ("patch", "patch"),
            Self::Delete => ("delete", "delete"),
            Self::DeleteCollection => ("deleteCollection", "deletecollection"),
        }
    }

    fn parameters(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Self::Get => &[PRETTY, VERSION],
            Self::List | Self::ListAll | Self::DeleteCollection => LIST,
            Self::Create | Self::Update | Self::Patch => &[PRETTY, DRY_RUN, MANAGER, VALIDATION],
            Self::Delete => &[PRETTY, DRY_RUN, GRACE, PROPAGATION],
        }
    }
}

type Parameter = (&'static str, &'static str, &'static str);

const PRETTY: Parameter = ("pretty", "string", "Has no effect.");
const VERSION: Parameter = (
    "resourceVersion",
    "string",
    "The oldest version of the store that may be shown.",
);
const DRY_RUN: Parameter = (
    "dryRun",
    "string",
    "All: do everything but store the result.",
);
const MANAGER: Parameter = ("fieldManager", "string", "The name of the writer.");
const VALIDATION: Parameter = (
    "fieldValidation",
    "string",
    "What unknown and repeated fields do: Ignore, Warn or Strict.",
);
const GRACE: Parameter = (
    "gracePeriodSeconds",
    "integer",
    "How long the object may take to go; 0 is at once.",
);
const PROPAGATION: Parameter = (
    "propagationPolicy",
    "string",
    "What happens to owned objects: Orphan, Background or Foreground.",
);
const LIST: &[Parameter] = &[
    PRETTY,
    VERSION,
    (
        "resourceVersionMatch",
        "string",
        "How resourceVersion is meant: Exact or NotOlderThan.",
    ),
    ("labelSelector", "string", "Which objects, by their labels."),
    (
        "fieldSelector",
        "string",
        "Which objects, by metadata.name and metadata.namespace.",
    ),
    ("limit", "integer", "The most objects of one page."),
    ("continue", "string", "The token of the next page."),
    ("watch", "boolean", "Stream changes instead of a list."),
    (
        "allowWatchBookmarks",
        "boolean",
        "Whether the stream may hold bookmarks.",
    ),
    (
        "sendInitialEvents",
        "boolean",
        "Whether the stream begins with what is there.",
    ),
    (
        "timeoutSeconds",
        "integer",
        "How long the stream stays open.",
    ),
];

fn operation(found: &Found<'_>, verb: Verb) -> Value {
    let names = &found.kind.names;
    let (prefix, action) = verb.words();
    let name = schema_name(found);
    let shown = match verb {
        Verb::List | Verb::ListAll => reference(&format!("{name}List")),
        Verb::Delete | Verb::DeleteCollection => reference(&format!("{META}.Status")),
        _ => reference(&name),
    };
    let scope = match (found.kind.is_namespaced(), verb) {
        (true, Verb::ListAll) => "ForAllNamespaces",
        (true, _) => "Namespaced",
        (false, _) => "",
    };
    let parameters: Vec<Value> = verb
        .parameters()
        .iter()
        .map(|(name, kind, description)| {
            json!({"name": name, "in": "query", "description": description,
                "schema": {"type": kind, "uniqueItems": true}})
        })
        .collect();
    let code = if verb == Verb::Create { "201" } else { "200" };
    let content = json!({"application/json": {"schema": shown}});
    let mut operation = json!({
        "operationId": format!("{prefix}{}{scope}{}", camel(&found.api_version()), names.kind),
        "description": format!("{action} {}", names.plural),
        "tags": [found.api_version()],
        "parameters": parameters,
        "responses": {code: {"description": "OK", "content": content}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": identity(found, &names.kind),
    });
    if let Some(body) = request_body(verb, &name) {
        operation["requestBody"] = body;
    }
    operation
}

fn request_body(verb: Verb, name: &str) -> Option<Value> {
    let (media_types, schema): (&[&str], String) = match verb {
        Verb::Create | Verb::Update => (&["application/json"], name.to_owned()),
        Verb::Patch => (
            &[
                "application/json-patch+json",
                "application/merge-patch+json",
            ],
            format!("{META}.Patch"),
        ),
        Verb::Delete | Verb::DeleteCollection => {
            (&["application/json"], format!("{META}.DeleteOptions"))
        }
        Verb::Get | Verb::List | Verb::ListAll => return None,
    };
    let content = media_types.iter().map(|media_type| {
        (
            (*media_type).to_owned(),
            json!({"schema": reference(&schema)}),
        )
    });
    let required = matches!(verb, Verb::Create | Verb::Update | Verb::Patch);
    Some(json!({"content": content.collect::<Map<_, _>>(), "required": required}))
}

/// An `apiVersion` as one word: `PlaylistGrafanaAppV0alpha1`.
fn camel(api_version: &str) -> String {
    let words = api_version.split(['.', '/', '-']);
    words
        .flat_map(|word| {
            let mut chars = word.chars();
            let first = chars.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(chars)
        })
        .collect()
}

fn path_parameter(name: &str, description: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "description": description,
        "required": true,
        "schema": {"type": "string", "uniqueItems": true},
    })
}

#[cfg(test)]
mod tests {
    //! Catches a document without what kubectl looks for, with a dangling reference, or with a
    //! hash that is not that of its bytes.

    use super::*;

    fn parsed() -> Vec<(Document, Value)> {
        let kinds = Kinds::built_in().unwrap();
        let documents = documents(&kinds).into_iter();
        documents
            .map(|d| (d.clone(), serde_json::from_slice(&d.bytes).unwrap()))
            .collect()
    }

    #[test]
    fn each_version_has_a_document_that_the_root_names_by_hash() {
        let kinds = Kinds::built_in().unwrap();
        let documents = documents(&kinds);
        let paths: Vec<_> = documents
            .iter()
            .map(|document| document.path.as_str())
            .collect();
        let expected = [
            "api/v1",
            "apis/dashboard.grafana.app/v1beta1",
            "apis/dashboard.grafana.app/v0alpha1",
            "apis/folder.grafana.app/v1beta1",
            "apis/playlist.grafana.app/v0alpha1",
        ];
        assert_eq!(paths, expected);
        assert_eq!(
            documents,
            super::documents(&Kinds::built_in().unwrap()),
            "hashes are stable"
        );
        let root = root(&documents);
        let url = format!("/openapi/v3/api/v1?hash={}", documents[0].hash);
        assert_eq!(root["paths"]["api/v1"]["serverRelativeURL"], url);
        assert_eq!(documents[0].hash.len(), 64);
        assert_ne!(documents[1].hash, documents[2].hash);
    }

    #[test]
    fn kubectl_finds_what_it_looks_for() {
        for (document, value) in parsed() {
            let root = format!("/{}", document.path);
            let schemas = value["components"]["schemas"].as_object().unwrap();
            let own = schemas.iter().filter(|(name, _)| !name.starts_with(META));
            assert_eq!(own.clone().count(), 2);
            for (_, schema) in own {
                let identity = &schema["x-kubernetes-group-version-kind"][0];
                assert!(root.ends_with(identity["version"].as_str().unwrap()));
                assert!(schema["properties"]["apiVersion"]["type"].is_string());
            }
            for (path, item) in value["paths"].as_object().unwrap() {
                assert!(path.starts_with(&root), "{path}");
                for (method, operation) in item.as_object().unwrap() {
                    if method == "parameters" {
                        continue;
                    }
                    let identity = &operation["x-kubernetes-group-version-kind"];
                    assert!(identity["kind"].is_string(), "{method} {path}");
                    let list = operation["parameters"].as_array().unwrap();
                    let has = |name: &str| list.iter().any(|parameter| parameter["name"] == name);
                    if ["post", "put", "patch"].contains(&method.as_str()) {
                        assert!(has("dryRun") && has("fieldManager") && has("fieldValidation"));
                        assert!(operation["requestBody"]["required"].as_bool().unwrap());
                    }
                }
            }
        }
    }

    #[test]
    fn operation_ids_are_unique_and_references_lead_somewhere() {
        for (_, value) in parsed() {
            let (mut ids, mut references) = (Vec::new(), Vec::new());
            collect(&value, &mut ids, &mut references);
            let count = ids.len();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), count);
            assert!(!references.is_empty());
            for reference in references {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(value.pointer(pointer).is_some(), "{reference}");
            }
        }
    }

    fn collect(value: &Value, ids: &mut Vec<String>, references: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    match (key.as_str(), value) {
                        ("operationId", Value::String(id)) => ids.push(id.clone()),
                        ("$ref", Value::String(name)) => references.push(name.clone()),
                        _ => collect(value, ids, references),
                    }
                }
            }
            Value::Array(list) => list
                .iter()
                .for_each(|value| collect(value, ids, references)),
            _ => {}
        }
    }

    #[test]
    fn the_schema_of_the_kind_is_published() {
        let documents = parsed();
        let (_, playlists) = documents.last().unwrap();
        let schema = &playlists["components"]["schemas"]["app.grafana.playlist.v0alpha1.Playlist"];
        let title = &schema["properties"]["spec"]["properties"]["title"];
        assert_eq!(title["description"], "The name people see.");
        let metadata = &schema["properties"]["metadata"]["allOf"][0]["$ref"];
        assert!(metadata.as_str().unwrap().ends_with("ObjectMeta"));
    }
}
