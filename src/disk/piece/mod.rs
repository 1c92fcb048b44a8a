//! A piece of a backup: what was committed after one version and up to another, as a stream of
//! bytes that proves itself.
//!
//! ```text
//! piece     | magic, 8 bytes | frame: head | frames: floors | frames: revisions | frame: end |
//! frame     | kind u32 | count u32 | length u64 | payload check u64 | head check u64 | payload |
//! head      | format u32 | epoch, 16 bytes | since u64 | version u64 | time u64 | removed u64 |
//! floors    count times: | length u32 | version u64 | prefix of a collection |
//! revisions count times: | version u64 | header length u32 | body length u32 | header | body |
//! end       | revisions u64 | bodies alone u64 |
//! ```
//!
//! Headers and bodies are the bytes of the tables, so a backup encodes nothing and a restore
//! decodes no body. A body without a header is that of a revision which retention has removed and
//! from which a kept one is built.
//!
//! Both checks of a frame are XXH3 with the head check of the frame before as their seed (zero for
//! the first), so that a frame which is missing, doubled or moved, or comes from another piece, is
//! found as a flipped bit is. Nothing follows the end.
//!
//! Invariants: a piece ends with a whole batch; its revisions are in version order, all above
//! `since` and none above `version`; a piece with a `since` lacks none of those between. Pieces of
//! one epoch make a chain where the `since` of each is the `version` of the one before.
//!
//! [`super::Disk::copy`] writes pieces, `store::backup` reads them. How it fails: damage is
//! [`Error::BadPiece`] with the name of the piece and the place. Absent on purpose: encryption,
//! and packing on top of that of the bodies.

mod frame;
mod read;
mod write;

use super::Floors;
use crate::Error;
use crate::model::{Epoch, Timestamp, Version};

pub(crate) use read::{Found, Reader};
pub(super) use write::Writer;

/// What a piece begins with.
const MAGIC: [u8; 8] = *b"annalsbk";
/// The format of pieces that this code writes, and the only one it reads.
const FORMAT: u32 = 1;

/// A frame is ended once its payload has so many bytes; one revision may make it longer.
const FRAME_BYTES: usize = 256 * 1024;
/// No payload is longer.
const FRAME_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// What the frames are.
const HEAD: u32 = 1;
const FLOORS: u32 = 2;
const REVISIONS: u32 = 3;
const END: u32 = 4;

/// What a piece of a backup says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The line of history that it was taken from.
    pub epoch: Epoch,
    /// It holds what was committed after this version; zero for a whole backup.
    pub since: Version,
    /// And up to this one.
    pub version: Version,
    /// The time of the revision at `version`; zero when retention has removed that one.
    pub time: Timestamp,
}

/// A piece that was written or read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What it says of itself.
    pub head: Head,
    /// How many revisions it holds.
    pub revisions: u64,
    /// How long it is, in bytes.
    pub bytes: u64,
}

/// The head of a piece with the floors behind it.
#[derive(Clone, Debug)]
pub(crate) struct Intro {
    pub(crate) head: Head,
    /// How far back the log reached at `version`.
    pub(crate) floors: Floors,
}

impl Head {
    fn to_bytes(self, removed: u64) -> Vec<u8> {
        let mut bytes = FORMAT.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.epoch.bytes());
        for number in [self.since.get(), self.version.get(), self.time.0, removed] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Reads a head, and how many revisions retention had removed.
    fn parse(mut bytes: &[u8]) -> Result<(Self, u64), String> {
        let short = || "its head is too short".to_owned();
        let format = u32::from_le_bytes(take(&mut bytes).ok_or_else(short)?);
        if format != FORMAT {
            return Err(format!(
                "it has format {format}, this program reads format {FORMAT}: use the release that \
                 wrote it, or a newer one"
            ));
        }
        let epoch = Epoch(take(&mut bytes).ok_or_else(short)?);
        let mut numbers = [0; 4];
        for number in &mut numbers {
            *number = u64::from_le_bytes(take(&mut bytes).ok_or_else(short)?);
        }
        let [since, version, time, removed] = numbers;
        if !bytes.is_empty() || since > version {
            return Err("its head makes no sense".to_owned());
        }
        let head = Head {
            epoch,
            since: Version::new(since),
            version: Version::new(version),
            time: Timestamp(time),
        };
        Ok((head, removed))
    }
}

/// Takes so many bytes from the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (front, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*front)
}

/// What the fuzz target of pieces calls: no bytes may panic, nor do they when each of them that
/// stands for a frame is sealed as a writer would.
#[doc(hidden)]
pub fn probe(data: &[u8]) {
    let walk = |bytes: &[u8]| {
        let reader = Reader::open(bytes, "it")?;
        reader.each(&mut |_| Ok(std::ops::ControlFlow::Continue(())))
    };
    drop(walk(data));
    let mut rest = data;
    let (mut piece, mut seed) = (MAGIC.to_vec(), 0);
    // A head that is sound comes first when the noise says so: little else gets past it.
    if rest.first().is_some_and(|byte| byte % 2 == 0) {
        let head = Head {
            epoch: Epoch([7; 16]),
            since: Version::ZERO,
            version: Version::new(300),
            time: Timestamp(0),
        };
        let mut frame = frame::Frame::new(HEAD);
        frame.push(&[&head.to_bytes(0)]);
        seed = frame.write(&mut piece, seed).unwrap_or_default();
    }
    while let Some([kind, count, length]) = take(&mut rest) {
        let (payload, behind) = rest.split_at(usize::from(length).min(rest.len()));
        rest = behind;
        let mut frame = frame::Frame::new(u32::from(kind) % 6);
        frame.push(&[payload]);
        (1..count % 4).for_each(|_| frame.push(&[]));
        seed = frame.write(&mut piece, seed).unwrap_or_default();
    }
    drop(walk(&piece));
}

fn bad(piece: &str, reason: impl Into<String>) -> Error {
    Error::BadPiece {
        piece: piece.to_owned(),
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    //! Would catch bytes that make a reader of pieces panic, also behind checks that fit.
    use proptest::prelude::*;

    use super::probe;

    proptest! {
        #[test]
        fn noise_never_panics(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            // Small numbers, which versions and lengths are made of.
            small in prop::collection::vec(0..9u8, 0..300),
        ) {
            probe(&bytes);
            probe(&small);
        }
    }
}
