//! Typed handles: the objects of one kind as values of one Rust type.
//!
//! A type says by [`Resource`] where its objects stand. [`Store::kind`] gives a handle on them,
//! [`Objects`]; what is read is an [`Object`], the type's value beside its [`ObjectMeta`];
//! [`ObjectsAt`] is the same at one version, and [`ObjectWatch`] what happens after one. All of it
//! goes down the roads of the untyped [`Store`]: both may be used on the same objects.
//!
//! | file | holds |
//! | --- | --- |
//! | `handle` | [`Objects`]: create, update, delete, and the ways to the rest |
//! | `past` | [`ObjectsAt`]: get, list, history, trash at one version |
//! | `watch` | [`ObjectWatch`] |
//! | `object` | [`Object`], and how it becomes JSON and is read from it |
//! | `meta` | [`ObjectMeta`] |
//! | `rest` | the object without what annals reads of it itself, as serde sees it |
//! | `merge` | what of an object its type does not know, kept when it is written again |
//!
//! Absent on purpose: a cache, references between objects, a macro.

mod handle;
mod merge;
mod meta;
mod object;
mod past;
mod rest;
mod watch;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::model::{Collection, Key, Kind};

pub use handle::Objects;
pub use meta::ObjectMeta;
pub use object::Object;
pub use past::ObjectsAt;
pub use watch::ObjectWatch;

#[cfg(doc)]
use crate::Store;

/// A Rust type whose values are the objects of one kind.
///
/// The type is all of the object but `apiVersion`, `kind` and `metadata`: those stand beside it in
/// an [`Object`], and it never sees them. It must become a JSON object, so it is a struct or a map.
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Playlist {
///     spec: Spec,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Spec {
///     title: String,
///     interval: String,
/// }
///
/// impl annals::Resource for Playlist {
///     const GROUP: &str = "playlist.grafana.app";
///     const VERSION: &str = "v1";
///     const KIND: &str = "Playlist";
///     const RESOURCE: &str = "playlists";
/// }
/// ```
pub trait Resource: Serialize + DeserializeOwned {
    /// The API group; empty for the core group.
    const GROUP: &'static str;
    /// The version of the API that the type is written for: `v1`. An object that says another is
    /// not of this type.
    const VERSION: &'static str;
    /// The kind's name: `Playlist`.
    const KIND: &'static str;
    /// The resource, the plural in lower case: `playlists`.
    const RESOURCE: &'static str;
    /// Whether the objects stand in namespaces, rather than in the cluster scope.
    const NAMESPACED: bool = true;
}

impl Kind {
    /// The kind of a type, to be indexed for search, without fields of its own: see
    /// [`Options::kinds`](crate::Options::kinds).
    #[must_use]
    pub fn of<T: Resource>() -> Self {
        Kind {
            group: T::GROUP.to_owned(),
            version: T::VERSION.to_owned(),
            kind: T::KIND.to_owned(),
            resource: T::RESOURCE.to_owned(),
            search_fields: Vec::new(),
        }
    }
}

/// Where a handle looks: all namespaces, one, or the cluster scope, which is the empty one.
#[derive(Clone, Debug)]
struct Extent {
    namespace: Option<String>,
}

impl Extent {
    /// The widest of a type.
    fn of<T: Resource>() -> Self {
        let namespace = (!T::NAMESPACED).then(String::new);
        Extent { namespace }
    }

    fn collection<T: Resource>(&self) -> Result<Collection, Error> {
        match &self.namespace {
            Some(namespace) => Collection::within(T::GROUP, T::RESOURCE, namespace),
            None => Collection::of(T::GROUP, T::RESOURCE),
        }
    }

    fn key<T: Resource>(&self, name: &str) -> Result<Key, Error> {
        let Some(namespace) = &self.namespace else {
            let problem = "must be said: the handle is over all of them, `within` picks one";
            return Err(Error::invalid("namespace", problem.to_owned()));
        };
        Key::new(T::GROUP, T::RESOURCE, namespace, name)
    }

    /// The namespace of an object that says this one: its own, or the only one there is.
    fn settle(&self, said: &str) -> Result<String, Error> {
        match &self.namespace {
            Some(namespace) if said.is_empty() || said == namespace => Ok(namespace.clone()),
            Some(namespace) => {
                let problem = format!("is {said:?}, the handle is within {namespace:?}");
                Err(Error::invalid("metadata.namespace", problem))
            }
            None if said.is_empty() => {
                let problem = "must be said: the handle is over all of them";
                Err(Error::invalid("metadata.namespace", problem.to_owned()))
            }
            None => Ok(said.to_owned()),
        }
    }
}
