//! The wire: what clients send and what they are sent, as pure functions over bytes and values.
//!
//! Each file is one noun of the Kubernetes API: how it is read, checked or written. No I/O, no
//! clock, no HTTP types; the handlers bring those. Every reader has named limits and answers bad
//! input with a [`status::Status`] that says where the fault is.

pub mod accept;
pub mod discovery;
pub mod draft;
pub mod json;
pub mod list;
pub mod meta;
pub mod object;
pub mod openapi;
pub mod past;
pub mod patch;
pub mod protobuf;
pub mod query;
pub(crate) mod report;
mod scan;
pub mod status;
pub mod table;
