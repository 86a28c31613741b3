//! What the daemon and its clients say to each other: HTTP/1.1 + JSON under `/v1/`.
//!
//! Invariant: what stands here is frozen by snapshots; fields are added, never renamed. Readers
//! tolerate words that they do not know (an action, a kind), for a client may be older than its daemon.
//!
//! Deliberately absent: the engine's own types, sockets, HTTP. See [`route`] for the paths.

mod action;
pub mod daemon;
pub mod explain;
pub mod flow;
pub mod names;
pub mod openapi;
pub mod outbound;
pub mod problem;
pub mod replay;
pub mod request;
pub mod route;
pub mod rules;

pub use action::Action;
pub use daemon::{
    Diagnostics, DnsOutcome, DnsReply, FetchedList, PolicyReply, Reload, ReloadRequest, Status,
    Stop,
};
pub use explain::{ExplainRequest, Explanation};
pub use flow::{FlowList, FlowRecord};
pub use names::{FakeName, KnownName, KnownNames, NameError, NameExplanation, NameWay};
pub use outbound::{OutboundList, OutboundState, SelectRequest};
pub use problem::{Error, Problem, ProblemList};
pub use replay::{Replay, ReplayRequest};
pub use rules::{RuleList, RuleState};

#[cfg(test)]
mod tests;
