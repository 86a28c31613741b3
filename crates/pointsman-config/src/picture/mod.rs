//! Pictures of policies: SVG to look at, Graphviz text to go on with.
//!
//! Both draw the same `outline` of the same `scene`: each policy once, with the inbounds that lead to it, long runs
//! of rules folded. Deliberately absent: the entries of rule sets and zones, which are named and not drawn.

mod dot;
mod measure;
mod outline;
mod scene;
#[cfg(test)]
mod scene_tests;
mod style;
mod svg;
#[cfg(test)]
mod tests;
mod words;

pub use scene::{Entrance, Runs, Scene, need_headings, scenes};

use crate::setup::Setup;

/// The policies of a configuration as one SVG document; ends with a line end.
#[must_use]
pub fn as_svg(setup: &Setup, runs: Runs) -> String {
    svg::draw(&scenes(setup), runs).0
}

/// The policies of a configuration as a digraph that Graphviz reads, each in a cluster of its own; ends with a line end.
#[must_use]
pub fn as_dot(setup: &Setup, runs: Runs) -> String {
    dot::draw(&scenes(setup), runs)
}
