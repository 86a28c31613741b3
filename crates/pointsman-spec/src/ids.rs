//! Numbers by which what runs is named.

/// A policy: an index into all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PolicyId(pub usize);

/// A resolver: an index into all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResolverId(pub usize);
