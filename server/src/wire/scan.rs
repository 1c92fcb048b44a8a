//! A scanner that finds the members of a JSON object without building values.
//!
//! The object writer uses it to splice into bytes that it does not parse. It follows strings and
//! brackets only: bytes that are not JSON may yield odd members or an error, but never a panic, a
//! range outside the bytes or a range inside a UTF-8 character.

use std::ops::Range;

/// One member of an object: where its key (with quotes) and its value stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
}

impl Member {
    /// Whether the key is this name; escapes in the key are understood.
    pub(super) fn is(&self, bytes: &[u8], name: &str) -> bool {
        let key = &bytes[self.key.clone()];
        let bare = &key[1..key.len() - 1];
        if bare.contains(&b'\\') {
            return serde_json::from_slice::<String>(key).is_ok_and(|key| key == name);
        }
        bare == name.as_bytes()
    }
}

/// The members of the object that starts at `start`, and where it ends.
pub(super) fn members(bytes: &[u8], start: usize) -> Option<(Vec<Member>, usize)> {
    let mut scan = Scan { bytes, at: start };
    let mut members = Vec::new();
    scan.blank();
    scan.take(b'{')?;
    scan.blank();
    if scan.take(b'}').is_some() {
        return Some((members, scan.at));
    }
    loop {
        scan.blank();
        let key = scan.at;
        scan.string()?;
        let key = key..scan.at;
        scan.blank();
        scan.take(b':')?;
        scan.blank();
        let value = scan.at;
        scan.value()?;
        members.push(Member {
            key,
            value: value..scan.at,
        });
        scan.blank();
        if scan.take(b'}').is_some() {
            return Some((members, scan.at));
        }
        scan.take(b',')?;
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            match self.peek()? {
                b'"' => return self.take(b'"'),
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    fn value(&mut self) -> Option<()> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    if depth == 0 {
                        return Some(());
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return Some(());
                    }
                }
                b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => {
                    return (self.at > start).then_some(());
                }
                _ => {}
            }
            self.at += 1;
        }
    }
}
