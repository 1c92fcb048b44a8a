//! Bearer tokens as the server keeps them: only their SHA-256.

use std::fmt;

use sha2::{Digest, Sha256};

/// The SHA-256 of a bearer token. Tokens are 32 random bytes, so a plain hash is enough.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of `token`.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: u8| char::from(at).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
        }
        Some(Self(bytes))
    }

    /// Whether `token` has this hash. Takes the same time wherever the two differ.
    #[must_use]
    pub fn is_of(&self, token: &[u8]) -> bool {
        self.is(&Self::of(token))
    }

    /// Whether the two are one. Takes the same time wherever they differ.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let difference = self
            .0
            .iter()
            .zip(other.0)
            .fold(0, |sum, (one, two)| sum | (one ^ two));
        std::hint::black_box(difference) == 0
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One write, as this is done for each request.
        let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let text: String = digits.map(digit).collect();
        f.write_str(&text)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

#[cfg(test)]
mod tests {
    //! Catches a token that another one passes for, and a stored hash that is read back wrongly.
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn only_the_token_itself_matches(one: Vec<u8>, two: Vec<u8>) {
            let hash = TokenHash::of(&one);
            prop_assert!(hash.is_of(&one));
            prop_assert_eq!(hash.is_of(&two), one == two);
        }

        #[test]
        fn text_round_trips(token: Vec<u8>) {
            let hash = TokenHash::of(&token);
            let back = TokenHash::parse(&hash.to_string());
            prop_assert!(back.is_some_and(|back| back.is_of(&token)));
        }

        #[test]
        fn nothing_else_parses(text in "[0-9a-g]{0,70}") {
            let expected = text.len() == 64 && !text.contains('g');
            prop_assert_eq!(TokenHash::parse(&text).is_some(), expected);
        }
    }
}
