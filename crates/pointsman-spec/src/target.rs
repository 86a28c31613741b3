//! Targets: places of their own that a group leads to, whatever its flows ask for.

use std::time::Duration;

use pointsman_policy::OutboundId;

use crate::address::{Endpoint, Families};

/// A target; its name is its outbound's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where.
    pub address: Endpoint,
    /// The way to it; `None`: plain direct. Targets of TCP and UDP alone have one.
    pub via: Option<OutboundId>,
    /// Attempts to connect; 0 counts as 1.
    pub attempts: u32,
    /// Pause before the second attempt, doubled before each further one.
    pub backoff: Duration,
    /// Limit of one attempt; `None`: [`Timeouts::dial`](crate::limits::Timeouts::dial).
    pub connect_timeout: Option<Duration>,
    /// Limit of resolving its name; `None`: [`Timeouts::resolve`](crate::limits::Timeouts::resolve).
    pub resolve_timeout: Option<Duration>,
    /// The longest that nothing may come from it.
    pub read_timeout: Option<Duration>,
    /// The longest that it may take nothing while there is something for it.
    pub write_timeout: Option<Duration>,
    /// TCP keepalive, where it is reached without another outbound.
    pub keepalive: Keepalive,
    /// The families over which it is reached.
    pub families: Families,
    /// It is told the client's address first (PROXY protocol, version 1).
    pub proxy_header: bool,
}

/// TCP keepalive of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keepalive {
    /// Every 15 s.
    #[default]
    Default,
    /// Every so often.
    Every(Duration),
    /// None.
    Off,
}
