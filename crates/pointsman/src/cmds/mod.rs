//! The verbs, one file each.

pub(crate) mod approve;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod diagnostics;
pub(crate) mod dns;
mod expected;
pub(crate) mod explain;
pub(crate) mod flows;
pub(crate) mod fmt;
pub(crate) mod man;
pub(crate) mod outbounds;
pub(crate) mod policy;
pub(crate) mod reload;
pub(crate) mod replay;
pub(crate) mod rule_set;
pub(crate) mod rules;
pub(crate) mod schema;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod test;
pub(crate) mod version;
