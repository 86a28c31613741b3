//! Pictures of policies: SVG to look at, Graphviz text to go on with.
//!
//! Both draw the same `outline`, in which long runs of rules are folded. Deliberately absent: the
//! entries of rule sets and zones, which are named and not drawn.

mod dot;
mod outline;
mod svg;
#[cfg(test)]
mod tests;

pub use dot::as_dot;
pub use svg::as_svg;
