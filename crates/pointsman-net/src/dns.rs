//! DNS for clients: each query is decided on by a policy, and answered from here, from memory, or by those who are asked.
//!
//! Invariants: a query is no flow: it has neither ticket nor record of one, and its story is told in [`answering`]; whoever
//! asks something that can be read has an answer, if only that nobody could tell and why; an upstream that the policy did
//! not choose hears nothing of a name.

mod answering;
mod asking;
mod by_hand;
mod carrier;
mod connection;
mod counts;
mod datagrams;
mod faking;
mod given;
mod judge;
mod query_log;
mod rates;
mod refusal;
mod stream;
mod streams;
mod visit;
mod waits;
mod web;
mod words;
mod writing;

pub(crate) use self::by_hand::ask as ask_by_hand;
pub use self::by_hand::{NameReply, ReplySource};
pub(crate) use self::connection::{Arrived, serve as serve_connection};
pub(crate) use self::counts::Counts;
pub use self::counts::DnsCounts;
pub(crate) use self::datagrams::serve as serve_datagrams;
pub(crate) use self::rates::Rates;
pub(crate) use self::streams::Streams;
pub(crate) use self::waits::Waits;
