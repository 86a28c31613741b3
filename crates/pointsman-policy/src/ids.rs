//! Numbers of what a policy names: outbounds, rule sets, zones, requests.
//!
//! Invariant: each is an index into a table of one configuration or policy, and means nothing in another's.

/// An outbound of the configuration: an index into [`crate::Policy::outbounds`], the same in every policy
/// of one configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutboundId(pub u32);

/// Which request of a policy: an index into [`crate::model::Body::requests`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u32);

/// A rule set: an index into [`crate::Policy::sets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(pub u32);

/// A zone: an index into the names of its kind in [`crate::zone::Zones`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneId(pub u32);
