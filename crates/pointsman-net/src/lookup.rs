//! The seam to the resolver: names in, addresses out.
//!
//! Invariant: whoever looks a name up does it through a [`Lookup`] of the flow's generation.
//! Absent: how it is done.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::{Domain, OutboundId};

use crate::dial::{Dialer, Uplink};
use crate::stream::Stream;
use crate::tasks::Tasks;

/// Which families are asked for, and whose addresses come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// A alone.
    Ipv4Only,
    /// AAAA alone.
    Ipv6Only,
    /// Both, A first.
    #[default]
    PreferIpv4,
    /// Both, AAAA first.
    PreferIpv6,
}

/// The addresses of a name, never empty, preferred first; or one sentence that says why there are
/// none.
pub type Answer = Result<Vec<IpAddr>, Arc<str>>;

/// A look-up under way. Dropping it gives it up.
pub type LookingUp<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Looks names up.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// The addresses of `name`, asked of name servers by that transport.
    fn lookup<'a>(&'a self, name: &'a Domain, transport: &'a dyn Transport) -> LookingUp<'a>;
}

/// A stream to a name server under way, or one sentence that says why there is none.
pub type Streaming<'a> = Pin<Box<dyn Future<Output = Result<Stream, String>> + Send + 'a>>;

/// How name servers are reached: from here, or by the outbounds of the generation that asks. A trait, for outbounds
/// look names up themselves.
pub trait Transport: fmt::Debug + Send + Sync {
    /// What makes sockets.
    fn dialer(&self) -> &Dialer;

    /// How datagrams leave by an outbound: as its streams do. `None` where it is not direct.
    fn datagrams(&self, via: OutboundId) -> Option<Uplink>;

    /// A stream to a server by way of an outbound; `None`: from here.
    fn stream(&self, via: Option<OutboundId>, server: SocketAddr, limit: Duration)
    -> Streaming<'_>;

    /// How many look-ups and outbounds this one stands within.
    fn depth(&self) -> u8;

    /// Who owns questions that go on behind their look-ups.
    fn late(&self) -> &Tasks;

    /// The same, for a question that may outlive whoever asks it.
    fn share(&self) -> Arc<dyn Transport>;
}
