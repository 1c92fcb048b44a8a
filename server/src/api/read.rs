//! Get and list: the newest state, or the one at a version, as objects, tables or metadata.

use annals::{List, Revision, Snapshot, Version};
use jiff::Timestamp;
use serde_json::Value;

use super::answer::Answer;
use super::call::{Call, Subject};
use super::failure::{about, general};
use super::token::Binding;
use crate::limits;
use crate::wire::object::with_resource_version;
use crate::wire::query::{IncludeObject, ListQuery, VersionMatch};
use crate::wire::status::Status;
use crate::wire::table::{ListMeta, Style, partial_object, partial_object_list, table};
use crate::wire::{self, accept::Form};

/// One object.
pub(super) fn get(call: &Call, of: &Subject<'_>, name: &str) -> Result<Answer, Status> {
    let form = call.form()?;
    let query = call.query.get_object()?;
    let snapshot = call.snapshot()?;
    check_reached(&snapshot, query.resource_version)?;
    let found = snapshot
        .get(&of.key(name)?)
        .map_err(|error| about(of.kind, name, &error))?;
    let revision = found.ok_or_else(|| Status::not_found(of.kind, name))?;
    show(
        of,
        form,
        query.include_object,
        &revision,
        revision.version(),
    )
}

/// An object in the form that was asked for, shown at this version; at none if it is zero.
pub(super) fn show(
    of: &Subject<'_>,
    form: Form,
    include: IncludeObject,
    revision: &Revision,
    version: Version,
) -> Result<Answer, Status> {
    let mut served = serve(of, revision, version)?;
    if version == Version::ZERO {
        let mut value = parse(&served)?;
        if let Some(metadata) = value["metadata"].as_object_mut() {
            metadata.shift_remove("resourceVersion");
        }
        served = value.to_string().into_bytes();
    }
    Ok(match form {
        Form::Object => Answer::bytes(served),
        Form::Table(meta_version) => {
            let style = Style {
                version: meta_version,
                include,
                headers: true,
                now: Timestamp::now(),
            };
            let resource_version = version.to_string();
            let meta = ListMeta {
                resource_version,
                ..ListMeta::default()
            };
            Answer::value(&table(of.version, style, &meta, [&parse(&served)?]))
        }
        Form::Metadata(meta_version) => {
            Answer::value(&partial_object(meta_version, &parse(&served)?))
        }
    })
}

/// The stored bytes as they are served at a version.
pub(super) fn serve(
    of: &Subject<'_>,
    revision: &Revision,
    version: Version,
) -> Result<Vec<u8>, Status> {
    with_resource_version(revision.body(), version.get(), &of.api_version())
        .map_err(|error| Status::internal(&format!("{}: {error}", revision.key())))
}

/// Bytes that the server itself wrote, as a value.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(bytes).map_err(|error| Status::internal(&error.to_string()))
}

/// The version asked for must have been written.
fn check_reached(snapshot: &Snapshot, wanted: Option<u64>) -> Result<(), Status> {
    match wanted {
        Some(wanted) if wanted > snapshot.version().get() => {
            Err(Status::too_large_version(wanted, snapshot.version().get()))
        }
        _ => Ok(()),
    }
}

/// A collection, whole or a page of it.
pub(super) fn list(call: &Call, of: &Subject<'_>) -> Result<Answer, Status> {
    let form = call.form()?;
    let query = call.query.list()?;
    let found = collect(call, of, &query)?;
    let token = found
        .next
        .as_ref()
        .map(|last| found.binding.token(found.version, last));
    let meta = ListMeta {
        resource_version: found.version.to_string(),
        continue_token: token,
        remaining: None,
    };
    render_list(of, form, query.include_object, &meta, &found.items)
}

/// What a list found.
pub(super) struct Listed {
    pub(super) version: Version,
    pub(super) items: Vec<Revision>,
    pub(super) next: Option<annals::Key>,
    binding: Binding,
}

/// Finds the objects of a list, at the version and from the place that the query says.
pub(super) fn collect(call: &Call, of: &Subject<'_>, query: &ListQuery) -> Result<Listed, Status> {
    let filter = of.filter(query)?;
    let binding = Binding {
        group: of.kind.group.clone(),
        resource: of.kind.names.plural.clone(),
        namespace: of.namespace.map(str::to_owned),
        selectors: [filter.labels.to_string(), format!("{:?}", filter.fields)],
    };
    let (snapshot, mut after) = match &query.continue_token {
        Some(text) => {
            let (version, last) = binding.read(text)?;
            (at(call, version)?, Some(last))
        }
        None => (start(call, query)?, None),
    };
    let (mut items, mut bytes) = (Vec::new(), 0);
    loop {
        // Without a limit the whole collection is the answer: page by page, at one version.
        let list = List::new(of.collection()?)
            .filter(filter.clone())
            .after(after);
        let list = list.limit(query.limit.unwrap_or(0));
        let page = snapshot.list(&list).map_err(|error| general(&error))?;
        bytes += page
            .items
            .iter()
            .map(|item| item.body().len())
            .sum::<usize>();
        items.extend(page.items);
        check_whole(bytes)?;
        after = page.next;
        if after.is_none() || query.limit.is_some() {
            break;
        }
    }
    Ok(Listed {
        version: snapshot.version(),
        items,
        next: after,
        binding,
    })
}

/// What one answer may hold of a collection.
fn check_whole(bytes: usize) -> Result<(), Status> {
    if bytes <= limits::LIST_BYTES {
        return Ok(());
    }
    let what = "the list, which can be read in pages with limit and continue,";
    Err(Status::too_large(what, limits::LIST_BYTES))
}

fn at(call: &Call, version: Version) -> Result<Snapshot, Status> {
    call.api
        .store()
        .snapshot_at(version)
        .map_err(|error| general(&error))
}

/// The state that a list without a token starts from, by the rules of `resourceVersion` and
/// `resourceVersionMatch` (Kubernetes, "API concepts").
fn start(call: &Call, query: &ListQuery) -> Result<Snapshot, Status> {
    let exact = match query.version_match {
        VersionMatch::Exact => true,
        VersionMatch::NotOlderThan => false,
        // With a limit the pages must agree, so a version means that version.
        VersionMatch::Unset => query.limit.is_some(),
    };
    match query.resource_version {
        Some(version) if version > 0 && exact => at(call, Version::new(version)),
        wanted => {
            let snapshot = call.snapshot()?;
            check_reached(&snapshot, wanted)?;
            Ok(snapshot)
        }
    }
}

/// A list in the form that was asked for.
pub(super) fn render_list(
    of: &Subject<'_>,
    form: Form,
    include: IncludeObject,
    meta: &ListMeta,
    items: &[Revision],
) -> Result<Answer, Status> {
    let served = items.iter().map(|item| serve(of, item, item.version()));
    let served: Vec<Vec<u8>> = served.collect::<Result<_, _>>()?;
    let values = || {
        served
            .iter()
            .map(|bytes| parse(bytes))
            .collect::<Result<Vec<Value>, _>>()
    };
    Ok(match form {
        Form::Object => Answer::bytes(wire::list::list(
            of.found,
            meta,
            served.iter().map(Vec::as_slice),
        )),
        Form::Table(version) => {
            let style = Style {
                version,
                include,
                headers: true,
                now: Timestamp::now(),
            };
            Answer::value(&table(of.version, style, meta, &values()?))
        }
        Form::Metadata(version) => Answer::value(&partial_object_list(version, meta, &values()?)),
    })
}

#[cfg(test)]
mod tests {
    //! Catches a list that takes all memory because nobody named a limit.
    use super::*;

    #[test]
    fn a_list_in_one_piece_has_a_largest_size() {
        assert!(check_whole(limits::LIST_BYTES).is_ok());
        for bytes in [limits::LIST_BYTES + 1, usize::MAX] {
            let status = check_whole(bytes).unwrap_err();
            assert_eq!(status.code(), 413);
            assert!(status.message.contains("limit and continue"), "{status}");
        }
    }
}
