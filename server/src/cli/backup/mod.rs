//! `annals backup`: a piece of a backup to a file, to the standard output or into a folder; or,
//! with `--follow`, one after the other for as long as it runs.
//!
//! [`source`] brings the bytes, of a server that runs or of a directory, and proves them on the
//! way; [`folder`] holds the pieces of one backup; [`follow`] adds to it. A file has its name only
//! once it is whole and durable.

mod folder;
mod follow;
mod source;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use annals::Version;
use annals::backup::Summary;
use clap::Args as Flags;

use super::part::Part;
use super::server::Server;
use super::{Exit, Failure, print};
use folder::Folder;
use source::Source;

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// The file to write, or - for the standard output [default: the standard output]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only what was committed after this version, which an earlier backup has reached
    #[arg(long, value_name = "VERSION")]
    since: Option<Version>,
    /// A folder of pieces to which the next one is added; made when it is missing
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "since"])]
    to: Option<PathBuf>,
    /// Go on adding pieces until a signal ends it
    #[arg(long, requires = "to", conflicts_with = "data_dir")]
    follow: bool,
    /// How long to wait between two pieces, in seconds [default: 1]
    #[arg(
        long,
        value_name = "SECONDS",
        requires = "follow",
        value_parser = clap::value_parser!(u32).range(1..=EVERY_SECONDS_MAX)
    )]
    every: Option<u32>,
    #[command(flatten)]
    server: Server,
}

/// The longest pause between two pieces.
const EVERY_SECONDS_MAX: i64 = 86_400;

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    if let Some(folder) = &args.to {
        let folder = Folder::open(folder)?;
        let source = Source::open(&args.server)?;
        if args.follow {
            return follow::run(&source, &folder, args.every.unwrap_or(1)).await;
        }
        let added = follow::add(&source, &folder).await?;
        match added {
            Some((summary, path)) => told(&summary, Some(&path)),
            None => eprintln!("nothing was committed since the newest piece"),
        }
        return Ok(Exit::Done);
    }
    let file = args.file.as_deref().filter(|file| *file != Path::new("-"));
    if args.file.is_none() && io::stdout().is_terminal() {
        let message =
            "a backup is not for the terminal: name a file with -f, or a folder with --to";
        return Err(Failure::new(Exit::Usage, message));
    }
    let source = Source::open(&args.server)?;
    let summary = match file {
        None => source.take(args.since, &mut io::stdout()).await?,
        Some(path) => {
            let part = Part::beside(path)?;
            let summary = source.take(args.since, &mut part.file()).await?;
            part.keep(path)?;
            summary
        }
    };
    told(&summary, file);
    Ok(Exit::Done)
}

/// Says what was written.
fn told(summary: &Summary, place: Option<&Path>) {
    let head = &summary.head;
    let what = match head.since {
        Version::ZERO => "whole backup".to_owned(),
        since => format!("backup since version {since}"),
    };
    let place = place.map(|path| format!(" in {}", path.display()));
    let line = format!(
        "{what} at version {}: {} revisions, {} bytes{}",
        head.version,
        summary.revisions,
        summary.bytes,
        place.unwrap_or_default()
    );
    eprintln!("{}", print::clean(&line));
}
