//! The annals server and command line, as a library that the binary and the tests share.
//!
//! | module | holds |
//! | --- | --- |
//! | [`setup`] | what the first start makes: authority, certificates, token, kubeconfig |
//! | [`net`] | the HTTPS door: socket limits, TLS, who is asking, health, drain |
//! | `access` | who the callers are: users and tokens as rows of the store |
//! | [`api`] | the Kubernetes API over the store: a request and its answer |
//! | [`kinds`] | the kinds that are served: manifests, schemas, columns |
//! | [`wire`] | what is sent and read, as pure functions: no I/O, no HTTP types |
//! | [`limits`] | every limit, in one table |
//! | [`client`] | the small HTTPS client of the command line |
//! | [`records`] | objects and revisions in files: NDJSON, YAML, Parquet |
//! | [`cli`] | the commands, their output and their exit codes |
//!
//! `cli` may use everything; `api` uses `access`, `net`, `kinds` and `wire`; `access` uses `net`; `records` uses `kinds`,
//! `wire` and a name of `access`; `wire` uses `kinds`; `setup` uses `net` and `client::kubeconfig`; `net`, `kinds` and
//! `client` know nothing of each other.

mod access;
pub mod api;
pub mod cli;
pub mod client;
pub mod kinds;
pub mod limits;
pub mod net;
pub mod records;
pub mod setup;
pub mod wire;
