//! The annals server and command line, as a library that the binary and the tests share.

pub mod kinds;
pub mod limits;
pub mod wire;
