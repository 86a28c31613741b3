//! Flows over UDP.

mod arriving;
mod association;
mod bells;
mod carry;
mod entrance;
mod front;
mod giving_way;
mod held;
mod kept;
mod leaving;
mod losses;
mod nat;
mod relay;
pub(crate) mod relays;
pub(crate) mod room;
mod scratch;
mod silence;
mod slab;
mod story;
mod targets;
mod waiting;

pub(crate) use self::association::{Association, begin};
pub(crate) use self::entrance::{Entrance, serve};
pub use self::losses::Loss;
pub(crate) use self::relay::Relay;

#[cfg(test)]
mod tests;
