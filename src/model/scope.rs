//! What of the store a caller sees: part of every filter, so that pages, counts and events are
//! those of the visible objects alone.
//!
//! A scope is a value. `access` compiles it from rules and folders, once for many requests; it is
//! cheap to clone, and says of a header whether its object is covered. [`Filter`](super::Filter)
//! holds one, `search` translates it for the index. The default covers everything, as an embedder
//! without access rules expects.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::{Header, Key};

/// A set of names, shared by the scopes that hold it.
pub type Names = Arc<HashSet<String>>;

/// What a caller sees. Cheap to clone.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    #[default]
    All,
    /// What at least one of these covers; nothing, if there are none.
    Only(Arc<[Grant]>),
}

/// One permission. It covers an object if kind, namespace and place all fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The group and the resource it holds for; `None` for all.
    pub kind: Option<(String, String)>,
    /// The namespace it holds in, empty for objects without one; `None` for all.
    pub namespace: Option<String>,
    /// Which of those objects.
    pub reach: Reach,
}

/// Which objects of a kind and a namespace a grant covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    All,
    /// Those that stand in one of these folders.
    Folders(Names),
    /// Those with one of these names, wherever they stand.
    Names(Names),
}

impl Scope {
    /// Nothing at all.
    #[must_use]
    pub fn none() -> Self {
        Scope::Only(Arc::from([]))
    }

    /// Whether everything is covered.
    #[must_use]
    pub fn is_all(&self) -> bool {
        matches!(self, Scope::All)
    }

    /// Whether the two are one scope, compiled once.
    #[must_use]
    pub fn is_same(&self, other: &Scope) -> bool {
        match (self, other) {
            (Scope::All, Scope::All) => true,
            (Scope::Only(one), Scope::Only(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }

    /// Whether an object with this header is covered.
    #[must_use]
    pub fn covers(&self, header: &Header) -> bool {
        self.covers_place(&header.key, &header.folder)
    }

    /// Whether an object with this key would be covered in this folder; the empty one is the root.
    #[must_use]
    pub fn covers_place(&self, key: &Key, folder: &str) -> bool {
        if self.is_all() {
            return true;
        }
        let (group, resource, namespace) = (key.group(), key.resource(), key.namespace());
        // Most grants are for elsewhere, and to see that takes less than to look up a name.
        self.any(|grant| {
            grant.fits(group, resource, Some(namespace))
                && match &grant.reach {
                    Reach::All => true,
                    Reach::Folders(folders) => folders.contains(folder),
                    Reach::Names(names) => names.contains(key.name()),
                }
        })
    }

    /// Whether an older revision of an object is covered, when this is its newest one, which is.
    #[must_use]
    pub(crate) fn covers_past(&self, older: &Header, newest: &Header) -> bool {
        let is_one_life = older.uid == newest.uid || self.covers_always(&newest.key);
        is_one_life && self.covers(older)
    }

    /// Whether an object with this key is covered wherever it stands and stood. Of all others a
    /// caller sees the life that goes on, or went on last: the name may have been another object
    /// before, in a folder that the caller never saw.
    #[must_use]
    pub fn covers_always(&self, key: &Key) -> bool {
        self.any(|grant| {
            let reached = match &grant.reach {
                Reach::All => true,
                Reach::Folders(_) => false,
                Reach::Names(names) => names.contains(key.name()),
            };
            reached && grant.fits(key.group(), key.resource(), Some(key.namespace()))
        })
    }

    /// Whether anything of a resource may be covered, in this namespace or in any: an answer of
    /// `false` tells no more than that nothing of the kind is ever shown there.
    #[must_use]
    pub fn reaches(&self, group: &str, resource: &str, namespace: Option<&str>) -> bool {
        self.any(|grant| grant.fits(group, resource, namespace))
    }

    /// Whether anything in this namespace may be covered, of whatever kind.
    #[must_use]
    pub fn enters(&self, namespace: &str) -> bool {
        let is_here = |own: &String| own == namespace;
        self.any(|grant| grant.namespace.as_ref().is_none_or(is_here))
    }

    /// Whether it takes a look at where an object stands to say what is covered.
    #[must_use]
    pub fn is_by_folder(&self) -> bool {
        match self {
            Scope::All => false,
            Scope::Only(grants) => grants
                .iter()
                .any(|grant| matches!(grant.reach, Reach::Folders(_))),
        }
    }

    fn any(&self, is_fit: impl Fn(&Grant) -> bool) -> bool {
        match self {
            Scope::All => true,
            Scope::Only(grants) => grants.iter().any(is_fit),
        }
    }
}

impl Grant {
    fn fits(&self, group: &str, resource: &str, namespace: Option<&str>) -> bool {
        let own = |(own_group, own_resource): &(String, String)| {
            own_group == group && own_resource == resource
        };
        let is_here = match (&self.namespace, namespace) {
            (Some(own), Some(namespace)) => own == namespace,
            (None, _) | (_, None) => true,
        };
        is_here && self.kind.as_ref().is_none_or(own)
    }
}

impl fmt::Debug for Scope {
    /// Two scopes that live at the same time have the same text only if they are the same one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::All => f.write_str("All"),
            Scope::Only(grants) => {
                write!(f, "Only({} at {:p})", grants.len(), Arc::as_ptr(grants))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Catches a grant that covers another kind, namespace or folder than its own.
    use super::*;

    fn names(all: &[&str]) -> Names {
        Arc::new(all.iter().map(|name| (*name).to_owned()).collect())
    }

    fn scope(kind: Option<&str>, namespace: Option<&str>, reach: Reach) -> Scope {
        let kind = kind.map(|resource| ("g".to_owned(), resource.to_owned()));
        let namespace = namespace.map(str::to_owned);
        Scope::Only(Arc::from([Grant {
            kind,
            namespace,
            reach,
        }]))
    }

    #[test]
    fn kind_namespace_and_place_must_all_fit() {
        let key = |resource, namespace, name| Key::new("g", resource, namespace, name).unwrap();
        let reaches = [
            (Reach::All, [true, true, true]),
            (Reach::Folders(names(&["f"])), [true, false, true]),
            (Reach::Names(names(&["x"])), [true, true, false]),
        ];
        for (reach, expected) in reaches {
            for (kind, namespace) in [
                (None, None),
                (Some("r"), Some("a")),
                (Some("r"), None),
                (None, Some("a")),
                (Some("s"), None),
                (None, Some("b")),
            ] {
                let fits = kind != Some("s") && namespace != Some("b");
                let scope = scope(kind, namespace, reach.clone());
                let places = [("x", "f"), ("x", ""), ("y", "f")];
                for ((name, folder), expected) in places.into_iter().zip(expected) {
                    let found = scope.covers_place(&key("r", "a", name), folder);
                    assert_eq!(found, fits && expected, "{kind:?} {namespace:?} {name}");
                }
                assert_eq!(scope.reaches("g", "r", Some("a")), fits);
                assert_eq!(scope.reaches("g", "r", None), kind != Some("s"));
            }
        }
        assert!(!Scope::none().covers_place(&key("r", "a", "x"), "f"));
        assert!(Scope::All.covers_place(&key("r", "a", "x"), ""));
    }

    #[test]
    fn scopes_that_differ_have_texts_that_differ() {
        let (one, two) = (
            scope(None, Some("a"), Reach::All),
            scope(None, Some("b"), Reach::All),
        );
        assert_ne!(format!("{one:?}"), format!("{two:?}"));
        assert_eq!(format!("{one:?}"), format!("{:?}", one.clone()));
    }
}
