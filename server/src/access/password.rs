//! Passwords as the server keeps them: Argon2id, with the numbers it was made with beside it.
//!
//! `19456:2:1:SALT:HASH`: KiB of memory, passes, lanes, and two texts in base64. Checking one takes
//! some tens of milliseconds and 19 MiB on purpose; `net::Gate` lets few be checked at a time.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;

/// The numbers of OWASP's first choice of 2024.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// A password that cannot be read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    memory: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Sealed {
    /// Seals a password.
    pub(crate) fn new(password: &[u8]) -> Result<Self, String> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
        let mut sealed = Sealed {
            memory: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt: salt.to_vec(),
            hash: Vec::new(),
        };
        sealed.hash = sealed.hash_of(password)?;
        Ok(sealed)
    }

    /// Reads the text of a row.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let [memory, passes, lanes, salt, hash] = parts[..] else {
            return None;
        };
        let sealed = Sealed {
            memory: memory.parse().ok()?,
            passes: passes.parse().ok()?,
            lanes: lanes.parse().ok()?,
            salt: BASE64_STANDARD_NO_PAD.decode(salt).ok()?,
            hash: BASE64_STANDARD_NO_PAD.decode(hash).ok()?,
        };
        (sealed.hash.len() == HASH_BYTES).then_some(sealed)
    }

    /// Whether this is the password. Takes the same time wherever the two differ.
    pub(crate) fn is_of(&self, password: &[u8]) -> bool {
        let Ok(other) = self.hash_of(password) else {
            return false;
        };
        let pairs = self.hash.iter().zip(other);
        let difference = pairs.fold(0, |sum, (one, two)| sum | (one ^ two));
        std::hint::black_box(difference) == 0
    }

    fn hash_of(&self, password: &[u8]) -> Result<Vec<u8>, String> {
        let params = Params::new(self.memory, self.passes, self.lanes, Some(HASH_BYTES))
            .map_err(|error| error.to_string())?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut hash = vec![0; HASH_BYTES];
        argon
            .hash_password_into(password, &self.salt, &mut hash)
            .map_err(|error| error.to_string())?;
        Ok(hash)
    }
}

impl std::fmt::Display for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes: &[u8]| BASE64_STANDARD_NO_PAD.encode(bytes);
        let (memory, passes, lanes) = (self.memory, self.passes, self.lanes);
        let (salt, hash) = (text(&self.salt), text(&self.hash));
        write!(f, "{memory}:{passes}:{lanes}:{salt}:{hash}")
    }
}

#[cfg(test)]
mod tests {
    //! Catches a password that another one passes for, and one that does not pass after a restart.
    use super::*;

    #[test]
    fn only_the_password_itself_passes() {
        let sealed = Sealed::new(b"secret").unwrap();
        let text = sealed.to_string();
        assert!(!text.contains("secret"));
        let back = Sealed::parse(&text).unwrap();
        assert_eq!(back, sealed);
        assert!(back.is_of(b"secret"));
        for other in [&b""[..], b"secre", b"secret ", b"Secret"] {
            assert!(!back.is_of(other));
        }
        // The same password twice shows two texts.
        assert_ne!(Sealed::new(b"secret").unwrap().to_string(), text);
        for bad in [
            "",
            "1:2",
            "x:2:1:AAAA:AAAA",
            "8:1:1:AAAAAAAAAAAAAAAAAAAAAA:",
        ] {
            assert!(Sealed::parse(bad).is_none(), "{bad}");
        }
    }
}
