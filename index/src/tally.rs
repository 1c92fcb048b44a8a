//! Counting the values of matching documents, by number within a segment and by value after it.

use std::collections::HashMap;
use std::ops::{Bound, Range};

use tantivy::columnar::StrColumn;
use tantivy::{DocId, SegmentReader};

use crate::error::Result;
use crate::query::{Facet, FacetBy, FacetCount};
use crate::schema::{inexact, label_term, own_term};

/// The counts of one facet in one segment.
pub(crate) struct Tally {
    column: Option<StrColumn>,
    /// The numbers of the values that count: all, or those of one label or own field.
    range: Range<u64>,
    prefix_bytes: usize,
    counts: Vec<u64>,
    total: u64,
    missing: u64,
}

/// The counts of one facet over any number of segments.
#[derive(Default)]
pub(crate) struct Counts {
    terms: HashMap<String, u64>,
    total: u64,
    missing: u64,
}

impl Tally {
    pub(crate) fn new(facet: &Facet, segment: &SegmentReader) -> Result<Tally> {
        let (name, prefix) = match &facet.by {
            FacetBy::Tag => ("tag", None),
            FacetBy::Folder => ("folder", None),
            FacetBy::Kind => ("kind", None),
            FacetBy::Namespace => ("namespace", None),
            FacetBy::Type => ("type", None),
            FacetBy::Label(key) => ("label", Some(label_term(key, ""))),
            FacetBy::Own(name) => ("own", Some(own_term(name, ""))),
        };
        let column = segment.fast_fields().str(name)?;
        let mut range = 0..column
            .as_ref()
            .map_or(0, |column| column.num_terms() as u64);
        if let (Some(column), Some(prefix)) = (&column, &prefix) {
            let bounds = (
                Bound::Included(prefix.clone().into_bytes()),
                Bound::Excluded(after(prefix)),
            );
            let (start, end) = column.dictionary().term_bounds_to_ord(bounds.0, bounds.1)?;
            let (start, end) = (edge(start), edge(end));
            range = start.min(range.end)..end.min(range.end);
        }
        let counts = vec![0; (range.end - range.start) as usize];
        let prefix_bytes = prefix.map_or(0, |prefix| prefix.len());
        Ok(Tally {
            column,
            range,
            prefix_bytes,
            counts,
            total: 0,
            missing: 0,
        })
    }

    pub(crate) fn count(&mut self, doc: DocId) {
        let before = self.total;
        if let Some(column) = &self.column {
            for ord in column.term_ords(doc).filter(|ord| self.range.contains(ord)) {
                self.counts[(ord - self.range.start) as usize] += 1;
                self.total += 1;
            }
        }
        if self.total == before {
            self.missing += 1;
        }
    }

    pub(crate) fn finish(self) -> Result<Counts> {
        let mut counts = Counts {
            total: self.total,
            missing: self.missing,
            ..Counts::default()
        };
        let Some(column) = self.column else {
            return Ok(counts);
        };
        let found = self.range.zip(self.counts).filter(|(_, count)| *count > 0);
        let (ords, numbers): (Vec<u64>, Vec<u64>) = found.unzip();
        let mut numbers = numbers.into_iter();
        column.dictionary().sorted_ords_to_term_cb(&ords, |term| {
            let value = String::from_utf8_lossy(term.get(self.prefix_bytes..).unwrap_or_default());
            counts
                .terms
                .insert(inexact(&value).to_owned(), numbers.next().unwrap_or(0));
        })?;
        Ok(counts)
    }
}

/// The number a bound stands at.
fn edge(bound: Bound<u64>) -> u64 {
    match bound {
        Bound::Included(ord) | Bound::Excluded(ord) => ord,
        Bound::Unbounded => u64::MAX,
    }
}

/// The first string behind all that begin with the prefix, which ends in an ASCII character.
fn after(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

impl Counts {
    pub(crate) fn merge(&mut self, other: Counts) {
        self.total += other.total;
        self.missing += other.missing;
        for (term, count) in other.terms {
            *self.terms.entry(term).or_default() += count;
        }
    }

    /// The answer: the most frequent terms.
    pub(crate) fn answer(self, facet: &Facet) -> FacetCount {
        let mut terms: Vec<(String, u64)> = self.terms.into_iter().collect();
        terms.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
        terms.truncate(facet.limit);
        FacetCount {
            by: facet.by.clone(),
            total: self.total,
            missing: self.missing,
            terms,
        }
    }
}
