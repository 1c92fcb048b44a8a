//! The locks, atomics and channels of the crate: the only file that names the crates they come
//! from, so that a model checker can stand in for them (feature `shuttle`).

#[cfg(feature = "shuttle")]
mod modelled;

#[cfg(not(feature = "shuttle"))]
mod real {
    pub(crate) use parking_lot::{Condvar, Mutex, RwLock};
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64};
}

#[cfg(feature = "shuttle")]
pub(crate) use modelled::*;
#[cfg(not(feature = "shuttle"))]
pub(crate) use real::*;
