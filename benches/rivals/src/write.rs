//! Durable creates and updates: every engine the same objects, with 1 to 512 callers.
//!
//! Each configuration begins with fresh directories of 20,000 objects. The work that annals puts
//! off, at most one layer of the overlay, is done before the next engine's slice, so that it burdens
//! none of them; the rate with that time in it is told beside the rate of the calls. fjall puts off
//! more, and is not asked to do it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::engine::{Engine, Name, Put};
use crate::objects::{self, Text};
use crate::report::{Cell, Report};
use crate::slices::{Sample, cpu_seconds, slice};
use crate::{Asked, slow};

/// Objects that are there before anything is measured.
const OBJECTS: u64 = 20_000;

/// What is written, and by how many.
#[derive(Clone, Copy, Debug)]
struct Case {
    creates: bool,
    callers: usize,
    bytes: usize,
    text: Text,
}

impl Case {
    fn title(self) -> String {
        let what = if self.creates { "create" } else { "update" };
        let slow = match slow::delay_us() {
            0 => String::new(),
            us => format!(", +{} ms a sync", us / 1000),
        };
        let text = match self.text {
            Text::Words => "words",
            Text::Panels => "panels",
        };
        format!(
            "{what} {} KiB of {text}, {} callers{slow}",
            self.bytes / 1024,
            self.callers
        )
    }

    fn put(self, number: u64) -> Put {
        if self.creates {
            let number = OBJECTS + number;
            let body = objects::body(number, 1, self.bytes, self.text);
            return Put {
                number,
                body,
                is_new: true,
            };
        }
        let object = objects::scatter(number) % OBJECTS;
        Put {
            number: object,
            body: objects::body(object, number, self.bytes, self.text),
            is_new: false,
        }
    }
}

pub(crate) fn run(asked: &Asked, report: &mut Report) {
    slow::slow_down(asked.number("delay", 0), &asked.folder);
    let list = |name: &str, otherwise: &[u64]| asked.numbers(name, otherwise);
    let sizes = list("sizes", &[1024, 8192]);
    let callers = list("callers", &[1, 8, 64, 512]);
    let texts = match asked.text("text") {
        Some("words") => vec![Text::Words],
        Some("panels") => vec![Text::Panels],
        _ => vec![Text::Panels, Text::Words],
    };
    for creates in [true, false] {
        let skipped = if creates { "update" } else { "create" };
        if asked.text("only").is_some_and(|only| only == skipped) {
            continue;
        }
        for (&bytes, &text) in sizes
            .iter()
            .flat_map(|bytes| texts.iter().map(move |text| (bytes, text)))
        {
            for &callers in &callers {
                let case = Case {
                    creates,
                    callers: callers as usize,
                    bytes: bytes as usize,
                    text,
                };
                report.row(&case.title(), measure(case, asked));
            }
        }
    }
}

fn measure(case: Case, asked: &Asked) -> Vec<Cell> {
    let folder = tempfile::tempdir_in(&asked.folder).expect("a directory");
    let mut engines = open(asked, folder.path(), case);
    let mut samples = vec![Sample::default(); engines.len()];
    let counters: Vec<_> = engines.iter().map(|_| AtomicU64::new(0)).collect();
    let time = Duration::from_millis(asked.number("slice-ms", 2_000));
    for _ in 0..asked.number("rounds", 3) {
        for ((engine, sample), counter) in engines.iter_mut().zip(&mut samples).zip(&counters) {
            sample.add(one(&mut **engine, case, time, counter));
        }
    }
    let cells = engines.iter().zip(samples);
    cells
        .map(|(engine, sample)| Cell::of(engine.name(), &sample))
        .collect()
}

/// One slice of one engine.
fn one(engine: &mut dyn Engine, case: Case, time: Duration, counter: &AtomicU64) -> Sample {
    let begun = Instant::now();
    let cpu = |engine: &dyn Engine| {
        let process = engine.process();
        cpu_seconds(None) + process.map_or(0.0, |id| cpu_seconds(Some(id)))
    };
    let before = cpu(engine);
    let mut sample = {
        let engine = &*engine;
        let make = || {
            let mut caller = engine.caller();
            let call = move |number| {
                let put = case.put(number);
                let begun = Instant::now();
                caller(put);
                begun.elapsed()
            };
            Box::new(call) as Box<dyn FnMut(u64) -> Duration + Send>
        };
        slice(case.callers, time, counter, make)
    };
    if engine.settle() {
        let rate = sample.calls.len() as f64 / begun.elapsed().as_secs_f64();
        sample.settled = vec![rate];
    }
    // That of the work that was put off belongs to it.
    let spent = cpu(engine) - before;
    sample.cpu = vec![spent * 1e6 / sample.calls.len() as f64];
    sample
}

/// The engines that are asked for and are there, each with the objects.
fn open(asked: &Asked, folder: &Path, case: Case) -> Vec<Box<dyn Engine>> {
    let mut engines = Vec::new();
    for name in asked.engines() {
        if name == Name::Etcd && slow::delay_us() > 0 {
            continue;
        }
        let Some(mut engine) = name.open(&folder.join(name.text())) else {
            eprintln!("{} is not installed: skipped", name.text());
            continue;
        };
        let next = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    let mut caller = engine.caller();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= OBJECTS {
                            break;
                        }
                        let body = objects::body(number, 0, case.bytes, case.text);
                        caller(Put {
                            number,
                            body,
                            is_new: true,
                        });
                    }
                });
            }
        });
        engine.settle();
        engines.push(engine);
    }
    engines
}
