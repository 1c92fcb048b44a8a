//! LZ4 blocks, made with tables that each thread keeps: for a body of 1 KiB, making a table takes
//! longer than packing.

use std::cell::RefCell;

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size,
};

use crate::Error;

/// Nothing is packed that is shorter: there is nothing to win.
const PACKED_BYTES_MIN: usize = 64;

/// From this length on the smaller table will not do.
const SMALL_BYTES_MAX: usize = 65_535;

/// A thread keeps no more room for what it packs.
const KEPT_BYTES_MAX: usize = 128 * 1024;

/// A packed byte makes at most so many.
const RATIO_MAX: usize = 255;

/// What a thread keeps: 24 KiB of tables, and at most [`KEPT_BYTES_MAX`].
struct Packer {
    small: CompressTable,
    large: Option<CompressTable>,
    out: Vec<u8>,
}

thread_local! {
    static PACKER: RefCell<Packer> = RefCell::new(Packer {
        small: CompressTable::small(),
        large: None,
        out: Vec::new(),
    });
}

/// What `work` makes of these bytes as an LZ4 block, or of `None` if that would not be smaller.
pub(super) fn with_packed<T>(bytes: &[u8], work: impl FnOnce(Option<&[u8]>) -> T) -> T {
    if bytes.len() < PACKED_BYTES_MIN {
        return work(None);
    }
    PACKER.with_borrow_mut(|packer| {
        let Packer { small, large, out } = packer;
        let table = if bytes.len() < SMALL_BYTES_MAX {
            small
        } else {
            large.get_or_insert_with(CompressTable::large)
        };
        let most = get_maximum_output_size(bytes.len());
        if out.len() < most {
            out.resize(most, 0);
        }
        let packed = compress_into_with_table(bytes, out, table).ok();
        let packed = packed.and_then(|length| out.get(..length));
        let made = work(packed.filter(|packed| packed.len() < bytes.len()));
        if out.len() > KEPT_BYTES_MAX {
            *out = Vec::new();
        }
        made
    })
}

/// The `length` bytes of an LZ4 block.
pub(super) fn unpack(packed: &[u8], length: usize) -> Result<Vec<u8>, Error> {
    if length > packed.len().saturating_mul(RATIO_MAX) {
        return Err(Error::corrupt("a body is too short for its length"));
    }
    let mut bytes = vec![0; length];
    let made = decompress_into(packed, &mut bytes)
        .map_err(|cause| Error::corrupt(format!("a body is not packed well: {cause}")))?;
    bytes.truncate(made);
    Ok(bytes)
}
