//! Fuzzes `pointsman_wire::fuzz_checks::check_dns_web`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pointsman_wire::fuzz_checks::check_dns_web(bytes));
