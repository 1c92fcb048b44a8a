//! Where a value stands in an object: the JSONPath dialect of custom resource manifests.
//!
//! ```text
//! .spec.title    .spec.panels[*].title    .metadata.annotations['grafana.app/folder']    .a[0]
//! ```
//!
//! Absent on purpose: filters, recursive descent, slices, negative indexes.

use std::fmt;

use serde_json::Value;

const PATH_BYTES_MAX: usize = 1024;

/// A parsed path. Selecting with it never fails: a step that finds nothing selects nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Path {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Child(String),
    Index(usize),
    Every,
}

/// Why a text is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?} at byte {at}: {problem}")]
pub struct PathError {
    path: String,
    at: usize,
    problem: &'static str,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    ///
    /// [`PathError`] says where the text leaves the dialect. A path has at most 1,024 bytes.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let fail = |at, problem| PathError {
            path: text.chars().take(128).collect(),
            at,
            problem,
        };
        if text.len() > PATH_BYTES_MAX {
            return Err(fail(PATH_BYTES_MAX, "is longer than 1,024 bytes"));
        }
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let at = text.len() - rest.len();
            if let Some(after) = rest.strip_prefix("[*]") {
                steps.push(Step::Every);
                rest = after;
            } else if let Some(after) = rest.strip_prefix("['") {
                let end = after
                    .find("']")
                    .ok_or_else(|| fail(at, "has no closing ']"))?;
                steps.push(Step::Child(after[..end].replace("\\.", ".")));
                rest = &after[end + 2..];
            } else if let Some(after) = rest.strip_prefix('[') {
                let end = after
                    .find(']')
                    .ok_or_else(|| fail(at, "has no closing ]"))?;
                let index = after[..end]
                    .parse()
                    .map_err(|_| fail(at + 1, "is not an index"))?;
                steps.push(Step::Index(index));
                rest = &after[end + 1..];
            } else if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                if end == 0 {
                    return Err(fail(at + 1, "needs a field name"));
                }
                steps.push(Step::Child(after[..end].to_owned()));
                rest = &after[end..];
            } else {
                return Err(fail(at, "needs '.' or '['"));
            }
        }
        Ok(Path { steps })
    }

    /// All values that stand at this path, in document order.
    #[must_use]
    pub fn select<'a>(&self, object: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![object];
        for step in &self.steps {
            found = found
                .into_iter()
                .flat_map(|value| step.apply(value))
                .collect();
        }
        found
    }
}

impl Step {
    fn apply<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match self {
            Step::Child(name) => value.get(name).into_iter().collect(),
            Step::Index(index) => value.get(index).into_iter().collect(),
            Step::Every => value.as_array().into_iter().flatten().collect(),
        }
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.steps).finish()
    }
}
