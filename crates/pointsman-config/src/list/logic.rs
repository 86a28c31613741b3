//! Logic as Clash writes it in lists: `AND,((DOMAIN,a.test),(DST-PORT,443))`, where rules here have `[TYPE, CONTENT]`.

use std::borrow::Cow;

/// Logic within logic; whoever goes deeper is told by the reader of rules.
const DEEPEST: usize = 16;

/// The entry with the brackets of rules, where it is logic in Clash's.
pub(super) fn in_brackets(entry: &str) -> Cow<'_, str> {
    match rewritten(entry, DEEPEST) {
        Some(rewritten) => Cow::Owned(rewritten),
        None => Cow::Borrowed(entry),
    }
}

fn rewritten(entry: &str, depth: usize) -> Option<String> {
    let (kind, rest) = entry.split_once(',')?;
    let logic = ["AND", "OR", "NOT"];
    if !logic
        .iter()
        .any(|word| word.eq_ignore_ascii_case(kind.trim()))
        || depth == 0
    {
        return None;
    }
    let mut text = kind.trim().to_owned();
    for part in parts(within(rest.trim())?) {
        let part = within(part.trim())?;
        let inner = rewritten(part, depth - 1).or_else(|| plain(part))?;
        text.push_str(", [");
        text.push_str(&inner);
        text.push(']');
    }
    Some(text)
}

/// What stands between a pair of brackets.
fn within(text: &str) -> Option<&str> {
    text.strip_prefix('(')?.strip_suffix(')')
}

/// A condition; an expression is quoted, since it may hold brackets.
fn plain(part: &str) -> Option<String> {
    let (kind, content) = part.split_once(',')?;
    let is_regex = kind.trim().to_ascii_uppercase().ends_with("-REGEX");
    match is_regex {
        true if content.contains('\'') => None,
        true => Some(format!("{kind}, '{}'", content.trim())),
        false => Some(part.to_owned()),
    }
}

/// The parts between commas that stand in no brackets.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_of_clash_become_those_of_rules() {
        let check = |entry: &str, expected: &str| assert_eq!(in_brackets(entry), expected);
        check(
            "AND,((DOMAIN,a.test),(DST-PORT,443))",
            "AND, [DOMAIN,a.test], [DST-PORT,443]",
        );
        check(
            "or, ( (DOMAIN,a.test) , (NOT,((NETWORK,UDP))) )",
            "or, [DOMAIN,a.test], [NOT, [NETWORK,UDP]]",
        );
        check(
            "NOT,((DOMAIN-REGEX,^(a|b),[0-9]{1,2}$))",
            "NOT, [DOMAIN-REGEX, '^(a|b),[0-9]{1,2}$']",
        );
        check(
            "AND,((IP-CIDR,10.0.0.0/8,no-resolve),(DST-PORT,80))",
            "AND, [IP-CIDR,10.0.0.0/8,no-resolve], [DST-PORT,80]",
        );
        // Whatever is no such logic stays as it is.
        for entry in [
            "AND, [DOMAIN, a.test], [DST-PORT, 443]",
            "DOMAIN,a.test",
            "AND,((DOMAIN,a.test)",
            "AND",
            "NOT,()",
        ] {
            check(entry, entry);
        }
        let deep = format!("{}DOMAIN,a{}", "NOT,((".repeat(100), "))".repeat(100));
        // What is deeper is left to the reader of rules, which refuses it.
        assert!(in_brackets(&deep).ends_with(&format!("]{}", "]".repeat(DEEPEST - 1))));
    }
}
