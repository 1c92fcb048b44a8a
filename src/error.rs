//! What can go wrong, and what the caller should do about it.

use std::time::Duration;

use crate::{Key, Version};

/// Every failure of the library.
///
/// Match on [`Error::kind`] to decide what to do, and on the variant for the details.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key is not live.
    #[error("{key} not found")]
    NotFound {
        /// The key asked for.
        key: Key,
    },
    /// The key is live, and a create asked that it be not.
    #[error("{key} already exists")]
    AlreadyExists {
        /// The key to be created.
        key: Key,
    },
    /// The object is at another version than the precondition demands.
    #[error("{key} is at version {actual}, not {expected}")]
    VersionConflict {
        /// The key of the precondition.
        key: Key,
        /// The version demanded.
        expected: Version,
        /// The version it has; zero when it is not live.
        actual: Version,
    },
    /// The object has another uid than the precondition demands.
    #[error("{key} has uid {actual}, not {expected}")]
    UidConflict {
        /// The key of the precondition.
        key: Key,
        /// The uid demanded.
        expected: String,
        /// The uid it has; empty when it is not live.
        actual: String,
    },
    /// An argument breaks a rule.
    #[error("{field}: {problem}")]
    Invalid {
        /// The argument.
        field: &'static str,
        /// What is wrong with it and what was expected.
        problem: String,
    },
    /// A stored object is not of the type it was read as.
    #[error("{key} at version {version} is no {kind}: {field}: {problem}")]
    NotOfType {
        /// The key of the object.
        key: Key,
        /// Its version.
        version: Version,
        /// The kind that the type says.
        kind: &'static str,
        /// The first field that is not as the type wants it: `spec.items[2].title`.
        field: String,
        /// What is wrong with it and what was expected.
        problem: String,
    },
    /// A limit of [`Options`](crate::Options) is exceeded.
    #[error("{field}: {actual} is more than the limit of {limit}")]
    TooLarge {
        /// What is too large.
        field: &'static str,
        /// Its size.
        actual: u64,
        /// The largest allowed.
        limit: u64,
    },
    /// The version asked for is no longer kept.
    #[error("version {requested} is too old: the oldest kept is {oldest}")]
    Gone {
        /// The version asked for.
        requested: Version,
        /// The oldest that can be asked for.
        oldest: Version,
    },
    /// The version asked for has not been written yet.
    #[error("version {requested} is ahead of the store, which is at {current}")]
    Future {
        /// The version asked for.
        requested: Version,
        /// The newest version of the store.
        current: Version,
    },
    /// The write queue is full.
    #[error("too many writes are waiting; try again in {retry_after:?}")]
    Busy {
        /// How long to wait before the next try.
        retry_after: Duration,
    },
    /// The store cannot do this now, and has not done it.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// The write may have been applied or not: read before repeating it.
    #[error("the outcome of the write is not known: {reason}")]
    Uncertain {
        /// What went wrong.
        reason: String,
    },
    /// There is no sound search index at the moment.
    #[error("the search index is not ready: {reason}")]
    IndexNotReady {
        /// What it is waiting for.
        reason: String,
        /// How long to wait before the next try.
        retry_after: Duration,
    },
    /// The search index did not reach the demanded version in time.
    #[error("the search index reached version {reached} in time, not {wanted}")]
    IndexBehind {
        /// The version demanded.
        wanted: Version,
        /// The version reached.
        reached: Version,
    },
    /// Stored data is damaged, or is not a store of this format.
    #[error("the store is damaged: {reason}")]
    Corrupt {
        /// Where, and what was expected.
        reason: String,
    },
    /// A piece of a backup is damaged, cut off, or not one.
    #[error("{piece} is no sound piece of a backup: {reason}")]
    BadPiece {
        /// Which one.
        piece: String,
        /// Where, and what was expected.
        reason: String,
    },
    /// Something outside the store could not be read or written.
    #[error("{what}: {reason}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system answered.
        reason: String,
    },
    /// The directory cannot be opened.
    #[error("cannot open {path}: {reason}")]
    Open {
        /// The directory.
        path: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// What a caller should do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// It is not there: do not retry.
    NotFound,
    /// It is already there: use another name, or update.
    AlreadyExists,
    /// It changed meanwhile: read it again and retry.
    Conflict,
    /// The request is wrong: mend it.
    Invalid,
    /// The version is no longer kept: list again and start from there.
    Gone,
    /// The version is not there yet: retry shortly.
    Future,
    /// Not now: retry after a pause. After [`Error::Uncertain`] read before repeating a write.
    Unavailable,
    /// The data is damaged: run `annals check`, restore a backup.
    Corrupt,
}

impl Error {
    pub(crate) fn invalid(field: &'static str, problem: String) -> Self {
        Error::Invalid { field, problem }
    }

    pub(crate) fn unavailable(reason: impl std::fmt::Display) -> Self {
        Error::Unavailable {
            reason: reason.to_string(),
        }
    }

    pub(crate) fn corrupt(reason: impl std::fmt::Display) -> Self {
        Error::Corrupt {
            reason: reason.to_string(),
        }
    }

    /// What the caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::NotFound { .. } => ErrorKind::NotFound,
            Error::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            Error::VersionConflict { .. } | Error::UidConflict { .. } => ErrorKind::Conflict,
            Error::Invalid { .. } | Error::NotOfType { .. } | Error::TooLarge { .. } => {
                ErrorKind::Invalid
            }
            Error::Gone { .. } => ErrorKind::Gone,
            Error::Future { .. } => ErrorKind::Future,
            Error::Busy { .. }
            | Error::Unavailable { .. }
            | Error::Uncertain { .. }
            | Error::IndexNotReady { .. }
            | Error::IndexBehind { .. }
            | Error::Io { .. }
            | Error::Open { .. }
            | Error::Closed => ErrorKind::Unavailable,
            Error::Corrupt { .. } | Error::BadPiece { .. } => ErrorKind::Corrupt,
        }
    }
}
