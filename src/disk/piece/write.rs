//! Writing a piece: head and floors at once, then revision after revision, then the end.

use std::io::Write;

use super::frame::Frame;
use super::{END, FLOORS, FRAME_BYTES, HEAD, Intro, MAGIC, REVISIONS, Summary};
use crate::Error;
use crate::model::Version;

/// A piece that is being written. Dropped without [`Writer::finish`], it is cut off.
pub(in crate::disk) struct Writer<'a> {
    out: &'a mut dyn Write,
    frame: Frame,
    seed: u64,
    summary: Summary,
    alone: u64,
}

fn failed(why: &std::io::Error) -> Error {
    Error::Io {
        what: "cannot write the backup".to_owned(),
        reason: why.to_string(),
    }
}

impl<'a> Writer<'a> {
    /// Writes the head and the floors.
    pub(in crate::disk) fn begin(out: &'a mut dyn Write, intro: &Intro) -> Result<Self, Error> {
        out.write_all(&MAGIC).map_err(|why| failed(&why))?;
        let mut writer = Writer {
            out,
            frame: Frame::new(HEAD),
            seed: 0,
            summary: Summary {
                head: intro.head,
                revisions: 0,
                bytes: MAGIC.len() as u64,
            },
            alone: 0,
        };
        let head = intro.head.to_bytes(intro.floors.removed());
        writer.frame.push(&[&head]);
        writer.turn(FLOORS)?;
        for (prefix, version) in intro.floors.all() {
            let length = length_of(prefix.as_bytes())?;
            let version = version.get().to_le_bytes();
            writer.push(&[&length, &version, prefix.as_bytes()])?;
        }
        writer.turn(REVISIONS)?;
        Ok(writer)
    }

    /// Adds the stored bytes of a revision; without a header those of a body alone.
    pub(in crate::disk) fn add(
        &mut self,
        version: Version,
        header: Option<&[u8]>,
        body: &[u8],
    ) -> Result<(), Error> {
        match header {
            Some(_) => self.summary.revisions += 1,
            None => self.alone += 1,
        }
        let header = header.unwrap_or_default();
        let (header_length, body_length) = (length_of(header)?, length_of(body)?);
        let version = version.get().to_le_bytes();
        self.push(&[&version, &header_length, &body_length, header, body])
    }

    /// Writes the end. Says what was written.
    pub(in crate::disk) fn finish(mut self) -> Result<Summary, Error> {
        self.turn(END)?;
        let counts = [self.summary.revisions, self.alone].map(u64::to_le_bytes);
        self.frame.push(&[&counts.concat()]);
        self.turn(END)?;
        self.out.flush().map_err(|why| failed(&why))?;
        Ok(self.summary)
    }

    fn push(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        self.frame.push(parts);
        if self.frame.len() >= FRAME_BYTES {
            self.put()?;
        }
        Ok(())
    }

    /// Writes what was gathered, and begins a frame of this kind.
    fn turn(&mut self, kind: u32) -> Result<(), Error> {
        if !self.frame.is_empty() {
            self.put()?;
        }
        self.frame = Frame::new(kind);
        Ok(())
    }

    fn put(&mut self) -> Result<(), Error> {
        let before = self.frame.len();
        let written = self.frame.write(self.out, self.seed);
        self.seed = written.map_err(|why| failed(&why))?;
        self.summary.bytes += before as u64 + super::frame::HEAD_BYTES as u64;
        Ok(())
    }
}

fn length_of(part: &[u8]) -> Result<[u8; 4], Error> {
    let length = u32::try_from(part.len());
    let length = length.map_err(|_| Error::corrupt("a stored row is larger than 4 GiB"))?;
    Ok(length.to_le_bytes())
}
