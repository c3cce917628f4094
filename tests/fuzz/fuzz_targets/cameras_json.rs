#![no_main]
//! Fuzzes `tvtfleet_tests::fuzz::cameras_json`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tvtfleet_tests::fuzz::cameras_json(data));
