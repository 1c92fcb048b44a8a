//! The collector: in one pass over the matches the scope, the total, the facets and the first
//! documents in order.
//!
//! Each segment keeps the first `window` documents in a heap, by integers; the answer of a segment
//! carries values that compare everywhere. What the scope shuts out is never counted anywhere.

use std::collections::BinaryHeap;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocAddress, DocId, SegmentReader, TantivyError};

use crate::error::{Error, Result};
use crate::gate::Gate;
use crate::query::{Query, Sort};
use crate::rank::{Place, Rank, Ruler};
use crate::scope::Scope;
use crate::tally::{Counts, Tally};

/// What is added for a title of which the found words are much: it lifts the shorter of two titles
/// that fit equally, and never outweighs a better place of a word.
const SHORT_TITLE: f32 = 0.4;

/// What to collect from every segment.
pub(crate) struct Collect<'a> {
    pub(crate) query: &'a Query,
    pub(crate) scope: &'a Scope,
    pub(crate) sort: &'a [Sort],
    pub(crate) scored: bool,
    /// How many documents to keep, the ones left out before the page included.
    pub(crate) window: usize,
}

/// What came of one or more segments.
#[derive(Default)]
pub(crate) struct Harvest {
    pub(crate) total: u64,
    pub(crate) max_score: f32,
    pub(crate) found: Vec<Found>,
    pub(crate) counts: Vec<Counts>,
}

/// A document among the first, and what it is ordered by.
pub(crate) struct Found {
    pub(crate) ranks: Vec<Rank>,
    pub(crate) key: String,
    pub(crate) score: f32,
    pub(crate) address: DocAddress,
}

impl Harvest {
    /// Adds what came of other segments, keeping the first `window` documents of both.
    pub(crate) fn merge(&mut self, other: Harvest, window: usize) {
        self.total += other.total;
        self.max_score = self.max_score.max(other.max_score);
        self.found.extend(other.found);
        self.found
            .sort_by(|a, b| (&a.ranks, &a.key).cmp(&(&b.ranks, &b.key)));
        self.found.truncate(window);
        if self.counts.is_empty() {
            self.counts = other.counts;
        } else {
            for (counts, others) in self.counts.iter_mut().zip(other.counts) {
                counts.merge(others);
            }
        }
    }
}

impl Collector for Collect<'_> {
    type Fruit = Harvest;
    type Child = Segment;

    fn for_segment(&self, ord: u32, reader: &SegmentReader) -> tantivy::Result<Segment> {
        Segment::new(self, ord, reader).map_err(internal)
    }

    fn requires_scoring(&self) -> bool {
        self.scored
    }

    fn merge_fruits(&self, fruits: Vec<Result<Harvest>>) -> tantivy::Result<Harvest> {
        let mut harvest = Harvest::default();
        for fruit in fruits {
            harvest.merge(fruit.map_err(internal)?, self.window);
        }
        Ok(harvest)
    }
}

fn internal(error: Error) -> TantivyError {
    TantivyError::InternalError(error.to_string())
}

/// The collector of one segment.
pub(crate) struct Segment {
    ord: u32,
    gate: Gate,
    rulers: Vec<Ruler>,
    keys: Option<StrColumn>,
    title_lengths: Option<Column<u64>>,
    window: usize,
    first: BinaryHeap<Candidate>,
    places: Vec<Place>,
    tallies: Vec<Tally>,
    total: u64,
    max_score: f32,
}

/// A document in the heap; the greatest is the one to give way.
struct Candidate {
    places: Vec<Place>,
    key: u64,
    doc: DocId,
    score: f32,
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Candidate) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Candidate) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Candidate) -> std::cmp::Ordering {
        (&self.places, self.key).cmp(&(&other.places, other.key))
    }
}

impl Segment {
    fn new(collect: &Collect<'_>, ord: u32, reader: &SegmentReader) -> Result<Segment> {
        let rulers = collect.sort.iter().map(|sort| Ruler::new(sort, reader));
        let tallies = collect
            .query
            .facets
            .iter()
            .map(|facet| Tally::new(facet, reader));
        let title_lengths = reader.fast_fields().column_opt("title_length")?;
        Ok(Segment {
            ord,
            gate: Gate::new(collect.scope, reader)?,
            rulers: rulers.collect::<Result<_>>()?,
            keys: reader.fast_fields().str("key")?,
            title_lengths: title_lengths.filter(|_| collect.scored),
            window: collect.window,
            first: BinaryHeap::new(),
            places: Vec::new(),
            tallies: tallies.collect::<Result<_>>()?,
            total: 0,
            max_score: 0.0,
        })
    }

    fn score(&self, doc: DocId, score: f32) -> f32 {
        let length = self
            .title_lengths
            .as_ref()
            .and_then(|lengths| lengths.first(doc));
        length.map_or(score, |words| score + SHORT_TITLE / words.max(1) as f32)
    }

    /// Takes the document in if it belongs to the first ones.
    fn offer(&mut self, doc: DocId, score: f32) {
        self.places.clear();
        self.places
            .extend(self.rulers.iter().map(|ruler| ruler.place(doc, score)));
        let key = self
            .keys
            .as_ref()
            .and_then(|keys| keys.ords().first(doc))
            .unwrap_or(u64::MAX);
        if self.first.len() >= self.window {
            let worst = self.first.peek().map(|worst| (&worst.places, worst.key));
            if worst.is_none_or(|worst| worst <= (&self.places, key)) {
                return;
            }
            self.first.pop();
        }
        self.first.push(Candidate {
            places: self.places.clone(),
            key,
            doc,
            score,
        });
    }

    fn finish(self) -> Result<Harvest> {
        let mut found = Vec::with_capacity(self.first.len());
        for candidate in self.first {
            let ranks = self.rulers.iter().zip(&candidate.places);
            let mut key = String::new();
            if let Some(keys) = &self.keys {
                keys.ord_to_str(candidate.key, &mut key)?;
            }
            found.push(Found {
                ranks: ranks
                    .map(|(ruler, &place)| ruler.rank(place))
                    .collect::<Result<_>>()?,
                key,
                score: candidate.score,
                address: DocAddress::new(self.ord, candidate.doc),
            });
        }
        Ok(Harvest {
            total: self.total,
            max_score: self.max_score,
            found,
            counts: self
                .tallies
                .into_iter()
                .map(Tally::finish)
                .collect::<Result<_>>()?,
        })
    }
}

impl SegmentCollector for Segment {
    type Fruit = Result<Harvest>;

    fn collect(&mut self, doc: DocId, score: f32) {
        if !self.gate.lets(doc) {
            return;
        }
        self.total += 1;
        let score = self.score(doc, score);
        self.max_score = self.max_score.max(score);
        for tally in &mut self.tallies {
            tally.count(doc);
        }
        if self.window > 0 {
            self.offer(doc, score);
        }
    }

    fn harvest(self) -> Result<Harvest> {
        self.finish()
    }
}
