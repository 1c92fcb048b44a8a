//! Would catch a flipped bit, a cut, a frame that is missing, doubled or moved, or one of another
//! piece, which a verification or a restore takes.

use std::fs;
use std::path::PathBuf;

use annals::backup::{Pieces, Until, verify};
use annals::{Error, Key, Write};

use super::{Source, restore};
use crate::random::Random;
use crate::suite::scaled;

fn verdict(bytes: &[u8]) -> Result<(), Error> {
    verify(bytes, "it").map(drop)
}

fn is_bad(answer: Result<(), Error>, what: &str) {
    match answer {
        Err(Error::BadPiece { .. }) => {}
        other => panic!("{what}: {other:?}"),
    }
}

/// A chain of two pieces.
fn chain() -> (Source, Vec<Vec<u8>>) {
    let mut source = Source::new(7);
    for _ in 0..2 {
        for _ in 0..4 {
            source.write(3);
        }
        source.piece();
    }
    let bytes = source.pieces.iter().map(|path| fs::read(path).unwrap());
    let bytes = bytes.collect();
    (source, bytes)
}

#[test]
fn every_bit_and_every_cut_is_found_by_a_verification() {
    for bytes in chain().1 {
        verdict(&bytes).unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                is_bad(verdict(&bytes), &format!("bit {bit} of byte {at}"));
            }
            is_bad(verdict(&bytes[..at]), &format!("cut at byte {at}"));
        }
        let mut longer = bytes.clone();
        longer.push(0);
        is_bad(verdict(&longer), "a byte more");
        is_bad(verdict(&[&*bytes, &*bytes].concat()), "twice");
    }
}

#[test]
fn bits_and_cuts_are_found_by_a_restore_which_leaves_nothing() {
    let (source, sound) = chain();
    let mut random = Random::new(0);
    for round in 0..scaled(60) {
        let piece = random.below(sound.len());
        let mut bytes = sound[piece].clone();
        let at = random.below(bytes.len());
        if round % 3 == 0 {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << random.below(8);
        }
        fs::write(&source.pieces[piece], &bytes).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let place = match round % 2 {
            0 => folder.path().to_owned(),
            _ => folder.path().join("missing"),
        };
        let answer = Pieces::open(&source.pieces)
            .and_then(|pieces| pieces.restore(&place, Until::Newest, true));
        match answer {
            // Of one piece only the head is seen, and it names another store.
            Err(Error::BadPiece { piece: name, .. }) => {
                assert_eq!(name, source.pieces[piece].display().to_string());
            }
            other => panic!("byte {at} of piece {piece}: {other:?}"),
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let verified = Pieces::open(&source.pieces).unwrap().verify().unwrap();
        assert!(verified.wrong >= 1 && verified.pieces == 1);
        fs::write(&source.pieces[piece], &sound[piece]).unwrap();
    }
    assert!(restore(&source.pieces, Until::Newest).is_ok());
}

#[test]
fn what_is_before_the_damage_can_be_had() {
    let (source, sound) = chain();
    let half = &sound[1][..sound[1].len() - 1];
    fs::write(&source.pieces[1], half).unwrap();
    let error = restore(&source.pieces, Until::Newest)
        .map(drop)
        .unwrap_err();
    let reached = Pieces::open(&source.pieces).unwrap().all()[0].head.version;
    let told = format!("restored up to version {reached}");
    assert!(error.to_string().contains(&told), "{error}");
    let copy = restore(&source.pieces, Until::Version(reached)).unwrap();
    super::expect_same(&source.store, &copy.store, reached);
}

/// Splits a piece into what stands before its frames, and its frames.
fn frames(bytes: &[u8]) -> Vec<&[u8]> {
    let (magic, mut rest) = bytes.split_at(8);
    let mut parts = vec![magic];
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[8..16].try_into().unwrap());
        let (frame, behind) = rest.split_at(32 + usize::try_from(length).unwrap());
        parts.push(frame);
        rest = behind;
    }
    parts
}

/// A store of large objects, so that a piece of it has many frames: as many and as long for every
/// seed. Of half of it a piece is taken.
fn large(seed: u64) -> Source {
    let mut source = Source::new(seed);
    let mut random = Random::new(seed);
    for number in 0..12 {
        // Noise, which is not packed: each body is most of a frame.
        let text: String = (0..200_000)
            .map(|_| format!("{:x}", random.below(16)))
            .collect();
        let body = format!(r#"{{"spec":"{text}"}}"#).into_bytes();
        let key = Key::new("g.x", "things", "a", &format!("large{number:02}")).unwrap();
        source.store.write(Write::create(key, body)).unwrap();
        if number == 5 {
            source.piece();
        }
    }
    source
}

#[test]
fn no_frame_of_another_store_fits() {
    let bytes = [1, 2].map(|seed| fs::read(&large(seed).pieces[0]).unwrap());
    let [one, other] = bytes.each_ref().map(|bytes| frames(bytes));
    assert!(one.len() > 4 && one.len() == other.len(), "too few frames");
    for at in 1..one.len() {
        let mut mixed = one.clone();
        mixed[at] = other[at];
        is_bad(verdict(&mixed.concat()), &format!("frame {at} of another"));
    }
}

#[test]
fn no_frame_is_missing_doubled_moved_or_of_another_piece() {
    let mut source = large(8);
    source.last = None;
    source.piece();
    let bytes: Vec<Vec<u8>> = source
        .pieces
        .iter()
        .map(|path: &PathBuf| fs::read(path).unwrap())
        .collect();
    let parts: Vec<Vec<&[u8]>> = bytes.iter().map(|bytes| frames(bytes)).collect();
    assert!(parts[0].len() > 4 && parts[1].len() > 6, "too few frames");
    for parts in &parts {
        for at in 1..parts.len() {
            let mut missing = parts.clone();
            missing.remove(at);
            is_bad(
                verdict(&missing.concat()),
                &format!("frame {at} is missing"),
            );
            let mut doubled = parts.clone();
            doubled.insert(at, parts[at]);
            is_bad(
                verdict(&doubled.concat()),
                &format!("frame {at} is doubled"),
            );
            if at + 1 < parts.len() {
                let mut moved = parts.clone();
                moved.swap(at, at + 1);
                is_bad(verdict(&moved.concat()), &format!("frame {at} is moved"));
            }
        }
    }
    for at in 1..parts[0].len() {
        let mut mixed = parts[1].clone();
        mixed[at] = parts[0][at];
        if mixed != parts[1] {
            is_bad(verdict(&mixed.concat()), &format!("frame {at} of another"));
        }
    }
}

#[test]
fn noise_is_no_piece() {
    let mut random = Random::new(9);
    for length in 0..400 {
        let noise: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        is_bad(verdict(&noise), "noise");
        is_bad(verdict(&[b"annalsbk", &*noise].concat()), "noise");
    }
}
