#![no_main]
//! Fuzzes `tvtfleet_tests::fuzz::sdk_pipe`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tvtfleet_tests::fuzz::sdk_pipe(data));
