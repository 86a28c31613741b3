//! `status`: what the daemon is and has.

use pointsman_api::daemon::{Awaiting, FailingTest, Setback};
use pointsman_api::{OutboundState, Status, route};
use pointsman_policy::shown::plain;

use crate::control;
use crate::options::Global;
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
    if !outbound.members.is_empty() {
        text = format!("{text} of {}", outbound.members.join(", "));
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
            failing: vec![failing("a", 1500), failing("b", 0)],
            ..outbound("forward", None)
        };
        check(
            forward,
            "x: forward of a, b, a failed, tried again in 2 s, b failed and was not tried since",
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
            "rolled-back",
            Some("T2"),
            "this configuration was rolled back at T1 (because), and taken again at T2",
        );
    }
}
