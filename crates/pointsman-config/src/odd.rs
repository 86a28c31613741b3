//! Names and ranges that no flow has: addresses as names, names that end with a number, ranges of IPv4-mapped
//! addresses, programs that are a path where a name is compared, and ranges with bits behind their length, which hold others than they show.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pointsman_policy::condition::{Condition, DomainTest, TextField, TextTest};
use pointsman_policy::{Prefix, base_name};

use crate::problem::Severity;

/// What no flow meets, or what is not what it shows.
#[derive(Clone, Debug)]
pub struct Odd {
    /// The problem's code.
    pub code: &'static str,
    /// How bad.
    pub severity: Severity,
    /// What it is, in one sentence without a final dot.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl Odd {
    /// What is odd about `text`, which is named once.
    #[must_use]
    pub fn said_of(&self, text: &str) -> String {
        let text = format!("`{text}`");
        match self.what.starts_with(&text) {
            true => self.what.clone(),
            false => format!("{text}: {}", self.what),
        }
    }
}

/// What is odd about a condition that is no logic.
#[must_use]
pub fn condition(test: &Condition) -> Option<Odd> {
    match test {
        Condition::Domain(DomainTest::Exact(name) | DomainTest::Suffix(name)) => {
            of_name(name.as_str())
        }
        Condition::Address { prefix, .. } => of_prefix(prefix),
        Condition::Text(field, test) => of_program(*field, test),
        _ => None,
    }
}

/// What is odd about a program: names are what stands behind the last `/` of a path, and paths are absolute.
fn of_program(field: TextField, test: &TextTest) -> Option<Odd> {
    use TextTest::{Exact, ExactIgnoreCase, Keyword, KeywordIgnoreCase};
    let (Exact(text) | ExactIgnoreCase(text) | Keyword(text) | KeywordIgnoreCase(text)) = test
    else {
        return None;
    };
    let whole = matches!(test, Exact(_) | ExactIgnoreCase(_));
    let base = base_name(text);
    let (what, hint) = match field {
        // A kernel's thread (`kworker/0:1`) may be the parent of a program, and has no path.
        TextField::ProcessName | TextField::ParentName if text.starts_with('/') => (
            format!("`{text}` is a path, and the name of a program has no `/`"),
            match field {
                TextField::ParentName => format!("ask for the name `{base}`"),
                _ if whole => format!(
                    "ask for the name `{base}`, or for the path (`PROC-PATH`, in trees `process.path eq`)"
                ),
                _ => {
                    "ask for the path (`PROC-PATH-KEYWORD`, in trees `process.path has`)".to_owned()
                }
            },
        ),
        TextField::ProcessPath if whole && !text.starts_with('/') => (
            format!("`{text}` is no whole path, and the path of a program begins with `/`"),
            format!(
                "write the whole path, or ask for the name `{base}` (`PROCESS-NAME`, in trees `process.name eq`)"
            ),
        ),
        _ => return None,
    };
    Some(never_matches(what, hint))
}

/// What is odd about a name.
#[must_use]
pub fn of_name(name: &str) -> Option<Odd> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let (what, hint) = if name.parse::<Ipv4Addr>().is_ok() {
        (
            format!("`{name}` is an address, and no flow has that for its name"),
            format!("ask for the address `{name}/32` instead of a name"),
        )
    } else if last.bytes().all(|b| b.is_ascii_digit()) {
        (
            format!("no host name ends with a number, as `{name}` does"),
            "for addresses there are conditions of their own".to_owned(),
        )
    } else {
        return None;
    };
    Some(never_matches(what, hint))
}

/// What is odd about a range.
#[must_use]
pub fn of_prefix(prefix: &Prefix) -> Option<Odd> {
    let mapped = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0);
    (prefix.address() == mapped && prefix.length() == 96).then(|| {
        never_matches(
            "no address is in `::ffff:0:0/96`: an IPv4 address in IPv6 counts as IPv4".to_owned(),
            "write `0.0.0.0/0` where all of IPv4 is meant".to_owned(),
        )
    })
}

fn never_matches(what: String, hint: String) -> Odd {
    Odd {
        code: "never-matches",
        severity: Severity::Warning,
        what,
        hint,
    }
}

/// The first range of a text that has bits behind its length: it is wider than the address that it shows.
#[must_use]
pub fn host_bits(text: &str) -> Option<Odd> {
    let other = |c: char| !(c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '/'));
    text.split(other).find_map(|written| {
        let (address, length) = written.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let length: u8 = length.parse().ok()?;
        let range = Prefix::new(address, length);
        let fits = length == range.length() && range.address() != address;
        fits.then(|| Odd {
            code: "host-bits",
            severity: Severity::Warning,
            what: format!("`{written}` is all of `{range}`"),
            hint: format!("write `{range}`, or `{address}` for this address alone"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_odd_names_its_entry_once() {
        let check = |text: &str, expected: &str| {
            let odd = host_bits(text).unwrap();
            assert_eq!(odd.said_of(text), expected);
            assert_eq!(odd.severity, Severity::Warning);
        };
        check("10.1.2.3/8", "`10.1.2.3/8` is all of `10.0.0.0/8`");
        check(
            "IP-CIDR, 10.1.2.3/8, a",
            "`IP-CIDR, 10.1.2.3/8, a`: `10.1.2.3/8` is all of `10.0.0.0/8`",
        );
    }

    #[test]
    fn bits_behind_a_length_are_seen_in_any_text() {
        let check = |text: &str, expected: Option<&str>| {
            let odd = host_bits(text).map(|odd| odd.what);
            assert_eq!(odd.as_deref(), expected, "{text}");
        };
        check(
            "IP-CIDR, 10.1.2.3/8, DIRECT",
            Some("`10.1.2.3/8` is all of `10.0.0.0/8`"),
        );
        check(
            "cond ip under fd00::1/8 => a",
            Some("`fd00::1/8` is all of `fd00::/8`"),
        );
        check("AND, [IP-CIDR,10.0.0.0/8], [SRC-IP-CIDR,10.0.0.1]", None);
        check("DST-PORT, 80/443|8000-8100/tcp", None);
        check("IP-CIDR, 10.1.2.3/32, DIRECT", None);
        check("IP-CIDR, 10.1.2.3/99, DIRECT", None);
    }
}
