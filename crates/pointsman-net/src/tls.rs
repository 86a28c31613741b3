//! TLS, by rustls on ring (ADR 6).

pub(crate) mod client;
pub(crate) mod server;
