//! Would catch a kind of damage that `check` names wrongly, twice or not at all: a row that is
//! missing, noise, in the place of another, a shelf that does not follow from the log, a number of
//! `meta`.

use std::path::Path;
use std::sync::Arc;

use annals::{FileMedia, Media, Place, Repair, Report, Store, Touches, Wound, wound};

use crate::wreck::{Written, fill, verify, write};

const PAGE_BYTES: usize = 4096;

/// Damages a closed store, and answers what a check finds and a repair does.
fn treat(wounds: &[Wound]) -> (Report, Repair) {
    let (image, written) = fill(true);
    let folder = tempfile::tempdir().unwrap();
    write(&image, folder.path());
    for one in wounds {
        wound_in(folder.path(), *one);
    }
    let context = format!("{wounds:?}");
    let report = Store::check_directory(folder.path()).unwrap();
    let repair = Store::repair(folder.path()).unwrap();
    assert!(repair.changed, "{context}");
    assert!(repair.after.is_sound(), "{context}: {:#?}", repair.after);
    verify(folder.path(), &written, &repair, false, &context);
    (report, repair)
}

/// The versions that the findings in a table name.
fn named(report: &Report, place: Place) -> Vec<u64> {
    let findings = report.findings.iter().filter(|it| it.place == place);
    let ranges = findings.filter_map(|it| it.versions);
    let all = ranges.flat_map(|(first, last)| first.get()..=last.get());
    all.collect()
}

#[test]
fn what_is_wrong_at_the_end_of_a_stretch_is_told_once() {
    let (image, _) = fill(true);
    let pages = image[0].len() / PAGE_BYTES;
    let mut stretches = 0;
    for page in 1..pages {
        let mut lost = image.clone();
        lost[0].write(page * PAGE_BYTES, &[0; PAGE_BYTES]);
        let folder = tempfile::tempdir().unwrap();
        write(&lost, folder.path());
        let report = Store::check_directory(folder.path()).unwrap();
        for place in [Place::Header, Place::Body] {
            let told = named(&report, place);
            let once: std::collections::BTreeSet<u64> = told.iter().copied().collect();
            assert_eq!(
                told.len(),
                once.len(),
                "page {page}: {:#?}",
                report.findings
            );
        }
        // The rows before a page of headers that is out of reach are noise, and then it is.
        let gaps = report
            .findings
            .iter()
            .filter(|it| it.place == Place::Header);
        let Some((first, last)) = gaps.filter_map(|it| it.versions).find(|it| it.0 < it.1) else {
            continue;
        };
        if first.get() < 4 {
            continue;
        }
        stretches += 1;
        write(&image, folder.path());
        let noisy = first.get() - 3..first.get();
        for version in noisy.clone() {
            wound_in(folder.path(), Wound::Noise(Place::Header, version));
        }
        lose_page(folder.path(), page);
        let report = Store::check_directory(folder.path()).unwrap();
        let told = named(&report, Place::Header);
        let wanted: Vec<u64> = noisy.chain(first.get()..=last.get()).collect();
        assert_eq!(told, wanted, "page {page}: {:#?}", report.findings);
    }
    assert!(stretches > 3, "only {stretches} pages of headers");
}

/// Damages the tables in a folder.
fn wound_in(folder: &Path, one: Wound) {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(folder.join("store.redb"));
    let media: Arc<dyn Media> = Arc::new(FileMedia::new(file.unwrap()));
    wound(&media, one).unwrap();
}

fn lose_page(folder: &Path, page: usize) {
    let path = folder.join("store.redb");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[page * PAGE_BYTES..(page + 1) * PAGE_BYTES].fill(0);
    std::fs::write(&path, bytes).unwrap();
}

/// A revision in the middle of its key's history, the newest of a live key, and a whole body that
/// others are built from.
fn places(written: &Written) -> (u64, u64, u64) {
    let key = &written.keys[3];
    let own: Vec<u64> = written
        .log
        .iter()
        .filter(|it| it.key() == key)
        .map(|it| it.version().get())
        .collect();
    assert!(own.len() > 4);
    (own[own.len() / 2], own[own.len() - 1], own[0])
}

#[test]
fn a_damaged_header_has_a_name_and_the_newest_is_made_again() {
    let (_, written) = fill(true);
    let (middle, newest, first) = places(&written);
    for version in [middle, newest, first] {
        let (report, repair) = treat(&[Wound::Noise(Place::Header, version)]);
        let finding = &report.findings[0];
        assert_eq!(
            (finding.place, finding.versions.map(|it| it.0.get())),
            (Place::Header, Some(version))
        );
        assert_eq!(finding.key.as_ref(), Some(&written.keys[3]), "{finding}");
        let touches = if version == newest {
            Touches::Present
        } else {
            Touches::Past
        };
        assert_eq!(finding.touches, touches, "{finding}");
        // The entry of the shelf has the newest; of an old one there may be no other copy.
        assert!(repair.lost <= u64::from(version != newest), "{repair:#?}");
        assert_eq!(repair.set_back, 0, "{repair:#?}");
    }
}

#[test]
fn a_damaged_body_names_what_is_lost_with_it() {
    let (_, written) = fill(true);
    let (_, newest, first) = places(&written);
    let (report, _) = treat(&[Wound::Noise(Place::Body, first)]);
    let finding = &report.findings[0];
    assert_eq!(report.wrong, 1, "{:#?}", report.findings);
    assert_eq!(finding.place, Place::Body);
    assert!(!finding.lost.is_empty(), "{finding}");
    let (report, _) = treat(&[Wound::Noise(Place::Body, newest)]);
    assert_eq!(report.findings[0].touches, Touches::Present);
}

#[test]
fn rows_in_the_place_of_others_are_found() {
    let (_, written) = fill(true);
    let (middle, newest, first) = places(&written);
    for place in [Place::Header, Place::Body] {
        let (report, _) = treat(&[Wound::Swapped(place, middle, newest)]);
        assert!(report.findings.iter().any(|it| it.place == place));
        let (report, _) = treat(&[Wound::Swapped(place, first, first + 1)]);
        assert!(report.findings.iter().any(|it| it.place == place));
    }
}

#[test]
fn shelves_are_made_again() {
    let (_, written) = fill(true);
    let (middle, newest, _) = places(&written);
    for one in [Wound::Older(middle), Wound::Unshelved(newest)] {
        let (report, repair) = treat(&[one]);
        assert!(!report.is_sound());
        let derived = report.findings.iter();
        assert!(derived.into_iter().all(|it| it.touches == Touches::Derived));
        assert_eq!((repair.lost, repair.set_back), (0, 0), "{repair:#?}");
    }
}

#[test]
fn numbers_that_do_not_fit_are_found() {
    for (name, number) in [
        ("applied", 3),
        ("applied", 1 << 40),
        ("removed", 5),
        ("seed", 1),
    ] {
        let (report, repair) = treat(&[Wound::Number(name, number)]);
        assert_eq!(report.findings[0].place, Place::Files, "{name}");
        assert_eq!((repair.lost, repair.set_back), (0, 0), "{repair:#?}");
    }
}

#[test]
fn missing_rows_are_found() {
    let (_, written) = fill(true);
    let (middle, newest, first) = places(&written);
    for version in [middle, newest, first] {
        for place in [Place::Header, Place::Body] {
            let (report, _) = treat(&[Wound::Lost(place, version)]);
            assert!(!report.is_sound(), "{place:?} {version}");
        }
        treat(&[
            Wound::Lost(Place::Header, version),
            Wound::Lost(Place::Body, version),
        ]);
    }
}
