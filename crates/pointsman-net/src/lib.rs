//! Pointsman's data plane: what carries flows once somebody said where they go.
//!
//! Invariants: it knows nothing of configuration files or of the control API; every socket is made by [`dial`] or
//! [`listen`]; every task has one owner, a [`tasks::Tasks`].

mod case;
mod correlation;
mod datagram;
pub mod dial;
mod dns;
mod door;
mod doubt;
#[cfg(test)]
#[path = "../tests/support/drops.rs"]
mod drops;
pub mod ends;
mod exact;
mod facts;
mod fake;
pub mod fetch;
mod flow;
pub mod generation;
mod group;
mod guard;
mod guest;
mod inbound;
mod ledger;
pub mod listen;
pub mod login;
pub mod lookup;
pub mod outbound;
mod owner;
pub mod plane;
pub mod record;
pub mod relay;
pub mod requests;
pub mod resolver;
mod scarcity;
mod seldom;
mod shared;
pub mod spec;
pub mod stream;
pub mod tasks;
mod tls;
pub mod workers;
