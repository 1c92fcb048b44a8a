//! Would catch a backup of a store whose past retention has thinned out that brings back a deleted
//! object, lacks a body that kept ones are built from, answers below a compacted version, or
//! continues where something is missing.
//!
//! What retention has removed since an older piece of a chain may be there again, below the
//! compacted version; above it the copy answers as its source.

use std::time::Duration;

use annals::backup::Until;
use annals::{Collection, Error, Keep, Store, Version};

use super::{Copy, KEYS, Source, events, key, list, options};
use crate::suite::{first_seed, scaled};

fn source(seed: u64) -> Source {
    let keep = Keep::everything()
        .revisions(2)
        .trash(Duration::from_micros(4));
    let options = options()
        .retention(Collection::all(), keep)
        .retention_grace(Duration::ZERO)
        .background_retention(false);
    Source::with(seed, options)
}

fn floor(store: &Store) -> Version {
    store.compacted(&Collection::all()).unwrap()
}

/// The next piece, or a whole one where nothing can be continued; says whether it was one.
fn take(source: &mut Source) -> bool {
    let oldest = floor(&source.store);
    let requested = source.last.unwrap_or_default();
    let is_cut = requested > Version::ZERO && requested < oldest;
    if is_cut {
        let refused = source.store.backup(Some(requested), Vec::new());
        assert_eq!(refused, Err(Error::Gone { requested, oldest }));
        source.last = None;
    }
    source.piece();
    is_cut
}

/// The copy of the newest state answers as its source where both can.
fn expect_same(source: &Store, copy: &Store) {
    let head = source.snapshot().unwrap().version();
    let oldest = floor(copy);
    assert_eq!(copy.snapshot().unwrap().version(), head);
    assert!(oldest <= floor(source));
    for at in (floor(source).get()..=head.get()).map(Version::new) {
        assert_eq!(list(copy, at, true), list(source, at, true), "at {at}");
        assert_eq!(events(copy, at, head), events(source, at, head));
        let dead = list(copy, at, false);
        let known = list(source, at, false);
        assert!(known.iter().all(|marker| dead.contains(marker)), "at {at}");
        let more = dead.iter().filter(|marker| !known.contains(marker));
        more.for_each(|marker| assert!(marker.version() <= floor(source)));
    }
    if oldest > Version::ZERO {
        let requested = Version::new(oldest.get() - 1);
        let snapshot = copy.snapshot_at(requested);
        let all = annals::List::new(Collection::all());
        let answer = snapshot.and_then(|snapshot| snapshot.list(&all));
        assert!(matches!(answer, Err(Error::Gone { .. })), "{answer:?}");
    }
    for number in 0..KEYS {
        let history = |store: &Store| {
            let snapshot = store.snapshot_at(head).unwrap();
            let page = snapshot.history(&key(number), 0, None);
            page.map(|page| page.items).unwrap_or_default()
        };
        assert!(history(copy).starts_with(&history(source)), "{number}");
    }
    assert_eq!(copy.check().unwrap().wrong, 0);
}

#[test]
fn what_retention_has_left_is_restored() {
    let (mut cut, mut removed) = (0, 0);
    for seed in first_seed()..first_seed() + scaled(10) {
        let mut source = source(seed);
        for _ in 0..8 {
            for _ in 0..source.random.below(6) {
                source.write(4);
            }
            if source.random.one_in(2) {
                removed += source.store.retain().unwrap();
            }
            cut += u64::from(take(&mut source));
            if source.random.one_in(2) {
                removed += source.store.retain().unwrap();
            }
        }
        let head = source.last.unwrap();
        let copy = source.restore(Until::Newest).unwrap();
        expect_same(&source.store, &copy.store);
        for _ in 0..4 {
            let wanted = 1 + source.random.below(head.get() as usize) as u64;
            expect_until(&source, Version::new(wanted));
        }
    }
    assert!(cut > 3 && removed > 100, "{cut} cut, {removed} removed");
}

/// An older version is brought back whole, or not at all.
fn expect_until(source: &Source, wanted: Version) {
    let copy: Copy = match source.restore(Until::Version(wanted)) {
        Ok(copy) => copy,
        Err(Error::Gone { .. } | Error::Invalid { field: "until", .. }) => return,
        Err(error) => panic!("{wanted}: {error}"),
    };
    let head = copy.store.snapshot().unwrap().version();
    assert!(head <= wanted && floor(&copy.store) <= head);
    if head >= floor(&source.store) {
        let expected = list(&source.store, head, true);
        assert_eq!(list(&copy.store, head, true), expected, "{wanted}");
    }
}
