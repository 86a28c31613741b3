//! What a line of text looks like: the format that alone gives it a meaning.
//!
//! Invariant: a look is a property of the line, whatever stands around it.

use std::net::IpAddr;

use pointsman_policy::domain::Name;

use super::blocks::{guarded, looks_like_range};
use super::lines::{is_comment, is_cosmetic, is_style};
use super::{Format, blocks};

/// What a line without its comment looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// An entry that this format alone has.
    Of(Format),
    /// A name with a dot, as several formats have it.
    Name,
    /// Anything else.
    Unknown,
}

/// The options of dnsmasq that name names.
const KEYS: &[&str] = &["address", "ipset", "local", "nftset", "server"];

/// Those of SmartDNS, which writes them with a space.
const SMARTDNS_KEYS: &[&str] = &["address", "domain-rules", "ipset", "nameserver", "nftset"];

/// Options of dnsmasq that stand in files of their own and name no names.
const OTHER_KEYS: &[&str] = &["bogus-nxdomain", "ignore-address"];

/// Names that every hosts file gives to the host itself or to its links.
const OWN: &[&str] = &[
    "0.0.0.0",
    "broadcasthost",
    "ip6-allhosts",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-localhost",
    "ip6-localnet",
    "ip6-loopback",
    "ip6-mcastprefix",
    "local",
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost4.localdomain4",
    "localhost6",
    "localhost6.localdomain6",
];

/// Marks of v2ray's lists.
const MARKS: &[&str] = &["domain", "full", "include", "keyword", "regexp"];

pub(super) fn look(line: &str) -> Look {
    if is_adblock(line) {
        Look::Of(Format::Adblock)
    } else if is_option(line) {
        Look::Of(Format::Dnsmasq)
    } else if names(line).is_some_and(|(address, names)| is_mapping(address, names)) {
        Look::Of(Format::Hosts)
    } else if is_text(line) {
        Look::Of(Format::Text)
    } else if is_name(line) {
        Look::Name
    } else {
        Look::Unknown
    }
}

/// Whether a line that is trimmed is a comment for a list of text, and of any format.
pub(super) fn is_comment_of_text(line: &str) -> bool {
    is_comment(line) && !is_style(line)
}

fn is_adblock(line: &str) -> bool {
    let is_regex = line.len() > 2 && line.starts_with('/') && line.ends_with('/');
    let has_modifiers = || {
        let modifiers = line.rsplit_once('$').map(|(_, modifiers)| modifiers);
        let mut letters = modifiers.unwrap_or("").bytes();
        letters
            .next()
            .is_some_and(|b| b == b'~' || b.is_ascii_lowercase())
            && letters.all(|b| b.is_ascii_graphic())
            && !line.contains(' ')
    };
    line.starts_with(['|', '@']) && (line.starts_with('|') || line.starts_with("@@"))
        || line.ends_with('^')
        || is_regex
        || is_style(line)
        || is_cosmetic(line)
        || has_modifiers()
}

fn is_option(line: &str) -> bool {
    let is_other = |key: &str| OTHER_KEYS.contains(&key);
    option(line).is_some() || line.split_once('=').is_some_and(|(key, _)| is_other(key))
}

/// An option of dnsmasq's that names names, or of SmartDNS'.
pub(super) struct Named<'l> {
    /// What stands between its slashes, parted by slashes; `None`: the last slash is missing.
    pub(super) names: Option<&'l str>,
    /// Whether the names are asked as usual: they are exceptions.
    pub(super) except: bool,
}

/// Such an option in a line without its comment.
pub(super) fn option(line: &str) -> Option<Named<'_>> {
    let bare = line.strip_prefix("--").unwrap_or(line);
    if let Some((key, value)) = bare.split_once('=')
        && KEYS.contains(&key.trim_end())
    {
        let value = value.trim_start().strip_prefix('/')?;
        let (names, target) = value.rsplit_once('/').unzip();
        let except = key.trim_end() == "server" && target == Some("#");
        return Some(Named { names, except });
    }
    let (key, value) = line.split_once([' ', '\t'])?;
    let value = value.trim_start().strip_prefix('/')?;
    let (names, target) = value.split_once('/').unzip();
    let except = matches!(key, "address" | "nameserver") && target == Some("-");
    SMARTDNS_KEYS
        .contains(&key)
        .then_some(Named { names, except })
}

/// Whether what stands behind an address is meant as its names: not as a number, a country or an organisation.
fn is_mapping(address: IpAddr, names: &str) -> bool {
    let first = names.split_ascii_whitespace().next().unwrap_or("");
    let last_label = first.trim_end_matches('.').rsplit('.').next();
    let lettered = last_label.is_some_and(|l| l.starts_with(|c: char| c.is_alphabetic()));
    let of_this_host = match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_unspecified() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_loopback(),
    };
    let of_this_net = match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_multicast(),
    };
    let is_address = first.parse::<IpAddr>().is_ok();
    of_this_host && (lettered || is_address)
        || lettered && (of_this_net || is_own(first) || first.contains('.'))
}

fn is_text(line: &str) -> bool {
    let marked = || {
        let mark = line.split_once(':').map(|(mark, _)| mark);
        mark.is_some_and(|mark| MARKS.contains(&mark))
    };
    let rule = || {
        let kind = line.split_once(',').map(|(kind, _)| kind.trim_end());
        let known = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
        kind.is_some_and(|kind| kind.len() > 1 && kind.bytes().all(known))
    };
    line.starts_with("+.")
        || line.starts_with("*.")
        || line.starts_with('.')
        || looks_like_range(line)
        || guarded(line).is_some()
        || blocks::of_ipset(line).is_some()
        || marked()
        || rule()
}

fn is_name(line: &str) -> bool {
    let plain = line.trim_end_matches('.').replace('*', "x");
    let lettered = |label: &str| label.bytes().any(|b| !b.is_ascii_digit());
    let last = plain.rsplit_once('.').map(|(_, last)| last);
    last.is_some_and(lettered) && Name::parse(&plain, &mut String::new()).is_ok()
}

/// The address of a line of a hosts file, and the names behind it.
pub(super) fn names(entry: &str) -> Option<(IpAddr, &str)> {
    let (address, names) = entry.split_once([' ', '\t'])?;
    let address = address.split('%').next().unwrap_or(address);
    Some((address.parse().ok()?, names.trim_start()))
}

/// Whether a name is one of the host's own.
pub(super) fn is_own(name: &str) -> bool {
    OWN.iter().any(|own| name.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_like_what_they_are() {
        let check = |look_of: &str, lines: &[&str]| {
            for line in lines {
                let look = match look(line) {
                    Look::Of(format) => format.as_str(),
                    Look::Name => "name",
                    Look::Unknown => "-",
                };
                assert_eq!(look, look_of, "{line}");
            }
        };
        check(
            "adblock",
            &[
                "||a.test^",
                "@@||a.test^",
                "|a.test^|",
                "a.test##.ad",
                "a.test#@#.ad",
                "##.banner",
                r"/^ad\d+/",
                "a.test^",
                "||a.test$third-party",
                "||^",
                "|",
            ],
        );
        check(
            "dnsmasq",
            &[
                "server=/a.test/1.1.1.1#53",
                "--address=/a.test/",
                "ipset=/a/x",
                "address /a.test/#",
                "nameserver /a.test/far",
                "domain-rules /a.test/ -address #",
                "bogus-nxdomain=192.0.2.1",
            ],
        );
        check(
            "hosts",
            &[
                "0.0.0.0 a.test",
                "127.0.0.1\tlocalhost",
                "::1 ip6-loopback",
                "fe80::1%lo0 localhost",
                "192.168.1.5 nas",
                "203.0.113.7 www.a.test",
                "0.0.0.0 0.0.0.0",
                "255.255.255.255 broadcasthost",
            ],
        );
        check(
            "text",
            &[
                "+.a.test",
                ".a.test",
                "*.a.test",
                "10.0.0.0/8",
                "1.2.3.4",
                "1.2.3.4\t10",
                "94.46.118.*",
                "9.9.9.0 9.9.9.255",
                "001.002.003.004 - 005.006.007.008 , 000 , x",
                "add blocked 10.0.0.0/8 timeout 0",
                "create blocked hash:net",
                "203.0.113.7 US",
                "203.0.113.0/24 AS64500 Example",
                "10.0.0.1-10.0.0.9",
                "full:a.test",
                "include:ads",
                "DOMAIN-SUFFIX,a.test",
                "IP-CIDR6,::/0,no-resolve",
            ],
        );
        check("name", &["a.test", "www.B\u{fc}cher.example", "a.*.test"]);
        check(
            "-",
            &[
                "",
                "localhost",
                "a b",
                "no-resolv",
                "x: y",
                "1.2",
                "Some text, with a comma",
            ],
        );
    }
}
