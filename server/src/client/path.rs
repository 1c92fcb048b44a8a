//! Paths of requests, put together from parts that may hold anything.

use std::fmt::{self, Write};

/// A path and query. Parts and values are escaped, so a name cannot become another path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    text: String,
    has_query: bool,
}

impl Path {
    /// Starts with a fixed path, such as `/apis`.
    #[must_use]
    pub fn new(fixed: &str) -> Self {
        Self {
            text: fixed.to_owned(),
            has_query: false,
        }
    }

    /// Appends a slash and `part`. Comes before any query.
    #[must_use]
    pub fn part(mut self, part: &str) -> Self {
        debug_assert!(!self.has_query, "parts come before the query");
        self.text.push('/');
        escape(&mut self.text, part);
        self
    }

    /// Appends a query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.text.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        escape(&mut self.text, name);
        self.text.push('=');
        escape(&mut self.text, value);
        self
    }

    /// Appends a query parameter when there is a value.
    #[must_use]
    pub fn query_if(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn escape(text: &mut String, part: &str) {
    // A part of dots alone would be taken for a step in the tree.
    let is_dots = matches!(part, "." | "..");
    for byte in part.bytes() {
        match byte {
            b'.' if is_dots => text.push_str("%2E"),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            // Writing to a string does not fail.
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Catches a name or a search text that changes which path is asked for.
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_what_has_a_meaning() {
        let path = Path::new("/apis")
            .part("a/../b")
            .part("..")
            .query("q", "x y&z=ü");
        assert_eq!(
            path.to_string(),
            "/apis/a%2F..%2Fb/%2E%2E?q=x%20y%26z%3D%C3%BC"
        );
        assert_eq!(
            Path::new("/x")
                .query_if("a", None)
                .query_if("b", Some(""))
                .to_string(),
            "/x?b="
        );
    }

    proptest! {
        #[test]
        fn any_part_is_one_part(part: String, value: String) {
            let text = Path::new("/apis").part(&part).query("q", &value).to_string();
            let uri: hyper::Uri = text.parse().unwrap();
            prop_assert_eq!(uri.path().matches('/').count(), 2);
            prop_assert_eq!(uri.query().unwrap().matches(['&', '=']).count(), 1);
        }
    }
}
