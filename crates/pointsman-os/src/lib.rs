//! What Pointsman needs of the operating system, and nothing else.
//!
//! Invariants: this is the only crate with `unsafe` and with `cfg(target_os)`; each mechanism stands in `linux/` with
//! a portable twin in `fallback/`, chosen once here. Everything is blocking-but-quick or tokio-native: the caller
//! decides where a call runs. Absent: policy, flows, configuration, logging.
//!
//! The client links the module [`local`] alone (no feature `data-plane`).

#[cfg(all(feature = "data-plane", not(target_os = "linux")))]
#[path = "fallback/mod.rs"]
mod imp;
#[cfg(all(feature = "data-plane", target_os = "linux"))]
#[path = "linux/mod.rs"]
mod imp;

#[cfg(feature = "data-plane")]
pub mod clock;
#[cfg(feature = "data-plane")]
pub mod datagram;
#[cfg(feature = "data-plane")]
pub mod descriptors;
#[cfg(all(feature = "data-plane", target_os = "linux"))]
mod leaving;
pub mod local;
#[cfg(feature = "data-plane")]
pub mod memory;
#[cfg(feature = "data-plane")]
pub mod owner;
#[cfg(feature = "data-plane")]
pub mod socket;
#[cfg(feature = "data-plane")]
pub mod splice;
#[cfg(feature = "data-plane")]
pub mod stream;
