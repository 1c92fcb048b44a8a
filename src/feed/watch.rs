//! A watcher: a version, a filter, and the way from the log on disk to the ring.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::hub::{Change, Commit, Found, Hub};
use crate::Error;
use crate::disk::Disk;
use crate::model::{Collection, Event, EventKind, Filter, Header, Version};

/// How many revisions one step reads from disk.
const DISK_STEP: usize = 256;
/// How many bytes of bodies one step keeps, the last one not counted.
const DISK_STEP_BYTES: usize = 1024 * 1024;

/// How far one [`Watch::step`] came.
#[derive(Debug)]
pub enum Step {
    /// To an event.
    Event(Event),
    /// Past changes that do not match, or to a part of the log that is now in memory.
    Looked,
    /// To the end: everything committed has been handed out.
    CaughtUp,
}

/// A stream of the changes of a collection, from a version on, in version order.
///
/// Read it as a blocking iterator, with [`next_timeout`](Watch::next_timeout), or from an
/// executor with [`poll_ready`](Watch::poll_ready) and [`try_next`](Watch::try_next). It keeps no
/// database transaction open and holds nobody up; one that is read slowly reads from disk what
/// the ring has forgotten.
pub struct Watch {
    hub: Arc<Hub>,
    disk: Arc<Disk>,
    collection: Collection,
    filter: Filter,
    /// Everything up to here has been looked at.
    version: Version,
    /// The commit that is being read, if it came from the ring.
    commit: Option<Arc<Commit>>,
    /// Events read from disk and not yet handed out.
    pending: VecDeque<Event>,
    /// How far the disk was read; ahead of `version` while events are pending.
    read: Version,
    id: u64,
}

impl Watch {
    pub(crate) fn new(
        hub: Arc<Hub>,
        disk: Arc<Disk>,
        collection: Collection,
        filter: Filter,
        after: Version,
    ) -> Self {
        let id = hub.join();
        Watch {
            hub,
            disk,
            collection,
            filter,
            version: after,
            commit: None,
            pending: VecDeque::new(),
            read: after,
            id,
        }
    }

    /// The version up to which every matching change has been handed out: what a bookmark says.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether the next event has to be read from disk.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.commit.is_none()
            && self.pending.is_empty()
            && matches!(self.hub.find(self.version), Found::OnDisk)
    }

    /// The next event, without waiting; `None` when everything committed has been handed out.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] once the store is closed and everything was handed out;
    /// [`Error::Gone`] when the log no longer reaches back far enough.
    pub fn try_next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            match self.step()? {
                Step::Event(event) => return Ok(Some(event)),
                Step::Looked => {}
                Step::CaughtUp => return Ok(None),
            }
        }
    }

    /// One bounded piece of the way to the next event: at most one commit, or one read from disk.
    /// For callers that must not look through a long log of other objects in one go.
    ///
    /// # Errors
    ///
    /// As [`Watch::try_next`].
    pub fn step(&mut self) -> Result<Step, Error> {
        if let Some(event) = self.pending.pop_front() {
            self.version = event.version;
            return Ok(Step::Event(event));
        }
        self.version = self.version.max(self.read);
        let commit = match self.commit.take() {
            Some(commit) => commit,
            None => match self.hub.find(self.version) {
                Found::Commit(commit) => commit,
                Found::OnDisk => {
                    self.read_disk()?;
                    return Ok(Step::Looked);
                }
                Found::Nothing => return Ok(Step::CaughtUp),
                Found::Closed => return Err(Error::Closed),
            },
        };
        match self.read_commit(&commit)? {
            Some(event) => {
                self.commit = Some(commit);
                Ok(Step::Event(event))
            }
            None => Ok(Step::Looked),
        }
    }

    /// The next matching change of this commit.
    fn read_commit(&mut self, commit: &Commit) -> Result<Option<Event>, Error> {
        for change in commit.after(self.version) {
            let before = change.before.as_deref();
            let event = self.judge(change, before)?;
            self.version = change.revision.version();
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// Reads one step of the log into `pending`. Only what was published is read: a batch that is
    /// on disk and not yet in the ring would end in the middle.
    fn read_disk(&mut self) -> Result<(), Error> {
        let published = self.hub.head();
        let view = self.disk.view()?;
        let mut changes = Vec::new();
        let (mut seen, mut bytes) = (0, 0);
        let mut last = self.version;
        view.log(self.version, &mut |revision| {
            if revision.version() != last.next() {
                let oldest = Version::new(revision.version().get() - 1);
                return Err(Error::Gone {
                    requested: last,
                    oldest,
                });
            }
            last = revision.version();
            seen += 1;
            if self.collection.contains(revision.key()) {
                bytes += revision.body().len();
                changes.push(revision);
            }
            let enough = last == published || seen == DISK_STEP || bytes >= DISK_STEP_BYTES;
            Ok(if enough {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        if last == self.version {
            return Err(Error::corrupt(format!(
                "the log ends at {last}, before what was published"
            )));
        }
        for revision in changes {
            let before = match revision.header().previous {
                Some(previous) => view.header(previous)?.filter(|header| header.is_live()),
                None => None,
            };
            let change = Change {
                revision,
                before: None,
            };
            if let Some(event) = self.judge(&change, before.as_deref())? {
                self.pending.push_back(event);
            }
        }
        self.read = last;
        Ok(())
    }

    /// What a change looks like through the filter.
    fn judge(&self, change: &Change, before: Option<&Header>) -> Result<Option<Event>, Error> {
        let revision = &change.revision;
        if !self.collection.contains(revision.key()) {
            return Ok(None);
        }
        let header = revision.header();
        let matched = before.is_some_and(|before| self.filter.matches(before));
        let matches = header.is_live() && self.filter.matches(header);
        let (kind, object) = match (matched, matches) {
            (false, false) => return Ok(None),
            (false, true) => (EventKind::Added, revision.clone()),
            (true, true) => (EventKind::Modified, revision.clone()),
            (true, false) if !header.is_live() => (EventKind::Deleted, revision.clone()),
            (true, false) => {
                let previous = header.previous.unwrap_or_default();
                let last = self.disk.view()?.revision(previous)?;
                let missing = || Error::corrupt(format!("revision {previous} is missing"));
                (EventKind::Deleted, last.ok_or_else(missing)?)
            }
        };
        Ok(Some(Event {
            kind,
            version: header.version,
            object,
            previous: header.previous,
            is_create: header.action == crate::model::Action::Created,
        }))
    }

    /// The next event, waiting for it at most this long; `None` when the time is over.
    ///
    /// # Errors
    ///
    /// As [`Watch::try_next`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Event>, Error> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    fn next_until(&mut self, deadline: Option<Instant>) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.try_next()? {
                return Ok(Some(event));
            }
            if !self.hub.wait(self.version, deadline) {
                return Ok(None);
            }
        }
    }

    /// Ready when [`try_next`](Watch::try_next) has something to look at; else the task is woken
    /// when it has.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let has_more = self.commit.is_some() || !self.pending.is_empty();
        if has_more || self.hub.wake_me(self.id, self.version, context.waker()) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Iterator for Watch {
    type Item = Result<Event, Error>;

    /// Waits for the next event. Ends when the store is closed.
    fn next(&mut self) -> Option<Self::Item> {
        match self.next_until(None) {
            Ok(event) => event.map(Ok),
            Err(Error::Closed) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.hub.leave(self.id);
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watch({:?} after {})", self.collection, self.version)
    }
}
