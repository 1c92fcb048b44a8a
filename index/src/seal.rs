//! Small files and payloads that prove their own integrity: the content, then one line with its
//! sum. A flipped, missing or added byte is noticed on reading; so is a file of another program.
//!
//! The sum is 64-bit FNV-1a: any single changed byte changes it. It guards against damage, not
//! against an adversary.

const MARK: &[u8] = b"\n#sum ";
const SUM_DIGITS: usize = 16;

/// The 64-bit FNV-1a sum of some bytes.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// The content with its sum behind it.
pub(crate) fn seal(content: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(content.len() + MARK.len() + SUM_DIGITS);
    sealed.extend_from_slice(content);
    sealed.extend_from_slice(MARK);
    sealed.extend_from_slice(format!("{:016x}", sum(content)).as_bytes());
    sealed
}

/// The content, if its sum is right.
pub(crate) fn unseal(sealed: &[u8]) -> Option<&[u8]> {
    let end = sealed.len().checked_sub(MARK.len() + SUM_DIGITS)?;
    let (content, tail) = sealed.split_at(end);
    let digits = tail.strip_prefix(MARK)?;
    (digits == format!("{:016x}", sum(content)).as_bytes()).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_changed_byte_breaks_the_seal(
            content in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            at in proptest::num::usize::ANY,
            flip in 1u8..,
        ) {
            let mut sealed = seal(&content);
            proptest::prop_assert_eq!(unseal(&sealed), Some(&content[..]));
            let at = at % sealed.len();
            sealed[at] ^= flip;
            proptest::prop_assert_eq!(unseal(&sealed), None);
            proptest::prop_assert_eq!(unseal(&sealed[..at]), None);
        }
    }
}
