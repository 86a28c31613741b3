//! The data plane from outside: real sockets on the loopback, clients that speak the protocols, and
//! what stands in the records afterwards.

#![expect(
    clippy::disallowed_methods,
    reason = "the clients and servers of these tests are not ours"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod bound;
mod decisions;
#[path = "../support/drops.rs"]
mod dropping;
mod drops;
mod fetch;
mod gone;
mod guessing;
mod handshakes;
mod known_names;
mod misbehaving;
mod names;
mod nameserver;
mod owners;
mod plain_http;
mod queries;
mod reload;
mod stage;
mod steps;
mod ways;
mod widening;
