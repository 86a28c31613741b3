//! Fuzzes `pointsman_tools::fuzz_checks::check_sing_box`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pointsman_tools::fuzz_checks::check_sing_box(bytes));
