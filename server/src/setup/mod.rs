//! What the first start makes in the data directory, and what later starts reuse.
//!
//! ```text
//! DIR/                      0700
//!   tls/ca.crt  tls/ca.key        the certificate authority of this server, 10 years
//!   tls/server.crt  server.key    what the listener shows, 825 days
//!   admin.sha256                  SHA-256 of the administrator's bearer token
//!   admin.kubeconfig              the clear token and a client certificate, nowhere else
//! ```
//!
//! `annals serve` calls [`DataDir::open`] first, lets the store take its lock, binds the socket,
//! and then calls [`prepare`] with the real address. Every file is 0600 and is replaced whole.
//!
//! Invariants: the clear token is only in the kubeconfig; a start that changes nothing writes
//! nothing; losing the kubeconfig is healed by a restart, which makes a new token and so ends
//! the old one. Absent on purpose: revocation lists and rotation of the authority. Deleting
//! `DIR/tls` and `DIR/admin.kubeconfig` starts over.

mod admin;
mod authority;
mod certificate;
mod dir;
mod error;
mod file;
mod names;
mod prepared;

pub use dir::DataDir;
pub use error::Error;
pub use prepared::{Prepared, Wish, prepare};
