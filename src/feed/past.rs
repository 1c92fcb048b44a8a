//! The log on disk, read for a watcher: in sequence, or at versions that are known to matter.
//!
//! Both answers are bounded. Retention removes revisions at any place of the log, so a version
//! that is missing says nothing by itself: what a watcher must not miss is missing only if the
//! compacted version of its collection has passed it. That is looked up *after* the reading, so a
//! removal that came between two reads is seen too.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::commit::Change;
use crate::Error;
use crate::disk::{Disk, Visit};
use crate::model::{Collection, Header, Revision, Version};

/// How many revisions one step reads.
const STEP_REVISIONS_MAX: usize = 256;
/// How many bytes of bodies one step keeps, the last one not counted.
const STEP_BYTES: usize = 1024 * 1024;

/// What a watcher asks of the disk. Each call sees the newest committed state; a revision never
/// changes, so two calls agree.
pub(crate) trait Archive: Send + Sync + 'static {
    /// Visits the log in order, from the revision after this version.
    fn log(&self, after: Version, visit: Visit<'_, Revision>) -> Result<(), Error>;

    /// A revision.
    fn revision(&self, version: Version) -> Result<Option<Revision>, Error>;

    /// The header of a revision.
    fn header(&self, version: Version) -> Result<Option<Arc<Header>>, Error>;

    /// The compacted version of a collection.
    fn floor(&self, of: &Collection) -> Result<Version, Error>;
}

impl Archive for Disk {
    fn log(&self, after: Version, visit: Visit<'_, Revision>) -> Result<(), Error> {
        self.view()?.log(after, visit)
    }

    fn revision(&self, version: Version) -> Result<Option<Revision>, Error> {
        self.view()?.revision(version)
    }

    fn header(&self, version: Version) -> Result<Option<Arc<Header>>, Error> {
        self.view()?.header(version)
    }

    fn floor(&self, of: &Collection) -> Result<Version, Error> {
        Ok(self.view()?.floors()?.get(of))
    }
}

/// A piece of the log.
pub(super) struct Piece {
    /// The changes in it that may matter.
    pub(super) changes: Vec<Change>,
    /// Where it ends.
    pub(super) last: Version,
}

/// Reads the log behind `after` in sequence, not beyond `head`: a batch that is on disk and not
/// yet published would end in the middle.
pub(super) fn read_log(
    log: &dyn Archive,
    of: &Collection,
    after: Version,
    head: Version,
) -> Result<Piece, Error> {
    let mut kept = Vec::new();
    let (mut seen, mut bytes) = (0, 0);
    let (mut last, mut hole) = (after, after);
    let mut is_full = false;
    log.log(after, &mut |revision| {
        let version = revision.version();
        if version > head {
            return Ok(ControlFlow::Break(()));
        }
        if version != last.next() {
            hole = Version::new(version.get() - 1);
        }
        last = version;
        seen += 1;
        if of.contains(revision.key()) {
            bytes += revision.body().len();
            kept.push(revision);
        }
        is_full = seen == STEP_REVISIONS_MAX || bytes >= STEP_BYTES;
        Ok(if is_full {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    if !is_full && last < head {
        // Nothing more is there up to the head.
        (last, hole) = (head, head);
    }
    let changes = kept
        .into_iter()
        .map(|revision| change(log, revision))
        .collect::<Result<_, _>>()?;
    check_kept(log, of, after)?;
    if hole > after && hole > log.floor(&Collection::all())? {
        return Err(Error::corrupt(format!("the log has no revision {hole}")));
    }
    Ok(Piece { changes, last })
}

/// Reads the revisions at these versions, which are all that matter behind `after`.
pub(super) fn read_at(
    log: &dyn Archive,
    of: &Collection,
    after: Version,
    at: impl Iterator<Item = Version>,
) -> Result<Piece, Error> {
    let (mut changes, mut last, mut bytes) = (Vec::new(), after, 0);
    for version in at.take(STEP_REVISIONS_MAX) {
        let Some(revision) = log.revision(version)? else {
            return Err(missing(log, of, after, version));
        };
        last = version;
        bytes += revision.body().len();
        changes.push(change(log, revision)?);
        if bytes >= STEP_BYTES {
            break;
        }
    }
    check_kept(log, of, after)?;
    Ok(Piece { changes, last })
}

/// A revision with what was there before it.
fn change(log: &dyn Archive, revision: Revision) -> Result<Change, Error> {
    let before = match revision.header().previous {
        Some(previous) => log.header(previous)?.filter(|header| header.is_live()),
        None => None,
    };
    Ok(Change { revision, before })
}

/// Whether the log still has everything of this collection behind this version.
fn check_kept(log: &dyn Archive, of: &Collection, requested: Version) -> Result<(), Error> {
    let oldest = log.floor(of)?;
    if requested < oldest {
        return Err(Error::Gone { requested, oldest });
    }
    Ok(())
}

/// Why a revision is missing that a watcher at this version needs: it was removed, or the log is
/// damaged.
pub(super) fn missing(
    log: &dyn Archive,
    of: &Collection,
    requested: Version,
    version: Version,
) -> Error {
    match check_kept(log, of, requested) {
        Err(error) => error,
        Ok(()) => Error::corrupt(format!("revision {version} is missing")),
    }
}

#[cfg(test)]
mod tests {
    //! Would catch a watch that skips in silence what was removed from the log before it was read.
    use super::super::fake::{Log, revision};
    use super::*;

    const HEAD: u64 = 2_000;

    fn log() -> Log {
        let log = Log::default();
        let revisions: Vec<Revision> = (1..=HEAD)
            .map(|version| revision(version, ["a", "b"][version as usize % 2]))
            .collect();
        log.append(&revisions);
        log
    }

    /// Everything behind a version, piece by piece.
    fn read_all(log: &Log, mut after: u64) -> Result<Vec<u64>, Error> {
        let of = Collection::within("g", "r", "a")?;
        let mut versions = Vec::new();
        while after < HEAD {
            let head = Version::new(HEAD);
            let piece = read_log(log, &of, Version::new(after), head)?;
            let found = piece.changes.iter().map(|change| change.revision.version());
            versions.extend(found.map(Version::get));
            after = piece.last.get();
        }
        Ok(versions)
    }

    #[test]
    fn the_log_is_read_to_its_end_or_is_gone() {
        let log = log();
        for removed in [0, 1, 300, 301, HEAD - 1] {
            log.compact(Version::new(removed));
            for after in [0, 1, 2, 299, 300, 301, 1_000, HEAD - 1] {
                let wanted = (after + 1..=HEAD).filter(|version| version % 2 == 0);
                let expected = if after < removed {
                    Err(Error::Gone {
                        requested: Version::new(after),
                        oldest: Version::new(removed),
                    })
                } else {
                    Ok(wanted.collect())
                };
                assert_eq!(read_all(&log, after), expected, "{removed} removed");
            }
        }
    }

    #[test]
    fn a_single_revision_is_there_or_is_gone() {
        let log = log();
        log.compact(Version::new(500));
        let read = |after: u64, versions: &[u64]| {
            let versions = versions.iter().copied().map(Version::new);
            let of = Collection::within("g", "r", "a")?;
            let piece = read_at(&log, &of, Version::new(after), versions)?;
            Ok::<_, Error>((piece.changes.len(), piece.last.get()))
        };
        assert_eq!(read(500, &[502, 700]), Ok((2, 700)));
        let (requested, oldest) = (Version::new(490), Version::new(500));
        let gone = Err(Error::Gone { requested, oldest });
        assert_eq!(read(490, &[496, 502]), gone);
    }
}
