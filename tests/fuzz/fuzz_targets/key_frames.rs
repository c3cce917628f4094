#![no_main]
//! Fuzzes `tvtfleet_tests::fuzz::key_frames`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tvtfleet_tests::fuzz::key_frames(data));
