//! The store's errors as answers: one table, without a wildcard for what it knows.

use annals::{Error, ErrorKind};

use crate::kinds::ServedKind;
use crate::wire::status::Status;

/// The answer to an error in a call about one object of a kind.
pub(super) fn about(kind: &ServedKind, name: &str, error: &Error) -> Status {
    match error.kind() {
        ErrorKind::NotFound => Status::not_found(kind, name),
        ErrorKind::AlreadyExists => Status::already_exists(kind, name),
        ErrorKind::Conflict => match error {
            Error::UidConflict {
                expected, actual, ..
            } => {
                let why = format!(
                    "Precondition failed: UID in precondition: {expected}, UID in object meta: \
                     {actual}"
                );
                Status::conflict(kind, name, &why)
            }
            _ => Status::modified(kind, name),
        },
        ErrorKind::Invalid
        | ErrorKind::Gone
        | ErrorKind::Future
        | ErrorKind::Unavailable
        | ErrorKind::Corrupt => general(error),
    }
}

/// The answer to an error that is about no object in particular.
pub(super) fn general(error: &Error) -> Status {
    match error.kind() {
        ErrorKind::Gone => Status::expired(error.to_string()),
        ErrorKind::Future => match error {
            Error::Future { requested, current } => {
                Status::too_large_version(requested.get(), current.get())
            }
            _ => Status::timeout(error.to_string()),
        },
        ErrorKind::Invalid => match error {
            Error::TooLarge { field, limit, .. } => {
                Status::too_large(field, usize::try_from(*limit).unwrap_or(usize::MAX))
            }
            _ => Status::bad_request(error.to_string()),
        },
        ErrorKind::Unavailable => match error {
            Error::Busy { retry_after } => {
                let seconds = u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX);
                Status::too_many_requests(error.to_string(), seconds.max(1))
            }
            // Without a time to retry: clients would repeat a write that may have happened.
            Error::Uncertain { .. } | Error::IndexBehind { .. } => {
                Status::timeout(error.to_string())
            }
            _ => Status::service_unavailable(error.to_string()),
        },
        ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::Conflict
        | ErrorKind::Corrupt => Status::internal(&error.to_string()),
    }
}
