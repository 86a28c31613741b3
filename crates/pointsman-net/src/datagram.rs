//! Flows over UDP.

mod arriving;
mod association;
mod carry;
mod decide;
mod entrance;
mod entries;
mod eviction;
mod front;
mod hold_queue;
mod leaving;
mod losses;
mod marks;
mod nat;
pub(crate) mod quota;
mod relay;
pub(crate) mod relays;
mod scratch;
mod slab;
mod targets;
mod unanswered;
mod waiting;
mod wakers;

pub(crate) use self::association::{Association, begin};
pub(crate) use self::entrance::{Entrance, serve};
pub use self::losses::Loss;
pub(crate) use self::relay::Relay;
pub(crate) use self::scratch::{Batch, Scratch};

#[cfg(test)]
mod tests;
