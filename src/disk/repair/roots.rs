//! A header for a file that has lost its own.
//!
//! The first page says where the trees of the file begin. It is written over by every commit, so a
//! torn write may take it, with all else whole. What it said can be worked out: the root of the
//! tables is a leaf with their names, and of all such leaves, old ones too, the newest is the one
//! whose `meta` is the newest.
//!
//! ```text
//! page 0   | magic, 9 bytes | state u8 | 0 0 | page bytes u32 | 0 u32 | pages a region u32 |
//!          | full regions u32 | pages of the last region u32 | zeros up to 64 | slot | slot |
//! slot     | version u8 | has tables u8 | 0 u8 | zeros up to 8 | root | zeros up to 104 |
//!          | transaction u64 | check u128 of all before |
//! root     | page u64: index, region << 20 | check u128 of its leaf | rows u64 |
//! table    in the leaf, by name: | kind u8 | rows u64 | has root u8 | root | ... |
//! ```
//!
//! `source` calls it with a draft. Absent on purpose: the engine's own tables, which only a writer
//! needs; a file whose header is there, as an older root would show a state that is over.

use std::collections::BTreeMap;
use std::io;

use xxhash_rust::xxh3::xxh3_128;

use super::super::media::Media;
use super::super::tables::decode_seed;
use super::carve::{PAGE_BYTES, leaf_bytes, texts_of};

const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";
const SLOTS: [usize; 2] = [64, 192];
const SLOT_BYTES: usize = 128;
const CHECK_AT: usize = SLOT_BYTES - 16;
const ROOT_AT: usize = 8;
const ROOT_BYTES: usize = 32;
const TRANSACTION_AT: usize = 104;
const SLOT_VERSION: u8 = 3;
const TWO_PHASES: u8 = 4;
/// The pages of a region, of which a number takes 20 bits.
const REGION_PAGES: u64 = 1 << 20;
/// Tables that the root of every store names.
const NAMES: [&str; 4] = ["meta", "header", "body", "floor"];

/// Writes a header, if there is none and the root of the tables is found; says whether it did.
pub(super) fn write_header(media: &dyn Media) -> io::Result<bool> {
    let mut page = vec![0; PAGE_BYTES as usize];
    let pages = media.len()? / PAGE_BYTES;
    if pages < 2 {
        return Ok(false);
    }
    media.read(0, &mut page)?;
    if is_header(&page) {
        return Ok(false);
    }
    let (mut newest, mut newest_meta) = (None, None);
    for number in 1..pages {
        media.read(number * PAGE_BYTES, &mut page)?;
        newest_meta = newest_meta.max(texts_of(&page).and_then(|meta| numbers_of(&meta)));
        let Some((root, meta)) = root_of(&page, number - 1) else {
            continue;
        };
        let rank = rank(media, &meta)?;
        if rank > newest.as_ref().and_then(|(rank, _)| *rank) {
            newest = Some((rank, root));
        }
    }
    // A root that leads to an older `meta` than there is leads to an older state.
    let Some((_, root)) = newest.filter(|(rank, _)| *rank >= newest_meta) else {
        return Ok(false);
    };
    media.write(0, &header(&root, pages - 1))?;
    Ok(true)
}

/// Whether the slot of the newest commit is there.
fn is_header(page: &[u8]) -> bool {
    let newest = page.get(MAGIC.len()).map_or(0, |state| state & 1);
    let at = SLOTS[usize::from(newest)];
    let slot = page.get(at..at + SLOT_BYTES).unwrap_or_default();
    let (said, check) = slot.split_at_checked(CHECK_AT).unwrap_or_default();
    page.starts_with(&MAGIC) && check == xxh3_128(said).to_le_bytes()
}

fn header(root: &[u8; ROOT_BYTES], pages: u64) -> Vec<u8> {
    let mut page = vec![0; PAGE_BYTES as usize];
    page[..MAGIC.len()].copy_from_slice(&MAGIC);
    page[MAGIC.len()] = TWO_PHASES;
    let numbers = [
        PAGE_BYTES,
        0,
        REGION_PAGES,
        pages / REGION_PAGES,
        pages % REGION_PAGES,
    ];
    for (number, place) in numbers.iter().zip(page[12..].chunks_exact_mut(4)) {
        place.copy_from_slice(&number.to_le_bytes()[..4]);
    }
    let mut slot = [0; SLOT_BYTES];
    slot[0] = SLOT_VERSION;
    slot[1] = 1;
    slot[ROOT_AT..ROOT_AT + ROOT_BYTES].copy_from_slice(root);
    slot[TRANSACTION_AT] = 1;
    let check = xxh3_128(&slot[..CHECK_AT]).to_le_bytes();
    slot[CHECK_AT..].copy_from_slice(&check);
    for at in SLOTS {
        page[at..at + SLOT_BYTES].copy_from_slice(&slot);
    }
    page
}

/// The root that this page would be, and that of its `meta`, if it is the root of the tables.
fn root_of(page: &[u8], number: u64) -> Option<([u8; ROOT_BYTES], [u8; ROOT_BYTES])> {
    let tables = texts_of(page)?;
    if !NAMES.iter().all(|name| tables.contains_key(*name)) {
        return None;
    }
    let meta: &[u8; ROOT_BYTES] = tables.get("meta")?.get(10..)?.first_chunk()?;
    let index = number % REGION_PAGES + ((number / REGION_PAGES) << 20);
    let mut root = [0; ROOT_BYTES];
    root[..8].copy_from_slice(&index.to_le_bytes());
    root[8..24].copy_from_slice(&xxh3_128(page.get(..leaf_bytes(page)?)?).to_le_bytes());
    root[24..].copy_from_slice(&(tables.len() as u64).to_le_bytes());
    Some((root, *meta))
}

/// How new the `meta` with this root is, if it is whole.
fn rank(media: &dyn Media, root: &[u8; ROOT_BYTES]) -> io::Result<Option<(u64, u64)>> {
    let (number, rest) = root.split_at(8);
    let number = u64::from_le_bytes(number.try_into().unwrap_or_default());
    let number = number % REGION_PAGES + ((number >> 20) % REGION_PAGES) * REGION_PAGES;
    let start = (number + 1) * PAGE_BYTES;
    if start + PAGE_BYTES > media.len()? {
        return Ok(None);
    }
    let mut page = vec![0; PAGE_BYTES as usize];
    media.read(start, &mut page)?;
    let leaf = leaf_bytes(&page).and_then(|length| page.get(..length));
    let is_whole = leaf.is_some_and(|leaf| xxh3_128(leaf).to_le_bytes() == rest[..16]);
    let meta = texts_of(&page).filter(|_| is_whole).unwrap_or_default();
    Ok(numbers_of(&meta))
}

/// How new a `meta` is.
fn numbers_of(meta: &BTreeMap<String, Vec<u8>>) -> Option<(u64, u64)> {
    decode_seed(meta.get("seed")?)?;
    number_of(meta, "applied").zip(number_of(meta, "removed"))
}

/// A number of the table `meta`.
pub(super) fn number_of(meta: &BTreeMap<String, Vec<u8>>, name: &str) -> Option<u64> {
    let bytes = meta.get(name)?.as_slice().try_into().ok()?;
    Some(u64::from_le_bytes(bytes))
}
