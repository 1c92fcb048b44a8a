//! The full-text index of annals: derived from the log, filtered by permissions, rebuildable.
//!
//! It is a set of tantivy indexes behind plain types: documents and changes go in with their
//! versions, hits come out with the version they are true at. It knows nothing of the store, of
//! HTTP, or of who is asking; the caller translates, and hands in a [`Scope`].
//!
//! It is not a store: every byte of it can be made again from the log, and whenever it is missing,
//! foreign, damaged or ahead, that is what it asks for.
//!
//! ```
//! use annals_index::{Document, DocumentKey, Epoch, Index, IndexOptions, Opening, Query, Scope};
//!
//! # fn document(name: &str, title: &str) -> Document {
//! #     Document {
//! #         key: DocumentKey {
//! #             group: "dashboard.grafana.app".into(),
//! #             resource: "dashboards".into(),
//! #             namespace: "default".into(),
//! #             name: name.into(),
//! #         },
//! #         version: 1,
//! #         title: title.into(),
//! #         description: String::new(),
//! #         tags: vec![],
//! #         labels: vec![],
//! #         folder: String::new(),
//! #         kind: "Dashboard".into(),
//! #         created_ms: 0,
//! #         updated_ms: 0,
//! #         created_by: String::new(),
//! #         updated_by: String::new(),
//! #         fields: vec![],
//! #     }
//! # }
//! # fn main() -> annals_index::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let dir = dir.path();
//! let (index, opening) = Index::open(dir, Epoch([7; 16]), 1, IndexOptions::default())?;
//! assert!(matches!(opening, Opening::Rebuild { .. }));
//! let mut rebuild = index.begin_rebuild()?;
//! rebuild.add(document("dns", "Kubernetes / CoreDNS"))?;
//! rebuild.finish(1)?;
//!
//! let query = Query { text: "dns".into(), ..Query::default() };
//! let hits = index.search(&query, &Scope::All)?;
//! assert_eq!((hits.total, hits.version), (1, 1));
//! assert_eq!(index.search(&query, &Scope::None)?.total, 0);
//! # Ok(())
//! # }
//! ```
//!
//! The map: `document`, `query`, `scope`, `options`, `error` are the vocabulary; `index` is the
//! front; `generation` and `shard` hold tantivy, with `manifest` saying what survives a crash;
//! `words` and `schema` lay documents out; `plan`, `gate`, `collect`, `rank`, `tally` and `search`
//! answer; `disk`, `directory` and `seal` are the border to the file system, `guard` to panics.

mod collect;
mod directory;
#[doc(hidden)]
pub mod disk;
mod document;
mod error;
mod gate;
mod generation;
mod guard;
mod index;
mod manifest;
mod options;
mod plan;
mod query;
mod rank;
mod schema;
mod scope;
mod seal;
mod search;
mod shard;
mod stored;
mod tally;
mod words;

pub use document::{
    Change, DESCRIPTION_BYTES_MAX, DOCUMENT_BYTES_MAX, Document, DocumentKey, FIELDS_MAX,
    FieldKind, FieldSpec, FieldValue, KEY_BYTES_MAX, KEYWORD_BYTES_MAX, LABELS_MAX,
    SHORT_BYTES_MAX, TAGS_MAX, TITLE_BYTES_MAX, VALUES_MAX, Value,
};
pub use error::{Error, Result};
pub use index::{Index, Opening, Rebuild, SET_ASIDE_LISTED_MAX, SetAside, State, Status};
pub use manifest::Epoch;
pub use options::IndexOptions;
pub use query::{
    FACET_TERMS_MAX, FACETS_MAX, FILTERS_MAX, Facet, FacetBy, FacetCount, Hit, Hits, LIMIT_MAX,
    NAMES_MAX, Query, SORTS_MAX, Sort, SortBy, TEXT_BYTES_MAX, WINDOW_MAX, WORDS_MAX,
};
pub use scope::{GRANTS_MAX, Grant, Reach, Scope};
