//! `annals dev`: a server for as long as one wants to try something.
//!
//! It takes a free port and a directory that goes with the process, and prints all that a program
//! needs to come in: the address, a token, a kubeconfig.

use std::net::SocketAddr;

use clap::Args as Flags;

use super::serve::{self, Started, address, quote};
use super::{Exit, Failure};
use crate::client::kubeconfig::Kubeconfig;

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// The address of the HTTPS door; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_parser = address)]
    listen: SocketAddr,
    /// What to log, such as info or annals=debug
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    serve::start(serve::Args::ephemeral(args.listen, args.log), screen).await
}

fn screen(started: &Started<'_>) -> Result<String, Failure> {
    let path = &started.prepared.kubeconfig;
    let config = Kubeconfig::read(path)?;
    let current = config.current();
    let told = |why| Failure::new(Exit::Failed, format!("{}: {why}", path.display()));
    let token = current.map_err(told)?.user.token.clone();
    Ok(format!(
        "annals {} listens on https://{}\n\
         token           {}\n\
         kubeconfig      {}\n\
         \n\
         Try:\n  \
           export KUBECONFIG={}\n  \
           kubectl get playlists\n  \
           annals watch playlists\n\
         \n\
         All of it is gone when this process ends.\n",
        env!("CARGO_PKG_VERSION"),
        started.listen,
        token.unwrap_or_default(),
        path.display(),
        quote(&path.display().to_string()),
    ))
}
