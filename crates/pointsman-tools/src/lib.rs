//! What people do with a configuration: look for what is odd in it, convert it, lay it out.
//!
//! Invariant: the daemon does not link this crate. What it tells or answers stands in `pointsman-config`.

pub mod convert;
#[cfg(test)]
#[path = "../../pointsman-config/src/damage.rs"]
mod damage;
pub mod fmt;
#[doc(hidden)]
pub mod fuzz_checks;
pub mod lint;
#[cfg(test)]
mod secrets_tests;
