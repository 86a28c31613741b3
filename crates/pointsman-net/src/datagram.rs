//! Flows over UDP.

mod arriving;
mod association;
mod carry;
mod client_side;
mod decide;
mod entrance;
mod entries;
mod eviction;
mod hold_queue;
mod losses;
mod marks;
mod nat;
pub(crate) mod quota;
mod readiness;
mod relay;
pub(crate) mod relays;
mod scratch;
mod slab;
mod targets;
mod unanswered;
mod wakers;
mod ways_out;

pub(crate) use self::association::{Association, begin};
pub(crate) use self::entrance::{Entrance, serve};
pub use self::losses::Loss;
pub(crate) use self::relay::Relay;
pub(crate) use self::scratch::{Batch, Scratch};

#[cfg(test)]
mod tests;
