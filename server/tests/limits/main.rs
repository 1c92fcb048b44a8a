//! Would catch a limit that is not kept, a limit that nobody tests, and an answer to hostile input
//! that is no answer; and a door of HTTPS that means something else than the library.
//!
//! One server for each test, in this process, on a free port, over a temporary directory.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod body;
mod conformance;
mod hostile;
mod manifest;
mod paths;
mod query;
mod server;
#[path = "../it/site.rs"]
#[expect(dead_code, reason = "the other suite uses all of it")]
mod site;
mod socket;
mod table;
