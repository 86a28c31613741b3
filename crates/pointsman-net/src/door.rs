//! Doors of a generation: inbounds as the flows meet them that come in by them.
//!
//! Invariant: each listener leads to one door, and each flow has one, whether it came to a proxy or to a forward.

use std::sync::Arc;

use crate::forward::Forward;
use crate::spec::door::DoorSpec;

/// A door of one generation.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) spec: DoorSpec,
    /// Its flows go to the targets of this forward.
    pub(crate) forward: Option<Arc<Forward>>,
}
