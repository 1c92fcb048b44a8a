//! The nine checks of a watch, without which a missed, doubled or reordered event would go unseen.
//!
//! What a watcher saw is compared with the truth: the revisions that the writers were answered,
//! in version order. The truth never passed through a watch.

use std::collections::HashSet;

use annals::{
    Action, Collection, Event, EventKind, FieldTest, Filter, Header, Key, ObjectField, Revision,
    Version,
};

pub(crate) const GROUP: &str = "g.x";
pub(crate) const RESOURCE: &str = "things";

/// What a watcher looks through.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lens {
    All,
    Namespace(&'static str),
    /// The label `tier` has this value.
    Tier(&'static str),
    /// The label `tier` has another value, or there is none.
    NotTier(&'static str),
    Name(&'static str),
}

impl Lens {
    pub(crate) fn collection(self) -> Collection {
        match self {
            Lens::Namespace(namespace) => Collection::within(GROUP, RESOURCE, namespace).unwrap(),
            Lens::All => Collection::all(),
            Lens::Tier(_) | Lens::NotTier(_) | Lens::Name(_) => {
                Collection::of(GROUP, RESOURCE).unwrap()
            }
        }
    }

    pub(crate) fn filter(self) -> Filter {
        let labels = |text: String| Filter {
            labels: text.parse().unwrap(),
            ..Filter::default()
        };
        match self {
            Lens::All | Lens::Namespace(_) => Filter::default(),
            Lens::Tier(value) => labels(format!("tier={value}")),
            Lens::NotTier(value) => labels(format!("tier!={value}")),
            Lens::Name(name) => Filter {
                fields: vec![FieldTest {
                    field: ObjectField::Name,
                    equals: true,
                    value: name.to_owned(),
                }],
                ..Filter::default()
            },
        }
    }

    /// Whether a state of an object is seen through it: judged apart from the library.
    fn shows(self, header: &Header) -> bool {
        let tier = header.labels.iter().find(|(key, _)| key == "tier");
        let tier = tier.map(|(_, value)| value.as_str());
        header.action != Action::Deleted
            && match self {
                Lens::All => true,
                Lens::Namespace(namespace) => header.key.namespace() == namespace,
                Lens::Tier(value) => tier == Some(value),
                Lens::NotTier(value) => tier != Some(value),
                Lens::Name(name) => header.key.name() == name,
            }
    }
}

/// What one watcher saw.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) lens: Lens,
    pub(crate) start: Version,
    pub(crate) events: Vec<Event>,
    /// After so many events the watch said that it had handed out everything up to this version.
    pub(crate) bookmarks: Vec<(usize, Version)>,
    /// After so many events it was resumed from this version.
    pub(crate) resumes: Vec<(usize, Version)>,
    /// Where it was told that what comes next is gone, if it was.
    pub(crate) gone: Option<Version>,
}

impl Seen {
    /// A watcher that has seen nothing yet.
    pub(crate) fn new(lens: Lens, start: Version) -> Seen {
        Seen {
            lens,
            start,
            events: Vec::new(),
            bookmarks: Vec::new(),
            resumes: Vec::new(),
            gone: None,
        }
    }

    /// Whether it had to see a change at this version.
    fn reaches(&self, version: Version) -> bool {
        version > self.start && self.gone.is_none_or(|end| version <= end)
    }
}

/// Every revision, in version order, from version 1.
#[derive(Debug)]
pub(crate) struct Truth {
    log: Vec<Revision>,
}

impl Truth {
    /// The answers of all writers, in any order.
    pub(crate) fn new(mut answers: Vec<Revision>) -> Self {
        answers.sort_by_key(Revision::version);
        for (expected, revision) in (1..).zip(&answers) {
            assert_eq!(
                revision.version().get(),
                expected,
                "the versions have a gap"
            );
        }
        Truth { log: answers }
    }

    pub(crate) fn head(&self) -> Version {
        Version::new(self.log.len() as u64)
    }

    fn revision(&self, version: Version) -> &Revision {
        &self.log[usize::try_from(version.get()).unwrap() - 1]
    }

    /// The state before this revision, if the object was live.
    fn before(&self, revision: &Revision) -> Option<&Revision> {
        let before = self.revision(revision.header().previous?);
        before.header().is_live().then_some(before)
    }

    /// Whether a watcher has an event for this revision.
    fn concerns(&self, lens: Lens, revision: &Revision) -> bool {
        let before = self.before(revision);
        lens.shows(revision.header()) || before.is_some_and(|before| lens.shows(before.header()))
    }

    /// Makes the nine checks; says how many events passed them.
    pub(crate) fn validate(&self, seen: &Seen) -> usize {
        self.check_filter(seen);
        check_ordered(seen);
        check_unique(seen);
        self.check_atomic(seen);
        self.check_reliable(seen);
        check_resumable(seen);
        self.check_bookmarkable(seen);
        self.check_previous(seen);
        self.check_create(seen);
        seen.events.len()
    }

    /// Only what the watcher asked for, and each event of the kind that the change has for it.
    fn check_filter(&self, seen: &Seen) {
        for event in &seen.events {
            let revision = self.revision(event.version);
            let before = self.before(revision);
            let shown = before.is_some_and(|before| seen.lens.shows(before.header()));
            let kind = match (shown, seen.lens.shows(revision.header())) {
                (false, true) => EventKind::Added,
                (true, true) => EventKind::Modified,
                (true, false) => EventKind::Deleted,
                (false, false) => panic!("{event:?} is not for {:?}", seen.lens),
            };
            assert_eq!(event.kind, kind, "{event:?} for {:?}", seen.lens);
        }
    }

    /// The events of a batch follow each other, and all of them are there.
    fn check_atomic(&self, seen: &Seen) {
        let end_of = |event: &Event| self.revision(event.version).header().batch_end;
        for batch in seen.events.chunk_by(|a, b| end_of(a) == end_of(b)) {
            let end = end_of(&batch[0]);
            let before_end = self.log[..usize::try_from(end.get()).unwrap()].iter().rev();
            let wanted = before_end
                .take_while(|revision| revision.header().batch_end == end)
                .filter(|revision| seen.reaches(revision.version()))
                .filter(|revision| self.concerns(seen.lens, revision));
            assert_eq!(batch.len(), wanted.count(), "the batch that ends at {end}");
        }
    }

    /// Nothing is missing.
    fn check_reliable(&self, seen: &Seen) {
        let later = self
            .log
            .iter()
            .filter(|revision| seen.reaches(revision.version()));
        let wanted = later.filter(|revision| self.concerns(seen.lens, revision));
        let mut events = seen.events.iter();
        for revision in wanted {
            let event = events.next().map(|event| event.version);
            assert_eq!(event, Some(revision.version()), "missed by {:?}", seen.lens);
        }
        assert!(events.next().is_none());
    }

    /// A bookmark has everything before it and nothing behind it, and none goes backwards.
    fn check_bookmarkable(&self, seen: &Seen) {
        let mut last = seen.start;
        for &(count, version) in &seen.bookmarks {
            assert!(last <= version && version <= self.head());
            last = version;
            expect_split(seen, count, version);
        }
    }

    /// The object before, the object shown, and the link to the revision before.
    fn check_previous(&self, seen: &Seen) {
        for event in &seen.events {
            let revision = self.revision(event.version);
            assert_eq!(event.previous, revision.header().previous);
            let key: &Key = revision.key();
            let newest = self.log[..usize::try_from(event.version.get()).unwrap() - 1]
                .iter()
                .rfind(|earlier| earlier.key() == key);
            assert_eq!(event.previous, newest.map(Revision::version));
            let left = event.kind == EventKind::Deleted && revision.header().is_live();
            let shown = if left { newest.unwrap() } else { revision };
            assert_eq!(&event.object, shown);
        }
    }

    fn check_create(&self, seen: &Seen) {
        for event in &seen.events {
            let created = self.revision(event.version).header().action == Action::Created;
            assert_eq!(event.is_create, created, "{event:?}");
        }
    }
}

fn check_ordered(seen: &Seen) {
    assert!(seen.events.is_sorted_by_key(|event| event.version));
    assert!(seen.events.iter().all(|event| event.version > seen.start));
}

fn check_unique(seen: &Seen) {
    let versions: HashSet<Version> = seen.events.iter().map(|event| event.version).collect();
    assert_eq!(versions.len(), seen.events.len());
}

/// A resumed watch goes on where the one before it stood.
fn check_resumable(seen: &Seen) {
    for &(count, version) in &seen.resumes {
        expect_split(seen, count, version);
    }
}

fn expect_split(seen: &Seen, count: usize, version: Version) {
    let (before, after) = seen.events.split_at(count);
    assert!(before.last().is_none_or(|event| event.version <= version));
    assert!(after.first().is_none_or(|event| event.version > version));
}
