//! A tree as written, back to its canonical words: what explanations call a rule.

use super::lex::word;
use super::{Arm, Branch, Name, Test, When};

/// A branch's first line, in one spelling: `any [`, `cond port eq 22 => proxy1`.
pub(super) fn head(branch: &Branch) -> String {
    match branch {
        Branch::Any(..) => "any [".to_owned(),
        Branch::Ask(ask, _) => ask.to_string(),
        Branch::Cond { subject, .. } => format!("cond {} {{", subject.text),
        Branch::Leaf(name) => word(&name.text),
        Branch::Log { id, message, .. } => format!("log {id} {}", super::lex::quote(&message.text)),
        Branch::Only(..) => "only [".to_owned(),
        Branch::When {
            when: test, then, ..
        } => format!("cond {} => {}", when(test), head(then)),
    }
}

/// An arm's first line.
pub(super) fn arm_head(arm: &Arm) -> String {
    let key = if arm.otherwise {
        "else".to_owned()
    } else {
        word(&arm.key.text)
    };
    format!("{key} => {}", head(&arm.then))
}

fn when(condition: &When) -> String {
    match condition {
        When::And(all) => joined(all, " and "),
        When::Or(any) => joined(any, " or "),
        When::Not(inner) => format!("not {}", inner_part(inner)),
        When::Test(test) => self::test(test),
    }
}

fn joined(parts: &[When], with: &str) -> String {
    let parts: Vec<String> = parts.iter().map(inner_part).collect();
    parts.join(with)
}

fn inner_part(part: &When) -> String {
    match part {
        When::And(_) | When::Or(_) => format!("({})", when(part)),
        When::Not(_) | When::Test(_) => when(part),
    }
}

fn test(test: &Test) -> String {
    let mut out = test.fact.text.clone();
    if let Some(operator) = &test.operator {
        out.push(' ');
        out.push_str(&operator.text);
    }
    if !test.values.is_empty() {
        let values: Vec<String> = test.values.iter().map(|v: &Name| word(&v.text)).collect();
        out.push(' ');
        out.push_str(&values.join(", "));
    }
    if test.nocase {
        out.push_str(" nocase");
    }
    if test.no_resolve {
        out.push_str(" no-resolve");
    }
    out
}
