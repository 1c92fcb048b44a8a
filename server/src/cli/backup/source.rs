//! Where a backup comes from: the server that the kubeconfig names, or a directory.
//!
//! What a server sends is proven while it is written: a thread reads the same bytes as
//! `annals verify` does. So a stream that broke off, or was changed on its way, is never taken for
//! a piece.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, sync_channel};

use annals::backup::{Summary, verify};
use annals::{Error, Store, Version};
use hyper::body::Bytes;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::local::{failure, open_unindexed};
use crate::cli::server::Server;
use crate::cli::{Exit, Failure};
use crate::client::{self, Client, Path};

/// How many parts may wait to be proven.
const AHEAD: usize = 4;

/// What is backed up.
pub(super) enum Source {
    Here(Store),
    Server(Box<Client>),
}

/// Why a piece could not be taken.
pub(super) enum Trouble {
    /// Retention has removed something behind the version: only a whole backup helps.
    Gone(Failure),
    /// It may succeed later.
    Passing(Failure),
    /// It will not.
    Lasting(Failure),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Gone(why) | Trouble::Passing(why) | Trouble::Lasting(why) => why,
        }
    }
}

impl From<client::Error> for Trouble {
    fn from(error: client::Error) -> Self {
        let code = error.code();
        let failure = Failure::from(error);
        match code {
            Some(410) => Self::Gone(failure),
            Some(400..=499) if code != Some(429) => Self::Lasting(failure),
            _ => Self::Passing(failure),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let failure = failure(&error);
        match error {
            Error::Gone { .. } => Self::Gone(failure),
            Error::Io { .. } | Error::BadPiece { .. } => Self::Passing(failure),
            _ => Self::Lasting(failure),
        }
    }
}

impl Source {
    pub(super) fn open(server: &Server) -> Result<Self, Failure> {
        match server.data_dir() {
            Some(directory) => open_unindexed(directory).map(Self::Here),
            None => Ok(Self::Server(Box::new(server.client()?))),
        }
    }

    /// The name of it in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Here(_) => "the data directory".to_owned(),
            Self::Server(client) => client.url().to_owned(),
        }
    }

    /// Writes what was committed after a version, or everything. It is whole when this returns.
    pub(super) async fn take(
        &self,
        since: Option<Version>,
        out: &mut impl Write,
    ) -> Result<Summary, Trouble> {
        let bar = bar();
        let taken = match self {
            Self::Here(store) => store
                .backup(since, Shown { out, bar: &bar })
                .map_err(Trouble::from),
            Self::Server(client) => receive(client, since, Shown { out, bar: &bar }).await,
        };
        bar.finish_and_clear();
        taken
    }
}

/// Takes a piece from a server.
async fn receive(
    client: &Client,
    since: Option<Version>,
    mut out: impl Write,
) -> Result<Summary, Trouble> {
    let since = since.map(|version| version.to_string());
    let path = Path::new("/apis/store.annals.dev/v1/backup").query_if("since", since.as_deref());
    let mut download = client.download(&path).await?;
    let (parts, receiver) = sync_channel::<Bytes>(AHEAD);
    let name = format!("what {} has sent", client.url());
    let proof = tokio::task::spawn_blocking(move || {
        let parts = Parts {
            receiver,
            rest: Bytes::new(),
        };
        verify(parts, &name)
    });
    let received = async {
        while let Some(part) = download.next().await? {
            out.write_all(&part).map_err(|why| unwritten(&why))?;
            if parts.send(part).is_err() {
                // It was found bad already, and what it is says more.
                break;
            }
        }
        out.flush().map_err(|why| unwritten(&why))
    };
    let received = received.await;
    drop(parts);
    let proof = proof.await;
    received?;
    let proof = proof.map_err(|panic| {
        Trouble::Passing(Failure::new(
            Exit::Failed,
            format!("cannot prove it: {panic}"),
        ))
    })?;
    Ok(proof?)
}

fn unwritten(why: &io::Error) -> Trouble {
    let message = format!("cannot write the backup: {why}");
    Trouble::Passing(Failure::new(Exit::Failed, message))
}

/// The parts of a stream as one reader.
struct Parts {
    receiver: Receiver<Bytes>,
    rest: Bytes,
}

impl Read for Parts {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.receiver.recv() {
                Ok(part) => self.rest = part,
                // The sender is gone: this is the end.
                Err(_) => return Ok(0),
            }
        }
        let count = self.rest.len().min(into.len());
        into[..count].copy_from_slice(&self.rest.split_to(count));
        Ok(count)
    }
}

/// The bar hides itself when the standard error is not a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{bytes} written, {bytes_per_sec}");
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// An output that shows how much went through it.
struct Shown<'a, W> {
    out: W,
    bar: &'a ProgressBar,
}

impl<W: Write> Write for Shown<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.bar.inc(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
