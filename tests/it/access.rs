//! Would catch an object that one road shows and another hides: random rules, folders, objects and
//! callers against a truth table that walks up from each object, on get, list, the past, the trash,
//! watch and search.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use annals::access::{Authorizer, Place, Role, Rules, Verb};
use annals::search::{Facet, FacetBy, Hits, Query, Scope as SearchScope};
use annals::{
    Collection, Error, EventKind, Filter, Key, Kind, List, Options, Principal, Scope, Store,
    Version, Write,
};

use crate::random::Random;

const GROUP: &str = "g.test";
const THINGS: &str = "things";
const FOLDER_KIND: &str = "folders";
const NAMESPACES: [&str; 2] = ["a", "b"];
const FOLDERS: [&str; 7] = ["", "f", "g", "h", "i", "j", "nowhere"];
const OBJECTS: usize = 12;
const ROUNDS: usize = 40;
const CALLERS: usize = 6;
/// How many comparisons a run makes at the least.
const CASES: usize = 20_000;

fn kind() -> Kind {
    Kind {
        group: GROUP.to_owned(),
        version: "v1".to_owned(),
        kind: "Thing".to_owned(),
        resource: THINGS.to_owned(),
        search_fields: Vec::new(),
    }
}

/// What a key has been: the folder it stood in since a version, and whether it was live.
type Past = Vec<(Version, String, bool)>;

struct World {
    store: Store,
    random: Random,
    things: BTreeMap<(usize, String), Past>,
    /// The folders that are there, by namespace and name.
    parents: BTreeMap<(usize, &'static str), &'static str>,
    rules: Rules,
    cases: usize,
}

fn key(namespace: usize, name: &str) -> Key {
    Key::new(GROUP, THINGS, NAMESPACES[namespace], name).unwrap()
}

fn body(folder: &str) -> Vec<u8> {
    format!(r#"{{"metadata":{{"annotations":{{"grafana.app/folder":"{folder}"}}}}}}"#).into_bytes()
}

impl World {
    fn new(store: Store, seed: u64) -> Self {
        World {
            store,
            random: Random::new(seed),
            things: BTreeMap::new(),
            parents: BTreeMap::new(),
            rules: Rules::new(GROUP, FOLDER_KIND),
            cases: 0,
        }
    }

    fn head(&self) -> Version {
        self.store.snapshot().unwrap().version()
    }

    fn change_folders(&mut self) {
        for _ in 0..self.random.below(4) {
            let namespace = self.random.below(2);
            let name = FOLDERS[1 + self.random.below(5)];
            let parent = FOLDERS[self.random.below(FOLDERS.len())];
            let parent = (!self.random.one_in(5)).then_some(parent);
            match parent {
                Some(parent) => self.parents.insert((namespace, name), parent),
                None => self.parents.remove(&(namespace, name)),
            };
            self.rules.put_folder(NAMESPACES[namespace], name, parent);
        }
    }

    /// Makes, moves, changes and deletes things; answers each with its folders before and after.
    fn change_things(&mut self) -> Vec<(Key, Version, Option<String>, Option<String>)> {
        let mut changes = Vec::new();
        for _ in 0..1 + self.random.below(8) {
            let namespace = self.random.below(2);
            let name = format!("t{}", self.random.below(OBJECTS));
            let key = key(namespace, &name);
            let past = self.things.entry((namespace, name)).or_default();
            let last = past.last().cloned();
            let before = last.filter(|last| last.2).map(|last| last.1);
            let folder = if self.random.one_in(3) {
                before.clone()
            } else {
                None
            };
            let folder =
                folder.unwrap_or_else(|| FOLDERS[self.random.below(FOLDERS.len())].to_owned());
            let (write, after) = match &before {
                None => (
                    Write::create(key.clone(), body(&folder)),
                    Some(folder.clone()),
                ),
                Some(_) if self.random.one_in(4) => (Write::delete(key.clone()), None),
                Some(_) => (
                    Write::update(key.clone(), body(&folder)),
                    Some(folder.clone()),
                ),
            };
            let version = self.store.write(write).unwrap().version();
            let stands = after.clone().or(before.clone()).unwrap_or_default();
            past.push((version, stands, after.is_some()));
            changes.push((key, version, before, after));
        }
        changes
    }

    fn places(&mut self) -> Vec<Place> {
        let count = self.random.below(4);
        let mut places = Vec::new();
        for _ in 0..count {
            let role = [Role::Viewer, Role::Editor, Role::Admin][self.random.below(3)];
            let namespace = (!self.random.one_in(12)).then(|| self.random.below(2));
            let count = if namespace.is_none() || self.random.one_in(4) {
                0
            } else {
                1 + self.random.below(2)
            };
            let folders = (0..count).map(|_| FOLDERS[1 + self.random.below(6)].to_owned());
            places.push(Place {
                role,
                namespace: namespace.map(|at| NAMESPACES[at].to_owned()),
                folders: folders.collect(),
            });
        }
        places
    }

    /// The truth: whether one of the places shows a thing in this folder.
    fn shows(&self, places: &[Place], namespace: usize, folder: &str) -> bool {
        places.iter().any(|place| {
            if place
                .namespace
                .as_ref()
                .is_some_and(|own| own != NAMESPACES[namespace])
            {
                return false;
            }
            let mut at = folder;
            // More steps than there are folders lead round in a circle.
            for _ in 0..=FOLDERS.len() {
                if place.folders.is_empty() || place.folders.iter().any(|own| own == at) {
                    return true;
                }
                match self
                    .parents
                    .iter()
                    .find(|((of, name), _)| *of == namespace && *name == at)
                {
                    Some((_, parent)) => at = parent,
                    None => return false,
                }
            }
            false
        })
    }

    /// The things that are shown at a version: seen then, and where they stand or stood last.
    fn visible(&self, places: &[Place], version: Version) -> Vec<String> {
        let shown = self.things.iter().filter(|((namespace, _), past)| {
            let at = past.partition_point(|(since, ..)| *since <= version);
            let (before, after) = past.split_at(at);
            let then = before.last();
            let then = then
                .is_some_and(|(_, folder, live)| *live && self.shows(places, *namespace, folder));
            // A name that was deleted since and made again was another object then.
            let others = after.iter().rev().skip(1).any(|(_, _, live)| !live);
            let whole = |place: &Place| {
                let own = place.namespace.as_ref();
                place.folders.is_empty() && own.is_none_or(|own| own == NAMESPACES[*namespace])
            };
            let then = then && (!others || places.iter().any(whole));
            then && past
                .last()
                .is_some_and(|last| self.shows(places, *namespace, &last.1))
        });
        shown
            .map(|((namespace, name), _)| format!("{}/{name}", NAMESPACES[*namespace]))
            .collect()
    }

    fn deleted(&self, places: &[Place]) -> Vec<String> {
        let gone = self.things.iter().filter(|((namespace, _), past)| {
            let last = past.last();
            last.is_some_and(|last| !last.2 && self.shows(places, *namespace, &last.1))
        });
        gone.map(|((namespace, name), _)| format!("{}/{name}", NAMESPACES[*namespace]))
            .collect()
    }

    fn count(&mut self) {
        self.cases += 2 * OBJECTS;
    }

    /// All pages of a list, or of the trash.
    fn pages(&mut self, scope: &Scope, version: Version, live: bool) -> Vec<String> {
        let snapshot = self.store.snapshot_at(version).unwrap();
        let filter = Filter {
            scope: scope.clone(),
            ..Filter::default()
        };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let limit = 1 + self.random.below(6);
            let list = List::new(Collection::of(GROUP, THINGS).unwrap())
                .filter(filter.clone())
                .limit(limit)
                .after(after);
            let page = if live {
                snapshot.list(&list)
            } else {
                snapshot.trash(&list)
            };
            let page = page.unwrap();
            assert!(page.next.is_none() || page.items.len() == limit);
            let names = page.items.iter().map(|item| item.key());
            found.extend(names.map(|key| format!("{}/{}", key.namespace(), key.name())));
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    }

    fn search(&self, scope: &Scope, version: Version) -> Hits {
        let query = Query {
            limit: 1_000,
            facets: vec![Facet {
                by: FacetBy::Folder,
                limit: 50,
            }],
            ..Query::default()
        };
        let scope = SearchScope::from(scope);
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match self.store.search(&query, &scope, Some(version)) {
                Ok(hits) => return hits,
                Err(Error::IndexNotReady { .. } | Error::IndexBehind { .. })
                    if Instant::now() < deadline =>
                {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn round(&mut self) {
        self.change_folders();
        let mut callers = Vec::new();
        for at in 0..CALLERS {
            let places = self.places();
            self.rules.set(&format!("u{at}"), &places);
            callers.push(places);
        }
        let things = Collection::of(GROUP, THINGS).unwrap();
        let scopes: Vec<Scope> = (0..CALLERS)
            .map(|at| {
                let caller = Principal::new(format!("u{at}"));
                self.rules.scope(&caller, Verb::List, &things)
            })
            .collect();
        let start = self.head();
        let mut watches: Vec<_> = scopes
            .iter()
            .map(|scope| {
                let filter = Filter {
                    scope: scope.clone(),
                    ..Filter::default()
                };
                self.store.watch(things.clone(), filter, start).unwrap()
            })
            .collect();
        let changes = self.change_things();
        let head = self.head();
        for (at, (places, scope)) in callers.iter().zip(&scopes).enumerate() {
            let visible = self.visible(places, head);
            assert_eq!(self.pages(scope, head, true), visible, "{places:?}");
            self.count();
            let back = Version::new(1 + self.random.next() % head.get());
            let then = self.visible(places, back);
            assert_eq!(self.pages(scope, back, true), then, "at {back} {places:?}");
            self.count();
            let gone = self.deleted(places);
            assert_eq!(self.pages(scope, head, false), gone, "trash {places:?}");
            self.count();
            self.check_gets(at, places);
            self.check_search(places, scope, head, &visible);

            let expected: Vec<_> = changes
                .iter()
                .filter_map(|(key, version, before, after)| {
                    let namespace = NAMESPACES.iter().position(|own| *own == key.namespace());
                    let shows = |folder: &Option<String>| {
                        let folder = folder.as_ref();
                        folder.is_some_and(|it| self.shows(places, namespace.unwrap(), it))
                    };
                    let kind = match (shows(before), shows(after)) {
                        (false, false) => return None,
                        (false, true) => EventKind::Added,
                        (true, true) => EventKind::Modified,
                        (true, false) => EventKind::Deleted,
                    };
                    Some((key.clone(), *version, kind))
                })
                .collect();
            let mut seen = Vec::new();
            while let Some(event) = watches[at].try_next().unwrap() {
                assert!(scope.covers(event.object.header()), "{event:?}");
                seen.push((event.object.key().clone(), event.version, event.kind));
            }
            assert_eq!(seen, expected, "{places:?}");
            self.cases += changes.len();
        }
    }

    fn check_gets(&mut self, at: usize, places: &[Place]) {
        let caller = Principal::new(format!("u{at}"));
        for ((namespace, name), past) in &self.things {
            let Some((_, folder, _)) = past.last() else {
                continue;
            };
            let expected = self.shows(places, *namespace, folder);
            let key = key(*namespace, name);
            assert_eq!(
                self.rules.check(&caller, Verb::Get, &key, folder),
                expected,
                "{key} in {folder:?} {places:?}"
            );
            self.cases += 1;
        }
    }

    fn check_search(&mut self, places: &[Place], scope: &Scope, head: Version, visible: &[String]) {
        let hits = self.search(scope, head);
        let name = |hit: &annals::search::Hit| format!("{}/{}", hit.key.namespace, hit.key.name);
        let mut found: Vec<String> = hits.hits.iter().map(name).collect();
        found.sort();
        let mut expected = visible.to_vec();
        expected.sort();
        assert_eq!(found, expected, "{places:?}");
        assert_eq!(hits.total, expected.len() as u64);
        let mut folders: BTreeMap<&str, u64> = BTreeMap::new();
        for ((namespace, name), past) in &self.things {
            let shown = format!("{}/{name}", NAMESPACES[*namespace]);
            if let Some((_, folder, _)) = past.last().filter(|_| expected.contains(&shown)) {
                *folders.entry(folder).or_default() += 1;
            }
        }
        folders.remove("");
        let terms = hits.facets[0].terms.iter();
        let terms: BTreeMap<&str, u64> = terms
            .filter(|(term, _)| !term.is_empty())
            .map(|(term, count)| (term.as_str(), *count))
            .collect();
        assert_eq!(terms, folders, "{places:?}");
        self.count();
    }
}

#[test]
fn every_road_shows_what_the_truth_table_shows() {
    let mut cases = 0;
    for seed in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new().kinds(vec![kind()]);
        let mut world = World::new(Store::open(folder.path(), options).unwrap(), seed);
        world.change_things();
        for _ in 0..ROUNDS {
            world.round();
        }
        cases += world.cases;
    }
    println!("{cases} comparisons");
    assert!(cases >= CASES, "only {cases} comparisons");
}
