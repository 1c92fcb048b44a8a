//! The locks and channels of the crate: the only file that names the crates they come from, so
//! that a model checker can stand in for them.

pub(crate) use crossbeam::channel::{Sender, bounded};
pub(crate) use parking_lot::{Condvar, Mutex, RwLock};
