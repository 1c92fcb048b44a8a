//! Where commits become known: the ring, the topics, and the version up to which both hold.
//!
//! ```text
//! publish    touch the topics  ->  fill the ring  ->  move the head  ->  wake the touched topics
//! look       read the head     ->  ask the topic  ->  read the ring up to that head
//! ```
//!
//! A reader reads the head first, so whatever the topic and the ring lack at or below it, they
//! have forgotten, not yet to learn. A sleeper is put down under its topic's lock after one more
//! look at the head, and publishing takes the sleepers of a topic after the head has moved: either
//! the sleeper sees the head or the publisher sees the sleeper.
//!
//! One lock orders publishing and joining. Readers never take it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Wake, Waker};
use std::time::Instant;

use super::commit::Commit;
use super::lens::Lens;
use super::ring::{Chunk, Ring, RingLimits};
use super::topic::{Topic, Topics};
use super::track::{News, Runs};
use crate::model::{Filter, Version};
use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex};

/// Plants a wake-up before the head has moved, which misses a sleeper that comes between: the
/// models must find it.
const CANARY: bool = cfg!(all(feature = "canary", feature = "shuttle"));

/// One per store.
#[derive(Debug)]
pub(crate) struct Hub {
    ring: Ring,
    topics: Mutex<Topics>,
    /// The newest version published.
    head: AtomicU64,
    closed: AtomicBool,
}

impl Hub {
    /// A hub for a log that ends at `head`.
    pub(crate) fn new(head: Version, limits: RingLimits) -> Self {
        Hub {
            ring: Ring::new(limits),
            topics: Mutex::default(),
            head: AtomicU64::new(head.get()),
            closed: AtomicBool::new(false),
        }
    }

    /// The newest version published.
    pub(crate) fn head(&self) -> Version {
        Version::new(self.head.load(Ordering::Acquire))
    }

    /// Makes a commit known, which continues the log without a gap, and wakes whom it concerns.
    #[cfg(all(test, feature = "shuttle"))]
    pub(crate) fn publish(&self, commit: Commit) {
        self.add(commit).ring();
    }

    /// Makes a commit known, which continues the log without a gap. Those who wait for it are
    /// woken when the answer is rung.
    pub(crate) fn add(&self, commit: Commit) -> Bells {
        let first = commit.changes().first();
        assert_eq!(
            first.map(|change| change.revision.version()),
            Some(self.head().next()),
            "commits are published in order"
        );
        let last = commit.last();
        let topics = self.topics.lock();
        let touched = topics.touch(commit.changes());
        self.ring.append(commit.into_changes());
        if CANARY {
            touched.iter().for_each(|topic| topic.ring());
        }
        self.head.store(last.get(), Ordering::Release);
        drop(topics);
        Bells { touched }
    }

    /// Tells all watchers that nothing more will come.
    pub(crate) fn close(&self) {
        let topics = self.topics.lock();
        self.closed.store(true, Ordering::Release);
        let all = topics.all();
        drop(topics);
        all.iter().for_each(|topic| topic.ring());
    }

    /// The chunk of the ring with the change at this version, if the ring still has it.
    pub(super) fn find(&self, version: Version) -> Option<Arc<Chunk>> {
        self.ring.find(version)
    }

    /// A seat for a watcher of the keys that begin with this text.
    pub(super) fn join(self: &Arc<Self>, text: &str, filter: Filter) -> Seat {
        let mut topics = self.topics.lock();
        let (topic, id) = topics.join(text, self.head());
        let lens = topics.lens(filter);
        drop(topics);
        let hub = Arc::clone(self);
        Seat {
            hub,
            topic,
            lens,
            id,
        }
    }

    /// Blocks until something was published after this version, or until the deadline: then
    /// `false`.
    pub(crate) fn wait(self: &Arc<Self>, after: Version, deadline: Option<Instant>) -> bool {
        self.join("", Filter::default()).wait(after, deadline)
    }
}

/// The topics that a commit has touched.
#[must_use = "who waits is woken by `ring`"]
pub(crate) struct Bells {
    touched: Vec<Arc<Topic>>,
}

impl Bells {
    /// Wakes who waits for them.
    pub(crate) fn ring(self) {
        if !CANARY {
            self.touched.iter().for_each(|topic| topic.ring());
        }
    }
}

/// What a watcher finds when it looks up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Changes in so many runs, which were written down; `Some` with the head if these are all.
    Changes(usize, Option<Version>),
    /// Nothing of its own up to this version.
    Nothing(Version),
    /// Nothing, and nothing will come: the store is closed.
    Closed(Version),
    /// Whatever there is up to this version; only the log can tell.
    Log(Version),
}

/// The place of one watcher in its topic.
#[derive(Debug)]
pub(super) struct Seat {
    hub: Arc<Hub>,
    topic: Arc<Topic>,
    lens: Arc<Lens>,
    id: u64,
}

impl Seat {
    pub(super) fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(super) fn lens(&self) -> &Arc<Lens> {
        &self.lens
    }

    /// What there is behind this version.
    pub(super) fn look(&self, after: Version, out: &mut Runs) -> Look {
        // The last commit was published before the hub was closed.
        let closed = self.hub.closed.load(Ordering::Acquire);
        let head = self.hub.head();
        match self.topic.news(after, head, out) {
            News::Changes { runs, all } => Look::Changes(runs, all.then_some(head)),
            News::Unknown if after < head => Look::Log(head),
            News::Unknown | News::Nothing if closed => Look::Closed(after.max(head)),
            News::Nothing => Look::Nothing(after.max(head)),
            News::Unknown => Look::Nothing(after),
        }
    }

    /// Leaves a waker, unless there is news already: then `false`.
    pub(super) fn sleep(&self, after: Version, waker: &Waker) -> bool {
        let head = || (!self.hub.closed.load(Ordering::Acquire)).then(|| self.hub.head());
        self.topic.sleep(self.id, after, waker, head)
    }

    /// Blocks until there is news, or until the deadline: then `false`.
    pub(super) fn wait(&self, after: Version, deadline: Option<Instant>) -> bool {
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        while self.sleep(after, &waker) {
            if !bell.wait(deadline) {
                // A commit may have come between the deadline and this look.
                let news = !self.sleep(after, &waker);
                self.topic.rise(self.id);
                return news;
            }
        }
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.topic.rise(self.id);
        let mut topics = self.hub.topics.lock();
        topics.leave(&self.topic);
        topics.put_down(&self.lens);
    }
}

/// Wakes a thread.
#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<bool>,
    moved: Condvar,
}

impl Bell {
    /// Blocks until it rings, or until the deadline: then `false`.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut rung = self.rung.lock();
        while !*rung {
            match deadline {
                None => self.moved.wait(&mut rung),
                Some(deadline) => {
                    if self.moved.wait_until(&mut rung, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        std::mem::take(&mut rung)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock() = true;
        self.moved.notify_all();
    }
}
