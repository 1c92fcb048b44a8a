//! Short slices of each engine in turn, so that what else the machine does hits all alike; then
//! the median of the slices, and the percentiles of all of an engine's calls.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One slice, or all of an engine's slices together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Operations a second, of each slice.
    pub(crate) rates: Vec<f64>,
    /// The same, with the time for the work that the slice has left behind.
    pub(crate) settled: Vec<f64>,
    /// Microseconds of the processors for an operation, of each slice: what other programs on the
    /// machine change least.
    pub(crate) cpu: Vec<f64>,
    /// Nanoseconds of each call.
    pub(crate) calls: Vec<u64>,
}

impl Sample {
    pub(crate) fn rate(&self) -> f64 {
        median(self.rates.clone())
    }

    /// The time in microseconds that this share of the calls did not exceed.
    pub(crate) fn micros(&self, share: f64) -> f64 {
        let mut calls = self.calls.clone();
        calls.sort_unstable();
        let last = calls.len().saturating_sub(1);
        let at = ((calls.len() as f64 * share) as usize).min(last);
        calls.get(at).map_or(0.0, |&nanos| nanos as f64 / 1000.0)
    }

    pub(crate) fn add(&mut self, other: Sample) {
        self.rates.extend(other.rates);
        self.cpu.extend(other.cpu);
        self.settled.extend(other.settled);
        self.calls.extend(other.calls);
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Runs callers side by side for a while. `make` gives each its call, which is handed numbers that
/// none else is, and answers what of its time counts as latency.
pub(crate) fn slice<'a>(
    callers: usize,
    time: Duration,
    next: &AtomicU64,
    make: impl Fn() -> Box<dyn FnMut(u64) -> Duration + Send + 'a> + Sync,
) -> Sample {
    let started = Instant::now();
    let mut calls: Vec<u64> = Vec::new();
    std::thread::scope(|scope| {
        let run = || {
            let mut call = make();
            let mut own = Vec::new();
            while started.elapsed() < time {
                let spent = call(next.fetch_add(1, Ordering::Relaxed));
                own.push(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX));
            }
            own
        };
        let threads: Vec<_> = (0..callers).map(|_| scope.spawn(run)).collect();
        for thread in threads {
            calls.extend(thread.join().expect("a caller"));
        }
    });
    let rate = calls.len() as f64 / started.elapsed().as_secs_f64();
    Sample {
        rates: vec![rate],
        settled: Vec::new(),
        cpu: Vec::new(),
        calls,
    }
}

/// The time of all processors that a process has taken so far, its threads together; 0 where the
/// system does not tell.
pub(crate) fn cpu_seconds(process: Option<u32>) -> f64 {
    /// Linux counts in hundredths for every program.
    const TICK: f64 = 0.01;
    let process = process.map_or_else(|| "self".to_owned(), |id| id.to_string());
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name of the program, in brackets, may hold anything.
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let times = rest.split_whitespace().skip(11).take(2);
    times
        .filter_map(|time| time.parse::<f64>().ok())
        .sum::<f64>()
        * TICK
}
