//! Names with `*`, `?` and `[...]`: what each program's lists mean by them.
//!
//! In lists of dnscrypt-proxy's `ads.*` is whatever begins so, `*ads*` whatever holds it, and in `ad*.x` the star is any
//! text. In all others a `*` is any text without a dot: to Clash one label, or a part of one.

use pointsman_policy::line;

use super::strange::of_entry;
use super::{Behavior, Reading};

impl Reading<'_> {
    /// Takes a name in which `*` stands for any text without a dot; alone for every name.
    pub(super) fn wildcard(&mut self, entry: &str, number: u32) -> Result<(), String> {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*');
        let bare = ["+.", "."].iter().find_map(|sign| entry.strip_prefix(sign));
        let pattern = bare.unwrap_or(entry);
        if let Some(c) = pattern.chars().find(|c| !known(*c)) {
            return Err(of_entry(entry).unwrap_or_else(|| format!(
                "`{entry}` is no domain: the name has the character {c:?}, which no host name carries"
            )));
        }
        if entry == "*" {
            return self.try_pattern("", number, entry);
        }
        let below = bare.is_some() || self.told.behavior != Some(Behavior::Domain);
        if self.told.dnscrypt && has_inner_star(entry) {
            return self.glob(entry, number);
        }
        if self.told.dnscrypt
            && let Some(open) = entry.strip_suffix('*')
        {
            let inner = open.strip_prefix('*').unwrap_or(open);
            match inner.contains('*') || inner.is_empty() {
                true => {}
                false if inner.len() < open.len() => {
                    let condition = line::domain_keyword(inner)?;
                    self.condition(condition, number, entry);
                    return Ok(());
                }
                false => {
                    let begins = format!("^{}", inner.replace('.', r"\."));
                    return self.try_pattern(&begins, number, entry);
                }
            }
        }
        let mut regex = String::from(match below {
            true if self.told.clash_marks && entry.starts_with('.') => r"\.",
            true => r"(?:^|\.)",
            false => "^",
        });
        for c in pattern.chars() {
            match c {
                '*' => regex.push_str("[^.]*"),
                '.' => regex.push_str(r"\."),
                c => regex.push(c),
            }
        }
        regex.push('$');
        self.try_pattern(&regex, number, entry)
    }

    /// Takes a pattern of dnscrypt-proxy's with `?` or `[...]`, which is about the whole name.
    pub(super) fn glob(&mut self, entry: &str, number: u32) -> Result<(), String> {
        let Some(regex) = glob(entry) else {
            return Err(format!(
                "`{entry}` is no domain, and no pattern of dnscrypt-proxy's (`?`, `[a-z]`, `*`): write `regexp:` and a regular expression"
            ));
        };
        self.try_pattern(&regex, number, entry)
    }
}

/// Whether a star stands in an entry, neither first nor last: dnscrypt-proxy compares it with whole names then.
fn has_inner_star(entry: &str) -> bool {
    let inner = entry.get(1..entry.len().saturating_sub(1));
    inner.is_some_and(|inner| inner.contains('*'))
}

/// Whether an entry may be such a pattern.
pub(super) fn is_glob(entry: &str) -> bool {
    entry.contains(['?', '[']) && glob(entry).is_some()
}

/// The regular expression of a pattern; `None`: it is none.
fn glob(pattern: &str) -> Option<String> {
    let mut regex = String::from("^");
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '.' => regex.push_str(r"\."),
            '[' => {
                let (class, _) = rest.as_str().split_once(']')?;
                let inner = class.strip_prefix('^').unwrap_or(class);
                let known = |c: char| c.is_ascii_alphanumeric() || c == '-';
                if inner.is_empty() || !inner.chars().all(known) {
                    return None;
                }
                regex.push_str(&format!("[{class}]"));
                rest.nth(class.chars().count());
            }
            c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') => regex.push(c),
            _ => return None,
        }
    }
    regex.push('$');
    Some(regex)
}
