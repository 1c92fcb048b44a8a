//! Positions in the log.

use std::fmt;
use std::str::FromStr;

/// A position in the one log of a store; "resource version" on the wire.
///
/// Versions start at 1, are strictly increasing and gap-free in commit order, and are never
/// reused. [`Version::ZERO`] is the empty store: nothing was written at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// The version of an empty store.
    pub const ZERO: Version = Version(0);

    /// The version with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Version(number)
    }

    /// The number of this version.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The version that follows this one. No store lives to see the last.
    #[must_use]
    pub const fn next(self) -> Self {
        Version(self.0 + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Version {
    type Err = String;

    /// Reads a decimal number without sign or leading zeros, as Kubernetes clients require. The
    /// error says so of any other text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain =
            text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        match text.parse() {
            Ok(number) if plain => Ok(Version(number)),
            _ => Err(format!("{text:?} is not a decimal version number")),
        }
    }
}

/// The random identity of a store's line of history.
///
/// A restore from a backup starts a new one, so that a version of the old line is never taken for
/// one of the new.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub(crate) [u8; 16]);

impl Epoch {
    /// The sixteen bytes of this identity.
    #[must_use]
    pub const fn bytes(&self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({self})")
    }
}
