//! Fuzzes `pointsman_tools::fuzz_checks::check_clash`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pointsman_tools::fuzz_checks::check_clash(bytes));
