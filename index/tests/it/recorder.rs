//! A file system in memory that writes down every step, and the images a crash could leave of it.
//!
//! Two kinds of file system are modelled. An *ordered* one keeps changes of names in one journal:
//! whatever is synced, all earlier changes of names are durable with it. An *unordered* one
//! promises only what POSIX does: a sync of a file keeps its content, a sync of a directory the
//! names in it. Content that was not synced may be lost, kept in part, or kept out of order.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals_index::disk::Disk;
use parking_lot::{Condvar, Mutex};
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, OwnedBytes, TerminatingWrite,
    WatchCallback, WatchHandle, WritePtr,
};

use crate::samples::Dice;

/// A file or a directory behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(usize),
    Folder,
}

/// A step of the recorded history.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A name now stands for a node, or for nothing; another name may go in the same instant.
    Name {
        path: String,
        node: Option<usize>,
        gone: Option<String>,
    },
    Folder {
        path: String,
    },
    Write {
        file: usize,
        bytes: Arc<[u8]>,
    },
    SyncFile {
        file: usize,
    },
    SyncFolder {
        path: String,
    },
    /// A commit of this version begins.
    Begin {
        version: u64,
    },
    /// It was acknowledged.
    Acked {
        version: u64,
    },
}

#[derive(Default)]
struct Memory {
    names: BTreeMap<String, Node>,
    contents: Vec<Vec<u8>>,
    steps: Vec<Step>,
    drafts: u64,
}

impl Memory {
    fn create(&mut self, path: &str) -> usize {
        self.contents.push(Vec::new());
        let file = self.contents.len() - 1;
        self.names.insert(path.to_owned(), Node::File(file));
        self.steps.push(Step::Name {
            path: path.to_owned(),
            node: Some(file),
            gone: None,
        });
        file
    }

    fn append(&mut self, file: usize, bytes: &[u8]) {
        self.contents[file].extend_from_slice(bytes);
        self.steps.push(Step::Write {
            file,
            bytes: bytes.into(),
        });
    }

    fn replace(&mut self, path: &str, content: &[u8]) {
        self.drafts += 1;
        let draft = format!("{path}.draft{}", self.drafts);
        let file = self.create(&draft);
        self.append(file, content);
        self.steps.push(Step::SyncFile { file });
        self.names.remove(&draft);
        self.names.insert(path.to_owned(), Node::File(file));
        self.steps.push(Step::Name {
            path: path.to_owned(),
            node: Some(file),
            gone: Some(draft),
        });
    }

    fn unlink(&mut self, path: &str) {
        self.names.remove(path);
        self.steps.push(Step::Name {
            path: path.to_owned(),
            node: None,
            gone: None,
        });
    }

    fn sync_folder(&mut self, path: &str) {
        self.steps.push(Step::SyncFolder {
            path: path.to_owned(),
        });
    }

    fn content(&self, path: &str) -> Option<&Vec<u8>> {
        match self.names.get(path) {
            Some(Node::File(file)) => Some(&self.contents[*file]),
            Some(Node::Folder) | None => None,
        }
    }
}

/// The recording disk; a clone is the same disk.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    memory: Arc<Mutex<Memory>>,
    locks: Arc<Locks>,
}

/// The locks that are held now; a crash releases them all.
#[derive(Default)]
struct Locks {
    held: Mutex<HashSet<String>>,
    released: Condvar,
}

struct Held {
    locks: Arc<Locks>,
    name: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.locks.held.lock().remove(&self.name);
        self.locks.released.notify_all();
    }
}

impl Recorder {
    pub(crate) fn mark(&self, step: Step) {
        self.memory.lock().steps.push(step);
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        self.memory.lock().steps.clone()
    }

    /// A disk as a crash left it.
    pub(crate) fn from_image(image: &Image) -> Recorder {
        let recorder = Recorder::default();
        let mut memory = recorder.memory.lock();
        for (path, content) in image {
            let node = match content {
                None => Node::Folder,
                Some(bytes) => {
                    memory.contents.push(bytes.to_vec());
                    Node::File(memory.contents.len() - 1)
                }
            };
            memory.names.insert(path.clone(), node);
        }
        drop(memory);
        recorder
    }
}

impl Disk for Recorder {
    fn make(&self, path: &str) -> io::Result<()> {
        let mut memory = self.memory.lock();
        let mut parent = String::new();
        for part in path.split('/') {
            let folder = if parent.is_empty() {
                part.into()
            } else {
                format!("{parent}/{part}")
            };
            if !memory.names.contains_key(&folder) {
                memory.names.insert(folder.clone(), Node::Folder);
                memory.steps.push(Step::Folder {
                    path: folder.clone(),
                });
                memory.sync_folder(&parent);
            }
            parent = folder;
        }
        Ok(())
    }

    fn directory(&self, path: &str) -> io::Result<Box<dyn Directory>> {
        Ok(Box::new(Shelf {
            memory: self.memory.clone(),
            locks: self.locks.clone(),
            path: path.to_owned(),
        }))
    }

    fn exists(&self, path: &str) -> bool {
        self.memory.lock().names.contains_key(path)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let memory = self.memory.lock();
        Ok(memory
            .names
            .keys()
            .filter(|path| !path.contains('/'))
            .cloned()
            .collect())
    }

    fn files(&self, path: &str) -> io::Result<Vec<(String, u64)>> {
        let memory = self.memory.lock();
        let below = format!("{path}/");
        let names = memory.names.keys().filter(|name| name.starts_with(&below));
        let files =
            names.filter_map(|name| Some((name.clone(), memory.content(name)?.len() as u64)));
        Ok(files.collect())
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.memory.lock().content(path).cloned())
    }

    fn replace(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let mut memory = self.memory.lock();
        memory.replace(path, content);
        memory.sync_folder("");
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut memory = self.memory.lock();
        let below = format!("{path}/");
        let inside = memory.names.keys().filter(|name| name.starts_with(&below));
        let mut doomed: Vec<String> = inside.cloned().collect();
        doomed.reverse();
        doomed.push(path.to_owned());
        doomed.iter().for_each(|path| memory.unlink(path));
        memory.sync_folder("");
        Ok(())
    }
}

/// One folder of the recording disk, as tantivy sees it.
#[derive(Clone)]
struct Shelf {
    memory: Arc<Mutex<Memory>>,
    locks: Arc<Locks>,
    path: String,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shelf({})", self.path)
    }
}

impl Shelf {
    fn at(&self, path: &Path) -> String {
        format!("{}/{}", self.path, path.display())
    }

    fn get(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let memory = self.memory.lock();
        let missing = || OpenReadError::FileDoesNotExist(path.to_owned());
        memory.content(&self.at(path)).cloned().ok_or_else(missing)
    }
}

impl Directory for Shelf {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(OwnedBytes::new(self.get(path)?)))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        let mut memory = self.memory.lock();
        let name = self.at(path);
        if !memory.names.contains_key(&name) {
            return Err(DeleteError::FileDoesNotExist(path.to_owned()));
        }
        memory.unlink(&name);
        Ok(())
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.memory.lock().names.contains_key(&self.at(path)))
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let mut memory = self.memory.lock();
        let name = self.at(path);
        if memory.names.contains_key(&name) {
            return Err(OpenWriteError::FileAlreadyExists(PathBuf::from(path)));
        }
        let file = memory.create(&name);
        Ok(io::BufWriter::new(Box::new(Pen {
            memory: self.memory.clone(),
            file,
        })))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.get(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.memory.lock().replace(&self.at(path), data);
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.memory.lock().sync_folder(&self.path);
        Ok(())
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        let name = self.at(&lock.filepath);
        let mut held = self.locks.held.lock();
        while !held.insert(name.clone()) {
            if !lock.is_blocking {
                return Err(LockError::LockBusy);
            }
            self.locks.released.wait(&mut held);
        }
        Ok(DirectoryLock::from(Box::new(Held {
            locks: self.locks.clone(),
            name,
        })))
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

struct Pen {
    memory: Arc<Mutex<Memory>>,
    file: usize,
}

impl Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.memory.lock().append(self.file, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for Pen {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.memory
            .lock()
            .steps
            .push(Step::SyncFile { file: self.file });
        Ok(())
    }
}

/// What is on the disk after a crash: folders without, files with content.
pub(crate) type Image = BTreeMap<String, Option<Arc<[u8]>>>;

/// The file system under a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    Ordered,
    Unordered,
}

/// How much of what was not synced survives.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Survives {
    Nothing,
    Everything,
    Some { reordered: bool, torn: bool },
}

#[derive(Default, Clone)]
struct File {
    synced: Arc<[u8]>,
    waiting: Vec<Arc<[u8]>>,
}

/// The history up to a point, split into what is durable and what is not.
pub(crate) struct Platter {
    model: Model,
    names: BTreeMap<String, Node>,
    waiting: Vec<Step>,
    files: Vec<File>,
    unsynced: Vec<usize>,
}

impl Platter {
    pub(crate) fn new(model: Model) -> Platter {
        let (names, waiting) = (BTreeMap::new(), Vec::new());
        Platter {
            model,
            names,
            waiting,
            files: Vec::new(),
            unsynced: Vec::new(),
        }
    }

    pub(crate) fn follow(&mut self, step: &Step) {
        match step {
            Step::Name { node, .. } => {
                let count = node.map_or(0, |file| file + 1).max(self.files.len());
                self.files.resize_with(count, File::default);
                self.waiting.push(step.clone());
            }
            Step::Folder { .. } => self.waiting.push(step.clone()),
            Step::Write { file, bytes } => {
                self.files[*file].waiting.push(bytes.clone());
                self.unsynced.push(*file);
            }
            Step::SyncFile { file } => {
                let content = &mut self.files[*file];
                let all =
                    content
                        .waiting
                        .drain(..)
                        .fold(content.synced.to_vec(), |mut all, more| {
                            all.extend_from_slice(&more);
                            all
                        });
                content.synced = all.into();
                self.unsynced.retain(|other| other != file);
                if self.model == Model::Ordered {
                    self.settle(|_| true);
                }
            }
            Step::SyncFolder { path } => match self.model {
                Model::Ordered => self.settle(|_| true),
                Model::Unordered => self.settle(|step| parent_of(step) == path),
            },
            Step::Begin { .. } | Step::Acked { .. } => {}
        }
    }

    fn settle(&mut self, is_durable: impl Fn(&Step) -> bool) {
        let waiting = std::mem::take(&mut self.waiting);
        for step in waiting {
            if is_durable(&step) {
                rename(&mut self.names, &step);
            } else {
                self.waiting.push(step);
            }
        }
    }

    /// One thing a crash now could leave.
    pub(crate) fn image(&self, survives: Survives, dice: &mut Dice) -> Image {
        let mut names = self.names.clone();
        let prefix = dice.roll(self.waiting.len() + 1);
        for (at, step) in self.waiting.iter().enumerate() {
            let kept = match (survives, self.model) {
                (Survives::Nothing, _) => false,
                (Survives::Everything, _) => true,
                (Survives::Some { .. }, Model::Ordered) => at < prefix,
                (Survives::Some { .. }, Model::Unordered) => dice.chance(2),
            };
            if kept {
                rename(&mut names, step);
            }
        }
        let mut image = Image::new();
        for (path, node) in &names {
            if ancestors(path).all(|folder| names.get(folder) == Some(&Node::Folder)) {
                let content = match node {
                    Node::Folder => None,
                    Node::File(file) => Some(self.files[*file].survivor(survives, dice)),
                };
                image.insert(path.clone(), content);
            }
        }
        image
    }
}

impl File {
    fn survivor(&self, survives: Survives, dice: &mut Dice) -> Arc<[u8]> {
        if self.waiting.is_empty() || matches!(survives, Survives::Nothing) {
            return self.synced.clone();
        }
        let prefix = dice.roll(self.waiting.len() + 1);
        let mut content = self.synced.to_vec();
        let mut offset = content.len();
        for (at, bytes) in self.waiting.iter().enumerate() {
            let (kept, torn) = match survives {
                Survives::Nothing => (false, false),
                Survives::Everything => (true, false),
                Survives::Some {
                    reordered: true,
                    torn,
                } => (dice.chance(2), torn),
                Survives::Some {
                    reordered: false,
                    torn,
                } => (at < prefix, torn && at + 1 == prefix),
            };
            if kept {
                let length = if torn {
                    dice.roll(bytes.len() + 1)
                } else {
                    bytes.len()
                };
                content.resize(content.len().max(offset + length), 0);
                content[offset..offset + length].copy_from_slice(&bytes[..length]);
            }
            offset += bytes.len();
        }
        content.into()
    }
}

fn rename(names: &mut BTreeMap<String, Node>, step: &Step) {
    match step {
        Step::Name { path, node, gone } => {
            match node {
                Some(file) => names.insert(path.clone(), Node::File(*file)),
                None => names.remove(path),
            };
            if let Some(gone) = gone {
                names.remove(gone);
            }
        }
        Step::Folder { path } => {
            names.insert(path.clone(), Node::Folder);
        }
        _ => {}
    }
}

fn parent_of(step: &Step) -> &str {
    match step {
        Step::Name { path, .. } | Step::Folder { path } => ancestors(path).next().unwrap_or(""),
        _ => "",
    }
}

fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(path.rsplit_once('/').map(|(parent, _)| parent), |path| {
        path.rsplit_once('/').map(|(parent, _)| parent)
    })
}
