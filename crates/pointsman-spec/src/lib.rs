//! What is to run, as data: what every configuration comes to, and what the data plane is given.
//!
//! Invariant: data alone, and checked by whoever made it. It knows no files, no dialects and no places in them, no sockets
//! and no runtime; so that readers of configurations and the data plane share it, and neither knows the other.

pub mod address;
pub mod asks;
pub mod cache;
pub mod dns;
pub mod door;
pub mod ids;
pub mod limits;
pub mod login;
pub mod outbound;
pub mod overlap;
pub mod resolver;
pub mod target;
pub mod tls;
