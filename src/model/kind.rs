//! What a kind is: its names, and what of it is searched.

use super::Path;

/// How the values of a search field are indexed and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Words, found in free text.
    Text,
    /// One exact term.
    Keyword,
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// An RFC 3339 date or date-time.
    Date,
}

/// A field of a kind's own that is indexed beside the standard ones.
#[derive(Clone, Debug)]
pub struct SearchField {
    /// The name by which queries and answers know it.
    pub name: String,
    /// Where its values stand in the object; all that match are indexed.
    pub paths: Vec<Path>,
    /// How the values are indexed.
    pub kind: FieldKind,
    /// How much a match counts beside one in the description, which counts 1.
    pub weight: f32,
    /// Whether a query may filter by it.
    pub filterable: bool,
    /// Whether a query may sort by it.
    pub sortable: bool,
}

impl SearchField {
    /// A field with the values at one path, in which a match counts 1, and by which no query
    /// filters or sorts.
    #[must_use]
    pub fn new(name: impl Into<String>, path: Path, kind: FieldKind) -> Self {
        SearchField {
            name: name.into(),
            paths: vec![path],
            kind,
            weight: 1.0,
            filterable: false,
            sortable: false,
        }
    }
}

/// A kind of objects that the store indexes: an embedder writes it in Rust, the server reads it
/// from a manifest.
///
/// The title (`spec.title`, else `spec.name`, else `title`, else the name), the description
/// (`spec.description`), the tags (`spec.tags`) and the metadata of every kind are indexed
/// without being declared.
#[derive(Clone, Debug)]
pub struct Kind {
    /// The API group.
    pub group: String,
    /// The API version in which objects are stored.
    pub version: String,
    /// The kind's name: `Playlist`.
    pub kind: String,
    /// The resource: `playlists`.
    pub resource: String,
    /// The kind's own search fields.
    pub search_fields: Vec<SearchField>,
}
