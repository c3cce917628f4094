#![no_main]
//! Fuzzes `tvtfleet_tests::fuzz::result_file`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tvtfleet_tests::fuzz::result_file(data));
