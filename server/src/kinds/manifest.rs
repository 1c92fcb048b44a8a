//! The manifest reader: a CustomResourceDefinition in YAML becomes a [`ServedKind`].
//!
//! Called at the start for the manifests in the binary. Every fault names the field and what was
//! expected there. Fields that would change what clients see and that the server does not offer
//! (conversion webhooks, subresources, selectable fields) are refused rather than ignored.
//! Besides the standard fields two annotations are read: `annals.dev/name-rule` and
//! `annals.dev/search-fields`.

use serde_json::{Map, Value};

use annals::{FieldKind, SearchField};

use super::{Column, ColumnType, KindVersion, NameRule, Names, Path, Schema, Scope, ServedKind};

const NAME_RULE: &str = "annals.dev/name-rule";
const SEARCH_FIELDS: &str = "annals.dev/search-fields";

/// Why a manifest was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("manifest: {field}: expected {expected}")]
pub struct ManifestError {
    /// The field at fault.
    pub field: String,
    /// What should be there.
    pub expected: String,
}

impl ManifestError {
    pub(crate) fn new(field: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            expected: expected.into(),
        }
    }
}

type Result<T> = std::result::Result<T, ManifestError>;

impl ServedKind {
    /// Reads a manifest.
    pub fn from_manifest(yaml: &str) -> Result<Self> {
        let value: Value = serde_saphyr::from_str(yaml)
            .map_err(|error| ManifestError::new("(document)", format!("YAML: {error}")))?;
        let root = Node::root(&value)?;
        root.only("apiVersion", &["apiextensions.k8s.io/v1"])?;
        root.only("kind", &["CustomResourceDefinition"])?;
        let (metadata, spec) = (root.object("metadata")?, root.object("spec")?);
        spec.refuse(&["conversion", "preserveUnknownFields"])?;
        let group = spec.text("group")?.to_owned();
        let names = read_names(&spec.object("names")?)?;
        let scope = match spec.only("scope", &["Namespaced", "Cluster"])? {
            "Namespaced" => Scope::Namespaced,
            _ => Scope::Cluster,
        };
        let annotations = metadata.optional_object("annotations")?;
        let kind = Self {
            name_rule: read_name_rule(annotations.as_ref())?,
            search_fields: read_search_fields(annotations.as_ref())?,
            versions: read_versions(&spec)?,
            group,
            names,
            scope,
        };
        if metadata.text("name")? != kind.resource() {
            return Err(ManifestError::new("metadata.name", kind.resource()));
        }
        Ok(kind)
    }
}

fn read_names(names: &Node<'_>) -> Result<Names> {
    let kind = names.text("kind")?.to_owned();
    let plural = names.text("plural")?.to_owned();
    for (field, name) in [("plural", &plural), ("kind", &kind)] {
        let lower = name.to_ascii_lowercase();
        if NameRule::Label.check(field, &lower).is_err() || field == "plural" && *name != lower {
            return Err(names.expected(field, "an RFC 1123 label"));
        }
    }
    let singular = names.optional_text("singular")?;
    let list_kind = names.optional_text("listKind")?;
    Ok(Names {
        singular: singular.map_or_else(|| kind.to_ascii_lowercase(), str::to_owned),
        list_kind: list_kind.map_or_else(|| format!("{kind}List"), str::to_owned),
        short_names: names.texts("shortNames")?,
        categories: names.texts("categories")?,
        plural,
        kind,
    })
}

fn read_name_rule(annotations: Option<&Node<'_>>) -> Result<NameRule> {
    match annotations.filter(|node| node.map.contains_key(NAME_RULE)) {
        None => Ok(NameRule::Subdomain),
        Some(node) => match node.only(NAME_RULE, &["grafana", "subdomain", "label"])? {
            "grafana" => Ok(NameRule::Grafana),
            "label" => Ok(NameRule::Label),
            _ => Ok(NameRule::Subdomain),
        },
    }
}

fn read_search_fields(annotations: Option<&Node<'_>>) -> Result<Vec<SearchField>> {
    let Some(annotations) = annotations else {
        return Ok(Vec::new());
    };
    let Some(text) = annotations.optional_text(SEARCH_FIELDS)? else {
        return Ok(Vec::new());
    };
    let list: Value = serde_json::from_str(text)
        .map_err(|error| annotations.expected(SEARCH_FIELDS, &format!("JSON: {error}")))?;
    let field = annotations.field(SEARCH_FIELDS);
    nodes(&list, &field)?
        .iter()
        .map(read_search_field)
        .collect()
}

fn read_search_field(node: &Node<'_>) -> Result<SearchField> {
    let texts = match node.map.get("path") {
        Some(Value::Array(_)) => node.texts("path")?,
        _ => vec![node.text("path")?.to_owned()],
    };
    let paths = texts
        .iter()
        .map(|text| read_path(node, "path", text))
        .collect::<Result<_>>()?;
    let types = ["text", "keyword", "number", "boolean", "date"];
    let kind = match node.only("type", &types)? {
        "text" => FieldKind::Text,
        "keyword" => FieldKind::Keyword,
        "number" => FieldKind::Number,
        "boolean" => FieldKind::Bool,
        _ => FieldKind::Date,
    };
    let weight = match node.map.get("weight") {
        None => 1.0,
        Some(value) => value
            .as_f64()
            .filter(|weight| (0.0..=100.0).contains(weight))
            .ok_or_else(|| node.expected("weight", "a number from 0 to 100"))?,
    };
    Ok(SearchField {
        name: node.text("field")?.to_owned(),
        paths,
        kind,
        weight: weight as f32,
        filterable: node.flag("filterable")?,
        sortable: node.flag("sortable")?,
    })
}

fn read_versions(spec: &Node<'_>) -> Result<Vec<KindVersion>> {
    let list = spec.map.get("versions").unwrap_or(&Value::Null);
    let field = spec.field("versions");
    let versions: Vec<KindVersion> = nodes(list, &field)?
        .iter()
        .map(read_version)
        .collect::<Result<_>>()?;
    let mut names: Vec<_> = versions.iter().map(|version| &version.name).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() != versions.len() {
        return Err(ManifestError::new(field, "each version once"));
    }
    if versions.iter().filter(|version| version.storage).count() != 1 {
        return Err(ManifestError::new(
            field,
            "exactly one version with storage: true",
        ));
    }
    Ok(versions)
}

fn read_version(node: &Node<'_>) -> Result<KindVersion> {
    node.refuse(&[
        "subresources",
        "selectableFields",
        "deprecated",
        "deprecationWarning",
    ])?;
    let name = node.text("name")?;
    NameRule::Label
        .check("name", name)
        .map_err(|_| node.expected("name", "an RFC 1123 label"))?;
    let schema = node.object("schema")?;
    let schema_field = schema.field("openAPIV3Schema");
    let schema = Schema::parse(schema.map.get("openAPIV3Schema").unwrap_or(&Value::Null))
        .map_err(|error| ManifestError::new(schema_field + &error.path, error.expected))?;
    let columns = match node.map.get("additionalPrinterColumns") {
        None => vec![age_column()],
        Some(list) => nodes(list, &node.field("additionalPrinterColumns"))?
            .iter()
            .map(read_column)
            .collect::<Result<_>>()?,
    };
    Ok(KindVersion {
        name: name.to_owned(),
        served: node.flag("served")?,
        storage: node.flag("storage")?,
        schema,
        columns: if columns.is_empty() {
            vec![age_column()]
        } else {
            columns
        },
    })
}

fn read_column(node: &Node<'_>) -> Result<Column> {
    let types = ["string", "integer", "number", "boolean", "date"];
    let kind = match node.only("type", &types)? {
        "string" => ColumnType::String,
        "integer" => ColumnType::Integer,
        "number" => ColumnType::Number,
        "boolean" => ColumnType::Boolean,
        _ => ColumnType::Date,
    };
    let priority = match node.map.get("priority") {
        None => 0,
        Some(value) => value
            .as_i64()
            .ok_or_else(|| node.expected("priority", "a whole number"))?,
    };
    Ok(Column {
        name: node.text("name")?.to_owned(),
        kind,
        format: node.optional_text("format")?.unwrap_or_default().to_owned(),
        description: node
            .optional_text("description")?
            .unwrap_or_default()
            .to_owned(),
        priority,
        path: read_path(node, "jsonPath", node.text("jsonPath")?)?,
    })
}

fn read_path(node: &Node<'_>, name: &str, text: &str) -> Result<Path> {
    Path::parse(text).map_err(|error| node.expected(name, &error.to_string()))
}

/// The column of a kind that declares none.
fn age_column() -> Column {
    #[expect(
        clippy::unwrap_used,
        reason = "the path is a constant, and tests read it"
    )]
    let path = Path::parse(".metadata.creationTimestamp").unwrap();
    Column {
        name: "Age".to_owned(),
        kind: ColumnType::Date,
        format: String::new(),
        description: "How long ago the object was created".to_owned(),
        priority: 0,
        path,
    }
}

/// An object of the manifest that knows where it is.
struct Node<'a> {
    path: String,
    map: &'a Map<String, Value>,
}

fn nodes<'a>(list: &'a Value, field: &str) -> Result<Vec<Node<'a>>> {
    let list = list
        .as_array()
        .ok_or_else(|| ManifestError::new(field, "a list"))?;
    let entries = list.iter().enumerate().map(|(i, entry)| {
        let path = format!("{field}[{i}]");
        match entry.as_object() {
            Some(map) => Ok(Node { path, map }),
            None => Err(ManifestError::new(path, "an object")),
        }
    });
    entries.collect()
}

impl<'a> Node<'a> {
    fn root(value: &'a Value) -> Result<Self> {
        let map = value
            .as_object()
            .ok_or_else(|| ManifestError::new("(document)", "an object"))?;
        Ok(Self {
            path: String::new(),
            map,
        })
    }

    fn field(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn expected(&self, name: &str, expected: &str) -> ManifestError {
        ManifestError::new(self.field(name), expected)
    }

    fn object(&self, name: &str) -> Result<Node<'a>> {
        self.optional_object(name)?
            .ok_or_else(|| self.expected(name, "an object"))
    }

    fn optional_object(&self, name: &str) -> Result<Option<Node<'a>>> {
        match self.map.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Node {
                path: self.field(name),
                map,
            })),
            Some(_) => Err(self.expected(name, "an object")),
        }
    }

    fn text(&self, name: &str) -> Result<&'a str> {
        self.optional_text(name)?
            .ok_or_else(|| self.expected(name, "a string"))
    }

    fn optional_text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.map.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.expected(name, "a string")),
        }
    }

    fn only(&self, name: &str, words: &[&str]) -> Result<&'a str> {
        let found = self.map.get(name).and_then(Value::as_str);
        found
            .filter(|word| words.contains(word))
            .ok_or_else(|| self.expected(name, &words.join(" or ")))
    }

    fn texts(&self, name: &str) -> Result<Vec<String>> {
        let expected = || self.expected(name, "a list of strings");
        let Some(value) = self.map.get(name) else {
            return Ok(Vec::new());
        };
        let list = value.as_array().ok_or_else(expected)?.iter();
        list.map(|entry| entry.as_str().map(str::to_owned).ok_or_else(expected))
            .collect()
    }

    fn flag(&self, name: &str) -> Result<bool> {
        match self.map.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.expected(name, "true or false")),
        }
    }

    fn refuse(&self, names: &[&str]) -> Result<()> {
        match names.iter().find(|name| self.map.contains_key(**name)) {
            Some(name) => Err(self.expected(name, "nothing: it is not offered")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Catches a broken manifest that is taken, or refused without naming the field at fault.

    use super::*;

    const PLAYLIST: &str = include_str!("../../kinds/playlist.yaml");

    fn check(find: &str, replace: &str, field: &str) {
        assert!(PLAYLIST.contains(find), "{find}");
        let error = ServedKind::from_manifest(&PLAYLIST.replace(find, replace)).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }

    #[test]
    fn each_fault_is_named() {
        check("CustomResourceDefinition", "Secret", "kind");
        check("playlists.playlist", "lists.playlist", "metadata.name");
        check("  group: playlist.grafana.app\n", "", "spec.group");
        check(
            "plural: playlists",
            "plural: Playlists",
            "spec.names.plural",
        );
        check("scope: Namespaced", "scope: namespaced", "spec.scope");
        check("storage: true", "storage: false", "spec.versions");
        check("name: v0alpha1", "name: V0/a", "spec.versions[0].name");
        check("served: true", "served: maybe", "spec.versions[0].served");
        check(
            "name-rule: grafana",
            "name-rule: none",
            &format!("metadata.annotations.{NAME_RULE}"),
        );
        let search = format!("metadata.annotations.{SEARCH_FIELDS}");
        check("[{\"field\"", "[{\"feld\"", &format!("{search}[0].field"));
        check("\"keyword\"", "\"key\"", &format!("{search}[0].type"));
        check(
            "\".spec.interval\"",
            "\"interval\"",
            &format!("{search}[0].path"),
        );
        let version = "spec.versions[0]";
        check(
            "jsonPath: .spec.title",
            "jsonPath: title",
            &format!("{version}.additionalPrinterColumns[0].jsonPath"),
        );
        check(
            "                title:\n                  type: string\n",
            "                title:\n                  type: text\n",
            &format!("{version}.schema.openAPIV3Schema.properties.spec.properties.title.type"),
        );
        check(
            "served: true",
            "subresources: {}",
            &format!("{version}.subresources"),
        );
        assert_eq!(
            ServedKind::from_manifest("a: [").unwrap_err().field,
            "(document)"
        );
        assert_eq!(
            ServedKind::from_manifest("7").unwrap_err().field,
            "(document)"
        );
    }

    #[test]
    fn a_kind_without_columns_shows_its_age() {
        let start = PLAYLIST.find("      additionalPrinterColumns").unwrap();
        let kind = ServedKind::from_manifest(&PLAYLIST[..start]).unwrap();
        assert_eq!(kind.storage().columns[0].name, "Age");
        assert_eq!(kind.storage().columns[0].kind, ColumnType::Date);
    }

    #[test]
    fn names_that_are_not_given_follow_from_the_kind() {
        let manifest = PLAYLIST.replace("    singular: playlist\n    kind", "    kind");
        let manifest = manifest.replace("    listKind: PlaylistList\n", "");
        let kind = ServedKind::from_manifest(&manifest).unwrap();
        assert_eq!(kind.names.singular, "playlist");
        assert_eq!(kind.names.list_kind, "PlaylistList");
    }
}
