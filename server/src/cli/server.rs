//! The flags by which a command finds its server.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Exit, Failure};
use crate::client::kubeconfig::find;
use crate::client::{Client, Target};

/// Which server, and as whom.
#[derive(Debug, Args)]
pub(super) struct Server {
    /// The kubeconfig to use [default: $KUBECONFIG, else ./annals-data/admin.kubeconfig, else
    /// ~/.kube/config]
    #[arg(long, value_name = "PATH", conflicts_with = "data_dir")]
    kubeconfig: Option<PathBuf>,
    /// Open this data directory instead of asking a server; no server may have it open
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Server {
    /// The directory to open instead of asking a server.
    pub(super) fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// Whether a kubeconfig was named.
    pub(super) fn names_kubeconfig(&self) -> bool {
        self.kubeconfig.is_some()
    }

    /// The kubeconfig by which the server is found.
    pub(super) fn kubeconfig(&self) -> Result<PathBuf, Failure> {
        if self.data_dir.is_some() {
            let why = "--data-dir: a kubeconfig is for a server that runs";
            return Err(Failure::new(Exit::Usage, why));
        }
        Ok(find(self.kubeconfig.as_deref())?)
    }

    /// A client of the server that the kubeconfig names, or of a directory.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        if let Some(directory) = &self.data_dir {
            return super::local::client(directory);
        }
        let path = find(self.kubeconfig.as_deref())?;
        Ok(Client::new(Target::read(&path)?))
    }
}
