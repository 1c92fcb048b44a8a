//! Behaviours of watches: from where, which events, in which order.

use std::collections::BTreeMap;

use serde_json::json;

use crate::door::{Choice, Draft, Event, EventKind, FailureKind, Object, Start};
use crate::stage::{Behaviour, Played, Stage, added, assert_refused, deleted, modified};

pub(crate) const ALL: &[Behaviour] = &[
    ("a watch tells what comes after its version", after_version),
    ("a watch tells what is already past", past),
    ("a watch from now begins with what is there", from_now),
    (
        "an object that ceases to match is deleted for its watcher",
        transitions,
    ),
    ("a deleted object is shown as it was last", deleted_object),
    ("a watch of one name sees that name only", one_name),
    (
        "a watch sees nothing of namespaces with a longer name",
        namespace_prefixes,
    ),
    ("a watch sees all namespaces at once", all_namespaces),
    ("a watch from the future is refused", future),
    ("events come in the order of versions", in_order),
    ("a watch resumes at every version", resumed),
    (
        "a list and the watch behind it leave no gap",
        list_and_watch,
    ),
    ("watchers that do not read hold up nobody", idle_watchers),
];

fn after_version(stage: &mut Stage<'_>) -> Played {
    stage.create("before")?;
    stage.reopen();
    let start = stage.list(&stage.here())?.version;
    let mut watch = stage.watch(&stage.here(), Start::After(start))?;
    let first = stage.create("one")?;
    watch.expect(&[added(&first)])?;
    let second = stage.update(&first, json!({"title": "second"}))?;
    watch.expect(&[modified(&second)])?;
    let gone = stage.delete(&second)?;
    watch.expect(&[gone])?;
    let again = stage.create("one")?;
    watch.expect(&[added(&again)])
}

/// Every kind of event to `stage`, and what a watcher of everything sees.
fn history(stage: &Stage<'_>) -> Result<Vec<Event>, crate::Failure> {
    let first = stage.create_labelled("one", ("app", "web"))?;
    let other = stage.create("two")?;
    let second = stage.update(&first, json!({"title": "second"}))?;
    let third = stage.relabel(&second, &[("app", "db")])?;
    let gone = stage.delete(&other)?;
    let again = stage.create("two")?;
    let end = stage.delete(&third)?;
    Ok(vec![
        added(&first),
        added(&other),
        modified(&second),
        modified(&third),
        gone,
        added(&again),
        end,
    ])
}

fn past(stage: &mut Stage<'_>) -> Played {
    let start = stage.door().version()?;
    let events = history(stage)?;
    stage.reopen();
    let mut watch = stage.watch(&stage.here(), Start::After(start))?;
    watch.expect(&events)?;
    watch.expect_nothing_before(stage, &stage.draft("last"))
}

fn from_now(stage: &mut Stage<'_>) -> Played {
    let gone = stage.create("gone")?;
    let two = stage.create("two")?;
    let one = stage.create("one")?;
    let two = stage.update(&two, json!({"title": "second"}))?;
    stage.delete(&gone)?;
    stage.reopen();
    let mut watch = stage.watch(&stage.here(), Start::Now)?;
    watch.expect(&[added(&one), added(&two)])?;
    let three = stage.create("three")?;
    let end = stage.delete(&one)?;
    watch.expect(&[added(&three), end])?;
    let mut chosen = Choice {
        name: Some("two".to_owned()),
        ..stage.here()
    };
    stage.watch(&chosen, Start::Now)?.expect(&[added(&two)])?;
    chosen.name = Some("four".to_owned());
    let mut watch = stage.watch(&chosen, Start::Now)?;
    watch.expect_nothing_before(stage, &stage.draft("four"))
}

fn transitions(stage: &mut Stage<'_>) -> Played {
    let start = stage.door().version()?;
    let web = stage.labelled("app=web");
    let mut live = stage.watch(&web, Start::After(start))?;
    let bare = stage.create("one")?;
    let first = stage.relabel(&bare, &[("app", "web")])?;
    let second = stage.update(&first, json!({"title": "second"}))?;
    let db = stage.relabel(&second, &[("app", "db")])?;
    let still_db = stage.update(&db, json!({"title": "unseen"}))?;
    let third = stage.relabel(&still_db, &[("app", "web"), ("tier", "front")])?;
    let gone = stage.delete(&third)?;
    let expected = [
        added(&first),
        modified(&second),
        // The last state that matched, with the version of the change.
        deleted(&second, db.version),
        added(&third),
        gone,
    ];
    live.expect(&expected)?;
    drop(live);
    stage.reopen();
    stage.watch(&web, Start::After(start))?.expect(&expected)?;
    // Who chooses by the absence of a label sees the opposite.
    let mut absent = stage.watch(&stage.labelled("!app"), Start::After(start))?;
    absent.expect(&[added(&bare), deleted(&bare, first.version)])?;
    absent.expect_nothing_before(stage, &stage.draft("last"))
}

fn deleted_object(stage: &mut Stage<'_>) -> Played {
    let first = stage.create_labelled("one", ("app", "web"))?;
    let last = stage.update(&first, json!({"title": "last", "more": [1]}))?;
    let mut watch = stage.watch(&stage.here(), Start::After(last.version))?;
    stage
        .door()
        .delete(stage.namespace(), "one", &crate::Expect::nothing())?;
    let event = watch.next()?;
    assert_eq!(event, deleted(&last, last.version + 1));
    assert_eq!(event.object.version, stage.door().version()?);
    // With a selector that chose it, too.
    drop(watch);
    stage.reopen();
    let start = Start::After(last.version);
    let mut watch = stage.watch(&stage.labelled("app=web"), start)?;
    watch.expect(&[event])
}

fn one_name(stage: &mut Stage<'_>) -> Played {
    let start = stage.door().version()?;
    let choice = Choice {
        name: Some("one".to_owned()),
        ..stage.here()
    };
    let mut live = stage.watch(&choice, Start::After(start))?;
    stage.create("on")?;
    let longer = stage.create("one-more")?;
    let one = stage.create("one")?;
    stage.delete(&longer)?;
    let next = stage.update(&one, json!({"title": "next"}))?;
    stage.create("two")?;
    let gone = stage.delete(&next)?;
    let expected = [added(&one), modified(&next), gone];
    live.expect(&expected)?;
    drop(live);
    stage.reopen();
    let mut late = stage.watch(&choice, Start::After(start))?;
    late.expect(&expected)?;
    late.expect_nothing_before(stage, &stage.draft("one"))
}

fn namespace_prefixes(stage: &mut Stage<'_>) -> Played {
    let others = [stage.other("2")?, stage.other("-bad")?, stage.other("x")?];
    let start = stage.door().version()?;
    let mut live = stage.watch(&stage.here(), Start::After(start))?;
    for namespace in others {
        stage.door().create(&Draft {
            namespace,
            ..stage.draft("one")
        })?;
    }
    let one = stage.create("one")?;
    live.expect(&[added(&one)])?;
    drop(live);
    stage.reopen();
    let mut late = stage.watch(&stage.here(), Start::After(start))?;
    late.expect(&[added(&one)])
}

fn all_namespaces(stage: &mut Stage<'_>) -> Played {
    let places = [
        stage.other("b")?,
        stage.namespace().to_owned(),
        stage.other("a")?,
    ];
    let start = stage.door().version()?;
    let everywhere = Choice::default();
    let mut live = stage.watch(&everywhere, Start::After(start))?;
    let mut expected = Vec::new();
    for namespace in places {
        let created = stage.door().create(&Draft {
            namespace,
            ..stage.draft("one")
        })?;
        expected.push(added(&created));
    }
    live.expect(&expected)?;
    drop(live);
    stage.reopen();
    let mut late = stage.watch(&everywhere, Start::After(start))?;
    late.expect(&expected)
}

fn future(stage: &mut Stage<'_>) -> Played {
    stage.create("one")?;
    stage.reopen();
    let now = stage.door().version()?;
    for version in [now + 1, now + 1_000_000] {
        let watch = stage.door().watch(&stage.here(), Start::After(version));
        assert_refused(watch, FailureKind::Future);
    }
    let mut watch = stage.watch(&stage.here(), Start::After(now))?;
    watch.expect_nothing_before(stage, &stage.draft("last"))
}

fn in_order(stage: &mut Stage<'_>) -> Played {
    const ROUNDS: u64 = 15;
    let start = stage.door().version()?;
    let mut live = stage.watch(&stage.here(), Start::After(start))?;
    let mut objects = [stage.create("c")?, stage.create("a")?, stage.create("b")?];
    let mut expected: Vec<Event> = objects.iter().map(added).collect();
    for round in 0..ROUNDS {
        for object in &mut objects {
            *object = stage.update(object, json!({"round": round}))?;
            expected.push(modified(object));
        }
    }
    live.expect(&expected)?;
    let versions: Vec<u64> = expected.iter().map(|event| event.object.version).collect();
    assert!(versions.windows(2).all(|pair| pair[0] < pair[1]));
    drop(live);
    stage.reopen();
    let mut late = stage.watch(&stage.here(), Start::After(start))?;
    late.expect(&expected)
}

fn resumed(stage: &mut Stage<'_>) -> Played {
    let start = stage.door().version()?;
    let events = history(stage)?;
    stage.reopen();
    let last = stage.create("last")?;
    let mut from = vec![start];
    from.extend(events.iter().map(|event| event.object.version));
    for (seen, version) in from.into_iter().enumerate() {
        let mut watch = stage.watch(&stage.here(), Start::After(version))?;
        watch.expect(&events[seen..])?;
        watch.expect(&[added(&last)])?;
    }
    Ok(())
}

/// What a client that keeps a copy does: a list, then the changes after it.
fn list_and_watch(stage: &mut Stage<'_>) -> Played {
    let start = stage.door().version()?;
    let events = history(stage)?;
    let end = stage.create("end")?;
    stage.reopen();
    let last = stage.list(&stage.here())?;
    assert_eq!(last.version, end.version);
    for version in start..=last.version {
        let page = stage.list_at(&stage.here(), version)?;
        let pairs = page.objects.into_iter();
        let mut copy: BTreeMap<String, Object> =
            pairs.map(|object| (object.name.clone(), object)).collect();
        let mut watch = stage.watch(&stage.here(), Start::After(version))?;
        let missing = events.len() as u64 + 1 - (version - start);
        for _ in 0..missing {
            let Event { kind, object } = watch.next()?;
            let before = match kind {
                EventKind::Added | EventKind::Modified => copy.insert(object.name.clone(), object),
                EventKind::Deleted => copy.remove(&object.name),
            };
            assert_eq!(before.is_some(), kind != EventKind::Added);
        }
        let copied: Vec<Object> = copy.into_values().collect();
        assert_eq!(copied, last.objects, "from {version}");
    }
    Ok(())
}

fn idle_watchers(stage: &mut Stage<'_>) -> Played {
    let start = stage.door().version()?;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(stage.watch(&stage.here(), Start::After(start))?);
    }
    let mut reader = stage.watch(&stage.here(), Start::After(start))?;
    let mut object = stage.create("one")?;
    let mut expected = vec![added(&object)];
    reader.expect(&expected)?;
    for round in 0..30 {
        object = stage.update(&object, json!({"round": round, "fill": "x".repeat(1_000)}))?;
        expected.push(modified(&object));
        reader.expect(&[modified(&object)])?;
    }
    // And when they read after all, they miss nothing.
    for mut watch in idle {
        watch.expect(&expected)?;
    }
    Ok(())
}
