//! A complete set of shards, from its first document to the day the next generation replaces it.
//!
//! Changes wait in memory until a commit, the newest one per document only. A commit touches the
//! shards that have changes, one after the other, and says in each payload what it does to all
//! (see [`crate::manifest`]). A generation has one owner and no locks of its own.
//!
//! Absent on purpose: healing. After a failed commit the owner stops using the generation.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tantivy::Searcher;
use tantivy::schema::Schema;

use crate::directory::{META_FILE, SealedDirectory};
use crate::disk::Disk;
use crate::document::{Change, Document};
use crate::error::{Error, Result};
use crate::manifest::{self, Identity, MANIFEST_FILE, Manifest, Payload, Step};
use crate::options::IndexOptions;
use crate::schema::{Fields, key_term, layout};
use crate::shard::{Shard, Writers};

/// Most changes that wait in memory; beyond it they are committed unasked.
const PENDING_MAX: usize = 20_000;
/// Most bytes of changes that wait in memory.
const PENDING_BYTES_MAX: usize = 64 << 20;
/// After how many versions without anything to index the manifest is written anew, so that an
/// idle index need not follow the log from far back.
const STAMP_VERSIONS: u64 = 10_000;

/// What every part of a generation needs to know.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) identity: Identity,
    pub(crate) options: IndexOptions,
    pub(crate) schema: Schema,
    pub(crate) fields: Fields,
}

impl Ground {
    pub(crate) fn new(disk: Arc<dyn Disk>, identity: Identity, options: IndexOptions) -> Ground {
        let (schema, fields) = layout();
        Ground {
            disk,
            identity,
            options,
            schema,
            fields,
        }
    }

    fn directory(&self, path: &str) -> Result<SealedDirectory> {
        Ok(SealedDirectory::new(
            self.disk.directory(path)?,
            self.options.skip_sync,
        ))
    }
}

pub(crate) struct Generation {
    ground: Ground,
    pub(crate) number: u64,
    shards: BTreeMap<u16, Shard>,
    writers: Writers,
    pending: BTreeMap<u16, BTreeMap<String, Change>>,
    pending_count: usize,
    pending_bytes: usize,
    /// Everything up to here is durable.
    version: u64,
    /// The newest version any shard holds; above `version` only after a torn commit.
    newest: u64,
    /// The version of the manifest.
    stamped: u64,
}

/// What searches see: every shard at one version.
pub(crate) struct View {
    pub(crate) version: u64,
    pub(crate) generation: u64,
    pub(crate) shards: BTreeMap<u16, Searcher>,
}

fn sweep(ground: &Ground, path: &str, shard: &Shard) -> Result<()> {
    let files = ground.disk.files(path)?;
    let names = files
        .iter()
        .filter_map(|(file, _)| file.strip_prefix(path)?.strip_prefix('/'));
    shard.sweep(names.map(PathBuf::from))
}

impl Generation {
    /// Makes an empty generation.
    pub(crate) fn create(ground: Ground, number: u64) -> Result<Generation> {
        ground.disk.make(&manifest::generation_path(number))?;
        Ok(Generation::with(ground, number, BTreeMap::new()))
    }

    /// Opens the generation of a manifest, or says what is wrong with it.
    pub(crate) fn open(ground: Ground, manifest: &Manifest, verify: bool) -> Result<Generation> {
        let path = manifest::generation_path(manifest.generation);
        let mut shards = BTreeMap::new();
        let mut found = Vec::new();
        let mut leftovers = Vec::new();
        for id in 0..ground.options.shards {
            let path = format!("{path}/{id}");
            if !ground.disk.exists(&path) {
                continue;
            }
            match Shard::open(id, ground.directory(&path)?, &ground.schema, verify)? {
                None => leftovers.push(path),
                Some((shard, payload)) => {
                    if verify {
                        sweep(&ground, &path, &shard)?;
                    }
                    found.push((id, payload));
                    shards.insert(id, shard);
                }
            }
        }
        let standing = manifest::weigh(manifest, &found).map_err(Error::damaged)?;
        for path in leftovers {
            ground.disk.remove(&path)?;
        }
        let mut generation = Generation::with(ground, manifest.generation, shards);
        generation.version = standing.resume;
        generation.newest = standing.newest;
        generation.stamped = manifest.version;
        Ok(generation)
    }

    fn with(ground: Ground, number: u64, shards: BTreeMap<u16, Shard>) -> Generation {
        let options = &ground.options;
        let writers = Writers::new(options.open_writers_max, options.writer_memory_bytes);
        Generation {
            ground,
            number,
            shards,
            writers,
            pending: BTreeMap::new(),
            pending_count: 0,
            pending_bytes: 0,
            version: 0,
            newest: 0,
            stamped: 0,
        }
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The newest version any shard holds, until which nothing can be shown.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    pub(crate) fn open_writers(&self) -> usize {
        self.writers.open_count()
    }

    /// What the shards show now. They are all at one version unless the last commit was torn.
    pub(crate) fn view(&self) -> View {
        let shards = self
            .shards
            .iter()
            .map(|(&id, shard)| (id, shard.searcher()))
            .collect();
        View {
            version: self.version,
            generation: self.number,
            shards,
        }
    }

    /// Whether the files are still there.
    pub(crate) fn check(&self) -> Result<()> {
        let path = manifest::generation_path(self.number);
        let metas = self
            .shards
            .keys()
            .map(|id| format!("{path}/{id}/{META_FILE}"));
        for file in metas.chain([MANIFEST_FILE.to_owned()]) {
            if !self.ground.disk.exists(&file) {
                return Err(Error::damaged(format!("{file} is gone")));
            }
        }
        Ok(())
    }

    /// Takes whole batches in version order. What a shard has already is left out.
    pub(crate) fn apply(&mut self, changes: Vec<Change>) -> Result<()> {
        let mut newest = self.version;
        for change in changes {
            newest = newest.max(change.version());
            let id = self.ground.identity.shard_of_key(change.key());
            let committed = self.shards.get(&id).map_or(0, |shard| shard.committed);
            if change.version() > committed.max(self.version) {
                self.wait(id, change);
            }
        }
        if self.is_full() {
            self.commit(newest)?;
        }
        Ok(())
    }

    /// Takes a document of a rebuild.
    pub(crate) fn add(&mut self, document: Document) -> Result<()> {
        let id = self.ground.identity.shard_of_key(&document.key);
        self.wait(id, Change::Put(Box::new(document)));
        if self.is_full() {
            let full: Vec<u16> = self.pending.keys().copied().collect();
            full.into_iter().try_for_each(|id| self.feed(id))?;
        }
        Ok(())
    }

    fn wait(&mut self, id: u16, change: Change) {
        self.pending_bytes += change.bytes();
        let waiting = self.pending.entry(id).or_default();
        match waiting.insert(key_term(change.key()), change) {
            Some(replaced) => self.pending_bytes -= replaced.bytes(),
            None => self.pending_count += 1,
        }
    }

    fn is_full(&self) -> bool {
        self.pending_count > PENDING_MAX || self.pending_bytes > PENDING_BYTES_MAX
    }

    /// Makes everything applied durable at a version. A commit that would end inside the torn one
    /// is left to a later call: shards ahead of it are only right at their own version.
    pub(crate) fn commit(&mut self, version: u64) -> Result<()> {
        if version < self.newest {
            return Ok(());
        }
        if !self.pending.is_empty() {
            self.commit_pending(version, self.version)?;
        } else if version - self.stamped >= STAMP_VERSIONS {
            self.stamp(version)?;
        }
        self.version = version;
        self.newest = version;
        Ok(())
    }

    /// Commits the shards that have changes. The manifest learns of a new shard at once, so that
    /// its absence is noticed even if nothing else is left to tell.
    fn commit_pending(&mut self, version: u64, previous: u64) -> Result<()> {
        let dirty: Vec<u16> = self.pending.keys().copied().collect();
        let before = self.shards.len();
        for &id in &dirty {
            self.shard(id)?;
        }
        let has_grown = self.shards.len() > before;
        let steps = self.shards.values().map(|shard| {
            let shall = if dirty.contains(&shard.id) {
                version
            } else {
                shard.committed
            };
            Step {
                shard: shard.id,
                was: shard.committed,
                shall,
            }
        });
        let identity = self.ground.identity.clone();
        let payload = Payload {
            identity,
            version,
            previous,
            shards: steps.collect(),
        };
        let payload = manifest::write(&payload);
        for id in dirty {
            self.feed(id)?;
            self.commit_shard(id, version, &payload)?;
        }
        if has_grown {
            self.stamp(version)?;
        }
        Ok(())
    }

    fn commit_shard(&mut self, id: u16, version: u64, payload: &[u8]) -> Result<()> {
        let Some(shard) = self.shards.get_mut(&id) else {
            return Ok(());
        };
        self.writers.commit(shard, payload)?;
        shard.committed = version;
        shard.reload()
    }

    /// The shard with this number, made if it does not exist.
    fn shard(&mut self, id: u16) -> Result<()> {
        if self.shards.contains_key(&id) {
            return Ok(());
        }
        let path = format!("{}/{id}", manifest::generation_path(self.number));
        self.ground.disk.make(&path)?;
        let shard = Shard::create(id, self.ground.directory(&path)?, &self.ground.schema)?;
        self.shards.insert(id, shard);
        Ok(())
    }

    /// Hands what waits for a shard to its writer.
    fn feed(&mut self, id: u16) -> Result<()> {
        let Some(changes) = self.pending.remove(&id) else {
            return Ok(());
        };
        self.shard(id)?;
        let Some(shard) = self.shards.get(&id) else {
            return Ok(());
        };
        let writer = self.writers.of(shard)?;
        for change in changes.into_values() {
            self.pending_count -= 1;
            self.pending_bytes -= change.bytes();
            writer.delete_term(self.ground.fields.key_term(change.key()));
            if let Change::Put(document) = change {
                writer.add_document(self.ground.fields.lay_out(&document))?;
            }
        }
        Ok(())
    }

    /// Ends a rebuild: everything durable at a version, and this the current generation.
    pub(crate) fn finish(&mut self, version: u64) -> Result<()> {
        let waiting: Vec<u16> = self.pending.keys().copied().collect();
        waiting.into_iter().try_for_each(|id| self.feed(id))?;
        let identity = self.ground.identity.clone();
        let payload = Payload {
            identity,
            version,
            previous: version,
            shards: Vec::new(),
        };
        let payload = manifest::write(&payload);
        let ids: Vec<u16> = self.shards.keys().copied().collect();
        ids.into_iter()
            .try_for_each(|id| self.commit_shard(id, version, &payload))?;
        self.version = version;
        self.newest = version;
        self.stamp(version)
    }

    /// Writes down that all shards together are complete at a version.
    fn stamp(&mut self, version: u64) -> Result<()> {
        let shards = self
            .shards
            .values()
            .map(|shard| (shard.id, shard.committed))
            .collect();
        let identity = self.ground.identity.clone();
        let manifest = Manifest {
            identity,
            generation: self.number,
            version,
            shards,
        };
        self.ground
            .disk
            .replace(MANIFEST_FILE, &manifest::write(&manifest))?;
        self.stamped = version;
        Ok(())
    }

    /// Lets merges end and writes the version down. What waits is forgotten: the log has it.
    pub(crate) fn close(mut self) -> Result<()> {
        self.writers.close()?;
        self.shards.values().try_for_each(Shard::sync)?;
        if self.newest == self.version && self.stamped < self.version {
            let version = self.version;
            self.stamp(version)?;
        }
        Ok(())
    }
}
