#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mobike_ike_fuzz::engine::engine(input));
