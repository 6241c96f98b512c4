#![no_main]
libfuzzer_sys::fuzz_target!(|session: cowproof::fuzzing::Session| cowproof::fuzzing::qcow2_ops(&session));
