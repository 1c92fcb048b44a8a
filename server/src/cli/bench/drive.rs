//! Running one workload: callers that each do one operation after the other, and what they saw.
//!
//! Callers begin together, warm up, and are measured until the time is over, the operations are
//! done, or somebody presses Ctrl-C. An operation counts when it began in the measured time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::histogram::Histogram;
use super::sample::Random;
use super::subject::{Caller, Fault, Subject};
use crate::cli::{Exit, Failure};

/// A caller that fails this often in a row gives up.
const FAULTS_MAX: u32 = 100;
/// The pause after a fault.
const FAULT_PAUSE: Duration = Duration::from_millis(10);
/// The silence after which a watcher takes it that no more events come.
const SILENCE: Duration = Duration::from_millis(500);

/// What the callers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Workload {
    /// Create new objects
    Create,
    /// Replace objects, each caller its own
    Update,
    /// Read one object
    Get,
    /// Read the first objects, --limit of them
    List,
    /// One writer updates, and every caller watches all objects
    Watch,
    /// Search for a word, and take ten hits
    Search,
    /// 70 % get, 20 % update, 5 % list, 5 % search
    Mixed,
}

/// How a workload is run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) callers: usize,
    pub(super) warm_up: Duration,
    /// How long to measure.
    pub(super) time: Duration,
    /// How many operations to measure, when the time does not count.
    pub(super) count: Option<u64>,
    /// How many objects there are.
    pub(super) objects: u64,
    /// How many objects a list reads.
    pub(super) limit: usize,
}

/// What came of a workload.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) latencies: Histogram,
    pub(super) elapsed: Duration,
    pub(super) faults: u64,
    pub(super) first_fault: Option<Fault>,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.latencies.merge(&other.latencies);
        self.elapsed = self.elapsed.max(other.elapsed);
        self.faults += other.faults;
        if self.first_fault.is_none() {
            self.first_fault = other.first_fault;
        }
    }

    /// Operations, or deliveries, in a second.
    pub(super) fn rate(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 {
            self.latencies.total() as f64 / seconds
        } else {
            0.0
        }
    }
}

/// What the threads of a workload share.
struct Course<'a> {
    plan: &'a Plan,
    stop: &'a AtomicBool,
    /// The number of the next new object.
    fresh: &'a AtomicU64,
    /// How many operations of a counted run have begun.
    begun: AtomicU64,
    /// When the bench began: what stamps count from.
    origin: Instant,
    from: Instant,
    until: Option<Instant>,
}

impl<'a> Course<'a> {
    fn new(plan: &'a Plan, stop: &'a AtomicBool, fresh: &'a AtomicU64) -> Self {
        let now = Instant::now();
        let from = now + plan.warm_up;
        Self {
            plan,
            stop,
            fresh,
            begun: AtomicU64::new(0),
            origin: now,
            from,
            until: plan.count.is_none().then(|| from + plan.time),
        }
    }

    /// Whether an operation that begins now is measured; nothing when it must not begin.
    fn admits(&self, now: Instant) -> Option<bool> {
        if self.stop.load(Ordering::Relaxed) || self.until.is_some_and(|until| now >= until) {
            return None;
        }
        if now < self.from {
            return Some(false);
        }
        match self.plan.count {
            Some(count) if self.begun.fetch_add(1, Ordering::Relaxed) >= count => None,
            Some(_) | None => Some(true),
        }
    }

    fn stamp(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// An object that no other caller writes.
    fn own(&self, number: usize, random: &mut Random) -> u64 {
        let (number, callers) = (number as u64, self.plan.callers as u64);
        let rounds = self.plan.objects.saturating_sub(number).div_ceil(callers);
        number % self.plan.objects + random.below(rounds) * callers
    }
}

/// Fills the subject, unmeasured, with the objects that reads need.
pub(super) fn fill(
    subject: &dyn Subject,
    plan: &Plan,
    stop: &AtomicBool,
    fresh: &AtomicU64,
) -> Result<(), Failure> {
    let filled = threads(plan.callers, |_| {
        let mut caller = subject.caller()?;
        loop {
            let number = fresh.fetch_add(1, Ordering::Relaxed);
            if number >= plan.objects || stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let created = caller.create(number, 0);
            created.map_err(|why| Failure::new(Exit::Failed, format!("filling: {why}")))?;
        }
    });
    fresh.store(plan.objects, Ordering::Relaxed);
    filled.map(drop)
}

/// Runs a workload.
pub(super) fn run(
    subject: &dyn Subject,
    workload: Workload,
    plan: &Plan,
    stop: &AtomicBool,
    fresh: &AtomicU64,
) -> Result<Outcome, Failure> {
    let all = if workload == Workload::Watch {
        watch(subject, plan, stop, fresh)?
    } else {
        let (ready, course) = (Barrier::new(plan.callers), Mutex::new(None));
        threads(plan.callers, |number| {
            // Everybody meets at the barrier, also who has no caller.
            let caller = subject.caller();
            if ready.wait().is_leader() {
                *lock(&course) = Some(std::sync::Arc::new(Course::new(plan, stop, fresh)));
            }
            ready.wait();
            let course = lock(&course).clone();
            let (mut caller, Some(course)) = (caller?, course) else {
                return Ok(Outcome::default());
            };
            Ok(call(&mut *caller, workload, &course, number))
        })?
    };
    let mut outcome = Outcome::default();
    for one in all {
        outcome.add(one);
    }
    Ok(outcome)
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Runs this on so many threads, each with its number.
fn threads<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    let work = &work;
    thread::scope(|scope| {
        let all: Vec<_> = (0..count).map(|at| scope.spawn(move || work(at))).collect();
        let ended = all.into_iter().map(|one| {
            let panicked = |_| Err(Failure::new(Exit::Failed, "a caller panicked"));
            one.join().unwrap_or_else(panicked)
        });
        ended.collect()
    })
}

/// One caller's operations.
fn call(
    caller: &mut dyn Caller,
    workload: Workload,
    course: &Course<'_>,
    number: usize,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut random = Random::new(number as u64 + 1);
    let mut in_a_row = 0;
    loop {
        let begin = Instant::now();
        let Some(measured) = course.admits(begin) else {
            return outcome;
        };
        match operate(caller, workload, course, number, &mut random) {
            Ok(()) => {
                in_a_row = 0;
                if measured {
                    outcome.latencies.add(begin.elapsed());
                    outcome.elapsed = course.from.elapsed();
                }
            }
            Err(fault) => {
                outcome.faults += 1;
                outcome.first_fault.get_or_insert(fault);
                in_a_row += 1;
                if in_a_row == FAULTS_MAX {
                    return outcome;
                }
                thread::sleep(FAULT_PAUSE);
            }
        }
    }
}

fn operate(
    caller: &mut dyn Caller,
    workload: Workload,
    course: &Course<'_>,
    number: usize,
    random: &mut Random,
) -> Result<(), Fault> {
    let workload = match workload {
        Workload::Mixed => match random.below(100) {
            0..70 => Workload::Get,
            70..90 => Workload::Update,
            90..95 => Workload::List,
            _ => Workload::Search,
        },
        one => one,
    };
    match workload {
        Workload::Create => {
            let fresh = course.fresh.fetch_add(1, Ordering::Relaxed);
            caller.create(fresh, course.stamp())
        }
        Workload::Update => caller.update(course.own(number, random), course.stamp()),
        Workload::List => caller.list(course.plan.limit),
        Workload::Search => caller.search(&random.word()),
        Workload::Get | Workload::Watch | Workload::Mixed => {
            caller.get(random.below(course.plan.objects))
        }
    }
}

/// One writer, and as many watchers as there are callers: the latency goes from before the write
/// to when a watcher has read the event.
fn watch(
    subject: &dyn Subject,
    plan: &Plan,
    stop: &AtomicBool,
    fresh: &AtomicU64,
) -> Result<Vec<Outcome>, Failure> {
    let mut watchers = Vec::new();
    for _ in 0..plan.callers {
        watchers.push(subject.watcher()?);
    }
    let mut writer = subject.caller()?;
    let alone = Plan {
        callers: 1,
        ..plan.clone()
    };
    let course = Course::new(&alone, stop, fresh);
    let is_over = AtomicBool::new(false);
    let (course, is_over) = (&course, &is_over);
    thread::scope(|scope| {
        let all: Vec<_> = watchers
            .into_iter()
            .map(|mut watcher| {
                scope.spawn(move || {
                    let mut outcome = Outcome::default();
                    loop {
                        match watcher.next(SILENCE) {
                            Ok(Some(stamp)) => {
                                let sent = course.origin + Duration::from_nanos(stamp);
                                if sent >= course.from {
                                    outcome.latencies.add(sent.elapsed());
                                    outcome.elapsed = course.from.elapsed();
                                }
                            }
                            Ok(None) if is_over.load(Ordering::Acquire) => return outcome,
                            Ok(None) => {}
                            Err(fault) => {
                                outcome.faults += 1;
                                outcome.first_fault = Some(fault);
                                return outcome;
                            }
                        }
                    }
                })
            })
            .collect();
        let mut written = call(&mut *writer, Workload::Update, course, 0);
        is_over.store(true, Ordering::Release);
        // What counts is what was delivered.
        written.latencies = Histogram::default();
        written.elapsed = Duration::ZERO;
        let delivered = all.into_iter().map(|one| {
            let panicked = |_| Failure::new(Exit::Failed, "a watcher panicked");
            one.join().map_err(panicked)
        });
        let mut outcomes = delivered.collect::<Result<Vec<_>, _>>()?;
        outcomes.push(written);
        Ok(outcomes)
    })
}
