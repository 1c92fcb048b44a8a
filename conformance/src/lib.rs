//! One suite of behaviours that every door of annals passes.
//!
//! A [`Door`] is whatever lets a caller in to a store: the library itself, the HTTPS door. The
//! suite knows nothing of how a door works. It is run by [`run_all`], which is given a way to open
//! the door, and opens it anew for each behaviour and within each between writing and reading: a
//! runner that reopens the store each time shows that nothing depends on what is in memory.
//!
//! | module | holds |
//! | --- | --- |
//! | `door` | the trait, and the plain values that pass through it |
//! | `stage` | [`run_all`], and what a behaviour stands on: namespaces of its own |
//! | `objects` | create, get, update, delete, preconditions |
//! | `lists` | order, pages, selectors, tokens |
//! | `travel` | states of the past, and a model over random writes |
//! | `watches` | events: from where, which, in which order |
//!
//! Invariants: each behaviour has namespaces of its own, so that one store serves all of them; a
//! behaviour never waits for silence, but writes a last object and expects it to come next.
//! Nobody else may write to the store while the suite runs: it counts versions.

mod door;
mod lists;
mod objects;
mod stage;
mod travel;
mod watches;

pub use door::{
    Choice, Cut, Door, Draft, Event, EventKind, Events, Expect, Failure, FailureKind, Labels,
    Object, Page, Promise, Start,
};
pub use stage::run_all;
