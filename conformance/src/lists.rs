//! Behaviours of lists: which objects, in which order, in which pages.

use serde_json::json;

use crate::door::{Choice, Cut, Draft, Expect, FailureKind, Labels, Object, Promise};
use crate::stage::{Behaviour, Played, Stage, assert_refused};

pub(crate) const ALL: &[Behaviour] = &[
    ("a list is in the order of names", ordered),
    (
        "a list over all namespaces is in the order of both",
        ordered_over_namespaces,
    ),
    (
        "a list tells the newest version, also when it is empty",
        newest_version,
    ),
    (
        "pages of every size make the same list",
        pages_of_every_size,
    ),
    ("pages show one state", pages_of_one_state),
    (
        "a list can be asked for again at the version it told",
        asked_again,
    ),
    ("a page without a match is not handed out", rare_match),
    (
        "pages of a selection make the selection",
        pages_of_selection,
    ),
    ("a selector chooses by labels and by name", selected),
    (
        "a namespace is not the beginning of another",
        namespace_prefixes,
    ),
    ("a name is not the beginning of another", name_prefixes),
    ("a token continues its own list only", bound_tokens),
];

/// Puts them in the order of their keys.
fn sorted(mut objects: Vec<Object>) -> Vec<Object> {
    objects.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    objects
}

fn ordered(stage: &mut Stage<'_>) -> Played {
    let names = ["m", "b-2", "b", "z9", "a.b", "b-10", "a", "b0", "a-b"];
    let mut created = Vec::new();
    for name in names {
        created.push(stage.create(name)?);
    }
    // Neither the order of writes nor that of versions shows.
    created[2] = stage.update(&created[2], json!({"title": "newest"}))?;
    let gone = created.remove(4);
    stage.delete(&gone)?;
    stage.reopen();
    let page = stage.list(&stage.here())?;
    assert_eq!(page.objects, sorted(created));
    assert_eq!(page.token, None);
    Ok(())
}

fn ordered_over_namespaces(stage: &mut Stage<'_>) -> Played {
    let mut created = Vec::new();
    let middle = stage.namespace().to_owned();
    for namespace in [stage.other("b")?, middle, stage.other("a")?] {
        for name in ["z", "a"] {
            created.push(stage.door().create(&Draft {
                namespace: namespace.clone(),
                labels: [("stage".to_owned(), stage.namespace().to_owned())].into(),
                ..stage.draft(name)
            })?);
        }
    }
    stage.reopen();
    let everywhere = Choice {
        labels: format!("stage={}", stage.namespace()),
        ..Choice::default()
    };
    let created = sorted(created);
    assert_eq!(stage.list(&everywhere)?.objects, created);
    let pages = stage.pages(&everywhere, 1, None)?;
    let paged: Vec<Object> = pages.into_iter().flat_map(|page| page.objects).collect();
    assert_eq!(paged, created);
    Ok(())
}

fn newest_version(stage: &mut Stage<'_>) -> Played {
    let other = stage.other("-other")?;
    let empty = stage.list(&stage.here())?;
    assert!(empty.objects.is_empty() && empty.token.is_none());
    assert_eq!(empty.version, stage.door().version()?);
    let elsewhere = Draft {
        namespace: other,
        ..stage.draft("one")
    };
    let created = stage.door().create(&elsewhere)?;
    stage.reopen();
    assert_eq!(stage.list(&stage.here())?.version, created.version);
    let gone = stage.delete(&created)?;
    stage.reopen();
    let page = stage.list(&stage.here())?;
    assert_eq!(page.version, gone.object.version);
    assert_eq!(page.version, created.version + 1);
    Ok(())
}

fn pages_of_every_size(stage: &mut Stage<'_>) -> Played {
    const OBJECTS: usize = 7;
    for at in 0..OBJECTS {
        stage.create(&format!("n{at}"))?;
    }
    stage.reopen();
    let whole = stage.list(&stage.here())?;
    assert_eq!(whole.objects.len(), OBJECTS);
    for limit in 1..=OBJECTS + 1 {
        let pages = stage.pages(&stage.here(), limit, None)?;
        assert_eq!(pages.len(), OBJECTS.div_ceil(limit), "limit {limit}");
        for page in &pages {
            assert_eq!(page.version, whole.version);
            assert!(page.objects.len() <= limit);
        }
        let paged: Vec<Object> = pages.into_iter().flat_map(|page| page.objects).collect();
        assert_eq!(paged, whole.objects, "limit {limit}");
    }
    // A token may be used with another limit, and without one.
    let (limit, choice) = (Some(2), stage.here());
    let first = stage.door().list(
        &choice,
        &Cut {
            limit,
            ..Cut::default()
        },
    )?;
    let token = first.token;
    let rest = stage.door().list(
        &choice,
        &Cut {
            token,
            ..Cut::default()
        },
    )?;
    assert_eq!(rest.objects, whole.objects[2..]);
    assert_eq!(rest.token, None);
    Ok(())
}

fn pages_of_one_state(stage: &mut Stage<'_>) -> Played {
    for name in ["a", "b", "c", "d", "e"] {
        stage.create(name)?;
    }
    stage.reopen();
    let whole = stage.list(&stage.here())?;
    let (limit, choice) = (Some(1), stage.here());
    let mut cut = Cut {
        limit,
        ..Cut::default()
    };
    let mut paged = Vec::new();
    loop {
        let page = stage.door().list(&choice, &cut)?;
        assert_eq!(page.version, whole.version);
        paged.extend(page.objects);
        cut.token = page.token;
        if cut.token.is_none() {
            break;
        }
        // Behind the place where the list is, and before it, everything changes.
        match paged.len() {
            1 => {
                stage.create("a2")?;
                stage.create("f")?;
            }
            2 => {
                stage.update(&whole.objects[2], json!({"title": "changed"}))?;
            }
            3 => {
                stage.delete(&whole.objects[3])?;
                stage.delete(&whole.objects[0])?;
            }
            _ => {
                stage.delete(&whole.objects[4])?;
                stage.create("e")?;
            }
        }
        stage.reopen();
    }
    assert_eq!(paged, whole.objects);
    let names: Vec<String> = stage
        .list(&choice)?
        .objects
        .into_iter()
        .map(|object| object.name)
        .collect();
    assert_eq!(names, ["a2", "b", "c", "e", "f"]);
    Ok(())
}

fn asked_again(stage: &mut Stage<'_>) -> Played {
    let other = stage.other("-other")?;
    let mut told = vec![stage.list(&stage.here())?];
    let one = stage.create_labelled("one", ("app", "web"))?;
    // A version that this namespace had no part in.
    stage.door().create(&Draft {
        namespace: other,
        ..stage.draft("one")
    })?;
    told.push(stage.list(&stage.here())?);
    let two = stage.create("two")?;
    told.push(stage.list(&stage.here())?);
    stage.relabel(&one, &[])?;
    told.push(stage.list(&stage.here())?);
    stage.delete(&two)?;
    told.push(stage.list(&stage.here())?);
    stage.reopen();
    for page in &told {
        assert_eq!(&stage.list_at(&stage.here(), page.version)?, page);
    }
    let web = stage.labelled("app=web");
    let counts = told
        .iter()
        .map(|page| Ok(stage.list_at(&web, page.version)?.objects.len()))
        .collect::<Result<Vec<usize>, crate::Failure>>()?;
    assert_eq!(counts, [0, 1, 1, 0, 0]);
    Ok(())
}

fn rare_match(stage: &mut Stage<'_>) -> Played {
    for at in 0..60 {
        stage.create(&format!("common-{at:02}"))?;
    }
    let rare = stage.create_labelled("rare", ("kind", "rare"))?;
    stage.create("common-behind")?;
    stage.create("zebra")?;
    stage.reopen();
    let pages = stage.pages(&stage.labelled("kind=rare"), 1, None)?;
    assert_eq!(pages.len(), 1);
    assert_eq!(pages[0].objects, [rare]);
    let none = stage.pages(&stage.labelled("kind=none"), 1, None)?;
    assert_eq!(none.len(), 1);
    assert!(none[0].objects.is_empty() && none[0].token.is_none());
    Ok(())
}

fn pages_of_selection(stage: &mut Stage<'_>) -> Played {
    let mut odd = Vec::new();
    for at in 0..12 {
        let parity = ["even", "odd"][at % 2];
        let object = stage.create_labelled(&format!("n{at:02}"), ("parity", parity))?;
        if parity == "odd" {
            odd.push(object);
        }
    }
    stage.reopen();
    for limit in 1..=7 {
        let pages = stage.pages(&stage.labelled("parity=odd"), limit, None)?;
        assert!(pages.iter().all(|page| page.objects.len() <= limit));
        let paged: Vec<Object> = pages.into_iter().flat_map(|page| page.objects).collect();
        assert_eq!(paged, odd, "limit {limit}");
    }
    Ok(())
}

/// The names that a choice finds.
fn names(stage: &Stage<'_>, choice: &Choice) -> Result<Vec<String>, crate::Failure> {
    let objects = stage.list(choice)?.objects;
    Ok(objects.into_iter().map(|object| object.name).collect())
}

fn selected(stage: &mut Stage<'_>) -> Played {
    let rows: [(&str, &[(&str, &str)]); 4] = [
        ("bare", &[]),
        ("both", &[("app", "web"), ("tier", "3")]),
        ("db", &[("app", "db")]),
        ("web", &[("app", "web")]),
    ];
    for (name, labels) in rows {
        let pairs = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let labels: Labels = pairs.collect();
        stage.door().create(&Draft {
            labels,
            ..stage.draft(name)
        })?;
    }
    stage.reopen();
    let cases: [(&str, &[&str]); 12] = [
        ("", &["bare", "both", "db", "web"]),
        ("app=web", &["both", "web"]),
        ("app==web,tier=3", &["both"]),
        ("app!=web", &["bare", "db"]),
        ("app in (db,web)", &["both", "db", "web"]),
        ("app notin (web)", &["bare", "db"]),
        ("app", &["both", "db", "web"]),
        ("!app", &["bare"]),
        ("app,!tier", &["db", "web"]),
        ("tier>2", &["both"]),
        ("tier<3", &[]),
        ("app=nothing", &[]),
    ];
    for (selector, expected) in cases {
        let found = names(stage, &stage.labelled(selector))?;
        assert_eq!(found, expected, "{selector}");
    }
    let one = Choice {
        name: Some("db".to_owned()),
        ..stage.here()
    };
    assert_eq!(names(stage, &one)?, ["db"]);
    let others = Choice {
        not_name: Some("db".to_owned()),
        ..stage.labelled("app")
    };
    assert_eq!(names(stage, &others)?, ["both", "web"]);
    let nobody = Choice {
        name: Some("db".to_owned()),
        ..stage.labelled("app=web")
    };
    assert_eq!(names(stage, &nobody)?, [""; 0]);
    Ok(())
}

fn namespace_prefixes(stage: &mut Stage<'_>) -> Played {
    let here = stage.create("one")?;
    for suffix in ["2", "-2", "x"] {
        let namespace = stage.other(suffix)?;
        for name in ["one", "two"] {
            stage.door().create(&Draft {
                namespace: namespace.clone(),
                ..stage.draft(name)
            })?;
        }
    }
    stage.reopen();
    let version = stage.door().version()?;
    let here = [here];
    assert_eq!(stage.list(&stage.here())?.objects, here);
    assert_eq!(stage.list_at(&stage.here(), version)?.objects, here);
    Ok(())
}

fn name_prefixes(stage: &mut Stage<'_>) -> Played {
    let (short, long) = (stage.create("foo")?, stage.create("foobar")?);
    stage.create("foo-bar")?;
    stage.reopen();
    let only = Choice {
        name: Some("foo".to_owned()),
        ..stage.here()
    };
    assert_eq!(stage.list(&only)?.objects, [short]);
    stage
        .door()
        .delete(stage.namespace(), "foo", &Expect::nothing())?;
    stage.reopen();
    assert_eq!(stage.list(&only)?.objects, []);
    let found = stage.door().get(stage.namespace(), "foobar", None)?;
    assert_eq!(found, long);
    Ok(())
}

fn bound_tokens(stage: &mut Stage<'_>) -> Played {
    if !stage.door().promises(Promise::BoundToken) {
        return Ok(());
    }
    let other = stage.other("2")?;
    for name in ["a", "b", "c"] {
        stage.create_labelled(name, ("app", "web"))?;
    }
    stage.reopen();
    let (limit, choice) = (Some(1), stage.labelled("app=web"));
    let first = stage.door().list(
        &choice,
        &Cut {
            limit,
            ..Cut::default()
        },
    )?;
    let cut = Cut {
        limit,
        token: first.token,
        at: None,
    };
    stage.reopen();
    assert_eq!(stage.door().list(&choice, &cut)?.objects[0].name, "b");
    let others = [
        stage.here(),
        stage.labelled("app"),
        Choice {
            namespace: None,
            ..choice.clone()
        },
        Choice {
            namespace: Some(other),
            ..choice.clone()
        },
        Choice {
            not_name: Some("x".to_owned()),
            ..choice
        },
    ];
    for other in others {
        assert_refused(stage.door().list(&other, &cut), FailureKind::Invalid);
    }
    let bent = Cut {
        token: Some("bent".to_owned()),
        ..cut
    };
    assert_refused(
        stage.door().list(&stage.here(), &bent),
        FailureKind::Invalid,
    );
    Ok(())
}
