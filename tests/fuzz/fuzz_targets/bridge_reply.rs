#![no_main]
//! Fuzzes `tvtfleet_tests::fuzz::bridge_reply`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tvtfleet_tests::fuzz::bridge_reply(data));
