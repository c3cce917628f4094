#![no_main]
//! Fuzzes `tvtfleet_tests::fuzz::envelope`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tvtfleet_tests::fuzz::envelope(data));
