//! `annals index`: the state of the search index, and building it anew.

use clap::{Args as Flags, Subcommand};
use serde_json::Value;

use super::print::{self, Output};
use super::server::Server;
use super::{Exit, Failure};
use crate::client::Path;

const INDEX: &str = "/apis/search.annals.dev/v1/index";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print how far the index is, and what it set aside
    Status(Args),
    /// Build the index anew; searches answer from the old one until it is done
    Rebuild(Args),
}

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(command: Command) -> Result<Exit, Failure> {
    let (answer, output) = match command {
        Command::Status(args) => (
            args.server.client()?.get(&Path::new(INDEX)).await?,
            args.output,
        ),
        Command::Rebuild(args) => {
            let path = Path::new(INDEX).part("rebuild");
            (args.server.client()?.post(&path, None).await?, args.output)
        }
    };
    let text = match output {
        Output::Table | Output::Name => {
            let mut rows = Vec::new();
            flatten("", &answer, &mut rows);
            print::table(&["field", "value"], rows)
        }
        Output::Json | Output::Yaml => print::whole(&answer, output)?,
    };
    print::out(&text)?;
    Ok(Exit::Done)
}

/// A row for each value of an object, under its path. What names the kind of answer is left out.
fn flatten(path: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if path.is_empty() && (name == "kind" || name == "apiVersion") {
                    continue;
                }
                let dot = if path.is_empty() { "" } else { "." };
                flatten(&format!("{path}{dot}{name}"), field, rows);
            }
        }
        other => rows.push(vec![path.to_owned(), print::cell(Some(other))]),
    }
}

#[cfg(test)]
mod tests {
    //! Catches a value of the status that is not shown.
    use serde_json::json;

    use super::*;

    #[test]
    fn shows_every_value() {
        let mut rows = Vec::new();
        let answer = json!({"kind": "Index", "status": {"state": "ready", "kind": "x"}, "n": [1]});
        flatten("", &answer, &mut rows);
        assert_eq!(
            rows,
            [
                ["status.state", "ready"],
                ["status.kind", "x"],
                ["n", "[1]"]
            ]
        );
    }
}
