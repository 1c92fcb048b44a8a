//! The keys that may have the labels a selector asks for, in order.
//!
//! ```text
//! app in (a, b), env=prod      requirement    lanes
//!                              app            label a   label b   layers
//!                              env            label prod          layers
//! ```
//!
//! A *lane* is one sorted source of keys: the postings of one label in a table, or the keys of one
//! layer that were given it. A requirement is the union of its lanes, and the answer is the
//! intersection of the requirements. They take turns: each seeks the first key that is not below
//! what the one before has found, and a key that all have found is an answer. So the work follows
//! the shortest requirement, and nothing has to be known of how many keys each has.
//!
//! Every key that has the labels at the version is found. A key that is found may not have them,
//! when the overlay knows better than the tables or two labels share a mark: the caller looks at
//! the object, as it does to answer anyway.

use std::collections::VecDeque;

use super::View;
use super::labels::{MARK_BYTES, Mark, SINCE_BYTES, mark, place, split_resource};
use super::tables::{Base, Postings};
use crate::Error;
use crate::model::{Key, LabelSelector, Operator, Version};

/// How many requirements of a selector are looked up; objects are held against the others.
const REQUIREMENTS_MAX: usize = 8;
/// How many values a requirement may have to be looked up.
const VALUES_MAX: usize = 64;
/// How many keys a lane reads at first, and after it was told to skip some.
const STEP_MIN: usize = 4;
/// How many keys a lane reads at the most before it hands one out.
const STEP_MAX: usize = 64;

/// A walk over the keys that may have some labels at one version.
pub(crate) struct Selection<'a> {
    reach: Reach<'a>,
    requirements: Vec<Vec<Lane>>,
    /// No key below this text is an answer any more.
    from: String,
}

/// What all lanes have in common.
struct Reach<'a> {
    view: &'a View,
    base: &'a Base,
    /// What the keys begin with: a resource, and a namespace perhaps.
    prefix: String,
    version: Version,
    /// How many rows were read, and how many may be.
    rows: usize,
    rows_max: usize,
}

/// Where a lane finds its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Table(Postings),
    Layer(usize),
}

/// One sorted source of keys.
struct Lane {
    source: Source,
    mark: Mark,
    keys: VecDeque<Key>,
    step: usize,
    /// Where reading goes on in the table.
    resume: Vec<u8>,
    ended: bool,
}

impl<'a> Selection<'a> {
    /// The keys behind `after` that begin with `prefix` and may have these labels at this version;
    /// `None` when the index does not help: no label must be one of a few, or the prefix names no
    /// resource.
    pub(crate) fn new(
        view: &'a View,
        labels: &LabelSelector,
        prefix: &str,
        after: Option<&Key>,
        version: Version,
    ) -> Result<Option<Self>, Error> {
        if split_resource(prefix).is_none() {
            return Ok(None);
        }
        let base = view.base()?;
        let mut sources = vec![Source::Table(Postings::Now)];
        if version < base.meta.applied {
            sources.push(Source::Table(Postings::Past));
        }
        sources.extend((0..view.layers().count()).map(Source::Layer));
        let requirements: Vec<Vec<Lane>> = labels
            .requirements()
            .iter()
            .filter(|one| one.operator == Operator::In && one.values.len() <= VALUES_MAX)
            .take(REQUIREMENTS_MAX)
            .map(|one| {
                let marks = one.values.iter().map(|value| mark(&one.key, value));
                let lanes = |mark| sources.iter().map(move |&source| Lane::new(source, mark));
                marks.flat_map(lanes).collect()
            })
            .collect();
        if requirements.is_empty() {
            return Ok(None);
        }
        let reach = Reach {
            view,
            base,
            prefix: prefix.to_owned(),
            version,
            rows: 0,
            rows_max: usize::MAX,
        };
        // A key and NUL is the first text behind that key.
        let from = after.map(|key| format!("{}\0", key.encoded()));
        let from = from.filter(|from| from.as_str() > prefix);
        Ok(Some(Selection {
            reach,
            requirements,
            from: from.unwrap_or_else(|| prefix.to_owned()),
        }))
    }

    /// The next key.
    pub(crate) fn next(&mut self) -> Result<Option<Key>, Error> {
        let count = self.requirements.len();
        let (mut found, mut agreed): (Option<Key>, usize) = (None, 0);
        for turn in (0..count).cycle() {
            let Some(lanes) = self.requirements.get_mut(turn) else {
                break;
            };
            let Some(key) = seek(lanes, &mut self.reach, &self.from)? else {
                return Ok(None);
            };
            if found.as_ref() == Some(&key) {
                agreed += 1;
            } else {
                key.encoded().clone_into(&mut self.from);
                (found, agreed) = (Some(key), 1);
            }
            if agreed == count {
                break;
            }
        }
        self.from.push('\0');
        Ok(found)
    }

    /// The next keys, at most so many, and as many as so many rows give; and whether there are no
    /// more.
    pub(crate) fn first(&mut self, limit: usize, rows: usize) -> Result<(Vec<Key>, bool), Error> {
        let mut keys = Vec::new();
        self.reach.rows_max = self.reach.rows.saturating_add(rows);
        let mut ended = false;
        while keys.len() < limit && !ended {
            match self.next()? {
                Some(key) => keys.push(key),
                None => ended = true,
            }
        }
        ended &= self.reach.rows < self.reach.rows_max;
        self.reach.rows_max = usize::MAX;
        Ok((keys, ended))
    }

    /// How many rows were read.
    pub(crate) fn rows(&self) -> usize {
        self.reach.rows
    }

    /// The text that is above every key that was read so far, and not above the others.
    pub(crate) fn position(&self) -> &str {
        &self.from
    }
}

/// The first key of some lanes that is not below this text; `None` also when one of them may not
/// read on: what it would find may be the first.
fn seek(lanes: &mut [Lane], reach: &mut Reach<'_>, from: &str) -> Result<Option<Key>, Error> {
    let mut first: Option<Key> = None;
    for lane in lanes {
        let key = lane.seek(reach, from)?.cloned();
        if key.is_none() && !lane.ended {
            return Ok(None);
        }
        first = match (first, key) {
            (Some(first), Some(key)) => Some(first.min(key)),
            (first, key) => first.or(key),
        };
    }
    Ok(first)
}

impl Lane {
    fn new(source: Source, mark: Mark) -> Self {
        Lane {
            source,
            mark,
            keys: VecDeque::new(),
            step: STEP_MIN,
            resume: Vec::new(),
            ended: false,
        }
    }

    /// The first key that is not below this text; `None` also when no more rows may be read.
    fn seek(&mut self, reach: &mut Reach<'_>, from: &str) -> Result<Option<&Key>, Error> {
        let mut skipped = 0;
        loop {
            while self.keys.front().is_some_and(|key| key.encoded() < from) {
                self.keys.pop_front();
                skipped += 1;
            }
            if !self.keys.is_empty() || self.ended || reach.rows >= reach.rows_max {
                return Ok(self.keys.front());
            }
            // One key is behind the last answer as a rule; more are what nobody wanted.
            self.step = if skipped > 1 {
                STEP_MIN
            } else {
                STEP_MAX.min(self.step * 2)
            };
            match self.source {
                Source::Table(postings) => self.read(postings, reach, from)?,
                Source::Layer(number) => self.scan(number, reach, from),
            }
        }
    }

    /// Reads the next step from a layer.
    fn scan(&mut self, number: usize, reach: &mut Reach<'_>, from: &str) {
        let layer = reach.view.layers().nth(number);
        let keys = layer.map(|layer| layer.labelled(self.mark, &reach.prefix, from, self.step));
        self.keys = keys.unwrap_or_default().into();
        self.ended = self.keys.len() < self.step;
        reach.rows += self.keys.len();
    }

    /// Reads the next step from a table.
    fn read(&mut self, postings: Postings, reach: &mut Reach<'_>, from: &str) -> Result<(), Error> {
        // A text that does not begin with the prefix is behind all that do.
        if !from.starts_with(&reach.prefix) {
            self.ended = true;
            return Ok(());
        }
        let prefix = place(&reach.prefix, self.mark);
        let start = place(from, self.mark).max(std::mem::take(&mut self.resume));
        let resource = split_resource(&reach.prefix).map_or("", |(resource, _)| resource);
        let (mut rows, mut ended) = (0, true);
        reach.base.postings(postings, &start, &mut |row, value| {
            if !row.starts_with(&prefix) {
                return Ok(false);
            }
            if self.keys.len() == self.step || rows == STEP_MAX {
                row.clone_into(&mut self.resume);
                ended = false;
                return Ok(false);
            }
            rows += 1;
            let row = row.get(resource.len() + MARK_BYTES..).unwrap_or_default();
            let (rest, held) = match postings {
                Postings::Now => (row, Version::new(value) <= reach.version),
                Postings::Past => split_past(row, Version::new(value), reach.version)?,
            };
            if held {
                self.keys.push_back(key_of(resource, rest)?);
            }
            Ok(true)
        })?;
        self.ended = ended;
        // An empty read is work, too.
        reach.rows += rows.max(1);
        Ok(())
    }
}

/// What a past posting is about, and whether it held at this version.
fn split_past(row: &[u8], until: Version, version: Version) -> Result<(&[u8], bool), Error> {
    let bad = || Error::corrupt("a past label has a bad key");
    let at = row.len().checked_sub(SINCE_BYTES).ok_or_else(bad)?;
    let (rest, since) = row.split_at(at);
    let since = since.last_chunk().ok_or_else(bad)?;
    let since = Version::new(u64::from_be_bytes(*since));
    Ok((rest, since <= version && version < until))
}

fn key_of(resource: &str, rest: &[u8]) -> Result<Key, Error> {
    let rest = std::str::from_utf8(rest).ok();
    rest.and_then(|rest| Key::stored(&format!("{resource}{rest}")))
        .ok_or_else(|| Error::corrupt("a label has a bad key"))
}
