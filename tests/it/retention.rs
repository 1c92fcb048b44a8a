//! Would catch retention that removes what its rules keep, keeps what they do not, or answers a
//! read of what is gone with another state instead of "gone".
//!
//! Random objects of two resources in two namespaces, random rules, times, restarts; what the store
//! holds after each run of retention is held against the rules as they are written down, worked out
//! from the whole log by brute force.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use annals::{
    Collection, Error, EventKind, Filter, Keep, Key, List, ManualClock, Options, Revision, Store,
    Timestamp, Version, Write,
};

use crate::disk::Disk;
use crate::random::Random;
use crate::suite::{Tally, each_seed, scaled};

/// How many runs of retention are judged at least.
const RUNS_MIN: u64 = 1_500;
const SECOND: u64 = 1_000_000;
const RESOURCES: [&str; 2] = ["things", "others"];
const NAMESPACES: [&str; 2] = ["a", "b"];
const NAMES: usize = 4;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// What is kept, as the random draw made it: for everything, and for some narrower collections.
#[derive(Clone, Debug)]
struct Rules {
    rules: Vec<(Collection, Draw)>,
    grace: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Draw {
    revisions: Option<u64>,
    age: Option<u64>,
    trash: Option<u64>,
}

impl Draw {
    fn new(random: &mut Random) -> Draw {
        let mut maybe = |most: u64| random.one_in(2).then(|| random.next() % most);
        Draw {
            revisions: maybe(5).map(|count| count + 1),
            age: maybe(20),
            trash: maybe(20),
        }
    }

    fn keep(self) -> Keep {
        let mut keep = Keep::everything();
        if let Some(count) = self.revisions {
            keep = keep.revisions(count);
        }
        if let Some(age) = self.age {
            keep = keep.age(seconds(age));
        }
        if let Some(trash) = self.trash {
            keep = keep.trash(seconds(trash));
        }
        keep
    }
}

impl Rules {
    fn new(random: &mut Random) -> Rules {
        let mut rules = vec![(Collection::all(), Draw::new(random))];
        if random.one_in(2) {
            let of = Collection::of("g.x", RESOURCES[0]).unwrap();
            rules.push((of, Draw::new(random)));
        }
        if random.one_in(2) {
            let within = Collection::within("g.x", RESOURCES[0], NAMESPACES[0]).unwrap();
            rules.push((within, Draw::new(random)));
        }
        let grace = [0, 0, 5][random.below(3)];
        Rules { rules, grace }
    }

    /// Narrower ones come later.
    fn of(&self, key: &Key) -> Draw {
        let fits = |(collection, _): &&(Collection, Draw)| collection.contains(key);
        self.rules.iter().rev().find(fits).unwrap().1
    }

    fn options(&self, clock: &Arc<ManualClock>) -> Options {
        let options = Options::new()
            .index(false)
            .cache_bytes(1 << 20)
            .overlay(8, 1 << 20)
            .ring(4, 1 << 16)
            .clock(clock.clone())
            .background_retention(false)
            .retention_grace(seconds(self.grace));
        self.rules
            .iter()
            .fold(options, |options, (collection, draw)| {
                options.retention(collection.clone(), draw.keep())
            })
    }
}

/// What the store must hold.
#[derive(Default)]
struct Oracle {
    /// Every revision that was ever written.
    log: Vec<Revision>,
    /// Those that are gone.
    gone: Vec<bool>,
    floors: BTreeMap<String, u64>,
}

fn prefix(key: &Key) -> String {
    format!("{}/{}", key.resource(), key.namespace())
}

impl Oracle {
    fn add(&mut self, revisions: Vec<Revision>) {
        self.gone.extend(revisions.iter().map(|_| false));
        self.log.extend(revisions);
    }

    fn head(&self) -> u64 {
        self.log.len() as u64
    }

    /// The places of what is there of each key, oldest first.
    fn chains(&self) -> BTreeMap<Key, Vec<usize>> {
        let mut chains: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for (at, revision) in self
            .log
            .iter()
            .enumerate()
            .filter(|(at, _)| !self.gone[*at])
        {
            chains.entry(revision.key().clone()).or_default().push(at);
        }
        chains
    }

    fn remove(&mut self, at: usize, floor: u64) {
        self.gone[at] = true;
        let known = self.floors.entry(prefix(self.log[at].key())).or_default();
        *known = floor.max(*known);
    }

    /// The rules, word for word.
    fn retain(&mut self, rules: &Rules, now: u64) {
        for (key, chain) in self.chains() {
            let rule = rules.of(&key);
            let since = |at: usize, span: u64| {
                let span = span.max(rules.grace) * SECOND;
                self.log[at].header().time.0 + span <= now
            };
            let mut cut = 0;
            if rule.revisions.is_some() || rule.age.is_some() {
                let count = usize::try_from(rule.revisions.unwrap_or(1)).unwrap();
                let settled = |at: &&usize| since(**at, rule.age.unwrap_or(0));
                // So many were there at the beginning of the span that is kept.
                let then = chain.iter().take_while(settled).count();
                cut = then.saturating_sub(count);
            }
            let last = *chain.last().unwrap();
            let dead = !self.log[last].header().is_live() && last as u64 + 1 != self.head();
            if dead && rule.trash.is_some_and(|span| since(last, span)) {
                for &at in &chain {
                    self.remove(at, last as u64 + 1);
                }
            } else if cut > 0 {
                let floor = chain[cut] as u64 + 1;
                for &at in &chain[..cut] {
                    self.remove(at, floor);
                }
            }
        }
    }

    /// What was written to a key up to this version, gone or not.
    fn state(&self, key: &Key, version: u64) -> Option<&Revision> {
        let mut written = self.log[..usize::try_from(version).unwrap()].iter();
        written.rfind(|revision| revision.key() == key)
    }

    fn floor(&self, resource: &str, namespace: &str) -> u64 {
        let prefix = format!("{resource}/{namespace}");
        self.floors.get(&prefix).copied().unwrap_or(0)
    }

    fn judge(&self, store: &Store) -> Result<(), String> {
        let chains = self.chains();
        for (resource, namespace) in RESOURCES
            .into_iter()
            .flat_map(|resource| NAMESPACES.map(|namespace| (resource, namespace)))
        {
            let collection = Collection::within("g.x", resource, namespace).unwrap();
            let floor = self.floor(resource, namespace);
            same(
                "floor",
                &store.compacted(&collection).unwrap().get(),
                &floor,
            )?;
            for version in 0..=self.head() {
                self.judge_at(store, &collection, floor, version, &chains)?;
            }
        }
        let dead = |chain: &&Vec<usize>| !self.log[*chain.last().unwrap()].header().is_live();
        let stats = store.stats().unwrap();
        let present = self.gone.iter().filter(|gone| !**gone).count() as u64;
        same("revisions", &stats.revisions, &present)?;
        same("removed", &stats.removed, &(self.head() - present))?;
        same(
            "trash",
            &stats.trash,
            &(chains.values().filter(dead).count() as u64),
        )?;
        let report = store.check().unwrap();
        same("check", &report.findings.len(), &0).map_err(|_| format!("{report:?}"))
    }

    fn judge_at(
        &self,
        store: &Store,
        collection: &Collection,
        floor: u64,
        version: u64,
        chains: &BTreeMap<Key, Vec<usize>>,
    ) -> Result<(), String> {
        let at = Version::new(version);
        let snapshot = store.snapshot_at(at).unwrap();
        let list = snapshot.list(&List::new(collection.clone()));
        let watch = store.watch(collection.clone(), Filter::default(), at);
        let keys = (0..NAMES).map(|number| format!("n{number}"));
        let (group, parts) = ("g.x", format!("{collection:?}"));
        let parts: Vec<&str> = parts.split("\\0").collect();
        let keys: Vec<Key> = keys
            .map(|name| Key::new(group, parts[1], parts[2], &name).unwrap())
            .collect();
        if version < floor {
            let gone = |error: &Error| matches!(error, Error::Gone { .. });
            let all = list.as_ref().err().is_some_and(gone)
                && watch.as_ref().err().is_some_and(gone)
                && keys
                    .iter()
                    .all(|key| snapshot.get(key).err().is_some_and(|e| gone(&e)));
            return all
                .then_some(())
                .ok_or_else(|| format!("{version} is not gone"));
        }
        let live = |key: &Key| self.state(key, version).filter(|r| r.header().is_live());
        let wanted: Vec<&Revision> = keys.iter().filter_map(live).collect();
        let found = list.map_err(|error| format!("list at {version}: {error}"))?;
        same("list", &found.items.iter().collect::<Vec<_>>(), &wanted)?;
        let tier = |found: &&Revision| found.header().label("tier") == Some("a");
        let chosen: Vec<&Revision> = wanted.iter().copied().filter(tier).collect();
        let filter = Filter {
            labels: "tier=a".parse().unwrap(),
            ..Filter::default()
        };
        let found = snapshot.list(&List::new(collection.clone()).filter(filter));
        let found = found.map_err(|error| format!("selection at {version}: {error}"))?;
        same(
            "selection",
            &found.items.iter().collect::<Vec<_>>(),
            &chosen,
        )?;
        for key in &keys {
            same("get", &snapshot.get(key).unwrap().as_ref(), &live(key))?;
            let chain = chains.get(key).map(Vec::as_slice).unwrap_or_default();
            let kept: Vec<&Revision> = chain
                .iter()
                .rev()
                .map(|&at| &self.log[at])
                .filter(|revision| revision.version() <= at)
                .collect();
            match snapshot.history(key, 0, None) {
                Ok(page) => same("history", &page.items.iter().collect::<Vec<_>>(), &kept)?,
                Err(Error::NotFound { .. }) if kept.is_empty() => {}
                Err(error) => return Err(format!("history of {key} at {version}: {error}")),
            }
        }
        let mut watch = watch.map_err(|error| format!("watch from {version}: {error}"))?;
        let mut seen = Vec::new();
        while let Some(event) = watch.try_next().map_err(|error| error.to_string())? {
            seen.push((event.version, event.kind));
        }
        let later = self.log.iter().filter(|revision| revision.version() > at);
        let events: Vec<(Version, EventKind)> = later
            .filter(|revision| collection.contains(revision.key()))
            .map(|revision| (revision.version(), self.kind(revision)))
            .collect();
        same("events", &seen, &events)
    }

    fn kind(&self, revision: &Revision) -> EventKind {
        let before = self.state(revision.key(), revision.version().get() - 1);
        let was_live = before.is_some_and(|before| before.header().is_live());
        match (was_live, revision.header().is_live()) {
            (false, _) => EventKind::Added,
            (true, true) => EventKind::Modified,
            (true, false) => EventKind::Deleted,
        }
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, wanted: &T) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{what}: found {found:?}, expected {wanted:?}"))
}

fn key(random: &mut Random) -> Key {
    let (resource, namespace) = (RESOURCES[random.below(2)], NAMESPACES[random.below(2)]);
    let name = format!("n{}", random.below(NAMES));
    Key::new("g.x", resource, namespace, &name).unwrap()
}

/// A few writes that the state allows.
fn write_some(store: &Store, random: &mut Random) -> Vec<Revision> {
    let mut writes: BTreeMap<Key, Write> = BTreeMap::new();
    for _ in 0..1 + random.below(4) {
        let key = key(random);
        let text = format!("{} and more of it ", random.below(3)).repeat(20);
        let labels = ["{}", r#"{"tier":"a"}"#, r#"{"tier":"b"}"#][random.below(3)];
        let number = random.below(9);
        let body = format!(r#"{{"metadata":{{"labels":{labels}}},"spec":"{text}{number}"}}"#);
        let body = body.into_bytes();
        let write = match store.snapshot().unwrap().get(&key).unwrap() {
            None => Write::create(key.clone(), body),
            Some(_) if random.one_in(3) => Write::delete(key.clone()),
            Some(_) => Write::update(key.clone(), body),
        };
        writes.insert(key, write);
    }
    store.write_batch(writes.into_values().collect()).unwrap()
}

/// One store from its birth on; says how many runs of retention were judged.
fn live(seed: u64, tally: &Tally) -> Result<(), String> {
    let mut random = Random::new(seed);
    let (disk, clock) = (Disk::new(), Arc::new(ManualClock::default()));
    let rules = Rules::new(&mut random);
    let mut now = 1_000 * SECOND;
    clock.set(Timestamp(now));
    let mut store = Store::open_on(disk.clone(), rules.options(&clock)).unwrap();
    let mut oracle = Oracle::default();
    for _ in 0..4 {
        for _ in 0..2 + random.below(10) {
            oracle.add(write_some(&store, &mut random));
            if random.one_in(2) {
                now += random.next() % (4 * SECOND);
                clock.set(Timestamp(now));
            }
        }
        if random.one_in(3) {
            drop(store);
            store = Store::open_on(disk.clone(), rules.options(&clock)).unwrap();
        }
        if random.one_in(4) {
            let of = key(&mut random);
            let (resource, namespace) = (of.resource(), of.namespace());
            let to = random.next() % (oracle.head() + 1);
            let reached = store
                .compact_to(&of.collection(), Version::new(to))
                .unwrap();
            oracle.compact(resource, namespace, to);
            same(
                "compacted",
                &reached.get(),
                &oracle.floor(resource, namespace),
            )?;
        }
        store.retain().unwrap();
        oracle.retain(&rules, now);
        oracle
            .judge(&store)
            .map_err(|problem| format!("{problem}, {rules:?}"))?;
        tally.add(1);
    }
    Ok(())
}

impl Oracle {
    /// Everything that is superseded at this version goes.
    fn compact(&mut self, resource: &str, namespace: &str, to: u64) {
        for (key, chain) in self.chains() {
            if (key.resource(), key.namespace()) != (resource, namespace) {
                continue;
            }
            let until = chain.iter().take_while(|at| (**at as u64) < to).count();
            for &at in &chain[..until.saturating_sub(1)] {
                self.remove(at, chain[until - 1] as u64 + 1);
            }
        }
        let known = self
            .floors
            .entry(format!("{resource}/{namespace}"))
            .or_default();
        *known = to.max(*known);
    }
}

#[test]
fn what_is_kept_is_what_the_rules_say() {
    let (tally, runs) = (Tally::default(), scaled(RUNS_MIN));
    each_seed(&tally, |seed| {
        if let Err(problem) = live(seed, &tally) {
            tally.report(format!("seed {seed}: {problem}"));
        }
        tally.count() < runs
    });
    tally.expect("runs of retention", runs, cfg!(feature = "canary"));
}

/// A snapshot stays whole while everything around it goes, and a page read below says "gone".
#[test]
fn a_snapshot_is_whole_as_long_as_it_is_open() {
    let options = Options::new()
        .index(false)
        .overlay(16, 1 << 20)
        .retention(
            Collection::all(),
            Keep::everything().revisions(1).trash(seconds(0)),
        )
        .retention_grace(Duration::ZERO);
    let store = Store::open_on(Disk::new(), options).unwrap();
    let done = AtomicBool::new(false);
    let list = || List::new(Collection::all());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random::new(1);
            for _ in 0..3_000 {
                write_some(&store, &mut random);
            }
            done.store(true, Ordering::Relaxed);
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.retain().unwrap();
            }
        });
        let mut passed = 0;
        while !done.load(Ordering::Relaxed) {
            let snapshot = store.snapshot().unwrap();
            let first = snapshot.list(&list()).unwrap();
            for _ in 0..3 {
                std::thread::sleep(Duration::from_millis(1));
                assert_eq!(snapshot.list(&list().limit(0)).unwrap(), first);
                let mut pages = Vec::new();
                let mut after = None;
                while let Ok(page) = snapshot.list(&list().limit(3).after(after)) {
                    pages.extend(page.items);
                    after = page.next;
                    if after.is_none() {
                        break;
                    }
                }
                assert_eq!(pages, first.items);
            }
            let version = snapshot.version();
            drop(snapshot);
            // Not held any more: exact, or gone.
            std::thread::sleep(Duration::from_millis(2));
            match store.snapshot_at(version).unwrap().list(&list()) {
                Ok(page) => assert_eq!(page, first),
                Err(Error::Gone { requested, .. }) => {
                    assert_eq!(requested, version);
                    passed += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(passed > 0, "retention passed no version");
    });
    let stats = store.stats().unwrap();
    assert!(stats.removed > stats.revisions, "{stats:?}");
}

/// A key with a history longer than a step goes in bounded steps, as a whole.
#[test]
fn a_long_history_goes_in_steps() {
    let clock = Arc::new(ManualClock::default());
    let options = |trash: u64| {
        let keep = Keep::everything().trash(seconds(trash));
        Options::new()
            .index(false)
            .clock(clock.clone())
            .retention(Collection::all(), keep)
            .background_retention(false)
            .retention_grace(Duration::ZERO)
    };
    let disk = Disk::new();
    let store = Store::open_on(disk.clone(), options(1)).unwrap();
    let key = Key::new("g.x", "things", "a", "long").unwrap();
    let body = |number: usize| format!(r#"{{"spec":{number}}}"#).into_bytes();
    store.write(Write::create(key.clone(), body(0))).unwrap();
    for round in 0..8 {
        let writes = (0..1_000).map(|number| Write::update(key.clone(), body(round + number)));
        store.write_batch(writes.collect()).unwrap();
    }
    store.write(Write::delete(key.clone())).unwrap();
    let other = Key::new("g.x", "things", "a", "other").unwrap();
    store.write(Write::create(other.clone(), body(1))).unwrap();
    assert_eq!(store.retain(), Ok(0));
    clock.set(Timestamp(SECOND));
    assert_eq!(store.retain(), Ok(8_002));
    let snapshot = store.snapshot().unwrap();
    assert_eq!(
        snapshot.history(&key, 0, None).unwrap_err().kind(),
        annals::ErrorKind::NotFound
    );
    assert!(snapshot.get(&other).unwrap().is_some());
    assert_eq!(store.stats().unwrap().trash, 0);
    // A life after it.
    let again = store.write(Write::create(key.clone(), body(2))).unwrap();
    assert_eq!(again.header().previous, None);
}
