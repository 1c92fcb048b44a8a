//! How the body of a revision, the object's JSON, is stored: on its own, or as what differs from
//! an older body of the same key.
//!
//! ```text
//! body      | kind u8 | length varint | check u64 LE | base | payload |
//! kind      0 raw: the payload is the body
//!           1 packed: the payload is the body as one LZ4 block
//!           2 delta: steps, then literals        3 the same, the literals as one LZ4 block
//! length    of the body as it was written, at most `LENGTH_MAX`
//! check     xxh3 of the body as it was written, exclusive or the version it is stored at
//! base      only for kinds 2 and 3: version varint
//! ```
//!
//! The steps are drawn in `delta`, the numbers in `number`.
//!
//! A writer gives [`encode`] the base that the newest revision of the key names; a reader calls
//! [`Stored::parse`], reads what [`Stored::base`] names, if anything, and calls
//! [`Stored::decode`].
//!
//! Invariants: a base is an older body of the same key that has no base itself, so any body is
//! read with at most two look-ups; what is decoded has the length and the check that were stored,
//! or it is [`Error::Corrupt`]. A body that others name as their base is kept as long as they are.
//!
//! Memory: encoding takes at most the size of the body, half that of the base, and what `pack`
//! keeps for each thread. Decoding takes the size of the body, and that of its literals if they are packed; it
//! takes nothing that the stored bytes cannot fill, since a packed byte makes at most 255, and a
//! delta at most `GROWTH_MAX` times its base.
//!
//! Absent on purpose: LZ4 with the older body as dictionary. LZ4 looks back 64 KiB, needs a byte
//! for each 255 copied, and this encoder's table forgets most of a large dictionary; copies of any
//! length from any place are smaller and faster both ways (bench `body`). Chains of deltas are
//! smaller still, but a read of the last would decode all before it.

mod delta;
mod number;
mod pack;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

use crate::Error;
use crate::model::Version;
use delta::Delta;
use pack::unpack;

/// The longest way from a body to the one it is built from that a reader goes.
pub(super) const BASE_STEPS_MAX: usize = 16;

/// No stored body says that it is longer.
const LENGTH_MAX: usize = 1 << 30;

/// A delta makes a body at most so many times as long as its base.
const GROWTH_MAX: usize = 4;

/// A delta is taken if it is at most one part in so many of what the body takes on its own:
/// otherwise the body on its own is the better base for those to come.
const SHARE: usize = 3;

/// A delta is taken unseen, so without packing the body to compare, if it is at most one part in
/// so many of the body.
const SHARE_OF_RAW: usize = 16;

// A kind whose payload is packed follows the same without.
const RAW: u8 = 0;
const PACKED: u8 = 1;
const DELTA: u8 = 2;
const DELTA_PACKED: u8 = 3;

/// The stored bytes of a body: against the base if that is given and worth it, or on its own.
#[must_use]
pub fn encode(body: &[u8], older: Option<(Version, &[u8])>) -> Vec<u8> {
    debug_assert!(body.len() <= LENGTH_MAX, "the store refuses such a body");
    let against = older
        .filter(|(_, older)| body.len() <= older.len().saturating_mul(GROWTH_MAX))
        .map(|(base, older)| encode_delta(body, base, older));
    match against {
        Some(delta) if delta.len() <= body.len() / SHARE_OF_RAW => delta,
        Some(delta) => {
            let alone = encode_alone(body);
            if delta.len() <= alone.len() / SHARE {
                delta
            } else {
                alone
            }
        }
        None => encode_alone(body),
    }
}

fn encode_alone(body: &[u8]) -> Vec<u8> {
    assemble(RAW, body, None, &[], body)
}

fn encode_delta(body: &[u8], base: Version, older: &[u8]) -> Vec<u8> {
    let Delta { steps, literals } = Delta::new(body, older);
    assemble(DELTA, body, Some(base), &steps, &literals)
}

/// The stored bytes of a body. The kind is that of a payload that is not packed; it becomes the
/// other one if packing makes the payload smaller.
fn assemble(kind: u8, body: &[u8], base: Option<Version>, steps: &[u8], payload: &[u8]) -> Vec<u8> {
    const HEAD_BYTES_MAX: usize = 1 + 10 + 8 + 10;
    let put = |kind, payload: &[u8]| {
        let mut stored = Vec::with_capacity(HEAD_BYTES_MAX + steps.len() + payload.len());
        stored.push(kind);
        number::push(&mut stored, body.len() as u64);
        stored.extend_from_slice(&xxh3_64(body).to_le_bytes());
        if let Some(base) = base {
            number::push(&mut stored, base.get());
        }
        stored.extend_from_slice(steps);
        stored.extend_from_slice(payload);
        stored
    };
    pack::with_packed(payload, |packed| match packed {
        Some(packed) => put(kind + 1, packed),
        None => put(kind, payload),
    })
}

/// Ties stored bytes to the version they are stored at: without this, a body in the place of
/// another would be read as that one. They must be what [`encode`] makes.
pub(super) fn bind(stored: &mut [u8], version: Version) {
    let mut rest = stored.get(1..).unwrap_or_default();
    if number::take(&mut rest).is_err() {
        return;
    }
    let at = stored.len() - rest.len();
    for (byte, bits) in stored.iter_mut().skip(at).zip(version.get().to_le_bytes()) {
        *byte ^= bits;
    }
}

/// The stored bytes of a body, split into their parts.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    kind: u8,
    length: usize,
    check: u64,
    base: Option<Version>,
    payload: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Splits stored bytes. Their payload is looked at by [`Stored::decode`].
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if they are not what [`encode`] makes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let bad = |what: &str| Error::corrupt(format!("a body {what}"));
        let (&kind, mut rest) = bytes.split_first().ok_or_else(|| bad("has no bytes"))?;
        let length = usize::try_from(number::take(&mut rest)?)
            .ok()
            .filter(|length| *length <= LENGTH_MAX)
            .ok_or_else(|| bad("says that it is longer than 1 GiB"))?;
        let (check, mut rest) = rest
            .split_first_chunk()
            .ok_or_else(|| bad("ends within its check"))?;
        let base = match kind {
            RAW | PACKED => None,
            DELTA | DELTA_PACKED => {
                let version = Version::new(number::take(&mut rest)?);
                if version == Version::ZERO {
                    return Err(bad("names a base that cannot be"));
                }
                Some(version)
            }
            _ => return Err(bad("is of an unknown kind")),
        };
        Ok(Stored {
            kind,
            length,
            check: u64::from_le_bytes(*check),
            base,
            payload: rest,
        })
    }

    /// The same, of bytes that are stored at this version.
    pub(crate) fn of(self, version: Version) -> Self {
        Stored {
            check: self.check ^ version.get(),
            ..self
        }
    }

    /// The version whose body must be given to [`Stored::decode`].
    #[must_use]
    pub fn base(&self) -> Option<Version> {
        self.base
    }

    /// The length of the body.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "an object is never empty")]
    pub fn len(&self) -> usize {
        self.length
    }

    /// The body, as it was given to [`encode`], with the body of its base if it has one.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if these bytes are damaged, or the base is missing or not the one they
    /// were encoded against.
    pub fn decode(&self, older: Option<&[u8]>) -> Result<Vec<u8>, Error> {
        let body = match (self.kind, self.base, older) {
            (RAW, ..) => self.payload.to_vec(),
            (PACKED, ..) => unpack(self.payload, self.length)?,
            (.., Some(older)) => self.decode_delta(older)?,
            (_, base, None) => {
                let version = base.unwrap_or_default();
                return Err(Error::corrupt(format!(
                    "a body is stored against version {version}, which is missing"
                )));
            }
        };
        if body.len() != self.length || xxh3_64(&body) != self.check {
            return Err(Error::corrupt(
                "a body is damaged: its length or its check is wrong",
            ));
        }
        Ok(body)
    }

    fn decode_delta(&self, older: &[u8]) -> Result<Vec<u8>, Error> {
        if self.length > older.len().saturating_mul(GROWTH_MAX) {
            return Err(Error::corrupt("a body is too long for its base"));
        }
        let (steps, rest, literals) = delta::split(self.payload, self.length, older.len())?;
        let literals = if self.kind == DELTA_PACKED {
            Cow::Owned(unpack(rest, literals)?)
        } else {
            Cow::Borrowed(rest)
        };
        delta::apply(steps, &literals, self.length, older)
    }
}

/// What the fuzz target of this codec calls: no bytes may panic, and a body that changes into
/// another is read back as it was written, with its base and without it.
#[doc(hidden)]
pub fn probe(bytes: &[u8]) {
    let (older, body) = bytes.split_at(bytes.len() / 2);
    if let Ok(stored) = Stored::parse(bytes) {
        for older in [None, Some(older), Some(body)] {
            let decoded = stored.decode(older);
            assert!(decoded.is_err() || decoded.is_ok_and(|body| body.len() == stored.len()));
        }
    }
    let alone = encode(older, None);
    let base = Version::new(7);
    assert_eq!(
        Stored::parse(&alone).expect("what was encoded").base(),
        None
    );
    for body in [body, older, bytes] {
        let encoded = encode(body, Some((base, older)));
        let stored = Stored::parse(&encoded).expect("what was encoded is parsed");
        assert_eq!(stored.decode(Some(older)).as_deref(), Ok(body));
    }
}
