//! `annals export`: objects of one version, to a file or the standard output.
//!
//! From a data directory ([`local`]) every byte and all of history is there; from a server
//! ([`remote`]) the current objects, as it serves them. The file takes its name only when it is
//! whole; the version goes to the standard error too.

mod local;
mod remote;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args as Flags;

use super::server::Server;
use super::{Exit, Failure, print};
use crate::records::{About, Error, Format};

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// Only these kinds; without one, all of them
    #[arg(value_name = "KIND")]
    kinds: Vec<String>,
    /// Only objects of this namespace [default: all of them]
    #[arg(short, long)]
    namespace: Option<String>,
    /// Only objects whose labels fit, such as a=b,c!=d
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Every revision, of deleted objects too; needs --data-dir
    #[arg(long, requires = "data_dir", conflicts_with = "kubeconfig")]
    history: bool,
    /// The format: ndjson, yaml or parquet [default: what the end of --file says, else ndjson]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
    /// Where to write [default: the standard output]
    #[arg(short, long, value_name = "PATH")]
    file: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

impl Args {
    fn format(&self) -> Format {
        let told = || self.file.as_deref().and_then(Format::of);
        self.output.or_else(told).unwrap_or(Format::Ndjson)
    }
}

/// What was exported.
struct Done {
    about: About,
    records: u64,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let done = match &args.file {
        None => export(&args, io::stdout()).await?,
        Some(path) => {
            let partial = Partial::create(path)?;
            let done = export(&args, partial.file()?).await?;
            partial.keep()?;
            done
        }
    };
    let what = if done.about.history {
        "revisions"
    } else {
        "objects"
    };
    let place = args
        .file
        .as_ref()
        .map(|path| format!(" in {}", path.display()));
    let line = format!(
        "{} {what} at version {}{}",
        done.records,
        done.about.version,
        place.unwrap_or_default()
    );
    eprintln!("{}", print::clean(&line));
    Ok(Exit::Done)
}

async fn export(args: &Args, out: impl Write + Send) -> Result<Done, Failure> {
    match args.server.data_dir() {
        Some(directory) => local::export(args, directory, out),
        None => remote::export(args, out).await,
    }
}

/// A file that does not have its name yet. Dropped without [`Partial::keep`], it is removed.
struct Partial<'a> {
    path: &'a Path,
    partial: PathBuf,
    file: File,
}

impl<'a> Partial<'a> {
    fn create(path: &'a Path) -> Result<Self, Failure> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = File::create(&partial).map_err(|why| wrong(&partial, &why))?;
        Ok(Self {
            path,
            partial,
            file,
        })
    }

    fn file(&self) -> Result<File, Failure> {
        self.file
            .try_clone()
            .map_err(|why| wrong(&self.partial, &why))
    }

    fn keep(self) -> Result<(), Failure> {
        let synced = self.file.sync_all();
        let named = synced.and_then(|()| fs::rename(&self.partial, self.path));
        named.map_err(|why| wrong(self.path, &why))
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        // After a rename there is nothing of this name any more.
        let _ = fs::remove_file(&self.partial);
    }
}

fn wrong(path: &Path, why: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("{}: {why}", path.display()))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}
