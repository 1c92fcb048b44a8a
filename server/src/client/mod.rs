//! The small HTTPS client of the command line.
//!
//! The commands in `cli` ask through [`Client`]; `setup` writes the same [`kubeconfig`] that the
//! client reads. One connection, HTTP/1.1, requests in turn: the commands need no more.
//!
//! Invariants: nothing is sent but over TLS to a server that the kubeconfig's authority vouches
//! for; every request ends within a time-out, a stream when it stands still for that long; no answer
//! larger than [`ANSWER_BYTES_MAX`] is kept.
//! Absent on purpose: plain HTTP, the system's certificate authorities, exec plugins.

mod answer;
mod connect;
mod download;
mod error;
pub mod kubeconfig;
mod lines;
mod path;
mod request;
mod target;

pub use answer::{ANSWER_BYTES_MAX, Status};
pub use download::Download;
pub use error::Error;
pub use lines::Lines;
pub use path::Path;
pub use request::Client;
pub use target::Target;
