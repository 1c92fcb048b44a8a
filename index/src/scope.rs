//! What the caller may see, as the index needs it.
//!
//! A scope is part of every search and is evaluated inside it, so that totals, facets, sort order,
//! pages and the decision to relax a query are those of the visible documents alone.

use std::collections::BTreeSet;

use crate::error::{Error, Result};

/// Most grants of a scope.
pub const GRANTS_MAX: usize = 4_096;

/// Which documents a search may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every document.
    All,
    /// Not one.
    None,
    /// Those that at least one grant covers.
    Only(Vec<Grant>),
}

/// One permission. A document is covered if its type, its namespace and its place all fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The group and resource it holds for; `None` for all.
    pub kind: Option<(String, String)>,
    /// The namespace it holds in; `None` for all, empty for resources without a namespace.
    pub namespace: Option<String>,
    /// Which of those documents.
    pub reach: Reach,
}

/// Which documents of a type and a namespace a grant covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    All,
    /// Those that stand in one of these folders; the empty name is the root.
    Folders(BTreeSet<String>),
    /// Those with one of these names.
    Names(BTreeSet<String>),
}

impl Scope {
    /// The documents in some folders, and some by name, whatever their type and namespace.
    pub fn only(folders: BTreeSet<String>, names: BTreeSet<String>) -> Scope {
        let grant = |reach| Grant {
            kind: None,
            namespace: None,
            reach,
        };
        Scope::Only(vec![
            grant(Reach::Folders(folders)),
            grant(Reach::Names(names)),
        ])
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Scope::Only(grants) if grants.len() > GRANTS_MAX => {
                let found = grants.len();
                Err(Error::bad_query(
                    "scope",
                    format!("{found} grants, at most {GRANTS_MAX}"),
                ))
            }
            Scope::Only(_) | Scope::All | Scope::None => Ok(()),
        }
    }
}
