#![no_main]
//! Fuzzes `tvtfleet_tests::fuzz::explain`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tvtfleet_tests::fuzz::explain(data));
