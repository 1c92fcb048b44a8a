//! The log on disk, read for a watcher: in sequence, or at versions that are known to matter.
//!
//! Both answers are bounded, and both end in [`gone`] when the log no longer has what is asked
//! for: that is the one place which knows how far the log reaches back.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::commit::Change;
use crate::Error;
use crate::disk::View;
use crate::model::{Collection, Header, Revision, Version};

/// How many revisions one step reads.
const STEP_REVISIONS_MAX: usize = 256;
/// How many bytes of bodies one step keeps, the last one not counted.
const STEP_BYTES: usize = 1024 * 1024;

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
    view: &dyn View,
    of: &Collection,
    after: Version,
    head: Version,
) -> Result<Piece, Error> {
    let mut kept = Vec::new();
    let (mut seen, mut bytes) = (0, 0);
    let mut last = after;
    let mut is_whole = true;
    view.log(after, &mut |revision| {
        is_whole = revision.version() == last.next();
        if !is_whole {
            return Ok(ControlFlow::Break(()));
        }
        last = revision.version();
        seen += 1;
        if of.contains(revision.key()) {
            bytes += revision.body().len();
            kept.push(revision);
        }
        let enough = last == head || seen == STEP_REVISIONS_MAX || bytes >= STEP_BYTES;
        Ok(if enough {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    if last == after || !is_whole {
        return Err(gone(view, last)?);
    }
    let changes = kept
        .into_iter()
        .map(|revision| change(view, revision))
        .collect::<Result<_, _>>()?;
    Ok(Piece { changes, last })
}

/// Reads the revisions at these versions, which are all that matter behind `after`.
pub(super) fn read_at(
    view: &dyn View,
    after: Version,
    at: impl Iterator<Item = Version>,
) -> Result<Piece, Error> {
    let (mut changes, mut last, mut bytes) = (Vec::new(), after, 0);
    for version in at.take(STEP_REVISIONS_MAX) {
        let Some(revision) = view.revision(version)? else {
            return Err(gone(view, last)?);
        };
        last = version;
        bytes += revision.body().len();
        changes.push(change(view, revision)?);
        if bytes >= STEP_BYTES {
            break;
        }
    }
    Ok(Piece { changes, last })
}

/// A revision with what was there before it.
fn change(view: &dyn View, revision: Revision) -> Result<Change, Error> {
    let before = match revision.header().previous {
        Some(previous) => view.header(previous)?.filter(Header::is_live).map(Arc::new),
        None => None,
    };
    Ok(Change { revision, before })
}

/// Why the log cannot be read behind this version: its beginning was removed, or it is damaged.
fn gone(view: &dyn View, requested: Version) -> Result<Error, Error> {
    let mut first = None;
    view.log(requested, &mut |revision| {
        first = Some(revision.version());
        Ok(ControlFlow::Break(()))
    })?;
    Ok(match first {
        Some(first) if first > requested.next() => Error::Gone {
            requested,
            oldest: Version::new(first.get() - 1),
        },
        _ => Error::corrupt(format!(
            "the log has no revision behind {requested}, but newer ones were published"
        )),
    })
}
