//! The seam to the resolver: names in, addresses out.
//!
//! Invariant: whoever looks a name up does it through a [`Lookup`] of the flow's generation.
//! Absent: how it is done.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use pointsman_policy::Domain;

use crate::outbound::Ways;

/// The addresses of a name, never empty, preferred first; or one sentence that says why there are
/// none.
pub type Answer = Result<Vec<IpAddr>, Arc<str>>;

/// A look-up under way. Dropping it gives it up.
pub type LookingUp<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Looks names up.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// The addresses of `name`.
    ///
    /// `ways` are the outbounds of the generation that asks, for name servers behind one.
    fn lookup<'a>(&'a self, name: &'a Domain, ways: &'a Ways) -> LookingUp<'a>;
}
