//! Lists: which state, which part of it, and how the next part is asked for.
//!
//! ```text
//! continue                      the version of the first page; the newest, if the token says so
//! resourceVersion N, Exact      N
//! resourceVersion N and a limit N, because pages must agree with each other
//! anything else                 the newest, which must have reached resourceVersion
//! ```
//!
//! Invariants: all pages show one version; a page that is not the last holds an object, and its
//! token leads behind it, so following tokens ends. A version that is no longer kept is 410; if a
//! token named it, the answer brings a fresh one, with which the rest can be read at the newest
//! version.
//!
//! `remainingItemCount` is told when it costs next to nothing: without a selector, when no more
//! than [`COUNTED_MAX`] objects follow the page. Otherwise it is left out, as the rules of
//! Kubernetes allow; so it is behind a page as large as the store gives them.

use annals::access::Verb;
use annals::{Error, ErrorKind, Key, List, Page, Revision, Snapshot, Version};
use jiff::Timestamp;
use serde_json::Value;

use super::{check_reached, parse, serve};
use crate::api::answer::Answer;
use crate::api::call::{Call, Subject};
use crate::api::failure::general;
use crate::api::past;
use crate::api::token::{At, Binding};
use crate::limits;
use crate::wire::past::asked;
use crate::wire::query::{IncludeObject, ListQuery, VersionMatch};
use crate::wire::status::Status;
use crate::wire::table::{ListMeta, Style, partial_object_list, table};
use crate::wire::{self, accept::Form};

/// How far a page looks beyond its end to count what follows.
const COUNTED_MAX: usize = 32;

/// A collection, whole or a page of it.
pub(in crate::api) fn list(call: &Call, of: &Subject<'_>) -> Result<Answer, Status> {
    let form = call.form()?;
    let query = call.query.list()?;
    let selectors = of.selectors(&query)?;
    if let Some(past) = asked(&selectors.labels, &selectors.fields)? {
        return past::list(call, of, &query, &past);
    }
    let listed = collect(call, of, &query, Verb::List)?;
    let meta = ListMeta {
        resource_version: listed.version.to_string(),
        continue_token: listed.token,
        remaining: listed.remaining,
    };
    render_list(of, form, query.include_object, &meta, &listed.items)
}

/// What a list found.
#[derive(Debug)]
pub(in crate::api) struct Listed {
    pub(in crate::api) version: Version,
    pub(in crate::api) items: Vec<Revision>,
    /// How to ask for what follows; `None` when nothing does.
    token: Option<String>,
    /// How many objects follow, where that is known.
    remaining: Option<u64>,
}

/// Finds the objects of a list that the caller may do this to, at the version and from the place
/// that the query says.
pub(in crate::api) fn collect(
    call: &Call,
    of: &Subject<'_>,
    query: &ListQuery,
    verb: Verb,
) -> Result<Listed, Status> {
    let (collection, mut filter) = (of.collection()?, of.filter(query)?);
    let store = call.api.store();
    let binding = Binding {
        epoch: store.epoch().bytes(),
        group: of.kind.group.clone(),
        resource: of.kind.names.plural.clone(),
        namespace: of.namespace.map(str::to_owned),
        filter: filter.clone(),
    };
    let token = query.continue_token.as_ref();
    let place = token.map(|text| binding.read(text)).transpose()?;
    let part = Part {
        binding,
        last: place.as_ref().map(|(_, last)| last.clone()),
        limit: query.limit,
    };
    let at = |version| store.snapshot_at(version).map_err(|e| part.refuse(&e));
    let snapshot = match (place, exact(query)) {
        (Some((At::Version(version), _)), _) | (None, Some(version)) => at(version)?,
        (Some((At::Newest, _)), _) => call.snapshot()?,
        (Some((At::Lost, last)), _) => return Err(part.too_old(&last)),
        (None, None) => newest(call, query.resource_version)?,
    };
    filter.scope = call.scope(verb, of, snapshot.version())?;
    part.gather(snapshot.version(), |after, limit| {
        let list = List::new(collection.clone()).filter(filter.clone());
        snapshot.list(&list.after(after).limit(limit))
    })
}

/// The version that a list without a token means, if it means one and no other.
pub(in crate::api) fn exact(query: &ListQuery) -> Option<Version> {
    let exact = match query.version_match {
        VersionMatch::Exact => true,
        VersionMatch::NotOlderThan => false,
        VersionMatch::Unset => query.limit.is_some(),
    };
    let version = query
        .resource_version
        .filter(|version| exact && *version > 0);
    version.map(Version::new)
}

/// The newest state, which must have reached a version.
fn newest(call: &Call, wanted: Option<u64>) -> Result<Snapshot, Status> {
    let snapshot = call.snapshot()?;
    check_reached(&snapshot, wanted)?;
    Ok(snapshot)
}

/// The part of a list that is asked for.
struct Part {
    binding: Binding,
    /// The last key of the page before.
    last: Option<Key>,
    /// `None` asks for everything that follows.
    limit: Option<usize>,
}

impl Part {
    /// Collects the part from the pages of a state; `page` reads one behind a key, of at most so
    /// many objects.
    fn gather(
        &self,
        version: Version,
        page: impl Fn(Option<Key>, usize) -> Result<Page<Key>, Error>,
    ) -> Result<Listed, Status> {
        let read = |after: Option<Key>, limit| {
            let found = page(after.clone(), limit).map_err(|error| self.refuse(&error))?;
            check_progress(&found, after.as_ref())?;
            Ok::<_, Status>(found)
        };
        match self.limit {
            Some(limit) => self.cut(version, limit, &read),
            None => self.whole(version, &read),
        }
    }

    /// One page, and a look beyond its end.
    fn cut(
        &self,
        version: Version,
        limit: usize,
        read: &impl Fn(Option<Key>, usize) -> Result<Page<Key>, Status>,
    ) -> Result<Listed, Status> {
        let counts = self.binding.filter.is_all();
        let ahead = if counts { COUNTED_MAX } else { 0 };
        let mut found = read(self.last.clone(), limit + ahead)?;
        let beyond = found.items.len().saturating_sub(limit);
        found.items.truncate(limit);
        let ends = found.next.is_none();
        let last = found.items.last().filter(|_| beyond > 0 || !ends);
        let token = last.map(|last| self.binding.token(At::Version(version), last.key()));
        Ok(Listed {
            version,
            token,
            remaining: (counts && ends && beyond > 0).then_some(beyond as u64),
            items: found.items,
        })
    }

    /// All that follows: page by page, at one version.
    fn whole(
        &self,
        version: Version,
        read: &impl Fn(Option<Key>, usize) -> Result<Page<Key>, Status>,
    ) -> Result<Listed, Status> {
        let (mut items, mut bytes, mut after) = (Vec::new(), 0, self.last.clone());
        loop {
            let found = read(after, 0)?;
            let sizes = found.items.iter().map(|item| item.body().len());
            bytes += sizes.sum::<usize>();
            items.extend(found.items);
            check_whole(bytes)?;
            after = found.next;
            if after.is_none() {
                let (token, remaining) = (None, None);
                return Ok(Listed {
                    version,
                    items,
                    token,
                    remaining,
                });
            }
        }
    }

    /// The answer to an error of the store.
    fn refuse(&self, error: &Error) -> Status {
        match (error.kind(), &self.last) {
            (ErrorKind::Gone, Some(last)) => self.too_old(last),
            (ErrorKind::Gone, None) => {
                Status::expired("The resourceVersion for the provided list is too old.")
            }
            _ => general(error),
        }
    }

    /// 410, with a token for the rest at the newest version.
    fn too_old(&self, last: &Key) -> Status {
        Status::expired_list(self.binding.token(At::Newest, last))
    }
}

/// A page that has a next one holds an object, and leads further: else reading on would not end.
fn check_progress(page: &Page<Key>, after: Option<&Key>) -> Result<(), Status> {
    let Some(next) = &page.next else {
        return Ok(());
    };
    let leads_on = after.is_none_or(|after| after < next);
    let is_last = page.items.last().is_some_and(|last| last.key() == next);
    if leads_on && is_last {
        return Ok(());
    }
    Err(Status::internal("a page of a list does not lead further"))
}

/// What one answer may hold of a collection.
pub(in crate::api) fn check_whole(bytes: usize) -> Result<(), Status> {
    if bytes <= limits::LIST_BYTES {
        return Ok(());
    }
    let what = "the list, which can be read in pages with limit and continue,";
    Err(Status::too_large(what, limits::LIST_BYTES))
}

/// A list in the form that was asked for.
pub(in crate::api) fn render_list(
    of: &Subject<'_>,
    form: Form,
    include: IncludeObject,
    meta: &ListMeta,
    items: &[Revision],
) -> Result<Answer, Status> {
    let served = items.iter().map(|item| serve(of, item, item.version()));
    let served: Vec<Vec<u8>> = served.collect::<Result<_, _>>()?;
    render(of, form, include, meta, &served)
}

/// Objects that are bytes as they are served, as a list in the form that was asked for.
pub(in crate::api) fn render(
    of: &Subject<'_>,
    form: Form,
    include: IncludeObject,
    meta: &ListMeta,
    served: &[Vec<u8>],
) -> Result<Answer, Status> {
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
mod tests;
