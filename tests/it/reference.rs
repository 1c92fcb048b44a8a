//! The plain model that says what the store must answer: without it the model suite would have
//! nothing to compare with. It is a vector of revisions, and every question walks it.

use std::collections::BTreeMap;

use annals::{
    Action, Collection, Error, EventKind, FieldTest, Filter, Key, ObjectField, Revision, Version,
};

use crate::random::Random;

/// What stands for a uid that the store will make up, until it has answered.
pub(crate) const UNKNOWN_UID: &str = "?";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Create,
    Update,
    Delete,
}

/// One write, fully decided.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) key: Key,
    pub(crate) change: Change,
    pub(crate) labels: u8,
    pub(crate) folder: bool,
    pub(crate) uid: Option<String>,
    pub(crate) if_version: Option<Version>,
    pub(crate) if_uid: Option<String>,
    pub(crate) guard: Option<(Key, Version)>,
    pub(crate) author: String,
    /// Makes the body different from any other.
    pub(crate) serial: usize,
}

impl Spec {
    /// The object as JSON.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut metadata = Vec::new();
        if let Some(uid) = &self.uid {
            metadata.push(format!(r#""uid":"{uid}""#));
        }
        if let Some(label) = label(self.labels) {
            metadata.push(format!(r#""labels":{{"l":"{label}","z":"1"}}"#));
        }
        if self.folder {
            metadata.push(r#""annotations":{"grafana.app/folder":"f"}"#.to_owned());
        }
        let metadata = metadata.join(",");
        format!(r#"{{"metadata":{{{metadata}}},"spec":{}}}"#, self.serial).into_bytes()
    }
}

/// One of so many choices.
pub(crate) fn choice(random: &mut Random, count: usize) -> u8 {
    u8::try_from(random.below(count)).unwrap()
}

fn label(number: u8) -> Option<&'static str> {
    [None, Some("a"), Some("b"), Some("5")][usize::from(number % 4)]
}

pub(crate) fn key(number: u8) -> Key {
    let (group, resource, namespace, name) = [
        ("g.x", "things", "a", "n0"),
        ("g.x", "things", "a", "n1"),
        ("g.x", "things", "b", "n0"),
        ("g.x", "others", "a", "n0"),
        ("", "things", "", "n0"),
        ("g.x", "things", "", "n2"),
    ][usize::from(number % 6)];
    Key::new(group, resource, namespace, name).unwrap()
}

const COLLECTIONS: u8 = 6;

pub(crate) fn collection(number: u8) -> Collection {
    match number % COLLECTIONS {
        0 => Ok(Collection::all()),
        1 => Collection::of("g.x", "things"),
        2 => Collection::within("g.x", "things", "a"),
        3 => Collection::within("g.x", "things", ""),
        4 => Collection::of("", "things"),
        _ => Collection::within("g.x", "absent", "a"),
    }
    .unwrap()
}

fn in_collection(number: u8, key: &Key) -> bool {
    let things = key.resource() == "things";
    let ours = things && key.group() == "g.x";
    match number % COLLECTIONS {
        0 => true,
        1 => ours,
        2 => ours && key.namespace() == "a",
        3 => ours && key.namespace().is_empty(),
        4 => things && key.group().is_empty(),
        _ => false,
    }
}

const FILTERS: u8 = 10;

pub(crate) fn filter(number: u8) -> Filter {
    let labels = |text: &str| Filter {
        labels: text.parse().unwrap(),
        ..Filter::default()
    };
    let field = |field, equals, value: &str| Filter {
        fields: vec![FieldTest {
            field,
            equals,
            value: value.to_owned(),
        }],
        ..Filter::default()
    };
    match number % FILTERS {
        0 => Filter::default(),
        1 => labels("l=a"),
        2 => labels("l!=a"),
        3 => labels("l in (a,b),z"),
        4 => labels("!l"),
        5 => labels("l>3"),
        6 => field(ObjectField::Name, true, "n0"),
        7 => field(ObjectField::Name, false, "n0"),
        8 => field(ObjectField::Namespace, true, "a"),
        _ => field(ObjectField::Name, true, "not/a/name"),
    }
}

fn matches(number: u8, entry: &Entry) -> bool {
    let label = label(entry.labels);
    match number % FILTERS {
        0 => true,
        1 => label == Some("a"),
        2 => label != Some("a"),
        3 => label == Some("a") || label == Some("b"),
        4 => label.is_none(),
        5 => label == Some("5"),
        6 => entry.key.name() == "n0",
        7 => entry.key.name() != "n0",
        8 => entry.key.namespace() == "a",
        _ => false,
    }
}

/// A revision as the model knows it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) action: Action,
    pub(crate) version: Version,
    pub(crate) previous: Option<Version>,
    ordinal: u64,
    batch_end: Version,
    body: Vec<u8>,
    pub(crate) uid: String,
    labels: u8,
    folder: bool,
    author: String,
    time: u64,
    created: u64,
}

impl Entry {
    fn is_live(&self) -> bool {
        self.action != Action::Deleted
    }

    /// Compares everything that the store says of a revision.
    pub(crate) fn expect(&self, found: &Revision) {
        let header = found.header();
        assert_eq!((&header.key, header.action), (&self.key, self.action));
        assert_eq!(
            (header.version, header.previous),
            (self.version, self.previous)
        );
        assert_eq!(
            (header.ordinal, header.batch_end),
            (self.ordinal, self.batch_end)
        );
        assert_eq!((header.time.0, header.created.0), (self.time, self.created));
        assert_eq!((&header.uid, &header.author), (&self.uid, &self.author));
        assert_eq!(header.folder, if self.folder { "f" } else { "" });
        assert_eq!(header.label("l"), label(self.labels));
        assert_eq!(found.body(), self.body);
    }
}

/// An event as the model expects it.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) kind: EventKind,
    pub(crate) version: Version,
    pub(crate) object: &'a Entry,
    pub(crate) previous: Option<Version>,
    pub(crate) is_create: bool,
}

/// Every revision, in version order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    log: Vec<Entry>,
    /// What the clock says.
    pub(crate) now: u64,
    writes: usize,
}

impl Model {
    pub(crate) fn head(&self) -> Version {
        Version::new(self.log.len() as u64)
    }

    /// A number that changes with every write.
    pub(crate) fn serial(&self) -> usize {
        self.writes
    }

    /// The model as it was at this version.
    pub(crate) fn at(&self, version: Version) -> Model {
        Model {
            log: self.until(version).to_vec(),
            now: self.now,
            writes: self.writes,
        }
    }

    fn until(&self, version: Version) -> &[Entry] {
        &self.log[..usize::try_from(version.get()).unwrap()]
    }

    /// The newest revision of a key at this version, a delete marker included.
    fn newest(&self, key: &Key, at: Version) -> Option<&Entry> {
        self.until(at).iter().rfind(|entry| entry.key == *key)
    }

    /// The object at this version.
    pub(crate) fn live(&self, key: &Key, at: Version) -> Option<&Entry> {
        self.newest(key, at).filter(|entry| entry.is_live())
    }

    /// The revisions of a key up to this version, newest first.
    pub(crate) fn history(&self, key: &Key, at: Version) -> Vec<&Entry> {
        let all = self.until(at).iter().rev();
        all.filter(|entry| entry.key == *key).collect()
    }

    /// The objects that are live at this version, or those that were and are not, in key order.
    pub(crate) fn list(&self, of: u8, by: u8, at: Version, live: bool) -> Vec<&Entry> {
        let newest: BTreeMap<&Key, &Entry> = self
            .until(at)
            .iter()
            .map(|entry| (&entry.key, entry))
            .collect();
        newest
            .into_values()
            .filter(|entry| entry.is_live() == live)
            .filter(|entry| in_collection(of, &entry.key) && matches(by, entry))
            .collect()
    }

    /// What a watcher sees after this version.
    pub(crate) fn events(&self, of: u8, by: u8, after: Version) -> Vec<Expected<'_>> {
        let later = self.log.iter().filter(|entry| entry.version > after);
        later
            .filter_map(|entry| self.event(of, by, entry))
            .collect()
    }

    fn event<'a>(&'a self, of: u8, by: u8, entry: &'a Entry) -> Option<Expected<'a>> {
        let before_version = Version::new(entry.version.get() - 1);
        let before = self.live(&entry.key, before_version);
        let matched = before.filter(|before| matches(by, before));
        let matching = entry.is_live() && matches(by, entry);
        let (kind, object) = match (matched, matching) {
            (None, false) => return None,
            (None, true) => (EventKind::Added, entry),
            (Some(_), true) => (EventKind::Modified, entry),
            // An object that leaves is shown as it was when it last matched.
            (Some(before), false) if entry.is_live() => (EventKind::Deleted, before),
            (Some(_), false) => (EventKind::Deleted, entry),
        };
        in_collection(of, &entry.key).then_some(Expected {
            kind,
            version: entry.version,
            object,
            previous: entry.previous,
            is_create: entry.action == Action::Created,
        })
    }

    /// Makes all of these writes, or none; says how many.
    pub(crate) fn apply(&mut self, specs: &[Spec]) -> Result<usize, Error> {
        self.writes += 1;
        let start = self.log.len();
        let time = self
            .log
            .last()
            .map_or(self.now, |newest| newest.time.max(self.now));
        let batch_end = Version::new((start + specs.len()) as u64);
        for spec in specs {
            match self.decide(spec, time, batch_end) {
                Ok(entry) => self.log.push(entry),
                Err(error) => {
                    self.log.truncate(start);
                    return Err(error);
                }
            }
        }
        Ok(specs.len())
    }

    fn decide(&self, spec: &Spec, time: u64, batch_end: Version) -> Result<Entry, Error> {
        let head = self.head();
        let newest = self.newest(&spec.key, head);
        let live = newest.filter(|entry| entry.is_live());
        self.check(spec, live)?;
        let kept = live.filter(|_| spec.change == Change::Delete);
        let version = head.next();
        Ok(Entry {
            key: spec.key.clone(),
            action: match spec.change {
                Change::Create => Action::Created,
                Change::Update => Action::Updated,
                Change::Delete => Action::Deleted,
            },
            version,
            previous: newest.map(|entry| entry.version),
            ordinal: newest.map_or(0, |entry| entry.ordinal + 1),
            batch_end,
            body: kept.map_or_else(|| spec.body(), |entry| entry.body.clone()),
            uid: match (live, &spec.uid) {
                (Some(live), _) => live.uid.clone(),
                (None, Some(uid)) => uid.clone(),
                (None, None) => format!("{UNKNOWN_UID}{version}"),
            },
            labels: kept.map_or(spec.labels, |entry| entry.labels),
            folder: kept.map_or(spec.folder, |entry| entry.folder),
            author: spec.author.clone(),
            time,
            created: live.map_or(time, |entry| entry.created),
        })
    }

    /// The preconditions in their order: the guard, then whether it is live, the uid, the version.
    fn check(&self, spec: &Spec, live: Option<&Entry>) -> Result<(), Error> {
        let version_of = |entry: Option<&Entry>| entry.map_or(Version::ZERO, |live| live.version);
        let version_conflict = |key: &Key, expected, actual| {
            let key = key.clone();
            Err(Error::VersionConflict {
                key,
                expected,
                actual,
            })
        };
        if let Some((key, expected)) = &spec.guard {
            let actual = version_of(self.live(key, self.head()));
            if actual != *expected {
                return version_conflict(key, *expected, actual);
            }
        }
        let key = spec.key.clone();
        if live.is_none() && spec.change != Change::Create {
            return Err(Error::NotFound { key });
        }
        let uid = live.map_or("", |entry| &entry.uid);
        let uid_conflict = |expected: &String| Error::UidConflict {
            key: spec.key.clone(),
            expected: expected.clone(),
            actual: uid.to_owned(),
        };
        if let Some(expected) = spec.if_uid.as_ref().filter(|&expected| expected != uid) {
            return Err(uid_conflict(expected));
        }
        if let Some(expected) = spec
            .if_version
            .filter(|&expected| expected != version_of(live))
        {
            return version_conflict(&spec.key, expected, version_of(live));
        }
        match (spec.change, live, &spec.uid) {
            (Change::Create, Some(_), _) => Err(Error::AlreadyExists { key }),
            (Change::Update, Some(_), Some(own)) if own != uid => Err(uid_conflict(own)),
            _ => Ok(()),
        }
    }

    /// Takes over the uids that the store made up.
    pub(crate) fn learn_uids(&mut self, answers: &[Revision]) {
        for answer in answers {
            let at = usize::try_from(answer.version().get()).unwrap() - 1;
            let placeholder = self.log[at].uid.clone();
            if !placeholder.starts_with(UNKNOWN_UID) {
                continue;
            }
            let uid = &answer.header().uid;
            let used = self.log.iter().any(|entry| entry.uid == *uid);
            assert!(!uid.is_empty() && !used, "{uid} is not a new uid");
            for entry in &mut self.log {
                if entry.uid == placeholder {
                    entry.uid.clone_from(uid);
                }
            }
        }
    }

    /// Compares the answers of the last write with the newest revisions.
    pub(crate) fn expect_log(&self, answers: &[Revision]) {
        let newest = &self.log[self.log.len() - answers.len()..];
        for (entry, answer) in newest.iter().zip(answers) {
            entry.expect(answer);
        }
    }
}
