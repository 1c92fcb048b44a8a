//! Catches any difference between the index and the obvious: a map of documents, searched by
//! looking at each of them, through random changes, commits, reopens and rebuilds.

use std::collections::{BTreeMap, BTreeSet};

use annals_index::{
    Change, Document, DocumentKey, Facet, FacetBy, Grant, Hits, Index, IndexOptions, Opening,
    Query, Reach, Scope,
};

use crate::samples::{Dice, EPOCH, document, key, ready};

/// No word is part of another, so that a word is found if and only if it is there.
const WORDS: [&str; 6] = ["amber", "birch", "cobalt", "dune", "ember", "flint"];
const SPACES: [&str; 4] = ["", "north", "south", "west"];
const FOLDERS: [&str; 3] = ["", "attic", "cellar"];

type Documents = BTreeMap<DocumentKey, Document>;

fn options() -> IndexOptions {
    IndexOptions::default().shards(3).open_writers_max(2)
}

struct World {
    dice: Dice,
    /// Nothing while it is reopened: one index at a time works in a folder.
    index: Option<Index>,
    version: u64,
    applied: Documents,
    committed: (u64, Documents),
}

impl World {
    fn index(&self) -> &Index {
        self.index.as_ref().expect("open")
    }

    fn step(&mut self, dir: &std::path::Path) {
        match self.dice.roll(16) {
            0..=8 => self.change(),
            9..=13 => self.commit(),
            14 => self.reopen(dir),
            _ => self.rebuild(),
        }
    }

    fn change(&mut self) {
        let mut batch = Vec::new();
        for _ in 0..=self.dice.roll(6) {
            self.version += 1;
            let name = format!("n{}", self.dice.roll(9));
            let mut key = key(self.dice.pick(&SPACES), &name);
            if self.dice.chance(3) {
                key.resource = "folders".into();
            }
            if self.dice.chance(4) {
                self.applied.remove(&key);
                batch.push(Change::Remove {
                    key,
                    version: self.version,
                });
            } else {
                let put = self.document(key);
                self.applied.insert(put.key.clone(), put.clone());
                batch.push(Change::Put(Box::new(put)));
            }
        }
        self.index().apply(batch).unwrap();
    }

    fn document(&mut self, key: DocumentKey) -> Document {
        let words: Vec<&str> = (0..3).map(|_| self.dice.pick(&WORDS)).collect();
        let tags = (0..self.dice.roll(3)).map(|_| String::from(self.dice.pick(&WORDS)));
        Document {
            tags: tags.collect(),
            labels: vec![("team".into(), String::from(self.dice.pick(&WORDS)))],
            folder: String::from(self.dice.pick(&FOLDERS)),
            key,
            ..document("", "", &words.join(" - "), self.version)
        }
    }

    fn commit(&mut self) {
        self.index().commit(self.version).unwrap();
        self.committed = (self.version, self.applied.clone());
    }

    /// What was not committed is lost, and applied again.
    fn reopen(&mut self, dir: &std::path::Path) {
        if self.dice.chance(2) {
            self.index().close().unwrap();
        }
        // Merges of the old one end with it: they would remove files under the new one.
        drop(self.index.take());
        let (index, opening) = Index::open(dir, EPOCH, self.version, options()).unwrap();
        let Opening::Sound { version } = opening else {
            panic!("{opening:?}")
        };
        assert!(version <= self.committed.0, "{version} was never committed");
        self.index = Some(index);
        let puts = self
            .applied
            .values()
            .filter(|document| document.version > version);
        let mut changes: Vec<Change> = puts
            .cloned()
            .map(|put| Change::Put(Box::new(put)))
            .collect();
        changes.sort_by_key(Change::version);
        let gone = self
            .committed
            .1
            .keys()
            .filter(|key| !self.applied.contains_key(key));
        let removes = gone.map(|key| Change::Remove {
            key: key.clone(),
            version: self.version,
        });
        changes.extend(removes);
        self.index().apply(changes).unwrap();
        self.commit();
    }

    fn rebuild(&mut self) {
        let mut rebuild = self.index().begin_rebuild().unwrap();
        for document in self.applied.values() {
            rebuild.add(document.clone()).unwrap();
        }
        rebuild.finish(self.version).unwrap();
        self.committed = (self.version, self.applied.clone());
    }

    fn compare(&mut self) {
        let query = self.query();
        let scope = self.scope();
        let hits = self.index().search(&query, &scope).unwrap();
        let what = format!("{query:?} {scope:?}");
        let matching = |relaxed: bool| {
            let documents = self.committed.1.values();
            let found = documents.filter(|d| sees(&scope, d) && matches(&query, d, relaxed));
            found.collect::<Vec<_>>()
        };
        let strict = matching(false);
        let expected = if strict.is_empty() {
            matching(true)
        } else {
            strict
        };
        assert_eq!(hits.total, expected.len() as u64, "{what}");
        let mut names: Vec<_> = expected
            .iter()
            .map(|d| (d.key.clone(), d.version))
            .collect();
        let mut found: Vec<_> = hits
            .hits
            .iter()
            .map(|h| (h.key.clone(), h.version))
            .collect();
        names.sort();
        found.sort();
        assert_eq!(found, names, "{what}");
        compare_tags(&hits, &expected, &what);
        self.compare_pages(&query, &scope, &hits);
    }

    /// Pages of any size join to the whole.
    fn compare_pages(&mut self, query: &Query, scope: &Scope, whole: &Hits) {
        let limit = 1 + self.dice.roll(7);
        let mut joined = Vec::new();
        for offset in (0..=whole.hits.len()).step_by(limit) {
            let page = Query {
                limit,
                offset,
                ..query.clone()
            };
            let page = self.index().search(&page, scope).unwrap();
            assert_eq!((page.total, &page.facets), (whole.total, &whole.facets));
            joined.extend(page.hits);
        }
        assert_eq!(joined, whole.hits);
    }

    fn query(&mut self) -> Query {
        let dice = &mut self.dice;
        let some = |dice: &mut Dice| dice.chance(4);
        let words = (0..dice.roll(4))
            .map(|_| dice.pick(&WORDS))
            .collect::<Vec<_>>();
        let mut query = Query {
            text: words.join(" "),
            limit: 1_000,
            facets: vec![Facet {
                by: FacetBy::Tag,
                limit: 100,
            }],
            ..Query::default()
        };
        if some(dice) {
            query.namespace = Some(String::from(dice.pick(&SPACES)));
        }
        if some(dice) {
            query.folder = Some(String::from(dice.pick(&FOLDERS)));
        }
        if some(dice) {
            query.tags = vec![String::from(dice.pick(&WORDS))];
        }
        if some(dice) {
            query.labels = vec![("team".into(), String::from(dice.pick(&WORDS)))];
        }
        if some(dice) {
            query.names = (0..4).map(|_| format!("n{}", dice.roll(9))).collect();
        }
        if some(dice) {
            query.types = vec![("dashboard.grafana.app".into(), "folders".into())];
        }
        query
    }

    fn scope(&mut self) -> Scope {
        let dice = &mut self.dice;
        match dice.roll(4) {
            0 => Scope::All,
            1 if dice.chance(4) => Scope::None,
            _ => Scope::Only((0..1 + dice.roll(3)).map(|_| grant(dice)).collect()),
        }
    }
}

fn grant(dice: &mut Dice) -> Grant {
    let folders = |dice: &mut Dice| String::from(dice.pick(&FOLDERS));
    let resource = |dice: &mut Dice| dice.pick(&["folders", "dashboards", "nothing"]);
    Grant {
        kind: dice
            .chance(2)
            .then(|| ("dashboard.grafana.app".into(), resource(dice).into())),
        namespace: dice.chance(2).then(|| String::from(dice.pick(&SPACES))),
        reach: match dice.roll(3) {
            0 => Reach::All,
            1 => Reach::Folders((0..2).map(|_| folders(dice)).collect()),
            _ => Reach::Names((0..4).map(|_| format!("n{}", dice.roll(12))).collect()),
        },
    }
}

fn sees(scope: &Scope, document: &Document) -> bool {
    let key = &document.key;
    let covers = |grant: &Grant| {
        grant
            .kind
            .as_ref()
            .is_none_or(|(g, r)| (g, r) == (&key.group, &key.resource))
            && grant
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == key.namespace)
            && match &grant.reach {
                Reach::All => true,
                Reach::Folders(folders) => folders.contains(&document.folder),
                Reach::Names(names) => names.contains(&key.name),
            }
    };
    match scope {
        Scope::All => true,
        Scope::None => false,
        Scope::Only(grants) => grants.iter().any(covers),
    }
}

fn matches(query: &Query, document: &Document, relaxed: bool) -> bool {
    let key = &document.key;
    let team = &document.labels[0].1;
    let holds = |word: &str| {
        document.title.contains(word) || document.tags.iter().any(|tag| tag == word) || team == word
    };
    let mut words = query.text.split_whitespace();
    let text = if relaxed && words.clone().count() > 1 {
        words.any(holds)
    } else {
        words.all(holds)
    };
    let types = &query.types;
    text && query
        .namespace
        .as_ref()
        .is_none_or(|namespace| *namespace == key.namespace)
        && query
            .folder
            .as_ref()
            .is_none_or(|folder| *folder == document.folder)
        && query.tags.iter().all(|tag| document.tags.contains(tag))
        && query
            .labels
            .iter()
            .all(|label| document.labels.contains(label))
        && (query.names.is_empty() || query.names.contains(&key.name))
        && (types.is_empty() || types.contains(&(key.group.clone(), key.resource.clone())))
}

fn compare_tags(hits: &Hits, expected: &[&Document], what: &str) {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for document in expected {
        for tag in document.tags.iter().collect::<BTreeSet<_>>() {
            *counts.entry(tag.clone()).or_default() += 1;
        }
    }
    let found: BTreeMap<String, u64> = hits.facets[0].terms.iter().cloned().collect();
    assert_eq!(found, counts, "{what}");
}

#[test]
fn the_index_agrees_with_a_map() {
    for seed in 1..=6 {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World {
            dice: Dice::new(seed),
            index: Some(ready(dir.path(), options())),
            version: 0,
            applied: Documents::new(),
            committed: (0, Documents::new()),
        };
        for _ in 0..70 {
            world.step(dir.path());
            for _ in 0..5 {
                world.compare();
            }
        }
        assert!(world.committed.0 > 30);
    }
}
