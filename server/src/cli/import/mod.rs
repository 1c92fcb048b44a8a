//! `annals import`: objects from files.
//!
//! `import dashboards DIR` brings in every `*.json` under DIR: [`read`] finds and reads the
//! files, [`write`] compares them with the server and writes what differs. `import file` is the
//! other end of `annals export`: [`file`].

mod file;
mod read;
mod write;

use std::path::PathBuf;

use clap::{Args as Flags, Subcommand};

use super::server::Server;
use super::{Exit, Failure};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Import every dashboard (*.json) under a directory into a folder
    Dashboards(Args),
    /// Import objects or revisions from NDJSON, YAML or Parquet files
    File(file::Args),
}

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// The directory
    dir: PathBuf,
    /// The name of the folder they go into; it must exist
    #[arg(long)]
    folder: String,
    /// The namespace [default: that of the kubeconfig]
    #[arg(short, long)]
    namespace: Option<String>,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Dashboards(args) => dashboards(args).await,
        Command::File(args) => file::run(args).await,
    }
}

async fn dashboards(args: Args) -> Result<Exit, Failure> {
    let files = read::find(&args.dir)?;
    let client = args.server.client()?;
    let namespace = args.namespace.as_deref().unwrap_or(client.namespace());
    let place = write::Place::find(&client, namespace, &args.folder).await?;
    write::all(&place, &files).await
}
