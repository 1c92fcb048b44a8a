//! The body codec: no bytes may panic, and what was encoded is decoded to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| annals::body::probe(data));
