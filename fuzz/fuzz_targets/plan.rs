//! Fuzzes `pointsman_policy::fuzz_checks::check_plan`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pointsman_policy::fuzz_checks::check_plan(bytes));
