#![no_main]
//! Fuzzes `tvtfleet_tests::fuzz::out_batch`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tvtfleet_tests::fuzz::out_batch(data));
