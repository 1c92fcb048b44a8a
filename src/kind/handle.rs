//! The handle on the objects of one kind.

use std::marker::PhantomData;

use super::object::whole_second;
use super::{Extent, Object, ObjectMeta, ObjectWatch, ObjectsAt, Resource};
use crate::model::{Collection, Filter, Key, Principal, Version};
use crate::{Error, Page, Store, Write};

/// The objects of one kind as values of a type: over all namespaces, or in one. Cheap to make and
/// to clone.
///
/// ```
/// use annals::{Filter, Object, Options, Resource, Store};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Playlist {
///     interval: String,
/// }
///
/// impl Resource for Playlist {
///     const GROUP: &str = "playlist.example.com";
///     const VERSION: &str = "v1";
///     const KIND: &str = "Playlist";
///     const RESOURCE: &str = "playlists";
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let store = Store::open(directory.path(), Options::new())?;
/// let playlists = store.kind::<Playlist>().within("default")?;
///
/// let interval = "5m".to_owned();
/// let mut morning = playlists.create(&Object::new("morning", Playlist { interval }))?;
/// morning.value.interval = "9m".to_owned();
/// let newer = playlists.update(&morning)?;
/// assert!(playlists.update(&morning).is_err(), "it was changed since it was read");
///
/// for playlist in playlists.now()?.all(Filter::default())? {
///     let playlist = playlist?;
///     println!("{} every {}", playlist.name(), playlist.value.interval);
/// }
/// let then = playlists.at(morning.version())?.get("morning")?;
/// assert_eq!(then.map(|then| then.value.interval).as_deref(), Some("5m"));
/// playlists.delete(newer.name())?;
/// # Ok(())
/// # }
/// ```
///
/// What a call asks for by name is in the handle's namespace. A handle over all namespaces lists,
/// watches, creates and updates; asked for a name, it answers [`Error::Invalid`].
pub struct Objects<T> {
    store: Store,
    extent: Extent,
    author: Principal,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Objects<T> {
    fn clone(&self) -> Self {
        Objects {
            store: self.store.clone(),
            extent: self.extent.clone(),
            author: self.author.clone(),
            of: PhantomData,
        }
    }
}

impl<T> std::fmt::Debug for Objects<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = std::any::type_name::<T>();
        write!(f, "Objects<{name}>({:?})", self.extent.namespace)
    }
}

impl Store {
    /// A handle on the objects of a type: over all namespaces, or in the cluster scope for a type
    /// that is not [namespaced](Resource::NAMESPACED).
    #[must_use]
    pub fn kind<T: Resource>(&self) -> Objects<T> {
        Objects {
            store: self.clone(),
            extent: Extent::of::<T>(),
            author: Principal::default(),
            of: PhantomData,
        }
    }
}

impl<T: Resource> Objects<T> {
    /// The same in one namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a text that is no namespace, or a type that has none.
    pub fn within(&self, namespace: &str) -> Result<Self, Error> {
        if namespace.is_empty() == T::NAMESPACED {
            let problem = if T::NAMESPACED {
                "must not be empty: the objects of this type stand in namespaces"
            } else {
                "must be empty: the objects of this type stand in the cluster scope"
            };
            return Err(Error::invalid("namespace", problem.to_owned()));
        }
        let mut narrow = self.clone();
        narrow.extent.namespace = Some(namespace.to_owned());
        narrow.collection()?;
        Ok(narrow)
    }

    /// The same, with this author of what it writes.
    #[must_use]
    pub fn author(mut self, author: Principal) -> Self {
        self.author = author;
        self
    }

    /// The collection it looks at.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when the names that the type says break a rule.
    pub fn collection(&self) -> Result<Collection, Error> {
        self.extent.collection::<T>()
    }

    /// Creates an object. The answer is the object as it is stored, at its version, and durable.
    ///
    /// It is a new life: uid and time of creation are made here, version, generation and time of
    /// deletion are left out, whatever the metadata says. An empty namespace is the handle's.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`] when the name is taken; [`Error::Invalid`] as [`Object::body`],
    /// for a name that breaks a rule and for another namespace than the handle's; otherwise as
    /// [`Store::write`].
    pub fn create(&self, object: &Object<T>) -> Result<Object<T>, Error> {
        let metadata = ObjectMeta {
            namespace: self.extent.settle(&object.metadata.namespace)?,
            uid: uuid::Uuid::new_v4().to_string(),
            resource_version: Version::ZERO,
            generation: None,
            creation_timestamp: Some(whole_second(self.store.now())),
            deletion_timestamp: None,
            ..object.metadata.clone()
        };
        self.write(object, &metadata, Write::create)
    }

    /// Replaces an object that was read, if it is still at the version that was read. The answer is
    /// the object as it is stored now. What becomes of fields that the type does not know is said
    /// at [`Object`].
    ///
    /// To go back to an old state, read that and give it the version of now.
    ///
    /// # Errors
    ///
    /// [`Error::VersionConflict`] when it was written or deleted since: get it again, change that,
    /// update again. [`Error::Invalid`] for an object that was never read, and as
    /// [`Objects::create`]; otherwise as [`Store::write`].
    pub fn update(&self, object: &Object<T>) -> Result<Object<T>, Error> {
        let version = object.version();
        if version == Version::ZERO {
            let problem = "must be the version that was read".to_owned();
            return Err(Error::invalid("metadata.resourceVersion", problem));
        }
        let metadata = ObjectMeta {
            namespace: self.extent.settle(&object.metadata.namespace)?,
            ..object.metadata.clone()
        };
        self.write(object, &metadata, |key, body| {
            Write::update(key, body).if_version(version)
        })
    }

    /// Deletes an object, whatever its version, and answers the version of the deletion. Its
    /// history stays. With a condition: [`Write::delete`] on [`Object::key`].
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when it is not live; [`Error::Invalid`] without a namespace; otherwise
    /// as [`Store::write`].
    pub fn delete(&self, name: &str) -> Result<Version, Error> {
        let write = Write::delete(self.extent.key::<T>(name)?);
        let marker = self.store.write(write.author(self.author.clone()))?;
        Ok(marker.version())
    }

    fn write(
        &self,
        object: &Object<T>,
        metadata: &ObjectMeta,
        write: impl FnOnce(Key, Vec<u8>) -> Write,
    ) -> Result<Object<T>, Error> {
        let (namespace, name) = (&metadata.namespace, &metadata.name);
        let key = Key::new(T::GROUP, T::RESOURCE, namespace, name)?;
        let draft = object.draft(metadata)?;
        let write = write(key, draft.body).author(self.author.clone());
        let revision = self.store.write(write)?;
        Ok(Object::with(revision, draft.metadata, draft.value))
    }

    /// The objects as they are now: one state, however long it is read.
    ///
    /// # Errors
    ///
    /// As [`Store::snapshot`].
    pub fn now(&self) -> Result<ObjectsAt<T>, Error> {
        Ok(ObjectsAt::new(self.store.snapshot()?, self.extent.clone()))
    }

    /// The objects as they were at this version.
    ///
    /// # Errors
    ///
    /// As [`Store::snapshot_at`].
    pub fn at(&self, version: Version) -> Result<ObjectsAt<T>, Error> {
        let snapshot = self.store.snapshot_at(version)?;
        Ok(ObjectsAt::new(snapshot, self.extent.clone()))
    }

    /// An object, if it is live: [`ObjectsAt::get`] of [`Objects::now`].
    ///
    /// # Errors
    ///
    /// As [`ObjectsAt::get`].
    pub fn get(&self, name: &str) -> Result<Option<Object<T>>, Error> {
        self.now()?.get(name)
    }

    /// A page of the live objects: [`ObjectsAt::list`] of [`Objects::now`]. To read on at the same
    /// version, keep the [`ObjectsAt`], or let [`ObjectsAt::all`] turn the pages.
    ///
    /// # Errors
    ///
    /// As [`ObjectsAt::list`].
    pub fn list(&self, filter: Filter, limit: usize) -> Result<Page<Key, Object<T>>, Error> {
        self.now()?.list(filter, limit, None)
    }

    /// The newest revisions of an object: [`ObjectsAt::history`] of [`Objects::now`].
    ///
    /// # Errors
    ///
    /// As [`ObjectsAt::history`].
    pub fn history(&self, name: &str, limit: usize) -> Result<Page<Version, Object<T>>, Error> {
        self.now()?.history(name, limit, None)
    }

    /// Every change after this version that the filter lets through. To begin with the state of
    /// now, read [`Objects::now`] and watch from its version.
    ///
    /// # Errors
    ///
    /// As [`Store::watch`].
    pub fn watch(&self, filter: Filter, after: Version) -> Result<ObjectWatch<T>, Error> {
        let watch = self.store.watch(self.collection()?, filter, after)?;
        Ok(ObjectWatch::new(watch))
    }
}
