//! A watcher: a version, a seat in a topic, and what the topic tells it to do.
//!
//! ```text
//! the topic tells     and the ring        then
//! nothing                                 the version moves to the head, whatever lies between
//! changes 7 and 9     has them            both are looked at there, 8 is not
//! changes 7 and 9     has forgotten 7     both are read from disk, 8 is not
//! it does not know    has the next one    the ring is looked through
//! it does not know    has forgotten it    the log is read in sequence
//! ```
//!
//! A watcher at rest is a few hundred bytes: it holds no part of the ring, no transaction, and
//! events only while they were read from disk and not yet fetched.

mod walk;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::hub::{Hub, Look, Seat};
use super::past::Archive;
use super::sight::Sight;
use super::track::Runs;
use crate::Error;
use crate::model::{Collection, Event, Filter, Version};

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
/// executor with [`poll_ready`](Watch::poll_ready) and [`try_next`](Watch::try_next); where there
/// are many, [`visit`](Watch::visit) lends each event instead of cloning it. It keeps no database
/// transaction open and holds nobody up; one that is read slowly reads from disk what the ring
/// has forgotten. It is woken for changes of its own collection only.
pub struct Watch {
    seat: Seat,
    disk: Arc<dyn Archive>,
    collection: Collection,
    /// Everything up to here has been handed out.
    version: Version,
    pending: Option<Box<Pending>>,
}

/// Events read from disk.
struct Pending {
    /// Those not yet handed out.
    events: VecDeque<Event>,
    /// Where the watch is when all are.
    read: Version,
}

impl Watch {
    pub(crate) fn new(
        hub: Arc<Hub>,
        disk: Arc<dyn Archive>,
        collection: Collection,
        filter: Filter,
        after: Version,
    ) -> Self {
        let seat = match only_key(&collection, &filter) {
            Some(key) => hub.join(&key, filter),
            None => hub.join(collection.prefix(), filter),
        };
        Watch {
            seat,
            disk,
            collection,
            version: after,
            pending: None,
        }
    }

    /// The version up to which every matching change has been handed out: what a bookmark says.
    /// It moves on while others write and nothing of this watch happens, at no cost.
    pub fn version(&mut self) -> Version {
        if self.pending.is_none()
            && let (Look::Nothing(head) | Look::Closed(head), _) = self.look()
        {
            self.version = head;
        }
        self.version
    }

    /// Whether the next event has to be read from disk.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        let is_on_disk = |version| self.seat.hub().find(version).is_none();
        !self.has_pending()
            && match self.look() {
                (Look::Changes(..), runs) => is_on_disk(runs[0].first),
                (Look::Log(_), _) => is_on_disk(self.reached().next()),
                (Look::Nothing(_) | Look::Closed(_), _) => false,
            }
    }

    /// Whether everything committed has been handed out: [`try_next`](Watch::try_next) would answer
    /// `None`. Reads nothing.
    pub fn is_caught_up(&mut self) -> bool {
        if !self.has_pending()
            && let (Look::Nothing(head), _) = self.look()
        {
            (self.version, self.pending) = (head, None);
            return true;
        }
        false
    }

    fn has_pending(&self) -> bool {
        let pending = self.pending.as_ref();
        pending.is_some_and(|pending| !pending.events.is_empty())
    }

    /// Where the watch goes on once nothing is pending.
    fn reached(&self) -> Version {
        let pending = self.pending.as_ref();
        pending.map_or(self.version, |pending| pending.read)
    }

    fn look(&self) -> (Look, Runs) {
        let mut runs = Runs::default();
        (self.seat.look(self.reached(), &mut runs), runs)
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

    /// One bounded piece of the way to the next event: a few changes of the ring, or one read from
    /// disk. For callers that must not look through a long log of other objects in one go.
    ///
    /// # Errors
    ///
    /// As [`Watch::try_next`].
    pub fn step(&mut self) -> Result<Step, Error> {
        let mut found = None;
        let more = self.visit(|sight| {
            found = Some(sight.to_event());
            ControlFlow::Break(())
        })?;
        Ok(match found {
            Some(event) => Step::Event(event),
            None if more => Step::Looked,
            None => Step::CaughtUp,
        })
    }

    /// Lends the next events to a visitor, without waiting: one bounded piece of the log, or less
    /// if the visitor breaks off, behind the event at which it does. `false` when everything
    /// committed has been handed out.
    ///
    /// # Errors
    ///
    /// As [`Watch::try_next`].
    pub fn visit(
        &mut self,
        mut visitor: impl FnMut(Sight<'_>) -> ControlFlow<()>,
    ) -> Result<bool, Error> {
        if self.has_pending() {
            self.hand_out(&mut visitor);
            return Ok(true);
        }
        self.version = self.reached();
        self.pending = None;
        match self.look() {
            (Look::Changes(count, head), runs) => {
                let all = self.visit_runs(&runs[..count], &mut visitor)?;
                if all && let Some(head) = head {
                    self.version = head;
                    return Ok(false);
                }
            }
            (Look::Log(head), _) => self.visit_log(head, &mut visitor)?,
            (Look::Nothing(version), _) => {
                self.version = version;
                return Ok(false);
            }
            (Look::Closed(version), _) => {
                self.version = version;
                return Err(Error::Closed);
            }
        }
        Ok(true)
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
            if !self.seat.wait(self.version, deadline) {
                return Ok(None);
            }
        }
    }

    /// Ready when [`try_next`](Watch::try_next) has something to look at; else the task is woken
    /// when it has.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.has_pending() && self.seat.sleep(self.reached(), context.waker()) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

/// The encoded key, if no other can match.
fn only_key(collection: &Collection, filter: &Filter) -> Option<String> {
    let name = filter.name().filter(|name| !name.is_empty())?;
    let is_namespace = collection.prefix().matches('\0').count() == 3;
    is_namespace.then(|| format!("{}{name}", collection.prefix()))
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

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watch({:?} after {})", self.collection, self.version)
    }
}
