//! Walks over tables that may be damaged: they go on behind what cannot be read.
//!
//! The engine reads a row by descending through pages. Where one of them is damaged, all rows below
//! it are out of reach, and a scan ends there. The rows of the history are numbered, so a walk
//! looks for the first number from which a scan works again: first in steps that double, then by
//! halving. `check` and `repair` call.
//!
//! An error of the medium ends a walk; it says nothing of what is stored.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::Shelf;
use super::tables::{Base, ByVersion, failed};
use crate::Error;

/// What a walk comes to.
pub(super) enum Sight<'a> {
    /// A row.
    Row(u64, &'a [u8]),
    /// Numbers that cannot be read, first and last, and why.
    Gap(u64, u64, &'a str),
}

/// The tables of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum History {
    Headers,
    Bodies,
}

impl Base {
    fn history(&self, table: History) -> &ByVersion {
        match table {
            History::Headers => &self.header,
            History::Bodies => &self.body,
        }
    }

    /// What `look` makes of the bytes of a row.
    pub(super) fn row<T>(
        &self,
        table: History,
        version: u64,
        look: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.read(|| {
            let row = self.history(table).get(version).map_err(failed)?;
            row.map(|row| look(row.value())).transpose()
        })
    }

    /// Visits every row up to the version `last`, and what of it cannot be read, each number once.
    /// `visit` says whether a row is what its number says.
    pub(super) fn walk(
        &self,
        table: History,
        last: u64,
        visit: &mut dyn FnMut(Sight<'_>) -> bool,
    ) -> Result<(), Error> {
        let table = self.history(table);
        let mut next = 1;
        // The rows that are not what their number says: a walk comes to one again if it ends
        // behind it.
        let mut wrong = BTreeSet::new();
        while next <= last {
            let result = self.read(|| {
                for row in table.range(next..=last).map_err(failed)? {
                    let (version, bytes) = row.map_err(failed)?;
                    let version = version.value();
                    // A damaged number must not make the walk pass over those below it.
                    if wrong.contains(&version) {
                        continue;
                    }
                    if !visit(Sight::Row(version, bytes.value())) {
                        wrong.insert(version);
                    } else if version >= next {
                        next = version.saturating_add(1);
                    }
                }
                Ok(())
            });
            let Err(error) = result else {
                return Ok(());
            };
            let reason = reason_of(error)?;
            let again = self.first_readable(table, next, last)?;
            for at in wrong.range(next..again).copied().chain([again]) {
                if next < at {
                    visit(Sight::Gap(next, at - 1, &reason));
                }
                next = at.saturating_add(1);
            }
            next = again;
        }
        Ok(())
    }

    /// The first number above `lost` from which rows can be read; behind `last` when there is none.
    fn first_readable(&self, table: &ByVersion, lost: u64, last: u64) -> Result<u64, Error> {
        let (mut low, mut step) = (lost, 1);
        let mut high = loop {
            let probe = low.saturating_add(step);
            if probe > last {
                break last + 1;
            }
            if self.reads_from(table, probe, last)? {
                break probe;
            }
            low = probe;
            step *= 2;
        };
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if self.reads_from(table, middle, last)? {
                high = middle;
            } else {
                low = middle;
            }
        }
        Ok(high)
    }

    fn reads_from(&self, table: &ByVersion, from: u64, last: u64) -> Result<bool, Error> {
        let result = self.read(|| {
            if let Some(row) = table.range(from..=last).map_err(failed)?.next() {
                let (version, bytes) = row.map_err(failed)?;
                let _ = (version.value(), bytes.value().len());
            }
            Ok(())
        });
        result.map_or_else(|error| reason_of(error).map(|_| false), |()| Ok(true))
    }

    /// Visits the entries of a shelf up to the first that is out of reach; says why it ended there.
    pub(super) fn walk_shelf(
        &self,
        shelf: Shelf,
        visit: &mut dyn FnMut(&str, &[u8]),
    ) -> Result<Option<String>, Error> {
        let result = self.scan(shelf, "", None, &mut |key, bytes| {
            visit(key, bytes);
            Ok(ControlFlow::Continue(()))
        });
        result.map_or_else(|error| reason_of(error).map(Some), |()| Ok(None))
    }
}

/// Why something stored cannot be read; any other error is given back.
pub(super) fn reason_of(error: Error) -> Result<String, Error> {
    match error {
        Error::Corrupt { reason } => Ok(reason),
        other => Err(other),
    }
}
