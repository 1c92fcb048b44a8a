//! The past of a collection on the road of lists: the revisions of an object, and the trash.
//!
//! ```text
//! history   no resourceVersion, or 0   the revisions of the life that goes on; none, if it ended
//!           N                          those up to N, over all lives of the name
//!           N, NotOlderThan            those from N on
//!           N, Exact                   that one
//! trash     as a list                  the keys that are not live at the version of the list
//! ```
//!
//! Newest first, both. A page of the trash is found by a walk over all of it, of which no more than
//! the page is held; its token names the last object, whose delete marker is the place to go on
//! from. A page of a history goes on at a version, which the token holds; it cannot hold a range too, so
//! what is asked for by version comes in one piece. The list's own version is that of the state that
//! was read.
//!
//! Invariants: each life of a name is judged by where it stands, or stood last; what is hidden and
//! what never was are the same empty list.

use std::collections::BTreeMap;

use annals::access::Verb;
use annals::{
    Collection, Error, FieldTest, Filter, Key, List, ObjectField, Page, Revision, Scope, Snapshot,
    Version,
};

use super::answer::Answer;
use super::call::{Call, Subject};
use super::failure::general;
use super::lives::Lives;
use super::read::{check_reached, check_whole, exact, parse, render, serve};
use super::token::{At, Binding};
use crate::limits;
use crate::wire::past::{Past, show_deleted};
use crate::wire::query::{ListQuery, VersionMatch};
use crate::wire::status::Status;
use crate::wire::table::ListMeta;

/// How many revisions are read at a time.
const STEP: usize = 100;

/// A part of the past, newest first.
struct Found {
    version: Version,
    items: Vec<Revision>,
    token: Option<String>,
}

/// Answers a list of the past.
pub(super) fn list(
    call: &Call,
    of: &Subject<'_>,
    query: &ListQuery,
    past: &Past,
) -> Result<Answer, Status> {
    let form = call.form()?;
    let binding = Binding {
        epoch: call.api.store().epoch().bytes(),
        group: of.kind.group.clone(),
        resource: of.kind.names.plural.clone(),
        namespace: of.namespace.map(str::to_owned),
        filter: of.selectors(query)?,
    };
    let token = query.continue_token.as_ref();
    let place = match token.map(|text| binding.read(text)).transpose()? {
        Some((At::Version(version), key)) => Some((version, key)),
        Some((At::Newest | At::Lost, _)) => return Err(too_old()),
        None => None,
    };
    let found = match past {
        Past::History(name) => history(call, of, query, name, &binding, place)?,
        Past::Trash(_) => trash(call, of, query, &binding, place)?,
    };
    let shown = found.items.iter().map(|item| show(of, item));
    let meta = ListMeta {
        resource_version: found.version.to_string(),
        continue_token: found.token,
        remaining: None,
    };
    let shown = shown.collect::<Result<Vec<_>, _>>()?;
    render(of, form, query.include_object, &meta, &shown)
}

/// A revision as it is served; a delete marker as the object that is deleted.
fn show(of: &Subject<'_>, revision: &Revision) -> Result<Vec<u8>, Status> {
    let served = serve(of, revision, revision.version())?;
    let header = revision.header();
    if header.is_live() {
        return Ok(served);
    }
    let micros = i64::try_from(header.time.0).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
    let mut object = parse(&served)?;
    show_deleted(&mut object, at, &header.author);
    Ok(object.to_string().into_bytes())
}

fn too_old() -> Status {
    Status::expired("The provided continue parameter is too old; start the list again without it.")
}

/// A page of the deleted objects.
fn trash(
    call: &Call,
    of: &Subject<'_>,
    query: &ListQuery,
    binding: &Binding,
    place: Option<(Version, Key)>,
) -> Result<Found, Status> {
    let refuse = |error: &Error| match error {
        Error::Gone { .. } => {
            Status::expired("The resourceVersion for the provided list is too old.")
        }
        other => general(other),
    };
    let at = |version| {
        call.api
            .store()
            .snapshot_at(version)
            .map_err(|e| refuse(&e))
    };
    let (snapshot, last) = match (place, exact(query)) {
        (Some((version, key)), _) => (at(version)?, Some(key)),
        (None, Some(version)) => (at(version)?, None),
        (None, None) => {
            let snapshot = call.snapshot()?;
            check_reached(&snapshot, query.resource_version)?;
            (snapshot, None)
        }
    };
    let filter = Filter {
        fields: query.field_selector.clone(),
        scope: call.scope(Verb::List, of, snapshot.version())?,
        ..Filter::default()
    };
    let below = match last {
        Some(key) => Some(deleted_at(&snapshot, &key, &filter)?),
        None => None,
    };
    let list = List::new(of.collection()?).filter(filter);
    let mut newest = Newest::new(query.limit, below);
    let mut after = None;
    loop {
        let page = snapshot.trash(&list.clone().after(after));
        let page = page.map_err(|error| refuse(&error))?;
        for marker in page.items {
            newest.take(marker)?;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let items: Vec<Revision> = newest.kept.into_values().rev().collect();
    let last = items.last().filter(|_| newest.is_cut);
    let token = last.map(|last| binding.token(At::Version(snapshot.version()), last.key()));
    Ok(Found {
        version: snapshot.version(),
        items,
        token,
    })
}

/// The version of the delete marker of a key. It is looked for as the trash shows it to the caller,
/// because whoever makes a token by hand may name any key.
fn deleted_at(snapshot: &Snapshot, key: &Key, filter: &Filter) -> Result<Version, Status> {
    let mut filter = filter.clone();
    filter.fields.push(FieldTest {
        field: ObjectField::Name,
        equals: true,
        value: key.name().to_owned(),
    });
    let (group, resource) = (key.group(), key.resource());
    let collection = Collection::within(group, resource, key.namespace());
    let collection = collection.map_err(|error| general(&error))?;
    match snapshot.trash(&List::new(collection).filter(filter)) {
        Ok(page) => page
            .items
            .first()
            .map(Revision::version)
            .ok_or_else(too_old),
        Err(Error::Gone { .. }) => Err(too_old()),
        Err(other) => Err(general(&other)),
    }
}

/// The newest of many revisions, as many as a page may have.
struct Newest {
    limit: Option<usize>,
    /// Only what is older than this.
    below: Option<Version>,
    kept: BTreeMap<Version, Revision>,
    bytes: usize,
    /// Whether something older was left out.
    is_cut: bool,
}

impl Newest {
    fn new(limit: Option<usize>, below: Option<Version>) -> Self {
        Newest {
            limit,
            below,
            kept: BTreeMap::new(),
            bytes: 0,
            is_cut: false,
        }
    }

    fn take(&mut self, revision: Revision) -> Result<(), Status> {
        if self.below.is_some_and(|below| revision.version() >= below) {
            return Ok(());
        }
        self.bytes += revision.body().len();
        self.kept.insert(revision.version(), revision);
        let Some(limit) = self.limit else {
            return check_whole(self.bytes);
        };
        while self.kept.len() > limit || (self.bytes > limits::LIST_BYTES && self.kept.len() > 1) {
            let oldest = self.kept.pop_first();
            self.bytes -= oldest.map_or(0, |(_, oldest)| oldest.body().len());
            self.is_cut = true;
        }
        Ok(())
    }
}

/// A page of the revisions of an object.
fn history(
    call: &Call,
    of: &Subject<'_>,
    query: &ListQuery,
    name: &str,
    binding: &Binding,
    place: Option<(Version, Key)>,
) -> Result<Found, Status> {
    if of.kind.is_namespaced() && of.namespace.is_none() {
        let message = "a history is of one object: expected a namespace in the path";
        return Err(Status::bad_request(message));
    }
    let snapshot = call.snapshot()?;
    check_reached(&snapshot, query.resource_version)?;
    let scope = call.scope(Verb::Get, of, snapshot.version())?;
    let mut range = Range::of(query);
    let limit = query.limit.filter(|_| range.is_living);
    if let Some((version, _)) = place {
        range.newest = version;
    }
    let (group, resource) = (&of.kind.group, &of.kind.names.plural);
    // A name that no object can have has no history.
    let key = Key::new(group, resource, of.namespace.unwrap_or_default(), name).ok();
    let (items, next) = match &key {
        Some(key) => revisions(&snapshot, key, &scope, &range, limit)?,
        None => Default::default(),
    };
    let next = next.zip(key.as_ref());
    Ok(Found {
        version: snapshot.version(),
        items,
        token: next.map(|(version, key)| binding.token(At::Version(version), key)),
    })
}

/// Which revisions of a key are asked for.
struct Range {
    newest: Version,
    oldest: Version,
    /// Only those of the life that goes on.
    is_living: bool,
}

impl Range {
    fn of(query: &ListQuery) -> Self {
        let asked = query.resource_version.filter(|version| *version > 0);
        let (oldest, newest) = match (asked, query.version_match) {
            (None, _) => (0, u64::MAX),
            (Some(asked), VersionMatch::Unset) => (0, asked),
            (Some(asked), VersionMatch::NotOlderThan) => (asked, u64::MAX),
            (Some(asked), VersionMatch::Exact) => (asked, asked),
        };
        Range {
            newest: Version::new(newest),
            oldest: Version::new(oldest),
            is_living: asked.is_none(),
        }
    }
}

/// The revisions of a range that the caller sees, newest first, and the version to go on from.
fn revisions(
    snapshot: &Snapshot,
    key: &Key,
    scope: &Scope,
    range: &Range,
    limit: Option<usize>,
) -> Result<(Vec<Revision>, Option<Version>), Status> {
    let read = |limit, from| match snapshot.history(key, limit, from) {
        Ok(page) => Ok(page),
        Err(Error::NotFound { .. }) => Ok(Page {
            version: snapshot.version(),
            items: Vec::new(),
            next: None,
        }),
        Err(other) => Err(general(&other)),
    };
    let (mut kept, mut bytes) = (Vec::new(), 0);
    let mut lives = Lives::new(scope);
    let (mut living, mut from) = (None, None);
    if range.is_living {
        let newest = read(1, None)?.items.pop();
        living = newest
            .filter(|newest| newest.header().is_live() && lives.show(newest.header()))
            .map(|newest| newest.header().uid.clone());
        if living.is_none() {
            return Ok((kept, None));
        }
    }
    if range.is_living || scope.covers_always(key) {
        // Nothing needs to be judged by what came after.
        from = Some(range.newest);
    }
    loop {
        let page = read(STEP, from)?;
        for revision in page.items {
            let header = revision.header();
            let is_over = living.as_ref().is_some_and(|uid| *uid != header.uid);
            if is_over || !lives.show(header) || header.version < range.oldest {
                return Ok((kept, None));
            }
            if header.version > range.newest {
                continue;
            }
            bytes += revision.body().len();
            match limit {
                Some(limit)
                    if kept.len() == limit || (bytes > limits::LIST_BYTES && !kept.is_empty()) =>
                {
                    return Ok((kept, Some(header.version)));
                }
                Some(_) => {}
                None => check_whole(bytes)?,
            }
            kept.push(revision);
        }
        from = page.next;
        if from.is_none() {
            return Ok((kept, None));
        }
    }
}
