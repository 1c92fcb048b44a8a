//! What can go wrong, as the caller needs to tell it apart.
//!
//! Four kinds and no more: wait, mend the query, rebuild, or look at the disk. Every function of
//! the crate that can fail returns [`Error`]; tantivy's own errors and panics end here.

use std::io;

/// Why a call could not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing is wrong with the question, but there is no sound index to answer it yet.
    #[error("the search index is not ready: {reason}")]
    NotReady {
        /// What the index is waiting for.
        reason: String,
    },
    /// The query breaks a limit or names something that does not exist.
    #[error("bad query: {field}: {message}")]
    BadQuery {
        /// The field of the query that is wrong.
        field: String,
        /// What was expected there.
        message: String,
    },
    /// The files of the index cannot be trusted or are gone: start a rebuild.
    #[error("the search index is damaged: {reason}")]
    Damaged {
        /// What was found.
        reason: String,
    },
    /// The disk refused: full, read-only, or failing.
    #[error("the search index cannot use its folder: {0}")]
    Io(#[from] io::Error),
}

/// The result of every function of the crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn damaged(reason: impl Into<String>) -> Error {
        Error::Damaged {
            reason: reason.into(),
        }
    }

    pub(crate) fn not_ready(reason: impl Into<String>) -> Error {
        Error::NotReady {
            reason: reason.into(),
        }
    }

    pub(crate) fn bad_query(field: impl Into<String>, message: impl Into<String>) -> Error {
        Error::BadQuery {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl From<tantivy::TantivyError> for Error {
    fn from(error: tantivy::TantivyError) -> Error {
        match error {
            tantivy::TantivyError::IoError(error) => {
                Error::Io(io::Error::new(error.kind(), error.to_string()))
            }
            error => Error::damaged(error.to_string()),
        }
    }
}
