//! The record codec: no bytes may panic, and what can be read is written back to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| annals::probe_record(data));
