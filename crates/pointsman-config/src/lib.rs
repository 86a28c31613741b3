//! Configuration: text of any dialect in, a checked [`Setup`] and every [`Problem`] out.
//!
//! Text becomes a spanned tree, one reader for each dialect collects every problem, and lowers what
//! is good to policies and setup. No runtime; files come through [`files::Files`].

pub mod carried;
pub mod case;
mod certificate;
pub mod clash_rule;
#[cfg(test)]
mod damage;
pub mod dialect;
pub mod dns_loop;
pub mod explain;
pub mod files;
pub mod flow;
pub mod forward;
#[doc(hidden)]
pub mod fuzz_checks;
mod here;
pub mod input;
pub mod json;
pub mod list;
pub(crate) mod list_file;
pub mod list_print;
pub mod load;
mod name_server;
pub mod odd;
pub mod outbounds;
pub mod own;
pub mod paths;
pub mod picture;
pub mod places;
pub mod problem;
pub mod rule_list;
pub mod setup;
pub mod tree;
mod unbuilt;
pub mod value;
pub mod yaml;

pub use load::{Loaded, Loading, load, load_with};
pub use problem::{Problem, Problems, Severity, Source, Span};
pub use setup::{Dialect, Setup};
