//! Questions and answers: a query, its limits, and the hits it brings.
//!
//! A query is a value, not a language: what a person typed goes into `text` and is only ever cut
//! into words. The caller builds the filters.

use crate::document::{DocumentKey, SHORT_BYTES_MAX, Value};
use crate::error::{Error, Result};

/// Most bytes of the text.
pub const TEXT_BYTES_MAX: usize = 8 << 10;
/// Most words of the text.
pub const WORDS_MAX: usize = 64;
/// Most hits of one page.
pub const LIMIT_MAX: usize = 10_000;
/// The last place a page may reach: `offset + limit` is at most this.
pub const WINDOW_MAX: usize = 10_000;
/// Most values of each filter that takes a list, names excepted.
pub const FILTERS_MAX: usize = 64;
/// Most names a query may ask for.
pub const NAMES_MAX: usize = 1_024;
/// Most sort keys.
pub const SORTS_MAX: usize = 8;
/// Most facets.
pub const FACETS_MAX: usize = 16;
/// Most terms returned for a facet.
pub const FACET_TERMS_MAX: usize = 1_000;

/// What to look for. All filters must hold; within `types` and `names` one must.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Words; all must be found, the last one also as the beginning of a word. If no document has
    /// all of them, those with some are returned. Empty or `*` finds everything.
    pub text: String,
    /// Only in this namespace; `None` for all, empty for resources without one.
    pub namespace: Option<String>,
    /// Only of one of these groups and resources; all if empty.
    pub types: Vec<(String, String)>,
    /// Only directly in this folder; empty for the root.
    pub folder: Option<String>,
    /// Only with all of these tags.
    pub tags: Vec<String>,
    /// Only with all of these labels, key and value.
    pub labels: Vec<(String, String)>,
    /// Only with one of these names; all if empty.
    pub names: Vec<String>,
    /// Only with all of these values in own fields that are filterable, name and value.
    pub fields: Vec<(String, String)>,
    /// The order; if empty, by score for a text and by title without one.
    pub sort: Vec<Sort>,
    /// How many hits to return; 0 only counts.
    pub limit: usize,
    /// How many hits to leave out before.
    pub offset: usize,
    /// What to count among all matching documents.
    pub facets: Vec<Facet>,
}

impl Default for Query {
    fn default() -> Query {
        Query {
            text: String::new(),
            namespace: None,
            types: Vec::new(),
            folder: None,
            tags: Vec::new(),
            labels: Vec::new(),
            names: Vec::new(),
            fields: Vec::new(),
            sort: Vec::new(),
            limit: 50,
            offset: 0,
            facets: Vec::new(),
        }
    }
}

/// A sort key with its direction. Documents without a value come last either way; what is equal
/// is ordered by resource, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// What to sort by.
    pub by: SortBy,
    /// Largest first.
    pub descending: bool,
}

/// What results can be sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortBy {
    /// How well the text fits; best first when descending.
    Score,
    /// The title, without case and accents.
    Title,
    /// The name.
    Name,
    /// The namespace.
    Namespace,
    /// The folder.
    Folder,
    /// The kind.
    Kind,
    /// When it was created.
    Created,
    /// When it was last changed.
    Updated,
    /// The version.
    Version,
    /// The first value of an own field that is sortable.
    Own(String),
}

/// A count of values among all matching documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facet {
    /// What to count.
    pub by: FacetBy,
    /// How many terms to return, the most frequent first.
    pub limit: usize,
}

/// What can be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FacetBy {
    /// Tags.
    Tag,
    /// Folders; the empty term is the root.
    Folder,
    /// Kinds.
    Kind,
    /// Namespaces.
    Namespace,
    /// Types, as `group/resource`.
    Type,
    /// The values of a label.
    Label(String),
    /// The values of an own field that is filterable.
    Own(String),
}

/// The answer to a query, computed from what the scope leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Hits {
    /// The version of the store this answer is true at.
    pub version: u64,
    /// How many documents match.
    pub total: u64,
    /// True if no document had all the words, and these have some.
    pub relaxed: bool,
    /// The best score among all matching documents; 0 without a text.
    pub max_score: f32,
    /// The page that was asked for.
    pub hits: Vec<Hit>,
    /// One answer per facet, in the order of the query.
    pub facets: Vec<FacetCount>,
}

/// One found document.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Its name.
    pub key: DocumentKey,
    /// The version that was indexed.
    pub version: u64,
    /// Its title.
    pub title: String,
    /// Its description.
    pub description: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Its folder; empty for the root.
    pub folder: String,
    /// Its kind.
    pub kind: String,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, in milliseconds since 1970.
    pub updated_ms: i64,
    /// Who created it.
    pub created_by: String,
    /// Who last changed it.
    pub updated_by: String,
    /// How well the text fits; 0 without a text. Comparable within one answer only.
    pub score: f32,
    /// The own fields with their values.
    pub fields: Vec<(String, Vec<Value>)>,
}

/// The counts of one facet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetCount {
    /// What was counted.
    pub by: FacetBy,
    /// How many values the matching documents have in all.
    pub total: u64,
    /// How many matching documents have none.
    pub missing: u64,
    /// The most frequent values with their counts; equal counts in order of the value.
    pub terms: Vec<(String, u64)>,
}

impl Query {
    /// Says which field breaks a limit, if one does.
    pub(crate) fn check(&self) -> Result<()> {
        at_most("text", self.text.len(), TEXT_BYTES_MAX, "bytes")?;
        at_most("limit", self.limit, LIMIT_MAX, "hits")?;
        let window = self.limit.saturating_add(self.offset);
        at_most("offset", window, WINDOW_MAX, "hits with the limit added")?;
        let lists = [
            ("types", self.types.len(), FILTERS_MAX),
            ("tags", self.tags.len(), FILTERS_MAX),
            ("labels", self.labels.len(), FILTERS_MAX),
            ("fields", self.fields.len(), FILTERS_MAX),
            ("names", self.names.len(), NAMES_MAX),
            ("sort", self.sort.len(), SORTS_MAX),
            ("facets", self.facets.len(), FACETS_MAX),
        ];
        for (field, found, limit) in lists {
            at_most(field, found, limit, "entries")?;
        }
        for facet in &self.facets {
            at_most("facets", facet.limit, FACET_TERMS_MAX, "terms")?;
        }
        self.check_values()
    }

    fn check_values(&self) -> Result<()> {
        let texts = self
            .namespace
            .iter()
            .map(|text| ("namespace", text))
            .chain(self.folder.iter().map(|text| ("folder", text)))
            .chain(self.tags.iter().map(|text| ("tags", text)))
            .chain(self.names.iter().map(|text| ("names", text)));
        for (field, text) in texts {
            at_most(field, text.len(), SHORT_BYTES_MAX, "bytes")?;
        }
        let pairs = self
            .types
            .iter()
            .map(|pair| ("types", pair))
            .chain(self.labels.iter().map(|pair| ("labels", pair)))
            .chain(self.fields.iter().map(|pair| ("fields", pair)));
        for (field, (left, right)) in pairs {
            at_most(
                field,
                left.len() + right.len(),
                TEXT_BYTES_MAX,
                "bytes in one entry",
            )?;
        }
        let own_sorts = self.sort.iter().filter_map(|sort| match &sort.by {
            SortBy::Own(name) => Some(("sort", name)),
            _ => None,
        });
        let own_facets = self.facets.iter().filter_map(|facet| match &facet.by {
            FacetBy::Label(name) | FacetBy::Own(name) => Some(("facets", name)),
            _ => None,
        });
        for (field, name) in own_sorts.chain(own_facets) {
            at_most(field, name.len(), SHORT_BYTES_MAX, "bytes in a name")?;
        }
        Ok(())
    }
}

pub(crate) fn at_most(field: &str, found: usize, limit: usize, unit: &str) -> Result<()> {
    if found > limit {
        return Err(Error::bad_query(
            field,
            format!("{found} {unit}, at most {limit}"),
        ));
    }
    Ok(())
}
