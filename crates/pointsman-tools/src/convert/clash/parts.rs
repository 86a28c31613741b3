//! Rules of Clash of which not every part can be said.
//!
//! Invariant: what is kept holds for no flow that the rule did not hold for; below `NOT` nothing is left
//! out.

use pointsman_config::clash_rule::{Parts, operands, within};

/// A part that is left out, and why.
pub(super) type Lost = (String, String);

/// Beyond so many levels nothing is sought: no reader takes such a rule.
const MAX_DEPTH: usize = 16;

/// A rule without its target and without the alternatives that cannot be said, where others can.
pub(super) fn sayable(
    rule: &str,
    reads: &mut dyn FnMut(&str) -> Result<(), String>,
    lost: &mut Vec<Lost>,
    depth: usize,
) -> Result<String, String> {
    let Err(why) = reads(rule) else {
        return Ok(rule.to_owned());
    };
    let parts = Parts::of(rule, false);
    let kind = parts.kind.as_str();
    let Ok(inner) = within(&parts.content) else {
        return Err(why);
    };
    if !matches!(kind, "AND" | "OR") || depth > MAX_DEPTH {
        return Err(why);
    }
    let before = lost.len();
    let mut kept = Vec::new();
    for operand in operands(inner) {
        let said = within(operand).and_then(|part| sayable(part, reads, lost, depth + 1));
        match said {
            Ok(part) => kept.push(format!("({part})")),
            Err(why) if kind == "OR" => lost.push((operand.to_owned(), why)),
            Err(why) => {
                lost.truncate(before);
                return Err(why);
            }
        }
    }
    if kept.is_empty() {
        lost.truncate(before);
        return Err(why);
    }
    Ok(format!("{kind},({})", kept.join(",")))
}
