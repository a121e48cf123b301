//! The first byte chooses a form that is not plain JSON. What the rest decodes to survives its own encoding, and can be
//! worked with.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| antiphon_fuzz::packed::run(data));
