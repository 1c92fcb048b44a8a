//! The index as its callers see it, and as a failing disk sees it. One binary, so that tantivy is
//! linked once; each module has one worry.

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
