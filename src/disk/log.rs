//! The commit log: what makes a write durable, long before the tables have it.
//!
//! Two files are used in turn. Each commit appends one frame to the active file and syncs it; when
//! the other file's frames are all in the tables, the log may turn to that one and write over it.
//! Blocks that were written before sync faster than fresh ones, so a file keeps its length.
//!
//! ```text
//! file    | frame | frame | frame | what an earlier lap left, or zeros
//! frame   | magic u32 | count u32 | first version u64 | payload length u64 |
//!         | payload check u64 | head check u64 | payload | zeros up to a multiple of 8 |
//! payload count times: | header length u32 | body length u32 | header | body |
//! ```
//!
//! Both checks are XXH3 with a seed that only this store knows, so that no body can pose as a
//! frame. A frame without revisions voids the place of one whose fate was unknown.
//!
//! Invariants: a frame is written only when the one before it is durable, so at most the last one
//! can be torn; a file is written over only when the tables have all of it. Recovery therefore
//! takes every whole frame above what the tables have, wherever it stands, and demands that they
//! leave no gap: a torn tail is cut off, damage in the middle is an error.

use std::ops::Range;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::media::Media;
use crate::Error;
use crate::model::Version;

/// The names of the two files.
pub(super) const LOG_NAMES: [&str; 2] = ["log.0", "log.1"];

const MAGIC: u32 = 0x5a1c_0de5;
const HEAD_BYTES: usize = 40;
const ALIGN: usize = 8;
/// A file grows by at least this much, and at most by `GROWTH_MAX`, beyond what is needed.
const GROWTH_MIN: u64 = 64 * 1024;
const GROWTH_MAX: u64 = 4 * 1024 * 1024;
/// A file that one large batch has made longer than this is cut back when it is written over.
const KEPT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The stored bytes of one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) header: &'a [u8],
    pub(super) body: &'a [u8],
}

/// The bytes of one frame, built before the log is locked.
#[derive(Debug)]
pub(super) struct Frame {
    bytes: Vec<u8>,
    first: Version,
    count: u32,
}

impl Frame {
    /// A frame whose first revision gets this version.
    pub(super) fn new(first: Version) -> Self {
        Frame {
            bytes: vec![0; HEAD_BYTES],
            first,
            count: 0,
        }
    }

    /// Appends a revision.
    pub(super) fn push(&mut self, record: Record<'_>) -> Result<(), Error> {
        for part in [record.header, record.body] {
            let length = u32::try_from(part.len())
                .map_err(|_| Error::invalid("body", "is larger than 4 GiB".to_owned()))?;
            self.bytes.extend_from_slice(&length.to_le_bytes());
        }
        self.bytes.extend_from_slice(record.header);
        self.bytes.extend_from_slice(record.body);
        self.count += 1;
        Ok(())
    }

    /// Writes the head, now that the payload is known.
    fn seal(&mut self, seed: u64) {
        let length = (self.bytes.len() - HEAD_BYTES) as u64;
        let check = xxh3_64_with_seed(&self.bytes[HEAD_BYTES..], seed);
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.extend_from_slice(&MAGIC.to_le_bytes());
        head.extend_from_slice(&self.count.to_le_bytes());
        head.extend_from_slice(&self.first.get().to_le_bytes());
        head.extend_from_slice(&length.to_le_bytes());
        head.extend_from_slice(&check.to_le_bytes());
        head.extend_from_slice(&xxh3_64_with_seed(&head, seed).to_le_bytes());
        self.bytes[..HEAD_BYTES].copy_from_slice(&head);
        self.bytes
            .resize(self.bytes.len().next_multiple_of(ALIGN), 0);
    }
}

/// A whole frame found in a file.
#[derive(Debug)]
struct Found {
    file: usize,
    at: usize,
    end: usize,
    first: u64,
    count: u32,
    payload: Range<usize>,
}

impl Found {
    fn last(&self) -> u64 {
        self.first + u64::from(self.count) - 1
    }
}

/// Reads the frame that begins at `at`, if a whole one does.
fn read_frame(bytes: &[u8], file: usize, at: usize, seed: u64) -> Option<Found> {
    let head = bytes.get(at..at + HEAD_BYTES)?;
    let number = |range: Range<usize>| -> Option<u64> {
        Some(u64::from_le_bytes(head.get(range)?.try_into().ok()?))
    };
    let [magic, count] = [0, 4].map(|at| {
        let bytes: Option<[u8; 4]> = head.get(at..at + 4).and_then(|part| part.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    });
    if magic != MAGIC || number(32..40)? != xxh3_64_with_seed(&head[..32], seed) {
        return None;
    }
    let start = at + HEAD_BYTES;
    let stop = start.checked_add(usize::try_from(number(16..24)?).ok()?)?;
    let first = number(8..16)?;
    first.checked_add(u64::from(count))?;
    let whole = xxh3_64_with_seed(bytes.get(start..stop)?, seed) == number(24..32)?;
    whole.then(|| Found {
        file,
        at,
        end: stop.next_multiple_of(ALIGN),
        first,
        count,
        payload: start..stop,
    })
}

/// Every whole frame of a file, also those behind damage and those of earlier laps.
fn frames(bytes: &[u8], file: usize, seed: u64) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + HEAD_BYTES <= bytes.len() {
        match read_frame(bytes, file, at, seed) {
            Some(frame) => {
                at = frame.end;
                found.push(frame);
            }
            None => at += ALIGN,
        }
    }
    found
}

/// The records of a frame's payload.
fn records(mut payload: &[u8], count: u32) -> Result<Vec<Record<'_>>, Error> {
    let short = || Error::corrupt("a frame of the commit log ends inside a record");
    let mut found = Vec::new();
    for _ in 0..count {
        let mut lengths = [0; 2];
        for length in &mut lengths {
            let (bytes, rest) = payload.split_first_chunk::<4>().ok_or_else(short)?;
            *length = usize::try_from(u32::from_le_bytes(*bytes)).map_err(|_| short())?;
            payload = rest;
        }
        let (header, rest) = payload.split_at_checked(lengths[0]).ok_or_else(short)?;
        let (body, rest) = rest.split_at_checked(lengths[1]).ok_or_else(short)?;
        payload = rest;
        found.push(Record { header, body });
    }
    if !payload.is_empty() {
        return Err(Error::corrupt(
            "a frame of the commit log has too many bytes",
        ));
    }
    Ok(found)
}

/// A record, by where it stands in its file.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) version: Version,
    pub(super) header: Range<usize>,
    pub(super) body: Range<usize>,
}

/// The records of every whole frame of a file, of earlier laps too, whatever stands between them.
pub(super) fn whole_records(bytes: &[u8], seed: u64) -> Vec<Spot> {
    let mut spots = Vec::new();
    for frame in frames(bytes, 0, seed) {
        let mut at = frame.payload.start;
        let Ok(records) = records(&bytes[frame.payload.clone()], frame.count) else {
            continue;
        };
        for (record, number) in records.into_iter().zip(frame.first..) {
            let header = at + 8..at + 8 + record.header.len();
            at = header.end + record.body.len();
            spots.push(Spot {
                version: Version::new(number),
                body: header.end..at,
                header,
            });
        }
    }
    spots
}

/// The open log. One thread at a time appends.
#[derive(Debug)]
pub(super) struct CommitLog {
    files: [Arc<dyn Media>; 2],
    seed: u64,
    active: usize,
    /// Where the next frame goes.
    end: u64,
    /// How long the active file is.
    length: u64,
    /// Whether an append has failed, so that what stands at `end` is not known.
    doubtful: bool,
}

impl CommitLog {
    /// Opens the log of a store whose tables have everything up to `applied`, and visits what lies
    /// above it in version order: the file (0 for the one that was active before, 1 for the active
    /// one), the version and the record.
    pub(super) fn open(
        files: [Arc<dyn Media>; 2],
        seed: u64,
        applied: Version,
        mut visit: impl FnMut(usize, Version, Record<'_>) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let mut images = [Vec::new(), Vec::new()];
        let mut found = Vec::new();
        for (file, image) in images.iter_mut().enumerate() {
            *image = read_all(&*files[file])?;
            found.extend(frames(image, file, seed));
        }
        found.retain(|frame| frame.count > 0 && frame.last() > applied.get());
        found.sort_by_key(|frame| frame.first);
        check_order(&found, applied)?;
        let active = found.last().map_or(0, |newest| newest.file);
        let end = found.last().map_or(0, |newest| newest.end as u64);
        if !found.is_empty() {
            // What a killed process has left may be in the system's memory only.
            files
                .iter()
                .try_for_each(|file| file.sync())
                .map_err(Error::unavailable)?;
        }
        for frame in &found {
            let payload = &images[frame.file][frame.payload.clone()];
            for (record, number) in records(payload, frame.count)?
                .into_iter()
                .zip(frame.first..)
            {
                if number > applied.get() {
                    let side = usize::from(frame.file == active);
                    visit(side, Version::new(number), record)?;
                }
            }
        }
        let length = images[active].len() as u64;
        Ok(CommitLog {
            files,
            seed,
            active,
            end,
            length,
            doubtful: false,
        })
    }

    /// Appends a frame and returns once it is durable. After an error nothing can be appended
    /// until [`CommitLog::mend`].
    pub(super) fn append(&mut self, mut frame: Frame) -> Result<(), Error> {
        if self.doubtful {
            return Err(Error::unavailable("the commit log has not been mended"));
        }
        frame.seal(self.seed);
        self.doubtful = true;
        self.put(&frame.bytes).map_err(Error::unavailable)?;
        self.doubtful = false;
        self.end += frame.bytes.len() as u64;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let file = &self.files[self.active];
        let needed = self.end + bytes.len() as u64;
        if needed > self.length {
            let grown = needed + self.length.clamp(GROWTH_MIN, GROWTH_MAX);
            // Written, not only reserved: a sync of reserved blocks is slower, every time.
            let zeros = vec![0; usize::try_from(grown - self.length).unwrap_or(0)];
            file.write(self.length, &zeros)?;
            self.length = grown;
        }
        file.write(self.end, bytes)?;
        sync(&**file)
    }

    /// After a failed append: makes sure that its frame will never be found.
    pub(super) fn mend(&mut self, next: Version) -> Result<(), Error> {
        if self.doubtful {
            self.length = self.files[self.active].len().map_err(Error::unavailable)?;
            let mut void = Frame::new(next);
            void.seal(self.seed);
            self.put(&void.bytes).map_err(Error::unavailable)?;
            // The next frame takes the place of this one.
            self.doubtful = false;
        }
        Ok(())
    }

    /// Turns to the other file, of which the tables have everything.
    pub(super) fn turn(&mut self) -> Result<(), Error> {
        let other = 1 - self.active;
        let file = &self.files[other];
        let mut length = file.len().map_err(Error::unavailable)?;
        if length > KEPT_BYTES_MAX {
            file.set_len(KEPT_BYTES_MAX).map_err(Error::unavailable)?;
            length = KEPT_BYTES_MAX;
        }
        (self.active, self.end, self.length) = (other, 0, length);
        Ok(())
    }

    /// Gives the space of both files back. The tables have everything.
    pub(super) fn clear(&mut self) -> Result<(), Error> {
        for file in &self.files {
            file.set_len(0)
                .and_then(|()| file.sync())
                .map_err(Error::unavailable)?;
        }
        (self.end, self.length) = (0, 0);
        Ok(())
    }

    /// The bytes that both files take.
    pub(super) fn size(&self) -> Result<u64, Error> {
        let lengths = self.files.iter().map(|file| file.len());
        lengths
            .sum::<std::io::Result<u64>>()
            .map_err(Error::unavailable)
    }
}

fn sync(file: &dyn Media) -> std::io::Result<()> {
    if cfg!(feature = "canary") {
        Ok(())
    } else {
        file.sync()
    }
}

pub(super) fn read_all(file: &dyn Media) -> Result<Vec<u8>, Error> {
    let length = file.len().map_err(Error::unavailable)?;
    let length = usize::try_from(length).map_err(Error::unavailable)?;
    let mut bytes = vec![0; length];
    file.read(0, &mut bytes).map_err(Error::unavailable)?;
    Ok(bytes)
}

/// Frames above what the tables have follow one another without a gap, or something was lost.
fn check_order(found: &[Found], applied: Version) -> Result<(), Error> {
    let mut next = applied.get() + 1;
    for frame in found {
        // The first may reach below what the tables have.
        if frame.first > next || (frame.first < next && next > applied.get() + 1) {
            return Err(Error::corrupt(format!(
                "{} at byte {}: a frame begins with version {}, expected {next}; the frame before \
                 it is damaged or lost. `annals repair` writes what cannot be read aside",
                LOG_NAMES[frame.file], frame.at, frame.first
            )));
        }
        next = frame.last() + 1;
    }
    Ok(())
}

/// What the fuzz target of the log calls: no file may panic, a frame in it is found wherever the
/// bytes around it, and its records are those that were written.
#[doc(hidden)]
pub fn probe(bytes: &[u8]) {
    const SEED: u64 = 7;
    // The head is made to fit, so that noise gets past it.
    for count in [0, 1, 3] {
        drop(records(bytes, count));
    }
    let at = bytes.len() / 2;
    let at = at - at % ALIGN;
    let (before, body) = bytes.split_at(at);
    let mut frame = Frame::new(Version::new(at as u64 + 1));
    let header = before;
    if frame.push(Record { header, body }).is_err() {
        return;
    }
    frame.seal(SEED);
    let file = [before, &frame.bytes, body].concat();
    let found = frames(&file, 0, SEED);
    let own = found.iter().find(|found| found.at == at);
    let own = own.expect("a frame is found behind other bytes");
    let read = records(&file[own.payload.clone()], own.count);
    assert_eq!(
        read.expect("the records of a frame"),
        [Record { header, body }]
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Mutex;

    #[derive(Debug, Default)]
    struct Memory(Mutex<Vec<u8>>);

    impl Media for Memory {
        fn len(&self) -> std::io::Result<u64> {
            Ok(self.0.lock().unwrap().len() as u64)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
            let at = usize::try_from(offset).unwrap();
            out.copy_from_slice(&self.0.lock().unwrap()[at..at + out.len()]);
            Ok(())
        }

        fn set_len(&self, len: u64) -> std::io::Result<()> {
            self.0
                .lock()
                .unwrap()
                .resize(usize::try_from(len).unwrap(), 0);
            Ok(())
        }

        fn sync(&self) -> std::io::Result<()> {
            Ok(())
        }

        fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
            let (mut bytes, at) = (self.0.lock().unwrap(), usize::try_from(offset).unwrap());
            let end = at + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[at..end].copy_from_slice(data);
            Ok(())
        }
    }

    const SEED: u64 = 7;

    type Files = [Arc<Memory>; 2];
    type Read = Vec<(usize, u64, Vec<u8>)>;

    fn open(files: &Files, applied: u64) -> Result<(CommitLog, Read), Error> {
        let mut read = Vec::new();
        let media = files
            .each_ref()
            .map(|file| Arc::clone(file) as Arc<dyn Media>);
        let log = CommitLog::open(
            media,
            SEED,
            Version::new(applied),
            |side, version, record| {
                assert_eq!(record.header, version.get().to_le_bytes());
                read.push((side, version.get(), record.body.to_vec()));
                Ok(())
            },
        )?;
        Ok((log, read))
    }

    fn append(log: &mut CommitLog, first: u64, bodies: &[Vec<u8>]) {
        let mut frame = Frame::new(Version::new(first));
        for (body, number) in bodies.iter().zip(first..) {
            let header = &number.to_le_bytes();
            frame.push(Record { header, body }).unwrap();
        }
        log.append(frame).unwrap();
    }

    proptest! {
        /// Laps over both files with turns in between: recovery finds what is above the applied
        /// version, and nothing of earlier laps.
        #[test]
        fn finds_what_the_tables_lack(
            commits in prop::collection::vec((prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..4), any::<bool>()), 1..30),
        ) {
            let files = Files::default();
            let (mut log, _) = open(&files, 0).unwrap();
            let (mut next, mut sealed, mut applied) = (1, 0, 0);
            let mut written = Vec::new();
            for (bodies, turn) in &commits {
                if *turn {
                    // Everything before the file that is left now has been applied.
                    (applied, sealed) = (sealed, next - 1);
                    log.turn().unwrap();
                }
                append(&mut log, next, bodies);
                written.extend(bodies.iter().cloned().zip(next..));
                next += bodies.len() as u64;
            }
            let (mut again, read) = open(&files, applied).unwrap();
            let expected = written.iter().filter(|(_, number)| *number > applied);
            let found = read.iter().map(|(_, number, body)| (body.clone(), *number));
            prop_assert!(expected.cloned().eq(found));
            prop_assert!(read.iter().all(|(side, number, _)| (*side == 1) == (*number > sealed)));
            append(&mut again, next, &[vec![1]]);
            prop_assert_eq!(open(&files, applied).unwrap().1.len(), read.len() + 1);
        }

        /// One damaged byte loses the tail frame or is reported; never an earlier one in silence.
        #[test]
        fn damage_in_the_middle_is_reported(frames in 1..6u64, at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let files = Files::default();
            let (mut log, _) = open(&files, 0).unwrap();
            let mut ends = Vec::new();
            for number in 1..=frames {
                append(&mut log, number, &[vec![9; 30]]);
                ends.push(log.end);
            }
            let at = at.index(usize::try_from(log.end).unwrap());
            files[0].0.lock().unwrap()[at] ^= 1 << bit;
            let whole = ends.iter().take_while(|end| **end <= at as u64).count() as u64;
            match open(&files, 0) {
                Ok((_, read)) => {
                    // Bytes between frames matter to nobody.
                    let found = read.len() as u64;
                    prop_assert!(found == frames || (found == whole && whole + 1 == frames));
                }
                Err(error) => {
                    prop_assert!(whole + 1 < frames, "{}", error);
                    prop_assert!(error.to_string().contains("log.0 at byte"));
                }
            }
            // What the tables have need not be read.
            prop_assert!(open(&files, whole + 1).is_ok());
        }
    }

    #[test]
    fn a_void_frame_ends_a_doubtful_one() {
        let files = Files::default();
        let (mut log, _) = open(&files, 0).unwrap();
        append(&mut log, 1, &[vec![1]]);
        let before = log.end;
        append(&mut log, 2, &[vec![2]]);
        // As if the second append had failed after the frame was whole.
        (log.end, log.doubtful) = (before, true);
        assert!(log.append(Frame::new(Version::new(2))).is_err());
        log.mend(Version::new(2)).unwrap();
        assert_eq!(open(&files, 0).unwrap().1.len(), 1);
        append(&mut log, 2, &[vec![3]]);
        assert_eq!(open(&files, 0).unwrap().1[1].2, vec![3]);
    }

    #[test]
    fn a_body_cannot_pose_as_a_frame() {
        let files = Files::default();
        let (mut log, _) = open(&files, 0).unwrap();
        let mut forged = Frame::new(Version::new(5));
        let header = &5u64.to_le_bytes();
        forged
            .push(Record {
                header,
                body: b"forged",
            })
            .unwrap();
        forged.seal(SEED + 1);
        append(&mut log, 1, &[forged.bytes]);
        // The frame around it is damaged, and the search looks at what is inside.
        files[0].0.lock().unwrap()[0] ^= 1;
        assert!(open(&files, 0).unwrap().1.is_empty());
    }
}
