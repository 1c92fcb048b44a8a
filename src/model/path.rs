//! JSONPath as Kubernetes uses it for printer columns and search fields.
//!
//! A path is a list of steps from an object to values inside it:
//!
//! ```text
//! .spec.title                                   a field
//! .metadata.annotations['grafana\.app/folder']  a field with dots in its name
//! .spec.panels[*].title                         every entry of a list, every value of an object
//! .spec.panels[0]   .spec.panels[-1]            one entry, from the front or from the back
//! .status.conditions[?(@.type=="Ready")].status the entries whose field has a value
//! ```
//!
//! Search fields are declared with paths; a server also prints columns by them. Paths,
//! steps and matches are limited. Absent on purpose: recursive descent (`..`), slices, unions and
//! filters other than one comparison; they have no use in a column and no bound on their cost.

use serde_json::Value;

/// The longest path, in bytes.
pub const PATH_BYTES_MAX: usize = 1024;
/// The most steps of a path.
pub const PATH_STEPS_MAX: usize = 32;
/// The most values that one path finds.
pub const PATH_MATCHES_MAX: usize = 10_000;

/// How much of a wrong path its error shows.
const SHOWN_CHARS: usize = 128;

/// A parsed path: `.spec.panels[*].title`. It has fields, list entries by place (`[0]`, `[-1]`),
/// all entries (`[*]`) and those with a field of a value (`[?(@.type=="Ready")]`).
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Filter {
        field: Vec<String>,
        equal: bool,
        value: Value,
    },
}

/// Why a path was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("JSONPath {path:?} at byte {at}: expected {expected}")]
pub struct PathError {
    /// The path, or its beginning.
    pub path: String,
    /// Where in it the fault is.
    pub at: usize,
    /// What should be there.
    pub expected: &'static str,
}

impl Path {
    /// Reads a path; surrounding braces, as in `{.spec.title}`, are allowed.
    ///
    /// # Errors
    ///
    /// [`PathError`] for a text that is no path, or has more than [`PATH_BYTES_MAX`] bytes or
    /// [`PATH_STEPS_MAX`] steps: where, and what should be there.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut reader = Reader { text, at: 0 };
        if text.len() > PATH_BYTES_MAX {
            return Err(reader.expected("at most 1,024 bytes"));
        }
        let braced = reader.take("{");
        reader.take("$");
        let mut steps = Vec::new();
        let end = if braced { "}" } else { "" };
        while reader.rest() != end {
            if steps.len() == PATH_STEPS_MAX {
                return Err(reader.expected("at most 32 steps"));
            }
            if reader.take("[") {
                steps.push(reader.bracket()?);
            } else if reader.take(".") {
                if reader.rest() == end && steps.is_empty() {
                    break;
                }
                steps.push(reader.dotted()?);
            } else {
                return Err(reader.expected("'.' or '['"));
            }
        }
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }

    /// The text the path was read from.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the path names one place: no wildcard and no filter.
    pub fn is_simple(&self) -> bool {
        self.steps
            .iter()
            .all(|step| matches!(step, Step::Field(_) | Step::Index(_)))
    }

    /// The values the path leads to, in the order of the document; at most [`PATH_MATCHES_MAX`].
    pub fn find<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![root];
        for step in &self.steps {
            found = found
                .into_iter()
                .flat_map(|value| step.apply(value))
                .take(PATH_MATCHES_MAX)
                .collect();
        }
        found
    }
}

impl Step {
    fn apply<'a>(&self, value: &'a Value) -> Box<dyn Iterator<Item = &'a Value> + 'a> {
        match (self, value) {
            (Self::Field(name), Value::Object(map)) => Box::new(map.get(name).into_iter()),
            (Self::Index(index), Value::Array(list)) => {
                let back = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
                let place = if *index < 0 {
                    list.len().checked_sub(back)
                } else {
                    Some(back)
                };
                Box::new(place.and_then(|place| list.get(place)).into_iter())
            }
            (Self::All, Value::Array(list)) => Box::new(list.iter()),
            (Self::All, Value::Object(map)) => Box::new(map.values()),
            (
                Self::Filter {
                    field,
                    equal,
                    value: wanted,
                },
                Value::Array(list),
            ) => {
                let (field, equal, wanted) = (field.clone(), *equal, wanted.clone());
                Box::new(list.iter().filter(move |entry| {
                    let found = field.iter().try_fold(*entry, |value, name| value.get(name));
                    found.is_some_and(|found| (*found == wanted) == equal)
                }))
            }
            _ => Box::new(std::iter::empty()),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn expected(&self, expected: &'static str) -> PathError {
        PathError {
            path: self.text.chars().take(SHOWN_CHARS).collect(),
            at: self.at,
            expected,
        }
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn need(&mut self, token: &str, expected: &'static str) -> Result<(), PathError> {
        if self.take(token) {
            Ok(())
        } else {
            Err(self.expected(expected))
        }
    }

    fn spaces(&mut self) {
        while self.take(" ") {}
    }

    /// A field name after a dot; a backslash keeps the character after it.
    fn name(&mut self) -> Result<String, PathError> {
        let mut name = String::new();
        let mut chars = self.rest().chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => name.extend(chars.next()),
                '.' | '[' | ']' | '{' | '}' | '(' | ')' | '=' | '!' | '<' | '>' | ' ' | '\''
                | '"' | '@' | '$' | '*' | '?' | ',' => break,
                c => name.push(c),
            }
            self.at = self.text.len() - chars.as_str().len();
        }
        if name.is_empty() {
            Err(self.expected("a field name"))
        } else {
            Ok(name)
        }
    }

    fn dotted(&mut self) -> Result<Step, PathError> {
        match self.take("*") {
            true => Ok(Step::All),
            false => self.name().map(Step::Field),
        }
    }

    fn bracket(&mut self) -> Result<Step, PathError> {
        let step = if self.take("*") {
            Step::All
        } else if self.rest().starts_with(['\'', '"']) {
            Step::Field(self.quoted()?)
        } else if self.take("?(") {
            let step = self.filter()?;
            self.need(")", "')'")?;
            step
        } else {
            Step::Index(self.number()?)
        };
        self.need("]", "']'")?;
        Ok(step)
    }

    fn quoted(&mut self) -> Result<String, PathError> {
        let mut chars = self.rest().chars();
        let quote = chars.next();
        let mut text = String::new();
        while let Some(c) = chars.next() {
            match c {
                '\\' => text.extend(chars.next()),
                c if Some(c) == quote => {
                    self.at = self.text.len() - chars.as_str().len();
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        Err(self.expected("a closed quotation"))
    }

    fn number(&mut self) -> Result<i64, PathError> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '-')
            .unwrap_or(rest.len());
        let number = rest[..end].parse();
        let number = number.map_err(|_| self.expected("'*', a number, a quoted name or '?('"))?;
        self.at += end;
        Ok(number)
    }

    fn filter(&mut self) -> Result<Step, PathError> {
        self.spaces();
        self.need("@", "'@'")?;
        let mut field = Vec::new();
        while self.take(".") {
            field.push(self.name()?);
        }
        self.spaces();
        let equal = self.take("==");
        if !equal {
            self.need("!=", "'==' or '!='")?;
        }
        self.spaces();
        let value = self.literal()?;
        self.spaces();
        Ok(Step::Filter {
            field,
            equal,
            value,
        })
    }

    fn literal(&mut self) -> Result<Value, PathError> {
        if self.rest().starts_with(['\'', '"']) {
            return self.quoted().map(Value::String);
        }
        for (word, value) in [("true", true), ("false", false)] {
            if self.take(word) {
                return Ok(Value::Bool(value));
            }
        }
        self.number().map(Value::from)
    }
}

#[cfg(test)]
mod tests {
    //! Catches a path that finds the wrong values, or a bad path that is taken for a good one.

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check(path: &str, expected: Value) {
        let object = json!({
            "spec": {"title": "t", "panels": [{"type": "a", "n": 1}, {"type": "b", "n": 2}]},
            "metadata": {"annotations": {"grafana.app/folder": "f"}},
        });
        let path = Path::parse(path).unwrap();
        let found: Vec<Value> = path.find(&object).into_iter().cloned().collect();
        assert_eq!(Value::from(found), expected, "{}", path.as_str());
    }

    #[test]
    fn paths_find_what_they_name() {
        check(".spec.title", json!(["t"]));
        check("{.spec.title}", json!(["t"]));
        check("$.spec['title']", json!(["t"]));
        check(".spec.missing.deeper", json!([]));
        check(
            r".metadata.annotations['grafana\.app/folder']",
            json!(["f"]),
        );
        check(r".metadata.annotations.grafana\.app/folder", json!(["f"]));
        check(".spec.panels[*].type", json!(["a", "b"]));
        check(".spec.panels[-1].type", json!(["b"]));
        check(".spec.panels[7].type", json!([]));
        check(r#".spec.panels[?(@.type=="b")].n"#, json!([2]));
        check(".spec.panels[?( @.n != 2 )].type", json!(["a"]));
        check(".spec.panels[?(@.n==2)].type", json!(["b"]));
    }

    #[test]
    fn bad_paths_are_refused_with_their_place() {
        for bad in [
            "spec",
            ".spec..title",
            ".a[",
            ".a[x]",
            ".a['b]",
            ".a[?(@.b=1)]",
            ".a[1:2]",
            "{.a",
        ] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
        let error = Path::parse(".spec[").unwrap_err();
        assert_eq!(error.at, 6);
        assert!(Path::parse(&".a".repeat(33)).is_err());
        assert!(Path::parse(&format!(".{}", "a".repeat(1024))).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[.a\\[\\]'\"*?()@=!{}$\\\\0-9é-]{0,24}") {
            if let Ok(path) = Path::parse(&text) {
                path.find(&json!({"a": [{"a": 0}]}));
            }
        }
    }
}
