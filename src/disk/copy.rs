//! Copying a state to a stream, as a piece of a backup: [`Disk::copy`].
//!
//! One [`View`] is copied, so the piece is exactly one version, whatever is committed meanwhile.
//! Rows are gathered a frame at a time and written between two looks at the tables: a slow reader
//! of the stream holds pages of redb back from being used again, and nothing else. Nobody waits
//! for a copy; when the tables have to be reopened, it is the copy that ends.

use std::io::Write;
use std::ops::ControlFlow;

use super::handle::Disk;
use super::piece::{Head, Intro, Summary, Writer};
use super::record::header_version;
use super::view::View;
use crate::Error;
use crate::model::{Timestamp, Version};

/// How many bytes are gathered before they are written, the last row not counted.
const STEP_BYTES: usize = 256 * 1024;

impl Disk {
    /// Writes everything committed after `since`; all there is when it is zero.
    pub(crate) fn copy(&self, since: Version, out: &mut dyn Write) -> Result<Summary, Error> {
        let view = self.view()?;
        check_since(&view, since)?;
        let newest = view.header(view.head())?;
        let intro = Intro {
            head: Head {
                epoch: self.epoch(),
                since,
                version: view.head(),
                time: newest.map_or_else(Timestamp::default, |newest| newest.time),
            },
            floors: view.floors()?.clone(),
        };
        let mut writer = Writer::begin(out, &intro)?;
        let (mut step, mut after) = (Step::default(), since);
        loop {
            after = step.gather(&view, after)?;
            if step.rows.is_empty() {
                return writer.finish();
            }
            step.put(&mut writer)?;
            if self.tables.is_broken() {
                return Err(Error::unavailable(
                    "the tables must be reopened, and the backup gives way: take it again",
                ));
            }
        }
    }
}

/// Whether nothing is missing behind this version.
fn check_since(view: &View, since: Version) -> Result<(), Error> {
    if since == Version::ZERO {
        return Ok(());
    }
    let (current, oldest) = (view.head(), view.floors()?.newest());
    if since > current {
        let requested = since;
        return Err(Error::Future { requested, current });
    }
    if since < oldest {
        let requested = since;
        return Err(Error::Gone { requested, oldest });
    }
    match view.header(since)? {
        Some(header) if header.batch_end != since => Err(Error::invalid(
            "since",
            format!(
                "version {since} is inside a batch: expected its end, {}",
                header.batch_end
            ),
        )),
        _ => Ok(()),
    }
}

/// Rows that were gathered: version, and the lengths of header and body in `bytes`.
#[derive(Default)]
struct Step {
    rows: Vec<(Version, Option<usize>, usize)>,
    bytes: Vec<u8>,
}

impl Step {
    /// Gathers the rows behind this version; says how far they reach.
    fn gather(&mut self, view: &View, after: Version) -> Result<Version, Error> {
        self.rows.clear();
        self.bytes.clear();
        let mut last = after;
        view.rows(after, &mut |version, header, body| {
            if let Some(header) = header {
                let found = header_version(header)?;
                if found != version {
                    return Err(Error::corrupt(format!(
                        "revision {found} stands in the place of {version}"
                    )));
                }
                self.bytes.extend_from_slice(header);
            }
            self.bytes.extend_from_slice(body);
            self.rows
                .push((version, header.map(<[u8]>::len), body.len()));
            last = version;
            Ok(if self.bytes.len() < STEP_BYTES {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            })
        })?;
        Ok(last)
    }

    fn put(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let mut rest = &*self.bytes;
        for &(version, header, body) in &self.rows {
            let (front, behind) = rest.split_at(header.unwrap_or_default());
            let (body, behind) = behind.split_at(body);
            writer.add(version, header.map(|_| front), body)?;
            rest = behind;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
