//! Search, the history of an object, and the state of the index.

use std::time::Duration;

use annals::search::{
    Facet, FacetBy, Hit, Hits, Query as Question, Scope, Sort, SortBy, State, Value as Own,
};
use annals::{Action, Error, Key, Page, Revision, SearchField, Timestamp, Version};
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::call::Call;
use super::failure::general;
use super::lives::Lives;
use super::read::parse;
use crate::kinds::ServedKind;
use crate::limits;
use crate::wire::accept::accepts_json;
use crate::wire::object::with_resource_version;
use crate::wire::status::Status;

/// The `minVersion` of a caller who wants to see everything written so far.
const LATEST: &str = "latest";
const HISTORY_PAGE: usize = 50;
const FACET_TERMS: usize = 50;

/// GET .../search
pub(super) fn search(call: &Call, namespace: &str) -> Result<Answer, Status> {
    accepts_json(call.accept.as_deref())?;
    check_names(call)?;
    let question = question(call, namespace)?;
    check_fields(call, &question)?;
    let at_least = match call.query.get("minVersion") {
        Some(LATEST) => Some(call.snapshot()?.version()),
        _ => number(call, "minVersion", None)?.map(Version::new),
    };
    let found = ask(call, namespace, &question, at_least)?;
    let columns: Vec<&str> = call.query.all("field").collect();
    let hits: Vec<Value> = found.hits.iter().map(|hit| show(hit, &columns)).collect();
    let mut answer = json!({
        "kind": "SearchResults",
        "apiVersion": "search.annals.dev/v1",
        "metadata": {"resourceVersion": found.version.to_string()},
        "resourceVersion": found.version.to_string(),
        "offset": question.offset,
        "totalHits": found.total,
        "relaxed": found.relaxed,
        "maxScore": found.max_score,
        "hits": hits,
    });
    if !found.facets.is_empty() {
        let facets = found
            .facets
            .iter()
            .zip(call.query.all("facet"))
            .map(|(facet, name)| {
                let terms: Vec<Value> = facet
                    .terms
                    .iter()
                    .map(|(term, count)| json!({"term": term, "count": count}))
                    .collect();
                let counts = json!({
                    "field": name, "total": facet.total, "missing": facet.missing, "terms": terms,
                });
                (name.to_owned(), counts)
            });
        answer["facets"] = Value::Object(facets.collect());
    }
    Ok(Answer::value(&answer))
}

/// How often a question is asked while what the caller sees changes.
const TRIES: usize = 5;

/// Asks the index for what the caller sees. Where folders decide, the answer is not older than the
/// question: an object that has been moved out of sight must not be found where it was.
fn ask(
    call: &Call,
    namespace: &str,
    question: &Question,
    at_least: Option<Version>,
) -> Result<Hits, Status> {
    let store = call.api.store();
    let (mut scope, mut state) = call.enter_namespace(namespace, &call.path)?;
    for _ in 0..TRIES {
        let newest = scope.is_by_folder().then(|| call.snapshot());
        let newest = newest.transpose()?.map(|snapshot| snapshot.version());
        let compiled = state.as_ref().map(|state| state.search(&scope));
        let all = Scope::All;
        let found = store.search(
            question,
            compiled.as_deref().unwrap_or(&all),
            at_least.max(newest),
        );
        let found = found.map_err(|error| match error {
            Error::Invalid { problem, .. } => Status::bad_request(problem),
            Error::IndexNotReady {
                ref reason,
                retry_after,
            } => unavailable(reason, retry_after),
            other => general(&other),
        })?;
        if state.is_none() {
            return Ok(found);
        }
        let (now, newer) =
            call.enter_namespace_at(namespace, &call.path, Version::new(found.version))?;
        if now.is_same(&scope) || now == scope {
            return Ok(found);
        }
        (scope, state) = (now, newer);
    }
    let why = "what the caller may see keeps changing";
    Err(Status::service_unavailable(why))
}

fn unavailable(reason: &str, retry_after: Duration) -> Status {
    let mut status =
        Status::service_unavailable(format!("the search index is not ready: {reason}"));
    let details = status.details.get_or_insert_default();
    details.retry_after_seconds = u32::try_from(retry_after.as_secs().max(1)).ok();
    status
}

const PARAMETERS: [&str; 13] = [
    "query",
    "type",
    "folder",
    "tag",
    "label",
    "name",
    "field",
    "sort",
    "facet",
    "limit",
    "offset",
    "minVersion",
    "timeout",
];

/// Those of them that have one value.
const SINGLE: [&str; 5] = ["query", "folder", "limit", "offset", "minVersion"];

/// A parameter that is not known, or has two values, is a mistake of the caller's, not a filter to be left out.
fn check_names(call: &Call) -> Result<(), Status> {
    let repeated = SINGLE.iter().find(|name| call.query.all(name).count() > 1);
    if let Some(name) = repeated {
        return Err(Status::bad_request(format!(
            "{name}: expected at most once"
        )));
    }
    let unknown = call.query.names().find(|name| !PARAMETERS.contains(name));
    match unknown {
        Some(name) => Err(Status::bad_request(format!(
            "{name}: unknown parameter; expected one of {}",
            PARAMETERS.join(", ")
        ))),
        None => Ok(()),
    }
}

/// The question that the parameters ask.
fn question(call: &Call, namespace: &str) -> Result<Question, Status> {
    let all = |name: &'static str| call.query.all(name).map(str::to_owned).collect::<Vec<_>>();
    let pair = |name: &'static str, separator: char| {
        let split = |text: &str| match text.split_once(separator) {
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
            None => Err(Status::bad_request(format!(
                "{name}: {text:?}: expected key{separator}value"
            ))),
        };
        call.query
            .all(name)
            .map(split)
            .collect::<Result<Vec<_>, Status>>()
    };
    let limit = number(call, "limit", Some(limits::SEARCH_HITS as u64))?.unwrap_or(50);
    let offset = number(call, "offset", None)?.unwrap_or(0);
    // `field=name` asks for a column, `field=name:value` filters by it.
    let filters = call
        .query
        .all("field")
        .filter_map(|text| text.split_once(':'));
    Ok(Question {
        text: call.query.get("query").unwrap_or_default().to_owned(),
        namespace: Some(namespace.to_owned()),
        types: call
            .query
            .all("type")
            .map(|name| kind_of(call, name))
            .collect::<Result<_, _>>()?,
        folder: call.query.get("folder").map(|folder| match folder {
            "general" => String::new(),
            folder => folder.to_owned(),
        }),
        tags: all("tag"),
        labels: pair("label", '=')?,
        names: all("name"),
        fields: filters
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        sort: call.query.all("sort").map(sort).collect(),
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        offset: usize::try_from(offset).unwrap_or(usize::MAX),
        facets: call.query.all("facet").map(facet).collect(),
    })
}

/// A field that no kind has is a mistake too: it would sort by nothing and find nothing.
fn check_fields(call: &Call, question: &Question) -> Result<(), Status> {
    let check = |parameter: &str, name: &str, is_fit: fn(&SearchField) -> bool| {
        let fields = call.api.kinds().iter().flat_map(|kind| &kind.search_fields);
        let fit: Vec<&str> = fields
            .filter(|field| is_fit(field))
            .map(|field| field.name.as_str())
            .collect();
        if fit.contains(&name) {
            return Ok(());
        }
        let fit = fit.join(", ");
        Err(Status::bad_request(format!(
            "{parameter}: {name:?}: expected a search field that allows it, one of: {fit}"
        )))
    };
    for sort in &question.sort {
        if let SortBy::Own(name) = &sort.by {
            check("sort", name, |field| field.sortable)?;
        }
    }
    for facet in &question.facets {
        if let FacetBy::Own(name) = &facet.by {
            check("facet", name, |field| field.filterable)?;
        }
    }
    for (name, _) in &question.fields {
        check("field", name, |field| field.filterable)?;
    }
    let columns = call.query.all("field").filter(|name| !name.contains(':'));
    for name in columns.filter(|name| !COLUMNS.contains(name)) {
        check("field", name, |_| true)?;
    }
    Ok(())
}

/// A number that is at most `max`.
fn number(call: &Call, name: &str, max: Option<u64>) -> Result<Option<u64>, Status> {
    let Some(text) = call.query.get(name) else {
        return Ok(None);
    };
    let max = max.unwrap_or(i64::MAX as u64);
    match text.parse::<u64>() {
        Ok(number) if number <= max && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Some(number))
        }
        _ => Err(Status::bad_request(format!(
            "{name}: {text:?}: expected a number from 0 to {max}"
        ))),
    }
}

/// The group and resource that a name stands for: plural, singular, short name or kind.
fn kind_of(call: &Call, name: &str) -> Result<(String, String), Status> {
    let lower = name.to_lowercase();
    let is_named = |kind: &&ServedKind| {
        let names = &kind.names;
        !kind.group.is_empty()
            && (names.plural == lower
                || names.singular == lower
                || names.kind.to_lowercase() == lower
                || names.short_names.contains(&lower)
                || kind.resource() == lower)
    };
    let found = call.api.kinds().iter().find(is_named);
    let found = found.ok_or_else(|| {
        Status::bad_request(format!("type: {name:?}: expected a kind that is served"))
    })?;
    Ok((found.group.clone(), found.names.plural.clone()))
}

fn sort(text: &str) -> Sort {
    let (name, descending) = match text.strip_prefix('-') {
        Some(name) => (name, true),
        None => (text, false),
    };
    let by = match name {
        "score" => SortBy::Score,
        "title" => SortBy::Title,
        "name" => SortBy::Name,
        "folder" => SortBy::Folder,
        "kind" => SortBy::Kind,
        "created" => SortBy::Created,
        "updated" => SortBy::Updated,
        "version" => SortBy::Version,
        own => SortBy::Own(own.to_owned()),
    };
    Sort { by, descending }
}

fn facet(name: &str) -> Facet {
    let by = match name {
        "tag" | "tags" => FacetBy::Tag,
        "folder" => FacetBy::Folder,
        "kind" => FacetBy::Kind,
        "type" => FacetBy::Type,
        own => match own.strip_prefix("label.") {
            Some(label) => FacetBy::Label(label.to_owned()),
            None => FacetBy::Own(own.to_owned()),
        },
    };
    Facet {
        by,
        limit: FACET_TERMS,
    }
}

fn show(hit: &Hit, columns: &[&str]) -> Value {
    let mut shown = Map::new();
    shown.insert("resource".to_owned(), json!(hit.key.resource));
    shown.insert("group".to_owned(), json!(hit.key.group));
    shown.insert("name".to_owned(), json!(hit.key.name));
    shown.insert("namespace".to_owned(), json!(hit.key.namespace));
    shown.insert("title".to_owned(), json!(hit.title));
    shown.insert("resourceVersion".to_owned(), json!(hit.version.to_string()));
    if !hit.tags.is_empty() {
        shown.insert("tags".to_owned(), json!(hit.tags));
    }
    if !hit.folder.is_empty() {
        shown.insert("folder".to_owned(), json!(hit.folder));
    }
    shown.insert("score".to_owned(), json!(hit.score));
    let own = columns.iter().filter(|column| !column.contains(':'));
    let own = own.filter_map(|column| Some(((*column).to_owned(), column_of(hit, column)?)));
    let own: Map<String, Value> = own.collect();
    if !own.is_empty() {
        shown.insert("field".to_owned(), Value::Object(own));
    }
    Value::Object(shown)
}

/// The columns that hits of every kind have.
const COLUMNS: [&str; 7] = [
    "description",
    "kind",
    "created",
    "updated",
    "createdBy",
    "updatedBy",
    "labels",
];

/// A column that was asked for by name.
fn column_of(hit: &Hit, column: &str) -> Option<Value> {
    match column {
        "description" => Some(json!(hit.description)),
        "kind" => Some(json!(hit.kind)),
        "created" => Some(json!(hit.created_ms)),
        "updated" => Some(json!(hit.updated_ms)),
        "createdBy" => Some(json!(hit.created_by)),
        "updatedBy" => Some(json!(hit.updated_by)),
        "labels" => Some(Value::Object(
            hit.labels
                .iter()
                .map(|(key, value)| (key.clone(), json!(value)))
                .collect(),
        )),
        own => {
            let field = hit.fields.iter().find(|(name, _)| name == own)?;
            let values = field.1.iter().map(|value| match value {
                Own::Text(text) => json!(text),
                Own::Number(number) => json!(number),
                Own::Bool(flag) => json!(flag),
                Own::Date(millis) => json!(millis),
            });
            Some(values.collect())
        }
    }
}

/// GET .../index
pub(super) fn index(call: &Call) -> Result<Answer, Status> {
    accepts_json(call.accept.as_deref())?;
    let report = call.api.store().index_report();
    let version = call
        .api
        .store()
        .stats()
        .map_err(|error| general(&error))?
        .version;
    let mut answer = json!({
        "kind": "IndexStatus",
        "apiVersion": "search.annals.dev/v1",
        "ready": report.is_ready(),
        "storeVersion": version.to_string(),
    });
    if let Some(status) = &report.status {
        answer["state"] = json!(match &status.state {
            State::Ready => "ready",
            State::Building => "building",
            State::Failed { .. } => "failed",
        });
        answer["resourceVersion"] = json!(status.version.map(|version| version.to_string()));
        answer["documents"] = json!(status.documents);
        answer["bytes"] = json!(status.bytes);
        answer["openWriters"] = json!(status.open_writers);
        answer["setAside"] = json!(status.set_aside);
        let aside = status.set_aside_newest.iter().map(|aside| {
            json!({"name": aside.name, "version": aside.version.to_string(), "reason": aside.reason})
        });
        answer["setAsideNewest"] = aside.collect();
    }
    if !report.is_ready() || report.problem.is_some() {
        answer["reason"] = json!(report.reason());
    }
    Ok(Answer::value(&answer))
}

/// POST .../index/rebuild
pub(super) fn rebuild(call: &Call) -> Result<Answer, Status> {
    call.api
        .store()
        .rebuild_index()
        .map_err(|error| general(&error))?;
    let answer = Answer::value(&json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "message": "the search index is being rebuilt",
    }));
    Ok(answer.with_code(axum::http::StatusCode::ACCEPTED))
}

/// GET of the revisions of an object, newest first.
pub(super) fn history(
    call: &Call,
    namespace: &str,
    group: &str,
    resource: &str,
    name: &str,
) -> Result<Answer, Status> {
    accepts_json(call.accept.as_deref())?;
    let kind = call
        .api
        .kinds()
        .kind(group, resource)
        .ok_or_else(Status::no_such_path)?;
    let missing = || Status::not_found(kind, name);
    let key = Key::new(group, resource, namespace, name).map_err(|_| missing())?;
    let most = limits::PAGE_ITEMS_MAX as u64;
    let limit = number(call, "limit", Some(most))?.map_or(HISTORY_PAGE, |limit| limit as usize);
    let before = number(call, "before", None)?;
    let with_object = call.query.get("object") != Some("false");
    let snapshot = call.snapshot()?;
    let start = before.map(|before| Version::new(before.saturating_sub(1)));
    let read = |limit, start| {
        let page = snapshot.history(&key, limit, start);
        page.map_err(|error| match error {
            Error::NotFound { .. } => missing(),
            other => general(&other),
        })
    };
    let limit = limit.max(1);
    let scope = call.enter_history(kind, namespace, name, snapshot.version())?;
    let sees_all = scope.covers_always(&key);
    let page = if sees_all {
        read(limit, start)?
    } else {
        let page = seen(&scope, limit, start, read)?;
        // A name that was never written, and one that is not seen, are the same.
        page.ok_or_else(missing)?
    };
    let items = page
        .items
        .iter()
        .map(|revision| entry(kind, revision, with_object, sees_all));
    Ok(Answer::value(&json!({
        "kind": "History",
        "apiVersion": "history.annals.dev/v1",
        "metadata": {"resourceVersion": page.version.to_string()},
        "items": items.collect::<Result<Vec<Value>, Status>>()?,
    })))
}

/// The part of a history that the caller sees, which is judged from the newest revision on.
/// Nothing, if that is none.
fn seen(
    scope: &annals::Scope,
    limit: usize,
    start: Option<Version>,
    read: impl Fn(usize, Option<Version>) -> Result<Page<Version>, Status>,
) -> Result<Option<Page<Version>>, Status> {
    let (mut lives, mut from, mut is_any) = (Lives::new(scope), None, false);
    let mut kept = Vec::new();
    loop {
        let mut page = read(SEEN_STEP, from)?;
        from = page.next;
        for revision in std::mem::take(&mut page.items) {
            let header = revision.header();
            if !lives.show(header) {
                from = None;
                break;
            }
            is_any = true;
            if start.is_none_or(|start| header.version <= start) {
                kept.push(revision);
            }
        }
        if kept.len() >= limit || from.is_none() {
            kept.truncate(limit);
            page.items = kept;
            return Ok(is_any.then_some(page));
        }
    }
}

/// How many revisions of a history are read at a time, until it is known what is seen of it.
const SEEN_STEP: usize = 16;

fn entry(
    kind: &ServedKind,
    revision: &Revision,
    with_object: bool,
    sees_all: bool,
) -> Result<Value, Status> {
    let header = revision.header();
    let mut entry = json!({
        "version": header.version.to_string(),
        "action": header.action.as_str(),
        "time": rfc3339(header.time),
        "author": header.author,
    });
    // What came before a life is no part of it.
    let is_first = header.action == Action::Created;
    if let Some(previous) = header.previous.filter(|_| sees_all || !is_first) {
        entry["previous"] = json!(previous.to_string());
    }
    if with_object && header.is_live() {
        let api_version = kind.api_version(&kind.storage().name);
        let served = with_resource_version(revision.body(), header.version.get(), &api_version)
            .map_err(|error| Status::internal(&error.to_string()))?;
        entry["object"] = parse(&served)?;
    }
    Ok(entry)
}

fn rfc3339(time: Timestamp) -> String {
    let micros = i64::try_from(time.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_microsecond(micros)
        .unwrap_or_default()
        .to_string()
}
