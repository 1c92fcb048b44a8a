//! What one step of retention removes, worked out from one view.
//!
//! ```text
//! of a key     1 <- 4 <- 6 <- 9 <- 12      kept from 9 on
//! revisions    1, 4 and 6 go
//! bodies       1, 4 and 6 go, but for the one that 9 is built from
//! floor        9: at 9 and later the state of this key is whole
//! ```
//!
//! Bodies are built from one of the last whole ones of their key, in order: of all that goes, only
//! the one below the oldest that stays can be needed. It stays without a header until what is built
//! from it goes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::Error;
use crate::disk::{Trim, View};
use crate::model::{Action, Header, Key, Version};

/// How many revisions one step removes, those of the last object not counted.
const REMOVE_MAX: usize = 2_048;

/// See the page.
pub(super) struct Plan<'a> {
    view: &'a View,
    keys: HashMap<Key, Removal>,
    count: usize,
}

/// What goes of one key.
#[derive(Default)]
struct Removal {
    /// The headers that go, by version.
    headers: BTreeMap<Version, Arc<Header>>,
    /// The oldest revision that stays; none when the object goes as a whole.
    oldest: Option<Arc<Header>>,
    /// The delete marker of an object that goes as a whole.
    marker: Option<Version>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(view: &'a View) -> Self {
        Plan {
            view,
            keys: HashMap::new(),
            count: 0,
        }
    }

    /// Whether the step removes enough.
    pub(super) fn is_full(&self) -> bool {
        self.count >= REMOVE_MAX
    }

    /// Removes all but the newest revisions up to this one, so many. `false` if that is too much
    /// for one step: a part of it is planned.
    pub(super) fn keep_newest(&mut self, newest: Header, count: u64) -> Result<bool, Error> {
        let Some(ordinal) = (newest.ordinal + 1)
            .checked_sub(count)
            .filter(|&ordinal| ordinal > 0)
        else {
            return Ok(true);
        };
        match self.at_ordinal(Arc::new(newest), ordinal)? {
            Some(oldest) => self.cut(&oldest),
            None => Ok(true),
        }
    }

    /// Removes the object that this revision has deleted, if it was not created again. `false` as
    /// [`Plan::keep_newest`], and for the newest revision of the log, whose turn comes later.
    pub(super) fn forget(&mut self, marker: Header) -> Result<bool, Error> {
        if marker.action != Action::Deleted {
            return Ok(true);
        }
        if marker.version == self.view.head() {
            return Ok(false);
        }
        let newest = self.view.newest(&marker.key, true)?;
        if newest.is_none_or(|newest| newest.header.version != marker.version) {
            return Ok(true);
        }
        let marker = Arc::new(marker);
        if !self.cut(&marker)? {
            return Ok(false);
        }
        let removal = self.keys.entry(marker.key.clone()).or_default();
        removal.marker = Some(marker.version);
        removal.oldest = None;
        self.count += 1;
        removal.headers.insert(marker.version, marker);
        Ok(true)
    }

    /// Removes everything of a key that is older than this revision of it.
    fn cut(&mut self, oldest: &Arc<Header>) -> Result<bool, Error> {
        let Some(older) = self.older_than(oldest)? else {
            let first = self.first_of(oldest)?;
            let ordinal = first.ordinal + REMOVE_MAX as u64;
            if let Some(part) = self.at_ordinal(Arc::clone(oldest), ordinal)? {
                let older = self.older_than(&part)?.unwrap_or_default();
                self.add(&part, older);
            }
            return Ok(false);
        };
        if !older.is_empty() {
            self.add(oldest, older);
        }
        Ok(true)
    }

    fn add(&mut self, oldest: &Arc<Header>, older: Vec<Arc<Header>>) {
        self.count += older.len();
        let removal = self.keys.entry(oldest.key.clone()).or_default();
        removal.oldest = Some(Arc::clone(oldest));
        let older = older.into_iter().map(|header| (header.version, header));
        removal.headers.extend(older);
    }

    /// The revisions of a key before this one that are there and not planned to go; `None` if they
    /// are more than one step removes.
    fn older_than(&self, header: &Arc<Header>) -> Result<Option<Vec<Arc<Header>>>, Error> {
        let planned = self.keys.get(&header.key);
        let is_planned = |version: &Version| {
            planned.is_some_and(|removal| removal.headers.contains_key(version))
        };
        let mut older = Vec::new();
        let mut next = header.previous;
        while let Some(version) = next.filter(|version| !is_planned(version)) {
            let Some(header) = self.view.header(version)? else {
                break;
            };
            if older.len() == REMOVE_MAX {
                return Ok(None);
            }
            next = header.previous;
            older.push(header);
        }
        Ok(Some(older))
    }

    /// The oldest revision of the key that is there, by a logarithmic number of steps.
    fn first_of(&self, header: &Arc<Header>) -> Result<Arc<Header>, Error> {
        let mut first = Arc::clone(header);
        loop {
            let links = [Some(first.jump), first.previous];
            let mut older = None;
            for link in links
                .into_iter()
                .flatten()
                .filter(|link| *link < first.version)
            {
                if older.is_none() {
                    older = self.view.header(link)?;
                }
            }
            match older {
                Some(header) => first = header,
                None => return Ok(first),
            }
        }
    }

    /// The revision of the same key with this ordinal, at or before this one, if it is there.
    fn at_ordinal(&self, from: Arc<Header>, ordinal: u64) -> Result<Option<Arc<Header>>, Error> {
        let mut header = from;
        while header.ordinal > ordinal {
            let far = header.jump < header.version && header.jump_ordinal >= ordinal;
            let step = if far {
                Some(header.jump)
            } else {
                header.previous
            };
            match step
                .map(|version| self.view.header(version))
                .transpose()?
                .flatten()
            {
                Some(older) => header = older,
                None => return Ok(None),
            }
        }
        Ok(Some(header).filter(|header| header.ordinal == ordinal))
    }

    /// The rows that go.
    pub(super) fn finish(self) -> Result<Trim, Error> {
        let mut trim = Trim::default();
        for (key, removal) in self.keys {
            let Removal {
                headers,
                oldest,
                marker,
            } = removal;
            let Some(first) = headers.values().next() else {
                continue;
            };
            // What the oldest ones were built from may have lost its header before.
            trim.bodies
                .extend(Some(first.base).filter(|base| *base < first.version));
            trim.bodies.extend(headers.keys());
            if let Some(oldest) = &oldest {
                trim.bodies.retain(|version| *version != oldest.base);
            }
            trim.revisions.extend(headers.keys());
            let whole_from = oldest.map_or(marker, |oldest| Some(oldest.version));
            let floor = trim
                .floors
                .entry(key.collection().prefix().into())
                .or_default();
            *floor = whole_from.unwrap_or_default().max(*floor);
            trim.forgotten.extend(marker.map(|marker| (key, marker)));
        }
        trim.revisions.sort_unstable();
        trim.bodies.sort_unstable();
        Ok(trim)
    }
}
