//! A data directory, opened in this process: for `serve`, `check`, and `--data-dir`.

use std::path::Path;

use annals::{Error, ErrorKind, Options, Store};

use super::size::Size;
use super::{Exit, Failure};
use crate::api::{Api, indexed};
use crate::kinds::Kinds;
use crate::limits;
use crate::net::Shutdown;

/// Opens the store of a data directory.
pub(super) fn open(directory: &Path, cache: Size) -> Result<Store, Failure> {
    let cache = usize::try_from(cache.0).unwrap_or(usize::MAX);
    let options = Options::new()
        .cache_bytes(cache)
        .object_bytes_max(limits::OBJECT_BYTES)
        .kinds(indexed(&kinds()?));
    Store::open(directory, options).map_err(|error| failure(&error))
}

/// The API over a store.
pub(super) fn api(store: &Store, shutdown: Shutdown) -> Result<Api, Failure> {
    Api::new(store.clone(), kinds()?, shutdown).map_err(|error| failure(&error))
}

fn kinds() -> Result<Kinds, Failure> {
    let wrong = |error| Failure::new(Exit::Failed, format!("a built-in manifest: {error}"));
    Kinds::built_in().map_err(wrong)
}

/// A failure of the store, with its exit code.
pub(super) fn failure(error: &Error) -> Failure {
    let exit = match error.kind() {
        ErrorKind::NotFound => Exit::NotFound,
        ErrorKind::AlreadyExists | ErrorKind::Conflict => Exit::Conflict,
        ErrorKind::Unavailable
        | ErrorKind::Invalid
        | ErrorKind::Gone
        | ErrorKind::Future
        | ErrorKind::Corrupt => Exit::Failed,
    };
    Failure::new(exit, error.to_string())
}
