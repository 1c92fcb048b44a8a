//! Whether the caller of a watch still sees what it saw when the watch began.
//!
//! The scope of a watch is that of its beginning. When users, tokens or folders change the guard
//! wakes the watch and compares; and before events are sent it makes sure that no rule newer than
//! the scope is older than they are. The administrator's watch has no guard, and costs nothing.

use std::task::{Context, Poll};

use annals::access::Verb;
use annals::{Scope, Version};

use super::{End, blocking};
use crate::access::Changes;
use crate::api::call::{Call, is_fixed};
use crate::api::failure::general;
use crate::wire::status::Status;

/// See the page.
pub(super) struct Guard {
    /// Nothing for the administrator.
    changes: Option<Changes>,
}

impl Guard {
    pub(super) fn new(call: &Call) -> Result<Self, Status> {
        let changes = (!is_fixed(&call.identity)).then(|| Changes::new(call.api.store()));
        let changes = changes.transpose().map_err(|error| general(&error))?;
        Ok(Guard { changes })
    }

    /// Ready when something may have changed: then it is to be renewed.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.changes {
            Some(changes) => changes.poll(context),
            None => Poll::Pending,
        }
    }

    /// Waits for changes from now on, and looks whether those until now matter.
    pub(super) async fn renew(&mut self, call: &Call, scope: &Scope) -> Result<(), End> {
        let fresh = Changes::new(call.api.store()).map_err(|error| general(&error))?;
        self.changes = Some(fresh);
        self.check(call, scope, Version::ZERO).await
    }

    /// Whether the scope is what the caller sees at this version, or later.
    pub(super) async fn check(
        &self,
        call: &Call,
        scope: &Scope,
        version: Version,
    ) -> Result<(), End> {
        if self.changes.is_none() {
            return Ok(());
        }
        let (api, identity) = (call.api.clone(), call.identity.clone());
        let judged = blocking(move || {
            let state = api.access().state_at(version)?;
            let principal = state.admit(&identity);
            Ok::<_, annals::Error>(principal.map(|who| state.scope(&who, Verb::Watch)))
        });
        match judged.await?? {
            None => Err(End::Failed(Status::unauthorized())),
            Some(now) if now.is_same(scope) || now == *scope => Ok(()),
            Some(_) => Err(End::Failed(Status::expired(
                "what the caller may see has changed: list again".to_owned(),
            ))),
        }
    }
}
