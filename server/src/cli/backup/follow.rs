//! Adding pieces to a folder: one, or one after the other.
//!
//! ```text
//! newest piece of the folder -> what was committed after it -> the next piece -> wait -> ...
//! ```
//!
//! There is no note of how far it came but the pieces themselves, so it may be killed at any
//! moment and goes on from there. What may pass, such as a server that does not answer, is waited
//! for; when retention has removed what was to come next, a new whole piece begins.

use std::path::PathBuf;
use std::time::Duration;

use annals::Version;
use annals::backup::{Head, Summary};

use super::folder::Folder;
use super::source::{Source, Trouble};
use crate::cli::{Exit, Failure, print};
use crate::net::Shutdown;

/// Adds the piece after the newest one, if anything was committed since.
pub(super) async fn add(
    source: &Source,
    folder: &Folder,
) -> Result<Option<(Summary, PathBuf)>, Failure> {
    let newest = folder.newest()?.map(|piece| piece.head);
    match next(source, folder, newest).await {
        Err(Trouble::Gone(why)) => {
            say(&format!("{}: a whole piece is added", why.message));
            let whole = next(source, folder, newest.map(renewed)).await;
            whole.map_err(Failure::from)
        }
        other => other.map_err(Failure::from),
    }
}

/// Adds pieces until a signal ends it.
pub(super) async fn run(source: &Source, folder: &Folder, every: u32) -> Result<Exit, Failure> {
    let shutdown = Shutdown::on_signals()
        .map_err(|why| Failure::new(Exit::Failed, format!("cannot wait for signals: {why}")))?;
    let mut newest = folder.newest()?.map(|piece| piece.head);
    let reached = newest.map_or(Version::ZERO, |head| head.version);
    say(&format!(
        "following {} into {}, from version {reached} on",
        source.name(),
        folder.path().display()
    ));
    let mut problem = None;
    loop {
        let step = tokio::select! {
            biased;
            () = shutdown.begun() => break,
            step = next(source, folder, newest) => step,
        };
        match step {
            Ok(added) => {
                if let Some((summary, _)) = added {
                    newest = Some(summary.head);
                }
                if problem.take().is_some() {
                    say("it goes on");
                }
            }
            Err(Trouble::Gone(why)) => {
                say(&format!("{}: a whole piece is added", why.message));
                newest = newest.map(renewed);
                continue;
            }
            Err(Trouble::Passing(why)) => {
                // Said once, not every time.
                if problem.as_ref() != Some(&why.message) {
                    say(&format!("{}; it is tried again", why.message));
                }
                problem = Some(why.message);
            }
            Err(Trouble::Lasting(why)) => return Err(why),
        }
        tokio::select! {
            () = shutdown.begun() => break,
            () = tokio::time::sleep(Duration::from_secs(u64::from(every))) => {}
        }
    }
    Ok(Exit::Done)
}

/// The same line of history, from its beginning.
fn renewed(head: Head) -> Head {
    Head {
        version: Version::ZERO,
        ..head
    }
}

/// Adds what was committed after the piece with this head.
async fn next(
    source: &Source,
    folder: &Folder,
    newest: Option<Head>,
) -> Result<Option<(Summary, PathBuf)>, Trouble> {
    let since = newest.map(|head| head.version);
    let since = since.filter(|version| *version > Version::ZERO);
    let part = folder.begin().map_err(Trouble::Passing)?;
    let summary = source.take(since, &mut part.file()).await?;
    let head = summary.head;
    if let Some(before) = newest.filter(|before| before.epoch != head.epoch) {
        let message = format!(
            "{} holds pieces of the line of history {}, and {} has {}: name another folder",
            folder.path().display(),
            before.epoch,
            source.name(),
            head.epoch
        );
        return Err(Trouble::Lasting(Failure::new(Exit::Failed, message)));
    }
    if head.version == head.since {
        return Ok(None);
    }
    let path = folder.keep(part, &summary).map_err(Trouble::Passing)?;
    Ok(Some((summary, path)))
}

fn say(line: &str) {
    eprintln!("{}", print::clean(line));
}
