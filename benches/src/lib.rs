//! What the benches share: objects, callers, and the ratio that each bench is about.
//!
//! Every bench measures annals beside the raw engine below it, with the same keys, bytes and
//! syncs, in the same run. The ratio of the medians is what may be quoted; the times depend on
//! the machine.

pub mod documents;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// The group and resource of all objects of the benches.
pub const KIND: (&str, &str) = ("bench.annals.dev", "things");

/// The name of the n-th object.
#[must_use]
pub fn name(number: u64) -> String {
    // Spread over the key space, as real names are.
    format!("thing-{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// How many different texts the bodies have.
const TEXTS: u64 = 64;

/// An object of about a thousand bytes of JSON. Making it costs next to nothing, so that it does
/// not count as work of the store.
#[must_use]
pub fn body(number: u64) -> Vec<u8> {
    static TEXT: LazyLock<Vec<String>> = LazyLock::new(|| (0..TEXTS).map(text).collect());
    let text = &TEXT[usize::try_from(number % TEXTS).unwrap_or(0)];
    format!(
        r#"{{"apiVersion":"bench.annals.dev/v1","kind":"Thing","metadata":{{"name":"{}","namespace":"default","labels":{{"app":"a{}","tier":"t{}"}},"annotations":{{"grafana.app/folder":"f{}"}}}},"spec":{{"title":"Thing {number}","replicas":{},"description":"{text}"}}}}"#,
        name(number), number % 10, number % 3, number % 100, number % 7,
    )
    .into_bytes()
}

/// Words of four random digits: they hardly compress.
fn text(number: u64) -> String {
    let mut seed = number;
    let mut word = || {
        seed = seed
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        format!("w{:04x} ", seed >> 48)
    };
    (0..120).map(|_| word()).collect()
}

/// Runs `total` calls on this many threads, and answers how long that took.
pub fn with_callers(callers: u64, total: u64, call: impl Fn(u64) + Send + Sync) -> Duration {
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..callers {
            let (next, call) = (Arc::clone(&next), &call);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= total {
                        return;
                    }
                    call(number);
                }
            });
        }
    });
    start.elapsed()
}

/// Prints how the median of `ours` compares with that of `raw`, both of this criterion group and
/// of this run. Above 1 annals is faster.
pub fn print_ratio(group: &str, ours: &str, raw: &str) {
    match (median(group, ours), median(group, raw)) {
        (Some(own), Some(other)) => {
            println!(
                "RATIO {group}: {ours} is {:.2}x as fast as {raw} ({own:.0} ns, {other:.0} ns)",
                other / own
            );
        }
        _ => println!("RATIO {group}: not measured in this run"),
    }
}

/// The median that criterion has written down, in nanoseconds per iteration.
fn median(group: &str, name: &str) -> Option<f64> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target =
        target.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")));
    let file = target
        .join("criterion")
        .join(group.replace('/', "_"))
        .join(name)
        .join("new/estimates.json");
    let text = std::fs::read_to_string(file).ok()?;
    let after = text
        .split_once("\"median\"")?
        .1
        .split_once("\"point_estimate\":")?
        .1;
    after.split([',', '}']).next()?.trim().parse().ok()
}
