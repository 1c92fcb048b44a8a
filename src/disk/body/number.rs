//! Numbers of as many bytes as they need: seven bits a byte, the lowest first, the high bit set
//! on all but the last. Signed ones are zigzag: 0, -1, 1, -2 are 0, 1, 2, 3.
//!
//! Called by the codec of bodies. Reading ends after ten bytes and never panics.

use crate::Error;

/// Appends a number.
pub(super) fn push(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a signed number.
pub(super) fn push_signed(out: &mut Vec<u8>, number: i64) {
    push(out, ((number << 1) ^ (number >> 63)) as u64);
}

/// Takes a number off the front of these bytes.
pub(super) fn take(bytes: &mut &[u8]) -> Result<u64, Error> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = bytes
            .split_first()
            .ok_or_else(|| Error::corrupt("a body ends within a number"))?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Error::corrupt("a body holds a number above 64 bits"))
}

/// Takes a signed number off the front of these bytes.
pub(super) fn take_signed(bytes: &mut &[u8]) -> Result<i64, Error> {
    let number = take(bytes)?;
    Ok((number >> 1) as i64 ^ -((number & 1) as i64))
}
