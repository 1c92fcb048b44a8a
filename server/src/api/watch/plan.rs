//! Where a watch starts, what it selects, and how long it lasts: its parameters, read.
//!
//! | parameters | first | then |
//! | --- | --- | --- |
//! | `resourceVersion` unset or 0 | the state of now | what follows it |
//! | `resourceVersion` N | nothing | what follows N |
//! | `sendInitialEvents=true` | the state of now, which must have reached N | what follows it |
//! | `sendInitialEvents=false` | nothing | what follows N, or now |
//!
//! A version that is no longer kept, and one that is still to come, are refused here, before the
//! first line of the stream; so is one at which the caller may have seen another part of the store:
//! what has left its sight since could not be told.

use std::time::Duration;

use annals::access::Verb;
use annals::{Collection, Error, Filter, Version, Watch};
use tokio::time::Instant;

use super::guard::Guard;

use crate::api::call::{Call, Subject};
use crate::api::failure::general;
use crate::api::route::Route;
use crate::limits;
use crate::wire::accept::Form;
use crate::wire::query::ListQuery;
use crate::wire::status::Status;

pub(super) const LIFETIME_MAX: Duration = Duration::from_secs(limits::WATCH_SECONDS as u64);

/// What a watch needs besides its call.
pub(super) struct Plan {
    pub(super) collection: Collection,
    pub(super) filter: Filter,
    pub(super) form: Form,
    pub(super) query: ListQuery,
    pub(super) ends: Instant,
    /// What is sent before the first change: the objects of this version.
    pub(super) initial: Option<Version>,
    pub(super) watch: Watch,
    pub(super) guard: Guard,
}

/// The kind that the path names.
pub(super) fn subject(call: &Call) -> Result<Subject<'_>, Status> {
    match &call.route {
        Route::Resource(target) => call.subject(target),
        _ => Err(Status::no_such_path()),
    }
}

/// Where the watch starts, by the rules of `resourceVersion` and `sendInitialEvents`.
pub(super) fn plan(call: &Call) -> Result<Plan, Status> {
    let of = subject(call)?;
    let form = call.form()?;
    let query = call.query.list()?;
    let (collection, mut filter) = (of.collection()?, of.filter(&query)?);
    call.enter(Verb::Watch, &of, "")?;
    let store = call.api.store();
    // Before anything is looked at: what happens later wakes the watch.
    let guard = Guard::new(call)?;
    let head = store.snapshot().map_err(|error| general(&error))?.version();
    let asked = query.resource_version.unwrap_or(0);
    if asked > head.get() {
        return Err(Status::too_large_version(asked, head.get()));
    }
    let wants_initial = query.send_initial_events.unwrap_or(asked == 0);
    let from_past = asked > 0 && query.send_initial_events != Some(true);
    let after = if from_past { Version::new(asked) } else { head };
    filter.scope = call.scope(Verb::Watch, &of, head)?;
    if from_past {
        call.check_unchanged(&filter.scope, head, after)?;
    }
    let watch = store.watch(collection.clone(), filter.clone(), after);
    let watch = watch.map_err(|error| refuse(&error))?;
    Ok(Plan {
        collection,
        filter,
        form,
        ends: Instant::now() + lifetime(query.timeout_seconds),
        initial: wants_initial.then_some(head),
        guard,
        query,
        watch,
    })
}

/// The answer to an error of the store.
pub(super) fn refuse(error: &Error) -> Status {
    match error {
        Error::Gone { requested, oldest } => {
            Status::expired(format!("too old resource version: {requested} ({oldest})"))
        }
        other => general(other),
    }
}

/// How long a watch lasts. Without a time of its own it ends in the second half of the longest
/// time, so that clients that came together do not all come back together.
pub(super) fn lifetime(asked_seconds: Option<u64>) -> Duration {
    if let Some(seconds) = asked_seconds {
        return Duration::from_secs(seconds).min(LIFETIME_MAX);
    }
    let mut random = [0; 2];
    // Without random numbers all watches last equally long.
    let _ = getrandom::fill(&mut random);
    let share = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
    (LIFETIME_MAX / 2).mul_f64(1.0 + share)
}

#[cfg(test)]
mod tests {
    //! Catches a start that is refused in words that clients do not know.
    use super::*;

    #[test]
    fn a_start_that_is_gone_is_told_in_the_words_of_kubernetes() {
        let status = refuse(&Error::Gone {
            requested: Version::new(3),
            oldest: Version::new(9),
        });
        assert_eq!((status.code(), status.reason.as_str()), (410, "Expired"));
        assert_eq!(status.message, "too old resource version: 3 (9)");
        assert_eq!(refuse(&Error::Closed).code(), 503);
    }
}
