//! The frames of the commit log: no bytes may panic, and what was written is found.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| annals::probe_log(data));
