//! One tantivy index: some of the namespaces of a generation.
//!
//! A shard is opened without a writer; [`Writers`] opens one when there is something to write and
//! keeps few of them open. Merging removes deleted documents once they are a third of a segment.

use std::io;
use std::path::{Path, PathBuf};

use tantivy::directory::Directory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::schema::Schema;
use tantivy::{IndexReader, IndexWriter, ReloadPolicy, Searcher};

use crate::directory::{LIST_FILE, META_FILE, SealedDirectory};
use crate::error::{Error, Result};
use crate::manifest::{self, Payload};

/// From which share of deleted documents a segment is rewritten.
const DELETED_RATIO_MAX: f32 = 0.3;
/// How many segments of a size come together before they are merged.
const MERGE_SEGMENTS_MIN: usize = 8;
/// Segments below this many documents count as being of one size.
const MERGE_LAYER_DOCUMENTS: u32 = 2_000;

pub(crate) struct Shard {
    pub(crate) id: u16,
    index: tantivy::Index,
    reader: IndexReader,
    pub(crate) committed: u64,
}

impl Shard {
    /// Makes an empty shard.
    pub(crate) fn create(id: u16, directory: SealedDirectory, schema: &Schema) -> Result<Shard> {
        let settings = tantivy::IndexSettings::default();
        let index = tantivy::Index::create(directory, schema.clone(), settings)?;
        let reader = reader(&index)?;
        Ok(Shard {
            id,
            index,
            reader,
            committed: 0,
        })
    }

    /// Opens a shard, checking every byte first if told to. None if there is none.
    pub(crate) fn open(
        id: u16,
        directory: SealedDirectory,
        schema: &Schema,
        verify: bool,
    ) -> Result<Option<(Shard, Option<Payload>)>> {
        if !directory
            .exists(Path::new(META_FILE))
            .map_err(tantivy::TantivyError::from)?
        {
            return Ok(None);
        }
        let index = tantivy::Index::open(directory)?;
        if index.schema() != *schema {
            return Err(Error::damaged(format!("shard {id}: another schema")));
        }
        if verify {
            check_sums(id, &index)?;
        }
        let payload = match index.load_metas()?.payload {
            None => None,
            Some(text) => match manifest::read::<Payload>(text.as_bytes()) {
                Some(payload) => Some(payload),
                None => return Err(Error::damaged(format!("shard {id}: an unreadable payload"))),
            },
        };
        let reader = reader(&index)?;
        let committed = payload.as_ref().map_or(0, |payload| payload.version);
        Ok(Some((
            Shard {
                id,
                index,
                reader,
                committed,
            },
            payload,
        )))
    }

    /// Lets new searches see the newest commit.
    pub(crate) fn reload(&self) -> Result<()> {
        Ok(self.reader.reload()?)
    }

    /// Removes what a crash left of a commit: nobody lists it, and the repeated commit names its
    /// files of deletions as the lost one did.
    pub(crate) fn sweep(&self, files: impl Iterator<Item = PathBuf>) -> Result<()> {
        let mut living = self.index.load_metas()?.list_segment_files();
        living.extend([META_FILE, LIST_FILE].map(PathBuf::from));
        let directory = self.index.directory();
        files
            .filter(|file| !living.contains(file))
            .try_for_each(|file| directory.delete(&file))
            .map_err(|error| Error::Io(io::Error::other(error)))
    }

    /// Makes the names of all files durable, those tantivy only tidied up included.
    pub(crate) fn sync(&self) -> Result<()> {
        Ok(self.index.directory().sync_directory()?)
    }

    pub(crate) fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }
}

fn reader(index: &tantivy::Index) -> Result<IndexReader> {
    Ok(index
        .reader_builder()
        .reload_policy(ReloadPolicy::Manual)
        .try_into()?)
}

/// Every file of every segment has its checksum in a footer; a file cut short has no footer.
fn check_sums(id: u16, index: &tantivy::Index) -> Result<()> {
    for path in index.load_metas()?.list_segment_files() {
        let exists = index
            .directory()
            .exists(&path)
            .map_err(tantivy::TantivyError::from)?;
        let sound = exists && index.directory().validate_checksum(&path).unwrap_or(false);
        if exists && !sound {
            return Err(Error::damaged(format!(
                "shard {id}: {} is damaged",
                path.display()
            )));
        }
    }
    Ok(())
}

/// The open writers, the most recently used last.
pub(crate) struct Writers {
    open: Vec<Writer>,
    open_max: usize,
    memory_bytes: usize,
}

struct Writer {
    shard: u16,
    writer: IndexWriter,
    dirty: bool,
}

/// Merges end with their writer: one that went on would remove files under whoever opens the
/// folder next.
impl Drop for Writers {
    fn drop(&mut self) {
        for writer in self.open.drain(..) {
            // Without a commit: what was not committed is forgotten.
            if let Err(error) = writer.writer.wait_merging_threads() {
                tracing::debug!(%error, "a writer did not end cleanly");
            }
        }
    }
}

impl Writers {
    pub(crate) fn new(open_max: usize, memory_bytes: usize) -> Writers {
        Writers {
            open: Vec::new(),
            open_max,
            memory_bytes,
        }
    }

    pub(crate) fn open_count(&self) -> usize {
        self.open.len()
    }

    /// The writer of a shard, opened if need be; the least recently used one gives way. The caller
    /// is going to write, so the writer counts as dirty until [`Writers::commit`].
    pub(crate) fn of(&mut self, shard: &Shard) -> Result<&mut IndexWriter> {
        let writer = match self.open.iter().position(|writer| writer.shard == shard.id) {
            Some(at) => self.open.remove(at),
            None => {
                while self.open.len() >= self.open_max {
                    close(self.open.remove(0))?;
                }
                Writer {
                    shard: shard.id,
                    writer: self.start(shard)?,
                    dirty: false,
                }
            }
        };
        self.open.push(writer);
        let Some(writer) = self.open.last_mut() else {
            return Err(Error::damaged("no writer"));
        };
        writer.dirty = true;
        Ok(&mut writer.writer)
    }

    fn start(&self, shard: &Shard) -> Result<IndexWriter> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(self.memory_bytes)
            .build();
        let writer = shard.index.writer_with_options(options)?;
        let mut policy = LogMergePolicy::default();
        policy.set_min_num_segments(MERGE_SEGMENTS_MIN);
        policy.set_min_layer_size(MERGE_LAYER_DOCUMENTS);
        policy.set_del_docs_ratio_before_merge(DELETED_RATIO_MAX);
        writer.set_merge_policy(Box::new(policy));
        Ok(writer)
    }

    /// Makes what was written to a shard durable, together with the payload.
    pub(crate) fn commit(&mut self, shard: &Shard, payload: &[u8]) -> Result<()> {
        let writer = self.of(shard)?;
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&String::from_utf8_lossy(payload));
        commit.commit()?;
        if let Some(writer) = self.open.last_mut() {
            writer.dirty = false;
        }
        Ok(())
    }

    /// Closes every writer, letting merges end.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.open.drain(..).try_for_each(close)
    }
}

/// Lets running merges end; a writer dropped without that would throw their work away. Only a
/// generation that is still being built closes a writer with something uncommitted in it.
fn close(mut writer: Writer) -> Result<()> {
    if writer.dirty {
        writer.writer.commit()?;
    }
    Ok(writer.writer.wait_merging_threads()?)
}
