//! Flows over UDP.

mod arriving;
mod association;
mod bells;
mod carry;
mod front;
mod held;
pub(crate) mod holding;
mod kept;
mod leaving;
mod nat;
mod relay;
pub(crate) mod room;
mod scratch;
mod slab;
mod story;
mod waiting;

pub(crate) use self::association::{Association, begin};
pub(crate) use self::relay::Relay;

#[cfg(test)]
mod tests;
