//! The same names as the real locks and channels, with the model checker's behind them.
//!
//! Each has just the calls that the crate makes. They work only inside a model: outside there is
//! nobody to schedule them. A model has no clock: what waits until a deadline waits until it is
//! woken.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use shuttle::sync;

pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64};

/// A lock that does not know poison.
#[derive(Default)]
pub(crate) struct Mutex<T> {
    lock: sync::Mutex<T>,
}

/// The inner guard is missing only while its owner waits.
pub(crate) struct MutexGuard<'a, T> {
    guard: Option<sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        let lock = sync::Mutex::new(value);
        Mutex { lock }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        MutexGuard { guard: Some(guard) }
    }
}

const HELD: &str = "a guard that waits is not looked through";

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.guard.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect(HELD)
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex(..)")
    }
}

/// Whether a wait ended by its deadline: never.
pub(crate) struct TimedOut;

impl TimedOut {
    pub(crate) fn timed_out(&self) -> bool {
        false
    }
}

#[derive(Default)]
pub(crate) struct Condvar {
    moved: sync::Condvar,
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Condvar::default()
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.guard.take().expect(HELD);
        let again = self.moved.wait(held);
        guard.guard = Some(again.unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        _deadline: Instant,
    ) -> TimedOut {
        self.wait(guard);
        TimedOut
    }

    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _time: Duration) {
        self.wait(guard);
    }

    pub(crate) fn notify_one(&self) {
        self.moved.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.moved.notify_all();
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar")
    }
}

#[derive(Default)]
pub(crate) struct RwLock<T> {
    lock: sync::RwLock<T>,
}

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        let lock = sync::RwLock::new(value);
        RwLock { lock }
    }

    pub(crate) fn read(&self) -> sync::RwLockReadGuard<'_, T> {
        self.lock.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> sync::RwLockWriteGuard<'_, T> {
        self.lock.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RwLock(..)")
    }
}
