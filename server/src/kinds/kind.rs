//! A served kind: a manifest after it was read and checked.
//!
//! Plain values. The manifest reader makes them, the registry holds them, the renderers of
//! tables, discovery and OpenAPI read them. Invariants, kept by the manifest reader: exactly one
//! version is the stored one, version names are unique, and all versions have the same shape
//! (there is no conversion; only `apiVersion` differs).

use serde_json::Value;

use annals::SearchField;

use super::{Cause, Path, Schema};
use crate::limits;

/// A kind that the server serves.
#[derive(Debug, Clone)]
pub struct ServedKind {
    /// The API group; empty for the core group.
    pub group: String,
    /// What the kind is called.
    pub names: Names,
    /// Whether objects live in a namespace.
    pub scope: Scope,
    /// What the names of objects may look like.
    pub name_rule: NameRule,
    /// The versions in order of preference; never empty.
    pub versions: Vec<KindVersion>,
    /// What the search index takes from objects besides the standard fields.
    pub search_fields: Vec<SearchField>,
}

/// The names of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The resource in URLs, such as `playlists`.
    pub plural: String,
    /// One of them, such as `playlist`.
    pub singular: String,
    /// The kind in objects, such as `Playlist`.
    pub kind: String,
    /// The kind of lists, such as `PlaylistList`.
    pub list_kind: String,
    /// Abbreviations that clients accept.
    pub short_names: Vec<String>,
    /// Groups of kinds that clients ask for together, such as `all`.
    pub categories: Vec<String>,
}

/// Where objects of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In none.
    Cluster,
}

/// One version of a kind.
#[derive(Debug, Clone)]
pub struct KindVersion {
    /// The version, such as `v1beta1`.
    pub name: String,
    /// Whether clients may use it.
    pub served: bool,
    /// Whether objects are stored in it.
    pub storage: bool,
    /// What objects may hold.
    pub schema: Schema,
    /// The columns after the name; never empty.
    pub columns: Vec<Column>,
}

/// A printed column.
#[derive(Debug, Clone)]
pub struct Column {
    /// The header.
    pub name: String,
    /// The type of its cells.
    pub kind: ColumnType,
    /// The format of its cells; may be empty.
    pub format: String,
    /// What the column shows.
    pub description: String,
    /// 0 is always shown; more only in wide output.
    pub priority: i64,
    /// Where the value is.
    pub path: Path,
}

/// The type of a column's cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A moment, shown as the time since.
    Date,
}

impl ColumnType {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
        }
    }
}

/// What the names of a kind's objects may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// Letters, digits, `-`, `_`, `.` and `:`; 1 to 253 of them.
    Grafana,
    /// A DNS-1123 subdomain.
    Subdomain,
    /// A DNS-1123 label.
    Label,
}

impl NameRule {
    /// Checks a name, which `field` holds.
    pub fn check(self, field: &str, name: &str) -> Result<(), Cause> {
        let max = match self {
            Self::Grafana | Self::Subdomain => limits::NAME_BYTES,
            Self::Label => limits::NAMESPACE_BYTES,
        };
        let (good, rule) = match self {
            Self::Grafana => (
                is_grafana_name(name),
                "a name must consist of letters, digits, '-', '_', '.' or ':', and may be neither \
                 '.' nor '..'",
            ),
            Self::Subdomain => (
                name.split('.').all(is_label),
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
                 characters, '-' or '.', and must start and end with an alphanumeric character",
            ),
            Self::Label => (
                is_label(name),
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or \
                 '-', and must start and end with an alphanumeric character",
            ),
        };
        if name.len() > max {
            let rule = format!("must be no more than {max} bytes");
            return Err(Cause::invalid(field, &Value::from(name), &rule));
        }
        if good {
            Ok(())
        } else {
            Err(Cause::invalid(field, &Value::from(name), rule))
        }
    }
}

fn is_grafana_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    !name.is_empty() && name != "." && name != ".." && name.bytes().all(allowed)
}

fn is_label(label: &str) -> bool {
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = label.as_bytes();
    bytes.first().is_some_and(|b| edge(*b))
        && bytes.last().is_some_and(|b| edge(*b))
        && bytes.iter().all(|b| edge(*b) || *b == b'-')
}

impl ServedKind {
    /// The version of this name, whether it is served or not.
    pub fn version(&self, name: &str) -> Option<&KindVersion> {
        self.versions.iter().find(|version| version.name == name)
    }

    /// The version that objects are stored in.
    pub fn storage(&self) -> &KindVersion {
        // The manifest reader refuses kinds without a stored version.
        self.versions
            .iter()
            .find(|version| version.storage)
            .unwrap_or(&self.versions[0])
    }

    /// The resource with its group, as messages name it: `playlists.playlist.grafana.app`.
    pub fn resource(&self) -> String {
        qualified(&self.names.plural, &self.group)
    }

    /// The kind with its group, as messages name it: `Playlist.playlist.grafana.app`.
    pub fn qualified_kind(&self) -> String {
        qualified(&self.names.kind, &self.group)
    }

    /// The `apiVersion` of objects in a version: `playlist.grafana.app/v0alpha1`, or `v1`.
    pub fn api_version(&self, version: &str) -> String {
        match self.group.as_str() {
            "" => version.to_owned(),
            group => format!("{group}/{version}"),
        }
    }

    /// Whether objects live in a namespace.
    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }
}

fn qualified(name: &str, group: &str) -> String {
    match group {
        "" => name.to_owned(),
        group => format!("{name}.{group}"),
    }
}

#[cfg(test)]
mod tests {
    //! Catches a name rule that lets a bad name in or keeps a good one out.

    use super::NameRule::{Grafana, Label, Subdomain};

    #[test]
    fn each_rule_takes_its_names_only() {
        let cases = [
            ("abc", true, true, true),
            ("a.b-c", true, true, false),
            ("aB_c:d.1", true, false, false),
            ("-a", true, false, false),
            ("a..b", true, false, false),
            ("", false, false, false),
            (".", false, false, false),
            ("..", false, false, false),
            ("a/b", false, false, false),
            ("a%b", false, false, false),
            ("é", false, false, false),
        ];
        for (name, grafana, subdomain, label) in cases {
            assert_eq!(Grafana.check("f", name).is_ok(), grafana, "{name}");
            assert_eq!(Subdomain.check("f", name).is_ok(), subdomain, "{name}");
            assert_eq!(Label.check("f", name).is_ok(), label, "{name}");
        }
        for (length, grafana, label) in [(63, true, true), (64, true, false), (254, false, false)] {
            let name = "a".repeat(length);
            assert_eq!(Grafana.check("f", &name).is_ok(), grafana, "{length}");
            assert_eq!(Label.check("f", &name).is_ok(), label, "{length}");
        }
    }
}
