//! The way of a watcher through the changes: in the ring, or on disk where the ring has forgotten.
//!
//! Each piece is bounded. The version moves behind a change when its visitor has returned, so an
//! error or a break leaves the watcher between two changes. No lock and no view of the disk is
//! held while a visitor runs.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Pending, Watch};
use crate::Error;
use crate::feed::commit::Change;
use crate::feed::lens::{Lens, Verdicts};
use crate::feed::past::{self, Piece};
use crate::feed::ring::Chunk;
use crate::feed::sight::{Sight, Verdict};
use crate::feed::track::Run;
use crate::model::{EventKind, Revision, Version};

/// How many changes of the ring one visit looks at.
const VISIT_CHANGES_MAX: usize = 1_024;

/// A chunk that is being read, and what is known of it if others look through the same lens.
struct Held {
    chunk: Arc<Chunk>,
    lens: u64,
    verdicts: Option<Verdicts>,
    /// What was known of it at the beginning.
    known: Verdicts,
}

impl Held {
    fn new(chunk: Option<Arc<Chunk>>, lens: &Arc<Lens>) -> Option<Self> {
        let chunk = chunk?;
        let verdicts = lens.is_shared().then(|| chunk.memo.get(lens.id));
        Some(Held {
            chunk,
            lens: lens.id,
            verdicts,
            known: verdicts.unwrap_or_default(),
        })
    }

    fn has(&self, version: Version) -> bool {
        self.chunk.get(version).is_some()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(verdicts) = self.verdicts
            && verdicts != self.known
        {
            self.chunk.memo.put(self.lens, &verdicts);
        }
    }
}

impl Watch {
    /// Visits the changes in these runs, which are all that can matter up to the last of them;
    /// whether it came to the end.
    pub(super) fn visit_runs(
        &mut self,
        runs: &[Run],
        visitor: &mut impl FnMut(Sight<'_>) -> Verdict,
    ) -> Result<bool, Error> {
        let mut budget = VISIT_CHANGES_MAX;
        let mut held: Option<Held> = None;
        for run in runs {
            let mut next = run.first;
            while next <= run.last {
                if !held.as_ref().is_some_and(|held| held.has(next)) {
                    held = Held::new(self.seat.hub().find(next), self.seat.lens());
                }
                let Some(Held {
                    chunk, verdicts, ..
                }) = &mut held
                else {
                    // What was visited so far stands; the rest is read at the next call.
                    if budget == VISIT_CHANGES_MAX {
                        self.read_at(runs)?;
                        self.hand_out(visitor);
                    }
                    return Ok(false);
                };
                while next <= run.last
                    && let Some(change) = chunk.get(next)
                {
                    let lens = self.seat.lens();
                    let kind = match verdicts {
                        Some(verdicts) => {
                            let slot = chunk.slot(next).unwrap_or_default();
                            verdicts.judge(lens, slot, change)
                        }
                        None => lens.judge(change),
                    };
                    if self.show(kind, change, visitor)?.is_break() || budget == 0 {
                        return Ok(false);
                    }
                    budget -= 1;
                    next = next.next();
                }
            }
        }
        Ok(true)
    }

    /// Reads the first changes of these runs from disk.
    fn read_at(&mut self, runs: &[Run]) -> Result<(), Error> {
        let versions = runs.iter().flat_map(|run| run.first.get()..=run.last.get());
        let piece = past::read_at(
            &*self.disk,
            &self.collection,
            self.version,
            versions.map(Version::new),
        )?;
        self.keep(&piece)
    }

    /// Visits what the ring has next, or else the log on disk.
    pub(super) fn visit_log(
        &mut self,
        head: Version,
        visitor: &mut impl FnMut(Sight<'_>) -> Verdict,
    ) -> Result<(), Error> {
        let Some(chunk) = self.seat.hub().find(self.version.next()) else {
            let piece = past::read_log(&*self.disk, &self.collection, self.version, head)?;
            self.keep(&piece)?;
            self.hand_out(visitor);
            return Ok(());
        };
        while self.version < head
            && let Some(change) = chunk.get(self.version.next())
        {
            if !self.collection.contains(change.revision.key()) {
                self.version = change.revision.version();
                continue;
            }
            let kind = self.seat.lens().judge(change);
            if self.show(kind, change, visitor)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Shows one change if it matches, and moves behind it.
    fn show(
        &mut self,
        kind: Option<EventKind>,
        change: &Change,
        visitor: &mut impl FnMut(Sight<'_>) -> Verdict,
    ) -> Result<Verdict, Error> {
        let header = change.revision.header();
        let verdict = match kind {
            None => Verdict::Continue(()),
            Some(kind) if left(kind, change) => {
                let last = self.last_shown(change)?;
                visitor(Sight::new(kind, header, &last))
            }
            Some(kind) => visitor(Sight::new(kind, header, &change.revision)),
        };
        self.version = header.version;
        Ok(verdict)
    }

    /// The last revision that matched, for an object that lives on out of sight.
    fn last_shown(&self, change: &Change) -> Result<Revision, Error> {
        let previous = change.revision.header().previous.unwrap_or_default();
        let chunk = self.seat.hub().find(previous);
        if let Some(found) = chunk.as_ref().and_then(|chunk| chunk.get(previous)) {
            return Ok(found.revision.clone());
        }
        let last = self.disk.revision(previous)?;
        last.ok_or_else(|| past::missing(&*self.disk, &self.collection, self.version, previous))
    }

    /// Keeps the events of a piece of the log to hand them out.
    fn keep(&mut self, piece: &Piece) -> Result<(), Error> {
        let mut events = VecDeque::new();
        for change in &piece.changes {
            let Some(kind) = self.seat.lens().judge(change) else {
                continue;
            };
            let object = if left(kind, change) {
                self.last_shown(change)?
            } else {
                change.revision.clone()
            };
            let sight = Sight::new(kind, change.revision.header(), &object);
            events.push_back(sight.to_event());
        }
        let read = piece.last;
        self.pending = Some(Box::new(Pending { events, read }));
        Ok(())
    }

    /// Hands out what is pending.
    pub(super) fn hand_out(&mut self, visitor: &mut impl FnMut(Sight<'_>) -> Verdict) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        while let Some(event) = pending.events.pop_front() {
            self.version = event.version;
            if visitor(Sight::of(&event)).is_break() {
                return;
            }
        }
    }
}

/// Whether the object lives on, but no longer matches.
fn left(kind: EventKind, change: &Change) -> bool {
    kind == EventKind::Deleted && change.revision.header().is_live()
}
