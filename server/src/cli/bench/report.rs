//! What a bench says: a table for people, JSON for programs that compare.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::drive::{Outcome, Plan, Workload};
use super::machine::Machine;
use crate::cli::print;

/// The percentiles, in thousandths.
const SHARES: [(&str, u64); 4] = [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)];

/// A bench and its results so far.
pub(super) struct Report {
    pub(super) machine: Machine,
    /// `directory` or `server`.
    pub(super) target: &'static str,
    pub(super) date: String,
    pub(super) size: usize,
    pub(super) has_index: bool,
    pub(super) plan: Plan,
    pub(super) results: Vec<(Workload, Outcome)>,
    /// Whether somebody pressed Ctrl-C.
    pub(super) is_cut: bool,
}

fn name(workload: Workload) -> String {
    let value = workload.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// A build that is not optimised has other figures.
const BUILD: &str = if cfg!(debug_assertions) {
    "debug"
} else {
    "release"
};

impl Report {
    pub(super) fn table(&self) -> String {
        let Machine {
            cores,
            os,
            arch,
            kernel,
            file_system,
        } = &self.machine;
        let plan = &self.plan;
        let measured = match plan.count {
            Some(count) => format!("{count} operations"),
            None => format!("{} s", plan.time.as_secs()),
        };
        let on = match &**file_system {
            "" => String::new(),
            kind => format!(", {kind}"),
        };
        let mut text = format!(
            "annals {} ({BUILD}), {os} {arch} {kernel}, {cores} cores{on}, {}\n{}: {} callers, {} \
             bytes, {} objects, {measured} after {} s of warm-up, {} index\n\n",
            env!("CARGO_PKG_VERSION"),
            self.date,
            self.target,
            plan.callers,
            self.size,
            plan.objects,
            plan.warm_up.as_secs(),
            if self.has_index { "with" } else { "no" },
        );
        let mut heads = vec!["workload", "operations", "per second"];
        heads.extend(SHARES.iter().map(|(name, _)| *name));
        heads.extend(["max", "errors"]);
        let row = |(workload, outcome): &(Workload, Outcome)| {
            let latencies = &outcome.latencies;
            let mut row = vec![
                name(*workload),
                latencies.total().to_string(),
                format!("{:.0}", outcome.rate()),
            ];
            row.extend(SHARES.iter().map(|(_, share)| short(latencies.at(*share))));
            row.extend([short(latencies.max()), outcome.faults.to_string()]);
            row
        };
        text.push_str(&print::table(
            &heads,
            self.results.iter().map(row).collect(),
        ));
        for (workload, outcome) in &self.results {
            if let Some(fault) = &outcome.first_fault {
                text.push_str(&format!("{}: {}\n", name(*workload), print::clean(fault)));
            }
        }
        if self.is_cut {
            text.push_str("interrupted: the last figures are of a part of the run\n");
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let plan = &self.plan;
        let result = |(workload, outcome): &(Workload, Outcome)| {
            let latencies = &outcome.latencies;
            let mut micros = serde_json::Map::new();
            for (name, share) in SHARES {
                micros.insert(name.to_owned(), json!(micro(latencies.at(share))));
            }
            micros.insert("max".to_owned(), json!(micro(latencies.max())));
            json!({
                "workload": name(*workload),
                "operations": latencies.total(),
                "seconds": outcome.elapsed.as_secs_f64(),
                "perSecond": outcome.rate(),
                "latencyMicros": micros,
                "errors": outcome.faults,
                "firstError": outcome.first_fault,
            })
        };
        json!({
            "annals": {"version": env!("CARGO_PKG_VERSION"), "build": BUILD},
            "machine": self.machine,
            "date": self.date,
            "target": self.target,
            "parameters": {
                "callers": plan.callers,
                "sizeBytes": self.size,
                "objects": plan.objects,
                "listLimit": plan.limit,
                "seconds": plan.count.is_none().then_some(plan.time.as_secs()),
                "count": plan.count,
                "warmUpSeconds": plan.warm_up.as_secs(),
                "index": self.has_index,
            },
            "interrupted": self.is_cut,
            "results": self.results.iter().map(result).collect::<Vec<_>>(),
        })
    }
}

fn micro(latency: Duration) -> f64 {
    latency.as_nanos() as f64 / 1_000.0
}

/// A latency with three digits that count.
fn short(latency: Duration) -> String {
    let micros = micro(latency);
    let (value, unit) = match micros {
        ..1_000.0 => (micros, "us"),
        ..1_000_000.0 => (micros / 1_000.0, "ms"),
        _ => (micros / 1_000_000.0, "s"),
    };
    let digits = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    //! Catches a latency that is shown in the wrong unit.
    use super::*;

    #[test]
    fn latencies_have_three_digits() {
        for (nanos, expected) in [
            (0, "0.00 us"),
            (1_234, "1.23 us"),
            (45_678, "45.7 us"),
            (999_400, "999 us"),
            (12_345_678, "12.3 ms"),
            (3_000_000_000, "3.00 s"),
        ] {
            assert_eq!(short(Duration::from_nanos(nanos)), expected);
        }
    }
}
