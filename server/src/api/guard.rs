//! What the caller may do and see: the one place that the other files ask.
//!
//! ```text
//! enter     may he do this to anything of the kind, here?    no: 403, whatever is or is not there
//! scope     the same, at the version that is read            part of lists, watches and searches
//! find      an object: seen, and covered by the verb         not seen: 404, as if it were missing
//! ```
//!
//! The administrator is asked nothing: for him no rule is read. Rules are taken at the version of
//! the state that is shown, or later, so that nothing is shown by rules older than itself. A
//! caller whose proof was taken back meanwhile is answered 401.

use std::sync::{Arc, PoisonError, RwLockReadGuard, RwLockWriteGuard};

use annals::access::Verb;
use annals::{Error, Key, Revision, Scope, Version};

use super::call::{Call, Subject, is_fixed};
use super::failure::{about, general};
use crate::access::{FOLDER_GROUP, FOLDER_RESOURCE, State};
use crate::kinds::ServedKind;
use crate::wire::status::{Attempt, Status};

/// The right to write, held from the judgement to the commit.
pub(super) enum Turn<'a> {
    Shared { _guard: RwLockReadGuard<'a, ()> },
    Alone { _guard: RwLockWriteGuard<'a, ()> },
}

impl Subject<'_> {
    /// Whether the kind is the folder.
    pub(super) fn is_folder(&self) -> bool {
        self.kind.group == FOLDER_GROUP && self.kind.names.plural == FOLDER_RESOURCE
    }

    /// The namespace as rules know it: `None` for all, empty for kinds without one.
    fn place(&self) -> Option<&str> {
        if self.kind.is_namespaced() {
            self.namespace
        } else {
            Some("")
        }
    }
}

impl Call {
    /// The rules at this version or a later one, if the caller still is who he was.
    pub(super) fn state(&self, version: Version) -> Result<Arc<State>, Status> {
        let state = self.api.access().state_at(version);
        let state = state.map_err(|error| general(&error))?;
        let principal = state.admit(&self.identity);
        principal.ok_or_else(Status::unauthorized)?;
        Ok(state)
    }

    /// A turn to write objects of this kind. A dry run commits nothing, so it keeps nobody out.
    pub(super) fn turn(&self, of: &Subject<'_>) -> Result<Turn<'_>, Status> {
        let order = &self.api.shared.order;
        if of.is_folder() && !self.query.is_dry_run() {
            return self.turn_alone();
        }
        let _guard = order.read().unwrap_or_else(PoisonError::into_inner);
        self.check_stands()?;
        Ok(Turn::Shared { _guard })
    }

    /// A turn to change rules.
    pub(super) fn turn_alone(&self) -> Result<Turn<'_>, Status> {
        let order = &self.api.shared.order;
        let _guard = order.write().unwrap_or_else(PoisonError::into_inner);
        self.check_stands()?;
        Ok(Turn::Alone { _guard })
    }

    /// 401 or 403 if the caller is not who he was when the request came: he may have waited for his
    /// turn behind the one that takes his rights away.
    fn check_stands(&self) -> Result<(), Status> {
        if is_fixed(&self.identity) {
            return Ok(());
        }
        let state = self.api.access().state().map_err(|error| general(&error))?;
        let principal = state.admit(&self.identity);
        let principal = principal.ok_or_else(Status::unauthorized)?;
        if self.is_admin && !principal.is_administrator() {
            return Err(self.only_administrators());
        }
        Ok(())
    }

    /// What the caller may do this to, of all kinds.
    fn scope_of_all(&self, verb: Verb, version: Version) -> Result<Scope, Status> {
        if self.is_admin {
            return Ok(Scope::All);
        }
        let state = self.state(version)?;
        Ok(state.scope(&self.principal, verb))
    }

    /// What the caller may do this to, at this version. 403 if that can be nothing of the kind.
    pub(super) fn scope(
        &self,
        verb: Verb,
        of: &Subject<'_>,
        version: Version,
    ) -> Result<Scope, Status> {
        let scope = self.scope_of_all(verb, version)?;
        if scope.reaches(&of.kind.group, &of.kind.names.plural, of.place()) {
            return Ok(scope);
        }
        Err(self.forbidden(verb, of, ""))
    }

    /// 410 if what the caller sees may have been something else at a version: a watch from there
    /// could not tell what has left its sight since.
    pub(super) fn check_unchanged(
        &self,
        scope: &Scope,
        now: Version,
        since: Version,
    ) -> Result<(), Status> {
        if self.is_admin || !self.state(now)?.may_differ(scope, since) {
            return Ok(());
        }
        let why =
            format!("too old resource version: {since} (what the caller may see has changed)");
        Err(Status::expired(why))
    }

    /// 403 if the caller may do this to nothing of the kind, here.
    pub(super) fn enter(&self, verb: Verb, of: &Subject<'_>, name: &str) -> Result<(), Status> {
        if self.is_admin {
            return Ok(());
        }
        let scope = self.scope_of_all(verb, Version::ZERO)?;
        if scope.reaches(&of.kind.group, &of.kind.names.plural, of.place()) {
            return Ok(());
        }
        Err(self.forbidden(verb, of, name))
    }

    /// What the caller sees in a namespace of all kinds, and the rules that say so. 403 if that is
    /// nothing.
    pub(super) fn enter_namespace(
        &self,
        namespace: &str,
        path: &str,
    ) -> Result<(Scope, Option<Arc<State>>), Status> {
        self.enter_namespace_at(namespace, path, Version::ZERO)
    }

    /// The same, at this version or later.
    pub(super) fn enter_namespace_at(
        &self,
        namespace: &str,
        path: &str,
        version: Version,
    ) -> Result<(Scope, Option<Arc<State>>), Status> {
        if self.is_admin {
            return Ok((Scope::All, None));
        }
        let state = self.state(version)?;
        let scope = state.scope(&self.principal, Verb::List);
        if scope.enters(namespace) {
            return Ok((scope, Some(state)));
        }
        let user = self.principal.name();
        Err(Status::forbidden_path(user, "get", path))
    }

    /// What the caller sees of the past of this kind, in this namespace. 403 if that is nothing.
    pub(super) fn enter_history(
        &self,
        kind: &ServedKind,
        namespace: &str,
        name: &str,
        version: Version,
    ) -> Result<Scope, Status> {
        let scope = self.scope_of_all(Verb::Get, version)?;
        if scope.reaches(&kind.group, &kind.names.plural, Some(namespace)) {
            return Ok(scope);
        }
        let attempt = Attempt {
            user: self.principal.name(),
            verb: Verb::Get.as_str(),
            namespace,
            name,
        };
        Err(Status::forbidden(kind, attempt))
    }

    /// The answer to everybody but administrators.
    pub(super) fn only_administrators(&self) -> Status {
        let verb = self.method.as_str().to_lowercase();
        let user = self.principal.name();
        Status::forbidden_path(user, &verb, &self.path)
    }

    /// The newest state of an object that the caller may do this to.
    pub(super) fn find(
        &self,
        verb: Verb,
        of: &Subject<'_>,
        name: &str,
    ) -> Result<Revision, Status> {
        let snapshot = self.snapshot()?;
        let (may_see, may_do) = if self.is_admin {
            (Scope::All, Scope::All)
        } else {
            let may_do = self.scope(verb, of, snapshot.version())?;
            let may_see = self.scope_of_all(Verb::Get, snapshot.version())?;
            (may_see, may_do)
        };
        let found = snapshot
            .get(&of.key(name)?)
            .map_err(|error| about(of.kind, name, &error))?;
        let found = found.filter(|found| may_see.covers(found.header()));
        let found = found.ok_or_else(|| Status::not_found(of.kind, name))?;
        if may_do.covers(found.header()) {
            return Ok(found);
        }
        Err(self.forbidden(verb, of, name))
    }

    /// 403 unless the caller may make an object with this key in this folder.
    pub(super) fn check_create(
        &self,
        of: &Subject<'_>,
        key: &Key,
        folder: &str,
    ) -> Result<(), Status> {
        self.check_place(Verb::Create, of, key, folder)
    }

    /// 403 unless the caller may take an object out of this folder.
    pub(super) fn check_leave(
        &self,
        of: &Subject<'_>,
        key: &Key,
        folder: &str,
    ) -> Result<(), Status> {
        // A grant for the folder itself shows it and does not move it: that is as deleting it.
        self.check_place(Verb::Delete, of, key, folder)?;
        self.check_place(Verb::Update, of, key, folder)
    }

    fn check_place(
        &self,
        verb: Verb,
        of: &Subject<'_>,
        key: &Key,
        folder: &str,
    ) -> Result<(), Status> {
        if self.is_admin {
            return Ok(());
        }
        let scope = self.scope_of_all(verb, Version::ZERO)?;
        if scope.covers_place(key, folder) {
            return Ok(());
        }
        Err(self.forbidden(verb, of, key.name()))
    }

    pub(super) fn forbidden(&self, verb: Verb, of: &Subject<'_>, name: &str) -> Status {
        let attempt = Attempt {
            user: self.principal.name(),
            verb: verb.as_str(),
            namespace: of.place().unwrap_or_default(),
            name,
        };
        Status::forbidden(of.kind, attempt)
    }
}

impl super::Api {
    /// Whether an error of the store is about rules that are not there yet.
    pub(super) fn admit(
        &self,
        identity: &crate::net::Identity,
    ) -> Result<Option<annals::Principal>, Error> {
        self.access().admit(identity)
    }
}
