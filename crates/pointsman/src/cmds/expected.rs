//! `--expect`: whether flows went where somebody expects them.

use std::cell::OnceCell;

use pointsman_api::explain::TraceLine;
use pointsman_api::{Action, Explanation, OutboundList, route};
use pointsman_config::case::Expectable;
use pointsman_config::setup::Setup;

use crate::control;
use crate::options::Global;
use crate::output::{Out, Stop};

/// What `--expect` says, and the outbounds that it may mean: of a configuration, else of the daemon.
pub(crate) struct Expected<'a> {
    expect: Option<&'a str>,
    global: &'a Global,
    names: OnceCell<Expectable>,
}

impl<'a> Expected<'a> {
    pub(crate) fn new(global: &'a Global, expect: Option<&'a str>, setup: Option<&Setup>) -> Self {
        Self {
            expect,
            global,
            names: setup
                .map(Expectable::of)
                .map_or_else(OnceCell::new, OnceCell::from),
        }
    }

    /// Ends with no where the flow went elsewhere, and with why.
    pub(crate) fn check(&self, explanation: &Explanation, out: &mut Out) -> Result<(), Stop> {
        let Some(expect) = self.expect else {
            return Ok(());
        };
        let got = explanation.decision.outbound.as_deref().unwrap_or("none");
        // The row of what refuses above the rules stands in no file.
        let last = explanation.trace.last();
        let above = last.is_some_and(|row| matches!(row, TraceLine::Visit(row) if row.line == 0));
        if explanation.decision.action == Action::Reject
            && above
            && self
                .names()
                .is_some_and(|names| names.wants_rejected(expect))
        {
            return Ok(());
        }
        // A daemon that does not tell its outbounds leaves names as they are.
        let meets = |names: &Expectable| names.meets(expect, got).map_err(Stop::Usage);
        if got == expect || self.names().map_or(Ok(false), meets)? {
            return Ok(());
        }
        let flow = explanation.id.as_ref();
        let flow = flow.map(|id| format!("{id}: ")).unwrap_or_default();
        out.say(format_args!(
            "{flow}expected {expect}, got {got}: {}",
            explanation.reason
        ));
        Err(Stop::No)
    }

    fn names(&self) -> Option<&Expectable> {
        if self.names.get().is_none() {
            let listed: OutboundList = control::get(self.global, route::OUTBOUNDS).ok()?;
            let outbounds = listed.outbounds.iter();
            let named = outbounds.map(|o| (o.name.as_str(), o.kind.as_str()));
            // Nobody else sets it.
            let _ = self.names.set(Expectable::listed(named));
        }
        self.names.get()
    }
}
