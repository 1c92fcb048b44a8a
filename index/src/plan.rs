//! From a query to tantivy queries.
//!
//! Every word must be found in some field, the best field counts. Scores are constants, so that
//! they are the same in every shard and segment and can be explained:
//!
//! | where a word is found | as a word | as the beginning (last word only) |
//! | --- | --- | --- |
//! | title | 16 | 12 |
//! | name | 10 | 9 |
//! | tags | 8 | 7 |
//! | own fields | 0.5 to 4 | half of it |
//! | inside a word of the title | 1.5 | |
//! | description, labels, folder, kind, authors | 1 | 0.5 |
//!
//! A title that is the text adds 1,000, a name that is the text 500. Filters add nothing. No text
//! of a person ever reaches tantivy's query parser.

use std::ops::Bound;

use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery, Occur, PhraseQuery,
    Query as TantivyQuery, RangeQuery, TermQuery, TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use crate::error::Result;
use crate::query::{Query, WORDS_MAX, at_most};
use crate::schema::{Fields, OWN_WEIGHTS, exact, label_term, own_term, type_term};
use crate::words::{camel, fold, pieces, trigrams, whole};

const TITLE_IS: f32 = 1_000.0;
const NAME_IS: f32 = 500.0;
const TITLE_WORD: (f32, f32) = (16.0, 12.0);
const NAME_WORD: (f32, f32) = (10.0, 9.0);
const TAG_WORD: (f32, f32) = (8.0, 7.0);
const REST_WORD: (f32, f32) = (1.0, 0.5);
const TITLE_INSIDE: f32 = 1.5;
/// How much the fields count that were not the best for a word.
const OTHER_FIELDS: f32 = 0.05;

type Boxed = Box<dyn TantivyQuery>;

/// A query, cut into words.
pub(crate) struct Plan<'a> {
    fields: &'a Fields,
    query: &'a Query,
    words: Vec<Word>,
    everything: bool,
}

struct Word {
    folded: String,
    parts: Vec<String>,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(fields: &'a Fields, query: &'a Query) -> Result<Plan<'a>> {
        query.check()?;
        let text = query.text.trim();
        let everything = text.is_empty() || text == "*";
        let mut words: Vec<Word> = Vec::new();
        for piece in pieces(text) {
            let folded = fold(piece);
            if !folded.is_empty() {
                words.push(Word {
                    folded,
                    parts: camel(piece),
                });
            }
            at_most("text", words.len(), WORDS_MAX, "words")?;
        }
        Ok(Plan {
            fields,
            query,
            words,
            everything,
        })
    }

    /// Whether documents are scored at all.
    pub(crate) fn is_scored(&self) -> bool {
        !self.everything
    }

    /// Whether there is anything to relax: of one word, "all" and "some" are the same.
    pub(crate) fn can_relax(&self) -> bool {
        self.words.len() > 1
    }

    /// The query that asks for all words.
    pub(crate) fn strict(&self) -> Boxed {
        self.build(Occur::Must)
    }

    /// The query that asks for some of the words.
    pub(crate) fn relaxed(&self) -> Boxed {
        self.build(Occur::Should)
    }

    fn build(&self, occur: Occur) -> Boxed {
        let mut clauses = self.filters();
        if self.everything {
            let aside = TermQuery::new(self.fields.aside_term(), IndexRecordOption::Basic);
            clauses.push((Occur::Must, Box::new(AllQuery)));
            clauses.push((Occur::MustNot, Box::new(aside)));
        } else if self.words.is_empty() {
            return Box::new(EmptyQuery);
        } else {
            clauses.push((Occur::Must, self.text(occur)));
            let text = whole(&self.query.text);
            let title = term(self.fields.title_whole, &text, TITLE_IS);
            clauses.push((Occur::Should, title));
            clauses.push((Occur::Should, term(self.fields.name_whole, &text, NAME_IS)));
        }
        Box::new(BooleanQuery::new(clauses))
    }

    fn text(&self, occur: Occur) -> Boxed {
        let last = self.words.len().saturating_sub(1);
        let words = self.words.iter().enumerate();
        let clauses = words
            .map(|(at, word)| (occur, self.word(word, at == last)))
            .collect();
        Box::new(BooleanQuery::new(clauses))
    }

    /// A word, in whatever field it counts most.
    fn word(&self, word: &Word, is_last: bool) -> Boxed {
        let mut places = Vec::new();
        let mut place = |field: Field, (as_word, as_beginning): (f32, f32)| {
            places.push(term(field, &word.folded, as_word));
            if is_last {
                places.push(beginning(field, &word.folded, as_beginning));
            }
            if !word.parts.is_empty() {
                places.push(all_terms(field, &word.parts, as_word));
            }
        };
        place(self.fields.title_words, TITLE_WORD);
        place(self.fields.name_words, NAME_WORD);
        place(self.fields.tag_words, TAG_WORD);
        place(self.fields.rest_words, REST_WORD);
        for (field, weight) in self.fields.own_words.into_iter().zip(OWN_WEIGHTS) {
            place(field, (weight, weight / 2.0));
        }
        places.extend(inside(self.fields.title_grams, &word.folded));
        Box::new(DisjunctionMaxQuery::with_tie_breaker(places, OTHER_FIELDS))
    }

    fn filters(&self) -> Vec<(Occur, Boxed)> {
        let (fields, query) = (self.fields, self.query);
        let mut filters = Vec::new();
        let mut must = |filter: Boxed| filters.push((Occur::Must, unscored(filter)));
        if let Some(namespace) = &query.namespace {
            must(one(fields.namespace, exact(namespace)));
        }
        if !query.types.is_empty() {
            must(any(
                fields.typ,
                query.types.iter().map(|(group, res)| type_term(group, res)),
            ));
        }
        if let Some(folder) = &query.folder {
            must(one(fields.folder, exact(folder)));
        }
        for tag in &query.tags {
            must(one(fields.tag, tag));
        }
        for (key, value) in &query.labels {
            must(one(fields.label, &label_term(key, value)));
        }
        if !query.names.is_empty() {
            must(any(fields.name, query.names.iter().cloned()));
        }
        for (name, value) in &query.fields {
            must(any(
                fields.own,
                own_values(value)
                    .into_iter()
                    .map(|value| own_term(name, &value)),
            ));
        }
        filters
    }
}

/// The ways a value may have been indexed: as text, or as the number it reads as.
fn own_values(value: &str) -> Vec<String> {
    let mut values = vec![value.to_owned()];
    if let Ok(number) = value.trim().parse::<f64>() {
        values.push(number.to_string());
    }
    values
}

fn one(field: Field, text: &str) -> Boxed {
    let term = Term::from_field_text(field, text);
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn any(field: Field, texts: impl Iterator<Item = String>) -> Boxed {
    Box::new(TermSetQuery::new(
        texts.map(|text| Term::from_field_text(field, &text)),
    ))
}

fn unscored(query: Boxed) -> Boxed {
    Box::new(ConstScoreQuery::new(query, 0.0))
}

fn term(field: Field, text: &str, score: f32) -> Boxed {
    Box::new(ConstScoreQuery::new(one(field, text), score))
}

fn all_terms(field: Field, texts: &[String], score: f32) -> Boxed {
    let terms = texts
        .iter()
        .map(|text| (Occur::Must, one(field, text)))
        .collect();
    Box::new(ConstScoreQuery::new(
        Box::new(BooleanQuery::new(terms)),
        score,
    ))
}

/// Words that begin with the text: the terms from it up to the last one with it in front.
fn beginning(field: Field, text: &str, score: f32) -> Boxed {
    let from = Term::from_field_text(field, text);
    let to = Term::from_field_text(field, &format!("{text}{}", char::MAX));
    let range = RangeQuery::new(Bound::Included(from), Bound::Included(to));
    Box::new(ConstScoreQuery::new(Box::new(range), score))
}

/// Words that hold the text somewhere: its runs of three in sequence. None if it is too short.
fn inside(field: Field, text: &str) -> Option<Boxed> {
    let grams = trigrams(text);
    let query: Boxed = match grams.as_slice() {
        [] => return None,
        [gram] => one(field, gram),
        grams => {
            let terms = grams
                .iter()
                .map(|gram| Term::from_field_text(field, gram))
                .collect();
            Box::new(PhraseQuery::new(terms))
        }
    };
    Some(Box::new(ConstScoreQuery::new(query, TITLE_INSIDE)))
}
