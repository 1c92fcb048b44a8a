//! Documents about the API itself: discovery, OpenAPI, metrics.

use axum::http::{HeaderValue, StatusCode, header};

use super::answer::Answer;
use super::call::Call;
use super::failure::general;
use super::route::Route;
use crate::wire::accept::{Discovery, accepts_json};
use crate::wire::status::Status;
use crate::wire::{self, discovery, openapi};

/// The answer to a path that names no object.
pub(super) fn page(call: &Call) -> Result<Answer, Status> {
    let kinds = call.api.kinds();
    if matches!(call.route, Route::CoreVersions | Route::Groups) {
        return roots(call);
    }
    if call.route != Route::Metrics {
        accepts_json(call.accept.as_deref())?;
    }
    let value = match &call.route {
        Route::Group(group) => discovery::group(kinds, group),
        Route::Resources { group, version } => discovery::resources(kinds, group, version),
        Route::OpenApi => Some(openapi::root(call.api.documents())),
        Route::OpenApiOf { group, version } => return schema(call, group, version),
        Route::Metrics => return metrics(call),
        _ => None,
    };
    value
        .map(|value| Answer::value(&value))
        .ok_or_else(Status::no_such_path)
}

/// `/api` and `/apis`, in the form that was asked for. Clients keep what they have read for hours and
/// ask with its tag.
fn roots(call: &Call) -> Result<Answer, Status> {
    let (kinds, is_core) = (call.api.kinds(), call.route == Route::CoreVersions);
    let (value, media_type) = match wire::accept::discovery(call.accept.as_deref())? {
        Discovery::Plain if is_core => (discovery::core_versions(kinds), None),
        Discovery::Plain => (discovery::groups(kinds), None),
        Discovery::Aggregated(version) => {
            let value = if is_core {
                discovery::core_aggregated(kinds, version)
            } else {
                discovery::groups_aggregated(kinds, version)
            };
            (value, Some(version.media_type()))
        }
    };
    let vary = HeaderValue::from_static("Accept");
    let Some(media_type) = media_type else {
        return Ok(Answer::value(&value).with_header(header::VARY, vary));
    };
    let bytes = value.to_string().into_bytes();
    let tag = format!("\"{}\"", openapi::hash(&bytes));
    let etag = HeaderValue::from_str(&tag).map_err(|error| Status::internal(&error.to_string()))?;
    let answer = if call.if_none_match.as_deref() == Some(tag.as_str()) {
        Answer::bytes(Vec::new()).with_code(StatusCode::NOT_MODIFIED)
    } else {
        Answer::bytes(bytes)
    };
    let answer = answer.with_media_type(media_type);
    let answer = answer.with_header(header::VARY, vary);
    Ok(answer.with_header(header::ETAG, etag))
}

/// The OpenAPI document of a group version. The hash in its address makes it immutable for
/// clients.
fn schema(call: &Call, group: &str, version: &str) -> Result<Answer, Status> {
    let path = match group {
        "" => format!("api/{version}"),
        group => format!("apis/{group}/{version}"),
    };
    let document = call
        .api
        .documents()
        .iter()
        .find(|document| document.path == path);
    let document = document.ok_or_else(Status::no_such_path)?;
    let tag = format!("\"{}\"", document.hash);
    let etag = HeaderValue::from_str(&tag).map_err(|error| Status::internal(&error.to_string()))?;
    if call.if_none_match.as_deref() == Some(tag.as_str()) {
        let answer = Answer::bytes(Vec::new()).with_code(StatusCode::NOT_MODIFIED);
        return Ok(answer.with_header(header::ETAG, etag));
    }
    let answer = Answer::bytes(document.bytes.clone()).with_header(header::ETAG, etag);
    if call.query.get("hash") == Some(&document.hash) {
        let forever = HeaderValue::from_static("public, immutable, max-age=31536000");
        return Ok(answer.with_header(header::CACHE_CONTROL, forever));
    }
    Ok(answer)
}

/// The state of the store in the Prometheus text format.
fn metrics(call: &Call) -> Result<Answer, Status> {
    let store = call.api.store();
    let stats = store.stats().map_err(|error| general(&error))?;
    let report = store.index_report();
    let index = report.status.as_ref();
    let rows: [(&str, &str, u64); 12] = [
        (
            "annals_store_version",
            "Newest version of the store.",
            stats.version.get(),
        ),
        (
            "annals_store_revisions",
            "Revisions in the log.",
            stats.revisions,
        ),
        (
            "annals_store_removed_revisions",
            "Revisions that retention has removed.",
            stats.removed,
        ),
        ("annals_store_objects", "Live objects.", stats.objects),
        (
            "annals_store_trash",
            "Deleted keys that are kept.",
            stats.trash,
        ),
        (
            "annals_store_bytes",
            "Size of the tables in bytes.",
            stats.bytes,
        ),
        (
            "annals_store_writes_refused",
            "1 while writes are refused after an I/O error.",
            u64::from(store.write_failure().is_some()),
        ),
        (
            "annals_index_ready",
            "1 while searches are answered.",
            u64::from(report.is_ready()),
        ),
        (
            "annals_index_version",
            "Version that searches reflect.",
            index.and_then(|status| status.version).unwrap_or(0),
        ),
        (
            "annals_index_documents",
            "Documents in the index.",
            index.map_or(0, |s| s.documents),
        ),
        (
            "annals_index_set_aside",
            "Documents that could not be indexed.",
            index.map_or(0, |status| status.set_aside),
        ),
        (
            "annals_watches",
            "Open watches.",
            call.api.shared.watches.total(),
        ),
    ];
    let mut text = String::new();
    for (name, help, value) in rows {
        text.push_str(&format!(
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"
        ));
    }
    Ok(Answer::text(text))
}
