//! The command line: one file for each command, one for what they share.
//!
//! Most commands talk to a server through [`crate::client`]; the others work on files and
//! directories. Results
//! go to the standard output, everything else to the standard error, and [`Exit`] is the one
//! list of exit codes.

mod account;
mod backup;
mod bench;
mod check;
mod compact;
mod diff;
mod exit;
mod export;
mod get;
mod history;
mod import;
mod index;
mod keep;
mod kind;
mod local;
mod object;
mod part;
mod print;
mod repair;
mod restore;
mod run;
mod scope;
mod search;
mod serve;
mod server;
mod size;
mod verify;

pub use exit::{Exit, Failure};
pub use run::run;
