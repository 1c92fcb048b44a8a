//! How a command ends: the exit codes, and the table from errors to them.

use std::process::ExitCode;

use crate::{client, net, setup};

/// The exit codes of `annals`. They are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command did what it was asked to.
    Done = 0,
    /// The operation failed, for a reason that has no code of its own.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The object, the kind or the revision does not exist.
    NotFound = 3,
    /// Someone else changed or made the object first.
    Conflict = 4,
    /// The server does not answer, or is not the one the kubeconfig trusts.
    Unreachable = 5,
    /// The credentials are missing, wrong, or not enough.
    NotAllowed = 6,
    /// The server cannot do this yet: its search index is not ready, or it is starting.
    NotReady = 7,
}

/// The codes as the help shows them.
pub(super) const TABLE: &str = "\
Exit codes:
  0  done
  1  the operation failed
  2  wrong usage
  3  not found
  4  conflict
  5  server unreachable
  6  not allowed
  7  not ready (search index, or server)";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The end of a command that did not succeed.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// One line for the reader.
    pub message: String,
}

impl Failure {
    /// A failure with this code and line.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        let exit = match &error {
            client::Error::NoConfig { .. } | client::Error::Config { .. } => Exit::Usage,
            client::Error::Unreachable { .. } | client::Error::TooSlow { .. } => Exit::Unreachable,
            client::Error::Answer { .. } => Exit::Failed,
            client::Error::Status(status) => match status.code {
                401 | 403 => Exit::NotAllowed,
                404 => Exit::NotFound,
                409 => Exit::Conflict,
                503 => Exit::NotReady,
                _ => Exit::Failed,
            },
        };
        Self::new(exit, error.to_string())
    }
}

impl From<setup::Error> for Failure {
    fn from(error: setup::Error) -> Self {
        let exit = match error {
            setup::Error::San { .. } => Exit::Usage,
            setup::Error::NotDirectory(_)
            | setup::Error::Foreign(_)
            | setup::Error::Io { .. }
            | setup::Error::Damaged { .. }
            | setup::Error::Tls { .. } => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<net::BindError> for Failure {
    fn from(error: net::BindError) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}
