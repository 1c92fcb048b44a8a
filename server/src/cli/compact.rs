//! `annals compact`: gives back the space that a directory does not need; or, with `--to`, makes a
//! version the oldest that can be read of a kind, of a server that runs or of a directory.

use std::path::Path as FilePath;
use std::time::Duration;

use annals::{Store, Version};
use clap::Args as Flags;
use serde_json::json;

use super::keep::Rules;
use super::local::{check_existing, failure, open_unindexed, unindexed};
use super::print;
use super::scope::Scope;
use super::server::Server;
use super::{Exit, Failure};
use crate::client::Path;

const COMPACT: &str = "/apis/store.annals.dev/v1/compact";
/// The directory whose space is given back when none is named.
const HERE: &str = "./annals-data";

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// What to compact: a kind, in one namespace or in all
    #[arg(value_name = "RESOURCE.GROUP[/NAMESPACE]", requires = "to")]
    scope: Option<Scope>,
    /// Make this version the oldest that can be read of it, instead of giving back space; asks the
    /// server, unless a directory is named
    #[arg(long, value_name = "VERSION", requires = "scope")]
    to: Option<Version>,
    /// Remove first what this rule does not keep, as for `annals serve` (repeat for more)
    #[arg(long, value_name = "RULE", conflicts_with_all = ["to", "kubeconfig"])]
    keep: Vec<Rules>,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let (Some(scope), Some(to)) = (&args.scope, args.to) else {
        if args.server.names_kubeconfig() {
            let message = "--kubeconfig: expected with --to and a kind; space is given back in a \
                           directory that no server has open, see --data-dir";
            return Err(Failure::new(Exit::Usage, message));
        }
        let directory = args.server.data_dir().unwrap_or(FilePath::new(HERE));
        return shrink(directory, &args.keep);
    };
    let reached = match args.server.data_dir() {
        Some(directory) => {
            let store = open_unindexed(directory)?;
            let reached = store.compact_to(&scope.collection, to);
            reached.map_err(|error| failure(&error))?.to_string()
        }
        None => ask(&args.server, scope, to).await?,
    };
    print::out(&format!("{scope}: compacted version {reached}\n"))?;
    Ok(Exit::Done)
}

/// Lets the server compact; answers how far it came.
async fn ask(server: &Server, scope: &Scope, to: Version) -> Result<String, Failure> {
    let mut body = json!({
        "group": scope.group,
        "resource": scope.resource,
        "resourceVersion": to.to_string(),
    });
    if let Some(namespace) = &scope.namespace {
        body["namespace"] = json!(namespace);
    }
    let client = server.client()?;
    let answer = client.post(&Path::new(COMPACT), Some(&body)).await?;
    Ok(print::cell(answer.get("compactedVersion")))
}

/// Moves everything together, and says what it was good for.
fn shrink(directory: &FilePath, keep: &[Rules]) -> Result<Exit, Failure> {
    check_existing(directory)?;
    let options = Rules::add_all(keep, unindexed())
        .background_retention(false)
        .retention_grace(Duration::ZERO);
    let store = Store::open(directory, options).map_err(|error| failure(&error))?;
    if !keep.is_empty() {
        let removed = store.retain().map_err(|error| failure(&error))?;
        print::out(&format!("{removed} revisions removed\n"))?;
    }
    let (before, after) = store.compact().map_err(|error| failure(&error))?;
    print::out(&format!("{before} bytes before, {after} bytes now\n"))?;
    Ok(Exit::Done)
}
