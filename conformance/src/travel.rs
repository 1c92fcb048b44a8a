//! Behaviours of the past: what was true at a version can be read at it, as long as it is kept.
//!
//! `levels` has those that need several namespaces, `compacted` those of a store that forgets.

mod compacted;
mod levels;

use std::collections::BTreeMap;

use serde_json::json;

use crate::door::{Cut, Draft, Failure, FailureKind, Object};
use crate::stage::{Behaviour, Played, Stage, assert_refused};

pub(crate) const ALL: &[Behaviour] = &[
    ("the state after every write can be read", after_every_write),
    ("pages can be read at a version", pages_of_the_past),
    (
        "each of several namespaces can be listed as each write left it",
        levels::at_every_write,
    ),
    (
        "a selection can be listed as each write left it",
        levels::selections_at_every_write,
    ),
    (
        "a token of each write leads to the state of that write",
        levels::tokens_of_every_write,
    ),
    ("a version that is still to come is refused", future),
    (
        "before a compaction is gone, after it is exact",
        compacted::before_and_after,
    ),
    (
        "a list whose version is compacted can go on",
        compacted::continued_list,
    ),
    (
        "a watch over a compaction loses nothing in silence",
        compacted::open_watch,
    ),
    ("random writes do what a model does", model),
];

/// The states of a namespace, by version.
#[derive(Default)]
struct Record {
    live: BTreeMap<String, Object>,
    states: Vec<(u64, Vec<Object>)>,
}

impl Record {
    fn put(&mut self, object: Object) {
        let version = object.version;
        self.live.insert(object.name.clone(), object);
        self.close(version);
    }

    fn take(&mut self, name: &str, version: u64) {
        self.live.remove(name);
        self.close(version);
    }

    fn close(&mut self, version: u64) {
        let state = self.live.values().cloned().collect();
        self.states.push((version, state));
    }

    /// All states are still there, as lists and object by object.
    fn check(&self, stage: &Stage<'_>, names: &[&str]) -> Played {
        for (version, state) in &self.states {
            let page = stage.list_at(&stage.here(), *version)?;
            assert_eq!((page.version, &page.objects), (*version, state));
            let pages = stage.pages(&stage.here(), 2, Some(*version))?;
            let paged: Vec<Object> = pages.into_iter().flat_map(|page| page.objects).collect();
            assert_eq!(&paged, state, "in pages at {version}");
            for name in names {
                let found = stage.door().get(stage.namespace(), name, Some(*version));
                match state.iter().find(|object| object.name == *name) {
                    Some(object) => assert_eq!(&found?, object, "at {version}"),
                    None => assert_refused(found, FailureKind::NotFound),
                }
            }
        }
        Ok(())
    }
}

fn after_every_write(stage: &mut Stage<'_>) -> Played {
    let mut record = Record::default();
    record.close(stage.door().version()?);
    let first = stage.create_labelled("bar", ("app", "web"))?;
    record.put(first.clone());
    let gone = stage.create("baz")?;
    record.put(gone.clone());
    record.put(stage.create("foo")?);
    let second = stage.update(&first, json!({"title": "second"}))?;
    record.put(second.clone());
    let end = stage.delete(&gone)?;
    record.take("baz", end.object.version);
    let third = stage.relabel(&second, &[("app", "db")])?;
    record.put(third);
    record.put(stage.create("baz")?);
    stage.reopen();
    record.check(stage, &["bar", "baz", "foo", "never"])?;
    // Selectors look at the labels of that time.
    let web = stage.labelled("app=web");
    let found = stage.list_at(&web, second.version)?.objects;
    assert_eq!(found, [second]);
    assert_eq!(stage.list(&web)?.objects, []);
    Ok(())
}

fn pages_of_the_past(stage: &mut Stage<'_>) -> Played {
    let mut states = Vec::new();
    for name in ["d", "b", "a", "c", "e"] {
        let created = stage.create(name)?;
        states.push((created.version, stage.list(&stage.here())?.objects));
    }
    for name in ["b", "d"] {
        let object = stage.door().get(stage.namespace(), name, None)?;
        let gone = stage.delete(&object)?;
        states.push((gone.object.version, stage.list(&stage.here())?.objects));
    }
    stage.reopen();
    for (version, state) in states {
        for limit in 1..=5 {
            let pages = stage.pages(&stage.here(), limit, Some(version))?;
            assert!(pages.iter().all(|page| page.version == version));
            let paged: Vec<Object> = pages.into_iter().flat_map(|page| page.objects).collect();
            assert_eq!(paged, state, "at {version}, limit {limit}");
        }
    }
    Ok(())
}

fn future(stage: &mut Stage<'_>) -> Played {
    let one = stage.create("one")?;
    stage.reopen();
    for version in [one.version + 1, one.version + 1_000_000] {
        let at = Some(version);
        for limit in [None, Some(1)] {
            let (choice, token) = (stage.here(), None);
            let list = stage.door().list(&choice, &Cut { limit, token, at });
            assert_refused(list, FailureKind::Future);
        }
        let get = stage.door().get(stage.namespace(), "one", at);
        assert_refused(get, FailureKind::Future);
    }
    Ok(())
}

/// A small source of numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        // Constants of the linear congruential generator of Knuth's MMIX.
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn model(stage: &mut Stage<'_>) -> Played {
    const WRITES: u64 = 60;
    let names = ["a", "b", "b-b", "c", "d"];
    let mut record = Record::default();
    record.close(stage.door().version()?);
    let mut dice = Dice(11);
    for count in 0..WRITES {
        let at = usize::try_from(dice.below(names.len() as u64)).unwrap_or(0);
        write(stage, &mut record, &mut dice, (names[at], count))?;
        if count % 20 == 19 {
            stage.reopen();
        }
    }
    record.check(stage, &names)?;
    let versions: Vec<u64> = record.states.iter().map(|(version, _)| *version).collect();
    let gapless = versions.windows(2).all(|pair| pair[1] == pair[0] + 1);
    assert!(gapless, "one write, one version: {versions:?}");
    Ok(())
}

/// Writes to one name what makes sense, and now and then what does not.
fn write(
    stage: &Stage<'_>,
    record: &mut Record,
    dice: &mut Dice,
    (name, count): (&str, u64),
) -> Result<(), Failure> {
    let spec = json!({"count": count});
    let draft = Draft {
        spec: spec.clone(),
        ..stage.draft(name)
    };
    let Some(current) = record.live.get(name).cloned() else {
        if dice.below(4) == 0 {
            let update = stage.door().update(&draft, &crate::Expect::nothing());
            assert_refused(update, FailureKind::NotFound);
        }
        record.put(stage.door().create(&draft)?);
        return Ok(());
    };
    match dice.below(5) {
        0 => {
            let gone = stage.delete(&current)?;
            record.take(name, gone.object.version);
        }
        1 => {
            assert_refused(stage.door().create(&draft), FailureKind::AlreadyExists);
            record.put(stage.update(&current, spec)?);
        }
        2 => record.put(stage.relabel(&current, &[("count", &count.to_string())])?),
        _ => record.put(stage.update(&current, spec)?),
    }
    Ok(())
}
