//! A server's connection that a client's login belongs to (NTLM, Negotiate: RFC 4559).
//!
//! Invariant: it carries requests of the client connection that logged in by it and of no other, to the host
//! and port that it was opened for, and as long as each is decided as the first was.

use std::sync::Arc;

use pointsman_policy::Host;
use pointsman_policy::model::Origin;

use crate::outbound::Pick;
use crate::stream::Stream;

/// A server's connection between two requests of one client connection.
#[derive(Debug)]
pub(crate) struct Bound {
    stream: Stream,
    to: To,
}

/// Where a connection leads, and by which way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct To {
    pub(super) host: Host,
    pub(super) port: u16,
    /// The way, groups followed, in the outbounds of that load of the configuration.
    pub(super) route: Pick,
    pub(super) load: u64,
    /// Whose request it was: a proxy in front may send several people's by one connection.
    pub(super) user: Option<Arc<str>>,
    /// The rule that decided.
    pub(super) rule: Option<Origin>,
}

impl Bound {
    pub(super) fn new(stream: Stream, to: To) -> Box<Self> {
        Box::new(Self { stream, to })
    }

    /// Takes what is kept for `to`. One that leads there by another way is given up; one to somewhere else stays.
    pub(super) fn take(kept: &mut Option<Box<Self>>, to: &To) -> Option<Stream> {
        let same = |bound: &mut Box<Self>| bound.to.host == to.host && bound.to.port == to.port;
        let bound = kept.take_if(same)?;
        // Words that nobody asked for would be taken for the answer.
        let good =
            bound.to == *to && bound.stream.prefix.is_empty() && bound.stream.socket.is_quiet();
        good.then_some(bound.stream)
    }
}
