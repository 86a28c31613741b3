//! Fuzzes `pointsman_wire::fuzz_checks::check_quic_frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pointsman_wire::fuzz_checks::check_quic_frames(bytes));
