//! The HTTPS door: from the socket to a request that says who is asking.
//!
//! `cli::serve` binds with [`bind`], wraps the application with [`door`], and runs [`serve`]
//! until a [`Shutdown`] ends it. Handlers find an [`Identity`] and an [`AuditId`] in the request
//! extensions, and read bodies with [`read_body`]. The doors of other protocols reuse [`Gate`],
//! [`Identity`] and [`Shutdown`].
//!
//! Invariants: no byte of a request is looked at before TLS; a request without an identity
//! reaches nothing but [`PUBLIC_PATHS`]; every wait on a client ends, by [`Limits`]; a panic ends
//! one request. Absent on purpose: plain HTTP, who may do what (that is the application's), and
//! time-outs of the handlers themselves.

mod activity;
mod audit;
mod body;
mod door;
mod gate;
mod health;
mod identity;
mod impersonate;
mod limits;
mod listen;
mod logins;
mod panic;
mod refusal;
mod serve;
mod shutdown;
mod stall;
mod throttle;
pub(crate) mod tls;
mod token;

pub use audit::{Audit, Written};
pub use body::{BODY_BYTES_MAX, BODY_TIME_MAX, BodyError, read_body};
pub use door::{AuditId, URI_BYTES_MAX, door, not_found};
pub use gate::{Gate, PUBLIC_PATHS};
pub use health::Health;
pub use identity::{ADMINISTRATORS, How, Identity, Peer, Proof, Row};
pub use limits::Limits;
pub use listen::{BindError, bind};
pub use logins::Logins;
pub(crate) use refusal::add_ways;
pub use refusal::refuse;
pub use serve::{Drained, serve};
pub use shutdown::Shutdown;
pub use token::TokenHash;
