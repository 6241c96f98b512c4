#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| cowproof::fuzzing::qcow1_read(data));
