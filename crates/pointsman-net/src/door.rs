//! Doors of a generation: inbounds as the flows meet them that come in by them.
//!
//! Invariant: each listener leads to one door, and each flow has one, whether its client asks for something or came to
//! a forward.

mod logs;

use std::sync::Arc;

pub(crate) use self::logs::{Logs, Opening};
use pointsman_spec::door::DoorSpec;

use crate::record::log::AccessLog;

/// A door of one generation.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) spec: DoorSpec,
    /// Its own log.
    pub(crate) log: Option<Arc<AccessLog>>,
}
