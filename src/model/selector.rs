//! Label selectors, with the whole Kubernetes grammar.
//!
//! ```text
//! selector    = requirement { "," requirement }
//! requirement = key | "!" key | key ("=" | "==" | "!=") value | key ("in" | "notin") "(" values ")"
//!             | key (">" | "<") integer
//! values      = value { "," value }          a value may be empty
//! ```
//!
//! Source: kubernetes.io, "Labels and Selectors". As there, `!=` and `notin` also match objects
//! that do not have the label at all.

use std::fmt;
use std::str::FromStr;

/// The longest selector text, in bytes.
pub const SELECTOR_BYTES_MAX: usize = 4096;
const REQUIREMENTS_MAX: usize = 256;

/// A conjunction of requirements on labels. The default matches everything.
///
/// It is read from a text, `"team=news,env in (dev,test),!old".parse()`, of at most
/// [`SELECTOR_BYTES_MAX`] bytes and 256 requirements. As in Kubernetes, `!=` and `notin` also match
/// objects without the label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// What it is compared with: sorted, without duplicates.
    pub values: Vec<String>,
}

/// How a requirement compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The label is one of the values (`=`, `==`, `in`).
    In,
    /// The label is none of the values, or absent (`!=`, `notin`).
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    Absent,
    /// The label is an integer above the value (`>`).
    Greater,
    /// The label is an integer below the value (`<`).
    Less,
}

/// Why a text is not a label selector, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("label selector, at byte {at}: {problem}")]
pub struct SelectorError {
    at: usize,
    problem: String,
}

impl LabelSelector {
    /// The selector of these requirements, whose texts are taken as they are.
    #[must_use]
    pub fn new(requirements: Vec<Requirement>) -> Self {
        LabelSelector { requirements }
    }

    /// Whether everything matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The requirements, in the order they were written.
    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether an object whose labels this function looks up is chosen.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.matches(label(&requirement.key)))
    }
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let among = |value: &str| self.values.iter().any(|one| one == value);
        match self.operator {
            Operator::In => value.is_some_and(among),
            Operator::NotIn => !value.is_some_and(among),
            Operator::Exists => value.is_some(),
            Operator::Absent => value.is_none(),
            Operator::Greater => self
                .compare(value)
                .is_some_and(|(label, bound)| label > bound),
            Operator::Less => self
                .compare(value)
                .is_some_and(|(label, bound)| label < bound),
        }
    }

    fn compare(&self, value: Option<&str>) -> Option<(i64, i64)> {
        Some((value?.parse().ok()?, self.values.first()?.parse().ok()?))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Requirement {
            key,
            operator,
            values,
        } = self;
        let list = values.join(",");
        match operator {
            Operator::In if values.len() == 1 => write!(f, "{key}={list}"),
            Operator::In => write!(f, "{key} in ({list})"),
            Operator::NotIn if values.len() == 1 => write!(f, "{key}!={list}"),
            Operator::NotIn => write!(f, "{key} notin ({list})"),
            Operator::Exists => write!(f, "{key}"),
            Operator::Absent => write!(f, "!{key}"),
            Operator::Greater => write!(f, "{key}>{list}"),
            Operator::Less => write!(f, "{key}<{list}"),
        }
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, requirement) in self.requirements.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

impl FromStr for LabelSelector {
    type Err = SelectorError;

    /// Reads a selector; the empty text matches everything. The error says at which byte the text
    /// is wrong, and what was expected.
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text.len() > SELECTOR_BYTES_MAX {
            let problem = format!("a selector has at most {SELECTOR_BYTES_MAX} bytes");
            return Err(SelectorError {
                at: SELECTOR_BYTES_MAX,
                problem,
            });
        }
        let mut parser = Parser { text, at: 0 };
        let mut requirements = Vec::new();
        if parser.peek() == Token::End {
            return Ok(LabelSelector::default());
        }
        loop {
            requirements.push(parser.requirement()?);
            if requirements.len() > REQUIREMENTS_MAX {
                return parser.fail(format!("a selector has at most {REQUIREMENTS_MAX} parts"));
            }
            match parser.next() {
                Token::End => return Ok(LabelSelector { requirements }),
                Token::Sign(",") => {}
                other => return parser.fail(format!("expected ',' or the end, found {other}")),
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Sign(&'static str),
    End,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(word) => write!(f, "{word:?}"),
            Token::Sign(sign) => write!(f, "'{sign}'"),
            Token::End => f.write_str("the end"),
        }
    }
}

/// Longer signs first, so that `==` is not read as two.
const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", "<", ">"];

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn fail<T>(&self, problem: String) -> Result<T, SelectorError> {
        Err(SelectorError {
            at: self.at,
            problem,
        })
    }

    /// The next token and where it ends.
    fn scan(&self) -> (Token<'a>, usize) {
        let rest = self.text[self.at..].trim_start();
        let start = self.text.len() - rest.len();
        if rest.is_empty() {
            return (Token::End, start);
        }
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            return (Token::Sign(sign), start + sign.len());
        }
        let end = rest.find(|c: char| c.is_whitespace() || "=!(),<>".contains(c));
        let word = &rest[..end.unwrap_or(rest.len())];
        (Token::Word(word), start + word.len())
    }

    fn peek(&self) -> Token<'a> {
        self.scan().0
    }

    fn next(&mut self) -> Token<'a> {
        let (token, end) = self.scan();
        self.at = end;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        if self.peek() == Token::Sign("!") {
            self.next();
            let key = self.key()?;
            return Ok(Requirement {
                key,
                operator: Operator::Absent,
                values: Vec::new(),
            });
        }
        let key = self.key()?;
        let (operator, values) = match self.peek() {
            Token::End | Token::Sign(",") => (Operator::Exists, Vec::new()),
            Token::Sign("=" | "==") => (Operator::In, self.one_value()?),
            Token::Sign("!=") => (Operator::NotIn, self.one_value()?),
            Token::Sign(">") => (Operator::Greater, self.integer()?),
            Token::Sign("<") => (Operator::Less, self.integer()?),
            Token::Word("in") => (Operator::In, self.value_list()?),
            Token::Word("notin") => (Operator::NotIn, self.value_list()?),
            other => {
                return self.fail(format!("expected an operator after {key:?}, found {other}"));
            }
        };
        Ok(Requirement {
            key,
            operator,
            values,
        })
    }

    fn key(&mut self) -> Result<String, SelectorError> {
        match self.next() {
            Token::Word(word) if is_qualified_name(word) => Ok(word.to_owned()),
            Token::Word(word) => self.fail(format!(
                "{word:?} is not a label key: expected an optional DNS prefix and '/', then up to \
                 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends"
            )),
            other => self.fail(format!("expected a label key, found {other}")),
        }
    }

    /// A value, which may be empty when a comma, a bracket or the end follows at once.
    fn value(&mut self) -> Result<String, SelectorError> {
        match self.peek() {
            Token::Word(word) => {
                self.next();
                if is_label_value(word) {
                    return Ok(word.to_owned());
                }
                self.fail(format!(
                    "{word:?} is not a label value: expected up to 63 letters, digits, '-', '_' \
                     or '.', with a letter or digit at both ends"
                ))
            }
            Token::End | Token::Sign("," | ")") => Ok(String::new()),
            other @ Token::Sign(_) => self.fail(format!("expected a value, found {other}")),
        }
    }

    fn one_value(&mut self) -> Result<Vec<String>, SelectorError> {
        self.next();
        Ok(vec![self.value()?])
    }

    fn integer(&mut self) -> Result<Vec<String>, SelectorError> {
        let values = self.one_value()?;
        if values.iter().all(|value| value.parse::<i64>().is_ok()) {
            return Ok(values);
        }
        self.fail("'<' and '>' compare with an integer".to_owned())
    }

    fn value_list(&mut self) -> Result<Vec<String>, SelectorError> {
        self.next();
        match self.next() {
            Token::Sign("(") => {}
            other => return self.fail(format!("expected '(', found {other}")),
        }
        let mut values = Vec::new();
        loop {
            values.push(self.value()?);
            match self.next() {
                Token::Sign(",") => {}
                Token::Sign(")") => break,
                other => return self.fail(format!("expected ',' or ')', found {other}")),
            }
        }
        values.sort();
        values.dedup();
        Ok(values)
    }
}

/// Up to 63 letters, digits, `-`, `_`, `.`, with a letter or digit at both ends.
fn is_short_name(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 63
        && text.starts_with(edge)
        && text.ends_with(edge)
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_short_name(text)
}

/// A short name, or a DNS subdomain, a slash and a short name.
fn is_qualified_name(text: &str) -> bool {
    match text.split_once('/') {
        None => is_short_name(text),
        Some((prefix, name)) => {
            let label = |part: &str| {
                let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
                part.starts_with(edge)
                    && part.ends_with(edge)
                    && part
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            };
            prefix.len() <= 253 && prefix.split('.').all(label) && is_short_name(name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn chosen(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels: BTreeMap<_, _> = labels.iter().copied().collect();
        let selector: LabelSelector = selector.parse().unwrap();
        selector.matches(|key| labels.get(key).copied())
    }

    #[test]
    fn follows_the_grammar() {
        let labels = [
            ("app", "web"),
            ("tier", "3"),
            ("a.io/b", ""),
            ("in", "notin"),
        ];
        let yes = [
            "",
            "  ",
            "app",
            "app=web",
            "app == web",
            "app in (db, web)",
            "app notin (db)",
            "app!=db",
            "x!=y",
            "!x",
            "x notin (a,b)",
            "a.io/b=",
            "a.io/b in (,x)",
            "tier>2",
            "tier<4",
            "app=web,tier=3,!x",
            "in in (notin)",
            "in",
            "app in (web,web)",
        ];
        for selector in yes {
            assert!(chosen(selector, &labels), "{selector}");
        }
        let no = [
            "x",
            "app=db",
            "app in ()",
            "!app",
            "app notin (web)",
            "tier>3",
            "app>1",
            "x=y",
        ];
        for selector in no {
            assert!(!chosen(selector, &labels), "{selector}");
        }
    }

    #[test]
    fn says_where_it_is_wrong() {
        let bad = [
            ",",
            "a,",
            "a b",
            "=x",
            "a=b c",
            "a in b",
            "a in (b",
            "a in (b c)",
            "a!b",
            "a>x",
            "a>",
            "-a",
            "a=-b",
            "a/b/c",
            "A/b",
            "ä=1",
            "a=ä",
            "(a)",
            "!",
            "!!a",
            "a===b",
            "a\0",
        ];
        for selector in bad {
            let error = selector.parse::<LabelSelector>().unwrap_err();
            assert!(error.to_string().contains("at byte"), "{selector}: {error}");
        }
        assert!(
            "a".repeat(SELECTOR_BYTES_MAX + 1)
                .parse::<LabelSelector>()
                .is_err()
        );
        assert!(
            "a=b,"
                .repeat(300)
                .trim_end_matches(',')
                .parse::<LabelSelector>()
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-c(),=!<> in0-9./-]{0,30}|.{0,20}") {
            let _ = text.parse::<LabelSelector>();
        }

        #[test]
        fn shown_and_read_again_is_the_same(text in "[ab](=|==|!=|>|<)[0-9]{1,3}(,!?[cd]|,e (in|notin) \\((x|y|),z\\))?") {
            let selector: LabelSelector = text.parse().unwrap();
            prop_assert_eq!(selector.to_string().parse::<LabelSelector>().unwrap(), selector);
        }
    }
}
