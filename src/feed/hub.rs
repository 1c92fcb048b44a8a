//! The shared ring of the newest commits, and the bell that wakes who waits for more.
//!
//! ```text
//! commits   [ 7 8 9 ] [ 10 ] [ 11 12 ]        a watcher at 8 starts inside the first,
//!             first=7           head=12       one at 5 must read the log on disk
//! ```
//!
//! Publishing takes one write lock and wakes all waiters once per commit. Reading takes one read
//! lock per commit, not per revision.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use crate::model::{Header, Revision, Version};
use crate::sync::{Condvar, Mutex, RwLock};

/// A revision and what the key was before it.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) revision: Revision,
    /// The header of the revision before, if the key was live.
    pub(crate) before: Option<Arc<Header>>,
}

/// The changes of one durable commit, in version order without a gap; never empty.
#[derive(Debug)]
pub(crate) struct Commit {
    changes: Vec<Change>,
    bytes: usize,
}

impl Commit {
    /// `None` when there are no changes.
    pub(crate) fn new(changes: Vec<Change>) -> Option<Self> {
        let bytes = changes
            .iter()
            .map(|change| change.revision.body().len() + 512)
            .sum();
        (!changes.is_empty()).then_some(Commit { changes, bytes })
    }

    fn first(&self) -> Version {
        self.changes
            .first()
            .map_or(Version::ZERO, |change| change.revision.version())
    }

    fn last(&self) -> Version {
        self.changes
            .last()
            .map_or(Version::ZERO, |change| change.revision.version())
    }

    /// The changes after this version.
    pub(crate) fn after(&self, version: Version) -> &[Change] {
        let skip = self
            .changes
            .partition_point(|change| change.revision.version() <= version);
        &self.changes[skip..]
    }
}

/// How much the ring keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingLimits {
    /// Revisions.
    pub(crate) revisions: usize,
    /// Bytes of bodies, with an allowance for each header.
    pub(crate) bytes: usize,
}

#[derive(Debug)]
struct Ring {
    commits: VecDeque<Arc<Commit>>,
    revisions: usize,
    bytes: usize,
    head: Version,
    closed: bool,
}

/// Where the revision after a version is to be found.
#[derive(Debug)]
pub(crate) enum Found {
    /// In this commit.
    Commit(Arc<Commit>),
    /// No longer in the ring: on disk.
    OnDisk,
    /// Nowhere yet.
    Nothing,
    /// Nowhere, and none will come: the store is closed.
    Closed,
}

/// One per store.
#[derive(Debug)]
pub(crate) struct Hub {
    ring: RwLock<Ring>,
    limits: RingLimits,
    bell: Bell,
}

/// Blocking waiters sleep on the condition variable, polling ones leave a waker under their id.
#[derive(Debug, Default)]
struct Bell {
    state: Mutex<Wakers>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct Wakers {
    waiting: HashMap<u64, Waker>,
    next_id: u64,
}

impl Hub {
    /// A hub for a log that ends at `head`.
    pub(crate) fn new(head: Version, limits: RingLimits) -> Self {
        let commits = VecDeque::new();
        let ring = Ring {
            commits,
            revisions: 0,
            bytes: 0,
            head,
            closed: false,
        };
        Hub {
            ring: RwLock::new(ring),
            limits,
            bell: Bell::default(),
        }
    }

    /// The newest version published.
    pub(crate) fn head(&self) -> Version {
        self.ring.read().head
    }

    /// Makes a commit known. It continues the log without a gap.
    pub(crate) fn publish(&self, commit: Commit) {
        let mut ring = self.ring.write();
        assert_eq!(
            commit.first(),
            ring.head.next(),
            "commits are published in order"
        );
        ring.head = commit.last();
        ring.revisions += commit.changes.len();
        ring.bytes += commit.bytes;
        ring.commits.push_back(Arc::new(commit));
        // The newest commit stays even if it alone is over the limit.
        while ring.commits.len() > 1
            && (ring.revisions > self.limits.revisions || ring.bytes > self.limits.bytes)
        {
            if let Some(oldest) = ring.commits.pop_front() {
                ring.revisions -= oldest.changes.len();
                ring.bytes -= oldest.bytes;
            }
        }
        drop(ring);
        self.ring_bell();
    }

    /// Tells all watchers that nothing more will come.
    pub(crate) fn close(&self) {
        self.ring.write().closed = true;
        self.ring_bell();
    }

    fn ring_bell(&self) {
        let woken = std::mem::take(&mut self.bell.state.lock().waiting);
        self.bell.rung.notify_all();
        woken.into_values().for_each(Waker::wake);
    }

    /// Where the revision after this version is.
    pub(crate) fn find(&self, after: Version) -> Found {
        let ring = self.ring.read();
        if after >= ring.head {
            return if ring.closed {
                Found::Closed
            } else {
                Found::Nothing
            };
        }
        let next = after.next();
        let index = ring.commits.partition_point(|commit| commit.last() < next);
        match ring.commits.get(index) {
            Some(commit) if commit.first() <= next => Found::Commit(Arc::clone(commit)),
            _ => Found::OnDisk,
        }
    }

    fn is_news(&self, after: Version) -> bool {
        let ring = self.ring.read();
        ring.head > after || ring.closed
    }

    /// An id under which to leave a waker.
    pub(crate) fn join(&self) -> u64 {
        let mut state = self.bell.state.lock();
        state.next_id += 1;
        state.next_id
    }

    /// Forgets the waker under this id.
    pub(crate) fn leave(&self, id: u64) {
        self.bell.state.lock().waiting.remove(&id);
    }

    /// Leaves a waker, unless there is news already: then `true`.
    pub(crate) fn wake_me(&self, id: u64, after: Version, waker: &Waker) -> bool {
        let mut state = self.bell.state.lock();
        // Looked at under the lock: a commit published after this finds the waker.
        if self.is_news(after) {
            return true;
        }
        state.waiting.insert(id, waker.clone());
        false
    }

    /// Blocks until there is news, or until the deadline: then `false`.
    pub(crate) fn wait(&self, after: Version, deadline: Option<Instant>) -> bool {
        let mut state = self.bell.state.lock();
        while !self.is_news(after) {
            match deadline {
                None => self.bell.rung.wait(&mut state),
                Some(deadline) => {
                    if self.bell.rung.wait_until(&mut state, deadline).timed_out() {
                        return self.is_news(after);
                    }
                }
            }
        }
        true
    }
}
