//! What a store does while a call to its disk fails: without many kinds of work the fault suite
//! would only reach the few calls that one kind makes.
//!
//! A script never minds an error: it goes on, and [`Stage`] keeps what was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals::{
    Collection, Error, Filter, Key, List, Options, Principal, Revision, Store, Version, Watch,
    Write,
};

use crate::disk::{Disk, Trouble};

/// How the stores of the scripts are opened: without a cache, so that reads reach the disk.
pub(crate) fn options() -> Options {
    // Without a cache, and with layers of one commit, reads and the tables reach the disk.
    Options::new().index(false).cache_bytes(0).overlay(1, 1)
}

pub(crate) fn key(name: &str) -> Key {
    Key::new("g.x", "things", "ns", name).unwrap()
}

pub(crate) fn body(size: usize) -> Vec<u8> {
    format!(
        r#"{{"metadata":{{"labels":{{"l":"a"}}}},"spec":"{}"}}"#,
        "x".repeat(size)
    )
    .into_bytes()
}

/// What was answered to the writes, each of which has an author of its own.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) acknowledged: Vec<Revision>,
    /// The authors of writes that may have been made or not.
    pub(crate) uncertain: Vec<String>,
    /// Every error, in the order of the answers.
    pub(crate) errors: Vec<Error>,
}

/// A store on a disk that is about to fail.
pub(crate) struct Stage {
    disk: Arc<Disk>,
    store: Option<Store>,
    authors: AtomicU64,
    pub(crate) answers: Answers,
}

impl Stage {
    /// A store on this disk; if it cannot be opened, the disk is mended first.
    pub(crate) fn new(disk: &Arc<Disk>) -> Self {
        let mut stage = Stage {
            disk: Arc::clone(disk),
            store: None,
            authors: AtomicU64::new(0),
            answers: Answers::default(),
        };
        stage.reopen();
        stage
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopen(&mut self) {
        self.store = None;
        let open = || Store::open_on(self.disk.clone(), options());
        let opened = open().or_else(|error| {
            self.answers.errors.push(error);
            self.disk.mend();
            open()
        });
        self.store = Some(opened.unwrap());
    }

    fn author(&self) -> String {
        self.authors.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Makes these writes in one batch.
    fn submit(&self, answers: &mut Answers, writes: Vec<Write>) {
        let author = self.author();
        let sign = |write: Write| write.author(Principal::new(author.clone()));
        match self
            .store()
            .write_batch(writes.into_iter().map(sign).collect())
        {
            Ok(revisions) => answers.acknowledged.extend(revisions),
            Err(error) => {
                if matches!(error, Error::Uncertain { .. }) {
                    answers.uncertain.push(author);
                }
                answers.errors.push(error);
            }
        }
    }

    pub(crate) fn batch(&mut self, writes: Vec<Write>) {
        let mut answers = std::mem::take(&mut self.answers);
        self.submit(&mut answers, writes);
        self.answers = answers;
    }

    pub(crate) fn create(&mut self, name: &str, size: usize) {
        self.batch(vec![Write::create(key(name), body(size))]);
    }

    fn update(&mut self, name: &str, size: usize) {
        self.batch(vec![Write::update(key(name), body(size))]);
    }

    fn delete(&mut self, name: &str) {
        self.batch(vec![Write::delete(key(name))]);
    }

    fn ask<T>(&mut self, question: impl FnOnce(&Store) -> Result<T, Error>) -> Option<T> {
        let answer = question(self.store());
        answer.map_err(|error| self.answers.errors.push(error)).ok()
    }

    /// Reads in every way.
    fn read(&mut self, name: &str) {
        self.ask(|store| store.snapshot()?.get(&key(name)));
        self.ask(read_all);
        self.ask(|store| store.snapshot()?.history(&key(name), 2, None));
        self.ask(|store| {
            let mut watch = store.watch(Collection::all(), Filter::default(), Version::ZERO)?;
            while watch.try_next()?.is_some() {}
            Ok(())
        });
    }
}

/// Lists everything.
pub(crate) fn read_all(store: &Store) -> Result<(), Error> {
    let list = List::new(Collection::all());
    store.snapshot()?.list(&list).map(drop)
}

/// A name, and what is done.
pub(crate) type Script = (&'static str, fn(&mut Stage));

/// Every script.
pub(crate) const SCRIPTS: [Script; 20] = [
    ("one create", |stage| stage.create("a", 10)),
    ("create and update", |stage| {
        stage.create("a", 10);
        stage.update("a", 6_000);
    }),
    ("create and delete", |stage| {
        stage.create("a", 10);
        stage.delete("a");
    }),
    ("a second life", |stage| {
        stage.create("a", 10);
        stage.delete("a");
        stage.create("a", 20);
        stage.read("a");
    }),
    ("one batch", |stage| stage.batch(creates("n", 5, 100))),
    ("a batch that deletes and creates", |stage| {
        stage.create("a", 10);
        stage.batch(vec![
            Write::delete(key("a")),
            Write::create(key("a"), body(5)),
        ]);
        stage.read("a");
    }),
    ("a batch that is refused in its middle", |stage| {
        stage.create("a", 10);
        stage.batch(vec![
            Write::create(key("b"), body(5)),
            Write::create(key("a"), body(5)),
        ]);
        stage.read("b");
    }),
    ("many updates of one object", |stage| {
        stage.create("a", 10);
        (0..6).for_each(|size| stage.update("a", 100 * size));
    }),
    ("one large object", |stage| {
        stage.create("a", 120_000);
        stage.read("a");
    }),
    ("a batch that makes the file grow", |stage| {
        stage.batch(creates("n", 4, 120_000));
        stage.batch(
            (0..2)
                .map(|n| Write::delete(key(&format!("n{n}"))))
                .collect(),
        );
    }),
    ("growth in steps", |stage| {
        for name in ["a", "b", "c"] {
            stage.create(name, 60_000);
        }
    }),
    ("reads between writes", |stage| {
        for name in ["a", "b"] {
            stage.create(name, 10);
            stage.read(name);
        }
    }),
    ("wrong preconditions between writes", |stage| {
        stage.create("a", 10);
        let wrong = Version::new(1_000);
        stage.batch(vec![Write::update(key("a"), body(5)).if_version(wrong)]);
        stage.update("a", 20);
        stage.batch(vec![
            Write::create(key("b"), body(5)).guard(key("a"), wrong),
        ]);
        stage.create("b", 10);
    }),
    ("many small objects", |stage| {
        stage.batch(creates("n", 60, 40));
        stage.create("last", 40);
    }),
    ("a batch deleted again", |stage| {
        stage.batch(creates("n", 6, 40));
        stage.batch(
            (0..6)
                .map(|n| Write::delete(key(&format!("n{n}"))))
                .collect(),
        );
    }),
    ("two writers at once", two_writers),
    ("reopened between writes", |stage| {
        stage.create("a", 10);
        stage.reopen();
        stage.update("a", 20);
        stage.reopen();
        stage.read("a");
    }),
    ("dry runs and sizes", |stage| {
        stage.create("a", 10);
        stage.ask(|store| store.try_write(Write::update(key("a"), body(7))));
        stage.ask(Store::stats);
        stage.update("a", 20);
        stage.ask(Store::check);
    }),
    ("the past", |stage| {
        stage.create("a", 10);
        stage.update("a", 3_000);
        stage.delete("a");
        for version in 0..4 {
            stage.ask(|store| store.snapshot_at(Version::new(version))?.get(&key("a")));
        }
    }),
    ("pages of a filtered list", |stage| {
        stage.batch(creates("n", 5, 40));
        let labels = "l=a".parse().unwrap();
        let filter = Filter {
            labels,
            ..Filter::default()
        };
        let list = List::new(Collection::all()).filter(filter).limit(2);
        let mut after = None;
        while let Some(page) =
            stage.ask(|store| store.snapshot()?.list(&list.clone().after(after.take())))
            && page.next.is_some()
        {
            after = page.next;
        }
    }),
];

fn creates(name: &str, count: usize, size: usize) -> Vec<Write> {
    let create = |number| Write::create(key(&format!("{name}{number}")), body(size));
    (0..count).map(create).collect()
}

fn two_writers(stage: &mut Stage) {
    let shared = &*stage;
    let work = |name: &str| {
        let mut answers = Answers::default();
        shared.submit(&mut answers, vec![Write::create(key(name), body(50))]);
        shared.submit(&mut answers, vec![Write::update(key(name), body(90))]);
        answers
    };
    let all = std::thread::scope(|scope| {
        let threads = ["a", "b"].map(|name| scope.spawn(move || work(name)));
        threads.map(|thread| thread.join().unwrap())
    });
    for answers in all {
        stage.answers.acknowledged.extend(answers.acknowledged);
        stage.answers.uncertain.extend(answers.uncertain);
        stage.answers.errors.extend(answers.errors);
    }
}

/// A watcher of everything, from the beginning.
pub(crate) fn watch_all(store: &Store) -> Result<Watch, Error> {
    store.watch(Collection::all(), Filter::default(), Version::ZERO)
}

/// What an error must name.
pub(crate) fn names_cause(error: &Error, trouble: Trouble) -> bool {
    error.to_string().contains(&trouble.cause())
}
