//! The first byte chooses a lattice type. The rest is JSON of states, a line each, and decodes to an error or to states
//! that survive their own encoding, obey the laws, and can be joined.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| antiphon_fuzz::json::run(data));
