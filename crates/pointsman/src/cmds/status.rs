//! `status`: what the daemon is and has.

use pointsman_api::daemon::Awaiting;
use pointsman_api::{OutboundState, Status, route};

use crate::cli::Global;
use crate::control;
use crate::output::{Out, Stop};
use crate::wording::span;

pub(crate) fn run(global: &Global, out: &mut Out) -> Result<(), Stop> {
    let status: Status = control::get(global, route::STATUS)?;
    out.answer(&status, |out| {
        out.line(format_args!("state: {}", status.state))?;
        out.line(format_args!("version: {}", status.version))?;
        out.line(format_args!("pid: {}", status.pid))?;
        out.line(format_args!("uptime: {}", span(status.uptime_ms)))?;
        let config = status
            .config_path
            .as_deref()
            .unwrap_or("the embedded default");
        out.line(format_args!("config: {config} ({})", status.dialect))?;
        out.line(format_args!("generation: {}", status.generation))?;
        if let Some(waiting) = &status.awaiting {
            out.line(awaiting(waiting))?;
        }
        out.line("inbounds:")?;
        for inbound in &status.inbounds {
            out.line(format_args!(
                "  {}: {} {}",
                inbound.name, inbound.kind, inbound.address
            ))?;
        }
        out.line("outbounds:")?;
        for outbound in &status.outbounds {
            out.line(format_args!("  {}", described(outbound)))?;
        }
        Ok(())
    })
}

/// What is rolled back unless it is confirmed, on one line.
pub(crate) fn awaiting(awaiting: &Awaiting) -> String {
    format!(
        "generation {} is awaiting confirmation until {} (`pointsman reload --confirm`, {} left), else generation {} \
         comes back",
        awaiting.generation,
        awaiting.until,
        span(awaiting.remaining_ms),
        awaiting.earlier
    )
}

/// An outbound on one line.
pub(crate) fn described(outbound: &OutboundState) -> String {
    let mut text = format!("{}: {}", outbound.name, outbound.kind);
    if let Some(endpoint) = &outbound.endpoint {
        text = format!("{text} {endpoint}");
    }
    if !outbound.members.is_empty() {
        text = format!("{text} of {}", outbound.members.join(", "));
    }
    // Chains and forwards have members, too, of which none is selected.
    if let Some(selected) = &outbound.selected {
        text = format!("{text} (selected: {selected})");
    }
    if outbound.flows > 0 {
        text = format!("{text}, {} live", outbound.flows);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_groups_select() {
        let outbound = |kind: &str, selected: Option<&str>| OutboundState {
            name: "x".into(),
            kind: kind.into(),
            declared: None,
            endpoint: None,
            udp: true,
            members: vec!["a".into(), "b".into()],
            selected: selected.map(Into::into),
            flows: 0,
            not_kept: None,
        };
        let check = |outbound, expected| assert_eq!(described(&outbound), expected);
        check(
            outbound("select", Some("b")),
            "x: select of a, b (selected: b)",
        );
        check(outbound("chain", None), "x: chain of a, b");
    }
}
