//! Searching: the index answers, the store says which version it reflects and waits for one.

use std::time::{Duration, Instant};

use super::{Engine, Store};
use crate::Error;
use crate::model::Version;
use crate::options::INDEX_WAIT_MS_MAX;
use crate::search::{Hits, IndexReport, Query, Scope};

/// How long a caller should wait before it asks an index again that is not ready.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Store {
    /// Searches the index for what this scope leaves visible.
    ///
    /// With `at_least`, the answer reflects that version or a later one: the search waits up to
    /// three seconds for the index to reach it.
    ///
    /// # Errors
    ///
    /// [`Error::IndexNotReady`] while there is no sound index; [`Error::IndexBehind`] when it did
    /// not reach `at_least` in time; [`Error::Future`] when the store itself has not reached it;
    /// [`Error::Invalid`] for a query that breaks a limit.
    pub fn search(
        &self,
        query: &Query,
        scope: &Scope,
        at_least: Option<Version>,
    ) -> Result<Hits, Error> {
        let follower = self.engine.follower()?;
        if let Some(wanted) = at_least {
            self.check_written(wanted)?;
            let index = follower.index().map_err(not_ready)?;
            if index.version().is_none() {
                // A rebuild takes longer than a search may wait: say so now.
                return Err(not_ready(self.index_report().reason()));
            }
            let deadline = Instant::now() + Duration::from_millis(INDEX_WAIT_MS_MAX);
            let reached = follower.wait_for(wanted, deadline);
            if reached < wanted && index.version().is_some() {
                return Err(Error::IndexBehind { wanted, reached });
            }
        }
        let index = follower.index().map_err(not_ready)?;
        index.search(query, scope).map_err(|error| match error {
            annals_index::Error::BadQuery { field, message } => Error::Invalid {
                field: "query",
                problem: format!("{field}: {message}"),
            },
            other => not_ready(other.to_string()),
        })
    }

    /// How the search index is.
    #[must_use]
    pub fn index_report(&self) -> IndexReport {
        let Some(follower) = &self.engine.index else {
            let problem = Some("the store was opened without an index".to_owned());
            return IndexReport {
                status: None,
                problem,
            };
        };
        match follower.index().map(|index| index.status()) {
            Ok(Ok(status)) => IndexReport {
                status: Some(status),
                problem: follower.problem(),
            },
            Ok(Err(error)) => IndexReport {
                status: None,
                problem: Some(error.to_string()),
            },
            Err(reason) => IndexReport {
                status: None,
                problem: Some(reason),
            },
        }
    }

    /// Builds the search index anew from the log, in the background.
    ///
    /// # Errors
    ///
    /// [`Error::IndexNotReady`] when the store was opened without an index.
    pub fn rebuild_index(&self) -> Result<(), Error> {
        self.engine.follower().map(super::follow::Follower::rebuild)
    }
}

impl Engine {
    fn follower(&self) -> Result<&super::follow::Follower, Error> {
        let none = || not_ready("the store was opened without an index".to_owned());
        self.index.as_ref().ok_or_else(none)
    }
}

fn not_ready(reason: String) -> Error {
    Error::IndexNotReady {
        reason,
        retry_after: RETRY_AFTER,
    }
}
