//! Bringing records into a store: one collection at a time.
//!
//! A stretch of records of one resource in one namespace is one load, and is there as a whole or
//! not at all, unless it is larger than the store takes at once: then it comes in parts. A load that was interrupted is begun again from the first record:
//! what is in the store already is compared and passed over, so nothing has to be noted beside
//! the store, and a crash between a commit and a note cannot be.
//!
//! | file | key is not live | is live |
//! | --- | --- | --- |
//! | without history | created | updated when it says something else; else unchanged |
//! | with history | the revisions behind those that the store has; those it has must be the same |
//!
//! Versions and times are the store's own; authors are those of the file, where it tells.

use std::time::Duration;

use annals::{Action, Error as StoreError, Key, Principal, Snapshot, Store, Version, Write};

use super::{Error, Reader, Record, intake};
use crate::kinds::Kinds;

/// Writes that go to the store at once.
const CHUNK_WRITES: usize = annals::LOAD_WRITES_MAX;
/// Body bytes that go to the store at once, the last one not counted.
const CHUNK_BYTES: usize = annals::LOAD_BYTES_MAX - 16 * 1024 * 1024;
/// How often a store that is busy is asked again.
const TRIES: u32 = 60;

/// What came of a load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many stretches of one collection are in.
    pub collections: u64,
    /// Objects, or revisions, that created.
    pub created: u64,
    /// That updated.
    pub updated: u64,
    /// That deleted.
    pub deleted: u64,
    /// That were there already.
    pub unchanged: u64,
}

impl Tally {
    /// How many records were looked at.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.created + self.updated + self.deleted + self.unchanged
    }
}

/// A write on its way, with the bytes of its body.
type Ready = (Write, usize);

/// Loads all records, and counts in `tally` those of the collections that are in. `told` hears
/// the tally after each collection.
///
/// # Errors
/// The first fault of the file or the store. Collections before it are in; loading the same file
/// again goes on from there.
pub fn load(
    store: &Store,
    kinds: &Kinds,
    author: &Principal,
    mut reader: Box<dyn Reader + '_>,
    tally: &mut Tally,
    told: &mut dyn FnMut(&Tally),
) -> Result<(), Error> {
    let history = reader.about().history;
    let mut source = Source {
        next: None,
        reader: &mut *reader,
    };
    while let Some(first) = source.peek()? {
        let snapshot = store
            .snapshot()
            .map_err(|why| Error::new("the store", why))?;
        let collection = first.key.collection();
        let mut stretch = Stretch {
            source: &mut source,
            collection,
            judge: Judge {
                snapshot,
                kinds,
                author,
                history,
                tally: *tally,
                chain: None,
            },
        };
        commit(store, &mut stretch)?;
        *tally = stretch.judge.tally;
        tally.collections += 1;
        told(tally);
    }
    Ok(())
}

/// Brings one collection in.
fn commit(
    store: &Store,
    writes: &mut dyn Iterator<Item = Result<Ready, Error>>,
) -> Result<(), Error> {
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    for write in writes {
        let (write, size) = write?;
        chunk.push(write);
        bytes += size;
        if chunk.len() == CHUNK_WRITES || bytes >= CHUNK_BYTES {
            send(store, std::mem::take(&mut chunk))?;
            bytes = 0;
        }
    }
    send(store, chunk)
}

/// Writes a batch, with patience. The bodies of a clone are shared.
fn send(store: &Store, chunk: Vec<Write>) -> Result<(), Error> {
    let mut tries = 0;
    loop {
        match store.load(chunk.clone()) {
            Ok(_) => return Ok(()),
            Err(StoreError::Busy { retry_after }) if tries < TRIES => {
                tries += 1;
                std::thread::sleep(retry_after.min(Duration::from_secs(1)));
            }
            Err(why) => return Err(Error::new("the store", why)),
        }
    }
}

/// The records of the file, with one looked at ahead.
struct Source<'a> {
    next: Option<Record>,
    reader: &'a mut dyn Reader,
}

impl Source<'_> {
    fn peek(&mut self) -> Result<Option<&Record>, Error> {
        if self.next.is_none() {
            self.next = self.reader.next().transpose()?;
        }
        Ok(self.next.as_ref())
    }
}

/// The writes of one stretch.
struct Stretch<'a, 'b> {
    source: &'a mut Source<'b>,
    collection: annals::Collection,
    judge: Judge<'a>,
}

impl Iterator for Stretch<'_, '_> {
    type Item = Result<Ready, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.source.peek() {
                Ok(Some(record)) if self.collection.contains(&record.key) => {}
                Ok(_) => return None,
                Err(error) => return Some(Err(error)),
            }
            let record = self.source.next.take()?;
            match self.judge.write(&record) {
                Ok(Some(write)) => return Some(Ok((write, record.body.len()))),
                Ok(None) => self.judge.tally.unchanged += 1,
                Err(why) => {
                    let why = format!("{}: {why}", record.key);
                    return Some(Err(Error::new(self.source.reader.place(), why)));
                }
            }
        }
    }
}

/// Decides what a record writes.
struct Judge<'a> {
    snapshot: Snapshot,
    kinds: &'a Kinds,
    author: &'a Principal,
    history: bool,
    tally: Tally,
    /// The object whose history is being loaded.
    chain: Option<Chain>,
}

/// Whether two bodies have the same values: not every format keeps every byte.
fn says_the_same(one: &[u8], other: &[u8]) -> bool {
    let value = |body| serde_json::from_slice::<serde_json::Value>(body).ok();
    one == other || value(one).is_some_and(|one| Some(one) == value(other))
}

/// How far the history of one object is loaded.
struct Chain {
    key: Key,
    /// The versions that the store has, the next one to compare at the end.
    stored: Vec<Version>,
    is_live: bool,
}

impl Judge<'_> {
    /// The write that a record asks for; nothing when the store has it.
    fn write(&mut self, record: &Record) -> Result<Option<Write>, String> {
        // A file that somebody else has made must not let him in.
        if record.key.group() == crate::access::GROUP {
            return Err(
                "is a user or a token: those are made with annals user and token".to_owned(),
            );
        }
        if self.history {
            self.replay(record)
        } else {
            self.settle(record)
        }
    }

    /// The object is to be as the record says.
    fn settle(&mut self, record: &Record) -> Result<Option<Write>, String> {
        if record.action == Action::Deleted {
            return Err("is deleted, in a file without history".to_owned());
        }
        let key = record.key.clone();
        let body = intake::complete(record, self.kinds)?;
        let old = self.snapshot.get(&key).map_err(|why| why.to_string())?;
        let write = match old {
            None => {
                self.tally.created += 1;
                Write::create(key, body)
            }
            Some(old) => {
                let Some(body) = intake::merge(old.body(), &body)? else {
                    return Ok(None);
                };
                self.tally.updated += 1;
                Write::update(key, body).if_version(old.version())
            }
        };
        Ok(Some(write.author(self.author(record))))
    }

    /// The revision is to be there.
    fn replay(&mut self, record: &Record) -> Result<Option<Write>, String> {
        if self
            .chain
            .as_ref()
            .is_none_or(|chain| chain.key != record.key)
        {
            if let Some(chain) = &self.chain
                && chain.key > record.key
            {
                return Err(format!(
                    "stands after {}: the revisions of a collection must come in the order of \
                     names, and those of an object together",
                    chain.key.name()
                ));
            }
            self.chain = Some(self.begin(&record.key)?);
        }
        let author = self.author(record);
        let is_delete = record.action == Action::Deleted;
        let Some(chain) = &mut self.chain else {
            return Ok(None);
        };
        if let Some(version) = chain.stored.pop() {
            let page = self.snapshot.history(&record.key, 1, Some(version));
            let page = page.map_err(|why| why.to_string())?;
            let is_same = page.items.first().is_some_and(|stored| {
                let deleted = stored.header().action == Action::Deleted;
                deleted == is_delete && says_the_same(stored.body(), &record.body)
            });
            chain.is_live = !is_delete;
            return if is_same {
                Ok(None)
            } else {
                Err(format!(
                    "the store has another revision in this place, version {version}; import \
                     history into a directory of its own"
                ))
            };
        }
        let (key, body) = (record.key.clone(), record.body.clone());
        let write = match (is_delete, chain.is_live) {
            (true, false) => return Err("is deleted where it is not live".to_owned()),
            (true, true) => {
                self.tally.deleted += 1;
                Write::delete(key)
            }
            (false, true) => {
                self.tally.updated += 1;
                Write::update(key, body)
            }
            (false, false) => {
                self.tally.created += 1;
                Write::create(key, body)
            }
        };
        chain.is_live = !is_delete;
        Ok(Some(write.author(author)))
    }

    /// What the store has of an object.
    fn begin(&self, key: &Key) -> Result<Chain, String> {
        let mut stored = Vec::new();
        let mut before = None;
        loop {
            let page = match self.snapshot.history(key, 0, before) {
                Ok(page) => page,
                Err(StoreError::NotFound { .. }) => break,
                Err(why) => return Err(why.to_string()),
            };
            stored.extend(page.items.iter().map(annals::Revision::version));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        Ok(Chain {
            key: key.clone(),
            stored,
            is_live: false,
        })
    }

    fn author(&self, record: &Record) -> Principal {
        if record.author.is_empty() {
            self.author.clone()
        } else {
            Principal::new(record.author.clone())
        }
    }
}
