//! `annals repair`: makes a whole store of what can be read of a damaged directory.
//!
//! Nothing is thrown away: the old files stay in a folder that the last lines name. Exit code 1
//! when the store is still not sound, and when objects are not what they were.

use std::path::PathBuf;

use annals::{Key, Repair, Store};
use clap::Args as Flags;

use super::check::text;
use super::local::{check_existing, failure};
use super::{Exit, Failure, print};
use crate::wire::report::report;

/// How many names are printed of each sort; `report.json` has more.
const NAMES_MAX: usize = 20;

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// The data directory; no server may have it open
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    check_existing(&args.data_dir)?;
    let repair = Store::repair(&args.data_dir).map_err(|error| failure(&error))?;
    print::out(&shown(&repair))?;
    let is_as_before = repair.set_back == 0 && repair.in_doubt == 0 && !repair.nameless;
    Ok(if repair.after.is_sound() && is_as_before {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// What was done, as a table and the names that matter.
fn shown(repair: &Repair) -> String {
    if !repair.changed {
        return format!("{}nothing was changed\n", text(&report(&repair.after)));
    }
    let row = |name: &str, number: u64| vec![name.to_owned(), number.to_string()];
    let mut out = print::table(
        &["what", "number"],
        vec![
            row("things that were wrong", repair.before.wrong),
            row("revisions kept", repair.kept),
            row(
                "of these found elsewhere than in their table",
                repair.restored,
            ),
            row("of these linked anew", repair.rewritten),
            row("revisions lost", repair.lost),
            row(
                "revisions set aside that retention may have removed",
                repair.withheld,
            ),
            row("objects that are not what they were", repair.set_back),
        ],
    );
    name(
        &mut out,
        "These objects have an older state than they had, or none:",
        &repair.set_back_keys,
        repair.set_back,
    );
    name(
        &mut out,
        "Of these objects it cannot be told whether retention had removed them: they are not in \
         the store, and what was found of them is in rows.ndjson:",
        &repair.in_doubt_keys,
        repair.in_doubt,
    );
    if repair.nameless {
        out.push_str(
            "\nIt cannot be told whose the lost revisions were: any object may have an older state \
             than it had.\nReads of older versions are answered with \"gone\" from now on.\n",
        );
    }
    if repair.rootless {
        out.push_str(
            "\nThe root of the tables is lost: what retention had removed counts as lost, and some of \
             it may be back.\n",
        );
    }
    if let Some(folder) = &repair.set_aside {
        out.push_str(&format!(
            "\nThe old files and what could not be kept: {}\n",
            folder.display()
        ));
    }
    out.push_str(&text(&report(&repair.after)));
    out
}

/// A sentence and the objects it is about, if there are any.
fn name(out: &mut String, about: &str, keys: &[Key], count: u64) {
    if count == 0 {
        return;
    }
    out.push_str(&format!("\n{about}\n"));
    let shown = keys.iter().take(NAMES_MAX);
    shown.for_each(|key| out.push_str(&format!("  {}\n", print::clean(&key.to_string()))));
    if count > NAMES_MAX as u64 {
        out.push_str("  and more, see report.json\n");
    }
}
