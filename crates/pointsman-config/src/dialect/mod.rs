//! The dialects: one reader each, from its own text to the one model.

pub mod bitflow;
pub mod boltconn;
pub mod foreign;
pub mod native;
pub mod policy_router;
pub mod reflow;
mod stranger;

pub use stranger::{Stranger, tell as stranger};
