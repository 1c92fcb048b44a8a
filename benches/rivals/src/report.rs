//! What was measured, as lines for people while it runs, and as JSON at the end.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::slices::{Sample, median};

/// One engine in one workload.
pub(crate) struct Cell {
    engine: String,
    /// The figure that is compared.
    value: f64,
    /// The rate with the work that was left to be done after the calls, where there is such work.
    settled: Option<f64>,
    /// Microseconds of the processors for an operation.
    cpu: Option<f64>,
    unit: &'static str,
    /// Whether more is better.
    more: bool,
    /// p50, p99 and p99.9 of the calls in microseconds, where there were calls.
    latencies: Option<[f64; 3]>,
}

impl Cell {
    /// A rate with its latencies.
    pub(crate) fn of(engine: &str, sample: &Sample) -> Self {
        let latencies = [0.5, 0.99, 0.999].map(|share| sample.micros(share));
        Cell {
            engine: engine.to_owned(),
            value: sample.rate(),
            settled: Some(median(sample.settled.clone())).filter(|rate| *rate > 0.0),
            cpu: Some(median(sample.cpu.clone())).filter(|micros| *micros > 0.0),
            unit: "/s",
            more: true,
            latencies: Some(latencies),
        }
    }

    /// A figure of which less is better.
    pub(crate) fn cost(engine: &str, value: f64, unit: &'static str) -> Self {
        Cell {
            engine: engine.to_owned(),
            value,
            settled: None,
            cpu: None,
            unit,
            more: false,
            latencies: None,
        }
    }
}

/// All rows of one run.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Value>,
    json: Option<PathBuf>,
}

impl Report {
    pub(crate) fn to(json: Option<PathBuf>) -> Self {
        Report {
            rows: Vec::new(),
            json,
        }
    }

    /// Prints a row: the first cell is ours, the others are compared with it. A ratio above 1
    /// means that ours is better.
    pub(crate) fn row(&mut self, title: &str, cells: Vec<Cell>) {
        println!("{title}");
        let first = cells.first().map_or(0.0, |cell| cell.value);
        let mut row = serde_json::Map::new();
        for (at, cell) in cells.iter().enumerate() {
            let ratio = if cell.more {
                first / cell.value
            } else {
                cell.value / first
            };
            let mut line = format!("  {:<18}{:>12.1} {}", cell.engine, cell.value, cell.unit);
            if let Some([p50, p99, p999]) = cell.latencies {
                line += &format!("   p50 {p50:.0} us, p99 {p99:.0} us, p99.9 {p999:.0} us");
            }
            if let Some(micros) = cell.cpu {
                line += &format!(", cpu {micros:.1} us");
            }
            if let Some(rate) = cell.settled {
                line += &format!(", {rate:.0} with what is left to do");
            }
            if at > 0 {
                line += &format!("   ratio {ratio:.2}");
            }
            println!("{line}");
            let latencies = cell
                .latencies
                .map(|[p50, p99, p999]| json!({ "p50": p50, "p99": p99, "p99.9": p999 }));
            row.insert(
                cell.engine.clone(),
                json!({ "value": cell.value, "settled": cell.settled, "cpu": cell.cpu, "unit": cell.unit, "ratio": ratio, "micros": latencies }),
            );
        }
        self.rows.push(json!({ "workload": title, "engines": row }));
        self.save();
    }

    /// Written after each row, so that a run that is ended early has told what it found.
    fn save(&self) {
        if let Some(path) = &self.json {
            let text = serde_json::to_string_pretty(&self.rows).expect("JSON");
            std::fs::write(path, text + "\n").expect("a file");
        }
    }
}
