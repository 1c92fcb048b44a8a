//! Reading a piece: what it gives out is proven by then, as far as one piece can prove it.

use std::io::Read;
use std::ops::ControlFlow;

use super::frame::{Frames, Sound};
use super::{END, FLOORS, HEAD, Head, Intro, MAGIC, REVISIONS, Summary, bad, take};
use crate::Error;
use crate::disk::Floors;
use crate::disk::body::Stored;
use crate::disk::record::decode_header;
use crate::model::{Header, Version};

/// A piece that is read from its beginning.
pub(crate) struct Reader<R> {
    frames: Frames<R>,
    intro: Intro,
    /// The frame that was read last.
    frame: Sound,
}

/// What was found in a piece: a revision, or a body alone.
pub(crate) struct Found<'a> {
    pub(crate) version: Version,
    /// `None` for a body that kept ones are built from, and whose revision was removed.
    pub(crate) header: Option<Header>,
    pub(crate) stored_header: &'a [u8],
    pub(crate) stored_body: &'a [u8],
}

/// What is called for each of them; it says whether to go on.
pub(crate) type VisitFound<'a> = &'a mut dyn FnMut(Found<'_>) -> Result<ControlFlow<()>, Error>;

impl<R: Read> Reader<R> {
    /// Reads only what a piece says of itself.
    pub(crate) fn peek(input: R, name: &str) -> Result<Head, Error> {
        let mut frames = Frames::new(input, name.to_owned());
        read_head(&mut frames, &mut Sound::default()).map(|intro| intro.head)
    }

    /// Reads up to the first revision. The name is for messages.
    pub(crate) fn open(input: R, name: &str) -> Result<Self, Error> {
        let mut frames = Frames::new(input, name.to_owned());
        let mut frame = Sound::default();
        let mut intro = read_head(&mut frames, &mut frame)?;
        frames.next(&mut frame)?;
        while frame.kind == FLOORS {
            read_floors(&frame, &mut intro.floors).map_err(|why| bad(name, why))?;
            frames.next(&mut frame)?;
        }
        Ok(Reader {
            frames,
            intro,
            frame,
        })
    }

    /// What stands in front of the revisions.
    pub(crate) fn intro(&self) -> &Intro {
        &self.intro
    }

    /// Visits the revisions in version order. Answers what the whole piece was, or nothing if the
    /// visitor ended the walk.
    pub(crate) fn each(mut self, visit: VisitFound<'_>) -> Result<Option<Summary>, Error> {
        let (mut revisions, mut alone, mut last) = (0, 0, Version::ZERO);
        while self.frame.kind == REVISIONS {
            let mut rest = &*self.frame.payload;
            for _ in 0..self.frame.count {
                let found = self.found(&mut rest, last)?;
                last = found.version;
                match found.header {
                    Some(_) => revisions += 1,
                    None => alone += 1,
                }
                if visit(found)?.is_break() {
                    return Ok(None);
                }
            }
            if !rest.is_empty() {
                return Err(self.wrong("a frame has too many bytes"));
            }
            self.frames.next(&mut self.frame)?;
        }
        let counts: [u64; 2] = [revisions, alone];
        let is_end =
            self.frame.kind == END && self.frame.payload == counts.map(u64::to_le_bytes).concat();
        if !is_end {
            return Err(self.wrong("its end does not fit what it holds"));
        }
        if !self.frames.is_at_end()? {
            return Err(self.wrong("something follows its end"));
        }
        Ok(Some(Summary {
            head: self.intro.head,
            revisions,
            bytes: self.frames.at,
        }))
    }

    /// The next entry of a frame, behind this version.
    fn found<'a>(&self, rest: &mut &'a [u8], last: Version) -> Result<Found<'a>, Error> {
        let short = || self.wrong("a frame ends inside a revision");
        let version = take(rest).map(u64::from_le_bytes).ok_or_else(short)?;
        let version = Version::new(version);
        let mut part = || take(rest).map(u32::from_le_bytes);
        let (header, body) = part().zip(part()).ok_or_else(short)?;
        let mut part = |length: u32| {
            let (part, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            *rest = behind;
            Some(part)
        };
        let (stored_header, stored_body) = part(header).zip(part(body)).ok_or_else(short)?;
        if version <= last || version > self.intro.head.version {
            return Err(self.wrong(format!("version {version} stands behind {last}")));
        }
        let of = |error: Error| match error {
            Error::Corrupt { reason } => self.wrong(format!("revision {version}: {reason}")),
            other => other,
        };
        let stored = Stored::parse(stored_body).map_err(of)?.of(version);
        if stored.base().is_some_and(|base| base >= version) {
            return Err(self.wrong(format!("revision {version} is built from a newer one")));
        }
        let header = match stored_header {
            [] => None,
            bytes => Some(decode_header(bytes).map_err(of)?),
        };
        if let Some(header) = &header {
            self.check(version, header)?;
        }
        Ok(Found {
            version,
            header,
            stored_header,
            stored_body,
        })
    }

    /// What must hold of a revision of this piece.
    fn check(&self, version: Version, header: &Header) -> Result<(), Error> {
        let head = &self.intro.head;
        if header.version != version {
            let found = header.version;
            return Err(self.wrong(format!("revision {found} stands at {version}")));
        }
        if version <= head.since || header.batch_end > head.version {
            return Err(self.wrong(format!(
                "revision {version} of the batch that ends at {} does not belong between {} and {}",
                header.batch_end, head.since, head.version
            )));
        }
        Ok(())
    }

    fn wrong(&self, reason: impl Into<String>) -> Error {
        bad(&self.frames.name, reason)
    }
}

fn read_head<R: Read>(frames: &mut Frames<R>, frame: &mut Sound) -> Result<Intro, Error> {
    let mut magic = Vec::new();
    frames.bytes(MAGIC.len() as u64, &mut magic)?;
    if magic != MAGIC {
        let reason = "it does not begin as a piece does";
        return Err(bad(&frames.name, reason));
    }
    frames.next(frame)?;
    if frame.kind != HEAD {
        return Err(bad(&frames.name, "it has no head"));
    }
    let parsed = Head::parse(&frame.payload);
    let (head, removed) = parsed.map_err(|why| bad(&frames.name, why))?;
    let floors = Floors::new(removed);
    Ok(Intro { head, floors })
}

fn read_floors(frame: &Sound, floors: &mut Floors) -> Result<(), String> {
    let mut rest = &*frame.payload;
    for _ in 0..frame.count {
        let length = take(&mut rest).map(u32::from_le_bytes);
        let version = take(&mut rest).map(u64::from_le_bytes);
        let row = length.zip(version).and_then(|(length, version)| {
            let (prefix, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            rest = behind;
            Some((std::str::from_utf8(prefix).ok()?, Version::new(version)))
        });
        let (prefix, version) = row.ok_or("a compacted version is cut short")?;
        let raised = floors.raise(prefix, version);
        raised.map_err(|why| why.to_string())?;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err("a frame has too many bytes".to_owned())
    }
}
