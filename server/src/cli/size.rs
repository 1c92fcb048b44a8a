//! Sizes as people write them: `64MiB`, `2GB`, `4096`.

use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

/// Longer suffixes first, so that `MiB` is not read as `B`.
const UNITS: [(&str, u64); 10] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("b", 1),
];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let split = UNITS
            .iter()
            .find_map(|(unit, bytes)| Some((lower.strip_suffix(unit)?, *bytes)));
        let (number, unit) = split.unwrap_or((&lower, 1));
        let is_number = !number.is_empty() && number.trim().bytes().all(|b| b.is_ascii_digit());
        let number = is_number
            .then(|| number.trim().parse::<u64>().ok())
            .flatten();
        let bytes = number.and_then(|number| number.checked_mul(unit));
        bytes
            .map(Size)
            .ok_or_else(|| format!("{text:?}: expected a size, such as 256MiB"))
    }
}

#[cfg(test)]
mod tests {
    //! Catches a size that is read as another one.
    use super::*;

    #[test]
    fn reads_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("7b", Some(7)),
            ("64MiB", Some(64 << 20)),
            ("2 GB", Some(2_000_000_000)),
            ("1g", Some(1 << 30)),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("+1", None),
            ("1.5GiB", None),
            ("1TiB", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(
                text.parse::<Size>().ok().map(|size| size.0),
                expected,
                "{text}"
            );
        }
    }
}
