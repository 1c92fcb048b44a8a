//! `annals apply`: makes objects say what files say.
//!
//! An object that is missing is created; one that is there is changed by what [`merge`] finds, and
//! by nothing when it says so already. All files are read before anything is sent; then each
//! object is tried, whatever became of the others, unless the server cannot be reached.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args as Flags;
use serde_json::{Value, json};

use super::kind::{Kind, of_object};
use super::manifest::{Manifest, read_all};
use super::print::{self, Output};
use super::server::Server;
use super::{Exit, Failure, merge};
use crate::client::{Client, Path};

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// The files, of YAML or JSON; - is the standard input (repeat for more)
    #[arg(short = 'f', long = "filename", required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The namespace of objects that name none [default: that of the kubeconfig]
    #[arg(short, long)]
    namespace: Option<String>,
    /// Let the server check everything, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Created,
    Configured,
    Unchanged,
}

impl Done {
    fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let all = read_all(&args.files)?;
    let client = args.server.client()?;
    let mut kinds = BTreeMap::new();
    let mut applied = Vec::new();
    let mut failed = None;
    for manifest in all {
        match one(&client, &args, &mut kinds, manifest).await {
            Ok((line, object)) => {
                if args.output == Output::Table {
                    print::out(&line)?;
                } else {
                    applied.push((line, object));
                }
            }
            // What follows would end the same way.
            Err(failure) if failure.exit == Exit::Unreachable => return Err(failure),
            Err(failure) => {
                eprintln!("error: {}", print::clean(&failure.message));
                failed.get_or_insert(failure.exit);
            }
        }
    }
    print::out(&shown(applied, args.output)?)?;
    Ok(failed.unwrap_or(Exit::Done))
}

/// The objects in the shape that was asked for; several are a list.
fn shown(mut applied: Vec<(String, Value)>, output: Output) -> Result<String, Failure> {
    match (output, applied.len()) {
        (_, 0) | (Output::Table, _) => Ok(String::new()),
        (Output::Name, _) => {
            let name = |line: &str| line.split(' ').next().unwrap_or_default().to_owned() + "\n";
            Ok(applied.iter().map(|(line, _)| name(line)).collect())
        }
        (_, 1) => {
            let (_, object) = applied.remove(0);
            print::whole(&object, output)
        }
        _ => {
            let items: Vec<Value> = applied.into_iter().map(|(_, object)| object).collect();
            let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
            print::whole(&list, output)
        }
    }
}

/// Applies one object.
async fn one(
    client: &Client,
    args: &Args,
    kinds: &mut BTreeMap<(String, String), Kind>,
    mut manifest: Manifest,
) -> Result<(String, Value), Failure> {
    let place = |failure: Failure| {
        let message = format!("{}: {}", manifest.place, failure.message);
        Failure::new(failure.exit, message)
    };
    let id = (manifest.api_version.clone(), manifest.kind.clone());
    let kind = match kinds.get(&id) {
        Some(kind) => kind.clone(),
        None => {
            let kind = of_object(client, &id.0, &id.1).await.map_err(place)?;
            kinds.insert(id, kind.clone());
            kind
        }
    };
    let namespace = namespace(&manifest, &kind, args.namespace.as_deref(), client);
    let namespace = namespace.map_err(place)?;
    if kind.is_namespaced {
        manifest.object["metadata"]["namespace"] = json!(namespace);
    }
    let collection = kind.collection(Some(&namespace));
    let sent = send(client, &collection, &manifest, args.dry_run).await;
    let (done, object) = sent.map_err(|failure| {
        let message = format!("{}: {}", manifest.place, failure.message);
        Failure::new(failure.exit, message)
    })?;
    let dry = if args.dry_run { " (dry run)" } else { "" };
    let name = format!("{}/{}", kind.qualified(), manifest.name);
    Ok((
        format!("{} {}{dry}\n", print::clean(&name), done.word()),
        object,
    ))
}

/// The namespace of the object, which the command line may repeat and not change.
fn namespace(
    manifest: &Manifest,
    kind: &Kind,
    given: Option<&str>,
    client: &Client,
) -> Result<String, Failure> {
    let wrong = |why: String| Err(Failure::new(Exit::Usage, why));
    match (&manifest.namespace, given) {
        (Some(own), _) if !kind.is_namespaced => wrong(format!(
            "metadata.namespace: {own:?}: expected none: a {} has no namespace",
            kind.name
        )),
        (Some(own), Some(given)) if own != given => wrong(format!(
            "metadata.namespace: {own:?}: expected {given:?}, which --namespace names"
        )),
        (Some(own), _) => Ok(own.clone()),
        (None, Some(given)) => Ok(given.to_owned()),
        (None, None) => Ok(client.namespace().to_owned()),
    }
}

async fn send(
    client: &Client,
    collection: &Path,
    manifest: &Manifest,
    dry_run: bool,
) -> Result<(Done, Value), Failure> {
    let dry_run = dry_run.then_some("All");
    // A field that no schema knows is a slip of the pen.
    let write = |path: Path| {
        path.query("fieldValidation", "Strict")
            .query_if("dryRun", dry_run)
    };
    let path = collection.clone().part(&manifest.name);
    let live = match client.get(&path).await {
        Ok(live) => live,
        Err(error) if error.code() == Some(404) => {
            let new = merge::recorded(&manifest.object);
            let made = client.post(&write(collection.clone()), Some(&new)).await?;
            return Ok((Done::Created, made));
        }
        Err(error) => return Err(error.into()),
    };
    let Some(patch) = merge::patch(&live, &manifest.object) else {
        return Ok((Done::Unchanged, live));
    };
    let changed = client.patch(&write(path), &patch).await?;
    Ok((Done::Configured, changed))
}

#[cfg(test)]
mod tests {
    //! Catches several objects printed as if they were one.
    use super::*;

    #[test]
    fn several_objects_are_a_list() {
        let one = || ("things/a created\n".to_owned(), json!({"a": 1}));
        let shown = |all, output| shown(all, output).unwrap();
        assert_eq!(shown(vec![one()], Output::Yaml), "a: 1\n");
        assert_eq!(
            shown(vec![one(), one()], Output::Name),
            "things/a\nthings/a\n"
        );
        assert!(shown(vec![one(), one()], Output::Json).contains("\"List\""));
        assert_eq!(shown(vec![], Output::Json), "");
    }
}
