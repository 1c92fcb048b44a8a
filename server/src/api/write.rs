//! Create, update and patch.

use annals::access::Verb;
use annals::{Error, Revision, Version, Write};
use axum::http::StatusCode;
use serde_json::Value;

use super::answer::Answer;
use super::call::{Call, Subject};
use super::failure::about;
use super::object::{self, Intake};
use super::{folder, namespace, read};
use crate::kinds::Cause;
use crate::limits;
use crate::wire::accept::{PatchType, patch_type};
use crate::wire::patch;
use crate::wire::query::WriteQuery;
use crate::wire::status::Status;

/// How often a generated name is tried before the caller is told to try again.
const NAME_TRIES: usize = 8;
/// How often a patch without a version is tried when somebody else writes meanwhile.
const PATCH_TRIES: usize = 5;
/// The characters of generated suffixes: none that makes words or looks like another.
const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;

/// POST to a collection.
pub(super) fn create(call: &Call, of: &Subject<'_>) -> Result<Answer, Status> {
    let form = call.form()?;
    let query = call.query.write("CreateOptions")?;
    if of.kind.is_namespaced() && of.namespace.is_none() {
        return Err(Status::method_not_allowed());
    }
    let mut draft = object::read_body(call, of, query.field_validation)?;
    draft.check_namespace(of)?;
    let mut guard = namespace::check_open(call, of, draft.text("name").unwrap_or_default())?;
    let base = match (draft.text("name"), draft.text("generateName")) {
        (None, Some(base)) => Some(base.to_owned()),
        (Some(_), _) => None,
        (None, None) => {
            let cause = Cause::required("metadata.name", "name or generateName is required");
            return Err(Status::invalid(of.kind, "", &[cause]));
        }
    };
    for _ in 0..NAME_TRIES {
        if let Some(base) = &base {
            draft
                .metadata()
                .insert("name".to_owned(), Value::from(generate(base)?));
        }
        draft.begin(of)?;
        if of.is_namespace() {
            namespace::begin(draft.object_mut());
        }
        let name = draft.text("name").unwrap_or_default().to_owned();
        let key = of.key(&name)?;
        let parent = folder::of_object(draft.object());
        call.check_create(of, &key, parent)?;
        // First the name, so that a circle does not tell of folders that are not seen.
        folder::check_new(call, of, &name)?;
        folder::check_place(call, of, &name, parent)?;
        let write = Write::create(key, draft.bytes(of)?);
        match insert(call, &query, write, guard.clone()) {
            Ok(revision) => {
                // A dry run has no version to show.
                let version = if query.dry_run {
                    Version::ZERO
                } else {
                    revision.version()
                };
                let answer = read::show(of, form, query.include_object, &revision, version)?;
                let warnings = draft.take_warnings();
                let answer = answer.with_code(StatusCode::CREATED);
                return Ok(answer.with_warnings(warnings).written(version));
            }
            Err(Error::AlreadyExists { .. }) if base.is_some() => {}
            // The namespace changed between the look and the write.
            Err(Error::VersionConflict { .. }) => {
                guard = namespace::check_open(call, of, &name)?;
            }
            Err(error) => return Err(about(of.kind, &name, &error)),
        }
    }
    let name = draft.text("name").unwrap_or_default();
    Err(Status::no_name_left(of.kind, name))
}

/// Writes a new object, or tries to.
fn insert(
    call: &Call,
    query: &WriteQuery,
    write: Write,
    guard: Option<(annals::Key, Version)>,
) -> Result<Revision, Error> {
    let mut write = write.author(call.principal.clone());
    if let Some((key, version)) = guard {
        write = write.guard(key, version);
    }
    let store = call.api.store();
    if query.dry_run {
        store.try_write(write)
    } else {
        store.write(write)
    }
}

/// A name that begins with this.
fn generate(base: &str) -> Result<String, Status> {
    let mut end = base.len().min(limits::GENERATE_NAME_BYTES);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = base[..end].to_owned();
    let mut random = [0; SUFFIX_LENGTH];
    getrandom::fill(&mut random).map_err(|error| Status::internal(&error.to_string()))?;
    name.extend(
        random
            .iter()
            .map(|byte| char::from(SUFFIX[usize::from(*byte) % SUFFIX.len()])),
    );
    Ok(name)
}

/// PUT of an object.
pub(super) fn update(call: &Call, of: &Subject<'_>, name: &str) -> Result<Answer, Status> {
    let query = call.query.write("UpdateOptions")?;
    let mut draft = object::read_body(call, of, query.field_validation)?;
    draft.check_namespace(of)?;
    draft.check_name(name)?;
    let current = call.find(Verb::Update, of, name)?;
    if draft.text("resourceVersion").is_none() && !of.is_namespace() {
        let (field, why) = (
            "metadata.resourceVersion",
            "must be specified for an update",
        );
        let cause = Cause::invalid(field, &Value::from(0), why);
        return Err(Status::invalid(of.kind, name, &[cause]));
    }
    finish(call, of, &query, draft, &current)
}

/// PATCH of an object. Without a version in the patch it is tried again when somebody else
/// writes meanwhile, so that callers who do not care never see a conflict.
pub(super) fn patch(call: &Call, of: &Subject<'_>, name: &str) -> Result<Answer, Status> {
    let kind = patch_type(call.content_type.as_deref())?;
    let query = call.query.write("PatchOptions")?;
    let mut tries = 1;
    loop {
        let current = call.find(Verb::Patch, of, name)?;
        let (draft, pinned) = patched(call, of, kind, &query, &current)?;
        match finish(call, of, &query, draft, &current) {
            Err(status) if status.code() == 409 && !pinned && tries < PATCH_TRIES => tries += 1,
            other => return other,
        }
    }
}

/// The patched object, and whether the patch itself names a version.
fn patched(
    call: &Call,
    of: &Subject<'_>,
    kind: PatchType,
    query: &WriteQuery,
    current: &Revision,
) -> Result<(Intake, bool), Status> {
    let served = read::serve(of, current, current.version())?;
    let mut value = read::parse(&served)?;
    let duplicates = match kind {
        PatchType::Json => {
            patch::apply_json(&mut value, served.len(), &call.body)?;
            Vec::new()
        }
        PatchType::Merge => patch::apply_merge(&mut value, &call.body)?,
    };
    let name = current.key().name();
    let version = object::text(&value, "resourceVersion")
        .unwrap_or_default()
        .to_owned();
    let mut draft = object::from_value(of, value, duplicates, query.field_validation)?;
    draft.check_namespace(of)?;
    draft.check_name(name)?;
    let pinned = !version.is_empty() && version != current.version().to_string();
    Ok((draft, pinned))
}

/// Checks a new state against the one before and writes it, unless nothing changes.
fn finish(
    call: &Call,
    of: &Subject<'_>,
    query: &WriteQuery,
    mut draft: Intake,
    current: &Revision,
) -> Result<Answer, Status> {
    let form = call.form()?;
    let name = current.key().name();
    check_expected(of, &draft, current)?;
    let before = object::stored(current)?;
    if of.is_namespace() {
        namespace::keep(draft.object_mut(), &before);
    }
    draft.succeed(of, &before)?;
    object::check_finalizers(of, &before, draft.object())?;
    let warnings = draft.take_warnings();
    let show = |revision: &Revision, version| {
        let answer = read::show(of, form, query.include_object, revision, version)?;
        Ok(answer.with_warnings(warnings))
    };
    check_move(call, of, &draft, current)?;
    let is_same = object::is_same(&before, draft.object());
    // With the last finalizer the object goes, in the same commit.
    let goes = !of.is_namespace()
        && object::is_going(&before)
        && object::finalizers(draft.object()).is_empty();
    if goes {
        folder::check_empty(call, of, current)?;
    }
    if is_same && !goes {
        return show(current, current.version());
    }
    let write = Write::update(current.key().clone(), draft.bytes(of)?)
        .if_version(current.version())
        .author(call.principal.clone());
    let store = call.api.store();
    if query.dry_run {
        let revision = store
            .try_write(write)
            .map_err(|error| about(of.kind, name, &error))?;
        // A dry run shows the version of what is stored.
        return show(&revision, current.version());
    }
    let mut writes = vec![write];
    if goes {
        let delete = Write::delete(current.key().clone());
        writes.push(delete.author(call.principal.clone()));
    }
    let written = store
        .write_batch(writes)
        .map_err(|error| about(of.kind, name, &error))?;
    if of.is_namespace() {
        namespace::look_at(call, name);
    } else if goes {
        namespace::look(call, of);
    }
    let revision = written
        .first()
        .ok_or_else(|| Status::internal("nothing was written"))?;
    let answer = show(revision, revision.version())?;
    Ok(answer.written(written.last().unwrap_or(revision).version()))
}

/// An object that moves must be let out of the one folder and into the other.
fn check_move(
    call: &Call,
    of: &Subject<'_>,
    draft: &Intake,
    current: &Revision,
) -> Result<(), Status> {
    let (key, old) = (current.key(), &current.header().folder);
    let new = folder::of_object(draft.object());
    if new == old {
        return Ok(());
    }
    call.check_leave(of, key, old)?;
    call.check_create(of, key, new)?;
    folder::check_place(call, of, key.name(), new)
}

/// The version and the uid that the body names must be those of the object.
fn check_expected(of: &Subject<'_>, draft: &Intake, current: &Revision) -> Result<(), Status> {
    let name = current.key().name();
    if let Some(expected) = draft.text("resourceVersion") {
        let expected: Version = expected.parse().map_err(|why: String| {
            let cause = Cause::invalid("metadata.resourceVersion", &Value::from(expected), &why);
            Status::invalid(of.kind, name, &[cause])
        })?;
        if expected != current.version() {
            return Err(Status::modified(of.kind, name));
        }
    }
    let uid = &current.header().uid;
    match draft.text("uid") {
        Some(expected) if expected != uid => {
            let why = format!(
                "Precondition failed: UID in precondition: {expected}, UID in object meta: {uid}"
            );
            Err(Status::conflict(of.kind, name, &why))
        }
        _ => Ok(()),
    }
}
