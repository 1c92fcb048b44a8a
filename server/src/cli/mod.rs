//! The command line: one file for each command, one for what they share.
//!
//! Every command but `serve` and `version` talks to a server through [`crate::client`]. Results
//! go to the standard output, everything else to the standard error, and [`Exit`] is the one
//! list of exit codes.

mod bench;
mod check;
mod diff;
mod exit;
mod export;
mod get;
mod history;
mod import;
mod index;
mod kind;
mod local;
mod object;
mod print;
mod repair;
mod run;
mod search;
mod serve;
mod server;
mod size;

pub use exit::{Exit, Failure};
pub use run::run;
