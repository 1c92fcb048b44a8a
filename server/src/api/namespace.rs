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
use super::delete::{Outcome, put};
use super::failure::{about, general};
use super::{Api, object};
use crate::wire::query::DeleteOptions;
use crate::wire::status::{Attempt, Status};

const RESOURCE: &str = "namespaces";
const DEFAULT: &str = "default";
/// Who writes what no caller asked for.
const SYSTEM: &str = "system:annals";
/// How many objects of a namespace are deleted in one batch.
const BATCH: usize = 500;

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
    let all = List::new(Collection::of("", RESOURCE)?);
    for namespace in store.snapshot()?.list(&all)?.items {
        finish(api, namespace.key().name(), &Principal::new(SYSTEM))?;
    }
    Ok(())
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
    let snapshot = call
        .api
        .store()
        .snapshot()
        .map_err(|error| general(&error))?;
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
        return Ok(Outcome::Gone);
    }
    if !is_terminating(current) {
        let mut value = object::stored(current)?;
        value["metadata"]["deletionTimestamp"] = json!(object::now());
        value["status"] = json!({"phase": "Terminating"});
        put(call, of, current, &value)?;
    }
    finish(&call.api, name, &call.principal).map_err(|error| about(of.kind, name, &error))?;
    let snapshot = call
        .api
        .store()
        .snapshot()
        .map_err(|error| general(&error))?;
    let left = snapshot
        .get(current.key())
        .map_err(|error| general(&error))?;
    Ok(left.map_or(Outcome::Gone, Outcome::Going))
}

/// Empties a namespace that is terminating, and removes it once it is empty. Any other is left
/// alone.
pub(super) fn finish(api: &Api, name: &str, author: &Principal) -> Result<(), Error> {
    let store = api.store();
    let key = key(name)?;
    let Some(namespace) = store.snapshot()?.get(&key)?.filter(is_terminating) else {
        return Ok(());
    };
    let mut is_empty = true;
    for kind in api.kinds().iter().filter(|kind| kind.is_namespaced()) {
        let collection = Collection::within(&kind.group, &kind.names.plural, name)?;
        is_empty &= empty(api, &collection, author)?;
    }
    if !is_empty {
        return Ok(());
    }
    let gone = Write::delete(key)
        .if_version(namespace.version())
        .author(author.clone());
    match store.write(gone) {
        // Somebody else was faster, or changed it and will come here again.
        Ok(_) | Err(Error::NotFound { .. } | Error::VersionConflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Deletes what no finalizer holds; `true` when nothing is left.
fn empty(api: &Api, collection: &Collection, author: &Principal) -> Result<bool, Error> {
    let store = api.store();
    let mut is_empty = true;
    let mut after = None;
    loop {
        let list = List::new(collection.clone()).limit(BATCH).after(after);
        let page = store.snapshot()?.list(&list)?;
        for object in &page.items {
            let key = object.key().clone();
            let value: Value = serde_json::from_slice(object.body()).unwrap_or_default();
            let held = !object::finalizers(&value).is_empty();
            is_empty &= !held;
            let write = match held {
                true if object::is_going(&value) => continue,
                true => {
                    let mut value = value;
                    value["metadata"]["deletionTimestamp"] = json!(object::now());
                    value["metadata"]["deletionGracePeriodSeconds"] = json!(0);
                    Write::update(key, value.to_string().into_bytes())
                }
                false => Write::delete(key),
            };
            match store.write(write.if_version(object.version()).author(author.clone())) {
                Ok(_) | Err(Error::NotFound { .. }) => {}
                // Changed meanwhile: it is looked at again in the next round.
                Err(Error::VersionConflict { .. }) => is_empty = false,
                Err(error) => return Err(error),
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(is_empty);
        }
    }
}
