//! Reading: one road for now and for any version in the past.
//!
//! The shelves say what is newest; from there the links of the headers lead back to what was the
//! newest at the snapshot's version. For the newest version the walk has no steps. Which keys a list
//! looks at, all or those with a label, is `select`.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::select::Walk;
use crate::Error;
use crate::disk::{Disk, Pin, Shelf, Slot, View};
use crate::model::{Collection, Filter, Key, Revision, Version};
use crate::options::{PAGE_BYTES_MAX, PAGE_ENTRIES_MAX};

/// The state of the store at one version. Everything read from it is true at that version.
///
/// It is a number, not a transaction: reads from it stay exact while the store is written to, and
/// all that keeping it costs is that retention leaves the objects of this state until its last
/// clone is dropped; histories and the trash may become shorter. Reads from a snapshot of a version
/// that retention has passed answer [`Error::Gone`].
#[derive(Clone)]
pub struct Snapshot {
    disk: Arc<Disk>,
    pin: Arc<Pin>,
}

/// What to list.
#[derive(Clone, Debug)]
#[must_use]
pub struct List {
    collection: Collection,
    pub(super) filter: Filter,
    pub(super) limit: usize,
    pub(super) after: Option<Key>,
}

impl List {
    /// Everything of a collection, in pages of at most
    /// [`PAGE_ENTRIES_MAX`](crate::PAGE_ENTRIES_MAX).
    pub fn new(collection: Collection) -> Self {
        List {
            collection,
            filter: Filter::default(),
            limit: PAGE_ENTRIES_MAX,
            after: None,
        }
    }

    /// Only the objects that this filter chooses.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// At most this many entries in a page. Zero, and anything above
    /// [`PAGE_ENTRIES_MAX`](crate::PAGE_ENTRIES_MAX), means the maximum.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = if limit == 0 {
            PAGE_ENTRIES_MAX
        } else {
            limit.min(PAGE_ENTRIES_MAX)
        };
        self
    }

    /// Only the keys behind this one: the `next` of the page before.
    pub fn after(mut self, key: Option<Key>) -> Self {
        self.after = key;
        self
    }
}

/// A part of an answer. The entries are [`Revision`]s, or [`Object`](crate::Object)s of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<Next, Entry = Revision> {
    /// The version at which the answer is true.
    pub version: Version,
    /// The entries. A page may hold fewer than asked for when their bodies are large.
    pub items: Vec<Entry>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Next>,
}

impl Snapshot {
    pub(super) fn new(disk: Arc<Disk>, version: Version) -> Self {
        let pin = Arc::new(disk.pin(version));
        Snapshot { disk, pin }
    }

    /// The version of this state.
    #[must_use]
    pub fn version(&self) -> Version {
        self.pin.version()
    }

    /// An object, if it is live in this state.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] when retention has passed this version in the collection of the key;
    /// [`Error::Unavailable`] or [`Error::Corrupt`] when the tables cannot be read.
    pub fn get(&self, key: &Key) -> Result<Option<Revision>, Error> {
        let view = self.view(&key.collection())?;
        match self.newest(&view, key)? {
            Some(slot) if slot.header.is_live() => view.fill(slot).map(Some),
            _ => Ok(None),
        }
    }

    /// A view in which the state of this collection at this version is still whole.
    fn view(&self, collection: &Collection) -> Result<View, Error> {
        let view = self.disk.view()?;
        let oldest = view.floors()?.get(collection);
        if self.version() < oldest {
            let requested = self.version();
            return Err(Error::Gone { requested, oldest });
        }
        Ok(view)
    }

    /// The newest revision of a key in this state, a delete marker included.
    fn newest(&self, view: &View, key: &Key) -> Result<Option<Slot>, Error> {
        let newest = view.newest(key, true)?;
        newest.map_or(Ok(None), |slot| back_to(view, slot, self.version()))
    }

    /// A page of the live objects of a collection, in key order. It ends early once its bodies
    /// have [`PAGE_BYTES_MAX`](crate::PAGE_BYTES_MAX) bytes.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::get`].
    pub fn list(&self, list: &List) -> Result<Page<Key>, Error> {
        self.page(list, true)
    }

    /// A page of the revisions of a key, newest first, over deletions and re-creations. A limit of
    /// zero, or above [`PAGE_ENTRIES_MAX`](crate::PAGE_ENTRIES_MAX), means that many; `before` is
    /// the `next` of the page before. Where retention has removed the older ones, it ends.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when the key was never written; otherwise as [`Snapshot::get`].
    pub fn history(
        &self,
        key: &Key,
        limit: usize,
        before: Option<Version>,
    ) -> Result<Page<Version>, Error> {
        let view = self.view(&key.collection())?;
        let limit = if limit == 0 {
            PAGE_ENTRIES_MAX
        } else {
            limit.min(PAGE_ENTRIES_MAX)
        };
        let oldest = view.floors()?.get(&key.collection());
        let newest = self.newest(&view, key)?;
        let newest = newest.ok_or_else(|| Error::NotFound { key: key.clone() })?;
        let start = before.unwrap_or(newest.header.version);
        let mut at = back_to(&view, newest, start)?.map(|slot| slot.header.version);
        let mut page = Page {
            version: self.version(),
            items: Vec::new(),
            next: None,
        };
        let mut bytes = 0;
        while let Some(version) = at {
            let header = match view.header(version)? {
                Some(header) => header,
                // Retention has removed it and all that came before.
                None if version <= oldest => break,
                None => return Err(missing(version)),
            };
            if page.items.len() == limit || bytes >= PAGE_BYTES_MAX {
                page.next = Some(version);
                break;
            }
            let revision = view.fill(Slot::from(header))?;
            bytes += revision.body().len();
            at = revision.header().previous;
            page.items.push(revision);
        }
        Ok(page)
    }

    /// A page of the delete markers of a collection: the keys that were live once and are not in
    /// this state. Each holds the object's last body.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::get`].
    pub fn trash(&self, list: &List) -> Result<Page<Key>, Error> {
        self.page(list, false)
    }

    /// A page of the keys that are live in this state, or of those that are not.
    fn page(&self, list: &List, live: bool) -> Result<Page<Key>, Error> {
        let view = self.view(&list.collection)?;
        let mut walk = Walk::new(&view, list, self.version(), live)?;
        let mut page = Page {
            version: self.version(),
            items: Vec::new(),
            next: None,
        };
        let mut bytes = 0;
        while let Some(newest) = walk.next()? {
            // The past of an object is judged by where it stands now, or stood last, too.
            let scope = &list.filter.scope;
            if !scope.covers(&newest.header) {
                continue;
            }
            let judged = newest.header.clone();
            let Some(slot) = back_to(&view, newest, self.version())? else {
                continue;
            };
            let is_seen = || {
                slot.header.version == judged.version || scope.covers_past(&slot.header, &judged)
            };
            if slot.header.is_live() != live || !list.filter.selects(&slot.header) || !is_seen() {
                continue;
            }
            if page.items.len() == list.limit || bytes >= PAGE_BYTES_MAX {
                page.next = page.items.last().map(|last: &Revision| last.key().clone());
                break;
            }
            let revision = view.fill(slot)?;
            bytes += revision.body().len();
            page.items.push(revision);
        }
        Ok(page)
    }
}

fn missing(version: Version) -> Error {
    Error::corrupt(format!("revision {version} is missing from the log"))
}

/// The newest revision of a key that is not newer than `version`, by a logarithmic number of
/// steps along the links; `None` if the key had none yet.
pub(super) fn back_to(view: &View, newest: Slot, version: Version) -> Result<Option<Slot>, Error> {
    let mut slot = newest;
    while slot.header.version > version {
        let Some(previous) = slot.header.previous else {
            return Ok(None);
        };
        // The far link is taken whenever it does not lead past the answer.
        let step = if slot.header.jump > version {
            slot.header.jump
        } else {
            previous
        };
        slot = match view.header(step)? {
            Some(header) => Slot::from(header),
            // Removed with its object, which was created again later.
            None if step <= view.floors()?.get(&slot.header.key.collection()) => return Ok(None),
            None => return Err(missing(step)),
        };
    }
    Ok(Some(slot))
}

/// The shelves of a collection, merged in key order, read in steps.
pub(super) struct ShelfWalk<'a> {
    view: &'a View,
    prefix: Cow<'a, str>,
    name: Option<Key>,
    live: Lane,
    trash: Lane,
}

/// How far one shelf was read.
struct Lane {
    shelf: Shelf,
    slots: std::vec::IntoIter<Slot>,
    after: Option<Key>,
    done: bool,
}

/// How many headers one step reads from a shelf.
const STEP: usize = 64;

impl<'a> ShelfWalk<'a> {
    /// A walk over the live shelf, or over both.
    pub(super) fn new(view: &'a View, list: &'a List, both: bool) -> Self {
        let parts = |prefix: &str| prefix.bytes().filter(|&byte| byte == 0).count();
        let mut prefix = Cow::Borrowed(list.collection.prefix());
        // A namespace of one resource is what the keys begin with.
        if let Some(namespace) = list.filter.namespace().filter(|_| parts(&prefix) == 2) {
            prefix = Cow::Owned(format!("{prefix}{namespace}\0"));
        }
        let in_one_namespace = parts(&prefix) == 3;
        // A name within one namespace is one key, or none if no object can have it: no scan.
        let name = list.filter.name().filter(|_| in_one_namespace);
        let key = name.map(|name| Key::decode(&format!("{prefix}{name}")));
        let nothing = matches!(key, Some(Err(_)));
        let lane = |shelf, wanted: bool| Lane {
            shelf,
            slots: Vec::new().into_iter(),
            after: list.after.clone(),
            done: nothing || !wanted,
        };
        let (live, trash) = (lane(Shelf::Live, true), lane(Shelf::Trash, both));
        ShelfWalk {
            view,
            prefix,
            name: key.and_then(Result::ok),
            live,
            trash,
        }
    }

    /// What the keys begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether there is one key to look at, or none.
    pub(super) fn is_pinned(&self) -> bool {
        self.name.is_some() || self.live.done
    }

    pub(super) fn next(&mut self) -> Result<Option<Slot>, Error> {
        let (prefix, name) = (&*self.prefix, self.name.as_ref());
        self.live.fill(self.view, prefix, name)?;
        self.trash.fill(self.view, prefix, name)?;
        let from_live = match (self.live.first(), self.trash.first()) {
            (Some(live), Some(trash)) => live < trash,
            (live, _) => live.is_some(),
        };
        let lane = if from_live {
            &mut self.live
        } else {
            &mut self.trash
        };
        Ok(lane.slots.next())
    }
}

impl Lane {
    fn first(&self) -> Option<&Key> {
        self.slots.as_slice().first().map(|slot| &slot.header.key)
    }

    /// Reads the next step if what was read is used up.
    fn fill(&mut self, view: &View, prefix: &str, name: Option<&Key>) -> Result<(), Error> {
        if self.done || self.first().is_some() {
            return Ok(());
        }
        let mut slots = Vec::new();
        if let Some(key) = name {
            self.done = true;
            if self.after.as_ref().is_none_or(|after| after < key) {
                let live = self.shelf == Shelf::Live;
                let newest = view.newest(key, !live)?;
                slots.extend(newest.filter(|slot| slot.header.is_live() == live));
            }
        } else {
            view.scan(self.shelf, prefix, self.after.as_ref(), &mut |slot| {
                slots.push(slot);
                let full = slots.len() == STEP;
                Ok(if full {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })?;
            self.done = slots.len() < STEP;
            self.after = slots.last().map(|slot| slot.header.key.clone());
        }
        self.slots = slots.into_iter();
        Ok(())
    }
}
