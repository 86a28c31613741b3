//! `status`: what the daemon is and has.

use std::collections::BTreeMap;

use pointsman_api::daemon::{Awaiting, FailingTest, Setback, UpstreamState};
use pointsman_api::{FetchedList, OutboundState, Status, route};
use pointsman_policy::shown::plain;

use crate::control;
use crate::options::Global;
use crate::output::{Out, Stop};
use crate::wording::{now, span};

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
        if let Some(setback) = &status.setback {
            let word = out.colored(33, "warning");
            out.line(format_args!("{word}: {}", plain(&set_back(setback))))?;
        }
        for test in &status.failing_tests {
            let word = out.colored(33, "warning");
            out.line(format_args!("{word}: {}", plain(&failing_test(test))))?;
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
        if !status.upstreams.is_empty() {
            out.line("upstreams:")?;
        }
        for upstream in &status.upstreams {
            out.line(plain(&asked(upstream)))?;
        }
        if status.rule_sets > 0 {
            out.line(match status.lists.len() {
                0 => format!("rule sets: {}", status.rule_sets),
                by_url => format!("rule sets: {}, {by_url} of them by `url`", status.rule_sets),
            })?;
        }
        for list in &status.lists {
            let told = fetched(list, now());
            let told = match (&list.error, &list.unwritten) {
                (Some(_), _) | (None, Some(_)) => format!("{}: {told}", out.colored(33, "warning")),
                (None, None) => told,
            };
            out.line(format_args!("  {}", plain(&told)))?;
        }
        if let Some(lacking) = lacking(&status.lacking) {
            let word = out.colored(33, "warning");
            out.line(format_args!("{word}: {lacking}"))?;
        }
        Ok(())
    })
}

/// An upstream of the DNS server on one line.
fn asked(upstream: &UpstreamState) -> String {
    let UpstreamState {
        name,
        servers,
        asked,
        answered,
        failed,
        ms,
    } = upstream;
    let servers = servers.join(", ");
    let took = ms.map_or_else(String::new, |ms| format!(" in {ms} ms on average"));
    format!("  {name}: {servers}: asked {asked}, answered {answered}{took}, failed {failed}")
}

/// A fetched list on one line.
fn fetched(list: &FetchedList, now: u64) -> String {
    let ago = |at: u64| format!("{} ago", span(now.saturating_sub(at)));
    let entries = match list.entries {
        Some(1) => "1 entry".to_owned(),
        Some(entries) => format!("{entries} entries"),
        None => "used by no rule".to_owned(),
    };
    let mut text = format!("{}: {entries}", list.name);
    match (list.changed_ms, list.checked_ms) {
        (None, _) => text.push_str(", not fetched yet"),
        (Some(changed), Some(checked)) if checked != changed => {
            text = format!(
                "{text}, fetched {}, unchanged {}",
                ago(changed),
                ago(checked)
            );
        }
        (Some(changed), _) => text = format!("{text}, fetched {}", ago(changed)),
    }
    if let Some(error) = &list.error {
        text = format!("{text}, the last attempt failed: {error}");
    }
    if let Some(why) = &list.unwritten {
        text = format!("{text}, in memory until the daemon ends, for it cannot be written: {why}");
    }
    match list.next_ms {
        Some(next) => format!("{text}, next attempt in {}", span(next.saturating_sub(now))),
        None => text,
    }
}

/// What rules asked for in vain, on one line; `None`: nothing.
pub(crate) fn lacking(lacking: &BTreeMap<String, u64>) -> Option<String> {
    let of = |(fact, count): (&String, &u64)| {
        let flows = if *count == 1 { "flow" } else { "flows" };
        format!("{} of {count} {flows}", fact.replace('-', " "))
    };
    let each: Vec<String> = lacking.iter().map(of).collect();
    (!each.is_empty()).then(|| {
        format!(
            "facts that rules ask for were not found since the start: {} (the log says why)",
            each.join(", ")
        )
    })
}

/// What is rolled back unless it is confirmed, on one line.
pub(crate) fn awaiting(awaiting: &Awaiting) -> String {
    format!(
        "generation {} is awaiting confirmation until {} (`pointsman reload --confirm` or `--roll-back`, {} left), else generation {} \
         comes back",
        awaiting.generation,
        awaiting.until,
        span(awaiting.remaining_ms),
        awaiting.earlier
    )
}

/// What was refused or rolled back, on one line.
fn set_back(setback: &Setback) -> String {
    let Setback {
        what,
        time,
        why,
        taken,
    } = setback;
    if what == "unconfirmed" {
        return format!(
            "this configuration was on trial since {time}, and {why}: it is in force for good"
        );
    }
    if what == "rollback-failed" {
        return format!("this configuration is in force unconfirmed since {time}: {why}");
    }
    let what = what.replace('-', " ");
    match taken {
        Some(taken) => {
            format!("this configuration was {what} at {time} ({why}), and taken again at {taken}")
        }
        None if what == "refused" => {
            format!(
                "the last reload was {what} at {time}, the configuration before is in force: {why}"
            )
        }
        None => format!(
            "the last reload was {what} at {time}, the configuration before is in force: {why}; if the file stays as \
             it is, the next reload or start takes it again"
        ),
    }
}

/// A test that fails with what a fetched list says, on one line.
fn failing_test(test: &FailingTest) -> String {
    let FailingTest {
        file,
        line,
        flow,
        expected,
        got,
        reason,
        lists,
    } = test;
    format!(
        "the policy's own test `{flow} => {expected}` ({file}:{line}) fails with what the rule set `{}` holds now: \
         it gets `{got}`: {reason}",
        lists.join("` or `")
    )
}

/// An outbound on one line.
pub(crate) fn described(outbound: &OutboundState) -> String {
    let mut text = outbound.name.clone();
    if !outbound.aliases.is_empty() {
        text = format!("{text} ({})", outbound.aliases.join(", "));
    }
    text = format!("{text}: {}", outbound.kind);
    if let Some(endpoint) = &outbound.endpoint {
        text = format!("{text} {endpoint}");
    }
    if let Some(interface) = &outbound.interface {
        text = format!("{text} by interface {interface}");
    }
    if let Some(source) = &outbound.source {
        text = format!("{text} from {source}");
    }
    let (members, targets) = (&outbound.members, &outbound.targets);
    if !targets.is_empty() && targets.len() == members.len() {
        let each = members.iter().zip(targets);
        let each: Vec<String> = each.map(|(name, at)| format!("{name} ({at})")).collect();
        text = format!("{text} to {}", each.join(", "));
    } else if !members.is_empty() {
        text = format!("{text} of {}", members.join(", "));
    }
    // Chains and forwards have members, too, of which none is selected.
    if let Some(selected) = &outbound.selected {
        text = format!("{text} (selected: {selected})");
    }
    let failing = outbound
        .failing
        .iter()
        .map(|failing| match failing.rests_ms {
            0 => format!("{} failed and was not tried since", failing.target),
            rests => format!(
                "{} failed, tried again in {} s",
                failing.target,
                rests.div_ceil(1000)
            ),
        });
    for failing in failing {
        text = format!("{text}, {failing}");
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
            aliases: vec![],
            endpoint: None,
            interface: None,
            source: None,
            udp: true,
            members: vec!["a".into(), "b".into()],
            targets: vec![],
            selected: selected.map(Into::into),
            failing: vec![],
            flows: 0,
            not_kept: None,
        };
        let check = |outbound, expected| assert_eq!(described(&outbound), expected);
        check(
            outbound("select", Some("b")),
            "x: select of a, b (selected: b)",
        );
        check(outbound("chain", None), "x: chain of a, b");
        let failing = |target: &str, rests_ms| pointsman_api::outbound::Failing {
            target: target.into(),
            rests_ms,
        };
        let forward = OutboundState {
            targets: vec!["192.0.2.1:80".into(), "unix:///b".into()],
            failing: vec![failing("a", 1500), failing("b", 0)],
            ..outbound("forward", None)
        };
        check(
            forward,
            "x: forward to a (192.0.2.1:80), b (unix:///b), a failed, tried again in 2 s, b failed and was not tried since",
        );
        let direct = OutboundState {
            aliases: vec!["X".into()],
            interface: Some("wg0".into()),
            source: Some("10.0.0.1".into()),
            members: vec![],
            ..outbound("direct", None)
        };
        check(direct, "x (X): direct by interface wg0 from 10.0.0.1");
    }

    #[test]
    fn a_failing_test_names_its_lists() {
        let test = FailingTest {
            file: "own.case".into(),
            line: 3,
            flow: "a.test:1".into(),
            expected: "DIRECT".into(),
            got: "REJECT".into(),
            reason: "why".into(),
            lists: vec!["ads".into(), "more".into()],
        };
        assert_eq!(
            failing_test(&test),
            "the policy's own test `a.test:1 => DIRECT` (own.case:3) fails with what the rule set `ads` or `more` holds \
             now: it gets `REJECT`: why"
        );
    }

    #[test]
    fn a_fetched_list_says_what_it_has_and_when_it_is_asked_for() {
        let hour = 3_600_000;
        let now = 100 * hour;
        let list = FetchedList {
            name: "ads".into(),
            entries: Some(1200),
            changed_ms: Some(now - 3 * hour),
            checked_ms: Some(now - hour),
            next_ms: Some(now + hour),
            ..FetchedList::default()
        };
        let check = |list: FetchedList, expected| assert_eq!(fetched(&list, now), expected);
        check(
            list.clone(),
            "ads: 1200 entries, fetched 3 h 0 min ago, unchanged 1 h 0 min ago, next attempt in 1 h 0 min",
        );
        let failing = FetchedList {
            entries: Some(0),
            changed_ms: None,
            checked_ms: None,
            error: Some("status 404".into()),
            next_ms: Some(now + 30_000),
            ..list.clone()
        };
        check(
            failing,
            "ads: 0 entries, not fetched yet, the last attempt failed: status 404, next attempt in 30 s",
        );
        let unwritten = FetchedList {
            unwritten: Some("it is full".into()),
            checked_ms: list.changed_ms,
            next_ms: None,
            ..list.clone()
        };
        check(
            unwritten,
            "ads: 1200 entries, fetched 3 h 0 min ago, in memory until the daemon ends, for it cannot be written: it is \
             full",
        );
        let for_ever = FetchedList {
            entries: None,
            checked_ms: list.changed_ms,
            next_ms: None,
            ..list
        };
        check(for_ever, "ads: used by no rule, fetched 3 h 0 min ago");
    }

    #[test]
    fn what_was_not_found_is_told_with_how_often() {
        assert_eq!(lacking(&BTreeMap::new()), None);
        let counts = [("program".to_owned(), 17), ("local-address".to_owned(), 1)];
        assert_eq!(
            lacking(&counts.into()).unwrap(),
            "facts that rules ask for were not found since the start: local address of 1 flow, program of 17 flows \
             (the log says why)"
        );
    }

    #[test]
    fn a_setback_says_what_is_in_force() {
        let check = |what: &str, taken: Option<&str>, expected: &str| {
            let said = set_back(&Setback {
                what: what.into(),
                time: "T1".into(),
                why: "because".into(),
                taken: taken.map(Into::into),
            });
            assert_eq!(said, expected);
        };
        check(
            "refused",
            None,
            "the last reload was refused at T1, the configuration before is in force: because",
        );
        check(
            "rolled-back",
            None,
            "the last reload was rolled back at T1, the configuration before is in force: because; if the file stays \
             as it is, the next reload or start takes it again",
        );
        check(
            "rollback-failed",
            None,
            "this configuration is in force unconfirmed since T1: because",
        );
        check(
            "rolled-back",
            Some("T2"),
            "this configuration was rolled back at T1 (because), and taken again at T2",
        );
    }
}
