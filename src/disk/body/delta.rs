//! A body as copies from an older one: what differs between two revisions, and the way back.
//!
//! ```text
//! delta     | step | step | ... | literals |
//! step      | insert varint | copy varint | shift varint, only if copy > 0 |
//! ```
//!
//! A step takes `insert` bytes from the literals, then `copy` bytes of the older body. The copy
//! begins where the one before it ended, plus `insert`, plus `shift` (zigzag): so a value replaced
//! by another of the same length costs one byte of shift. The steps end when they have made as
//! many bytes as the body has. A worked example, with the older body `{"a":1,"b":2}`:
//!
//! ```text
//! {"a":7,"b":2}     insert 0, copy 5 from 0 (shift 0); insert 1, copy 7 from 6 (shift 0)   "7"
//! ```
//!
//! Called by the module above, which chooses between this and a body on its own. Copies reach any
//! place of the older body, so a body of any size is one delta without windows or blocks; text
//! inserted at its beginning moves the copies and nothing else.
//!
//! Invariants: reading allocates nothing before the steps were walked once and add up to the
//! length asked for, all copies inside the older body.

use super::number;
use crate::Error;

/// So many bytes are looked at to find a place in the older body.
const SEED_BYTES: usize = 8;

/// A copy from where it is not expected is taken from this length on: its step takes about six.
const FAR_BYTES_MIN: usize = 16;

/// A change is looked past so many bytes, at the place where a replacement of the same length
/// would end, before the older body is indexed.
const AHEAD_BYTES: usize = 32;

/// What is found there is taken from this length on: less may be there by chance.
const AHEAD_BYTES_MIN: usize = 256;

/// The index of the older body has at most so many places; a larger body is indexed more thinly.
const PLACES_MAX: usize = 1 << 17;

/// So many places with the same seed are tried.
const TRIES_MAX: usize = 8;

/// What turns an older body into a newer one.
pub(super) struct Delta {
    /// The steps, as they are stored.
    pub(super) steps: Vec<u8>,
    /// What no step copies.
    pub(super) literals: Vec<u8>,
}

/// The bytes of a seed as a number.
fn seed(text: &[u8], at: usize) -> Option<u64> {
    let bytes = text.get(at..)?.first_chunk::<SEED_BYTES>()?;
    Some(u64::from_le_bytes(*bytes))
}

/// How many bytes two texts begin with in common.
fn common(a: &[u8], b: &[u8]) -> usize {
    const STRIDE: usize = 32;
    let strides = a.chunks_exact(STRIDE).zip(b.chunks_exact(STRIDE));
    let whole = strides.take_while(|(a, b)| a == b).count() * STRIDE;
    let rest = a[whole..].iter().zip(&b[whole..]);
    whole + rest.take_while(|(a, b)| a == b).count()
}

/// How many bytes two texts end with in common.
fn common_end(a: &[u8], b: &[u8]) -> usize {
    let pairs = a.iter().rev().zip(b.iter().rev());
    pairs.take_while(|(a, b)| a == b).count()
}

/// Where the seeds of a body are.
///
/// `heads` has the last place of each hash, and `links` for each place the one before it of the
/// same hash, both plus one; zero is none.
struct Index {
    stride: usize,
    shift: u32,
    heads: Vec<u32>,
    links: Vec<u32>,
}

impl Index {
    fn new(text: &[u8]) -> Self {
        let stride = SEED_BYTES.max(text.len().div_ceil(PLACES_MAX));
        let places = text.len() / stride;
        let bits = places.max(2).next_power_of_two().ilog2();
        let mut index = Index {
            stride,
            shift: u64::BITS - bits,
            heads: vec![0; 1 << bits],
            links: Vec::with_capacity(places),
        };
        for number in 0..places {
            let Some(seed) = seed(text, number * stride) else {
                break;
            };
            let slot = index.slot(seed);
            index.links.push(index.heads[slot]);
            index.heads[slot] = index.links.len() as u32;
        }
        index
    }

    fn slot(&self, seed: u64) -> usize {
        (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// The places where the text may have this seed.
    fn places(&self, seed: u64) -> impl Iterator<Item = usize> {
        let mut next = self.heads[self.slot(seed)];
        std::iter::from_fn(move || {
            let place = (next as usize).checked_sub(1)?;
            next = self.links[place];
            Some(place * self.stride)
        })
        .take(TRIES_MAX)
    }
}

/// A stretch of the body that the older one has too.
#[derive(Clone, Copy)]
struct Match {
    /// Where it begins in the body.
    at: usize,
    /// Where it begins in the older body.
    from: usize,
    length: usize,
}

/// The search for what two bodies have in common, from the front of the newer to its end.
struct Search<'a> {
    body: &'a [u8],
    older: &'a [u8],
    index: Option<Index>,
    /// The body is covered by steps up to here.
    done: usize,
    /// Where in the older body the last copy ended.
    end: usize,
}

impl Search<'_> {
    /// The next match, which begins at or behind `done`.
    fn next(&mut self) -> Option<Match> {
        self.ahead().or_else(|| self.far())
    }

    /// The stretch behind a replacement of at most `AHEAD_BYTES`, if the length stays the same.
    fn ahead(&self) -> Option<Match> {
        let (body, older) = (self.body.get(self.done..)?, self.older.get(self.end..)?);
        for skip in 0..=AHEAD_BYTES {
            if seed(body, skip)? == seed(older, skip)? {
                let length = common(&body[skip..], &older[skip..]);
                return (length >= AHEAD_BYTES_MIN).then_some(Match {
                    at: self.done + skip,
                    from: self.end + skip,
                    length,
                });
            }
        }
        None
    }

    /// The next stretch that is anywhere in the older body.
    fn far(&mut self) -> Option<Match> {
        let (body, older) = (self.body, self.older);
        let index = self.index.get_or_insert_with(|| Index::new(older));
        let mut at = self.done;
        while let Some(here) = seed(body, at) {
            let before = &body[self.done..at];
            let expected = self.end + (at - self.done);
            let straight = Some(expected).filter(|_| seed(older, expected) == Some(here));
            let best = straight
                .into_iter()
                .chain(index.places(here))
                .filter(|place| seed(older, *place) == Some(here))
                .map(|place| {
                    let back = common_end(before, &older[..place]);
                    let forth = common(&body[at..], &older[place..]);
                    Match {
                        at: at - back,
                        from: place - back,
                        length: back + forth,
                    }
                })
                .max_by_key(|found| found.length);
            if let Some(found) = best.filter(|found| found.length >= FAR_BYTES_MIN) {
                return Some(found);
            }
            at += 1;
        }
        None
    }
}

impl Delta {
    /// What turns `older` into `body`.
    pub(super) fn new(body: &[u8], older: &[u8]) -> Self {
        let mut search = Search {
            body,
            older,
            index: None,
            done: 0,
            end: 0,
        };
        let mut delta = Delta {
            steps: Vec::new(),
            literals: Vec::new(),
        };
        while let Some(found) = search.next() {
            let insert = &body[search.done..found.at];
            let expected = search.end + insert.len();
            delta.literals.extend_from_slice(insert);
            number::push(&mut delta.steps, insert.len() as u64);
            number::push(&mut delta.steps, found.length as u64);
            number::push_signed(&mut delta.steps, found.from as i64 - expected as i64);
            search.done = found.at + found.length;
            search.end = found.from + found.length;
        }
        let rest = &body[search.done..];
        if !rest.is_empty() {
            delta.literals.extend_from_slice(rest);
            number::push(&mut delta.steps, rest.len() as u64);
            number::push(&mut delta.steps, 0);
        }
        delta
    }
}

/// One step, its copy as a range of the older body.
struct Step {
    insert: usize,
    from: usize,
    copy: usize,
}

/// The steps that make a body of a known length.
struct Steps<'a> {
    bytes: &'a [u8],
    /// How many bytes of the body are still to be made.
    left: usize,
    /// Where in the older body the last copy ended.
    end: usize,
    older: usize,
}

fn bad() -> Error {
    Error::corrupt("a body has a step that does not fit it")
}

impl Steps<'_> {
    /// The next step, or nothing when the body is complete.
    fn next(&mut self) -> Result<Option<Step>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        let insert = self.count()?;
        let copy = self.count()?;
        if insert == 0 && copy == 0 {
            return Err(bad());
        }
        let mut step = Step {
            insert,
            from: 0,
            copy,
        };
        if copy > 0 {
            let shift = number::take_signed(&mut self.bytes)?;
            let from = (self.end as i64 + insert as i64).checked_add(shift);
            step.from = from
                .and_then(|from| usize::try_from(from).ok())
                .filter(|from| *from <= self.older && copy <= self.older - from)
                .ok_or_else(bad)?;
            self.end = step.from + copy;
        }
        Ok(Some(step))
    }

    /// A number of bytes of the body, taken off what is left.
    fn count(&mut self) -> Result<usize, Error> {
        let count = usize::try_from(number::take(&mut self.bytes)?).map_err(|_| bad())?;
        self.left = self.left.checked_sub(count).ok_or_else(bad)?;
        Ok(count)
    }
}

/// Splits a delta, which makes a body of `length` bytes from one of `older` bytes, behind its
/// steps: the steps, what follows, and how many literals there are.
pub(super) fn split(
    delta: &[u8],
    length: usize,
    older: usize,
) -> Result<(&[u8], &[u8], usize), Error> {
    let mut steps = Steps {
        bytes: delta,
        left: length,
        end: 0,
        older,
    };
    let mut literals = 0;
    while let Some(step) = steps.next()? {
        literals += step.insert;
    }
    let (steps, rest) = delta.split_at(delta.len() - steps.bytes.len());
    Ok((steps, rest, literals))
}

/// The body of `length` bytes that these steps, which [`split`] has walked, make.
pub(super) fn apply(
    steps: &[u8],
    mut literals: &[u8],
    length: usize,
    older: &[u8],
) -> Result<Vec<u8>, Error> {
    let mut body = Vec::with_capacity(length);
    let mut steps = Steps {
        bytes: steps,
        left: length,
        end: 0,
        older: older.len(),
    };
    while let Some(step) = steps.next()? {
        let (insert, rest) = literals.split_at_checked(step.insert).ok_or_else(bad)?;
        body.extend_from_slice(insert);
        body.extend_from_slice(&older[step.from..step.from + step.copy]);
        literals = rest;
    }
    if literals.is_empty() {
        Ok(body)
    } else {
        Err(bad())
    }
}
