//! `rules`: what each rule decided.

use clap::Args;
use pointsman_api::{RuleList, RuleState, route};

use crate::control;
use crate::options::Global;
use crate::output::{Out, Stop};
use crate::wording::{since, span};

/// Arguments of `rules`.
#[derive(Args, Debug)]
pub(crate) struct RulesArgs {
    /// Only rules that never decided a flow (counts survive restarts)
    #[arg(long)]
    unused: bool,
    /// Only rules that lost recent flows to earlier rules, and to which
    #[arg(long, conflicts_with = "unused")]
    shadowed: bool,
    /// The most hits first, instead of the policy's order
    #[arg(long)]
    by_hits: bool,
}

pub(crate) fn run(global: &Global, args: &RulesArgs, out: &mut Out) -> Result<(), Stop> {
    let path = format!("{}?shadowed={}", route::RULES, args.shadowed);
    let mut list: RuleList = control::get(global, &path)?;
    list.rules.retain(|rule| {
        (!args.unused || (rule.hits == 0 && !rule.last_word))
            && (!args.shadowed || !rule.shadowed_by.is_empty())
    });
    if args.by_hits {
        list.rules.sort_by_key(|rule| std::cmp::Reverse(rule.hits));
    }
    out.answer(&list, |out| {
        let several = list
            .rules
            .windows(2)
            .any(|pair| pair[0].policy != pair[1].policy);
        for rule in &list.rules {
            write(rule, several, out)?;
        }
        match list.replayed {
            None if args.unused => {
                if let Some(since) = list.since {
                    out.say(format_args!("counted since {}", ago(since)));
                }
                Ok(())
            }
            Some(flows) if list.rules.is_empty() => out.line(format_args!(
                "no rule lost one of the last {flows} flows to an earlier rule"
            )),
            _ => Ok(()),
        }
    })
}

fn write(rule: &RuleState, several: bool, out: &mut Out) -> Result<(), Stop> {
    let RuleState {
        policy,
        rule: place,
        last_word: _,
        hits,
        bytes_sent,
        bytes_received,
        last_hit,
        shadowed_by,
    } = rule;
    let policy = if several {
        format!("{policy}: ")
    } else {
        String::new()
    };
    let count = match last_hit {
        None => "never".to_owned(),
        Some(at) => format!(
            "{hits} {}, {bytes_sent} B sent, {bytes_received} B received, last {}",
            if *hits == 1 { "flow" } else { "flows" },
            ago(*at)
        ),
    };
    out.line(format_args!(
        "{policy}{}:{}: {}: {count}",
        place.file, place.line, place.text
    ))?;
    for shadow in shadowed_by {
        let elsewhere = match shadow.elsewhere {
            0 => "all the same way".to_owned(),
            count => format!("{count} of them another way"),
        };
        out.line(format_args!(
            "  {} of its flows go by {}:{}: {} ({elsewhere})",
            shadow.flows, shadow.rule.file, shadow.rule.line, shadow.rule.text
        ))?;
    }
    Ok(())
}

fn ago(unix_ms: u64) -> String {
    format!("{} ago", span(since(unix_ms)))
}
