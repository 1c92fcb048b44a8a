//! Whether the store is whole: everything is read again from the files, while it is served.
//!
//! It is a POST, since it costs as much as reading the whole store: no cache or crawler repeats it.
//! It is for administrators alone. What does not end within the time for a request goes on unheard:
//! a store that large is checked in its directory.

use super::answer::Answer;
use super::call::Call;
use super::failure::general;
use crate::wire::report::report;
use crate::wire::status::Status;

/// POST .../check
pub(super) fn check(call: &Call) -> Result<Answer, Status> {
    let found = call.api.store().check();
    Ok(Answer::value(&report(
        &found.map_err(|error| general(&error))?,
    )))
}
