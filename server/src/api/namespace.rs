//! The life of a namespace: it opens for objects, and takes them with it when it goes.
//!
//! ```text
//! Active --delete--> Terminating: nothing is created in it any more
//!                      -> what is in it is deleted -> it is empty -> it is gone
//! ```
//!
//! A create is guarded by the version of the namespace it was judged by, so no object slips in
//! while its namespace goes. What finalizers hold back holds the namespace; the namespace goes
//! with the last of it. A deletion that a stop interrupted goes on at the next start.

use annals::{Collection, Error, Key, List, Principal, Revision, Version, Write};
use serde_json::{Value, json};

use super::call::{Call, Subject};
use super::delete::Outcome;
use super::failure::{about, general};
use super::{Api, object, read};
use crate::wire::query::DeleteOptions;
use crate::wire::status::{Attempt, Status};

const RESOURCE: &str = "namespaces";
const DEFAULT: &str = "default";
/// Who writes what no caller asked for.
const SYSTEM: &str = "system:annals";
/// How many objects of a namespace are deleted in one batch.
const PAGE: usize = 500;
/// How often a namespace is gone over while others write to it.
const ROUNDS_MAX: usize = 16;

fn key(name: &str) -> Result<Key, Error> {
    Key::new("", RESOURCE, "", name)
}

/// Writes the namespace `default` if it is not there, and resumes interrupted deletions.
pub(super) fn prepare(api: &Api) -> Result<(), Error> {
    let store = api.store();
    let default = key(DEFAULT)?;
    if store.snapshot()?.get(&default)?.is_none() {
        let mut value = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": DEFAULT,
                "uid": uuid::Uuid::new_v4().to_string(),
                "creationTimestamp": object::now(),
                "generation": 1,
            },
        });
        begin(&mut value);
        let write = Write::create(default, value.to_string().into_bytes());
        store.write(write.author(Principal::new(SYSTEM)))?;
    }
    let mut after = None;
    loop {
        let list = List::new(Collection::of("", RESOURCE)?).after(after);
        let page = store.snapshot()?.list(&list)?;
        for namespace in &page.items {
            let name = namespace.key().name();
            if let Err(error) = finish(api, name, &Principal::new(SYSTEM)) {
                tracing::error!(name, %error, "the deletion of a namespace cannot go on");
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// What a new namespace has besides what its writer gave it.
pub(super) fn begin(value: &mut Value) {
    if value.get("kind").and_then(Value::as_str) != Some("Namespace") {
        return;
    }
    let name = value["metadata"]["name"].clone();
    value["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
    value["spec"] = json!({"finalizers": ["kubernetes"]});
    value["status"] = json!({"phase": "Active"});
}

/// What a client cannot change of a namespace: it is taken from the state before.
pub(super) fn keep(value: &mut Value, before: &Value) {
    value["spec"] = before["spec"].clone();
    value["status"] = before["status"].clone();
    let name = before["metadata"]["name"].clone();
    value["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
}

fn is_terminating(revision: &Revision) -> bool {
    let value: Value = serde_json::from_slice(revision.body()).unwrap_or_default();
    object::is_going(&value)
}

/// An object may be created only in a namespace that is there and stays: the answer guards the
/// write.
pub(super) fn check_open(
    call: &Call,
    of: &Subject<'_>,
    name: &str,
) -> Result<Option<(Key, Version)>, Status> {
    let Some(namespace) = of.namespace else {
        return Ok(None);
    };
    let missing = || {
        let kind = call.api.kinds().kind("", RESOURCE);
        kind.map_or_else(Status::no_such_path, |kind| {
            Status::not_found(kind, namespace)
        })
    };
    let key = key(namespace).map_err(|_| missing())?;
    let snapshot = call.snapshot()?;
    let found = snapshot
        .get(&key)
        .map_err(|error| general(&error))?
        .ok_or_else(missing)?;
    if is_terminating(&found) {
        return Err(Status::namespace_terminating(of.kind, name, namespace));
    }
    Ok(Some((key, found.version())))
}

/// Begins the deletion of a namespace and carries it as far as it goes.
pub(super) fn delete(
    call: &Call,
    of: &Subject<'_>,
    options: &DeleteOptions,
    current: &Revision,
) -> Result<Outcome, Status> {
    let name = current.key().name();
    if name == DEFAULT {
        let attempt = Attempt {
            user: call.principal.name(),
            verb: "delete",
            namespace: "",
            name,
        };
        let mut status = Status::forbidden(of.kind, attempt);
        // Nobody may: it is no question of who asks.
        status.message =
            format!("{RESOURCE} \"{name}\" is forbidden: this namespace may not be deleted");
        return Err(status);
    }
    if options.dry_run {
        return Ok(Outcome::Gone(Version::ZERO));
    }
    if !is_terminating(current) {
        let write = Write::update(current.key().clone(), terminating(current)?)
            .if_version(current.version())
            .author(call.principal.clone());
        let written = call.api.store().write(write);
        written.map_err(|error| about(of.kind, name, &error))?;
    }
    look_at(call, name);
    let snapshot = call.snapshot()?;
    let left = snapshot
        .get(current.key())
        .map_err(|error| general(&error))?;
    Ok(left.map_or(Outcome::Gone(snapshot.version()), Outcome::Going))
}

/// A namespace whose deletion begins.
fn terminating(current: &Revision) -> Result<Vec<u8>, Status> {
    let mut value = read::parse(&object::marked(current)?)?;
    value["status"] = json!({"phase": "Terminating"});
    Ok(value.to_string().into_bytes())
}

/// After an object has gone: its namespace may have waited for it.
pub(super) fn look(call: &Call, of: &Subject<'_>) {
    if let Some(namespace) = of.namespace {
        look_at(call, namespace);
    }
}

/// Carries a deletion on. What the caller asked for is done: a failure is for the log, and the
/// deletion goes on with the next object that goes, or at the next start.
pub(super) fn look_at(call: &Call, name: &str) {
    if let Err(error) = finish(&call.api, name, &call.principal) {
        tracing::error!(name, %error, "the deletion of a namespace cannot go on");
    }
}

/// What one round over a namespace came to.
enum Round {
    /// It is gone, or is not terminating.
    Done,
    /// Finalizers hold it or something in it.
    Held,
    /// Somebody wrote meanwhile.
    Again,
}

/// Empties a namespace that is terminating, and removes it once it is empty. Any other is left
/// alone.
fn finish(api: &Api, name: &str, author: &Principal) -> Result<(), Error> {
    for _ in 0..ROUNDS_MAX {
        match round(api, name, author) {
            Ok(Round::Done | Round::Held) => return Ok(()),
            Ok(Round::Again) | Err(Error::NotFound { .. } | Error::VersionConflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let reason = "others kept writing to it".to_owned();
    Err(Error::Unavailable { reason })
}

/// One round. Every write is guarded by the namespace: what belongs to another namespace of the
/// same name, made meanwhile, is not touched.
fn round(api: &Api, name: &str, author: &Principal) -> Result<Round, Error> {
    let store = api.store();
    let key = key(name)?;
    let Some(namespace) = store.snapshot()?.get(&key)?.filter(is_terminating) else {
        return Ok(Round::Done);
    };
    let mut is_held = !object::finalizers(&parse(&namespace)?).is_empty();
    for kind in api.kinds().iter().filter(|kind| kind.is_namespaced()) {
        let collection = Collection::within(&kind.group, &kind.names.plural, name)?;
        let mut after = None;
        loop {
            let list = List::new(collection.clone()).limit(PAGE).after(after);
            let page = store.snapshot()?.list(&list)?;
            let mut writes = Vec::new();
            for object in &page.items {
                let value = parse(object)?;
                let is_free = object::finalizers(&value).is_empty();
                is_held |= !is_free;
                if is_free || !object::is_going(&value) {
                    let write = sweep(object, is_free)?.author(author.clone());
                    writes.push(write.guard(key.clone(), namespace.version()));
                }
            }
            store.write_batch(writes)?;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    if is_held {
        return Ok(Round::Held);
    }
    // A create that was let in before the namespace began to go is swept by the next round.
    if !is_empty(api, name)? {
        return Ok(Round::Again);
    }
    store.write(
        Write::delete(key)
            .if_version(namespace.version())
            .author(author.clone()),
    )?;
    Ok(Round::Done)
}

/// Takes an object out, or begins to.
fn sweep(object: &Revision, is_free: bool) -> Result<Write, Error> {
    let key = object.key().clone();
    let write = if is_free {
        Write::delete(key)
    } else {
        let bytes = object::marked(object);
        let bytes = bytes.map_err(|status| Error::Corrupt {
            reason: status.message,
        })?;
        Write::update(key, bytes)
    };
    Ok(write.if_version(object.version()))
}

fn is_empty(api: &Api, name: &str) -> Result<bool, Error> {
    let snapshot = api.store().snapshot()?;
    for kind in api.kinds().iter().filter(|kind| kind.is_namespaced()) {
        let collection = Collection::within(&kind.group, &kind.names.plural, name)?;
        if !snapshot
            .list(&List::new(collection).limit(1))?
            .items
            .is_empty()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

fn parse(revision: &Revision) -> Result<Value, Error> {
    serde_json::from_slice(revision.body()).map_err(|error| Error::Corrupt {
        reason: format!("{}: {error}", revision.key()),
    })
}
