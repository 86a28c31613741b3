//! The Linux half: what needs system calls that no safe crate wraps.
//!
//! Invariant: each function here has a twin of the same name and type in `fallback/`.

pub(crate) mod clock;
mod control;
pub(crate) mod datagram;
pub(crate) mod descriptors;
mod diag;
mod lasting;
mod links;
pub(crate) mod memory;
pub(crate) mod owner;
mod process;
pub(crate) mod route;
pub(crate) mod socket;
pub(crate) mod splice;
