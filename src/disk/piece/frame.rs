//! Frames: the sealed parts of a piece, each tied to the one before.
//!
//! The length of a payload stands in a head with a check of its own, so no damage makes a reader
//! take memory that the bytes do not fill.

use std::io::{self, Read, Write};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{FRAME_BYTES_MAX, bad, take};
use crate::Error;

/// What stands in front of a payload.
pub(super) const HEAD_BYTES: usize = 32;
/// How much of that its own check covers.
const SEALED_BYTES: usize = 24;

/// A frame that is being filled.
#[derive(Debug)]
pub(super) struct Frame {
    kind: u32,
    count: u32,
    bytes: Vec<u8>,
}

impl Frame {
    pub(super) fn new(kind: u32) -> Self {
        Frame {
            kind,
            count: 0,
            bytes: vec![0; HEAD_BYTES],
        }
    }

    /// Adds an entry, which is these parts one after the other.
    pub(super) fn push(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.count += 1;
    }

    /// The length of the payload.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - HEAD_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Seals and writes the frame; says what the next one is tied to. It is empty then.
    pub(super) fn write(&mut self, out: &mut dyn Write, seed: u64) -> io::Result<u64> {
        let (head, payload) = self.bytes.split_at_mut(HEAD_BYTES);
        let mut sealed = Vec::with_capacity(HEAD_BYTES);
        sealed.extend_from_slice(&self.kind.to_le_bytes());
        sealed.extend_from_slice(&self.count.to_le_bytes());
        sealed.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        sealed.extend_from_slice(&xxh3_64_with_seed(payload, seed).to_le_bytes());
        let next = xxh3_64_with_seed(&sealed, seed);
        sealed.extend_from_slice(&next.to_le_bytes());
        head.copy_from_slice(&sealed);
        out.write_all(&self.bytes)?;
        self.bytes.truncate(HEAD_BYTES);
        self.count = 0;
        Ok(next)
    }
}

/// A frame that was read and is sound.
#[derive(Debug, Default)]
pub(super) struct Sound {
    pub(super) kind: u32,
    pub(super) count: u32,
    pub(super) payload: Vec<u8>,
}

/// Bytes of a piece, read frame by frame.
#[derive(Debug)]
pub(super) struct Frames<R> {
    input: R,
    /// The name of the piece, for messages.
    pub(super) name: String,
    seed: u64,
    /// How far it was read.
    pub(super) at: u64,
}

impl<R: Read> Frames<R> {
    pub(super) fn new(input: R, name: String) -> Self {
        Frames {
            input,
            name,
            seed: 0,
            at: 0,
        }
    }

    /// Reads exactly so many bytes, in the memory they fill.
    pub(super) fn bytes(&mut self, length: u64, into: &mut Vec<u8>) -> Result<(), Error> {
        into.clear();
        let read = (&mut self.input).take(length).read_to_end(into);
        read.map_err(|why| self.unread(&why))?;
        if (into.len() as u64) < length {
            let end = self.at + into.len() as u64;
            return Err(bad(&self.name, format!("it is cut off at byte {end}")));
        }
        self.at += length;
        Ok(())
    }

    /// Reads the next frame into this one.
    pub(super) fn next(&mut self, frame: &mut Sound) -> Result<(), Error> {
        let start = self.at;
        self.bytes(HEAD_BYTES as u64, &mut frame.payload)?;
        let damaged = || bad(&self.name, format!("it is damaged at byte {start}"));
        let (sealed, mut check) = frame.payload.split_at(SEALED_BYTES);
        let next = xxh3_64_with_seed(sealed, self.seed);
        if take(&mut check).map(u64::from_le_bytes) != Some(next) {
            return Err(damaged());
        }
        let mut sealed = sealed;
        let mut small = || take(&mut sealed).map(u32::from_le_bytes);
        let (kind, count) = small().zip(small()).ok_or_else(damaged)?;
        let mut large = || take(&mut sealed).map(u64::from_le_bytes);
        let (length, payload) = large().zip(large()).ok_or_else(damaged)?;
        if length > FRAME_BYTES_MAX {
            return Err(damaged());
        }
        self.bytes(length, &mut frame.payload)?;
        if xxh3_64_with_seed(&frame.payload, self.seed) != payload {
            return Err(bad(
                &self.name,
                format!("it is damaged behind byte {start}"),
            ));
        }
        (frame.kind, frame.count, self.seed) = (kind, count, next);
        Ok(())
    }

    /// Whether nothing follows.
    pub(super) fn is_at_end(&mut self) -> Result<bool, Error> {
        let mut more = Vec::new();
        let read = (&mut self.input).take(1).read_to_end(&mut more);
        read.map_err(|why| self.unread(&why))?;
        Ok(more.is_empty())
    }

    fn unread(&self, why: &io::Error) -> Error {
        Error::Io {
            what: format!("cannot read {}", self.name),
            reason: why.to_string(),
        }
    }
}
