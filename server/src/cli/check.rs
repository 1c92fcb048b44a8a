//! `annals check`: proves that a store is whole, while a server has it or in a directory that none
//! has. Nothing in a directory is changed.
//!
//! Exit code 1 when something is wrong.

use clap::Args as Flags;
use serde_json::Value;

use super::local::{check_existing, failure};
use super::print::{self, Output};
use super::server::Server;
use super::{Exit, Failure};
use crate::client::Path;
use crate::wire::report::report;

const CHECK: &str = "/apis/store.annals.dev/v1/check";

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let answer = match args.server.data_dir() {
        Some(directory) => {
            check_existing(directory)?;
            let found = annals::Store::check_directory(directory);
            report(&found.map_err(|error| failure(&error))?)
        }
        None => {
            let client = args.server.client()?;
            client.post(&Path::new(CHECK), None).await?
        }
    };
    print::out(&match args.output {
        Output::Table | Output::Name => text(&answer),
        Output::Json | Output::Yaml => print::whole(&answer, args.output)?,
    })?;
    Ok(if answer["sound"] == true {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// The report for a reader.
pub(super) fn text(answer: &Value) -> String {
    let number = |name: &str| print::cell(answer.get(name));
    let mut text = format!(
        "{} revisions, {} live objects, {} deleted ones: ",
        number("revisions"),
        number("objects"),
        number("deleted")
    );
    if answer["sound"] == true {
        text.push_str("sound\n");
        return text;
    }
    text.push_str(&format!("{} things are wrong\n", number("wrong")));
    let findings = answer["findings"].as_array().map(Vec::as_slice);
    for finding in findings.unwrap_or_default() {
        let line = print::cell(finding.get("text"));
        text.push_str(&format!("  {}\n", print::clean(&line)));
    }
    text.push_str("annals repair --data-dir DIR makes it whole again, once no server runs\n");
    text
}
