//! Field selectors: `metadata.name=x,metadata.namespace!=y`.
//!
//! Only the name and the namespace can be selected by, on every kind; clients need the first to
//! watch one object. A backslash escapes `\`, `,` and `=` in values.

use crate::wire::status::Status;

/// A parsed field selector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    field: Field,
    equal: bool,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Namespace,
}

impl FieldSelector {
    /// Reads a selector; the empty one selects everything.
    pub fn parse(text: &str) -> Result<Self, Status> {
        let terms = split(text)
            .into_iter()
            .filter(|term| !term.is_empty())
            .map(parse_term);
        Ok(Self {
            terms: terms.collect::<Result<_, _>>()?,
        })
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether an object is selected.
    pub fn matches(&self, namespace: &str, name: &str) -> bool {
        self.terms.iter().all(|term| {
            let found = if term.field == Field::Name {
                name
            } else {
                namespace
            };
            (found == term.value) == term.equal
        })
    }

    /// The only name that can be selected, where there is one.
    pub fn name(&self) -> Option<&str> {
        self.exact(Field::Name)
    }

    /// The only namespace that can be selected, where there is one.
    pub fn namespace(&self) -> Option<&str> {
        self.exact(Field::Namespace)
    }

    fn exact(&self, field: Field) -> Option<&str> {
        let found = self
            .terms
            .iter()
            .find(|term| term.field == field && term.equal);
        found.map(|term| term.value.as_str())
    }
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

fn parse_term(term: &str) -> Result<Term, Status> {
    let bad =
        |why: &str| Status::bad_request(format!("fieldSelector: invalid selector {term:?}: {why}"));
    let at = term
        .find(['=', '!'])
        .ok_or_else(|| bad("expected '=', '==' or '!='"))?;
    let (field, rest) = term.split_at(at);
    let operators = [("!=", false), ("==", true), ("=", true)].into_iter();
    let found = operators
        .filter_map(|(op, equal)| Some((rest.strip_prefix(op)?, equal)))
        .next();
    let (value, equal) = found.ok_or_else(|| bad("expected '=', '==' or '!='"))?;
    let field = match field.trim() {
        "metadata.name" => Field::Name,
        "metadata.namespace" => Field::Namespace,
        other => {
            return Err(Status::bad_request(format!(
                "field label not supported: {other}"
            )));
        }
    };
    let value = unescape(value).ok_or_else(|| bad("expected \\\\, \\, or \\= for \\ , or ="))?;
    Ok(Term {
        field,
        equal,
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
