//! What is indexed: documents, the fields a kind declares, and changes in version order.
//!
//! The caller translates its objects into these plain values. A document that breaks a limit is
//! not an error of the caller: it is set aside, counted and listed (see [`crate::Status`]), and
//! takes its older self out of the index, so that nothing outdated is ever found.

use std::sync::Arc;

/// Most bytes of group, resource, namespace and name together.
pub const KEY_BYTES_MAX: usize = 2_048;
/// Most bytes of a title.
pub const TITLE_BYTES_MAX: usize = 4_096;
/// Most bytes of a description.
pub const DESCRIPTION_BYTES_MAX: usize = 64 << 10;
/// Most tags of a document.
pub const TAGS_MAX: usize = 256;
/// Most labels of a document.
pub const LABELS_MAX: usize = 256;
/// Most bytes of a tag, of a label (key and value), of a folder, a kind or an author.
pub const SHORT_BYTES_MAX: usize = 1_024;
/// Most own fields of a document.
pub const FIELDS_MAX: usize = 64;
/// Most values of all own fields of a document.
pub const VALUES_MAX: usize = 4_096;
/// Most bytes of one keyword, and of one value that is filtered or sorted by.
pub const KEYWORD_BYTES_MAX: usize = 4_096;
/// Most bytes of everything in a document together.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// Names a document: one object of the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentKey {
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource, in plural.
    pub resource: String,
    /// The namespace; empty for resources without one.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// What the values of an own field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Prose: found by its words.
    Text,
    /// A word of a fixed vocabulary: found by its words and as a whole.
    Keyword,
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// A moment, in milliseconds since 1970.
    Date,
}

/// A search field that a kind declares for itself.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldSpec {
    /// Its name, unique within the kind.
    pub name: String,
    /// What its values are.
    pub kind: FieldKind,
    /// How much a word found here counts, where a word in a tag counts 8 and one in the title 16.
    /// Rounded to one of 0.5, 1, 2 and 4; zero or less keeps the field out of the free text, where
    /// numbers, truths and dates never are.
    pub weight: f32,
    /// Whether queries may ask for an exact value or count values.
    pub filterable: bool,
    /// Whether results may be sorted by it.
    pub sortable: bool,
}

/// One value of an own field.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Value {
    /// For the kinds `Text` and `Keyword`.
    Text(String),
    /// For the kind `Number`.
    Number(f64),
    /// For the kind `Bool`.
    Bool(bool),
    /// For the kind `Date`: milliseconds since 1970.
    Date(i64),
}

/// An own field of a document with its values, in the order they were given.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldValue {
    /// The declaration, shared by all documents of the kind.
    pub spec: Arc<FieldSpec>,
    /// The values.
    pub values: Vec<Value>,
}

/// One object as the index sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its name.
    pub key: DocumentKey,
    /// The version this is the state of.
    pub version: u64,
    /// The title people know it by.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its labels, key and value.
    pub labels: Vec<(String, String)>,
    /// The folder it stands in; empty for the root.
    pub folder: String,
    /// The kind, in singular and capitalised, as objects carry it.
    pub kind: String,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, in milliseconds since 1970.
    pub updated_ms: i64,
    /// Who created it.
    pub created_by: String,
    /// Who last changed it.
    pub updated_by: String,
    /// The fields of its kind.
    pub fields: Vec<FieldValue>,
}

/// One step of the log, as the index needs it.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The document is now this.
    Put(Box<Document>),
    /// The document is gone.
    Remove {
        /// Which one.
        key: DocumentKey,
        /// The version it went at.
        version: u64,
    },
}

impl Change {
    /// The document it is about.
    pub fn key(&self) -> &DocumentKey {
        match self {
            Change::Put(document) => &document.key,
            Change::Remove { key, .. } => key,
        }
    }

    /// Its place in the log.
    pub fn version(&self) -> u64 {
        match self {
            Change::Put(document) => document.version,
            Change::Remove { version, .. } => *version,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Change::Put(document) => document.bytes(),
            Change::Remove { key, .. } => key.bytes(),
        }
    }
}

impl DocumentKey {
    fn bytes(&self) -> usize {
        self.group.len() + self.resource.len() + self.namespace.len() + self.name.len()
    }
}

impl FieldKind {
    fn holds(self, value: &Value) -> bool {
        match self {
            FieldKind::Text | FieldKind::Keyword => matches!(value, Value::Text(_)),
            FieldKind::Number => matches!(value, Value::Number(number) if number.is_finite()),
            FieldKind::Bool => matches!(value, Value::Bool(_)),
            FieldKind::Date => matches!(value, Value::Date(_)),
        }
    }
}

impl Value {
    fn bytes(&self) -> usize {
        match self {
            Value::Text(text) => text.len(),
            Value::Number(_) | Value::Bool(_) | Value::Date(_) => 8,
        }
    }
}

impl Document {
    /// Says why the document cannot be indexed, if so.
    pub(crate) fn check(&self) -> Result<(), String> {
        let key = &self.key;
        at_most("key", key.bytes(), KEY_BYTES_MAX, "bytes")?;
        for part in [&key.group, &key.resource, &key.namespace, &key.name] {
            if part.contains('\0') {
                return Err("key: holds a NUL character".into());
            }
        }
        at_most("title", self.title.len(), TITLE_BYTES_MAX, "bytes")?;
        at_most(
            "description",
            self.description.len(),
            DESCRIPTION_BYTES_MAX,
            "bytes",
        )?;
        at_most("tags", self.tags.len(), TAGS_MAX, "tags")?;
        for tag in &self.tags {
            at_most("tags", tag.len(), SHORT_BYTES_MAX, "bytes in one tag")?;
        }
        at_most("labels", self.labels.len(), LABELS_MAX, "labels")?;
        for (key, value) in &self.labels {
            at_most(
                "labels",
                key.len() + value.len(),
                SHORT_BYTES_MAX,
                "bytes in one label",
            )?;
        }
        let short = [
            ("folder", &self.folder),
            ("kind", &self.kind),
            ("created_by", &self.created_by),
            ("updated_by", &self.updated_by),
        ];
        for (field, text) in short {
            at_most(field, text.len(), SHORT_BYTES_MAX, "bytes")?;
        }
        self.check_fields()?;
        at_most("document", self.bytes(), DOCUMENT_BYTES_MAX, "bytes in all")
    }

    fn check_fields(&self) -> Result<(), String> {
        at_most("fields", self.fields.len(), FIELDS_MAX, "fields")?;
        let values = self.fields.iter().map(|field| field.values.len()).sum();
        at_most("fields", values, VALUES_MAX, "values in all")?;
        for field in &self.fields {
            let spec = &field.spec;
            if spec.name.is_empty() || spec.name.contains('\0') {
                return Err("fields: a name is empty or holds a NUL character".into());
            }
            at_most(
                "fields",
                spec.name.len(),
                SHORT_BYTES_MAX,
                "bytes in one name",
            )?;
            let exact = spec.kind == FieldKind::Keyword || spec.filterable || spec.sortable;
            for value in &field.values {
                if !spec.kind.holds(value) {
                    return Err(format!(
                        "fields.{}: a value is not a {:?}",
                        spec.name, spec.kind
                    ));
                }
                if exact {
                    let name = format!("fields.{}", spec.name);
                    at_most(
                        &name,
                        value.bytes(),
                        KEYWORD_BYTES_MAX,
                        "bytes in one value",
                    )?;
                }
            }
        }
        Ok(())
    }

    /// How much text it carries, roughly what it costs to keep in memory.
    pub(crate) fn bytes(&self) -> usize {
        let tags: usize = self.tags.iter().map(String::len).sum();
        let labels: usize = self
            .labels
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        let own = self.fields.iter().map(|field| {
            field.spec.name.len() + field.values.iter().map(Value::bytes).sum::<usize>()
        });
        self.key.bytes()
            + self.title.len()
            + self.description.len()
            + tags
            + labels
            + self.folder.len()
            + self.kind.len()
            + self.created_by.len()
            + self.updated_by.len()
            + own.sum::<usize>()
    }
}

fn at_most(field: &str, found: usize, limit: usize, unit: &str) -> Result<(), String> {
    if found > limit {
        return Err(format!("{field}: {found} {unit}, at most {limit}"));
    }
    Ok(())
}
