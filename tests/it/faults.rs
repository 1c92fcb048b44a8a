//! Would catch an I/O error that loses an acknowledged write, panics, leaves the store refusing
//! for ever, is answered as success, or without its cause (P1).
//!
//! Twenty scripts run once for every call they make to the disk, with that call meeting with each
//! kind of trouble: an error, an error that stays, a full disk, half a write, a sync that fails
//! and loses what it should have kept. On a disk that ignores a call and says that all is well,
//! the same suite must find what is lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use annals::{ErrorKind, Revision, Store, Version, Watch, Write};

use crate::disk::{Call, Disk, Fault, Trouble};
use crate::scripts::{
    Answers, SCRIPTS, Script, Stage, body, key, names_cause, options, read_all, watch_all,
};
use crate::suite::Tally;
use crate::trace::{read_log, shown};

/// How often a caller tries again before the store counts as refusing for ever.
const TRIES_MAX: usize = 3_000;
const PAUSE: Duration = Duration::from_millis(10);
/// No script makes as many calls.
const CALLS_MAX: u64 = 5_000;
/// Most of the time a struck store waits before it tries again: many wait at once.
const THREADS: usize = 12;
/// How many calls are struck at least.
const STRIKES_MIN: u64 = 1_000;

/// What may befall a call, and of how many calls in turn one meets with it.
const TROUBLES: [(Trouble, u64); 5] = [
    (Trouble::Io, 1),
    (Trouble::Broken, 3),
    (Trouble::Full, 1),
    (Trouble::Short, 1),
    (Trouble::LostSync, 1),
];

fn ensure(holds: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem()) }
}

/// The store heals itself: after some tries a write is accepted.
fn heal(store: &Store, name: &str) -> Result<Revision, String> {
    for attempt in 0..TRIES_MAX {
        let name = key(&format!("{name}-{attempt}"));
        match store.write(Write::create(name, body(1))) {
            Ok(revision) => {
                // The tables may heal a little later than the log.
                let healed = (0..TRIES_MAX).any(|_| {
                    std::thread::sleep(Duration::from_millis(1));
                    store.write_failure().is_none()
                });
                let reason = || format!("writes are taken, and yet: {:?}", store.write_failure());
                return ensure(healed, reason).map(|()| revision);
            }
            Err(error) => ensure(error.kind() == ErrorKind::Unavailable, || shown(error))?,
        }
        std::thread::sleep(PAUSE);
    }
    Err(format!(
        "writes are refused for ever: {:?}",
        store.write_failure()
    ))
}

/// Errors that the fault explains: only what is not there because of an unknown write may be
/// missed, and the first that is none of those names the cause.
fn judge_errors(answers: &Answers, trouble: Trouble) -> Result<(), String> {
    let mut named = false;
    for error in &answers.errors {
        match error.kind() {
            ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::Conflict
            | ErrorKind::Future => {}
            ErrorKind::Unavailable if named => {}
            ErrorKind::Unavailable => {
                named = names_cause(error, trouble);
                ensure(named, || {
                    format!("{error}: does not say {}", trouble.cause())
                })?;
            }
            ErrorKind::Invalid | ErrorKind::Gone | ErrorKind::Corrupt => {
                return Err(error.to_string());
            }
        }
    }
    Ok(())
}

/// While the trouble lasts, either no write has met with it yet, or writes are refused with the
/// reason.
fn judge_refusal(stage: &mut Stage, trouble: Trouble) -> Result<(), String> {
    let before = stage.answers.errors.len();
    stage.create("probe", 1);
    let refused = stage.answers.errors.len() > before;
    // Reads go on where they can; where they cannot, they say why.
    if let Err(error) = read_all(stage.store()) {
        stage.answers.errors.push(error);
    }
    if !refused {
        return Ok(());
    }
    // The answer to the write that failed may come before the reason is set.
    let reason = (0..TRIES_MAX).find_map(|_| {
        std::thread::sleep(Duration::from_millis(1));
        stage.store().write_failure()
    });
    let reason = reason.unwrap_or_default();
    ensure(reason.contains(&trouble.cause()), || {
        format!("the reason is {reason:?}")
    })?;
    let answer = stage.store().write(Write::create(key("refused"), body(1)));
    match answer {
        Err(error) => ensure(names_cause(&error, trouble), || error.to_string()),
        Ok(_) => Err("a broken disk took a write".to_owned()),
    }
}

/// Every acknowledged revision is in the log and nothing that was refused, no batch is there in
/// half, and the check is clean.
fn judge_whole(store: &Store, answers: &Answers) -> Result<(), String> {
    let log = read_log(store, Version::ZERO).map_err(shown)?;
    let known = |revision: &Revision| {
        let author = &revision.header().author;
        let acknowledged = || {
            let mut all = answers.acknowledged.iter();
            all.any(|made| made.version() == revision.version())
        };
        answers.uncertain.contains(author) || acknowledged()
    };
    for revision in &answers.acknowledged {
        let at = usize::try_from(revision.version().get()).unwrap() - 1;
        ensure(log.get(at) == Some(revision), || {
            format!("{revision:?} is lost")
        })?;
    }
    for revision in &log {
        ensure(known(revision), || format!("{revision:?} was refused"))?;
    }
    let last = log
        .last()
        .map(|last| (last.header().batch_end, last.version()));
    ensure(last.is_none_or(|(end, last)| end == last), || {
        "half of a batch".to_owned()
    })?;
    let report = store.check().map_err(shown)?;
    ensure(
        report.wrong == 0 && report.revisions == log.len() as u64,
        || format!("{report:?}"),
    )
}

/// A watch that was open all the time has seen the whole log, once and in order.
fn judge_watch(mut watch: Watch, store: &Store) -> Result<(), String> {
    let mut seen = Vec::new();
    while let Some(event) = watch.try_next().map_err(shown)? {
        seen.push(event.object);
    }
    ensure(
        seen == read_log(store, Version::ZERO).map_err(shown)?,
        || "the watch saw another log".to_owned(),
    )
}

/// Runs the script with this fault; says whether the fault struck.
fn strike(script: Script, fault: Fault) -> Result<bool, String> {
    let disk = Disk::new();
    // The first script strikes the birth of the store as well.
    if script.0 == SCRIPTS[0].0 {
        disk.plan(fault);
    }
    let mut stage = Stage::new(&disk);
    if script.0 != SCRIPTS[0].0 {
        disk.plan(fault);
    }
    // The script that reopens the store ends it, and no watch may outlive it.
    let watch = Some(script.0).filter(|name| !name.starts_with("reopened"));
    let watch = watch.and_then(|_| watch_all(stage.store()).ok());
    (script.1)(&mut stage);
    if fault.trouble.lasts() && disk.failures() > 0 && disk.is_planned() {
        judge_refusal(&mut stage, fault.trouble)?;
    }
    judge_cut(&disk, &stage.answers)?;
    let failures = disk.mend();
    if fault.trouble != Trouble::Ignored {
        judge_errors(&stage.answers, fault.trouble)?;
    }
    let healed = heal(stage.store(), "healed")?;
    stage.answers.acknowledged.push(healed);
    judge_whole(stage.store(), &stage.answers)?;
    if let Some(watch) = watch {
        judge_watch(watch, stage.store())?;
    }
    judge_cut(&disk, &stage.answers)?;
    stage.reopen();
    judge_whole(stage.store(), &stage.answers)?;
    Ok(failures > 0)
}

/// If the power went now and all that was not synced were gone, nothing acknowledged would be.
fn judge_cut(disk: &Disk, answers: &Answers) -> Result<(), String> {
    let image = Disk::with(disk.synced());
    let store = Store::open_on(image, options()).map_err(shown)?;
    judge_whole(&store, answers)
}

/// As [`strike`]; a panic is a finding too.
fn contained(script: Script, fault: Fault) -> Result<bool, String> {
    let struck = catch_unwind(AssertUnwindSafe(|| strike(script, fault)));
    struck.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(format!("panicked: {}", text.unwrap_or_default()))
    })
}

/// Strikes every call of a script in turn.
fn strike_each(script: Script, trouble: Trouble, stride: u64, tally: &Tally) {
    for nth in 0..CALLS_MAX {
        let fault = Fault {
            trouble,
            call: None,
            after: nth * stride,
        };
        match contained(script, fault) {
            Ok(true) => tally.add(1),
            Ok(false) => {
                let reached = nth > 0 || (cfg!(feature = "canary") && trouble == Trouble::LostSync);
                assert!(
                    reached,
                    "no call of {:?} was struck by {trouble:?}",
                    script.0
                );
                return;
            }
            Err(problem) => {
                let (name, after) = (script.0, fault.after);
                tally.report(format!("{name}, {trouble:?} after {after}: {problem}"));
            }
        }
        if tally.is_full() {
            return;
        }
    }
    panic!("the script {:?} has no end", script.0);
}

/// Strikes every script with these troubles.
fn strike_all(troubles: &[(Trouble, u64)]) -> Tally {
    let tally = Tally::default();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let item = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&script) = SCRIPTS.get(item / troubles.len()) else {
                        return;
                    };
                    let (trouble, stride) = troubles[item % troubles.len()];
                    strike_each(script, trouble, stride, &tally);
                }
            });
        }
    });
    tally
}

#[test]
fn any_call_of_any_script_may_fail() {
    strike_all(&TROUBLES).expect("struck calls", STRIKES_MIN, cfg!(feature = "canary"));
}

#[test]
fn a_call_that_the_disk_ignores_is_found() {
    strike_all(&[(Trouble::Ignored, 1)]).expect("ignored calls", 1, true);
}

#[test]
fn reads_come_back_without_a_write() {
    let disk = Disk::new();
    let store = Store::open_on(disk.clone(), options()).unwrap();
    store.write(Write::create(key("a"), body(9_000))).unwrap();
    // What is closed is in the tables.
    drop(store);
    let store = Store::open_on(disk.clone(), options()).unwrap();
    for _ in 0..4 {
        let before = disk.reads();
        read_all(&store).unwrap();
        assert!(disk.reads() > before, "the cache hides the reads");
        disk.plan(Fault {
            trouble: Trouble::Io,
            call: Some(Call::Read),
            after: 0,
        });
        let error = read_all(&store).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(disk.mend(), 1);
        assert_eq!(read_all(&store), Ok(()));
    }
}

/// Tells the readers to end, also when the test fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn readers_without_a_pause_do_not_keep_writes_away() {
    let disk = Disk::new();
    let mut stage = Stage::new(&disk);
    (SCRIPTS[3].1)(&mut stage);
    let done = AtomicBool::new(false);
    let mut healed = Vec::new();
    let reader = &stage.store().clone();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    if let Err(error) = read_all(reader) {
                        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                    }
                }
            });
        }
        let done = Done(&done);
        for after in 0..20 {
            disk.plan(Fault {
                trouble: Trouble::Short,
                call: Some(Call::Write),
                after,
            });
            stage.create(&format!("struck{after}"), 2_000);
            disk.mend();
            healed.push(heal(stage.store(), &format!("again{after}")).unwrap());
        }
        drop(done);
    });
    stage.answers.acknowledged.extend(healed);
    judge_whole(stage.store(), &stage.answers).unwrap();
}
