#![no_main]
//! Fuzzes `tvtfleet_tests::fuzz::want_doc`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tvtfleet_tests::fuzz::want_doc(data));
