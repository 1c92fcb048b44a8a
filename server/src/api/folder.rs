//! Where a folder may stand, and when it may go.
//!
//! Folders make rules: what stands below a folder is seen by whoever may see the folder. So they
//! form no circle and are at most [`DEPTH_MAX`](annals::access::DEPTH_MAX) deep, one that is not
//! empty does not go, and nobody makes a folder of a name by which somebody else's objects know
//! theirs. The caller holds the turn alone, so what is found here holds until the commit.

use annals::access::Verb;
use annals::{Collection, Error, Filter, Grant, List, Reach, Revision, Scope, Version};
use serde_json::{Value, json};

use super::call::{Call, Subject};
use super::failure::general;
use crate::kinds::Cause;
use crate::wire::status::Status;

/// The annotation that says which folder an object stands in.
const ANNOTATION: &str = "grafana.app/folder";

/// The folder that an object names; empty for none.
pub(super) fn of_object(object: &Value) -> &str {
    let annotations = object.pointer("/metadata/annotations");
    let folder = annotations.and_then(|all| all.get(ANNOTATION));
    folder.and_then(Value::as_str).unwrap_or_default()
}

/// 422 unless this folder may stand in that one.
pub(super) fn check_place(
    call: &Call,
    of: &Subject<'_>,
    name: &str,
    parent: &str,
) -> Result<(), Status> {
    if !of.is_folder() {
        return Ok(());
    }
    let namespace = of.namespace.unwrap_or_default();
    let tree = call.state(Version::ZERO)?.rules.tree(namespace);
    tree.check(name, parent).map_err(|error| {
        let field = format!("metadata.annotations[{ANNOTATION}]");
        let cause = Cause::invalid(&field, &json!(parent), &error.to_string());
        Status::invalid(of.kind, name, &[cause])
    })
}

/// 409 if objects that the caller may not see know a folder of this name already, or knew one when
/// they were deleted: the new folder would show them.
pub(super) fn check_new(call: &Call, of: &Subject<'_>, name: &str) -> Result<(), Status> {
    if !of.is_folder() || call.is_admin {
        return Ok(());
    }
    let scope = call.scope(Verb::Create, of, Version::ZERO)?;
    if scope.covers_always(&of.key(name)?) {
        return Ok(());
    }
    if is_used(call, of, name, true)? {
        return Err(Status::already_exists(of.kind, name));
    }
    Ok(())
}

/// 409 if something stands in this folder. Nothing is asked of other kinds.
pub(super) fn check_empty(call: &Call, of: &Subject<'_>, folder: &Revision) -> Result<(), Status> {
    let name = folder.key().name();
    if !of.is_folder() || !is_used(call, of, name, false)? {
        return Ok(());
    }
    let why = "the folder is not empty: delete or move what stands in it first";
    Err(Status::conflict(of.kind, name, why))
}

/// Puts folders before those they stand in, so that all of them can go in this order.
pub(super) fn inner_first(
    call: &Call,
    of: &Subject<'_>,
    folders: &mut [Revision],
) -> Result<(), Status> {
    if !of.is_folder() {
        return Ok(());
    }
    let tree = call
        .state(Version::ZERO)?
        .rules
        .tree(of.namespace.unwrap_or_default());
    let most = folders.len() + 1;
    folders.sort_by_cached_key(|folder| {
        std::cmp::Reverse(tree.depth(folder.key().name(), most.min(DEPTH_SEEN_MAX)))
    });
    Ok(())
}

/// Deeper folders than this were not written by this server; their order is left to chance.
const DEPTH_SEEN_MAX: usize = 64;

/// Whether an object stands in this folder, or also stood there when it was deleted.
fn is_used(call: &Call, of: &Subject<'_>, name: &str, also_trash: bool) -> Result<bool, Status> {
    let namespace = of.namespace.unwrap_or_default();
    let folders = std::iter::once(name.to_owned()).collect();
    let grant = Grant {
        kind: None,
        namespace: Some(namespace.to_owned()),
        reach: Reach::Folders(std::sync::Arc::new(folders)),
    };
    let filter = Filter {
        scope: Scope::Only([grant].into()),
        ..Filter::default()
    };
    let snapshot = call.snapshot()?;
    let look = || -> Result<bool, Error> {
        for kind in call.api.kinds().iter().filter(|kind| kind.is_namespaced()) {
            let collection = Collection::within(&kind.group, &kind.names.plural, namespace)?;
            let list = List::new(collection).filter(filter.clone()).limit(1);
            let mut is_found = !snapshot.list(&list)?.items.is_empty();
            is_found |= also_trash && !snapshot.trash(&list)?.items.is_empty();
            if is_found {
                return Ok(true);
            }
        }
        Ok(false)
    };
    look().map_err(|error| general(&error))
}
