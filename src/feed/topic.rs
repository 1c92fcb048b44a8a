//! Who waits for what: watchers by the keys they look at, and what happened to those keys.
//!
//! A topic is everything, a resource, a resource in a namespace, or one key: the text with which
//! the encoded keys begin. All watchers of one topic share it, and a change looks up the four
//! topics it can belong to, however many others there are:
//!
//! ```text
//! topics     track         sleepers     the change 9 of g/r/a/x touches
//! ""         1-9           follower     this
//! "g r "     1-5 8-9       -            this
//! "g r a "   since 3: 5 9  40, 41       this, and wakes 40 and 41
//! "g r b "   since 6: 7-8  42           not this: 42 sleeps on
//! "g r a x"  since 3: 9    43           this, and wakes 43
//! ```
//!
//! What happened to a topic is its [`Track`]: a watcher of `g r b ` that stands at 8 knows from it
//! that nothing happened up to the head, one that stands at 6 that it has to look at 7 and 8.
//!
//! Wakers are cloned, rung and dropped outside the locks: they are foreign code.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;

use super::commit::Change;
use super::lens::Lens;
use super::track::{News, Runs, Track};
use crate::model::{Filter, Key, Version};
use crate::sync::RwLock;

/// The watchers of the same keys.
#[derive(Debug)]
pub(super) struct Topic {
    text: Box<str>,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    track: Track,
    sleepers: HashMap<u64, Waker>,
    /// Whether the commit that is being published has touched it before.
    is_touched: bool,
}

impl Topic {
    fn new(text: &str, since: Version) -> Self {
        let state = State {
            track: Track::new(since),
            sleepers: HashMap::new(),
            is_touched: false,
        };
        Topic {
            text: text.into(),
            state: RwLock::new(state),
        }
    }

    /// Writes a change down; `true` for the first of a commit.
    fn touch(&self, version: Version) -> bool {
        let mut state = self.state.write();
        state.track.add(version);
        !std::mem::replace(&mut state.is_touched, true)
    }

    /// What happened after this version, up to the head; the runs go to `out`.
    pub(super) fn news(&self, after: Version, head: Version, out: &mut Runs) -> News {
        self.state.read().track.news(after, head, out)
    }

    /// Leaves a waker under an id, unless there are news already: then `false`. `head` is asked
    /// under the lock, so that a commit published later finds the waker; it answers `None` when
    /// there is no need to sleep.
    pub(super) fn sleep(
        &self,
        id: u64,
        after: Version,
        waker: &Waker,
        head: impl FnOnce() -> Option<Version>,
    ) -> bool {
        let waker = waker.clone();
        let mut state = self.state.write();
        let may_sleep = head().is_some_and(|head| !state.track.has_news(after, head));
        let old = if may_sleep {
            state.sleepers.insert(id, waker)
        } else {
            Some(waker)
        };
        drop(state);
        drop(old);
        may_sleep
    }

    /// Takes the waker of this id back.
    pub(super) fn rise(&self, id: u64) {
        let waker = self.state.write().sleepers.remove(&id);
        drop(waker);
    }

    /// Wakes all who sleep here.
    pub(super) fn ring(&self) {
        let mut state = self.state.write();
        state.is_touched = false;
        let woken = std::mem::take(&mut state.sleepers);
        drop(state);
        woken.into_values().for_each(Waker::wake);
    }
}

/// The depths of the topics: everything, a resource, a resource in a namespace, a key.
const DEPTHS: usize = 4;

/// The topics that have watchers, by their texts.
#[derive(Debug, Default)]
pub(super) struct Topics {
    by_text: HashMap<Box<str>, Entry>,
    /// How many topics there are of each depth: what nobody asks for is not looked up.
    of_depth: [usize; DEPTHS],
    /// The filters the watchers look through, by their texts.
    lenses: HashMap<Box<str>, (Arc<Lens>, usize)>,
    next_id: u64,
}

#[derive(Debug)]
struct Entry {
    topic: Arc<Topic>,
    watchers: usize,
}

impl Topics {
    /// The topic of this text for one more watcher, and the watcher's id. If it is new it knows
    /// what happens after `head`.
    pub(super) fn join(&mut self, text: &str, head: Version) -> (Arc<Topic>, u64) {
        self.next_id += 1;
        if let Some(entry) = self.by_text.get_mut(text) {
            entry.watchers += 1;
            return (Arc::clone(&entry.topic), self.next_id);
        }
        let topic = Arc::new(Topic::new(text, head));
        self.of_depth[depth(text)] += 1;
        let entry = Entry {
            topic: Arc::clone(&topic),
            watchers: 1,
        };
        self.by_text.insert(text.into(), entry);
        (topic, self.next_id)
    }

    /// The lens of this filter, for one more watcher.
    pub(super) fn lens(&mut self, filter: Filter) -> Arc<Lens> {
        self.next_id += 1;
        let id = self.next_id;
        let entry = self.lenses.entry(text_of(&filter));
        let (lens, watchers) = entry.or_insert_with(|| (Arc::new(Lens::new(id, filter)), 0));
        *watchers += 1;
        Arc::clone(lens)
    }

    /// One watcher of a lens less.
    pub(super) fn put_down(&mut self, lens: &Lens) {
        let text = text_of(&lens.filter);
        if let Some((_, watchers)) = self.lenses.get_mut(&text) {
            *watchers -= 1;
            if *watchers == 0 {
                self.lenses.remove(&text);
            }
        }
    }

    /// One watcher less.
    pub(super) fn leave(&mut self, topic: &Topic) {
        let Some(entry) = self.by_text.get_mut(&topic.text) else {
            return;
        };
        entry.watchers -= 1;
        if entry.watchers == 0 {
            self.by_text.remove(&topic.text);
            self.of_depth[depth(&topic.text)] -= 1;
        }
    }

    /// Writes these changes down in the topics they belong to, and answers those.
    pub(super) fn touch(&self, changes: &[Change]) -> Vec<Arc<Topic>> {
        let mut touched = Vec::new();
        let mut folder = None;
        let mut around: Vec<&Arc<Topic>> = Vec::with_capacity(DEPTHS);
        let mut mark = |topic: &Arc<Topic>, version| {
            if topic.touch(version) {
                touched.push(Arc::clone(topic));
            }
        };
        for change in changes {
            let (key, version) = (change.revision.key(), change.revision.version());
            let texts = texts_of(key);
            // Neighbours in a commit often stand in one namespace: that is looked up once.
            if folder != Some(texts[2]) {
                folder = Some(texts[2]);
                around.clear();
                around.extend((0..3).filter_map(|depth| self.get(depth, texts[depth])));
            }
            around.iter().for_each(|topic| mark(topic, version));
            if let Some(topic) = self.get(3, texts[3]) {
                mark(topic, version);
            }
        }
        touched
    }

    fn get(&self, depth: usize, text: &str) -> Option<&Arc<Topic>> {
        if self.of_depth[depth] == 0 {
            return None;
        }
        self.by_text.get(text).map(|entry| &entry.topic)
    }

    pub(super) fn all(&self) -> Vec<Arc<Topic>> {
        let entries = self.by_text.values();
        entries.map(|entry| Arc::clone(&entry.topic)).collect()
    }
}

/// A text that only equal filters have.
fn text_of(filter: &Filter) -> Box<str> {
    let Filter {
        labels,
        fields,
        scope,
    } = filter;
    // Every string in it is quoted. Each watcher may have its own, so it is kept short.
    let mut text = format!("{labels:?}{fields:?}");
    if !scope.is_all() {
        text.push_str(&format!("{scope:?}"));
    }
    text.into()
}

/// The texts of the topics that a key belongs to, by their depth.
fn texts_of(key: &Key) -> [&str; DEPTHS] {
    let text = key.encoded();
    let mut joints = text.match_indices('\0').skip(1).map(|(at, _)| at + 1);
    let resource = joints.next().unwrap_or_default();
    let namespace = joints.next().unwrap_or_default();
    ["", &text[..resource], &text[..namespace], text]
}

/// How deep the topic with this text is.
fn depth(text: &str) -> usize {
    match text.matches('\0').count() {
        0 => 0,
        2 => 1,
        _ if text.ends_with('\0') => 2,
        _ => 3,
    }
}
