//! L4 forwards of a generation, and what of them outlives one.
//!
//! Invariant: what must outlive a generation (connections counted, whose turn it is, inherited sockets) is keyed by the
//! forward's name.
//! Absent: how a flow is taken to a target: see [`crate::visit`].

mod kept;
mod order;

use std::sync::Arc;

pub(crate) use self::kept::{Connected, Kept, Logs, NotNow, Permit, State, Turn};
pub(crate) use self::order::{Left, Trying};
use crate::dial::Dialer;
use crate::record::log::AccessLog;
use crate::spec::forward::ForwardSpec;

/// A forward of one generation.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) spec: ForwardSpec,
    pub(crate) state: Arc<State>,
    /// For each target what makes its sockets.
    pub(crate) dialers: Vec<Dialer>,
    /// For each target its connection, where it is an inherited one.
    pub(crate) connected: Vec<Option<Arc<Connected>>>,
    log: Option<Arc<AccessLog>>,
}

impl Forward {
    /// Its own log.
    pub(crate) fn log(&self) -> Option<&Arc<AccessLog>> {
        self.log.as_ref()
    }
}
