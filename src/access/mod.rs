//! Who may see and do what: rules, and what they come to for one caller.
//!
//! An embedder that serves several callers asks an [`Authorizer`]: [`check`](Authorizer::check)
//! for one object, [`scope`](Authorizer::scope) for everything that is listed, watched or
//! searched. [`Rules`] is the built-in one: [`Role`]s in namespaces, and in folders with all that
//! is below them. The two answers cannot differ, since a check asks the scope.
//!
//! ```text
//! grants of a caller  +  folder trees  ->  Scope  ->  Filter, for lists and watches
//!                                                 ->  search::Scope, for the index
//!                                                 ->  check, for one object
//! ```
//!
//! Invariant: what no grant covers is not seen. A caller without grants sees nothing, an unknown
//! folder belongs to no subtree. Absent on purpose: who a caller is, passwords, where rules are
//! stored: the server has that. The store itself checks nothing: who opens it has everything.

mod role;
mod rules;
mod tree;

pub use role::{Role, Verb};
pub use rules::{Place, Rules};
pub use tree::{DEPTH_MAX, Tree, TreeError};

use crate::model::{Collection, Key, Principal, Scope};

/// Decides who may do what.
pub trait Authorizer: Send + Sync {
    /// Whether this caller may do this to an object with this key that stands in this folder, the
    /// empty one being none.
    fn check(&self, principal: &Principal, verb: Verb, key: &Key, folder: &str) -> bool {
        self.scope(principal, verb, &key.collection())
            .covers_place(key, folder)
    }

    /// The objects that this caller may do this to; right for those of this resource, and silent
    /// about others. It is cheap to ask again: the answer is kept.
    fn scope(&self, principal: &Principal, verb: Verb, resource: &Collection) -> Scope;
}
