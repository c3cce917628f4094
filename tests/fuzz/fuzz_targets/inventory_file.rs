#![no_main]
//! Fuzzes `tvtfleet_tests::fuzz::inventory_file`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tvtfleet_tests::fuzz::inventory_file(data));
