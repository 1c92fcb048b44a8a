//! A file whose creation a power cut interrupted: it is begun anew.
//!
//! The engine sizes a new file, writes its header, syncs, and only then writes the magic number
//! at the start. Cut short before that, the file is neither empty nor a database, and the engine
//! would refuse it for ever. Nothing can have been acknowledged in it, so it is emptied, but only
//! if nothing else can have been in it: the magic number is missing byte by byte, the length is
//! that of a new file, and behind the header page there are only zeros.

use std::io;

use super::media::Media;

/// What a finished file begins with.
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";
/// The page that holds the header.
const HEADER_BYTES: u64 = 4096;
/// No new file is as long as this.
const NEW_BYTES_MAX: u64 = 16 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;

/// Empties the file if its creation was not finished.
pub(super) fn discard_unfinished(media: &dyn Media) -> io::Result<()> {
    let len = media.len()?;
    if len == 0 || len > NEW_BYTES_MAX || !(lacks_magic(media, len)? && is_blank(media, len)?) {
        return Ok(());
    }
    tracing::warn!("the creation of the file was interrupted; it is created anew");
    media.set_len(0)?;
    media.sync()
}

/// Whether the magic number is not there, or only some of its bytes are.
fn lacks_magic(media: &dyn Media, len: u64) -> io::Result<bool> {
    let mut start = [0; MAGIC.len()];
    if len >= MAGIC.len() as u64 {
        media.read(0, &mut start)?;
    }
    let partial = start
        .iter()
        .zip(MAGIC)
        .all(|(&byte, magic)| byte == 0 || byte == magic);
    Ok(start != MAGIC && partial)
}

/// Whether there are only zeros behind the header page.
fn is_blank(media: &dyn Media, len: u64) -> io::Result<bool> {
    let mut chunk = vec![0; CHUNK];
    let mut at = HEADER_BYTES;
    while at < len {
        let size = usize::try_from(len - at).map_or(CHUNK, |rest| rest.min(CHUNK));
        let chunk = &mut chunk[..size];
        media.read(at, chunk)?;
        if chunk.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        at += size as u64;
    }
    Ok(true)
}
