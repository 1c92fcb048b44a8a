//! Taking records out of a snapshot, in the order of keys, oldest revision first.
//!
//! The selection is judged by the newest revision of each object, of a deleted one by its delete
//! marker; with history, all revisions of what is selected follow. At most three pages of the
//! store are in memory.

use std::iter::Peekable;

use annals::{Collection, Error, Filter, Key, List, Revision, Snapshot, Version};

/// Keys asked for at a time, where only they are needed.
const KEYS: usize = 256;

/// What of a store is meant.
#[derive(Debug, Clone)]
pub struct Selection {
    /// These collections, in this order.
    pub collections: Vec<Collection>,
    /// And of them what this filter lets through.
    pub filter: Filter,
}

impl Selection {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self {
            collections: vec![Collection::all()],
            filter: Filter::default(),
        }
    }

    /// Hands out the newest revision of each selected object that is live, or every revision of
    /// each selected object. A failure of `out` ends it.
    ///
    /// # Errors
    /// Those of `out`, and those of the store.
    pub fn each<E: From<Error>>(
        &self,
        snapshot: &Snapshot,
        history: bool,
        out: &mut impl FnMut(&Revision) -> Result<(), E>,
    ) -> Result<(), E> {
        for collection in &self.collections {
            let list = List::new(collection.clone()).filter(self.filter.clone());
            if history {
                each_key(snapshot, &list, &mut |key| {
                    if is_secret(key) {
                        return Ok(());
                    }
                    each_revision(snapshot, key, out)
                })?;
                continue;
            }
            let pages = Pages::new(|after| snapshot.list(&list.clone().after(after)));
            for revision in pages {
                let revision = revision?;
                if !is_secret(revision.key()) {
                    out(&revision)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether this is a user or a token: they hold hashes of secrets, and files are given away.
fn is_secret(key: &Key) -> bool {
    key.group() == crate::access::GROUP
}

/// The entries of a list, page after page.
struct Pages<F> {
    page: F,
    items: std::vec::IntoIter<Revision>,
    /// Where the next page begins; `None` inside once there is none.
    next: Option<Option<Key>>,
}

impl<F: FnMut(Option<Key>) -> Result<annals::Page<Key>, Error>> Pages<F> {
    fn new(page: F) -> Self {
        Self {
            page,
            items: Vec::new().into_iter(),
            next: Some(None),
        }
    }
}

impl<F: FnMut(Option<Key>) -> Result<annals::Page<Key>, Error>> Iterator for Pages<F> {
    type Item = Result<Revision, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.items.next() {
                return Some(Ok(item));
            }
            match (self.page)(self.next.take()?) {
                Ok(page) => {
                    self.next = page.next.map(Some);
                    self.items = page.items.into_iter();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Every key of a list, live or not, in order.
fn each_key<E: From<Error>>(
    snapshot: &Snapshot,
    list: &List,
    out: &mut impl FnMut(&Key) -> Result<(), E>,
) -> Result<(), E> {
    let list = list.clone().limit(KEYS);
    let mut live = keys(|after| snapshot.list(&list.clone().after(after)));
    let mut trash = keys(|after| snapshot.trash(&list.clone().after(after)));
    loop {
        // An error comes first, so that it is not waited for.
        let from_live = match (live.peek(), trash.peek()) {
            (None, None) => return Ok(()),
            (Some(Ok(live)), Some(Ok(trash))) => live < trash,
            (Some(Err(_)) | Some(Ok(_)), None) | (Some(Err(_)), Some(_)) => true,
            (None | Some(Ok(_)), Some(_)) => false,
        };
        let next = if from_live { live.next() } else { trash.next() };
        if let Some(key) = next {
            out(&key?)?;
        }
    }
}

fn keys(
    page: impl FnMut(Option<Key>) -> Result<annals::Page<Key>, Error>,
) -> Peekable<impl Iterator<Item = Result<Key, Error>>> {
    let key = |revision: Result<Revision, Error>| revision.map(|revision| revision.key().clone());
    Pages::new(page).map(key).peekable()
}

/// Every revision of a key, oldest first. The store hands out the newest first: pages are gone
/// through once to learn where they begin, and then from the last to the first.
fn each_revision<E: From<Error>>(
    snapshot: &Snapshot,
    key: &Key,
    out: &mut impl FnMut(&Revision) -> Result<(), E>,
) -> Result<(), E> {
    let mut begins: Vec<Option<Version>> = vec![None];
    let mut page = snapshot.history(key, 0, None)?;
    while let Some(next) = page.next {
        begins.push(Some(next));
        page = snapshot.history(key, 0, Some(next))?;
    }
    // The page in hand is the oldest.
    while begins.pop().is_some() {
        for revision in page.items.iter().rev() {
            out(revision)?;
        }
        if let Some(begin) = begins.last() {
            page = snapshot.history(key, 0, *begin)?;
        }
    }
    Ok(())
}
