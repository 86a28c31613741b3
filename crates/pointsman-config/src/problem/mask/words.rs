//! Words of values that are harmless as a whole, but may carry a login, a token or a query.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use crate::problem::work::looked;

/// What of a text is hidden, and what is shown.
#[derive(Default)]
pub(super) struct Parts {
    /// What is not shown.
    pub(super) hidden: Vec<Range<usize>>,
    /// What is known to be harmless.
    pub(super) shown: Vec<Range<usize>>,
    /// What things are called, by where it stands; shown, too.
    pub(super) names: Vec<Range<usize>>,
    /// Where no secret is expected and nobody knows: shown where it is one of the names.
    pub(super) doubted: Vec<Range<usize>>,
}

/// Schemes behind which an address or a path stands.
const SCHEMES: [&str; 20] = [
    "dhcp", "fd", "file", "h3", "http", "https", "ip", "quic", "rcode", "socks", "socks4",
    "socks4a", "socks5", "socks5h", "systemd", "tcp", "tls", "udp", "unix", "wss",
];

/// What stands before a single colon and says what the rest is.
const PREFIXES: [&str; 26] = [
    "tcp4", "tcp6", "udp4", "udp6", "dhcp", "domain", "fd", "full", "geoip", "geosite", "http",
    "https", "inbound", "ip", "keyword", "network", "process", "regex", "regexp", "rule-set",
    "rule_set", "suffix", "systemd", "tcp", "udp", "unix",
];

/// `egress`, its name, the method and the address: what follows may be a login.
const EGRESS_WORDS: usize = 4;

/// Of a path, the longest segment of letters and digits mixed that nobody takes for a token.
const PLAIN_SEGMENT: usize = 15;

/// A text in which only logins and queries of URLs are hidden.
pub(super) fn scan(text: &str) -> Parts {
    let mut hidden = Vec::new();
    if text.contains("://") {
        each_word(text, 0..text.len(), |word| {
            hidden.extend(of_url(text, &word));
        });
    }
    Parts {
        hidden,
        ..Parts::default()
    }
}

/// Whether a line begins as an item of reflow's does.
pub(super) fn has_items(text: &str) -> bool {
    text.lines().any(|line| {
        let first = line
            .trim_start()
            .split(|c: char| !c.is_ascii_alphanumeric() && !":_-".contains(c))
            .next();
        first.is_some_and(|word| matches!(word, "egress" | "rule" | "relay" | "dns"))
    })
}

/// reflow's items: of an egress the name, the method and the address are shown, and no comment of it.
pub(super) fn scan_reflow(text: &str) -> Parts {
    let mut out = scan(text);
    let mut depth = 0_usize;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let at = start;
        start += line.len();
        let code = &line[..line.find('#').unwrap_or(line.len())];
        out.hidden.push((at + code.len() + 1).min(start)..start);
        let first = code
            .trim_start()
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or("");
        let item = matches!(first, "rule" | "relay" | "dns" | "egress");
        let opens = code.matches(['{', '[', '(']).count();
        let closes = code.matches(['}', ']', ')']).count();
        let within = depth > 0 || closes > 0;
        let resets = item && !line.starts_with(char::is_whitespace);
        depth = if resets { opens } else { depth + opens }.saturating_sub(closes);
        let egress = first == "egress";
        let mut number = 0;
        each_word(text, at..at + code.len(), |word| {
            let said = &text[word.clone()];
            number += usize::from(said != "=");
            let named = number == 1 && said.chars().all(char::is_alphabetic);
            let own = (item || within || named) && (!egress || number <= EGRESS_WORDS);
            let harmless = own && of_login(text, &word).is_empty();
            // `egress NAME`, `rule NAME`, `rule=NAME`, and in a branch `NAME => NAME`.
            let declared = number == 2 && matches!(first, "egress" | "rule");
            let branch = !egress
                && (text[word.end..].trim_start().starts_with("=>")
                    || text[..word.start].trim_end().ends_with("=>"));
            let name = declared || branch || said.starts_with("rule=");
            if harmless && name {
                out.names.push(word);
            } else if harmless && !is_mixed(said) {
                out.shown.push(word);
            } else if harmless {
                out.doubted.push(word);
            } else {
                out.hidden.push(word);
            }
        });
    }
    out
}

/// Whether what a thing is called holds no sign of a login or an address.
pub(super) fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && !name.contains([':', '@', '/'])
}

/// A value that is harmless but for logins.
pub(super) fn guard(text: &str, range: Range<usize>, out: &mut Parts) {
    let before = out.hidden.len();
    each_word(text, range.clone(), |word| {
        let from = out.hidden.len();
        out.hidden.extend(of_login(text, &word));
        if out.hidden.len() == from {
            out.shown.push(word);
        } else {
            let mut at = word.start;
            for hidden in &out.hidden[from..] {
                out.shown.push(at..hidden.start.max(at));
                at = hidden.end;
            }
            out.shown.push(at..word.end.max(at));
        }
    });
    if out.hidden.len() == before {
        out.shown.push(range);
    }
}

/// A URL that is all of a value, white space and all: a login ends at the last `@`.
pub(super) fn guard_url(text: &str, range: Range<usize>, out: &mut Parts) {
    let said = &text[range.clone()];
    let hidden = if said.contains("://") {
        of_url(text, &range)
    } else {
        let login = said.rfind('@').unwrap_or(0);
        let from = if login > 0 { login + 1 } else { 0 };
        let odd = said[from..]
            .find(odd_in_url)
            .map_or(said.len(), |at| from + at);
        vec![
            range.start..range.start + login,
            range.start + odd..range.end,
        ]
    };
    let mut at = range.start;
    for hidden in &hidden {
        out.shown.push(at..hidden.start.max(at));
        at = at.max(hidden.end);
    }
    out.shown.push(at..range.end.max(at));
    out.hidden
        .extend(hidden.into_iter().filter(|range| !range.is_empty()));
}

/// What stands in no host and no path: with it begins a query, or what should have been one.
fn odd_in_url(c: char) -> bool {
    !(c.is_alphanumeric() || ".:/_~%+-[]*".contains(c))
}

/// Letters and digits mixed: a token rather than a name.
pub(super) fn is_mixed(word: &str) -> bool {
    let bytes = word.as_bytes();
    let turns = bytes
        .windows(2)
        .any(|two| two[0].is_ascii_digit() && two[1].is_ascii_alphabetic());
    word.len() >= 6 && turns && !word.contains('.') && !is_address(word)
}

/// Whether it is an address with or without a port, a network, or a number.
pub(super) fn is_address(word: &str) -> bool {
    let bare = word.trim_matches(|c| matches!(c, '[' | ']'));
    let bare = bare.split('%').next().unwrap_or(bare);
    word.parse::<SocketAddr>().is_ok()
        || bare.parse::<IpAddr>().is_ok()
        || (!word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_digit() || b".:/[]".contains(&b)))
        || word.contains("::")
            && word
                .bytes()
                .all(|b| b.is_ascii_hexdigit() || b".:/[]".contains(&b))
}

fn each_word(text: &str, range: Range<usize>, mut take: impl FnMut(Range<usize>)) {
    let between =
        |c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\'' | '(' | ')' | '|' | '{' | '}');
    looked(range.len());
    let mut at = range.start;
    for piece in text[range].split(between) {
        if !piece.is_empty() {
            take(at..at + piece.len());
        }
        // The signs between take one byte, but for some white space.
        at += piece.len();
        at += text[at..].chars().next().map_or(0, char::len_utf8);
    }
}

/// What is hidden of a word: of a URL, of `user:password@host`, of `user:password`.
fn of_login(text: &str, word: &Range<usize>) -> Vec<Range<usize>> {
    let said = &text[word.clone()];
    looked(said.len());
    if said.contains("://") {
        return of_url(text, word);
    }
    let whole = || vec![word.clone()];
    if let Some(at) = said.rfind('@') {
        // `google@cn` is a category with its attribute.
        let plain = !said.contains(':') && said[..at].len() <= PLAIN_SEGMENT;
        return match plain {
            true => Vec::new(),
            false => std::iter::once(word.start..word.start + at).collect(),
        };
    }
    if is_address(said) || !said.contains(':') {
        return Vec::new();
    }
    let (first, rest) = said.split_once(':').unwrap_or((said, ""));
    let kind = first
        .trim_start_matches(['-', '+', '!'])
        .to_ascii_lowercase();
    if PREFIXES.contains(&&*kind) && !rest.starts_with('/') {
        return Vec::new();
    }
    match is_host_port(said) {
        true => Vec::new(),
        false => whole(),
    }
}

/// `host:port` or `:port`, the port perhaps a range or a bad one: `host` has a dot where the rest is no number.
fn is_host_port(said: &str) -> bool {
    let Some((host, port)) = said.rsplit_once(':') else {
        return true;
    };
    if host.contains(':') && !is_address(host) {
        return false;
    }
    let number = port
        .bytes()
        .all(|b| b.is_ascii_digit() || b == b'-' || b == b'/');
    let host_like =
        host.is_empty() || is_address(host) || host.contains('.') || host == "localhost";
    number || host_like && port.len() <= 8
}

/// Whether it can only be a host with or without its port, and no login.
fn is_host(authority: &str) -> bool {
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let in_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let name = host.contains('.') && host.chars().all(in_host);
    (name && port.bytes().all(|b| b.is_ascii_digit())) || is_address(authority)
}

/// What is hidden of a word with a URL: its login, its query, a segment that looks like a token.
fn of_url(text: &str, word: &Range<usize>) -> Vec<Range<usize>> {
    let said = &text[word.clone()];
    let Some(scheme) = said.find("://") else {
        return Vec::new();
    };
    let mut hidden = Vec::new();
    let base = word.start;
    let rest = scheme + 3;
    // A password may hold any sign: its end is the last `@` of all, unless a host stands before the first slash.
    let authority = said[rest..].split('/').next().unwrap_or("");
    let login_end = said
        .rfind('@')
        .filter(|at| *at >= rest && !is_host(authority));
    let host = login_end.map_or(rest, |at| at + 1);
    if let Some(at) = login_end {
        hidden.push(base + rest..base + at);
    }
    let host_end = said[host..]
        .find(['/', '?', '#', '=', '&', ';'])
        .map_or(said.len(), |at| host + at);
    let name = said[..scheme]
        .rsplit(|c: char| !c.is_ascii_alphanumeric())
        .next()
        .unwrap_or("");
    let authority = &said[host..host_end];
    let known = SCHEMES.contains(&&*name.to_ascii_lowercase()) && is_host_port(authority);
    if !known && !(is_host_port(authority) && (authority.contains('.') || is_address(authority))) {
        hidden.push(base + host..word.end);
        return hidden;
    }
    let query = said[host_end..]
        .find(|c| c != '@' && odd_in_url(c))
        .map_or(said.len(), |at| host_end + at);
    let query = said[host..host_end]
        .find(odd_in_url)
        .map_or(query, |at| host + at);
    let host_end = host_end.min(query);
    if query < said.len() {
        hidden.push(base + query..word.end);
    }
    let mut at = host_end;
    for segment in said[host_end..query].split('/') {
        let plain = segment.len() <= PLAIN_SEGMENT || segment.contains('.');
        let mixed = segment.bytes().any(|b| b.is_ascii_digit())
            && segment.bytes().any(|b| b.is_ascii_alphabetic());
        if !plain && mixed {
            hidden.push(base + at..base + at + segment.len());
        }
        at += segment.len() + 1;
    }
    hidden
}

/// A text in double quotes as a parser reads it, where that can be told; what is no escape stays.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let digits = match rest.next() {
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            Some(other) => {
                out.push(other);
                continue;
            }
            None => break,
        };
        let number: String = rest.clone().take(digits).collect();
        match u32::from_str_radix(&number, 16)
            .ok()
            .and_then(char::from_u32)
        {
            Some(read) => {
                out.push(read);
                rest.nth(digits - 1);
            }
            None => out.push('x'),
        }
    }
    out
}
