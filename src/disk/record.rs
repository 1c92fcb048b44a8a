//! How a revision is written: an rkyv archive of what is known, then the object's own bytes.
//!
//! Reading checks the archive and every rule of the model again: bytes from disk are not trusted.

use std::sync::Arc;

use rkyv::rancor;
use rkyv::{Archive, Deserialize, Serialize};

use crate::Error;
use crate::model::{Action, Header, Key, Revision, Timestamp, Version};

/// The stored form of a [`Header`]. Its own type, so that the model may change without the format.
#[derive(Archive, Serialize, Deserialize)]
pub(super) struct StoredHeader {
    key: String,
    action: u8,
    version: u64,
    /// Zero for the first revision of a key.
    previous: u64,
    ordinal: u64,
    jump: u64,
    jump_ordinal: u64,
    batch_end: u64,
    time: u64,
    created: u64,
    creator: String,
    author: String,
    uid: String,
    folder: String,
    labels: Vec<(String, String)>,
}

const LENGTH_BYTES: usize = 4;

/// The stored bytes of a header.
pub(super) fn encode_header(header: &Header) -> Result<Vec<u8>, Error> {
    let stored = StoredHeader {
        key: header.key.encoded().to_owned(),
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
        time: header.time.0,
        created: header.created.0,
        creator: header.creator.clone(),
        author: header.author.clone(),
        uid: header.uid.clone(),
        folder: header.folder.clone(),
        labels: header.labels.clone(),
    };
    let bytes = rkyv::to_bytes::<rancor::Error>(&stored)
        .map_err(|cause| Error::unavailable(format!("cannot encode a header: {cause}")))?;
    Ok(bytes.into_vec())
}

/// Reads a header, or says what is wrong with the bytes.
pub(super) fn decode_header(bytes: &[u8]) -> Result<Header, Error> {
    let bad = |what: &str| Error::corrupt(format!("a header holds {what}"));
    let stored = rkyv::access::<ArchivedStoredHeader, rancor::Error>(bytes)
        .map_err(|cause| Error::corrupt(format!("a header is not an archive: {cause}")))?;
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
    // Links point backwards; otherwise a walk along them might never end.
    let first = stored.ordinal == 0;
    let backwards = previous.is_none_or(|previous| previous < version)
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
        key: Key::decode(&stored.key).map_err(|cause| bad(&format!("a bad key: {cause}")))?,
        action,
        version,
        previous,
        ordinal: stored.ordinal.to_native(),
        jump,
        jump_ordinal: stored.jump_ordinal.to_native(),
        batch_end: Version::new(stored.batch_end.to_native()),
        time: Timestamp(stored.time.to_native()),
        created: Timestamp(stored.created.to_native()),
        creator: stored.creator.as_str().to_owned(),
        author: stored.author.as_str().to_owned(),
        uid: stored.uid.as_str().to_owned(),
        folder: stored.folder.as_str().to_owned(),
        labels: labels
            .map(|pair| (pair.0.as_str().to_owned(), pair.1.as_str().to_owned()))
            .collect(),
    })
}

/// The stored bytes of a revision, given those of its header.
pub(super) fn encode_record(header: &[u8], body: &[u8]) -> Result<Vec<u8>, Error> {
    let length = u32::try_from(header.len())
        .map_err(|_| Error::invalid("metadata", "is larger than 4 GiB".to_owned()))?;
    let mut record = Vec::with_capacity(LENGTH_BYTES + header.len() + body.len());
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(header);
    record.extend_from_slice(body);
    Ok(record)
}

/// The header and the body in a record.
fn split(record: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let (length, rest) = record
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or_else(|| Error::corrupt("a record is shorter than its length field"))?;
    usize::try_from(u32::from_le_bytes(*length))
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or_else(|| Error::corrupt("a record is shorter than its header"))
}

/// Reads the header of a record and does not touch the body.
pub(super) fn decode_record_header(record: &[u8]) -> Result<Header, Error> {
    decode_header(split(record)?.0)
}

/// Reads a whole record.
pub(super) fn decode_record(record: &[u8]) -> Result<Revision, Error> {
    let (header, body) = split(record)?;
    Ok(Revision::new(decode_header(header)?, Arc::from(body)))
}

/// What the fuzz target of this codec calls: no bytes may panic, and what is read is written
/// back to something that reads the same.
#[doc(hidden)]
pub fn probe(bytes: &[u8]) {
    let Ok(revision) = decode_record(bytes) else {
        return;
    };
    let again = encode_header(revision.header())
        .and_then(|header| encode_record(&header, revision.body()))
        .and_then(|record| decode_record(&record));
    assert_eq!(
        again.as_ref(),
        Ok(&revision),
        "a record must read back as it was written"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = Header> {
        let labels = prop::collection::btree_map("[a-z]{1,5}", "[a-z]{0,5}", 0..4);
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
        fn reads_back_what_was_written(header in header(), body in prop::collection::vec(any::<u8>(), 0..60)) {
            let stored = encode_header(&header).unwrap();
            prop_assert_eq!(&decode_header(&stored).unwrap(), &header);
            let record = encode_record(&stored, &body).unwrap();
            prop_assert_eq!(&decode_record_header(&record).unwrap(), &header);
            let revision = decode_record(&record).unwrap();
            prop_assert_eq!(revision.header(), &header);
            prop_assert_eq!(revision.body(), &body[..]);
        }

        #[test]
        fn damage_never_panics(header in header(), at in any::<prop::sample::Index>(), bit in 0..8u8, cut in any::<prop::sample::Index>()) {
            let stored = encode_header(&header).unwrap();
            let mut record = encode_record(&stored, b"{}").unwrap();
            let at = at.index(record.len());
            record[at] ^= 1 << bit;
            probe(&record);
            probe(&record[..cut.index(record.len())]);
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            probe(&bytes);
        }
    }
}
