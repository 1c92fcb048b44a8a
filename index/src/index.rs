//! The index itself: opening, following, rebuilding, answering.
//!
//! One thread writes (the follower), any number search. Writers hold the lock on the live
//! generation; searchers only clone an `Arc` of what a commit has left for them, so neither waits
//! for the other. After a failed commit the generation is never written again: searches go on
//! with the last good view until a rebuild replaces it. A view that proves damaged is dropped.

use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::disk::{Disk, Folder};
use crate::document::{Change, Document};
use crate::error::{Error, Result};
use crate::generation::{Generation, Ground, View};
use crate::guard::guard;
use crate::manifest::{
    self, CLEAN_FILE, Clean, Epoch, Identity, MANIFEST_FILE, Manifest, generation_number,
    generation_path,
};
use crate::options::IndexOptions;
use crate::query::{Hits, Query};
use crate::scope::Scope;
use crate::search::{search, survey};

/// How many of the documents that were set aside a [`Status`] lists.
pub const SET_ASIDE_LISTED_MAX: usize = 100;

/// The full-text index of one store. Cheap to clone; all clones are one index.
#[derive(Clone)]
pub struct Index {
    inner: Arc<Inner>,
}

struct Inner {
    ground: Ground,
    live: Mutex<Live>,
    shown: RwLock<Shown>,
    building: Mutex<Option<u64>>,
}

struct Live {
    generation: Option<Generation>,
    broken: Option<String>,
}

/// What searches get.
enum Shown {
    View(Arc<View>),
    Nothing(String),
}

/// What was found on opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// A sound index: apply what came after this version. Searches are answered at once, except
    /// after a crash within a commit: then once the changes of that commit are applied again.
    Sound {
        /// The version to follow from.
        version: u64,
    },
    /// Nothing to build on, nothing is answered: start a rebuild.
    Rebuild {
        /// What is missing or wrong.
        reason: String,
    },
}

/// What an index is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It answers, and takes changes.
    Ready,
    /// A rebuild is under way; if there was a sound index before, it answers.
    Building,
    /// It takes no changes, and answers only if `version` is given.
    Failed {
        /// Why.
        reason: String,
    },
}

/// How an index is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// The version searches reflect; none if nothing is answered.
    pub version: Option<u64>,
    /// How many documents can be found.
    pub documents: u64,
    /// How many documents could not be indexed.
    pub set_aside: u64,
    /// The newest of those, at most [`SET_ASIDE_LISTED_MAX`].
    pub set_aside_newest: Vec<SetAside>,
    /// The size of its files.
    pub bytes: u64,
    /// How many writers are open.
    pub open_writers: usize,
}

/// A document that could not be indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Its group, resource, namespace and name, with slashes between.
    pub name: String,
    /// The version that could not be indexed.
    pub version: u64,
    /// Which limit it breaks.
    pub reason: String,
}

impl Index {
    /// Opens the index in a folder, for a store whose newest version is `head`. An index that is
    /// missing, damaged, of another schema or epoch, or ahead of the store is no error: nothing is
    /// answered until it is rebuilt. Fails only if the folder cannot be used.
    pub fn open(
        dir: &Path,
        epoch: Epoch,
        head: u64,
        options: IndexOptions,
    ) -> Result<(Index, Opening)> {
        Index::open_on(Arc::new(Folder::new(dir)), epoch, head, options)
    }

    /// Opens an index on any disk: the seam for tests that make disks fail.
    #[doc(hidden)]
    pub fn open_on(
        disk: Arc<dyn Disk>,
        epoch: Epoch,
        head: u64,
        options: IndexOptions,
    ) -> Result<(Index, Opening)> {
        let identity = Identity::new(epoch, options.shards);
        let ground = Ground::new(disk, identity, options);
        let clean = take_clean(&ground)?;
        let (live, shown, opening) = match guard(|| find(&ground, clean, head)) {
            Ok(generation) => {
                let version = generation.version();
                let shown = show(&generation);
                (Some(generation), shown, Opening::Sound { version })
            }
            Err(error) => {
                let reason = reason(error);
                (
                    None,
                    Shown::Nothing(reason.clone()),
                    Opening::Rebuild { reason },
                )
            }
        };
        let inner = Inner {
            ground,
            live: Mutex::new(Live {
                generation: live,
                broken: None,
            }),
            shown: RwLock::new(shown),
            building: Mutex::new(None),
        };
        Ok((
            Index {
                inner: Arc::new(inner),
            },
            opening,
        ))
    }

    /// Takes changes, whole batches in version order. They are seen by searches after the next
    /// commit; if very many wait, that is now. What the index has already is left out, so changes
    /// may be applied again.
    pub fn apply(&self, changes: Vec<Change>) -> Result<()> {
        self.write(|generation| generation.apply(changes))
    }

    /// Makes what was applied durable and visible, as the state at `version`. The caller has
    /// applied everything up to there, and nothing after it.
    pub fn commit(&self, version: u64) -> Result<()> {
        self.write(|generation| generation.commit(version))
    }

    /// Whether the files are still there. Cheap enough for every few seconds.
    pub fn check(&self) -> Result<()> {
        let mut live = self.inner.live.lock();
        live.sound()?
            .check()
            .inspect_err(|error| live.broken = Some(error.to_string()))
    }

    /// The newest version searches reflect; none while nothing is answered.
    pub fn version(&self) -> Option<u64> {
        match &*self.inner.shown.read() {
            Shown::View(view) => Some(view.version),
            Shown::Nothing(_) => None,
        }
    }

    /// Answers a query from what the scope lets through.
    pub fn search(&self, query: &Query, scope: &Scope) -> Result<Hits> {
        let view = self.view()?;
        let answer = guard(|| search(&self.inner.ground, &view, query, scope));
        self.distrust(&view, answer)
    }

    /// How the index is. Reads the sizes of its files, so not for every request.
    pub fn status(&self) -> Result<Status> {
        let ground = &self.inner.ground;
        let (broken, open_writers, number) = {
            let live = self.inner.live.lock();
            let generation = live.generation.as_ref();
            let writers = generation.map_or(0, Generation::open_writers);
            (
                live.broken.clone(),
                writers,
                generation.map(|generation| generation.number),
            )
        };
        let view = self.view();
        let state = match (&view, broken) {
            _ if self.inner.building.lock().is_some() => State::Building,
            (_, Some(reason)) => State::Failed { reason },
            (Err(error), None) => State::Failed {
                reason: error.to_string(),
            },
            (Ok(_), None) => State::Ready,
        };
        let survey = match &view {
            Ok(view) => {
                let surveyed = guard(|| survey(ground, view, SET_ASIDE_LISTED_MAX));
                self.distrust(view, surveyed)?
            }
            Err(_) => Default::default(),
        };
        let files = number.map(|number| ground.disk.files(&generation_path(number)));
        let files = files.and_then(|files| files.ok()).unwrap_or_default();
        let newest = survey.marks.into_iter().map(|mark| SetAside {
            name: mark.name,
            version: mark.version,
            reason: mark.reason,
        });
        Ok(Status {
            state,
            version: view.ok().map(|view| view.version),
            documents: survey.documents,
            set_aside: survey.set_aside,
            set_aside_newest: newest.collect(),
            bytes: files.iter().map(|(_, bytes)| bytes).sum(),
            open_writers,
        })
    }

    /// Starts a new generation beside whatever is there. What is there goes on answering and may
    /// go on following until the rebuild is finished. One rebuild runs at a time.
    pub fn begin_rebuild(&self) -> Result<Rebuild> {
        let ground = &self.inner.ground;
        let mut building = self.inner.building.lock();
        if building.is_some() {
            return Err(Error::not_ready("a rebuild is under way already"));
        }
        let live = self
            .inner
            .live
            .lock()
            .generation
            .as_ref()
            .map(|live| live.number);
        let names = ground.disk.names()?;
        let there = names
            .iter()
            .filter_map(|name| generation_number(name))
            .chain(live);
        let number = there.max().unwrap_or(0) + 1;
        let generation = guard(|| Generation::create(ground.clone(), number))?;
        *building = Some(number);
        Ok(Rebuild {
            inner: self.inner.clone(),
            generation: Some(generation),
            number,
        })
    }

    /// Ends the work cleanly, so that the next open need not check every byte. Changes that were
    /// applied and not committed are forgotten. Afterwards nothing is answered.
    pub fn close(&self) -> Result<()> {
        let mut live = self.inner.live.lock();
        *self.inner.shown.write() = Shown::Nothing("it was closed".into());
        let Some(generation) = live.generation.take().filter(|_| live.broken.is_none()) else {
            return Ok(());
        };
        let number = generation.number;
        guard(|| generation.close())?;
        let disk = &self.inner.ground.disk;
        let files = disk.files(&generation_path(number))?;
        disk.replace(
            CLEAN_FILE,
            &manifest::write(&Clean {
                generation: number,
                files,
            }),
        )?;
        Ok(())
    }

    fn view(&self) -> Result<Arc<View>> {
        match &*self.inner.shown.read() {
            Shown::View(view) => Ok(view.clone()),
            Shown::Nothing(reason) => Err(Error::not_ready(reason.clone())),
        }
    }

    /// Drops a view that proved damaged, unless it was replaced meanwhile.
    fn distrust<T>(&self, view: &Arc<View>, answer: Result<T>) -> Result<T> {
        if let Err(Error::Damaged { reason }) = &answer {
            let mut live = self.inner.live.lock();
            let mut shown = self.inner.shown.write();
            if matches!(&*shown, Shown::View(now) if now.generation == view.generation) {
                *shown = Shown::Nothing(reason.clone());
                live.broken = Some(reason.clone());
            }
        }
        answer
    }

    fn write(&self, work: impl FnOnce(&mut Generation) -> Result<()>) -> Result<()> {
        let mut live = self.inner.live.lock();
        let generation = live.sound()?;
        let before = generation.version();
        let written = guard(|| work(generation));
        let written = written.map_err(|error| generation.check().err().unwrap_or(error));
        match written {
            Ok(()) if generation.version() != before => {
                let shown = show(generation);
                *self.inner.shown.write() = shown;
            }
            Ok(()) => {}
            Err(error) => {
                live.broken = Some(error.to_string());
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Live {
    /// The generation, if it may be written.
    fn sound(&mut self) -> Result<&mut Generation> {
        match (&mut self.generation, &self.broken) {
            (_, Some(reason)) => Err(Error::damaged(reason.clone())),
            (Some(generation), None) => Ok(generation),
            (None, None) => Err(Error::not_ready("it was closed, or waits for a rebuild")),
        }
    }
}

/// What searches may see of a generation: nothing while a torn commit is being mended.
fn show(generation: &Generation) -> Shown {
    match generation.newest() > generation.version() {
        true => Shown::Nothing(format!("catching up to version {}", generation.newest())),
        false => Shown::View(Arc::new(generation.view())),
    }
}

/// The mark of a clean close, if there is one; it is gone before anything else is done.
fn take_clean(ground: &Ground) -> Result<Option<Clean>> {
    let disk = &ground.disk;
    if !disk.names()?.iter().any(|name| name == CLEAN_FILE) {
        return Ok(None);
    }
    let sealed = disk.read(CLEAN_FILE).unwrap_or_default();
    disk.remove(CLEAN_FILE)?;
    Ok(sealed.and_then(|sealed| manifest::read(&sealed)))
}

fn reason(error: Error) -> String {
    match error {
        Error::Damaged { reason } | Error::NotReady { reason } => reason,
        Error::Io(_) | Error::BadQuery { .. } => error.to_string(),
    }
}

/// Finds the current generation, if it is sound, and removes what others left behind. Whatever
/// goes wrong here, a rebuild can mend it, or will say better what is wrong with the disk.
fn find(ground: &Ground, clean: Option<Clean>, head: u64) -> Result<Generation> {
    let disk = &ground.disk;
    let sealed = disk
        .read(MANIFEST_FILE)?
        .ok_or_else(|| Error::not_ready("there is none yet"))?;
    let manifest: Manifest =
        manifest::read(&sealed).ok_or_else(|| Error::damaged("the manifest is unreadable"))?;
    if let Some(reason) = ground.identity.differs(&manifest.identity) {
        return Err(Error::damaged(reason));
    }
    let path = generation_path(manifest.generation);
    if !disk.exists(&path) {
        return Err(Error::damaged(format!("{path} is gone")));
    }
    sweep(ground, manifest.generation);
    let unchanged = clean.is_some_and(|clean| {
        clean.generation == manifest.generation
            && disk.files(&path).is_ok_and(|files| files == clean.files)
    });
    let generation = Generation::open(ground.clone(), &manifest, !unchanged)?;
    if generation.newest() > head {
        let newest = generation.newest();
        return Err(Error::damaged(format!(
            "it is at version {newest}, the store at {head}"
        )));
    }
    Ok(generation)
}

/// Removes every other generation. What cannot be removed now is removed at the next open.
fn sweep(ground: &Ground, current: u64) {
    for name in ground.disk.names().unwrap_or_default() {
        if generation_number(&name).is_some_and(|number| number != current)
            && let Err(error) = ground.disk.remove(&name)
        {
            tracing::warn!(%name, %error, "cannot remove an old generation of the index");
        }
    }
}

/// A new generation in the making. Dropped before it is finished, it leaves nothing behind.
pub struct Rebuild {
    inner: Arc<Inner>,
    generation: Option<Generation>,
    number: u64,
}

impl Rebuild {
    /// Adds a document; a later one of the same key replaces it.
    pub fn add(&mut self, document: Document) -> Result<()> {
        match &mut self.generation {
            Some(generation) => guard(|| generation.add(document)),
            None => Err(Error::damaged("the rebuild is over")),
        }
    }

    /// Makes the new generation durable, as the state at `version`, puts it in the place of the
    /// old one and removes that. Follow from `version`.
    pub fn finish(mut self, version: u64) -> Result<()> {
        let Some(mut generation) = self.generation.take() else {
            return Ok(());
        };
        if let Err(error) = guard(|| generation.finish(version)) {
            self.generation = Some(generation);
            return Err(error);
        }
        let old = {
            let mut live = self.inner.live.lock();
            *self.inner.shown.write() = show(&generation);
            live.broken = None;
            live.generation.replace(generation)
        };
        drop(old);
        sweep(&self.inner.ground, self.number);
        *self.inner.building.lock() = None;
        Ok(())
    }
}

impl Drop for Rebuild {
    fn drop(&mut self) {
        let Some(generation) = self.generation.take() else {
            return;
        };
        drop(generation);
        let path = generation_path(self.number);
        if let Err(error) = self.inner.ground.disk.remove(&path) {
            tracing::warn!(%path, %error, "cannot remove an unfinished generation of the index");
        }
        *self.inner.building.lock() = None;
    }
}
