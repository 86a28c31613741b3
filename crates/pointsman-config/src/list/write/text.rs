//! Plain text and YAML: names, ranges, or rules, whichever says all.

use pointsman_policy::line;
use pointsman_policy::set::Reach;

use super::{Entry, What, WrittenList, clash, name_rule};
use crate::list::Surroundings;
use crate::list::numbered::canonical;

/// How entries stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Yaml,
}

pub(super) fn write(entries: &[Entry], form: Form, to: &mut WrittenList) {
    // Only in YAML `.x` is what is below `x` alone.
    let no_name = |what: &What| match what {
        What::Name(_, Reach::Below) | What::Important(_, Reach::Below) => form == Form::Text,
        what => matches!(what, What::Other(_) | What::Prefix(_)),
    };
    let names = !entries.iter().any(|entry| no_name(&entry.what));
    // A text in which most names are not marked is taken for names with all below.
    let count = |wanted: Reach| {
        let is = |e: &&Entry| matches!(e.what, What::Name(_, reach) | What::Important(_, reach) if reach == wanted);
        entries.iter().filter(is).count()
    };
    let marked = count(Reach::Suffix);
    let mostly = marked > 0 && marked >= count(Reach::Exact);
    let names = names && (mostly || form == Form::Yaml);
    let ranges = entries.iter().all(|e| matches!(e.what, What::Prefix(_)));
    if form == Form::Yaml {
        to.bytes.extend_from_slice(b"payload:\n");
    }
    for entry in entries {
        let text = match &entry.what {
            // All exceptions are left out, so there is nothing that it goes before.
            What::Name(name, reach) | What::Important(name, reach) if names => match reach {
                Reach::Below => format!(".{name}"),
                Reach::Exact => name.to_string(),
                Reach::Suffix => format!("+.{name}"),
            },
            What::Name(name, Reach::Below) | What::Important(name, Reach::Below)
                if form == Form::Yaml =>
            {
                format!("AND,((DOMAIN-SUFFIX,{name}),(NOT,((DOMAIN,{name}))))")
            }
            What::Important(name, reach) => name_rule(name, *reach),
            What::Prefix(prefix) if ranges => prefix.to_string(),
            What::Except(..) | What::ExceptPattern(_) | What::ImportantExcept(..) => {
                entry.leave_out("rules have no word for exceptions", to);
                continue;
            }
            What::Other(condition) if form == Form::Yaml => match clash::rule(condition) {
                Some(rule) => rule,
                None => {
                    entry.leave_out("Clash has no word for it (`--to text` has)", to);
                    continue;
                }
            },
            What::Other(_) => {
                let rule = entry.what.rule();
                if !is_read_again(&rule) {
                    entry.leave_out("rules cannot say it", to);
                    continue;
                }
                rule
            }
            what => what.rule(),
        };
        line(&text, form, &mut to.bytes);
        to.count += 1;
    }
}

fn line(text: &str, form: Form, to: &mut Vec<u8>) {
    if form == Form::Yaml {
        to.extend_from_slice(b"  - ");
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/');
        let simple = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain);
        if !simple {
            to.push(b'\'');
            to.extend_from_slice(text.replace('\'', "''").as_bytes());
            to.extend_from_slice(b"'\n");
            return;
        }
    }
    to.extend_from_slice(text.as_bytes());
    to.push(b'\n');
}

/// Whether a rule is read as a rule again, and as the same one.
fn is_read_again(rule: &str) -> bool {
    let one_line = !rule.contains(['\n', '\r']) && line::without_comment(rule) == rule;
    one_line
        && line::parse_condition(rule, &Surroundings::with_databases())
            .is_ok_and(|condition| canonical(&condition) == rule)
}
