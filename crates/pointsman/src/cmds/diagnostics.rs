//! `diagnostics`: counters, versions, host changes.

use pointsman_api::{Diagnostics, FetchedList, route};

use super::status;
use crate::control;
use crate::options::Global;
use crate::output::{Out, Stop};
use crate::wording::{now, since, span};

pub(crate) fn run(global: &Global, out: &mut Out) -> Result<(), Stop> {
    let told: Diagnostics = control::get(global, route::DIAGNOSTICS)?;
    out.answer(&told, |out| {
        // Without `..`: a field that is added must be shown.
        let Diagnostics {
            version,
            uptime_ms,
            config_path,
            socket,
            running,
            generation,
            outbound_count,
            ipc_requests,
            reload_ok,
            reload_err,
            flows_live,
            flows_total,
            flows_refused,
            flows_failed,
            flows_denied,
            accept_refused,
            log_lines_dropped,
            udp_lost,
            udp_offload,
            queries,
            dns_answers_dropped,
            bytes_sent,
            bytes_received,
            tests_failing,
            host_changes,
            lists,
            lacking,
        } = &told;
        let config = config_path.as_deref().unwrap_or("the embedded default");
        out.line(format_args!("version: {version}"))?;
        out.line(format_args!("uptime: {}", span(*uptime_ms)))?;
        out.line(format_args!("config: {config}"))?;
        out.line(format_args!("socket: {socket}"))?;
        out.line(format_args!("running: {running}"))?;
        out.line(format_args!("generation: {generation}"))?;
        out.line(format_args!("outbounds: {outbound_count}"))?;
        out.line(format_args!("requests: {ipc_requests}"))?;
        out.line(format_args!("reloads: {reload_ok} taken, {reload_err} refused"))?;
        out.line(format_args!(
            "flows: {flows_live} live, {flows_total} in all, {flows_refused} refused, {flows_failed} failed, \
             {flows_denied} denied"
        ))?;
        if *accept_refused > 0 {
            out.line(format_args!(
                "connections closed for want of descriptors: {accept_refused}"
            ))?;
        }
        if *log_lines_dropped > 0 {
            out.line(format_args!(
                "lines lost by access logs: {log_lines_dropped}"
            ))?;
        }
        let lost = udp_lost.iter().filter(|(_, count)| **count > 0);
        let lost: Vec<_> = lost.map(|(what, count)| format!("{count} {what}")).collect();
        if !lost.is_empty() {
            out.line(format_args!("lost over UDP: {}", lost.join(", ")))?;
        }
        let one_by_one = udp_offload.iter().filter(|(_, is_on)| **is_on == 0);
        for (uplink, _) in one_by_one {
            out.line(format_args!(
                "UDP by {uplink}: each datagram by itself, for several as one failed"
            ))?;
        }
        let some = queries.iter().filter(|(_, count)| **count > 0);
        let some: Vec<_> = some.map(|(what, count)| format!("{count} {what}")).collect();
        if !some.is_empty() {
            out.line(format_args!("queries for names: {}", some.join(", ")))?;
        }
        for (upstream, count) in dns_answers_dropped {
            out.line(format_args!("no answers, but from upstream {upstream}: {count}"))?;
        }
        if *tests_failing > 0 {
            out.line(format_args!(
                "tests that fail with what fetched lists say: {tests_failing} (`pointsman status` names them)"
            ))?;
        }
        out.line(format_args!("bytes: {bytes_sent} sent, {bytes_received} received"))?;
        out.line(format_args!("host changes: {}", host_changes.len()))?;
        for change in host_changes {
            out.line(format_args!("  {change}"))?;
        }
        for list in lists {
            list_line(list, out)?;
        }
        if let Some(lacking) = status::lacking(lacking) {
            out.line(lacking)?;
        }
        Ok(())
    })
}

fn list_line(list: &FetchedList, out: &mut Out) -> Result<(), Stop> {
    let FetchedList {
        name,
        url,
        entries,
        checked_ms,
        changed_ms: _,
        error,
        next_ms,
        unwritten,
    } = list;
    let count = entries.map_or_else(String::new, |count| format!("{count} entries, "));
    let state = match (checked_ms, error) {
        (Some(at), None) => format!("{count}checked {} ago", span(since(*at))),
        (Some(at), Some(why)) => format!(
            "{count}checked {} ago; the last attempt failed: {why}",
            span(since(*at))
        ),
        (None, None) => "not fetched yet".to_owned(),
        (None, Some(why)) => format!("empty, it could not be fetched: {why}"),
    };
    let next = next_ms.map_or_else(String::new, |at| {
        format!(", next attempt in {}", span(at.saturating_sub(now())))
    });
    let unwritten = unwritten.as_ref().map_or_else(String::new, |why| {
        format!(", in memory until the daemon ends, for it cannot be written: {why}")
    });
    out.line(format_args!(
        "rule set {name}: {state}{unwritten}{next} ({url})"
    ))
}
