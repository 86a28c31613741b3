//! What is kept of a datagram's header on the way.

/// What stands in a datagram's header besides its addresses, as far as it is kept on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// The traffic class octet.
    pub(super) class: Option<u8>,
    /// How many hops it may go from here.
    pub(super) hops: Option<u8>,
}
