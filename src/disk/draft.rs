//! Files over others: what is written stays in memory, and the files below are never changed.
//!
//! Opening a store writes, and a damaged one must not be written to: `annals check` and
//! `annals repair` look at it through this. The memory is that of the blocks written.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::media::{Media, Volume};
use crate::sync::Mutex;

/// What is kept at a time.
const BLOCK_BYTES: u64 = 4096;

/// The files of a volume, drafted over.
#[derive(Debug)]
pub(crate) struct Draft(pub(crate) Arc<dyn Volume>);

impl Volume for Draft {
    fn open(self: Arc<Self>, name: &str) -> io::Result<Arc<dyn Media>> {
        let below = Arc::clone(&self.0).open(name)?;
        Ok(Arc::new(DraftFile::new(below)?))
    }
}

/// One file, drafted over.
#[derive(Debug)]
pub(super) struct DraftFile {
    below: Arc<dyn Media>,
    state: Mutex<Drafted>,
}

#[derive(Debug)]
struct Drafted {
    length: u64,
    /// How much of the file below still shows: what was cut off once does not come back.
    shown: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl DraftFile {
    pub(super) fn new(below: Arc<dyn Media>) -> io::Result<Self> {
        let length = below.len()?;
        let state = Mutex::new(Drafted {
            length,
            shown: length,
            blocks: BTreeMap::new(),
        });
        Ok(DraftFile { below, state })
    }

    /// The bytes of a block as they are now.
    fn block(&self, state: &Drafted, number: u64) -> io::Result<Box<[u8]>> {
        if let Some(block) = state.blocks.get(&number) {
            return Ok(block.clone());
        }
        let mut block = vec![0; BLOCK_BYTES as usize].into_boxed_slice();
        let start = number * BLOCK_BYTES;
        let length = state.shown.saturating_sub(start).min(BLOCK_BYTES);
        if length > 0 {
            self.below.read(start, &mut block[..length as usize])?;
        }
        Ok(block)
    }

    /// Calls `each` with every block that a range touches, and which bytes of the range and of the
    /// block are the same.
    fn parts(
        offset: u64,
        length: usize,
        mut each: impl FnMut(u64, std::ops::Range<usize>, usize) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut done = 0;
        while done < length {
            let at = offset + done as u64;
            let inside = (at % BLOCK_BYTES) as usize;
            let size = (BLOCK_BYTES as usize - inside).min(length - done);
            each(at / BLOCK_BYTES, done..done + size, inside)?;
            done += size;
        }
        Ok(())
    }
}

impl Media for DraftFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state.lock();
        if offset.saturating_add(out.len() as u64) > state.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Self::parts(offset, out.len(), |number, range, inside| {
            let size = range.len();
            let block = self.block(&state, number)?;
            out[range].copy_from_slice(&block[inside..inside + size]);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        if len < state.length {
            let last = len / BLOCK_BYTES;
            if !len.is_multiple_of(BLOCK_BYTES) {
                let mut block = self.block(&state, last)?;
                block[(len % BLOCK_BYTES) as usize..].fill(0);
                state.blocks.insert(last, block);
            }
            state.blocks.retain(|number, _| number * BLOCK_BYTES < len);
            state.shown = state.shown.min(len);
        }
        state.length = len;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        Self::parts(offset, data.len(), |number, range, inside| {
            let mut block = self.block(&state, number)?;
            block[inside..inside + range.len()].copy_from_slice(&data[range]);
            state.blocks.insert(number, block);
            Ok(())
        })?;
        state.length = state.length.max(offset + data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    //! Would catch a draft that reads other bytes than a file would, or that changes what is below.

    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::media::FileMedia;
    use super::*;

    fn file(bytes: &[u8]) -> Arc<dyn Media> {
        let media = FileMedia::new(tempfile::tempfile().unwrap());
        media.write(0, bytes).unwrap();
        Arc::new(media)
    }

    fn all(media: &dyn Media) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(media.len().unwrap()).unwrap()];
        media.read(0, &mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn reads_as_a_file_and_changes_nothing_below(
            steps in prop::collection::vec((any::<bool>(), 0..20_000u64, 1..6_000usize), 1..12)
        ) {
            let before: Vec<u8> = (0..10_000u32).map(|n| n as u8 | 1).collect();
            let (below, plain) = (file(&before), file(&before));
            let draft = DraftFile::new(Arc::clone(&below)).unwrap();
            for (number, (cuts, at, size)) in steps.into_iter().enumerate() {
                for media in [&draft as &dyn Media, &*plain] {
                    if cuts {
                        media.set_len(at).unwrap();
                    } else {
                        media.write(at, &vec![number as u8; size]).unwrap();
                    }
                }
                prop_assert_eq!(all(&draft), all(&*plain));
            }
            prop_assert_eq!(all(&*below), before);
        }
    }
}
