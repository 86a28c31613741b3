//! The books on flows: those that live and the last ones that ended, what is told of them, what each rule decided.
//!
//! Invariant: whatever ends a flow, its one record is filed here once, by the drop of its [`Ticket`]. Nobody who reads
//! makes a flow wait. Knows records alone: neither ways out nor protocols.

mod brief;
mod flows;
mod lacking;
mod live;
mod news;
mod ranked;
mod tallies;
mod trouble;

pub use self::flows::Counters;
pub(crate) use self::flows::{Flows, Ticket};
pub use self::lacking::Lack;
pub use self::live::LiveFlow;
pub use self::news::{Decisions, News, Tail};
pub use self::tallies::{Remembered, RuleTally, Tallied, Tally};
pub(crate) use self::tallies::{Rules, Tallies};
pub use self::trouble::{FLOW_LOG, Gravity, TargetTrouble, Trouble, TroubleEvent};
