//! The portable half: what an unknown system can do, which is less but never wrong.
//!
//! Invariant: each function here has a twin of the same name and type in `linux/`. What cannot be done says so by
//! `ErrorKind::Unsupported`, so that nothing is silently left unmarked or unbound.

pub(crate) mod clock;
pub(crate) mod datagram;
pub(crate) mod descriptors;
pub(crate) mod memory;
pub(crate) mod owner;
pub(crate) mod route;
pub(crate) mod socket;
pub(crate) mod splice;
