//! Rows read out of the raw pages of a file whose trees are damaged.
//!
//! A revision never changes, and its stored bytes hold a check that is tied to its version. So
//! wherever in the file such bytes stand, in a page that no tree leads to any more or in one that
//! was replaced long ago, they are that revision, or they do not fit their check.
//!
//! ```text
//! leaf of a table from u64 to bytes, at a multiple of 4096
//! 1 u8 | 0 | rows u16 | rows times: end of the value u32 | rows times: key u64 | values |
//! ```
//!
//! Absent on purpose: shelves. They follow from the rows that are found here.

use std::collections::BTreeMap;
use std::io;

use super::super::media::Media;

pub(super) const PAGE_BYTES: u64 = 4096;
const LEAF: u8 = 1;
/// No leaf is longer: an object is smaller than this.
const LEAF_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// What is read of a page before it is known how long it is.
const HEAD_BYTES: usize = 4;

/// A row that may be one.
pub(super) struct Found<'a> {
    pub(super) key: u64,
    pub(super) bytes: &'a [u8],
    /// Where the bytes stand in the file.
    pub(super) offset: u64,
    /// Which row of its leaf it is.
    pub(super) row: usize,
}

/// Visits whatever looks like a row.
pub(super) fn carve(media: &dyn Media, mut visit: impl FnMut(Found<'_>)) -> io::Result<()> {
    let length = media.len()?;
    let mut page = Vec::new();
    for start in (0..length).step_by(PAGE_BYTES as usize) {
        let mut head = [0; HEAD_BYTES];
        if start + HEAD_BYTES as u64 > length {
            break;
        }
        media.read(start, &mut head)?;
        let rows = usize::from(u16::from_le_bytes([head[2], head[3]]));
        if head[0] != LEAF || rows == 0 {
            continue;
        }
        let keys = HEAD_BYTES + 4 * rows;
        let values = keys + 8 * rows;
        if start + values as u64 > length {
            continue;
        }
        read_to(media, start, &mut page, values)?;
        let ends: Vec<u64> = page[HEAD_BYTES..keys]
            .chunks_exact(4)
            .map(|end| u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]])))
            .collect();
        // A damaged end spoils its own row and the next one only.
        let fits = |end: u64| end <= LEAF_BYTES_MAX.min(length - start);
        let Some(end) = ends.iter().copied().filter(|end| fits(*end)).max() else {
            continue;
        };
        read_to(media, start, &mut page, end as usize)?;
        let mut from = values;
        for (row, end) in ends.iter().enumerate() {
            let to = *end as usize;
            let key = page.get(keys + 8 * row..keys + 8 * row + 8);
            let key = key.and_then(|key| key.try_into().ok());
            if let (Some(key), Some(bytes)) = (key, page.get(from..to)) {
                visit(Found {
                    key: u64::from_le_bytes(key),
                    bytes,
                    offset: start + from as u64,
                    row,
                });
            }
            from = if to >= values { to } else { from };
        }
    }
    Ok(())
}

/// Makes the page at least so long.
fn read_to(media: &dyn Media, start: u64, page: &mut Vec<u8>, length: usize) -> io::Result<()> {
    page.clear();
    page.resize(length, 0);
    media.read(start, page)
}

/// The newest values of a table from text to bytes, by name, wherever an old or a new leaf of it
/// stands: the leaf for which `rank` is the highest. Both ends of each row are stored.
pub(super) fn carve_texts(
    media: &dyn Media,
    mut rank: impl FnMut(&BTreeMap<String, Vec<u8>>) -> Option<u64>,
) -> io::Result<Option<BTreeMap<String, Vec<u8>>>> {
    let length = media.len()?;
    let mut page = vec![0; PAGE_BYTES as usize];
    let mut best = None;
    for start in (0..length / PAGE_BYTES).map(|page| page * PAGE_BYTES) {
        media.read(start, &mut page)?;
        let texts = texts_of(&page).unwrap_or_default();
        if let Some(rank) = rank(&texts)
            && best.as_ref().is_none_or(|(known, _)| rank > *known)
        {
            best = Some((rank, texts));
        }
    }
    Ok(best.map(|(_, texts)| texts))
}

/// How long the leaf in this page is, if both ends of each row are stored.
pub(super) fn leaf_bytes(page: &[u8]) -> Option<usize> {
    let rows = usize::from(u16::from_le_bytes([*page.get(2)?, *page.get(3)?]));
    let at = HEAD_BYTES + 4 * (2 * rows).checked_sub(1)?;
    let end = page.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(end)).ok()
}

/// The rows of a leaf of a table from text to bytes.
pub(super) fn texts_of(page: &[u8]) -> Option<BTreeMap<String, Vec<u8>>> {
    let rows = usize::from(u16::from_le_bytes([*page.get(2)?, *page.get(3)?]));
    if *page.first()? != LEAF || rows == 0 {
        return None;
    }
    let end = |at: usize| {
        let at = HEAD_BYTES + 4 * at;
        let bytes = page.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let (mut key_from, mut value_from) = (HEAD_BYTES + 8 * rows, end(rows - 1)?);
    let mut texts = BTreeMap::new();
    for row in 0..rows {
        let (key_to, value_to) = (end(row)?, end(rows + row)?);
        let key = std::str::from_utf8(page.get(key_from..key_to)?).ok()?;
        texts.insert(key.to_owned(), page.get(value_from..value_to)?.to_vec());
        (key_from, value_from) = (key_to, value_to);
    }
    Some(texts)
}
