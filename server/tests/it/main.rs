//! The integration tests of the server, as one binary: in-process servers on free ports, in
//! temporary directories.

mod cli;
mod net;
mod site;
