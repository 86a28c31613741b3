//! Fuzzes `pointsman_config::fuzz_checks::check_tree`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pointsman_config::fuzz_checks::check_tree(bytes));
