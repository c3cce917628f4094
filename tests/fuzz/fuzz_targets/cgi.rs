#![no_main]
//! Fuzzes `tvtfleet_tests::fuzz::cgi`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tvtfleet_tests::fuzz::cgi(data));
