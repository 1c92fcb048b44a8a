//! Field selectors: `metadata.name=x,metadata.namespace!=y`.
//!
//! Only the name and the namespace can be selected by, on every kind; clients need the first to
//! watch one object. A backslash escapes `\`, `,` and `=` in values.

use annals::{FieldTest, ObjectField};

use crate::wire::status::Status;

/// Reads a selector; the empty one selects everything.
pub(super) fn parse(text: &str) -> Result<Vec<FieldTest>, Status> {
    let terms = split(text).into_iter().filter(|term| !term.is_empty());
    terms.map(parse_term).collect()
}

/// The terms between commas that are not escaped.
fn split(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        if byte == b',' && !escaped {
            terms.push(&text[start..at]);
            start = at + 1;
        }
        escaped = byte == b'\\' && !escaped;
    }
    terms.push(&text[start..]);
    terms
}

fn parse_term(term: &str) -> Result<FieldTest, Status> {
    let bad =
        |why: &str| Status::bad_request(format!("fieldSelector: invalid selector {term:?}: {why}"));
    let at = term
        .find(['=', '!'])
        .ok_or_else(|| bad("expected '=', '==' or '!='"))?;
    let (field, rest) = term.split_at(at);
    let operators = [("!=", false), ("==", true), ("=", true)].into_iter();
    let found = operators
        .filter_map(|(op, equals)| Some((rest.strip_prefix(op)?, equals)))
        .next();
    let (value, equals) = found.ok_or_else(|| bad("expected '=', '==' or '!='"))?;
    let field = match field.trim() {
        "metadata.name" => ObjectField::Name,
        "metadata.namespace" => ObjectField::Namespace,
        other => {
            return Err(Status::bad_request(format!(
                "field label not supported: {other}"
            )));
        }
    };
    let value = unescape(value).ok_or_else(|| bad("expected \\\\, \\, or \\= for \\ , or ="))?;
    Ok(FieldTest {
        field,
        equals,
        value,
    })
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next().filter(|c| matches!(c, '\\' | ',' | '='))?),
            '=' => return None,
            c => out.push(c),
        }
    }
    Some(out)
}
