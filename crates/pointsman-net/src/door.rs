//! Doors of a generation: inbounds as the flows meet them that come in by them.
//!
//! Invariant: each listener leads to one door, and each flow has one, whether its client asks for something or came to
//! a forward.

mod logs;

use std::sync::Arc;

pub(crate) use self::logs::{Logs, Opening};
use pointsman_policy::Facts;
use pointsman_spec::door::DoorSpec;

use crate::ledger::{Flows, Ticket};
use crate::record::line::Line;
use crate::record::log::AccessLog;
use crate::spec::Number;
use crate::tls::server::Acceptor;

/// A door of one generation.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) spec: DoorSpec,
    /// How clients are spoken with, where that is within TLS.
    pub(crate) tls: Option<Acceptor>,
    /// Its own log.
    pub(crate) log: Option<Arc<AccessLog>>,
}

impl Door {
    /// A flow that comes in by it begins.
    pub(crate) fn ticket(&self, flows: &Arc<Flows>, generation: Number, facts: Facts) -> Ticket {
        let name = Arc::clone(&self.spec.name);
        let mut ticket = Ticket::take(flows, generation, name, self.spec.policy.0, facts);
        ticket.keep_line(self.log.as_ref().map(Line::new));
        ticket
    }
}
