//! Why a request to the server did not succeed.

use std::path::PathBuf;

use super::Status;

/// A failed request, told in one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No kubeconfig was named, and none is where one is looked for.
    #[error(
        "no kubeconfig found{}: start a server with `annals serve`, or name a file with \
         --kubeconfig",
        looked_in(places)
    )]
    NoConfig {
        /// Where it was looked for.
        places: Vec<PathBuf>,
    },
    /// The kubeconfig cannot be used.
    #[error("kubeconfig {path}: {why}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers, or nobody we trust.
    #[error("cannot reach the server at {url}: {why}")]
    Unreachable {
        /// Whom we asked.
        url: String,
        /// What happened.
        why: String,
    },
    /// The server did not answer in time.
    #[error("the server at {url} did not answer within {seconds} seconds")]
    TooSlow {
        /// Whom we asked.
        url: String,
        /// How long we waited.
        seconds: u64,
    },
    /// The server refused, and said why.
    #[error("{0}")]
    Status(Box<Status>),
    /// The answer is not what we asked for.
    #[error("the server at {url} gave an answer that cannot be used: {why}")]
    Answer {
        /// Whom we asked.
        url: String,
        /// What is wrong with the answer.
        why: String,
    },
}

impl Error {
    /// The HTTP status of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status.code),
            _ => None,
        }
    }
}

fn looked_in(places: &[PathBuf]) -> String {
    let names: Vec<_> = places
        .iter()
        .map(|place| place.display().to_string())
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" (looked for {})", names.join(", "))
    }
}
