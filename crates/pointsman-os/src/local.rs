//! This host's own affairs: local endpoints, the service manager, signals, limits.
//!
//! Invariant: nothing here touches the network; the client links this module alone.

mod endpoint;

pub use endpoint::{UnixEndpoint, bind_unix};
