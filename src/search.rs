//! The vocabulary of searching: questions, answers, and what a caller may see.
//!
//! These are the types of the index crate, which knows nothing of this one: its keys and versions
//! are plain texts and numbers.

pub use annals_index::{
    DocumentKey, FACET_TERMS_MAX, FACETS_MAX, FILTERS_MAX, Facet, FacetBy, FacetCount, FieldValue,
    Grant, Hit, Hits, LIMIT_MAX, NAMES_MAX, Query, Reach, SORTS_MAX, Scope, SetAside, Sort, SortBy,
    State, Status, TEXT_BYTES_MAX, Value, WINDOW_MAX, WORDS_MAX,
};

impl From<&crate::Scope> for Scope {
    /// The scope of lists and watches, as the index takes it. It copies the names of folders:
    /// callers who ask often keep the answer.
    fn from(scope: &crate::Scope) -> Self {
        let crate::Scope::Only(grants) = scope else {
            return Scope::All;
        };
        let names = |names: &crate::Names| names.iter().cloned().collect();
        let grants = grants.iter().map(|grant| Grant {
            kind: grant.kind.clone(),
            namespace: grant.namespace.clone(),
            reach: match &grant.reach {
                crate::Reach::All => Reach::All,
                crate::Reach::Folders(folders) => Reach::Folders(names(folders)),
                crate::Reach::Names(all) => Reach::Names(names(all)),
            },
        });
        Scope::Only(grants.collect())
    }
}

/// How the search index of a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexReport {
    /// What the index says of itself; `None` while it is not open.
    pub status: Option<Status>,
    /// Why it is not open, or why the last try to build or follow failed.
    pub problem: Option<String>,
}

impl IndexReport {
    /// Whether searches are answered.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.version.is_some())
    }

    /// Whether answers reflect this version.
    #[must_use]
    pub fn reflects(&self, version: crate::Version) -> bool {
        let reached = self.status.as_ref().and_then(|status| status.version);
        reached.is_some_and(|reached| reached >= version.get())
    }

    /// Why searches are not answered, or an earlier problem.
    #[must_use]
    pub fn reason(&self) -> String {
        let failed = self.status.as_ref().and_then(|status| match &status.state {
            State::Failed { reason } => Some(reason.clone()),
            State::Building => Some("it is being built".to_owned()),
            State::Ready => None,
        });
        failed
            .or_else(|| self.problem.clone())
            .unwrap_or_else(|| "it is ready".to_owned())
    }
}
