//! The objects of one kind at one version.

use std::marker::PhantomData;

use super::{Extent, Object, Resource};
use crate::model::{Filter, Key, Version};
use crate::{Error, List, Page, Snapshot};

/// How many objects one turn of [`ObjectsAt::all`] reads.
const TURN: usize = 256;

/// The objects of one kind at one version: a typed [`Snapshot`], which says what keeping it costs.
pub struct ObjectsAt<T> {
    snapshot: Snapshot,
    extent: Extent,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for ObjectsAt<T> {
    fn clone(&self) -> Self {
        ObjectsAt {
            snapshot: self.snapshot.clone(),
            extent: self.extent.clone(),
            of: PhantomData,
        }
    }
}

impl<T> std::fmt::Debug for ObjectsAt<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, version) = (std::any::type_name::<T>(), self.snapshot.version());
        write!(
            f,
            "ObjectsAt<{name}>({:?} at {version})",
            self.extent.namespace
        )
    }
}

impl<T: Resource> ObjectsAt<T> {
    pub(super) fn new(snapshot: Snapshot, extent: Extent) -> Self {
        ObjectsAt {
            snapshot,
            extent,
            of: PhantomData,
        }
    }

    /// The version of this state: where a watch goes on.
    #[must_use]
    pub fn version(&self) -> Version {
        self.snapshot.version()
    }

    /// An object, if it is live in this state.
    ///
    /// # Errors
    ///
    /// [`Error::NotOfType`] for one that is not of the type; [`Error::Invalid`] for a name that
    /// breaks a rule and for a handle without a namespace; [`Error::Gone`] when retention has
    /// passed this state; otherwise as [`Snapshot::get`].
    pub fn get(&self, name: &str) -> Result<Option<Object<T>>, Error> {
        let found = self.snapshot.get(&self.extent.key::<T>(name)?)?;
        found.map(Object::read).transpose()
    }

    /// A page of the live objects that the filter chooses, in the order of their keys. Zero, and
    /// anything above [`PAGE_ENTRIES_MAX`](crate::PAGE_ENTRIES_MAX), means that many; `after` is
    /// the `next` of the page before.
    ///
    /// # Errors
    ///
    /// [`Error::NotOfType`] for the first that is not of the type: [`ObjectsAt::all`] goes on
    /// behind it. Otherwise as [`Snapshot::list`].
    pub fn list(
        &self,
        filter: Filter,
        limit: usize,
        after: Option<Key>,
    ) -> Result<Page<Key, Object<T>>, Error> {
        let list = List::new(self.extent.collection::<T>()?).filter(filter);
        typed(self.snapshot.list(&list.limit(limit).after(after))?)
    }

    /// All live objects that the filter chooses, in the order of their keys, read as they are
    /// asked for. One that is not of the type is an error of its own, and the rest follows; after
    /// any other error there is nothing more.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when the names that the type says break a rule. The entries: as
    /// [`ObjectsAt::list`].
    pub fn all(
        &self,
        filter: Filter,
    ) -> Result<impl Iterator<Item = Result<Object<T>, Error>> + use<T>, Error> {
        let snapshot = self.snapshot.clone();
        let list = List::new(self.extent.collection::<T>()?).filter(filter);
        let mut list = Some(list.limit(TURN));
        let mut turn = Vec::new().into_iter();
        Ok(std::iter::from_fn(move || {
            loop {
                if let Some(revision) = turn.next() {
                    return Some(Object::read(revision));
                }
                let due = list.take()?;
                match snapshot.list(&due) {
                    Ok(page) => {
                        turn = page.items.into_iter();
                        list = page.next.map(|next| due.after(Some(next)));
                    }
                    Err(error) => return Some(Err(error)),
                }
            }
        }))
    }

    /// A page of the revisions of an object up to this state, newest first, over deletions and
    /// re-creations; [`Object::revision`] says what each did. A delete marker holds the last body.
    /// The limit is as in [`ObjectsAt::list`]; `before` is the `next` of the page before.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for a name that was never written; otherwise as [`ObjectsAt::get`].
    pub fn history(
        &self,
        name: &str,
        limit: usize,
        before: Option<Version>,
    ) -> Result<Page<Version, Object<T>>, Error> {
        let key = self.extent.key::<T>(name)?;
        typed(self.snapshot.history(&key, limit, before)?)
    }

    /// A page of the objects that were live once and are not in this state, each with its last
    /// body and the version of its deletion. Filter, limit and `after` are as in
    /// [`ObjectsAt::list`].
    ///
    /// # Errors
    ///
    /// As [`ObjectsAt::list`].
    pub fn trash(
        &self,
        filter: Filter,
        limit: usize,
        after: Option<Key>,
    ) -> Result<Page<Key, Object<T>>, Error> {
        let list = List::new(self.extent.collection::<T>()?).filter(filter);
        typed(self.snapshot.trash(&list.limit(limit).after(after))?)
    }
}

fn typed<T: Resource, Next>(page: Page<Next>) -> Result<Page<Next, Object<T>>, Error> {
    let items = page.items.into_iter().map(Object::read);
    Ok(Page {
        version: page.version,
        items: items.collect::<Result<_, _>>()?,
        next: page.next,
    })
}
