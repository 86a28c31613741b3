//! The BoltConn dialect.

use crate::load::Input;
use crate::problem::Problems;
use crate::setup::Setup;

/// Reads a configuration of this dialect; pushes every problem.
pub fn read(input: &Input<'_>, problems: &mut Problems) -> Option<Setup> {
    problems.error(
        "unreadable",
        &input.source.span(0, 0),
        "this dialect has no reader",
    );
    None
}
