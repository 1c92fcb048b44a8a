//! Would catch a checker that lets a wrong history pass: each of these is wrong in one way.

use super::*;

fn write(span: (u64, u64), action: Action, demand: Option<u64>, serial: u64, told: Told) -> Record {
    let change = Change {
        name: 0,
        action,
        demand,
        serial,
    };
    Record {
        start: span.0,
        end: span.1,
        asked: Asked::Write(vec![change]),
        told,
    }
}

fn read(span: (u64, u64), at: Option<u64>, version: u64, found: Option<(u64, u64)>) -> Record {
    let found = found.map(|(version, serial)| Found {
        name: 0,
        version,
        serial,
    });
    Record {
        start: span.0,
        end: span.1,
        asked: Asked::Read(Of::One(0), at),
        told: Told::Read(version, found.into_iter().collect()),
    }
}

fn entry(version: u64, action: Action, serial: u64) -> Entry {
    Entry {
        version,
        name: 0,
        action,
        serial,
        batch_end: version,
    }
}

fn watch(span: (u64, u64), after: u64, version: u64, events: &[Entry]) -> Record {
    Record {
        start: span.0,
        end: span.1,
        asked: Asked::Watch(Of::All, after),
        told: Told::Seen(version, events.to_vec()),
    }
}

/// Two writes one after the other, and the log that they leave.
fn two_writes() -> (Vec<Record>, Vec<Entry>) {
    let records = vec![
        write((10, 20), Action::Create, None, 100, Told::Written(1)),
        write((30, 40), Action::Update, Some(1), 101, Told::Written(2)),
    ];
    let log = vec![entry(1, Action::Create, 100), entry(2, Action::Update, 101)];
    (records, log)
}

/// The two writes and these records too: the checker's answer.
fn with(more: Vec<Record>) -> Result<Counts, String> {
    let (mut records, log) = two_writes();
    records.extend(more);
    check(&records, &log)
}

fn expect_wrong(answer: Result<Counts, String>, problem: &str) {
    let found = answer.expect_err(problem);
    assert!(found.contains(problem), "{found}, expected {problem}");
}

#[test]
fn a_history_that_one_order_explains_passes() {
    let log = two_writes().1;
    let counts = with(vec![
        read((1, 5), None, 0, None),
        // While a write is on its way, before it and after it are both right.
        read((15, 35), None, 1, Some((1, 100))),
        read((31, 39), None, 2, Some((2, 101))),
        read((50, 60), Some(1), 1, Some((1, 100))),
        watch((50, 60), 0, 2, &log),
        watch((50, 60), 2, 2, &[]),
        write(
            (50, 60),
            Action::Create,
            None,
            102,
            Told::Refused(Refusal::AlreadyExists(0)),
        ),
        write(
            (50, 60),
            Action::Update,
            Some(1),
            103,
            Told::Refused(Refusal::Conflict(0, 2)),
        ),
        write(
            (1, 15),
            Action::Delete,
            None,
            104,
            Told::Refused(Refusal::NotFound(0)),
        ),
        write((50, 60), Action::Delete, None, 105, Told::Unknown),
    ]);
    let counts = counts.unwrap();
    assert_eq!((counts.written, counts.refused, counts.read), (2, 3, 4));
    assert_eq!((counts.seen, counts.unknown), (2, 1));
}

#[test]
fn a_lost_update_is_found() {
    let (mut records, mut log) = two_writes();
    // Another update that demanded the same version was taken as well.
    records.push(write(
        (30, 50),
        Action::Update,
        Some(1),
        102,
        Told::Written(3),
    ));
    log.push(entry(3, Action::Update, 102));
    expect_wrong(
        check(&records, &log),
        "should have been refused: Conflict(0, 2)",
    );
}

#[test]
fn a_lost_write_is_found() {
    let (records, mut log) = two_writes();
    log.pop();
    expect_wrong(check(&records, &log), "lost: the log ends at 1");
    let (mut records, log) = two_writes();
    records.push(write((50, 60), Action::Update, None, 102, Told::Written(2)));
    expect_wrong(check(&records, &log), "before 2, which was known");
}

#[test]
fn a_write_that_was_replaced_is_found() {
    let (mut records, mut log) = two_writes();
    records.push(write((30, 60), Action::Update, None, 102, Told::Unknown));
    log[1] = entry(2, Action::Update, 102);
    expect_wrong(check(&records, &log), "lost: the log has others");
}

#[test]
fn a_stale_read_is_found() {
    expect_wrong(with(vec![read((50, 60), None, 1, Some((1, 100)))]), "stale");
    // Also when only another read has shown the newer state.
    let (records, log) = two_writes();
    let slow = write((30, 99), Action::Update, Some(1), 101, Told::Written(2));
    let seen = read((50, 60), None, 2, Some((2, 101)));
    let stale = read((70, 80), None, 1, Some((1, 100)));
    let fine = vec![records[0].clone(), slow.clone(), seen.clone()];
    assert!(check(&fine, &log).is_ok());
    let wrong = [fine, vec![stale]].concat();
    expect_wrong(check(&wrong, &log), "stale");
}

#[test]
fn a_read_of_the_future_is_found() {
    expect_wrong(
        with(vec![read((22, 28), None, 2, Some((2, 101)))]),
        "from the future",
    );
    expect_wrong(
        with(vec![read((22, 28), Some(2), 2, Some((2, 101)))]),
        "from the future",
    );
    expect_wrong(
        with(vec![read((50, 60), None, 3, Some((2, 101)))]),
        "from the future",
    );
}

#[test]
fn a_read_of_another_state_is_found() {
    expect_wrong(
        with(vec![read((50, 60), None, 2, Some((1, 100)))]),
        "other objects",
    );
    expect_wrong(
        with(vec![read((50, 60), Some(1), 1, None)]),
        "other objects",
    );
    expect_wrong(
        with(vec![read((50, 60), Some(1), 2, Some((2, 101)))]),
        "another version",
    );
}

#[test]
fn a_gap_is_found() {
    let (mut records, mut log) = two_writes();
    records[1].told = Told::Written(3);
    log[1] = entry(3, Action::Update, 101);
    expect_wrong(check(&records, &log), "a gap");
}

#[test]
fn a_write_that_nobody_made_is_found() {
    let (mut records, mut log) = two_writes();
    log.push(entry(3, Action::Update, 102));
    expect_wrong(check(&records, &log), "never asked for");
    let refused = Told::Refused(Refusal::Conflict(0, 2));
    records.push(write((50, 60), Action::Update, Some(1), 102, refused));
    expect_wrong(check(&records, &log), "was refused");
    // And one that was made twice.
    log[2] = entry(3, Action::Update, 101);
    expect_wrong(check(&records, &log), "made before");
}

#[test]
fn a_refusal_without_a_reason_is_found() {
    let refusals = [
        (Action::Update, None, Refusal::NotFound(0)),
        (Action::Create, None, Refusal::NotFound(0)),
        (Action::Update, Some(2), Refusal::Conflict(0, 2)),
        (Action::Update, Some(7), Refusal::Conflict(0, 1)),
    ];
    for (action, demand, refusal) in refusals {
        let record = write((50, 60), action, demand, 102, Told::Refused(refusal));
        expect_wrong(with(vec![record]), "refused for nothing");
    }
}

#[test]
fn versions_against_the_order_of_time_are_found() {
    let (mut records, log) = two_writes();
    // The first write is asked for when the second has long been answered.
    (records[0].start, records[0].end) = (50, 60);
    expect_wrong(check(&records, &log), "before 2, which was known");
}

#[test]
fn a_watch_with_a_hole_is_found() {
    let log = two_writes().1;
    expect_wrong(
        with(vec![watch((50, 60), 0, 2, &log[1..])]),
        "other changes",
    );
    expect_wrong(
        with(vec![watch((50, 60), 0, 2, &[log[0], log[0], log[1]])]),
        "other changes",
    );
    expect_wrong(with(vec![watch((50, 60), 0, 1, &log[..1])]), "stale");
    expect_wrong(with(vec![watch((22, 28), 0, 2, &log)]), "from the future");
}

#[test]
fn half_of_a_batch_is_found() {
    let (mut records, mut log) = two_writes();
    log.iter_mut().for_each(|entry| entry.batch_end = 2);
    let both = [records[0].clone(), records[1].clone()].map(|record| match record.asked {
        Asked::Write(mut changes) => changes.remove(0),
        other => panic!("{other:?} is not a write"),
    });
    let batch = Record {
        start: 10,
        end: 40,
        asked: Asked::Write(both.to_vec()),
        told: Told::Written(1),
    };
    records = vec![batch];
    assert!(check(&records, &log).is_ok());
    records.push(read((15, 35), None, 1, Some((1, 100))));
    expect_wrong(check(&records, &log), "half of a batch");
    // A batch that the log holds as two commits.
    log[0].batch_end = 1;
    expect_wrong(check(&records[..1], &log), "lost: the log has others");
}
