//! What happens to the objects of one kind.

use std::marker::PhantomData;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Object, Resource};
use crate::model::{Event, Version};
use crate::{Error, Watch};

/// A typed [`Watch`], which says how it is read and what it costs.
///
/// An object that is not of the type is an error in the place of its event, and the watch goes on
/// behind it.
pub struct ObjectWatch<T> {
    watch: Watch,
    of: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for ObjectWatch<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {}", self.watch, std::any::type_name::<T>())
    }
}

impl<T: Resource> ObjectWatch<T> {
    pub(super) fn new(watch: Watch) -> Self {
        let of = PhantomData;
        ObjectWatch { watch, of }
    }

    /// The version up to which everything was handed out: from there a later watch goes on.
    pub fn version(&mut self) -> Version {
        self.watch.version()
    }

    /// The next event, without waiting; `None` when everything committed has been handed out.
    ///
    /// # Errors
    ///
    /// [`Error::NotOfType`] for an object that is not of the type: the next call goes on behind
    /// it. Otherwise as [`Watch::try_next`].
    pub fn try_next(&mut self) -> Result<Option<Event<Object<T>>>, Error> {
        self.watch.try_next()?.map(typed).transpose()
    }

    /// The next event, waiting for it at most this long; `None` when the time is over.
    ///
    /// # Errors
    ///
    /// As [`ObjectWatch::try_next`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Event<Object<T>>>, Error> {
        self.watch.next_timeout(timeout)?.map(typed).transpose()
    }

    /// Ready when [`try_next`](ObjectWatch::try_next) has something to look at; else the task is
    /// woken when it has.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.watch.poll_ready(context)
    }
}

impl<T: Resource> Iterator for ObjectWatch<T> {
    type Item = Result<Event<Object<T>>, Error>;

    /// Waits for the next event. Ends when the store is closed.
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.watch.next()?.and_then(typed))
    }
}

fn typed<T: Resource>(event: Event) -> Result<Event<Object<T>>, Error> {
    Ok(Event {
        kind: event.kind,
        version: event.version,
        object: Object::read(event.object)?,
        previous: event.previous,
        is_create: event.is_create,
    })
}
