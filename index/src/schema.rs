//! The fixed tantivy schema, and how a document is laid into it.
//!
//! ```text
//! key, type, namespace, name, folder, kind, tag   exact terms, with columns
//! label ("k=v"), own ("name NUL value")           exact terms, with columns
//! title_whole, name_whole                         the folded whole, for "is exactly"
//! title_words, name_words, tag_words, rest_words  words; rest is description, labels, folder ...
//! own_words_0 .. own_words_3                      words of own fields, by weight class
//! title_grams                                     runs of three characters, with positions
//! version, created, updated, title_length         numbers, columns only
//! sort (JSON)                                     one column per sortable own field
//! aside                                           marks a document that was set aside
//! stored                                          what a hit carries, as JSON
//! ```
//!
//! The fields of a kind never change the schema: their words go by weight into four fields, their
//! exact values into one, their sort values into one JSON field. All words are cut by
//! [`crate::words`] before tantivy sees them. Scores are constants per field, so postings hold no
//! frequencies. A change of this file that changes what is indexed needs a new [`SCHEMA_ID`].

use std::collections::{BTreeMap, BTreeSet};

use tantivy::schema::{
    FAST, Field, IndexRecordOption, JsonObjectOptions, OwnedValue, STORED, Schema,
    TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{PreTokenizedString, Token};
use tantivy::{TantivyDocument, Term};

use crate::document::{Document, DocumentKey, FieldKind, FieldValue, KEY_BYTES_MAX, Value};
use crate::seal::sum;
use crate::stored::{Aside, Stored};
use crate::words::{fold, pieces, trigrams, whole, words};

/// Names the layout; an index of another one is rebuilt.
pub(crate) const SCHEMA_ID: &str = "annals-1/tantivy-0.27";

/// The weights own fields are rounded to, one words field each.
pub(crate) const OWN_WEIGHTS: [f32; 4] = [0.5, 1.0, 2.0, 4.0];

/// The value of an empty namespace, folder or kind: tantivy finds no empty term.
const EMPTY: &str = "\u{0}";

/// The fields of the schema.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    pub(crate) key: Field,
    pub(crate) kind: Field,
    pub(crate) typ: Field,
    pub(crate) namespace: Field,
    pub(crate) name: Field,
    pub(crate) folder: Field,
    pub(crate) tag: Field,
    pub(crate) label: Field,
    pub(crate) own: Field,
    pub(crate) title_whole: Field,
    pub(crate) name_whole: Field,
    pub(crate) title_words: Field,
    pub(crate) name_words: Field,
    pub(crate) tag_words: Field,
    pub(crate) rest_words: Field,
    pub(crate) own_words: [Field; 4],
    pub(crate) title_grams: Field,
    pub(crate) aside: Field,
    pub(crate) stored: Field,
    version: Field,
    created: Field,
    updated: Field,
    title_length: Field,
    sort: Field,
}

/// The schema with its fields.
pub(crate) fn layout() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let text = |index| {
        TextOptions::default().set_indexing_options(
            TextFieldIndexing::default()
                .set_tokenizer("raw")
                .set_index_option(index)
                .set_fieldnorms(false),
        )
    };
    let term = text(IndexRecordOption::Basic);
    let column = term.clone().set_fast("raw");
    let grams = text(IndexRecordOption::WithFreqsAndPositions);
    let own_words = |schema: &mut tantivy::schema::SchemaBuilder| {
        [0, 1, 2, 3].map(|class| schema.add_text_field(&format!("own_words_{class}"), term.clone()))
    };
    let fields = Fields {
        key: schema.add_text_field("key", column.clone()),
        typ: schema.add_text_field("type", column.clone()),
        namespace: schema.add_text_field("namespace", column.clone()),
        name: schema.add_text_field("name", column.clone()),
        folder: schema.add_text_field("folder", column.clone()),
        kind: schema.add_text_field("kind", column.clone()),
        tag: schema.add_text_field("tag", column.clone()),
        label: schema.add_text_field("label", column.clone()),
        own: schema.add_text_field("own", column.clone()),
        title_whole: schema.add_text_field("title_whole", column),
        name_whole: schema.add_text_field("name_whole", term.clone()),
        title_words: schema.add_text_field("title_words", term.clone()),
        name_words: schema.add_text_field("name_words", term.clone()),
        tag_words: schema.add_text_field("tag_words", term.clone()),
        rest_words: schema.add_text_field("rest_words", term.clone()),
        own_words: own_words(&mut schema),
        title_grams: schema.add_text_field("title_grams", grams),
        aside: schema.add_text_field("aside", term),
        stored: schema.add_bytes_field("stored", STORED),
        version: schema.add_u64_field("version", FAST),
        created: schema.add_i64_field("created", FAST),
        updated: schema.add_i64_field("updated", FAST),
        title_length: schema.add_u64_field("title_length", FAST),
        sort: schema.add_json_field("sort", JsonObjectOptions::default().set_fast("raw")),
    };
    (schema.build(), fields)
}

/// A value as an exact term: never empty.
pub(crate) fn exact(value: &str) -> &str {
    if value.is_empty() { EMPTY } else { value }
}

/// The value behind an exact term.
pub(crate) fn inexact(term: &str) -> &str {
    if term == EMPTY { "" } else { term }
}

/// A type as an exact term.
pub(crate) fn type_term(group: &str, resource: &str) -> String {
    format!("{group}/{resource}")
}

/// A label as an exact term. A key holds no `=`; if one does, the term is merely ambiguous.
pub(crate) fn label_term(key: &str, value: &str) -> String {
    format!("{key}={value}")
}

/// A value of an own field as an exact term.
pub(crate) fn own_term(name: &str, value: &str) -> String {
    format!("{name}\0{value}")
}

/// The column of the sort values of an own field. Hexadecimal, because a name may hold dots.
pub(crate) fn sort_column(name: &str) -> String {
    name.bytes().fold(String::from("f"), |mut path, byte| {
        path.push_str(&format!("{byte:02x}"));
        path
    })
}

/// What a document is deleted and ordered by. Keys that could not be told apart in this form, or
/// are too long for a term, are represented by their sum; their documents are set aside anyway.
pub(crate) fn key_term(key: &DocumentKey) -> String {
    let DocumentKey {
        group,
        resource,
        namespace,
        name,
    } = key;
    let term = format!("{resource}\0{namespace}\0{name}\0{group}");
    if term.len() > KEY_BYTES_MAX + 3 || term.bytes().filter(|&byte| byte == 0).count() > 3 {
        return format!("\u{1}{:016x}", sum(term.as_bytes()));
    }
    term
}

impl Fields {
    /// The term that names a document.
    pub(crate) fn key_term(&self, key: &DocumentKey) -> Term {
        Term::from_field_text(self.key, &key_term(key))
    }

    /// The term all documents carry that were set aside.
    pub(crate) fn aside_term(&self) -> Term {
        Term::from_field_text(self.aside, "aside")
    }

    /// A document, laid out; or, if it cannot be indexed, the mark in its place.
    pub(crate) fn lay_out(&self, document: &Document) -> TantivyDocument {
        match document.check() {
            Ok(()) => self.lay_out_sound(document),
            Err(reason) => self.lay_out_aside(document, reason),
        }
    }

    fn lay_out_aside(&self, document: &Document, reason: String) -> TantivyDocument {
        let mut row = TantivyDocument::new();
        row.add_text(self.key, key_term(&document.key));
        row.add_text(self.aside, "aside");
        row.add_u64(self.version, document.version);
        row.add_bytes(self.stored, &Aside::new(document, reason).bytes());
        row
    }

    fn lay_out_sound(&self, document: &Document) -> TantivyDocument {
        let mut row = TantivyDocument::new();
        let key = &document.key;
        row.add_text(self.key, key_term(key));
        row.add_text(self.typ, type_term(&key.group, &key.resource));
        row.add_text(self.namespace, exact(&key.namespace));
        row.add_text(self.name, &key.name);
        row.add_text(self.folder, exact(&document.folder));
        row.add_text(self.kind, exact(&document.kind));
        for tag in document
            .tags
            .iter()
            .filter(|tag| !tag.is_empty())
            .collect::<BTreeSet<_>>()
        {
            row.add_text(self.tag, tag);
            add_words(&mut row, self.tag_words, words(tag));
        }
        for (key, value) in document.labels.iter().collect::<BTreeSet<_>>() {
            row.add_text(self.label, label_term(key, value));
        }
        let title = whole(&document.title);
        row.add_u64(self.title_length, title.split(' ').count() as u64);
        row.add_text(self.title_whole, exact(&title));
        row.add_text(self.name_whole, exact(&whole(&key.name)));
        add_words(&mut row, self.title_words, words(&document.title));
        add_words(&mut row, self.name_words, words(&key.name));
        add_words(&mut row, self.rest_words, rest(document));
        self.add_grams(&mut row, &document.title);
        row.add_u64(self.version, document.version);
        row.add_i64(self.created, document.created_ms);
        row.add_i64(self.updated, document.updated_ms);
        self.add_own(&mut row, &document.fields);
        row.add_bytes(self.stored, &Stored::new(document).bytes());
        row
    }

    /// Runs of three characters with positions, a gap between the words: a sequence of them is a
    /// piece of one word.
    fn add_grams(&self, row: &mut TantivyDocument, title: &str) {
        let mut tokens = Vec::new();
        let mut position = 0;
        for piece in pieces(title) {
            for gram in trigrams(&fold(piece)) {
                tokens.push(token(gram, position));
                position += 1;
            }
            position += 2;
        }
        add_tokens(row, self.title_grams, tokens);
    }

    fn add_own(&self, row: &mut TantivyDocument, fields: &[FieldValue]) {
        let mut sort = BTreeMap::new();
        for FieldValue { spec, values } in fields {
            if spec.filterable {
                for value in values.iter().map(canonical).collect::<BTreeSet<_>>() {
                    row.add_text(self.own, own_term(&spec.name, &value));
                }
            }
            for value in values {
                if let (Value::Text(text), Some(class)) = (value, weight_class(spec.weight)) {
                    add_words(row, self.own_words[class], words(text));
                }
            }
            if let (true, Some(first)) = (spec.sortable, values.first()) {
                sort.insert(sort_column(&spec.name), sort_value(spec.kind, first));
            }
        }
        if !sort.is_empty() {
            row.add_object(self.sort, sort);
        }
    }
}

/// The weight class of a weight; none if words are not to be found.
fn weight_class(weight: f32) -> Option<usize> {
    match weight {
        weight if weight.is_nan() || weight <= 0.0 => None,
        weight if weight < 0.75 => Some(0),
        weight if weight < 1.5 => Some(1),
        weight if weight < 3.0 => Some(2),
        _ => Some(3),
    }
}

/// How a value is written in exact terms.
pub(crate) fn canonical(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Date(date_ms) => date_ms.to_string(),
    }
}

fn sort_value(kind: FieldKind, value: &Value) -> OwnedValue {
    match value {
        Value::Text(text) if kind == FieldKind::Text => OwnedValue::Str(whole(text)),
        Value::Text(text) => OwnedValue::Str(text.clone()),
        Value::Number(number) => OwnedValue::F64(*number),
        Value::Bool(truth) => OwnedValue::F64(f64::from(u8::from(*truth))),
        Value::Date(date_ms) => OwnedValue::F64(*date_ms as f64),
    }
}

fn rest(document: &Document) -> Vec<String> {
    let mut rest = words(&document.description);
    for (key, value) in &document.labels {
        rest.extend(words(key));
        rest.extend(words(value));
    }
    for text in [
        &document.folder,
        &document.kind,
        &document.created_by,
        &document.updated_by,
    ] {
        rest.extend(words(text));
    }
    rest
}

fn add_words(row: &mut TantivyDocument, field: Field, mut words: Vec<String>) {
    words.sort_unstable();
    words.dedup();
    let tokens = words
        .into_iter()
        .enumerate()
        .map(|(at, word)| token(word, at))
        .collect();
    add_tokens(row, field, tokens);
}

fn add_tokens(row: &mut TantivyDocument, field: Field, tokens: Vec<Token>) {
    if !tokens.is_empty() {
        row.add_pre_tokenized_text(
            field,
            PreTokenizedString {
                text: String::new(),
                tokens,
            },
        );
    }
}

fn token(text: String, position: usize) -> Token {
    Token {
        offset_from: 0,
        offset_to: 0,
        position,
        text,
        position_length: 1,
    }
}
