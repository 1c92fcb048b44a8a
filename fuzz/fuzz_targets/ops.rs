//! Operation sequences with a power cut: any bytes are writes, batches, reopenings and a place to
//! cut, and every answer, and what the cut leaves, must be as the model says. The disk, the cuts
//! and the model are those of the integration tests.
#![no_main]
#![allow(dead_code, reason = "the tests use more of these modules than this target")]
#![allow(clippy::unwrap_used, reason = "a finding is a panic")]

#[path = "../../tests/it/bytes.rs"]
mod bytes;
#[path = "../../tests/it/cuts.rs"]
mod cuts;
#[path = "../../tests/it/disk.rs"]
mod disk;
#[path = "../../tests/it/ops.rs"]
mod ops;
#[path = "../../tests/it/random.rs"]
mod random;
#[path = "../../tests/it/suite.rs"]
mod suite;
#[path = "../../tests/it/trace.rs"]
mod trace;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let played = ops::play(data, disk::Disk::recording());
    assert_eq!(played, Ok(()));
});
