//! The index as its callers see it, and as a failing disk sees it. One binary, so that tantivy is
//! linked once; each module has one worry.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod crash;
mod damage;
mod facets;
mod lifecycle;
mod limits;
mod model;
mod ranking;
mod recorder;
mod samples;
mod writers;
