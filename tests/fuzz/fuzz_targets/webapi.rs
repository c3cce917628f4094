#![no_main]
//! Fuzzes `tvtfleet_tests::fuzz::webapi`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tvtfleet_tests::fuzz::webapi(data));
