//! A data directory, opened in this process: for `serve`, `compact`, and `--data-dir`.

use std::path::Path;
use std::time::{Duration, Instant};

use annals::{Error, ErrorKind, Options, Store};
use axum::Extension;

use super::keep::Rules;
use super::size::Size;
use super::{Exit, Failure};
use crate::api::{Api, OWN_BYTES, indexed, routes};
use crate::client::{Client, Target};
use crate::kinds::Kinds;
use crate::limits;
use crate::net::{ADMINISTRATORS, Identity, Shutdown};
use crate::setup::DataDir;

/// Opens the store of a data directory.
pub(super) fn open(directory: &Path, cache: Size, rules: &[Rules]) -> Result<Store, Failure> {
    let options = Rules::add_all(rules, options(cache).kinds(indexed(&kinds()?)));
    Store::open(directory, options).map_err(|error| failure(&error))
}

fn options(cache: Size) -> Options {
    let cache = usize::try_from(cache.0).unwrap_or(usize::MAX);
    Options::new()
        .cache_bytes(cache)
        .object_bytes_max(limits::OBJECT_BYTES + OWN_BYTES)
}

/// What a client command may take of memory for pages.
const CLIENT_CACHE: Size = Size(64 * 1024 * 1024);

/// Opens a directory that a server has made.
fn open_existing(directory: &Path) -> Result<Store, Failure> {
    check_existing(directory)?;
    open(directory, CLIENT_CACHE, &[]).map_err(in_use)
}

/// What a client command can do when the directory cannot be opened.
fn in_use(failure: Failure) -> Failure {
    let advice = "if a server has it open, leave --data-dir out and the command asks that server";
    Failure::new(failure.exit, format!("{} ({advice})", failure.message))
}

/// Whether there is a store, or which error to print.
pub(super) fn check_existing(directory: &Path) -> Result<(), Failure> {
    if directory.join("store.redb").is_file() {
        return Ok(());
    }
    let what = format!(
        "{}: no data directory of annals; `annals serve --data-dir` makes one",
        directory.display()
    );
    Err(Failure::new(Exit::NotFound, what))
}

/// Opens a directory that a server has made, and leaves its index alone.
pub(super) fn open_unindexed(directory: &Path) -> Result<Store, Failure> {
    check_existing(directory)?;
    Store::open(directory, unindexed()).map_err(|error| in_use(failure(&error)))
}

/// How a command opens a directory whose index it leaves alone.
pub(super) fn unindexed() -> Options {
    options(CLIENT_CACHE).index(false)
}

/// Opens a directory to write much to it, and makes it when there is none. The index follows at
/// the next start.
pub(super) fn open_to_load(directory: &Path) -> Result<Store, Failure> {
    let directory = DataDir::open(directory)?;
    Store::open(directory.path(), unindexed()).map_err(|error| failure(&error))
}

/// A client of the API over a directory, in this process. Waits until the index is up to date.
pub(super) fn client(directory: &Path) -> Result<Client, Failure> {
    let store = open_existing(directory)?;
    let newest = store.stats().map_err(|error| failure(&error))?.version;
    let deadline = Instant::now() + INDEX_PATIENCE;
    while !store.index_report().reflects(newest) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    client_over(&store, directory)
}

/// A client of the API over an open store, as an administrator: whoever can open the directory
/// has everything in it.
pub(super) fn client_over(store: &Store, directory: &Path) -> Result<Client, Failure> {
    let user = Identity::of_token("local", &[ADMINISTRATORS]);
    let router = routes(api(store, Shutdown::new())?).layer(Extension(user));
    Ok(Client::new(Target::here(
        &directory.display().to_string(),
        router,
    )))
}

/// How long a command waits for the index of a directory it has opened.
const INDEX_PATIENCE: Duration = Duration::from_secs(30);

/// The API over a store.
pub(super) fn api(store: &Store, shutdown: Shutdown) -> Result<Api, Failure> {
    Api::new(store.clone(), kinds()?, shutdown).map_err(|error| failure(&error))
}

/// The kinds of this binary.
pub(super) fn kinds() -> Result<Kinds, Failure> {
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
