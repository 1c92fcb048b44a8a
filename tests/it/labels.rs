//! Would catch a list by label that is not the scan's: an object that the index has lost or still
//! has, at any version, on any page, in the overlay or in the tables; and one that walks the whole
//! collection for the few objects it wants.
//!
//! The answers by a selector are held against the list without one, filtered here. The walk is
//! caught by the reads of the disk that it takes, with the smallest cache.

use std::collections::BTreeMap;
use std::sync::Arc;

use annals::{
    Collection, FieldTest, Filter, Key, LabelSelector, List, ObjectField, Operator, Options,
    Requirement, Revision, Snapshot, Store, Version, Write,
};

use crate::disk::Disk;
use crate::random::Random;
use crate::suite::{Tally, each_seed, scaled};

/// How many histories a run plays.
const HISTORIES: u64 = 60;
const RESOURCES: [&str; 2] = ["others", "things"];
const NAMESPACES: [&str; 4] = ["", "a", "a0", "b"];
const NAMES: usize = 6;
/// How many of the last versions are all looked at.
const LAST: u64 = 40;
/// How many objects never change.
const FILLERS: usize = 160;

fn open(disk: &Arc<Disk>, overlay: usize) -> Store {
    let options = Options::new().index(false).cache_bytes(1 << 16);
    Store::open_on(disk.clone(), options.ring(1, 1).overlay(overlay, 1 << 20)).unwrap()
}

fn key(random: &mut Random) -> Key {
    let resource = RESOURCES[random.below(RESOURCES.len())];
    let namespace = NAMESPACES[random.below(NAMESPACES.len())];
    Key::new(
        "g.x",
        resource,
        namespace,
        &format!("n{}", random.below(NAMES)),
    )
    .unwrap()
}

/// Labels of few values, some of them on most objects.
fn body(random: &mut Random) -> Vec<u8> {
    let mut labels = Vec::new();
    for (label, odds) in [("app", 2), ("env", 3), ("wide", 8), ("x\\u0000", 2)] {
        if !random.one_in(odds) {
            let value = ["1", "2", ""][random.below(3)];
            let value = if label == "wide" { "1" } else { value };
            labels.push(format!(r#""{label}":"{value}""#));
        }
    }
    let labels = labels.join(",");
    let number = random.below(1_000);
    format!(r#"{{"metadata":{{"labels":{{{labels}}}}},"spec":{number}}}"#).into_bytes()
}

/// Objects among those that change, so that the ones with a label are far apart: without them a
/// scan would always be cheaper than the index.
fn fill(store: &Store, random: &mut Random) {
    let batch = (0..FILLERS).map(|number| {
        let namespace = NAMESPACES[number % NAMESPACES.len()];
        let name = format!("n{}-{number:03}", number / 4 % NAMES);
        let key = Key::new("g.x", "things", namespace, &name).unwrap();
        let labels = if random.one_in(2) {
            r#""wide":"1""#
        } else {
            ""
        };
        let body = format!(r#"{{"metadata":{{"labels":{{{labels}}}}}}}"#);
        Write::create(key, body.into_bytes())
    });
    store.write_batch(batch.collect()).unwrap();
}

/// A history: batches of writes, with labels that come, change, go and come back.
fn write_some(store: &Store, random: &mut Random) {
    let snapshot = store.snapshot().unwrap();
    let mut batch = BTreeMap::new();
    for _ in 0..1 + random.below(6) {
        let key = key(random);
        let live = snapshot.get(&key).unwrap();
        let write = match live {
            None => Write::create(key.clone(), body(random)),
            Some(_) if random.one_in(4) => Write::delete(key.clone()),
            // An update that leaves the labels alone.
            Some(live) if random.one_in(3) => Write::update(key.clone(), live.body().to_vec()),
            Some(_) => Write::update(key.clone(), body(random)),
        };
        batch.insert(key, write);
    }
    store.write_batch(batch.into_values().collect()).unwrap();
}

/// A selector: mostly of one or two requirements that the index can answer.
fn selector(random: &mut Random) -> LabelSelector {
    let mut requirements = Vec::new();
    for _ in 0..1 + random.below(3) {
        let operator = match random.below(10) {
            0..6 => Operator::In,
            6 => Operator::NotIn,
            7 => Operator::Exists,
            8 => Operator::Absent,
            _ => Operator::Greater,
        };
        let values = ["1", "2", "", "9"].into_iter().filter(|_| random.one_in(2));
        let mut values: Vec<String> = values.map(str::to_owned).collect();
        if operator == Operator::Greater {
            values = vec!["1".to_owned()];
        }
        requirements.push(Requirement {
            key: ["app", "env", "wide", "x\0", "none"][random.below(5)].to_owned(),
            operator,
            values,
        });
    }
    LabelSelector::new(requirements)
}

fn filter(random: &mut Random) -> Filter {
    let mut fields = Vec::new();
    if random.one_in(3) {
        let (field, value) = match random.below(4) {
            0 => (ObjectField::Name, "n1".to_owned()),
            1 => (ObjectField::Namespace, "a\0n1".to_owned()),
            _ => (
                ObjectField::Namespace,
                NAMESPACES[random.below(4)].to_owned(),
            ),
        };
        fields.push(FieldTest {
            field,
            equals: !random.one_in(4),
            value,
        });
    }
    let labels = if random.one_in(8) {
        LabelSelector::default()
    } else {
        selector(random)
    };
    Filter {
        labels,
        fields,
        ..Filter::default()
    }
}

fn collection(random: &mut Random) -> Collection {
    let resource = RESOURCES[random.below(RESOURCES.len())];
    match random.below(5) {
        0 => Collection::all(),
        1 | 2 => Collection::of("g.x", resource).unwrap(),
        _ => {
            let namespace = NAMESPACES[random.below(NAMESPACES.len())];
            Collection::within("g.x", resource, namespace).unwrap()
        }
    }
}

/// All pages of a list, and that each page but the last is full.
fn pages(snapshot: &Snapshot, list: &List, size: usize) -> Result<Vec<Revision>, String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let list = list.clone().limit(size).after(after.clone());
        let page = snapshot.list(&list).map_err(|error| error.to_string())?;
        if page.items.first().map(Revision::key) <= after.as_ref() && after.is_some() {
            return Err(format!("the page after {after:?} does not go on"));
        }
        if page.next.is_some() && page.items.len() != size {
            return Err(format!("{} in a page of {size}", page.items.len()));
        }
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// Holds some selectors against the list without one, at some version.
fn compare(store: &Store, random: &mut Random, version: Version) -> Result<u64, String> {
    let snapshot = store.snapshot_at(version).unwrap();
    let mut chosen = 0;
    let everything = pages(&snapshot, &List::new(Collection::all()), 1_000)?;
    for _ in 0..6 {
        let (of, by) = (collection(random), filter(random));
        let expected: Vec<_> = everything
            .iter()
            .filter(|object| of.contains(object.key()) && by.matches(object.header()))
            .cloned()
            .collect();
        let size = 1 + random.below(7);
        let list = List::new(of.clone()).filter(by.clone());
        let found = pages(&snapshot, &list, size)?;
        if found != expected {
            return Err(format!(
                "{of:?} by {by:?} at {version}, pages of {size}: {found:?}, not {expected:?}"
            ));
        }
        chosen += expected.len() as u64;
    }
    Ok(chosen)
}

/// Plays a history in a store that puts its overlay away all the time, or hardly ever.
fn play(seed: u64) -> Result<u64, String> {
    let mut random = Random::new(seed);
    let disk = Disk::new();
    let overlay = [1, 8, 1_000][random.below(3)];
    let mut store = open(&disk, overlay);
    let mut chosen = 0;
    if !random.one_in(4) {
        fill(&store, &mut random);
    }
    for _ in 0..30 {
        write_some(&store, &mut random);
        if random.one_in(12) {
            drop(store);
            store = open(&disk, overlay);
        }
        let head = store.snapshot().unwrap().version();
        chosen += compare(&store, &mut random, head)?;
        let then = Version::new(random.next() % (head.get() + 1));
        chosen += compare(&store, &mut random, then)?;
    }
    let head = store.snapshot().unwrap().version().get();
    // Every version of the last batches, and none.
    let recent = head.saturating_sub(LAST);
    for version in std::iter::once(0).chain(recent..=head) {
        chosen += compare(&store, &mut random, Version::new(version))?;
    }
    Ok(chosen)
}

#[test]
fn a_selector_chooses_what_a_scan_does() {
    let (tally, end) = (Tally::default(), scaled(HISTORIES));
    let first = crate::suite::first_seed();
    each_seed(&tally, |seed| {
        if seed - first >= end {
            return false;
        }
        match play(seed) {
            Ok(chosen) => tally.add(chosen),
            Err(problem) => tally.report(format!("seed {seed}: {problem}")),
        }
        true
    });
    tally.expect("objects chosen", 1_000 * HISTORIES, false);
}

/// How many objects the label of the measured lists is on.
const MATCHES: usize = 10;
const SMALL: usize = 1_000;
const LARGE: usize = 16_000;

/// A store of so many objects in two namespaces, all with `app=web`, a few with `rare=yes`, and
/// what the same few had before.
fn filled(objects: usize) -> (Arc<Disk>, Version) {
    let disk = Disk::new();
    let store = measured(&disk);
    let key = |number: usize| {
        let namespace = ["a", "b"][number % 2];
        Key::new("g.x", "things", namespace, &format!("n{number:06}")).unwrap()
    };
    let labels = |text: &str| format!(r#"{{"metadata":{{"labels":{{{text}}}}}}}"#).into_bytes();
    let rare = |number: usize| number % (objects / MATCHES) == 7;
    for start in (0..objects).step_by(500) {
        let batch = (start..start + 500).map(|number| {
            let old = if rare(number) { r#","old":"yes""# } else { "" };
            Write::create(key(number), labels(&format!(r#""app":"web"{old}"#)))
        });
        store.write_batch(batch.collect()).unwrap();
    }
    let then = store.snapshot().unwrap().version();
    let few = (0..objects).filter(|&number| rare(number));
    let batch = few.map(|number| Write::update(key(number), labels(r#""app":"web","rare":"yes""#)));
    store.write_batch(batch.collect()).unwrap();
    (disk, then)
}

fn measured(disk: &Arc<Disk>) -> Store {
    let options = Options::new().index(false).ring(1, 1).cache_bytes(0);
    Store::open_on(disk.clone(), options).unwrap()
}

/// How many reads of the disk a list takes that finds this many objects.
fn reads(disk: &Disk, snapshot: &Snapshot, filter: Filter, limit: usize, wanted: usize) -> u64 {
    let all = Collection::of("g.x", "things").unwrap();
    let list = List::new(all).filter(filter).limit(limit);
    let before = disk.reads();
    let page = snapshot.list(&list).unwrap();
    let reads = disk.reads() - before;
    assert_eq!(page.items.len(), wanted);
    reads
}

#[test]
fn a_list_by_a_rare_label_reads_what_it_finds() {
    let by = |text: &str| Filter {
        labels: text.parse().unwrap(),
        ..Filter::default()
    };
    let within = |text: &str| Filter {
        fields: vec![FieldTest {
            field: ObjectField::Namespace,
            equals: true,
            value: "b".to_owned(),
        }],
        ..by(text)
    };
    let costs = [SMALL, LARGE].map(|objects| {
        let (disk, then) = filled(objects);
        // What is closed is in the tables, and reads of it reach the disk.
        let store = measured(&disk);
        let (now, past) = (store.snapshot().unwrap(), store.snapshot_at(then).unwrap());
        let cost = |snapshot, filter| reads(&disk, snapshot, filter, 100, MATCHES);
        [
            cost(&now, by("rare=yes")),
            cost(&now, by("rare in (no,yes,perhaps)")),
            // The rarer one leads, whichever comes first.
            cost(&now, by("app=web,rare=yes")),
            cost(&now, by("rare=yes,app=web,rare!=no")),
            cost(&now, within("rare=yes")),
            cost(&past, by("old=yes,app=web")),
            // A label that all have is scanned for, no further than the page.
            reads(&disk, &now, by("app=web"), MATCHES, MATCHES),
        ]
    });
    println!("{SMALL}: {:?}, {LARGE}: {:?}", costs[0], costs[1]);
    for (small, large) in costs[0].into_iter().zip(costs[1]) {
        assert!(small > 0, "the cache hides the reads");
        // Sixteen times the objects: the trees are a level deeper, and neighbours are apart.
        assert!(large <= 3 * small, "{costs:?}");
        // A look-up of each object and its body, a few pages each.
        assert!(large <= 20 * MATCHES as u64, "{costs:?}");
    }
}

/// How often a label comes and goes on one object of a small collection.
const FLAPS: usize = 24_000;

#[test]
fn a_label_that_came_and_went_often_is_not_waded_through() {
    let disk = Disk::new();
    let store = measured(&disk);
    let key = |number| Key::new("g.x", "things", "a", &format!("n{number}")).unwrap();
    let body = |on: bool| {
        let labels = if on { r#""on":"yes""# } else { "" };
        format!(r#"{{"metadata":{{"labels":{{{labels}}}}}}}"#).into_bytes()
    };
    let batch = (0..MATCHES).map(|number| Write::create(key(number), body(number < 9)));
    store.write_batch(batch.collect()).unwrap();
    for _ in 0..FLAPS / 500 {
        let batch = (0..500).map(|turn| Write::update(key(5), body(turn % 2 == 1)));
        store.write_batch(batch.collect()).unwrap();
    }
    drop(store);
    let store = measured(&disk);
    let by = |text: &str| Filter {
        labels: text.parse().unwrap(),
        ..Filter::default()
    };
    let head = store.snapshot().unwrap().version().get();
    for (back, wanted) in [(0, 9), (1, 8), (2, 9), (FLAPS as u64 / 2 + 1, 8)] {
        let snapshot = store.snapshot_at(Version::new(head - back)).unwrap();
        let cost = reads(&disk, &snapshot, by("on=yes"), 100, wanted);
        println!("{back} back: {cost}");
        // All that the label was on and off for takes over a thousand.
        assert!(cost < 400, "{cost} reads, {back} versions back");
    }
}

/// More values than the first look may read through: what it has not read yet may come first.
#[test]
fn a_list_by_many_values_skips_nothing() {
    const VALUES: usize = 64;
    const EACH: usize = 12;
    let store = open(&Disk::new(), 1_000);
    let make = |name: String, labels: String| {
        let key = Key::new("g.x", "things", "a", &name).unwrap();
        let body = format!(r#"{{"metadata":{{"labels":{{{labels}}}}}}}"#);
        Write::create(key, body.into_bytes())
    };
    let fillers = (0..4_000).map(|number| make(format!("a{number:04}"), String::new()));
    let chosen = (0..VALUES * EACH).map(|number| {
        let (value, nth) = (number / EACH, number % EACH);
        make(
            format!("b{value:02}-{nth:02}"),
            format!(r#""app":"v{value}""#),
        )
    });
    store.load(fillers.chain(chosen).collect()).unwrap();
    let values: Vec<String> = (0..VALUES).map(|value| format!("v{value}")).collect();
    let filter = Filter {
        labels: format!("app in ({})", values.join(",")).parse().unwrap(),
        ..Filter::default()
    };
    let things = Collection::of("g.x", "things").unwrap();
    let list = List::new(things).filter(filter);
    let found = store.snapshot().unwrap().list(&list).unwrap().items;
    let names: Vec<&str> = found.iter().map(|found| found.key().name()).collect();
    let wanted = (0..VALUES * EACH).map(|n| format!("b{:02}-{:02}", n / EACH, n % EACH));
    assert_eq!(names, wanted.collect::<Vec<_>>());
}

#[test]
fn a_namespace_that_a_filter_names_is_all_that_is_read() {
    let costs = [SMALL, LARGE].map(|objects| {
        let disk = Disk::new();
        let store = measured(&disk);
        for start in (0..objects).step_by(500) {
            let batch = (start..start + 500).map(|number| {
                let namespace = if number < MATCHES { "few" } else { "many" };
                let key = Key::new("g.x", "things", namespace, &format!("n{number:06}"));
                Write::create(key.unwrap(), b"{}".to_vec())
            });
            store.write_batch(batch.collect()).unwrap();
        }
        drop(store);
        let store = measured(&disk);
        let few = |value: &str, wanted| {
            let filter = Filter {
                fields: vec![FieldTest {
                    field: ObjectField::Namespace,
                    equals: true,
                    value: value.to_owned(),
                }],
                ..Filter::default()
            };
            reads(&disk, &store.snapshot().unwrap(), filter, 100, wanted)
        };
        [few("few", MATCHES), few("none", 0), few("a\0b", 0)]
    });
    println!("{SMALL}: {:?}, {LARGE}: {:?}", costs[0], costs[1]);
    for (small, large) in costs[0].into_iter().zip(costs[1]) {
        assert!(large <= 2 * small.max(2), "{costs:?}");
    }
}
