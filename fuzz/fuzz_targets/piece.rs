//! The pieces of a backup: no bytes may panic, also behind checks that fit.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| annals::probe_piece(data));
