#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| cowproof::fuzzing::luks_open(data));
