//! Behaviours of a store that forgets: what it has forgotten it says so of, and what it keeps is
//! exact.
//!
//! A door that does not compact skips them, and each skip is printed.

use serde_json::json;

use super::Record;
use crate::door::{Cut, Event, FailureKind, Start};
use crate::stage::{Played, Stage, added, assert_refused, modified};

/// Compacts; answers whether the door can.
fn compacts(stage: &Stage<'_>, version: u64) -> Result<bool, crate::Failure> {
    match stage.door().compact(version) {
        Ok(()) => Ok(true),
        Err(failure) if failure.kind == FailureKind::Unsupported => {
            println!("skipped: {failure}");
            Ok(false)
        }
        Err(failure) => Err(failure),
    }
}

pub(super) fn before_and_after(stage: &mut Stage<'_>) -> Played {
    const NAMES: [&str; 4] = ["bar", "baz", "foo", "never"];
    let mut record = Record::default();
    record.close(stage.door().version()?);
    let first = stage.create("bar")?;
    record.put(first.clone());
    record.put(stage.create("baz")?);
    let second = stage.update(&first, json!({"title": "second"}))?;
    record.put(second.clone());
    let gone = stage.door().get(stage.namespace(), "baz", None)?;
    record.take("baz", stage.delete(&gone)?.object.version);
    record.put(stage.create("foo")?);
    record.put(stage.update(&second, json!({"title": "third"}))?);
    for middle in [3, 5, record.states.len() - 1] {
        let (kept, _) = record.states[middle];
        if !compacts(stage, kept)? {
            return Ok(());
        }
        stage.reopen();
        // To compact again, or less far, changes nothing.
        assert!(compacts(stage, kept)?);
        assert!(compacts(stage, kept - 1)?);
        for (version, _) in record.states.iter().filter(|(version, _)| *version < kept) {
            assert_gone(stage, *version, &NAMES)?;
        }
        let states = record.states.clone();
        record.states.retain(|(version, _)| *version >= kept);
        record.check(stage, &NAMES)?;
        record.states = states;
        let start = Start::After(kept);
        let mut watch = stage.watch(&stage.here(), start)?;
        for (version, _) in record.states.iter().filter(|(version, _)| *version > kept) {
            assert_eq!(watch.next()?.object.version, *version);
        }
    }
    Ok(())
}

/// Nothing can be read at this version, and no watch begins there.
fn assert_gone(stage: &Stage<'_>, version: u64, names: &[&str]) -> Played {
    let at = Some(version);
    for limit in [None, Some(1)] {
        let cut = Cut {
            limit,
            token: None,
            at,
        };
        assert_refused(stage.door().list(&stage.here(), &cut), FailureKind::Gone);
    }
    for name in names {
        let found = stage.door().get(stage.namespace(), name, at);
        assert_refused(found, FailureKind::Gone);
    }
    // A door may say so at once or with the first event.
    let first = stage
        .watch(&stage.here(), Start::After(version))
        .and_then(|mut watch| watch.next());
    assert_refused(first, FailureKind::Gone);
    Ok(())
}

pub(super) fn continued_list(stage: &mut Stage<'_>) -> Played {
    let mut created = Vec::new();
    for name in ["a", "b", "d", "e", "f"] {
        created.push(stage.create(name)?);
    }
    let here = stage.here();
    let cut = Cut {
        limit: Some(2),
        ..Cut::default()
    };
    let first = stage.door().list(&here, &cut)?;
    let expected = [
        stage.create("c")?,
        stage.update(&created[3], json!({"title": "new"}))?,
    ];
    stage.delete(&created[1])?;
    stage.delete(&created[2])?;
    let end = stage.delete(&created[4])?.object.version;
    if !compacts(stage, end)? {
        return Ok(());
    }
    stage.reopen();
    let cut = Cut {
        limit: Some(1),
        token: first.token,
        at: None,
    };
    let refused = stage.door().list(&here, &cut).expect_err("it is gone");
    assert_eq!(refused.kind, FailureKind::Gone, "{refused}");
    let promised = stage.door().promises(crate::Promise::BoundToken);
    assert!(refused.token.is_some() || !promised, "{refused}: no token");
    let Some(token) = refused.token else {
        return Ok(());
    };
    // The rest as it is now, and from there on at one version.
    let fresh = Cut {
        token: Some(token),
        ..cut
    };
    let page = stage.door().list(&here, &fresh)?;
    assert_eq!((page.version, &page.objects[..]), (end, &expected[..1]));
    stage.create("dd")?;
    let cut = Cut {
        token: page.token,
        ..fresh.clone()
    };
    let last = stage.door().list(&here, &cut)?;
    assert_eq!((last.version, &last.objects[..]), (end, &expected[1..]));
    assert_eq!(last.token, None);
    // It may be used again, and is bound like any other where tokens are.
    let whole = Cut {
        limit: None,
        ..fresh
    };
    assert_eq!(stage.door().list(&here, &whole)?.objects.len(), 3);
    if promised {
        let other = stage.door().list(&stage.labelled("app"), &whole);
        assert_refused(other, FailureKind::Invalid);
    }
    Ok(())
}

pub(super) fn open_watch(stage: &mut Stage<'_>) -> Played {
    let start = Start::After(stage.door().version()?);
    let mut watch = stage.watch(&stage.here(), start)?;
    let mut expected: Vec<Event> = Vec::new();
    let mut newest = stage.create("one")?;
    expected.push(added(&newest));
    for count in 0..20 {
        newest = stage.update(&newest, json!({"count": count}))?;
        expected.push(modified(&newest));
    }
    if !compacts(stage, newest.version)? {
        return Ok(());
    }
    // Everything in its order, or the word that it is gone; never a gap in silence.
    for event in &expected {
        match watch.next() {
            Ok(seen) => assert_eq!(&seen, event),
            Err(failure) => {
                assert_eq!(failure.kind, FailureKind::Gone, "{failure}");
                break;
            }
        }
    }
    Ok(())
}
