//! annals beside redb, fjall, SQLite and etcd: the same objects, the same syncs, the same run.
//!
//! ```text
//! cargo run --release -- write [--callers 1,64] [--sizes 1024] [--only create|update]
//!                              [--delay 0|1|5] [--text words|panels] [--labels no]
//!                        read [--objects 1000000] [--cache-mib 1024] [--only get|list]
//!                        open [--objects 1000000]
//!                        history | growth [--steps 100000,1000000,10000000] | load
//!     everywhere: [--engines annals,redb,...] [--rounds N] [--slice-ms N]
//!                 [--dir DIR] [--json PATH]
//! ```
//!
//! This is a tool for those who work on annals; users have `annals bench`. It is a workspace of its
//! own, because two of the rivals are not Rust and none of them belongs to the product.

mod engine;
mod etcd;
mod growth;
mod history;
mod load;
mod lsm;
mod objects;
mod open;
mod own;
mod raw;
mod read;
mod report;
mod slices;
mod slow;
mod sql;
mod write;

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use engine::Name;
use report::Report;

/// What the command line asks for.
struct Asked {
    options: Vec<(String, String)>,
    /// Where the engines put their directories.
    folder: PathBuf,
}

impl Asked {
    fn text(&self, name: &str) -> Option<&str> {
        let found = self.options.iter().find(|(given, _)| given == name)?;
        Some(&found.1)
    }

    fn number(&self, name: &str, otherwise: u64) -> u64 {
        self.numbers(name, &[otherwise])[0]
    }

    fn numbers(&self, name: &str, otherwise: &[u64]) -> Vec<u64> {
        let Some(text) = self.text(name) else {
            return otherwise.to_vec();
        };
        let number = |part: &str| part.parse();
        let numbers = text.split(',').map(number).collect::<Result<_, _>>();
        numbers.unwrap_or_else(|cause| fail(&format!("--{name}: {text:?}: {cause}")))
    }

    fn engines(&self) -> Vec<Name> {
        let Some(text) = self.text("engines") else {
            return Name::ALL.to_vec();
        };
        let unknown = |part: &str| fail(&format!("--engines: {part:?} is none of them"));
        let name = |part| Name::parse(part).unwrap_or_else(|| unknown(part));
        text.split(',').map(name).collect()
    }
}

fn fail(why: &str) -> ! {
    eprintln!("{why}");
    std::process::exit(2)
}

/// Names of options; a value follows each.
const OPTIONS: [&str; 15] = [
    "callers",
    "cache-mib",
    "delay",
    "dir",
    "engines",
    "json",
    "labels",
    "objects",
    "only",
    "revisions",
    "rounds",
    "sizes",
    "slice-ms",
    "steps",
    "text",
];

fn main() {
    open::die_if_asked_to();
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let mut options = Vec::new();
    while let Some(argument) = arguments.next() {
        let name = argument.strip_prefix("--").unwrap_or_default().to_owned();
        if !OPTIONS.contains(&name.as_str()) {
            fail(&format!("{argument:?} is no option: {OPTIONS:?}"));
        }
        let Some(value) = arguments.next() else {
            fail(&format!("{argument} needs a value"));
        };
        options.push((name, value));
    }
    // The directory goes when the run ends; only a run that becomes another leaves a little.
    let own = tempfile::tempdir().expect("a directory");
    let mut asked = Asked {
        options,
        folder: own.path().to_owned(),
    };
    if let Some(folder) = asked.text("dir").map(PathBuf::from) {
        std::fs::create_dir_all(&folder).expect("the directory of --dir");
        asked.folder = folder;
    }
    let labelled = asked.text("labels").is_none_or(|text| text != "no");
    objects::LABELLED.store(labelled, Ordering::Relaxed);
    let mut report = Report::to(asked.text("json").map(PathBuf::from));
    match command.as_str() {
        "write" => write::run(&asked, &mut report),
        "read" => read::run(&asked, &mut report),
        "open" => open::run(&asked, &mut report),
        "history" => history::run(&asked, &mut report),
        "growth" => growth::run(&asked, &mut report),
        "load" => load::run(&asked, &mut report),
        _ => fail("a command: write, read, open, history, growth or load"),
    }
}
