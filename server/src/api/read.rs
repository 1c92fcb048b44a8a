//! Get and list: the newest state, or the one at a version, as objects, tables or metadata.
//!
//! What is read is bytes, and stays so unless a table or bare metadata is asked for. Lists and
//! their pages are in `list`.

mod list;

use annals::access::Verb;
use annals::{Revision, Snapshot, Version};
use jiff::Timestamp;
use serde_json::Value;

use super::answer::Answer;
use super::call::{Call, Subject};
use super::failure::about;
use crate::wire::accept::Form;
use crate::wire::object::with_resource_version;
use crate::wire::query::IncludeObject;
use crate::wire::status::Status;
use crate::wire::table::{ListMeta, Style, partial_object, table};

pub(super) use list::{check_whole, collect, exact, list, render, render_list};

/// One object.
pub(super) fn get(call: &Call, of: &Subject<'_>, name: &str) -> Result<Answer, Status> {
    let form = call.form()?;
    let query = call.query.get_object()?;
    let snapshot = call.snapshot()?;
    check_reached(&snapshot, query.resource_version)?;
    let scope = call.scope(Verb::Get, of, snapshot.version())?;
    let found = snapshot
        .get(&of.key(name)?)
        .map_err(|error| about(of.kind, name, &error))?;
    let found = found.filter(|found| scope.covers(found.header()));
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
pub(super) fn check_reached(snapshot: &Snapshot, wanted: Option<u64>) -> Result<(), Status> {
    match wanted {
        Some(wanted) if wanted > snapshot.version().get() => {
            Err(Status::too_large_version(wanted, snapshot.version().get()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    //! Catches a list that takes all memory because nobody named a limit.
    use super::list::check_whole;
    use crate::limits;

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
