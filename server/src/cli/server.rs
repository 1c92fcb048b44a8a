//! The flags by which a command finds its server.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::client::kubeconfig::find;
use crate::client::{Client, Target};

/// Which server, and as whom.
#[derive(Debug, Args)]
pub(super) struct Server {
    /// The kubeconfig to use [default: $KUBECONFIG, else ./annals-data/admin.kubeconfig, else
    /// ~/.kube/config]
    #[arg(long, value_name = "PATH")]
    kubeconfig: Option<PathBuf>,
}

impl Server {
    /// A client of the server that the kubeconfig names.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let path = find(self.kubeconfig.as_deref())?;
        Ok(Client::new(Target::read(&path)?))
    }
}
