#![no_main]
//! Fuzzes `tvtfleet_tests::fuzz::picture`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tvtfleet_tests::fuzz::picture(data));
