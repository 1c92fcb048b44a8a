//! One committed state: the layers of the overlay over one state of the tables.
//!
//! A key is looked for in the newest layer first, and in the tables last; what a layer says about
//! a key hides what is below. Nothing is locked across a read: the parts of a view never change
//! for it.

use std::ops::ControlFlow;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::body::{BASE_STEPS_MAX, Stored};
use super::overlay::{Entry, Layer};
use super::record::{decode_shelved, shelved_version};
use super::tables::{Base, VisitStored};
use super::{Counts, Floors, Shelf, Visit};
use crate::Error;
use crate::model::{Header, Key, Revision, Version};

/// Revisions that were read, by version. A revision never changes, so nothing here is ever stale.
pub(super) type Revisions = Cache<u64, Revision, Weight>;

/// What a revision takes in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight;

impl Weighter<u64, Revision> for Weight {
    fn weight(&self, _version: &u64, revision: &Revision) -> u64 {
        // The allowance is for the header and its texts.
        revision.body().len() as u64 + 700
    }
}

/// What is true at one version. Replaced as a whole by every commit and every apply.
pub(super) struct State {
    pub(super) head: Version,
    pub(super) live: u64,
    pub(super) trash: u64,
    /// What is being put into the tables.
    pub(super) sealed: Option<Arc<Layer>>,
    /// What the writer adds to.
    pub(super) active: Arc<Layer>,
    /// Why there are none, while the file is being reopened.
    pub(super) base: Result<Arc<Base>, Error>,
    pub(super) cache: Arc<Revisions>,
}

/// One committed state. Later commits do not change it.
#[derive(Clone)]
pub(crate) struct View {
    state: Arc<State>,
}

/// A revision whose body may not have been read yet.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) header: Arc<Header>,
    body: Option<Arc<[u8]>>,
}

impl From<Arc<Header>> for Slot {
    fn from(header: Arc<Header>) -> Self {
        Slot { header, body: None }
    }
}

impl From<Revision> for Slot {
    fn from(revision: Revision) -> Self {
        Slot {
            header: revision.shared_header(),
            body: Some(revision.shared_body()),
        }
    }
}

impl From<&Entry> for Slot {
    fn from(entry: &Entry) -> Self {
        Slot {
            header: Arc::clone(&entry.header),
            body: entry.body.get().cloned(),
        }
    }
}

/// How many entries of a layer a scan takes at a time.
const SCAN_STEP: usize = 64;

impl View {
    pub(super) fn new(state: Arc<State>) -> Self {
        View { state }
    }

    /// The same state, read from the files alone: what is in memory may hide damage there.
    pub(crate) fn uncached(&self) -> View {
        let cache = Arc::new(Revisions::with_weighter(1, 0, Weight));
        let state = self.state.share();
        View::new(Arc::new(State { cache, ..state }))
    }

    pub(super) fn base(&self) -> Result<&Base, Error> {
        self.state.base.as_deref().map_err(Error::clone)
    }

    pub(super) fn layers(&self) -> impl Iterator<Item = &Layer> {
        std::iter::once(&*self.state.active).chain(self.state.sealed.as_deref())
    }

    /// How far back the log reaches.
    pub(crate) fn floors(&self) -> Result<&Floors, Error> {
        Ok(&self.base()?.floors)
    }

    /// The newest version that is in the tables.
    pub(crate) fn applied(&self) -> Result<Version, Error> {
        Ok(self.base()?.meta.applied)
    }

    /// How far the sweep of retention of this name has come.
    pub(crate) fn swept(&self, name: &str) -> Result<Version, Error> {
        self.base()?.swept(name)
    }

    /// The names of the sweeps of retention whose place is stored, in order.
    pub(crate) fn sweeps(&self) -> Result<Vec<String>, Error> {
        self.base()?.sweeps()
    }

    /// Visits the headers of the tables in version order, from the revision after this version.
    pub(crate) fn headers(&self, after: Version, visit: Visit<'_, Header>) -> Result<(), Error> {
        self.base()?.log(after, visit)
    }

    /// The body that others are built from. Its revision may be gone.
    pub(crate) fn base_body(&self, version: Version) -> Result<Arc<[u8]>, Error> {
        self.body(version, 0)
    }

    /// The newest version of this state.
    pub(crate) fn head(&self) -> Version {
        self.state.head
    }

    /// The newest revision of a key: a live one, or a delete marker if `dead` asks for it too. A
    /// marker that is still in memory may be answered in any case.
    pub(crate) fn newest(&self, key: &Key, dead: bool) -> Result<Option<Slot>, Error> {
        if let Some(entry) = self
            .layers()
            .find_map(|layer| layer.newest(key, self.head()))
        {
            return Ok(Some(Slot::from(&*entry)));
        }
        let base = self.base()?;
        for shelf in [Shelf::Live, Shelf::Trash] {
            if shelf == Shelf::Trash && (!dead || base.count(shelf)? == 0) {
                break;
            }
            let look = |bytes: &[u8]| self.shelved(bytes, key.encoded(), || Some(key.clone()));
            if let Some(slot) = base.shelved(shelf, key, look)? {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    /// The entry of a shelf in these bytes, which stand under this key.
    fn shelved(
        &self,
        bytes: &[u8],
        text: &str,
        key: impl FnOnce() -> Option<Key>,
    ) -> Result<Slot, Error> {
        let known = self.state.cache.get(&shelved_version(bytes)?.get());
        if let Some(revision) = known
            && revision.key().encoded() == text
        {
            return Ok(Slot::from(revision));
        }
        let key = key().ok_or_else(|| Error::corrupt("a shelf has a bad key"))?;
        Ok(Slot::from(Arc::new(decode_shelved(bytes, key)?)))
    }

    /// The header of a revision.
    pub(crate) fn header(&self, version: Version) -> Result<Option<Arc<Header>>, Error> {
        if let Some(entry) = self.entry(version) {
            return Ok(Some(Arc::clone(&entry.header)));
        }
        let base = self.base()?;
        // At and below the newest compacted version only the tables know what was removed.
        if version > base.floors.newest()
            && let Some(revision) = self.state.cache.get(&version.get())
        {
            return Ok(Some(revision.shared_header()));
        }
        Ok(base.header(version)?.map(Arc::new))
    }

    fn entry(&self, version: Version) -> Option<Arc<Entry>> {
        self.layers().find_map(|layer| layer.at(version))
    }

    /// A revision with its body.
    pub(crate) fn revision(&self, version: Version) -> Result<Option<Revision>, Error> {
        match self.header(version)? {
            Some(header) => self.fill(Slot::from(header)).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the body of a revision.
    pub(crate) fn fill(&self, slot: Slot) -> Result<Revision, Error> {
        if let Some(body) = slot.body {
            return Ok(Revision::new(slot.header, body));
        }
        let version = slot.header.version;
        if let Some(revision) = self.state.cache.get(&version.get()) {
            return Ok(revision);
        }
        let body = self.body(version, 0)?;
        let revision = Revision::new(slot.header, body);
        if self.state.cache.capacity() > 0 {
            self.state.cache.insert(version.get(), revision.clone());
        }
        Ok(revision)
    }

    fn body(&self, version: Version, steps: usize) -> Result<Arc<[u8]>, Error> {
        if let Some(entry) = self.entry(version) {
            if let Some(body) = entry.body.get() {
                return Ok(Arc::clone(body));
            }
            let body = self.build(&entry.stored_body, version, steps)?;
            return Ok(Arc::clone(entry.body.get_or_init(|| body)));
        }
        if let Some(revision) = self.state.cache.get(&version.get()) {
            return Ok(revision.shared_body());
        }
        let look = |stored: &[u8]| self.build(stored, version, steps);
        self.base()?
            .body(version, look)?
            .ok_or_else(|| Error::corrupt(format!("the body of revision {version} is missing")))
    }

    /// The body that these bytes stand for.
    fn build(&self, stored: &[u8], version: Version, steps: usize) -> Result<Arc<[u8]>, Error> {
        let damaged = |error: Error| match error {
            Error::Corrupt { reason } => Error::corrupt(format!("revision {version}: {reason}")),
            other => other,
        };
        let stored = Stored::parse(stored).map_err(damaged)?.of(version);
        let older = match stored.base() {
            Some(base) if base >= version || steps == BASE_STEPS_MAX => {
                return Err(Error::corrupt(format!(
                    "revision {version} is built from {base}"
                )));
            }
            Some(base) => Some(self.body(base, steps + 1)?),
            None => None,
        };
        let body = stored.decode(older.as_deref()).map_err(damaged)?;
        Ok(body.into())
    }

    /// Visits the newest revisions of a shelf's keys in key order: those whose encoded key begins
    /// with `prefix` and, if `after` is given, sorts behind it.
    pub(crate) fn scan(
        &self,
        shelf: Shelf,
        prefix: &str,
        after: Option<&Key>,
        visit: Visit<'_, Slot>,
    ) -> Result<(), Error> {
        let after = after.map(Key::encoded);
        let mut layers: Vec<LayerScan<'_>> = self
            .layers()
            .map(|layer| LayerScan::new(layer, prefix, after, self.head()))
            .collect();
        let is_here = |entry: &Entry| entry.header.is_live() == (shelf == Shelf::Live);
        let mut ended = false;
        self.base()?.scan(shelf, prefix, after, &mut |key, bytes| {
            while let Some(entry) = next_of(&mut layers, Some(key)) {
                let hides = entry.header.key.encoded() == key;
                if is_here(&entry) && visit(Slot::from(&*entry))?.is_break() {
                    ended = true;
                    return Ok(ControlFlow::Break(()));
                }
                if hides {
                    return Ok(ControlFlow::Continue(()));
                }
            }
            let flow = visit(self.shelved(bytes, key, || Key::stored(key))?)?;
            ended = flow.is_break();
            Ok(flow)
        })?;
        while !ended && let Some(entry) = next_of(&mut layers, None) {
            ended = is_here(&entry) && visit(Slot::from(&*entry))?.is_break();
        }
        Ok(())
    }

    /// About how many live keys that begin with `prefix` are behind `after` and below this text,
    /// counted up to `max`. No header is read.
    pub(crate) fn count_below(
        &self,
        prefix: &str,
        after: Option<&Key>,
        below: &str,
        max: usize,
    ) -> Result<usize, Error> {
        let after = after.map(Key::encoded);
        let in_layers = self.layers().map(|layer| {
            let entries = layer.scan(prefix, after, self.head(), max);
            entries.partition_point(|entry| entry.header.key.encoded() < below)
        });
        let mut count = in_layers.sum();
        self.base()?
            .scan(Shelf::Live, prefix, after, &mut |key, _| {
                if key >= below || count >= max {
                    return Ok(ControlFlow::Break(()));
                }
                count += 1;
                Ok(ControlFlow::Continue(()))
            })?;
        Ok(count)
    }

    /// Visits the log in order, from the revision after this version.
    pub(crate) fn log(&self, after: Version, visit: Visit<'_, Revision>) -> Result<(), Error> {
        let mut last = after;
        let mut ended = false;
        let base = self.base()?;
        if after < base.meta.applied {
            base.log(after, &mut |header| {
                last = header.version;
                let header = Arc::new(header);
                let flow = visit(self.unkept(header)?)?;
                ended = flow.is_break();
                Ok(flow)
            })?;
            last = last.max(base.meta.applied);
        }
        while !ended && let Some(entry) = self.entry(last.next()).filter(|_| last < self.head()) {
            last = last.next();
            ended = visit(self.fill(Slot::from(&*entry))?)?.is_break();
        }
        Ok(())
    }

    /// As [`View::log`], with the stored bytes. A body without a header is one that kept bodies are
    /// built from.
    pub(super) fn rows(&self, after: Version, visit: VisitStored<'_>) -> Result<(), Error> {
        let mut last = after;
        let mut ended = false;
        let base = self.base()?;
        if after < base.meta.applied {
            base.rows(after, &mut |version, header, body| {
                let flow = visit(version, header, body)?;
                ended = flow.is_break();
                Ok(flow)
            })?;
            last = last.max(base.meta.applied);
        }
        while !ended && let Some(entry) = self.entry(last.next()).filter(|_| last < self.head()) {
            last = last.next();
            ended = visit(last, Some(&entry.stored_header), &entry.stored_body)?.is_break();
        }
        Ok(())
    }

    /// As [`View::fill`], for a walk that would drive everything else out of the cache.
    fn unkept(&self, header: Arc<Header>) -> Result<Revision, Error> {
        let body = self.body(header.version, 0)?;
        Ok(Revision::new(header, body))
    }

    /// How many entries the log and the two shelves have.
    pub(crate) fn counts(&self) -> Result<Counts, Error> {
        let base = self.base()?;
        let above = self.head().get() - base.meta.applied.get();
        Ok(Counts {
            revisions: base.revisions()? + above,
            live: self.state.live,
            trash: self.state.trash,
        })
    }
}

/// A walk over one layer, in steps.
struct LayerScan<'a> {
    layer: &'a Layer,
    prefix: &'a str,
    head: Version,
    step: std::vec::IntoIter<Arc<Entry>>,
    after: Option<String>,
    done: bool,
}

impl<'a> LayerScan<'a> {
    fn new(layer: &'a Layer, prefix: &'a str, after: Option<&str>, head: Version) -> Self {
        LayerScan {
            layer,
            prefix,
            head,
            step: Vec::new().into_iter(),
            after: after.map(str::to_owned),
            done: false,
        }
    }

    fn peek(&mut self) -> Option<&Arc<Entry>> {
        if self.step.as_slice().is_empty() && !self.done {
            let after = self.after.as_deref();
            let step = self.layer.scan(self.prefix, after, self.head, SCAN_STEP);
            self.done = step.len() < SCAN_STEP;
            self.after = step
                .last()
                .map(|entry| entry.header.key.encoded().to_owned());
            self.step = step.into_iter();
        }
        self.step.as_slice().first()
    }
}

/// The first key of the layers, if it does not sort behind `until`: its entry in the newest layer
/// that has one. It is taken out of all of them.
fn next_of(layers: &mut [LayerScan<'_>], until: Option<&str>) -> Option<Arc<Entry>> {
    let mut first: Option<Arc<Entry>> = None;
    for layer in &mut *layers {
        if let Some(entry) = layer.peek()
            && first
                .as_ref()
                .is_none_or(|first| entry.header.key < first.header.key)
        {
            first = Some(Arc::clone(entry));
        }
    }
    let first =
        first.filter(|first| until.is_none_or(|until| first.header.key.encoded() <= until))?;
    for layer in layers {
        if layer
            .peek()
            .is_some_and(|entry| entry.header.key == first.header.key)
        {
            layer.step.next();
        }
    }
    Some(first)
}
