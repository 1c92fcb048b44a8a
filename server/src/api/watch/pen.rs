//! Renders events as lines, in the form the client asked for.
//!
//! An object goes out as it is stored, but for its version. A table holds one row; only the first
//! one of a watch describes its columns.

use annals::{Event, EventKind, Revision, Version};
use jiff::Timestamp;

use crate::api::call::Subject;
use crate::api::read::{parse, serve};
use crate::wire::accept::Form;
use crate::wire::list::{EventType, bookmark, event};
use crate::wire::query::ListQuery;
use crate::wire::status::Status;
use crate::wire::table::{ListMeta, Style, partial_object, table};

/// What the lines of one watch have in common.
pub(super) struct Pen<'a> {
    of: Subject<'a>,
    form: Form,
    query: &'a ListQuery,
    /// Only the first table of a watch describes its columns.
    headers: bool,
}

impl<'a> Pen<'a> {
    pub(super) fn new(of: Subject<'a>, form: Form, query: &'a ListQuery) -> Self {
        Pen {
            of,
            form,
            query,
            headers: true,
        }
    }

    fn line(&mut self, kind: EventType, object: &[u8]) -> Result<Vec<u8>, Status> {
        let shown = match self.form {
            Form::Object => return Ok(event(kind, object)),
            Form::Table(version) => {
                let headers = std::mem::take(&mut self.headers);
                let include = self.query.include_object;
                let style = Style {
                    version,
                    include,
                    headers,
                    now: Timestamp::now(),
                };
                table(
                    self.of.version,
                    style,
                    &ListMeta::default(),
                    [&parse(object)?],
                )
            }
            Form::Metadata(version) => partial_object(version, &parse(object)?),
        };
        Ok(event(kind, shown.to_string().as_bytes()))
    }

    pub(super) fn initial(&mut self, revision: &Revision) -> Result<Vec<u8>, Status> {
        let served = serve(&self.of, revision, revision.version())?;
        self.line(EventType::Added, &served)
    }

    pub(super) fn change(&mut self, change: &Event) -> Result<Vec<u8>, Status> {
        let kind = match change.kind {
            EventKind::Added => EventType::Added,
            EventKind::Modified => EventType::Modified,
            EventKind::Deleted => EventType::Deleted,
        };
        let served = serve(&self.of, &change.object, change.version)?;
        self.line(kind, &served)
    }

    pub(super) fn bookmark(
        &mut self,
        version: Version,
        initial_end: bool,
    ) -> Result<Vec<u8>, Status> {
        let object = bookmark(self.of.found, version.get(), initial_end);
        self.line(EventType::Bookmark, &object)
    }
}
