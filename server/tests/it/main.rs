//! The integration tests of the server, as one binary: in-process servers on free ports, in
//! temporary directories.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod access;
mod advice;
mod backup;
mod bench;
mod change;
mod cli;
mod config;
mod crash;
mod dev;
mod encoding;
mod export;
mod kube_rs;
mod kubectl;
mod list;
mod net;
mod python;
mod repair;
mod retention;
mod search;
mod server;
mod site;
mod watch;
