//! The policy engine: facts in, a decision or the first missing fact out.
//!
//! Plain functions without I/O, clock or runtime. [`Policy::decide`] either decides or names the
//! first fact that it lacks ([`Need`]); the caller finds it and asks again. So nothing is sniffed,
//! resolved or looked up that no visited rule needed, and the same function serves the data plane,
//! `explain`, policy tests and replay.
//!
//! Deliberately absent: sockets, files, time, randomness, serialisation of its own types.

pub mod address;
mod answer;
pub mod answered;
mod concerns;
pub mod condition;
pub mod decision;
pub mod domain;
mod entry;
pub mod explain;
pub mod fact;
mod follow;
#[doc(hidden)]
pub mod fuzz_checks;
pub mod geo;
pub mod guard;
mod ids;
mod interpret;
mod key;
pub mod line;
pub mod local;
pub mod local_names;
pub mod model;
pub mod near;
pub mod nowhere;
mod number;
mod origin;
pub mod pattern;
mod plan;
pub mod project;
mod query;
pub mod record_type;
pub mod refused;
pub mod request;
pub mod rewrite;
mod rule_text;
pub mod set;
pub mod settle;
pub mod shown;
pub mod template;
pub mod time;
pub mod zone;

pub use address::{Host, Prefix};
pub use answered::Answered;
pub use condition::Condition;
pub use decision::{Decision, Entry, Particular, Reason, Step, Trace, Visit};
pub use domain::Domain;
pub use fact::{Fact, Facts, Need, Provenance, SoughtFacts};
pub use follow::Agreement;
pub use interpret::{End, Possible, Watch, base_name};
pub use model::{Action, Node, OutboundId, Policy};
pub use pattern::NamePattern;
pub use rule_text::RuleText;
pub use set::Matched;
pub use settle::{Settled, settle};
