//! Why a file of records cannot be written, read or loaded.

/// One fault, and where it is: a file with its line, item or row, or the key of an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct Error {
    /// Where.
    pub place: String,
    /// What is wrong, and what was expected.
    pub why: String,
}

impl Error {
    /// A fault at this place.
    pub fn new(place: impl ToString, why: impl ToString) -> Self {
        Self {
            place: place.to_string(),
            why: why.to_string(),
        }
    }
}
