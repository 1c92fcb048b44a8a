//! `annals verify`: proves the pieces of a backup, and that each continues another.

use std::path::PathBuf;

use annals::Version;
use annals::backup::{Pieces, Verified};
use clap::Args as Flags;
use indicatif::{ProgressBar, ProgressStyle};

use super::local::failure;
use super::{Exit, Failure, print};

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// The pieces, or folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    pieces: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let bar = bytes_bar();
    let pieces = opened(&args.pieces, &bar)?;
    let verified = pieces.verify();
    bar.finish_and_clear();
    let verified = verified.map_err(|error| failure(&error))?;
    print::out(&text(&pieces, &verified))?;
    Ok(if verified.wrong == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn text(pieces: &Pieces, verified: &Verified) -> String {
    let mut text = format!(
        "{} pieces, {} revisions, {} bytes: ",
        verified.pieces, verified.revisions, verified.bytes
    );
    if verified.wrong > 0 {
        text.push_str(&format!("{} things are wrong\n", verified.wrong));
        for problem in &verified.problems {
            text.push_str(&format!("  {}\n", print::clean(problem)));
        }
        return text;
    }
    text.push_str("sound\n");
    let (first, last) = (pieces.all().first(), pieces.all().last());
    if let Some((first, last)) = first.zip(last) {
        text.push_str(&format!("they reach version {}", last.head.version));
        if first.head.since > Version::ZERO {
            text.push_str(&format!(
                ", and continue version {}: a restore needs the pieces before that too",
                first.head.since
            ));
        }
        text.push('\n');
    }
    text
}

/// Finds the pieces; what is read of them moves the bar.
pub(super) fn opened(paths: &[PathBuf], bar: &ProgressBar) -> Result<Pieces, Failure> {
    let pieces = Pieces::open(paths).map_err(|error| failure(&error))?;
    bar.set_length(pieces.all().iter().map(|piece| piece.bytes).sum());
    let bar = bar.clone();
    Ok(pieces.told(move |bytes| bar.inc(bytes)))
}

/// The bar hides itself when the standard error is not a terminal.
pub(super) fn bytes_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    match ProgressStyle::with_template("{bytes} of {total_bytes} read, {bytes_per_sec}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
