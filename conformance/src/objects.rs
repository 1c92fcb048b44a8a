//! Behaviours of single objects: create, get, update, delete, and what must hold for them.

use serde_json::json;

use crate::door::{Draft, Expect, FailureKind, Promise, Start};
use crate::stage::{Behaviour, Played, Stage, added, assert_refused};

pub(crate) const ALL: &[Behaviour] = &[
    ("what is created can be read", created_is_read),
    ("a name is created once", created_once),
    (
        "a name can be created again after its deletion",
        created_again,
    ),
    ("what is not there is not found", missing),
    ("an update replaces", updated),
    ("an update may demand a version", updated_at_version),
    ("an update may demand a uid", updated_with_uid),
    ("a delete may demand a uid", deleted_with_uid),
    ("a delete may demand a version", deleted_at_version),
    ("an update that changes nothing is quiet", quiet_update),
    ("a name is one object in each namespace", scoped_names),
    ("refused writes leave no trace", refused_writes),
    ("values come back as they were", faithful_values),
    ("the door makes names", generated_names),
];

fn created_is_read(stage: &mut Stage<'_>) -> Played {
    let before = stage.door().version()?;
    let labels = [("app".to_owned(), "web".to_owned())].into();
    let draft = Draft {
        labels,
        ..stage.draft("one")
    };
    assert_refused(
        stage.door().get(&draft.namespace, "one", None),
        FailureKind::NotFound,
    );
    let created = stage.door().create(&draft)?;
    assert_eq!(
        (created.with(created.spec.clone()), created.version),
        (draft.clone(), before + 1)
    );
    assert!(!created.uid.is_empty());
    stage.reopen();
    assert_eq!(stage.door().get(&draft.namespace, "one", None)?, created);
    assert_eq!(stage.door().version()?, created.version);
    Ok(())
}

fn created_once(stage: &mut Stage<'_>) -> Played {
    let created = stage.create("one")?;
    stage.reopen();
    let again = Draft {
        spec: json!({"title": "other"}),
        ..stage.draft("one")
    };
    assert_refused(stage.door().create(&again), FailureKind::AlreadyExists);
    assert_eq!(stage.door().version()?, created.version);
    assert_eq!(stage.list(&stage.here())?.objects, [created]);
    Ok(())
}

fn created_again(stage: &mut Stage<'_>) -> Played {
    let first = stage.create("one")?;
    let gone = stage.delete(&first)?;
    stage.reopen();
    let second = stage.create("one")?;
    assert_ne!(second.uid, first.uid);
    assert_eq!(second.version, gone.object.version + 1);
    let stale = Expect::uid(&first.uid);
    let draft = second.with(json!({"title": "for the first one"}));
    assert_refused(stage.door().update(&draft, &stale), FailureKind::Conflict);
    assert_eq!(stage.door().get(stage.namespace(), "one", None)?, second);
    Ok(())
}

fn missing(stage: &mut Stage<'_>) -> Played {
    let gone = stage.create("gone")?;
    stage.delete(&gone)?;
    stage.reopen();
    let (door, namespace) = (stage.door(), stage.namespace());
    for name in ["gone", "never"] {
        let nothing = Expect::nothing();
        assert_refused(door.get(namespace, name, None), FailureKind::NotFound);
        assert_refused(
            door.update(&stage.draft(name), &nothing),
            FailureKind::NotFound,
        );
        assert_refused(
            door.delete(namespace, name, &nothing),
            FailureKind::NotFound,
        );
    }
    Ok(())
}

fn updated(stage: &mut Stage<'_>) -> Played {
    let first = stage.create("one")?;
    stage.reopen();
    let draft = Draft {
        labels: [("a".to_owned(), "b".to_owned())].into(),
        ..first.with(json!({"other": true}))
    };
    let second = stage.door().update(&draft, &Expect::nothing())?;
    assert_eq!(second.with(second.spec.clone()), draft, "all is replaced");
    assert_eq!(second.version, first.version + 1);
    assert_eq!(second.uid, first.uid);
    stage.reopen();
    assert_eq!(stage.door().get(stage.namespace(), "one", None)?, second);
    Ok(())
}

fn updated_at_version(stage: &mut Stage<'_>) -> Played {
    let first = stage.create("one")?;
    let second = stage.update(&first, json!({"title": "second"}))?;
    stage.reopen();
    let third = second.with(json!({"title": "third"}));
    for wrong in [first.version, second.version - 2] {
        let refused = stage.door().update(&third, &Expect::version(wrong));
        assert_refused(refused, FailureKind::Conflict);
    }
    assert_eq!(stage.door().get(stage.namespace(), "one", None)?, second);
    assert_eq!(stage.door().version()?, second.version);
    let third = stage
        .door()
        .update(&third, &Expect::version(second.version))?;
    assert_eq!(third.version, second.version + 1);
    Ok(())
}

fn updated_with_uid(stage: &mut Stage<'_>) -> Played {
    let (first, other) = (stage.create("one")?, stage.create("other")?);
    stage.reopen();
    let next = first.with(json!({"title": "next"}));
    let refused = stage.door().update(&next, &Expect::uid(&other.uid));
    assert_refused(refused, FailureKind::Conflict);
    assert_eq!(stage.door().get(stage.namespace(), "one", None)?, first);
    let both = Expect {
        version: Some(first.version),
        uid: Some(first.uid.clone()),
    };
    let second = stage.door().update(&next, &both)?;
    assert_eq!(second.version, other.version + 1);
    let next = second.with(json!({"title": "last"}));
    let third = stage.door().update(&next, &Expect::uid(&first.uid))?;
    assert_eq!(third.uid, first.uid);
    // One of two that holds is not enough.
    let half = Expect {
        version: Some(first.version),
        uid: Some(first.uid.clone()),
    };
    assert_refused(stage.door().update(&next, &half), FailureKind::Conflict);
    Ok(())
}

fn deleted_with_uid(stage: &mut Stage<'_>) -> Played {
    let (one, other) = (stage.create("one")?, stage.create("other")?);
    stage.reopen();
    let (door, namespace) = (stage.door(), stage.namespace());
    let wrong = Expect::uid(&other.uid);
    assert_refused(door.delete(namespace, "one", &wrong), FailureKind::Conflict);
    assert_eq!(door.get(namespace, "one", None)?, one);
    door.delete(namespace, "one", &Expect::uid(&one.uid))?;
    assert_refused(door.get(namespace, "one", None), FailureKind::NotFound);
    assert_eq!(door.get(namespace, "other", None)?, other);
    Ok(())
}

fn deleted_at_version(stage: &mut Stage<'_>) -> Played {
    let first = stage.create("one")?;
    let second = stage.update(&first, json!({"title": "second"}))?;
    stage.reopen();
    let (door, namespace) = (stage.door(), stage.namespace());
    let stale = Expect::version(first.version);
    assert_refused(door.delete(namespace, "one", &stale), FailureKind::Conflict);
    assert_eq!(door.get(namespace, "one", None)?, second);
    door.delete(namespace, "one", &Expect::version(second.version))?;
    assert_eq!(door.version()?, second.version + 1);
    assert_refused(door.get(namespace, "one", None), FailureKind::NotFound);
    Ok(())
}

fn quiet_update(stage: &mut Stage<'_>) -> Played {
    if !stage.door().promises(Promise::QuietUpdate) {
        return Ok(());
    }
    let first = stage.create_labelled("one", ("a", "b"))?;
    stage.reopen();
    let mut watch = stage.watch(&stage.here(), Start::After(first.version))?;
    let same = first.with(first.spec.clone());
    for expect in [
        Expect::nothing(),
        Expect::version(first.version),
        Expect::uid(&first.uid),
    ] {
        assert_eq!(stage.door().update(&same, &expect)?, first);
    }
    assert_eq!(stage.door().version()?, first.version);
    watch.expect_nothing_before(stage, &stage.draft("last"))
}

fn scoped_names(stage: &mut Stage<'_>) -> Played {
    let other = stage.other("-other")?;
    let here = stage.create("one")?;
    let there = stage.door().create(&Draft {
        namespace: other.clone(),
        spec: json!({"title": "there"}),
        ..stage.draft("one")
    })?;
    assert_ne!(here.uid, there.uid);
    stage.delete(&here)?;
    stage.reopen();
    assert_refused(
        stage.door().get(stage.namespace(), "one", None),
        FailureKind::NotFound,
    );
    assert_eq!(stage.door().get(&other, "one", None)?, there);
    Ok(())
}

/// Versions are without a gap: a write that failed takes none.
fn refused_writes(stage: &mut Stage<'_>) -> Played {
    let one = stage.create("one")?;
    let before = stage.list(&stage.here())?;
    let (door, namespace) = (stage.door(), stage.namespace());
    let next = one.with(json!({"title": "refused"}));
    let wrong = Expect::version(one.version - 1);
    for _ in 0..3 {
        assert_refused(door.create(&next), FailureKind::AlreadyExists);
        assert_refused(door.update(&next, &wrong), FailureKind::Conflict);
        assert_refused(door.delete(namespace, "one", &wrong), FailureKind::Conflict);
        let nothing = Expect::nothing();
        assert_refused(
            door.delete(namespace, "two", &nothing),
            FailureKind::NotFound,
        );
    }
    stage.reopen();
    assert_eq!(stage.list(&stage.here())?, before);
    assert_eq!(stage.create("two")?.version, one.version + 1);
    Ok(())
}

fn faithful_values(stage: &mut Stage<'_>) -> Played {
    let spec = json!({
        "text": "tab\t, quote \", backslash \\, nul \u{0}, snow \u{2603}, clef \u{1d11e}, end",
        "line separators": "\u{2028}\u{2029}\r\n",
        "numbers": [0, -1, 9_007_199_254_740_993_i64, u64::MAX, i64::MIN, 0.1, -2.5e-10],
        "empty": {"list": [], "object": {}, "text": ""},
        "mixed": [true, false, "true", [["deep"]]],
        "": "an empty key",
    });
    let draft = Draft {
        spec: spec.clone(),
        ..stage.draft("one")
    };
    let created = stage.door().create(&draft)?;
    stage.reopen();
    let found = stage.door().get(stage.namespace(), "one", None)?;
    assert_eq!(found.spec, spec);
    assert_eq!(
        found.spec.to_string(),
        spec.to_string(),
        "in the same order"
    );
    let mut watch = stage.watch(&stage.here(), Start::Now)?;
    watch.expect(&[added(&created)])
}

fn generated_names(stage: &mut Stage<'_>) -> Played {
    if !stage.door().promises(Promise::GeneratedName) {
        return Ok(());
    }
    let draft = stage.draft("base-");
    let mut names = Vec::new();
    for _ in 0..20 {
        let object = stage.door().create_named_by_door(&draft)?;
        assert!(
            object.name.starts_with("base-") && object.name.len() > "base-".len(),
            "{}",
            object.name
        );
        names.push(object.name);
    }
    names.sort_unstable();
    stage.reopen();
    let listed = stage.list(&stage.here())?.objects;
    let listed: Vec<String> = listed.into_iter().map(|object| object.name).collect();
    assert_eq!(listed, names);
    Ok(())
}
