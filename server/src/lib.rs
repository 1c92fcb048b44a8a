//! The annals server and command line, as a library that the binary and the tests share.
//!
//! | module | holds |
//! | --- | --- |
//! | [`setup`] | what the first start makes: authority, certificates, token, kubeconfig |
//! | [`net`] | the HTTPS door: socket limits, TLS, who is asking, health, drain |
//! | [`client`] | the small HTTPS client of the command line |
//! | [`cli`] | the commands, their output and their exit codes |
//!
//! `cli` may use everything; `setup` uses `net` and `client::kubeconfig`; `net` and `client` know
//! nothing of each other.

pub mod cli;
pub mod client;
pub mod net;
pub mod setup;
