//! How a header is written: a checksum, then an rkyv archive of what is known of a revision.
//!
//! ```text
//! header    | check u32 LE: the low half of the XXH3 of the archive | archive of StoredHeader |
//! shelf     | version u64 LE | header whose archive has no key: the table has it |
//! ```
//!
//! The check of a header on a shelf is exclusive or that of its key, so that an entry under another
//! key is not read as that one's.
//!
//! The version stands in front on a shelf, so that a list finds what it has in memory without
//! reading on. Reading checks the sum, the archive and every rule of the model again: bytes from
//! disk are not trusted.

use rkyv::rancor;
use rkyv::with::InlineAsBox;
use rkyv::{Archive, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::Error;
use crate::model::{Action, Header, Key, Timestamp, Version};

/// The stored form of a [`Header`]. Its own type, so that the model may change without the format.
#[derive(Archive, Serialize)]
pub(super) struct StoredHeader<'a> {
    /// Empty on a shelf.
    #[rkyv(with = InlineAsBox)]
    key: &'a str,
    action: u8,
    version: u64,
    /// Zero for the first revision of a key.
    previous: u64,
    ordinal: u64,
    jump: u64,
    jump_ordinal: u64,
    batch_end: u64,
    base: u64,
    base_ordinal: u64,
    labelled: u64,
    time: u64,
    created: u64,
    #[rkyv(with = InlineAsBox)]
    creator: &'a str,
    #[rkyv(with = InlineAsBox)]
    author: &'a str,
    #[rkyv(with = InlineAsBox)]
    uid: &'a str,
    #[rkyv(with = InlineAsBox)]
    folder: &'a str,
    #[rkyv(with = InlineAsBox)]
    labels: &'a [(String, String)],
}

const CHECK_BYTES: usize = 4;

/// The check of an archive that stands under this key, which is empty if the archive holds it.
fn check_of(bytes: &[u8], key: &str) -> [u8; CHECK_BYTES] {
    let salt = if key.is_empty() {
        0
    } else {
        xxh3_64(key.as_bytes())
    };
    let [a, b, c, d, ..] = (xxh3_64(bytes) ^ salt).to_le_bytes();
    [a, b, c, d]
}

/// The stored bytes of a header.
pub(super) fn encode_header(header: &Header) -> Result<Vec<u8>, Error> {
    encode(header, true, &[])
}

/// The stored bytes of an entry of a shelf.
pub(super) fn encode_shelved(header: &Header) -> Result<Vec<u8>, Error> {
    encode(header, false, &header.version.get().to_le_bytes())
}

/// The stored bytes of a header behind those in front of it.
fn encode(header: &Header, holds_key: bool, front: &[u8]) -> Result<Vec<u8>, Error> {
    let key = header.key.encoded();
    let (key, salt) = if holds_key { (key, "") } else { ("", key) };
    let stored = StoredHeader {
        key,
        action: match header.action {
            Action::Created => 1,
            Action::Updated => 2,
            Action::Deleted => 3,
        },
        version: header.version.get(),
        previous: header.previous.unwrap_or_default().get(),
        ordinal: header.ordinal,
        jump: header.jump.get(),
        jump_ordinal: header.jump_ordinal,
        batch_end: header.batch_end.get(),
        base: header.base.get(),
        base_ordinal: header.base_ordinal,
        labelled: header.labelled.get(),
        time: header.time.0,
        created: header.created.0,
        creator: &header.creator,
        author: &header.author,
        uid: &header.uid,
        folder: &header.folder,
        labels: &header.labels,
    };
    let start = front.len() + CHECK_BYTES;
    let mut out = Vec::with_capacity(start + 384);
    out.extend_from_slice(front);
    out.resize(start, 0);
    let mut out = rkyv::api::high::to_bytes_in::<_, rancor::Error>(&stored, out)
        .map_err(|cause| Error::unavailable(format!("cannot encode a header: {cause}")))?;
    let check = check_of(out.get(start..).unwrap_or_default(), salt);
    out[front.len()..start].copy_from_slice(&check);
    Ok(out)
}

/// The archive in these bytes, which stand under this key, if their sum is right.
fn access<'a>(bytes: &'a [u8], key: &str) -> Result<&'a ArchivedStoredHeader<'a>, Error> {
    let (check, archive) = bytes
        .split_first_chunk::<CHECK_BYTES>()
        .ok_or_else(|| Error::corrupt("a header is shorter than its checksum"))?;
    if *check != check_of(archive, key) {
        return Err(Error::corrupt("a header does not match its checksum"));
    }
    rkyv::access::<ArchivedStoredHeader<'_>, rancor::Error>(archive)
        .map_err(|cause| Error::corrupt(format!("a header is not an archive: {cause}")))
}

/// The version of an entry of a shelf, and its header.
fn split_shelved(bytes: &[u8]) -> Result<(Version, &[u8]), Error> {
    let (version, header) = bytes
        .split_first_chunk()
        .ok_or_else(|| Error::corrupt("an entry of a shelf is shorter than its version"))?;
    Ok((Version::new(u64::from_le_bytes(*version)), header))
}

/// Reads only the version of an entry of a shelf.
pub(super) fn shelved_version(bytes: &[u8]) -> Result<Version, Error> {
    split_shelved(bytes).map(|(version, _)| version)
}

/// Reads a header that holds its key, or says what is wrong with the bytes.
pub(super) fn decode_header(bytes: &[u8]) -> Result<Header, Error> {
    let stored = access(bytes, "")?;
    let key = Key::decode(&stored.key)
        .map_err(|cause| Error::corrupt(format!("a header holds a bad key: {cause}")))?;
    build(stored, key)
}

/// Reads only the version of a header, once its sum and its archive are found to be right.
pub(super) fn header_version(bytes: &[u8]) -> Result<Version, Error> {
    access(bytes, "").map(|stored| Version::new(stored.version.to_native()))
}

/// Reads the header that stands under this key on a shelf.
pub(super) fn decode_shelved(bytes: &[u8], key: Key) -> Result<Header, Error> {
    let (version, bytes) = split_shelved(bytes)?;
    let stored = access(bytes, key.encoded())?;
    let header = build(stored, key)?;
    if header.version != version {
        return Err(Error::corrupt("an entry of a shelf has two versions"));
    }
    Ok(header)
}

fn build(stored: &ArchivedStoredHeader<'_>, key: Key) -> Result<Header, Error> {
    let bad = |what: &str| Error::corrupt(format!("a header holds {what}"));
    let action = match stored.action {
        1 => Action::Created,
        2 => Action::Updated,
        3 => Action::Deleted,
        _ => return Err(bad("an unknown action")),
    };
    let version = Version::new(stored.version.to_native());
    let previous = match stored.previous.to_native() {
        0 => None,
        number => Some(Version::new(number)),
    };
    let jump = Version::new(stored.jump.to_native());
    let base = Version::new(stored.base.to_native());
    // Links point backwards; otherwise a walk along them might never end.
    let first = stored.ordinal == 0;
    let backwards = previous.is_none_or(|previous| previous < version)
        && base <= version
        && if first {
            jump == version
        } else {
            jump < version
        };
    if version == Version::ZERO || !backwards || first != previous.is_none() {
        return Err(bad("links that do not point backwards"));
    }
    let labels = stored.labels.iter();
    Ok(Header {
        key,
        action,
        version,
        previous,
        ordinal: stored.ordinal.to_native(),
        jump,
        jump_ordinal: stored.jump_ordinal.to_native(),
        batch_end: Version::new(stored.batch_end.to_native()),
        base,
        base_ordinal: stored.base_ordinal.to_native(),
        labelled: Version::new(stored.labelled.to_native()),
        time: Timestamp(stored.time.to_native()),
        created: Timestamp(stored.created.to_native()),
        creator: stored.creator.to_string(),
        author: stored.author.to_string(),
        uid: stored.uid.to_string(),
        folder: stored.folder.to_string(),
        labels: labels
            .map(|pair| (pair.0.as_str().to_owned(), pair.1.as_str().to_owned()))
            .collect(),
    })
}

/// What the fuzz target of this codec calls: no bytes may panic, and what is read is written
/// back to something that reads the same.
#[doc(hidden)]
pub fn probe(archive: &[u8]) {
    // The sum is made to fit, so that noise gets past it.
    let mut bytes = check_of(archive, "").to_vec();
    bytes.extend_from_slice(archive);
    let Ok(header) = decode_header(&bytes) else {
        return;
    };
    let again = encode_header(&header).and_then(|bytes| decode_header(&bytes));
    assert_eq!(
        again.as_ref(),
        Ok(&header),
        "a header must read back as it was written"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = Header> {
        let labels = prop::collection::btree_map("[a-z]{1,12}", "[a-z]{0,12}", 0..4);
        (
            1..100u64,
            0..3u8,
            any::<u64>(),
            labels,
            "[a-z]{0,8}",
            1..9u64,
        )
            .prop_map(|(version, action, time, labels, text, ordinal)| {
                let first = version == 1;
                Header {
                    key: Key::new("g.x", "things", "ns", &format!("n{text}")).unwrap(),
                    action: [Action::Created, Action::Updated, Action::Deleted][action as usize],
                    version: Version::new(version),
                    previous: (!first).then(|| Version::new(version - 1)),
                    ordinal: if first { 0 } else { ordinal },
                    jump: Version::new(if first { 1 } else { version / 2 }),
                    jump_ordinal: 0,
                    batch_end: Version::new(version + 3),
                    base: Version::new(version / 3),
                    base_ordinal: ordinal / 2,
                    labelled: Version::new(version),
                    time: Timestamp(time),
                    created: Timestamp(time / 2),
                    creator: text.clone(),
                    author: text.clone(),
                    uid: text.repeat(2),
                    folder: text,
                    labels: labels.into_iter().collect(),
                }
            })
    }

    proptest! {
        #[test]
        fn reads_back_what_was_written(header in header()) {
            let stored = encode_header(&header).unwrap();
            prop_assert_eq!(&decode_header(&stored).unwrap(), &header);
            let shelved = encode_shelved(&header).unwrap();
            prop_assert!(decode_header(&shelved).is_err());
            prop_assert_eq!(shelved_version(&shelved).unwrap(), header.version);
            prop_assert_eq!(&decode_shelved(&shelved, header.key.clone()).unwrap(), &header);
            let other = Key::new("g.x", "things", "ns", "other").unwrap();
            prop_assert!(decode_shelved(&shelved, other).is_err());
        }

        #[test]
        fn damage_is_found(header in header(), at in any::<prop::sample::Index>(), bit in 0..8u8, cut in any::<prop::sample::Index>()) {
            let stored = encode_header(&header).unwrap();
            prop_assert!(decode_header(&stored[..cut.index(stored.len())]).is_err());
            let mut damaged = stored;
            let at = at.index(damaged.len());
            damaged[at] ^= 1 << bit;
            prop_assert!(decode_header(&damaged).is_err());
            probe(&damaged[CHECK_BYTES..]);
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            probe(&bytes);
        }
    }
}
