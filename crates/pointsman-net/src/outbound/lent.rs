//! What of this host flows may be taken to.

use std::net::IpAddr;
use std::sync::Arc;

use pointsman_policy::{Particular, local};

/// Which addresses a flow may be taken to that only this host should reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lent {
    /// All: the client is of this host, or the target is the operator's choice.
    #[default]
    All,
    /// None, so long as nobody asked who the client is.
    Unasked,
    /// Those alone that the rules name in particular.
    Named(Arc<Particular>),
}

impl Lent {
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        match self {
            Self::All => true,
            Self::Unasked => !local::is_local(address),
            Self::Named(particular) => !local::is_local(address) || particular.names(address),
        }
    }
}
