//! Who the callers are: users and tokens as rows of the store, and the rules made of them.
//!
//! ```text
//! request -> net::Gate -> Logins: whose token, whose password  -> Identity, with its proof
//!         -> api -> Access::admit: does the proof still stand   -> Principal
//!                -> State: rules at a version                   -> Scope
//! ```
//!
//! `account` is a row, `password` and `net::TokenHash` are how secrets are kept, `known` follows
//! the rows and the folders so that no request reads the store for them, `login` answers the gate.
//!
//! Invariants: a secret in the clear is answered once, by the call that makes it, and is stored
//! nowhere; a proof is held against the row each time, so that what is revoked ends at the version
//! that revokes it. Rows are of no served kind: no list, history, search or export shows them.
//! Absent on purpose: groups of users, other sources of identities.

mod account;
mod known;
mod login;
mod password;

pub(crate) use account::{Account, GROUP, Row, check_name, random_secret, shown, spec_of};
pub(crate) use known::{Access, Changes, FOLDER_GROUP, FOLDER_RESOURCE, State};
pub(crate) use login::Desk;
pub(crate) use password::Sealed;
