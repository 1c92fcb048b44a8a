//! Would catch a kind of damage that `check` names wrongly or not at all: a row that is missing,
//! noise, in the place of another, a shelf that does not follow from the log, a number of `meta`.

use std::sync::Arc;

use annals::{FileMedia, Media, Place, Repair, Report, Store, Touches, Wound, wound};

use crate::wreck::{Written, fill, verify, write};

/// Damages a closed store, and answers what a check finds and a repair does.
fn treat(wounds: &[Wound]) -> (Report, Repair) {
    let (image, written) = fill(true);
    let folder = tempfile::tempdir().unwrap();
    write(&image, folder.path());
    for one in wounds {
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .open(folder.path().join("store.redb"));
        let media: Arc<dyn Media> = Arc::new(FileMedia::new(file.unwrap()));
        wound(&media, *one).unwrap();
    }
    let context = format!("{wounds:?}");
    let report = Store::check_directory(folder.path()).unwrap();
    let repair = Store::repair(folder.path()).unwrap();
    assert!(repair.changed, "{context}");
    assert!(repair.after.is_sound(), "{context}: {:#?}", repair.after);
    verify(folder.path(), &written, &repair, false, &context);
    (report, repair)
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
