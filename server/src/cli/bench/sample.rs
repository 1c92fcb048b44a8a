//! The objects that a bench writes: playlists of a given size, with words to be found.
//!
//! All follows from the number of an object, so that every run writes the same. Nine tenths of an
//! object are words, which compress as people's text does; an update changes the stamp alone.

use std::fmt::Write as _;

use serde_json::Value;

/// The annotation that says when an object was written.
const STAMP: &str = "bench.annals.dev/stamp";

/// How many words there are.
const WORDS: u64 = 1_000;
const SYLLABLES: [&str; 10] = [
    "ba", "del", "fo", "gin", "ku", "lam", "mor", "ne", "pis", "tu",
];

pub(super) const GROUP: &str = "playlist.grafana.app";
pub(super) const VERSION: &str = "v0alpha1";
pub(super) const RESOURCE: &str = "playlists";

/// A fast generator of numbers, the same in every run.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // Never zero, from which the generator would not move.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end.max(1)
    }

    /// A word that some objects have.
    pub(super) fn word(&mut self) -> String {
        let number = self.below(WORDS) as usize;
        [number / 100, number / 10 % 10, number % 10]
            .map(|digit| SYLLABLES[digit])
            .concat()
    }
}

/// The name of an object.
pub(super) fn name(number: u64) -> String {
    format!("o-{number:010}")
}

/// An object of about this many bytes.
pub(super) fn body(namespace: &str, number: u64, stamp: u64, size: usize) -> String {
    let mut random = Random::new(number + 1);
    let name = name(number);
    let mut text = String::with_capacity(size + 64);
    let title = [random.word(), random.word(), random.word()].join(" ");
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "{{\"apiVersion\":\"{GROUP}/{VERSION}\",\"kind\":\"Playlist\",\"metadata\":{{\
         \"name\":\"{name}\",\"namespace\":\"{namespace}\",\
         \"annotations\":{{\"{STAMP}\":\"{stamp}\"}}}},\
         \"spec\":{{\"title\":\"{title}\",\"interval\":\"5m\",\"items\":[\
         {{\"type\":\"dashboard_by_tag\",\"value\":\""
    );
    while text.len() + 5 < size {
        text.push_str(&random.word());
        text.push(' ');
    }
    text.push_str("\"}]}}");
    text
}

/// When an object was written.
pub(super) fn stamp(body: &[u8]) -> Option<u64> {
    // It stands near the beginning: the rest of the text need not be looked at.
    let at = body
        .windows(STAMP.len())
        .position(|part| part == STAMP.as_bytes())?;
    let rest = body.get(at + STAMP.len()..)?;
    let digits = rest.split(|byte| *byte == b'"').nth(2)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// When an object was written that was parsed already.
pub(super) fn stamp_of(object: &Value) -> Option<u64> {
    object["metadata"]["annotations"][STAMP]
        .as_str()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    //! Catches a bench whose objects have another size than it says, or no time.
    use super::*;

    #[test]
    fn objects_have_their_size_and_stamp() {
        for size in [512, 1_024, 8 * 1_024, 100_000] {
            for number in [0, 7, 123_456] {
                let body = body("ns", number, 42, size);
                assert!(body.len().abs_diff(size) < 16, "{size}: {}", body.len());
                let value: Value = serde_json::from_str(&body).unwrap();
                assert_eq!(stamp_of(&value), Some(42));
                assert_eq!(stamp(body.as_bytes()), Some(42));
            }
        }
        assert_eq!(stamp(b"{}"), None);
    }
}
