//! Would catch a body that is not read back as it was written, damage or a wrong base that goes
//! unnoticed, and a history that takes more space or more look-ups than it may.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::ErrorKind;

const BASE: Version = Version::new(300);

/// An object of some panels, as compact JSON.
fn object(panels: &[u32]) -> Vec<u8> {
    let panel = |seed: &u32| {
        format!(
            r#"{{"id":{seed},"title":"Panel {:x}","gridPos":{{"h":8,"w":{}}},"expr":"rate(m{}[5m])"}}"#,
            seed.wrapping_mul(0x9e37_79b9),
            seed % 24,
            seed % 7,
        )
    };
    let panels: Vec<String> = panels.iter().map(panel).collect();
    format!(
        r#"{{"kind":"Dashboard","spec":{{"panels":[{}]}}}}"#,
        panels.join(",")
    )
    .into_bytes()
}

/// Bytes that do not pack, the same for each seed.
fn noise(length: usize, mut seed: u64) -> Vec<u8> {
    let mut next = || {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (seed >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// One change of a text: so many bytes from a place on are replaced by others.
type Edit = (Index, usize, Vec<u8>);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let text = prop::collection::vec(any::<u8>(), 0..60);
    prop::collection::vec((any::<Index>(), 0..60usize, text), 0..8)
}

fn edit(body: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut body = body.to_vec();
    for (at, remove, insert) in edits {
        let at = at.index(body.len() + 1);
        let end = (at + remove).min(body.len());
        body.splice(at..end, insert.iter().copied());
    }
    body
}

fn decode(stored: &[u8], older: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    Stored::parse(stored)?.decode(older)
}

/// Stores a body alone and against another, and reads both back.
fn check(body: &[u8], older: &[u8]) {
    let alone = encode(body, None);
    let stored = Stored::parse(&alone).unwrap();
    assert_eq!((stored.base(), stored.len()), (None, body.len()));
    assert!(alone.len() <= body.len() + 19, "{} bytes", alone.len());
    assert!(stored.decode(None).unwrap() == body, "it reads back alone");
    let against = encode(body, Some((BASE, older)));
    assert!(against.len() <= alone.len());
    let stored = Stored::parse(&against).unwrap();
    assert_eq!(stored.len(), body.len());
    assert!(stored.base().is_none_or(|base| base == BASE));
    assert!(
        stored.decode(Some(older)).unwrap() == body,
        "it reads back with its base"
    );
}

proptest! {
    #[test]
    fn an_edited_object_reads_back(panels in prop::collection::vec(any::<u32>(), 0..40), edits in edits()) {
        let older = object(&panels);
        let body = edit(&older, &edits);
        check(&body, &older);
        check(&older, &body);
    }

    #[test]
    fn moved_and_copied_panels_read_back(
        panels in prop::collection::vec(0..50u32, 0..60),
        others in prop::collection::vec(0..50u32, 0..60),
    ) {
        check(&object(&others), &object(&panels));
    }

    #[test]
    fn any_bytes_read_back(body in prop::collection::vec(any::<u8>(), 0..300), older in prop::collection::vec(0..3u8, 0..300)) {
        check(&body, &older);
        check(&older, &body);
        check(&[&*body, &*older, &*body].concat(), &[&*older, &*body].concat());
    }

    #[test]
    fn a_wrong_base_is_an_error(panels in prop::collection::vec(any::<u32>(), 20..40), edits in edits(), wrong in edits()) {
        let older = object(&panels);
        let body = edit(&older, &edits);
        let stored = encode(&body, Some((BASE, &older)));
        let wrong = edit(&older, &wrong);
        match decode(&stored, Some(&wrong)) {
            // What was changed in the base may be what the body does not take from it.
            Ok(decoded) => prop_assert!(decoded == body),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupt),
        }
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..5u8) {
        probe(&bytes);
        let mut bytes = bytes;
        bytes.insert(0, kind);
        probe(&bytes);
    }

    #[test]
    fn numbers_read_back(number in any::<u64>(), shift in 0..64u32) {
        let number = number >> shift;
        let mut bytes = Vec::new();
        number::push(&mut bytes, number);
        number::push_signed(&mut bytes, number as i64);
        let mut rest = &bytes[..];
        prop_assert_eq!(number::take(&mut rest), Ok(number));
        prop_assert_eq!(number::take_signed(&mut rest), Ok(number as i64));
        prop_assert!(rest.is_empty());
    }
}

#[test]
fn every_size_around_the_reach_of_lz4_reads_back() {
    let reach = 64 * 1024;
    for size in [
        0,
        1,
        7,
        8,
        9,
        63,
        64,
        65,
        reach - 1,
        reach,
        reach + 1,
        2 * reach + 1,
    ] {
        let flat = vec![b' '; size];
        let text: Vec<u8> = object(&(0..2_000).collect::<Vec<_>>())[..size].to_vec();
        let other = noise(size, 7);
        for body in [&flat, &text, &other] {
            check(body, body);
            check(body, &flat);
            check(&[b"{}", &body[..]].concat(), body);
            check(&body[size / 2..], body);
        }
    }
}

#[test]
fn every_flipped_bit_is_an_error_or_changes_nothing() {
    let older = object(&(0..120).collect::<Vec<_>>());
    let mut panels: Vec<u32> = (0..120).collect();
    panels.swap(3, 20);
    panels.insert(9, 77_777);
    let body = object(&panels);
    let added = object(&[panels, (100_000..100_012).collect()].concat());
    let stored = [
        encode(&noise(200, 1), None),
        encode(&body, None),
        encode(&body, Some((BASE, &older))),
        encode(&added, Some((BASE, &older))),
    ];
    let bodies = [noise(200, 1), body.clone(), body, added];
    let kinds: Vec<u8> = stored.iter().map(|stored| stored[0]).collect();
    assert_eq!(
        kinds,
        [RAW, PACKED, DELTA, DELTA_PACKED],
        "each kind is tried"
    );
    for (stored, body) in stored.iter().zip(&bodies) {
        for at in 0..stored.len() {
            for bit in 0..8 {
                let mut damaged = stored.clone();
                damaged[at] ^= 1 << bit;
                match decode(&damaged, Some(&older)) {
                    Ok(decoded) => assert!(decoded == *body, "byte {at}, bit {bit}"),
                    Err(error) => assert!(matches!(error, Error::Corrupt { .. })),
                }
            }
            let cut = decode(&stored[..at], Some(&older));
            assert!(matches!(cut, Err(Error::Corrupt { .. })), "cut at {at}");
        }
    }
}

#[test]
fn a_missing_base_is_named() {
    let older = object(&(0..50).collect::<Vec<_>>());
    let body = object(&(0..51).collect::<Vec<_>>());
    let stored = encode(&body, Some((BASE, &older)));
    let error = decode(&stored, None).unwrap_err();
    assert!(error.to_string().contains("version 300"), "{error}");
}

#[test]
fn a_length_that_the_bytes_cannot_fill_is_an_error() {
    let say = |kind: u8, length: u64, rest: &[u8]| {
        let mut stored = vec![kind];
        number::push(&mut stored, length);
        stored.extend_from_slice(&[0; 8]);
        stored.extend_from_slice(rest);
        decode(&stored, Some(b"0123456789"))
            .unwrap_err()
            .to_string()
    };
    let much = LENGTH_MAX as u64;
    assert!(say(RAW, much + 1, b"").contains("longer than 1 GiB"));
    assert!(say(PACKED, much, b"12345").contains("too short for its length"));
    // Of a base at version 1: too much from it, a copy beyond its end, too many literals.
    assert!(say(DELTA, 41, &[1, 0, 10, 0]).contains("too long for its base"));
    assert!(say(DELTA, 11, &[1, 0, 11, 0]).contains("a step that does not fit"));
    assert!(say(DELTA, 9, &[1, 0, 9, 4]).contains("a step that does not fit"));
    assert!(say(DELTA_PACKED, 40, &[1, 40, 0]).contains("too short for its length"));
    assert!(say(DELTA, 1, &[1, 0, 0, 0]).contains("a step that does not fit"));
}

#[test]
fn a_base_that_cannot_be_is_an_error() {
    let stored = [&[DELTA, 0][..], &[0; 8], &[0]].concat();
    assert!(matches!(Stored::parse(&stored), Err(Error::Corrupt { .. })));
}

#[test]
fn the_stored_bytes_are_those_of_the_format() {
    let older = b"{\"apiVersion\":\"v1\",\"name\":\"one\",\"text\":\"a text that is the same in both\",\"size\":10}";
    let body = b"{\"apiVersion\":\"v1\",\"name\":\"two\",\"text\":\"a text that is the same in both\",\"size\":10}";
    let mut raw = vec![RAW, 2];
    raw.extend_from_slice(&xxh3_64(b"{}").to_le_bytes());
    raw.extend_from_slice(b"{}");
    assert_eq!(encode(b"{}", None), raw);
    assert_eq!(xxh3_64(b""), 0x2d06_8005_38d3_94c2, "the check is xxh3");
    // Copy 27, insert 3 ("two"), copy the rest from where it is expected.
    let mut delta = vec![DELTA, body.len() as u8];
    delta.extend_from_slice(&xxh3_64(body).to_le_bytes());
    delta.extend_from_slice(&[0xac, 0x02]);
    delta.extend_from_slice(&[0, 27, 0, 3, body.len() as u8 - 30, 0]);
    delta.extend_from_slice(b"two");
    let stored = encode_delta(body, BASE, older);
    assert_eq!(stored, delta);
    assert_eq!(decode(&stored, Some(older)).as_deref(), Ok(&body[..]));
}

#[test]
fn small_edits_take_little_wherever_they_are() {
    for count in [500, 5_000] {
        let panels: Vec<u32> = (0..count).collect();
        let older = object(&panels);
        let mut moved = panels.clone();
        moved.insert(0, 4_000_000_000);
        moved.remove(count as usize / 2);
        moved.swap(10, 20);
        let body = object(&moved);
        let stored = encode(&body, Some((BASE, &older)));
        assert!(
            stored.len() < 250,
            "{} of {} bytes",
            stored.len(),
            body.len()
        );
    }
}

#[test]
fn a_body_that_has_little_of_its_base_is_stored_alone() {
    let older = object(&(0..100).collect::<Vec<_>>());
    let body = object(&(1_000..1_100).collect::<Vec<_>>());
    let long = noise(5_000, 1);
    for (body, older) in [
        (long.clone(), noise(5_000, 2)),
        (long.clone(), long[..5_000 / GROWTH_MAX - 1].to_vec()),
        (body, older),
    ] {
        let stored = encode(&body, Some((BASE, &older)));
        assert_eq!(Stored::parse(&stored).unwrap().base(), None);
    }
    let stored = encode(&long, Some((BASE, &long[10..])));
    let base = Stored::parse(&stored).unwrap().base();
    assert_eq!(base, Some(BASE));
}
