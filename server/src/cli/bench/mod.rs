//! `annals bench`: the standard workloads, against a directory of its own or a server.
//!
//! ```text
//! subject   a store in this process (local) or a server (remote), behind one trait
//! drive     callers, warm-up, the measured time        histogram   what they saw
//! machine   where it ran                               report      a table, or JSON
//! ```
//!
//! Writes are durable in both: a call returns after the sync. Absent on purpose: rivals (the
//! crate `benches` has them) and a verdict; figures compare only with those of the same machine.

mod drive;
mod histogram;
mod local;
mod machine;
mod remote;
mod report;
mod sample;
mod subject;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use clap::{Args as Flags, ValueEnum};

use self::drive::{Plan, Workload};
use self::machine::Machine;
use self::report::Report;
use self::subject::Subject;
use super::size::Size;
use super::{Exit, Failure, print};
use crate::client::Target;
use crate::client::kubeconfig::find;

/// The sizes of objects that a bench writes.
const SIZES: std::ops::RangeInclusive<u64> = 512..=512 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Columns, for people
    Table,
    /// JSON, for programs that compare
    Json,
}

#[derive(Debug, Flags)]
#[command(group = clap::ArgGroup::new("subject").required(true).args(["data_dir", "server", "kubeconfig"]).multiple(true))]
pub(super) struct Args {
    /// What to measure, in this order [default: all]
    #[arg(value_enum, value_name = "WORKLOAD")]
    workloads: Vec<Workload>,
    /// Measure a store in this directory, which must be empty or missing, and is removed at the end
    #[arg(long, value_name = "DIR", conflicts_with_all = ["server", "kubeconfig"])]
    data_dir: Option<PathBuf>,
    /// Measure the server of the kubeconfig, in a namespace of its own
    #[arg(long)]
    server: bool,
    /// Measure the server of this kubeconfig
    #[arg(long, value_name = "PATH")]
    kubeconfig: Option<PathBuf>,
    /// Keep the directory
    #[arg(long, conflicts_with_all = ["server", "kubeconfig"])]
    keep: bool,
    /// Open the directory without a search index
    #[arg(long, conflicts_with_all = ["server", "kubeconfig"])]
    no_index: bool,
    /// How many callers at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    callers: u32,
    /// The size of an object, 512B to 512KiB
    #[arg(long, default_value = "1KiB", value_parser = object_size)]
    size: Size,
    /// How many objects there are before something is read or updated
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    objects: u64,
    /// How many objects a list reads
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// How long to measure each workload
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// How many operations to measure of each workload, instead of a time
    #[arg(long, conflicts_with = "seconds", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// How many seconds each workload runs before it is measured
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    warm_up: u64,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

fn object_size(text: &str) -> Result<Size, String> {
    let size: Size = text.parse()?;
    if SIZES.contains(&size.0) {
        return Ok(size);
    }
    Err(format!(
        "expected {} to {} bytes",
        SIZES.start(),
        SIZES.end()
    ))
}

impl Args {
    fn plan(&self) -> Result<Plan, Failure> {
        let usage = |why: &str| Failure::new(Exit::Usage, why.to_owned());
        if self.objects < u64::from(self.callers) {
            return Err(usage(
                "--objects: expected at least one for each of --callers",
            ));
        }
        let searches = [Workload::Search, Workload::Mixed];
        if self.no_index && self.workloads().iter().any(|one| searches.contains(one)) {
            return Err(usage(
                "--no-index: search and mixed need the index; name other workloads",
            ));
        }
        Ok(Plan {
            callers: self.callers as usize,
            warm_up: Duration::from_secs(self.warm_up),
            time: Duration::from_secs(self.seconds),
            count: self.count,
            objects: self.objects,
            limit: self.limit as usize,
        })
    }

    fn workloads(&self) -> &[Workload] {
        if self.workloads.is_empty() {
            Workload::value_variants()
        } else {
            &self.workloads
        }
    }

    fn subject(&self, size: usize) -> Result<Box<dyn Subject>, Failure> {
        if let Some(directory) = &self.data_dir {
            let here = local::Here::open(directory, size, self.keep, !self.no_index)?;
            return Ok(Box::new(here));
        }
        let target = Target::read(&find(self.kubeconfig.as_deref())?)?;
        Ok(Box::new(remote::There::open(target, size)?))
    }
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let plan = args.plan()?;
    let size = usize::try_from(args.size.0).unwrap_or(usize::MAX);
    let stop = stop_on_interrupt()?;
    let subject = args.subject(size)?;
    let mut report = Report {
        machine: Machine::this(args.data_dir.as_deref()),
        target: if args.data_dir.is_some() {
            "directory"
        } else {
            "server"
        },
        date: jiff::Timestamp::now().to_string(),
        size,
        has_index: !args.no_index,
        plan,
        results: Vec::new(),
        is_cut: false,
    };
    let measured = measure(&*subject, args.workloads(), &stop, &mut report);
    report.is_cut = stop.load(Ordering::Relaxed);
    let left = subject.end();
    print::out(&match args.output {
        Output::Table => report.table(),
        Output::Json => print::whole(&report.json(), print::Output::Json)?,
    })?;
    measured?;
    if let Some(left) = left? {
        eprintln!("{left}");
    }
    let failed = report.results.iter().any(|(_, outcome)| outcome.faults > 0);
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// Runs the workloads one after the other; a failure ends them and leaves what was measured.
fn measure(
    subject: &dyn Subject,
    workloads: &[Workload],
    stop: &AtomicBool,
    report: &mut Report,
) -> Result<(), Failure> {
    let fresh = AtomicU64::new(0);
    eprintln!("writing {} objects", report.plan.objects);
    drive::fill(subject, &report.plan, stop, &fresh)?;
    for workload in workloads {
        if matches!(workload, Workload::Search | Workload::Mixed) {
            subject.wait_for_index()?;
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let outcome = drive::run(subject, *workload, &report.plan, stop, &fresh)?;
        report.results.push((*workload, outcome));
    }
    Ok(())
}

/// A flag that Ctrl-C sets.
fn stop_on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let wrong =
        |why: std::io::Error| Failure::new(Exit::Failed, format!("cannot wait for Ctrl-C: {why}"));
    let stop = Arc::new(AtomicBool::new(false));
    let given = Arc::clone(&stop);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().map_err(wrong)?;
    let waiting = std::thread::Builder::new().name("annals-bench-stop".to_owned());
    let waiting = waiting.spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            given.store(true, Ordering::Relaxed);
        }
    });
    // The thread waits as long as the process lives.
    waiting.map(|_| stop).map_err(wrong)
}
