//! Committed revisions, handed to any number of watchers in version order.
//!
//! `store/write` publishes each commit once into a [`Hub`]; every watcher keeps nothing but a
//! version. While that version is in the hub's ring the watcher reads there; when it starts in
//! the past or fell behind, it reads the log on disk until it has caught up. Versions have no
//! gaps, so the two meet without one.
//!
//! Invariants: W1, every revision after the start exactly once and in order, or "gone"; W2, a
//! slow watcher delays nobody: the ring has a fixed size and forgets, never waits.

mod hub;
mod watch;

pub(crate) use hub::{Change, Commit, Hub, RingLimits};
pub use watch::{Step, Watch};
