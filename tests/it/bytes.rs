//! The bytes of a file, cheap to copy: without sharing, most of a crash suite's time would go into
//! copies of disks that differ in a few places.
//!
//! A file is a list of pages. A copy shares them, a write copies the pages that it touches, and a
//! page of which nothing was written takes no room.

use std::sync::Arc;

const PAGE_BYTES: usize = 4096;

type Page = [u8; PAGE_BYTES];

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bytes {
    len: usize,
    /// `None` stands for zeros.
    pages: Vec<Option<Arc<Page>>>,
}

/// The pieces of a range, page by page: the page, where it begins in it, and how long it is.
fn pieces(at: usize, len: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let (mut at, end) = (at, at + len);
    std::iter::from_fn(move || {
        let (page, from) = (at / PAGE_BYTES, at % PAGE_BYTES);
        let size = (PAGE_BYTES - from).min(end - at);
        at += size;
        (size > 0).then_some((page, from, size))
    })
}

impl Bytes {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Fills `out` from this place on; `false` if the range is not wholly inside.
    pub(crate) fn read(&self, at: usize, out: &mut [u8]) -> bool {
        if at.checked_add(out.len()).is_none_or(|end| end > self.len) {
            return false;
        }
        let mut out = out;
        for (page, from, size) in pieces(at, out.len()) {
            let (now, later) = out.split_at_mut(size);
            match &self.pages[page] {
                Some(page) => now.copy_from_slice(&page[from..from + size]),
                None => now.fill(0),
            }
            out = later;
        }
        true
    }

    /// Replaces the bytes from this place on; behind the end, the file grows.
    pub(crate) fn write(&mut self, at: usize, data: &[u8]) {
        if self.len < at + data.len() {
            self.set_len(at + data.len());
        }
        let mut data = data;
        for (page, from, size) in pieces(at, data.len()) {
            let (now, later) = data.split_at(size);
            let page = self.pages[page].get_or_insert_with(|| Arc::new([0; PAGE_BYTES]));
            Arc::make_mut(page)[from..from + size].copy_from_slice(now);
            data = later;
        }
    }

    /// Grows with zeros, or cuts off.
    pub(crate) fn set_len(&mut self, len: usize) {
        if len < self.len {
            let cut = len % PAGE_BYTES;
            if let Some(Some(page)) = self.pages.get_mut(len / PAGE_BYTES) {
                Arc::make_mut(page)[cut..].fill(0);
            }
        }
        self.pages.resize(len.div_ceil(PAGE_BYTES), None);
        self.len = len;
    }
}

/// Would catch a write that shows in a copy made before, and bytes that come back after a cut.
#[test]
fn bytes_are_those_of_a_plain_list() {
    let mut random = crate::random::Random::new(7);
    let (mut bytes, mut plain) = (Bytes::default(), Vec::<u8>::new());
    let mut copy = (bytes.clone(), plain.clone());
    for round in 0..2_000_u32 {
        let at = random.below(5 * PAGE_BYTES);
        if random.one_in(4) {
            bytes.set_len(at);
            plain.resize(at, 0);
        } else {
            let data = vec![round.to_le_bytes()[0]; random.below(2 * PAGE_BYTES)];
            bytes.write(at, &data);
            if !data.is_empty() || at > plain.len() {
                plain.resize(plain.len().max(at + data.len()), 0);
            }
            plain[at..at + data.len()].copy_from_slice(&data);
        }
        for (bytes, plain) in [(&bytes, &plain), (&copy.0, &copy.1)] {
            let mut found = vec![1; bytes.len()];
            assert!(bytes.read(0, &mut found) && found == *plain);
            assert!(!bytes.read(1, &mut found), "read behind the end");
        }
        if random.one_in(10) {
            copy = (bytes.clone(), plain.clone());
        }
    }
}
