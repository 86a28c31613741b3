//! Forwards, on real sockets: each test is a client, a target, or both.

#![expect(
    clippy::disallowed_methods,
    reason = "these are the clients and the servers around the plane"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod carrying;
mod choosing;
mod circles;
mod datagrams;
mod flood;
mod keeping;
mod limits;
mod log;
mod one_way;
mod sockets;
mod stage;
mod trial;
