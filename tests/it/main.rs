//! The integration tests of the library, one binary: each file says which bug it would catch.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod backup;
mod bytes;
mod clients;
mod compact;
mod crash;
mod cuts;
mod damage;
mod disk;
mod epoch;
mod examples;
mod faults;
mod fixtures;
mod handles;
mod kind;
mod labels;
mod limits;
mod links;
mod model;
mod ops;
mod order;
mod random;
mod reference;
mod retention;
mod scripts;
mod search;
mod short;
mod suite;
mod thinned;
mod trace;
mod validator;
mod watch;
mod wounds;
mod wreck;
