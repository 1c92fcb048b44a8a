//! Why the data directory cannot be used, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the first start, told so that the reader knows what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path is there and is not a directory.
    #[error("data directory {0} is not a directory: give another with --data-dir")]
    NotDirectory(PathBuf),
    /// The directory holds someone else's files.
    #[error(
        "data directory {0} holds files and was not made by annals: give an empty or new \
         directory with --data-dir"
    )]
    Foreign(PathBuf),
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}{}", advice(source))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file of ours does not hold what we wrote.
    #[error("{path} is damaged: {why}. {cure}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        cure: &'static str,
    },
    /// A name that no certificate can carry.
    #[error("--tls-san {name:?} is not valid: expected a DNS name or an IP address")]
    San {
        /// The name given.
        name: String,
    },
    /// The libraries of certificates or TLS refused.
    #[error("cannot {action}: {why}")]
    Tls {
        /// What was tried, as a verb.
        action: &'static str,
        /// What the library said.
        why: String,
    },
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    pub(super) fn tls<E: std::fmt::Display>(action: &'static str) -> impl FnOnce(E) -> Self {
        move |why| Self::Tls {
            action,
            why: why.to_string(),
        }
    }
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            " (run as the owner of the directory, or give another with --data-dir)"
        }
        io::ErrorKind::StorageFull => " (free some space and start again)",
        io::ErrorKind::ReadOnlyFilesystem => " (give a writable directory with --data-dir)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    //! Catches a failure of the first start that leaves the reader without a next step.
    use super::*;

    #[test]
    fn a_full_disk_says_what_to_do() {
        let told = |kind: io::ErrorKind| Error::io("write", Path::new("/d/f"))(kind.into());
        let full = told(io::ErrorKind::StorageFull).to_string();
        assert!(full.starts_with("cannot write /d/f: "), "{full}");
        assert!(
            full.ends_with("(free some space and start again)"),
            "{full}"
        );
        let denied = told(io::ErrorKind::PermissionDenied).to_string();
        assert!(denied.contains("--data-dir"), "{denied}");
    }
}
