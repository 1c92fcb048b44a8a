//! The command line: one file for each command, one for what they share.
//!
//! Most commands talk to a server through [`crate::client`]; the others work on files and
//! directories. Results
//! go to the standard output, everything else to the standard error, and [`Exit`] is the one
//! list of exit codes.

mod account;
mod apply;
mod backup;
mod bench;
mod change;
mod check;
mod color;
mod compact;
mod completion;
mod config;
mod delete;
mod dev;
mod diff;
mod edit;
mod exit;
mod export;
mod get;
mod history;
mod import;
mod index;
mod keep;
mod kind;
mod local;
mod manifest;
mod merge;
mod object;
mod part;
mod print;
mod repair;
mod restore;
mod revive;
mod run;
mod scope;
mod search;
mod serve;
mod server;
mod size;
mod trash;
mod verify;
mod watch;

pub use exit::{Exit, Failure};
pub use run::run;
