//! The order of results, first within a segment and then across all of them.
//!
//! Within a segment strings are compared by their numbers; only the few documents that survive
//! have them looked up. Numbers and scores become integers of the same order, the direction and
//! "without a value comes last" included, so a document's place is a short list of integers.

use std::cmp::Reverse;

use tantivy::columnar::{Column, MonotonicallyMappableToU64, StrColumn};
use tantivy::{DocId, SegmentReader};

use crate::error::Result;
use crate::query::{Sort, SortBy};
use crate::schema::{inexact, sort_column};

/// One place of a document within its segment; smaller comes first.
pub(crate) type Place = u128;

const TEXT_AFTER_NUMBERS: Place = 1 << 64;
const MISSING: Place = Place::MAX;

/// One place of a document that can be compared across segments; smaller comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Number(u64),
    Up(String),
    Down(Reverse<String>),
    Missing,
}

/// A sort key, compiled for one segment.
pub(crate) struct Ruler {
    descending: bool,
    source: Source,
}

enum Source {
    Score,
    Numbers(Option<Column<u64>>),
    Signed(Option<Column<i64>>),
    Text(Option<StrColumn>),
    Own(Option<Column<f64>>, Option<StrColumn>),
}

impl Ruler {
    pub(crate) fn new(sort: &Sort, segment: &SegmentReader) -> Result<Ruler> {
        let columns = segment.fast_fields();
        let source = match &sort.by {
            SortBy::Score => Source::Score,
            SortBy::Title => Source::Text(columns.str("title_whole")?),
            SortBy::Name => Source::Text(columns.str("name")?),
            SortBy::Namespace => Source::Text(columns.str("namespace")?),
            SortBy::Folder => Source::Text(columns.str("folder")?),
            SortBy::Kind => Source::Text(columns.str("kind")?),
            SortBy::Version => Source::Numbers(columns.column_opt("version")?),
            SortBy::Created => Source::Signed(columns.column_opt("created")?),
            SortBy::Updated => Source::Signed(columns.column_opt("updated")?),
            SortBy::Own(name) => {
                let column = format!("sort.{}", sort_column(name));
                Source::Own(columns.column_opt(&column)?, columns.str(&column)?)
            }
        };
        Ok(Ruler {
            descending: sort.descending,
            source,
        })
    }

    /// Where a document stands by this key.
    pub(crate) fn place(&self, doc: DocId, score: f32) -> Place {
        match &self.source {
            Source::Score => self.number(f64::from(score).to_u64()),
            Source::Numbers(column) => self.found(column, doc),
            Source::Signed(column) => self.found(column, doc),
            Source::Text(column) => self.text(column, doc),
            Source::Own(numbers, texts) => match self.found(numbers, doc) {
                MISSING => self.text(texts, doc),
                place => place,
            },
        }
    }

    fn number(&self, number: u64) -> Place {
        Place::from(if self.descending {
            u64::MAX - number
        } else {
            number
        })
    }

    fn found<T>(&self, column: &Option<Column<T>>, doc: DocId) -> Place
    where
        T: MonotonicallyMappableToU64,
    {
        let value = column.as_ref().and_then(|column| column.first(doc));
        value.map_or(MISSING, |value| self.number(value.to_u64()))
    }

    fn text(&self, column: &Option<StrColumn>, doc: DocId) -> Place {
        let ord = column.as_ref().and_then(|column| column.ords().first(doc));
        ord.map_or(MISSING, |ord| TEXT_AFTER_NUMBERS + self.number(ord))
    }

    /// What a place means outside the segment.
    pub(crate) fn rank(&self, place: Place) -> Result<Rank> {
        if place == MISSING {
            return Ok(Rank::Missing);
        }
        let low = place as u64;
        if place < TEXT_AFTER_NUMBERS {
            return Ok(Rank::Number(low));
        }
        let ord = if self.descending { u64::MAX - low } else { low };
        let mut text = String::new();
        if let Source::Text(Some(column)) | Source::Own(_, Some(column)) = &self.source {
            column.ord_to_str(ord, &mut text)?;
        }
        let text = inexact(&text).to_owned();
        Ok(if self.descending {
            Rank::Down(Reverse(text))
        } else {
            Rank::Up(text)
        })
    }
}
