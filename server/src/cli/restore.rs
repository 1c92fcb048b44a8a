//! `annals restore-backup`: makes a data directory of the pieces of a backup.

use std::path::PathBuf;

use annals::backup::{Pieces, Restored, Until};
use annals::{Timestamp, Version};
use clap::Args as Flags;
use indicatif::ProgressBar;

use super::local::failure;
use super::verify::{bytes_bar, opened};
use super::{Exit, Failure, print};

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// The pieces, or folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    pieces: Vec<PathBuf>,
    /// The data directory to make; it must be empty or missing
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Restore up to this version, or the last whole batch before it [default: everything]
    #[arg(long, value_name = "VERSION")]
    to_version: Option<Version>,
    /// Restore what was committed at this time or before, such as 2030-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "to_version", value_parser = time)]
    to_time: Option<Timestamp>,
    /// Do not prove the new store at the end
    #[arg(long)]
    no_check: bool,
}

/// A time as people write it.
fn time(text: &str) -> Result<Timestamp, String> {
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| "expected a time of RFC 3339, such as 2030-01-31T12:00:00Z".to_owned())?;
    let micros = u64::try_from(time.as_microsecond());
    micros
        .map(Timestamp)
        .map_err(|_| "expected a time after 1970".to_owned())
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let until = match (args.to_version, args.to_time) {
        (Some(version), _) => Until::Version(version),
        (None, Some(time)) => Until::Time(time),
        (None, None) => Until::Newest,
    };
    let bar = bytes_bar();
    let pieces = opened(&args.pieces, &bar)?;
    let restored = restore(&pieces, args, until, &bar)?;
    let mut text = format!(
        "restored version {} from {} pieces: {} revisions",
        restored.version, restored.pieces, restored.revisions
    );
    if let Some(report) = &restored.report {
        text.push_str(&format!(
            ", {} live objects, {} deleted ones: sound",
            report.live, report.trash
        ));
    }
    text.push_str(&format!(
        "\na new line of history begins: {}\nstart it with `annals serve --data-dir {}`; its \
         certificates, its token and its search index are made anew\n",
        restored.epoch,
        args.data_dir.display()
    ));
    print::out(&text)?;
    Ok(Exit::Done)
}

fn restore(
    pieces: &Pieces,
    args: &Args,
    until: Until,
    bar: &ProgressBar,
) -> Result<Restored, Failure> {
    let restored = pieces.restore(&args.data_dir, until, !args.no_check);
    bar.finish_and_clear();
    restored.map_err(|error| failure(&error))
}

#[cfg(test)]
mod tests {
    //! Catches a time that is read as another one.
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:01Z", Some(1_000_000)),
            ("1970-01-01T00:00:00.000007Z", Some(7)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("1969-12-31T23:59:59Z", None),
            ("2030-01-31", None),
            ("noon", None),
        ] {
            assert_eq!(time(text).ok().map(|time| time.0), expected, "{text}");
        }
    }
}
