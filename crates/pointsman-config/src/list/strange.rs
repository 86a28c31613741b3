//! What is taken for a list and is none, though many know its form: it is named, with what to do.
//!
//! Invariant: one such line among others is an odd line; only what the beginning or most lines are is what all is.

use super::Unreadable;

/// A form that is no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stranger {
    what: &'static str,
    todo: &'static str,
}

impl Stranger {
    pub(super) fn error(self) -> Unreadable {
        Unreadable::malformed(format!("this is {}, not a list", self.what)).hint(self.todo)
    }
}

const PUBLISHED_OTHERWISE: &str = "take the same list in another form: most are published as plain names, hosts or AdBlock rules, too";
const PAGE: Stranger = Stranger {
    what: "a web page",
    todo: "take the address of the list itself; of a page that shows a file it is that of the raw file",
};
const JSON_ARRAY: Stranger = Stranger {
    what: "a JSON array",
    todo: "make it one entry a line, of an array of texts with `jq -r '.[]'`; JSON is read as sing-box's rule sets alone",
};
const SUBSCRIPTION: Stranger = Stranger {
    what: "a subscription to proxy servers",
    todo: "its servers are outbounds, no entries: ask who provides it for the address of a rule list",
};
const REGEXES: Stranger = Stranger {
    what: "a file of regular expressions (as Pi-hole has them)",
    todo: "write `regexp:` before each expression: `regexp:^ads?[0-9]*\\.`",
};
const UNBOUND: Stranger = Stranger {
    what: "a configuration of unbound",
    todo: PUBLISHED_OTHERWISE,
};
const ZONE: Stranger = Stranger {
    what: "a zone file of a name server (RPZ)",
    todo: PUBLISHED_OTHERWISE,
};
const ROUTER_OS: Stranger = Stranger {
    what: "a script for RouterOS (MikroTik)",
    todo: "take the same list in another form: most are published as plain addresses or names, too",
};
const CLASH: Stranger = Stranger {
    what: "a configuration of Clash",
    todo: "`pointsman convert` reads it; a list of Clash begins with `payload:`",
};
const IPTABLES: Stranger = Stranger {
    what: "a rule set of iptables or nftables",
    todo: "write its addresses one a line",
};

/// What is seen at the beginning of a text, whatever its lines are.
pub(super) fn of_beginning(first: &[u8]) -> Option<Stranger> {
    let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
    let text = text.trim_ascii_start();
    let head = text.get(..16).unwrap_or(text).to_ascii_lowercase();
    let begins = |words: &[&str]| words.iter().any(|word| head.starts_with(word.as_bytes()));
    if begins(&["<!doctype", "<html", "<head", "<body", "<?xml", "<!--"]) {
        return Some(PAGE);
    }
    if let Some(rest) = text.strip_prefix(b"[") {
        let item = rest.trim_ascii_start().first();
        // A section (`[Adblock]`) begins with a letter.
        let is_item = item.is_some_and(|b| matches!(b, b'{' | b'[' | b'"' | b']'));
        return is_item.then_some(JSON_ARRAY);
    }
    is_subscription(text).then_some(SUBSCRIPTION)
}

/// What a line is written for that no list here is.
pub(super) fn of_line(line: &str) -> Option<Stranger> {
    let begins = |words: &[&str]| words.iter().any(|word| line.starts_with(word));
    let mut words = line.split_ascii_whitespace();
    let record = words.any(|word| word == "CNAME") && words.next().is_some();
    if begins(&["local-zone:", "local-data:"]) {
        Some(UNBOUND)
    } else if record || begins(&["$TTL", "$ORIGIN"]) {
        Some(ZONE)
    } else if begins(&[
        "/ip ",
        "/ipv6 ",
        "add list=",
        "add name=",
        "add address=",
        "remove [",
    ]) || begins(&[":do ", ":do{", ":local ", ":global ", ":foreach ", ":if "])
    {
        Some(ROUTER_OS)
    } else if begins(&[
        "-A ",
        "-I ",
        "iptables ",
        "ip6tables ",
        "nft ",
        "add element ",
    ]) && line.contains([':', '.'])
        && super::blocks::of_ipset(line).is_none()
    {
        Some(IPTABLES)
    } else if begins(&["^", "(^|", r"(\.|^)", r"(\.)"]) && line.len() > 1 {
        Some(REGEXES)
    } else if CLASH_KEYS
        .iter()
        .any(|key| line.split_once(':').is_some_and(|(own, _)| own == *key))
    {
        Some(CLASH)
    } else if is_server(line.as_bytes()) {
        Some(SUBSCRIPTION)
    } else {
        None
    }
}

/// Keys that only configurations of Clash have.
const CLASH_KEYS: [&str; 8] = [
    "mixed-port",
    "port",
    "proxies",
    "proxy-groups",
    "proxy-providers",
    "rule-providers",
    "rules",
    "socks-port",
];

/// Why an entry that is no name is written as it is, with what to write; `None`: nobody knows.
pub(super) fn of_entry(entry: &str) -> Option<String> {
    if let Some((_, rest)) = entry.split_once("://") {
        let host = rest.split(['/', ':', '?']).next().unwrap_or(rest);
        return Some(format!(
            "`{entry}` is the address of a page, and this is a list of names: write `{host}`"
        ));
    }
    if let Some((name, port)) = entry.rsplit_once(':')
        && !name.contains(':')
        && port.parse::<u16>().is_ok()
    {
        return Some(format!(
            "`{entry}` has a port, and this is a list of names: write `{name}`"
        ));
    }
    let is_regex = entry.starts_with(['^', '(']) || entry.contains(r"\.");
    is_regex
        .then(|| format!("`{entry}` looks like a regular expression: write `regexp:` before it"))
}

/// Addresses of proxy servers, as subscriptions have them.
const SERVERS: [&[u8]; 8] = [
    b"hysteria2://",
    b"hysteria://",
    b"ss://",
    b"ssr://",
    b"trojan://",
    b"tuic://",
    b"vless://",
    b"vmess://",
];

fn is_server(line: &[u8]) -> bool {
    SERVERS.iter().any(|begin| line.starts_with(begin))
}

/// Whether a text is base64 of addresses of servers: it is told by its first ones.
fn is_subscription(text: &[u8]) -> bool {
    let digit = |byte: u8| {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        Some(u32::from(value))
    };
    let mut decoded = Vec::new();
    for four in text.get(..24).unwrap_or(text).chunks_exact(4) {
        let mut bits = 0;
        for byte in four {
            match digit(*byte) {
                Some(value) => bits = bits << 6 | value,
                None => return false,
            }
        }
        decoded.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
    is_server(&decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_strangers_are_known() {
        for line in [
            "local-zone: \"a.test.\" always_null",
            "$TTL 3600",
            "a.test CNAME .",
            "/ip dns static add name=a.test",
            ":do { add address=10.0.0.0/8 list=x } on-error={}",
            "-A INPUT -s 10.0.0.0/8 -j DROP",
            r"(\.|^)ads\.test$",
            r"^ad[sx]?[0-9]*\.",
            "vless://x@a.test:443",
            "mixed-port: 7890",
            "rules:",
        ] {
            assert!(of_line(line).is_some(), "{line}");
        }
        for line in [
            "a.test",
            "||a.test^",
            "0.0.0.0 a.test",
            "cname.test",
            "CNAME",
            "/ads/",
            "add x 10.0.0.0/8",
            "-A x 10.0.0.0/8",
            "-ads.",
        ] {
            assert_eq!(of_line(line), None, "{line}");
        }
    }

    #[test]
    fn beginnings_of_strangers_are_known() {
        let check =
            |text: &str, expected| assert_eq!(of_beginning(text.as_bytes()), expected, "{text}");
        check("\n<!DOCTYPE html>", Some(PAGE));
        check("<?xml version=\"1.0\"?>", Some(PAGE));
        check("[\"a.test\",\"b.test\"]", Some(JSON_ARRAY));
        check("[\n  {\"domain\": \"a.test\"}]", Some(JSON_ARRAY));
        check("c3M6Ly9ZV1Z6TFRJMU5pMW5ZMjA2", Some(SUBSCRIPTION));
        check("dm1lc3M6Ly9leUoySWpvZ0lqSWlm", Some(SUBSCRIPTION));
        check("[Adblock Plus 2.0]\n", None);
        check("[::1]\n", None);
        check("averylongnamewithoutadot", None);
        check("", None);
    }
}
