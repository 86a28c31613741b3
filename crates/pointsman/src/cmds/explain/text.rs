//! An explanation for people.

use pointsman_api::Explanation;
use pointsman_api::explain::{Entry, LookUp, Request, Rule, TraceLine};
use pointsman_policy::shown::plain;

use crate::output::{Out, Stop};
use crate::wording;

/// The layout that users of app and domain rules know.
pub(super) fn app_domain(explanation: &Explanation, out: &mut Out) -> Result<(), Stop> {
    let Some(app_domain) = &explanation.app_domain else {
        return Ok(());
    };
    let egress = explanation.decision.outbound.as_deref().unwrap_or("none");
    out.line(format_args!("egress: {}", out.colored(1, egress)))?;
    out.line(format_args!("source: {}", app_domain.source))?;
    out.line(format_args!("rule_egress: {}", app_domain.rule_egress))?;
    if let Some(matcher) = &app_domain.matcher {
        out.line("matcher:")?;
        out.line(format_args!("  type: {}", matcher.kind))?;
        out.line(format_args!("  pattern: {}", matcher.pattern))?;
    }
    out.line(format_args!("reason: {}", plain(&explanation.reason)))?;
    flow(explanation, out)?;
    hints(explanation, out)
}

/// Which flow it is: `flow 7: tcp a.test:443 ...`.
fn flow(explanation: &Explanation, out: &mut Out) -> Result<(), Stop> {
    let number = explanation.id.as_ref();
    let number = number.map_or_else(String::new, |id| format!(" {}", plain(&id.to_string())));
    match &explanation.flow {
        Some(flow) => out.line(format_args!("flow{number}: {}", wording::flow(flow))),
        // Of an older daemon.
        None if number.is_empty() => Ok(()),
        None => out.line(format_args!("flow{number}:")),
    }
}

/// What was not said and may change the answer.
fn hints(explanation: &Explanation, out: &mut Out) -> Result<(), Stop> {
    for hint in &explanation.hints {
        out.line(format_args!("{}: {hint}", out.colored(33, "hint")))?;
    }
    Ok(())
}

/// Who would be asked, and what would follow.
fn request(request: &Request, out: &mut Out) -> Result<(), Stop> {
    let Request {
        id,
        timeout_s,
        fallback,
        answers,
        ..
    } = request;
    let followed = answers.iter().map(|outlook| {
        let to = outlook.decision.outbound.as_deref().unwrap_or("none");
        format!("{} => {to}", outlook.answer)
    });
    let followed: Vec<String> = followed.collect();
    out.line(format_args!(
        "would ask subscriber {id}: {}; else {fallback} after {timeout_s} s",
        followed.join(", ")
    ))
}

/// Who is asked for its name.
fn look_up(told: &LookUp, out: &mut Out) -> Result<(), Stop> {
    let LookUp {
        name,
        upstream,
        servers,
        reason,
        rule,
    } = told;
    let servers = servers.join(", ");
    let whom = match (upstream, &*servers) {
        (_, "") => String::new(),
        (Some(upstream), servers) => format!(" {upstream} ({servers}):"),
        (None, servers) => format!(" {servers}:"),
    };
    let rule = rule.as_ref();
    let rule = rule.map_or_else(String::new, |it| {
        format!(" ({}:{}: {})", it.file, it.line, it.text)
    });
    let told = format!("look-up of {name}:{whom} {reason}{rule}");
    out.line(plain(&told))
}

pub(super) fn whole(explanation: &Explanation, out: &mut Out) -> Result<(), Stop> {
    let decision = &explanation.decision;
    let outbound = decision.outbound.as_deref().unwrap_or("none");
    flow(explanation, out)?;
    let way = wording::decided(decision);
    let behind = way.strip_prefix(outbound).unwrap_or_default();
    out.line(format_args!(
        "{}{behind} ({})",
        out.colored(1, outbound),
        decision.action.as_str()
    ))?;
    if !explanation.hops.is_empty() {
        let chain = decision.member.as_deref().unwrap_or(outbound);
        out.line(format_args!(
            "chain {chain}: {}",
            explanation.hops.join(", then ")
        ))?;
    }
    if let Some(Rule {
        text,
        file,
        line,
        entry,
    }) = &explanation.rule
    {
        out.line(format_args!("rule: {text} ({file}:{line})"))?;
        if let Some(Entry { text, file, line }) = entry {
            out.line(format_args!("entry: {text} ({file}:{line})"))?;
        }
    }
    out.line(format_args!("reason: {}", plain(&explanation.reason)))?;
    if !explanation.asked.is_empty() {
        out.line(format_args!("asked: {}", explanation.asked.join(", ")))?;
    }
    if let Some(look_up) = &explanation.look_up {
        self::look_up(look_up, out)?;
    }
    hints(explanation, out)?;
    for request in &explanation.requests {
        self::request(request, out)?;
    }
    if let Some(generation) = &explanation.generation {
        out.line(format_args!("generation: {generation}"))?;
    }
    if !explanation.steps.is_empty() {
        out.line("steps:")?;
    }
    for step in &explanation.steps {
        out.line(format_args!(
            "  {} {:.3} ms: {}",
            step.step,
            step.ms,
            plain(&step.outcome)
        ))?;
    }
    if !explanation.trace.is_empty() {
        out.line("trace:")?;
    }
    for line in &explanation.trace {
        match line {
            TraceLine::Skipped { skipped } => {
                let rules = if *skipped == 1 { "rule" } else { "rules" };
                out.line(format_args!("  ... {skipped} {rules} that did not match"))?;
            }
            TraceLine::Visit(visit) => {
                let because = plain(&visit.because);
                let because = match visit.result.as_str() {
                    "yes" => format!("{}: {because}", out.colored(32, "yes")),
                    // Its sentence begins with that word.
                    "unknown" => out.colored(33, &because),
                    other => format!("{other}: {because}"),
                };
                let place = if visit.line == 0 {
                    String::new()
                } else {
                    format!("{}:{}: ", visit.file, visit.line)
                };
                out.line(format_args!("  {place}{}: {because}", visit.text))?;
            }
        }
    }
    Ok(())
}
