//! Delete and deletecollection, with finalizers.
//!
//! An object without finalizers goes at once. One with finalizers gets a deletion timestamp and
//! stays until the last of them is taken away; repeating the delete changes nothing.

use annals::access::Verb;
use annals::{Error, Revision, Version, Write};

use super::answer::Answer;
use super::call::{Call, Subject};
use super::failure::about;
use super::{folder, namespace, object, read};
use crate::wire::json as strict;
use crate::wire::query::DeleteOptions;
use crate::wire::status::{Status, deleted};
use crate::wire::table::ListMeta;

/// How often a delete without a version is tried when somebody else writes meanwhile.
const TRIES: usize = 5;

/// DELETE of an object.
pub(super) fn delete(call: &Call, of: &Subject<'_>, name: &str) -> Result<Answer, Status> {
    call.form()?;
    let options = options(call)?;
    let mut tries = 1;
    loop {
        let current = call.find(Verb::Delete, of, name)?;
        folder::check_empty(call, of, &current)?;
        match begin(call, of, &options, &current) {
            Err(status) if status.code() == 409 && !is_pinned(&options) && tries < TRIES => {
                tries += 1;
            }
            Ok(Outcome::Gone(version)) => {
                let uid = &current.header().uid;
                let answer = Answer::value(&deleted(of.kind, name, uid));
                return Ok(answer.written(version));
            }
            Ok(Outcome::Going(revision)) => {
                let served = read::serve(of, &revision, revision.version())?;
                let is_new = revision.version() > current.version();
                let version = if is_new {
                    revision.version()
                } else {
                    Version::ZERO
                };
                return Ok(Answer::bytes(served).written(version));
            }
            Err(status) => return Err(status),
        }
    }
}

fn options(call: &Call) -> Result<DeleteOptions, Status> {
    if call.body.is_empty() {
        return DeleteOptions::read(&call.query, None);
    }
    let body = match crate::wire::accept::body_type(call.content_type.as_deref(), true)? {
        crate::wire::accept::BodyType::Json => strict::read_object(&call.body)?.value,
        crate::wire::accept::BodyType::Protobuf => {
            crate::wire::protobuf::delete_options(&call.body)?
        }
    };
    DeleteOptions::read(&call.query, Some(&body))
}

fn is_pinned(options: &DeleteOptions) -> bool {
    options.resource_version.is_some()
}

/// What became of the object.
pub(super) enum Outcome {
    /// At this version; zero if it was only tried.
    Gone(Version),
    Going(Revision),
}

/// Deletes this state of an object, or begins to.
fn begin(
    call: &Call,
    of: &Subject<'_>,
    options: &DeleteOptions,
    current: &Revision,
) -> Result<Outcome, Status> {
    check(of, options, current)?;
    if of.is_namespace() {
        return namespace::delete(call, of, options, current);
    }
    let before = object::stored(current)?;
    if object::finalizers(&before).is_empty() {
        if options.dry_run {
            return Ok(Outcome::Gone(Version::ZERO));
        }
        return remove(call, of, current).map(Outcome::Gone);
    }
    if object::is_going(&before) || options.dry_run {
        return Ok(Outcome::Going(current.clone()));
    }
    mark(call, of, current).map(Outcome::Going)
}

/// The preconditions of the options.
fn check(of: &Subject<'_>, options: &DeleteOptions, current: &Revision) -> Result<(), Status> {
    let name = current.key().name();
    let conflict = |what: &str, expected: &str, actual: &str| {
        let why = format!(
            "Precondition failed: {what} in precondition: {expected}, {what} in object meta: \
             {actual}"
        );
        Err(Status::conflict(of.kind, name, &why))
    };
    let uid = &current.header().uid;
    if let Some(expected) = options.uid.as_ref().filter(|expected| *expected != uid) {
        return conflict("UID", expected, uid);
    }
    let version = current.version().to_string();
    match &options.resource_version {
        Some(expected) if *expected != version => conflict("ResourceVersion", expected, &version),
        _ => Ok(()),
    }
}

/// Writes the deletion timestamp.
pub(super) fn mark(call: &Call, of: &Subject<'_>, current: &Revision) -> Result<Revision, Status> {
    let write = Write::update(current.key().clone(), object::marked(current)?)
        .if_version(current.version())
        .author(call.principal.clone());
    let written = call.api.store().write(write);
    written.map_err(|error| about(of.kind, current.key().name(), &error))
}

/// Takes this state of an object out of the store, and looks whether its namespace waited for it.
pub(super) fn remove(call: &Call, of: &Subject<'_>, current: &Revision) -> Result<Version, Status> {
    let write = Write::delete(current.key().clone())
        .if_version(current.version())
        .author(call.principal.clone());
    let removed = call.api.store().write(write);
    let removed = removed.map_err(|error| about(of.kind, current.key().name(), &error))?;
    namespace::look(call, of);
    Ok(removed.version())
}

/// DELETE of a collection: each object as if it were deleted alone. The answer lists them.
pub(super) fn delete_collection(call: &Call, of: &Subject<'_>) -> Result<Answer, Status> {
    if of.is_namespace() || (of.kind.is_namespaced() && of.namespace.is_none()) {
        return Err(Status::method_not_allowed());
    }
    let form = call.form()?;
    let options = options(call)?;
    let query = call.query.list()?;
    let mut listed = read::collect(call, of, &query, Verb::DeleteCollection)?;
    let mut last = listed.version;
    folder::inner_first(call, of, &mut listed.items)?;
    for revision in &listed.items {
        last = last.max(delete_listed(call, of, &options, revision)?);
    }
    let meta = ListMeta {
        resource_version: last.to_string(),
        ..ListMeta::default()
    };
    let answer = read::render_list(of, form, query.include_object, &meta, &listed.items)?;
    let is_none = options.dry_run || listed.items.is_empty();
    Ok(answer.written(if is_none { Version::ZERO } else { last }))
}

/// Deletes one object of a list in whatever state it is by now; answers the version reached.
fn delete_listed(
    call: &Call,
    of: &Subject<'_>,
    options: &DeleteOptions,
    listed: &Revision,
) -> Result<Version, Status> {
    let mut current = listed.clone();
    let mut tries = 0;
    loop {
        tries += 1;
        folder::check_empty(call, of, &current)?;
        match begin(call, of, options, &current) {
            Ok(Outcome::Gone(_)) => break,
            Ok(Outcome::Going(revision)) => return Ok(revision.version()),
            Err(status) if status.code() == 404 => break,
            Err(status) if status.code() == 409 && !is_pinned(options) && tries < TRIES => {
                match call.find(Verb::Delete, of, current.key().name()) {
                    Ok(newer) if newer.header().uid == listed.header().uid => current = newer,
                    Ok(_) => break,
                    Err(gone) if gone.code() == 404 => break,
                    Err(other) => return Err(other),
                }
            }
            Err(status) => return Err(status),
        }
    }
    let snapshot = call.api.store().snapshot();
    let reached: Result<Version, Error> = snapshot.map(|snapshot| snapshot.version());
    reached.map_err(|error| super::failure::general(&error))
}
