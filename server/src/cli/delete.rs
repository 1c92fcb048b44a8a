//! `annals delete`: takes objects out of what is live. Their history stays, and
//! `annals restore` brings them back.

use clap::Args as Flags;
use serde_json::Value;

use super::kind::resolve;
use super::print::{self, Output};
use super::server::Server;
use super::{Exit, Failure};

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// Plural, singular, short name or kind, with or without its group
    kind: String,
    /// The names of the objects
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Their namespace [default: that of the kubeconfig]
    #[arg(short, long)]
    namespace: Option<String>,
    /// Let the server check everything, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let client = args.server.client()?;
    let kind = resolve(&client, &args.kind).await?;
    let namespace = args.namespace.as_deref().unwrap_or(client.namespace());
    let collection = kind.collection(Some(namespace));
    let dry_run = args.dry_run.then_some("All");
    let mut failed = None;
    for name in &args.names {
        let path = collection.clone().part(name).query_if("dryRun", dry_run);
        let answer = match client.delete(&path).await.map_err(Failure::from) {
            Ok(answer) => answer,
            Err(failure) if failure.exit == Exit::Unreachable => return Err(failure),
            Err(failure) => {
                eprintln!("error: {}", print::clean(&failure.message));
                failed.get_or_insert(failure.exit);
                continue;
            }
        };
        let shown = print::clean(&format!("{}/{name}", kind.qualified()));
        print::out(&match args.output {
            Output::Table => format!("{shown} {}{}\n", word(&answer), note(args.dry_run)),
            Output::Name => format!("{shown}\n"),
            Output::Json | Output::Yaml => print::whole(&answer, args.output)?,
        })?;
    }
    Ok(failed.unwrap_or(Exit::Done))
}

fn note(dry_run: bool) -> &'static str {
    if dry_run { " (dry run)" } else { "" }
}

/// An object that comes back as itself waits for its finalizers.
fn word(answer: &Value) -> &'static str {
    let waits = answer.pointer("/metadata/deletionTimestamp").is_some();
    if waits {
        "is going: it waits for its finalizers"
    } else {
        "deleted"
    }
}

#[cfg(test)]
mod tests {
    //! Catches an object that is still there and is told to be gone.
    use serde_json::json;

    use super::*;

    #[test]
    fn what_waits_is_not_gone() {
        assert_eq!(
            word(&json!({"kind": "Status", "status": "Success"})),
            "deleted"
        );
        let going = json!({"metadata": {"deletionTimestamp": "2030-01-01T00:00:00Z"}});
        assert!(word(&going).starts_with("is going"));
    }
}
