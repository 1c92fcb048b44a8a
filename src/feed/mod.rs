//! Committed revisions, handed to any number of watchers in version order.
//!
//! `store/write` publishes each commit once into a [`Hub`]: its changes go into a shared ring, and
//! the topics they belong to write their versions down. Every watcher keeps little more than a
//! version. Its topic tells it what to look at; it looks in the ring, or, when it starts in the
//! past or fell behind, on disk. Versions have no gaps, so the two meet without one.
//!
//! ```text
//! publish -> topic  which versions matter to whom, who sleeps   \
//!         -> ring   the newest changes                           >  watch -> sight
//!            past   the log on disk                             /
//! ```
//!
//! Invariants: W1, every revision after the start exactly once and in order, or "gone"; W2, a
//! slow watcher delays nobody: ring and topics have fixed sizes and forget, never wait. A write
//! costs what the watchers cost that it concerns, not what all cost.

mod commit;
#[cfg(test)]
mod fake;
mod hub;
mod lens;
#[cfg(all(test, feature = "shuttle"))]
mod models;
mod past;
mod ring;
mod sight;
mod topic;
mod track;
mod watch;

pub(crate) use commit::{Change, Commit};
pub(crate) use hub::Hub;
pub(crate) use ring::RingLimits;
pub use sight::Sight;
pub use watch::{Step, Watch};
