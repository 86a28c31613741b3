//! What is taken for a list and is none, though many know its form: it is named, with what to do.
//!
//! Invariant: one such line among others is an odd line; only what the beginning or most lines are is what all is.

use super::{Unreadable, base64};

/// A form that is known, and not read where it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// What it is.
    pub what: &'static str,
    /// What to do.
    pub todo: &'static str,
}

impl Stranger {
    /// What a text is in which another line was of `before`: some keys are in two languages.
    pub(super) fn or_before(self, before: Option<Self>) -> Self {
        before.filter(|before| *before == OURS).unwrap_or(self)
    }

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
const OURS: Stranger = Stranger {
    what: "a configuration of Pointsman",
    todo: "a rule set of it is asked by its name: `pointsman rule-set match NAME HOST --config FILE`; a list of its own is lines of \
           entries, or YAML that begins with `payload:`",
};
const BIND: Stranger = Stranger {
    what: "a configuration of BIND",
    todo: PUBLISHED_OTHERWISE,
};
const REGISTRY: Stranger = Stranger {
    what: "a table of who holds which addresses, as their registries publish it",
    todo: "take a list of the ranges of one country: such lists are made of this table",
};
const TABLE: Stranger = Stranger {
    what: "a table (CSV)",
    todo: "take the same list as plain text, or take the column out: `cut -d, -f2 FILE | tr -d '\"'`",
};
const ACL: Stranger = Stranger {
    what: "an access list (ACL) of Shadowsocks",
    todo: "its sections mean different things: write the entries of one of them into a file of their own",
};
const ROUTES: Stranger = Stranger {
    what: "a script that sets routes",
    todo: "write its ranges one a line",
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
    } else if begins(&[
        "zone \"",
        "type forward;",
        "type master;",
        "type slave;",
        "forwarders {",
    ]) || line == "};"
    {
        Some(BIND)
    } else if begins(REGISTRIES) {
        Some(REGISTRY)
    } else if line.starts_with('"') && line.contains("\",\"") {
        Some(TABLE)
    } else if begins(&[
        "route add ",
        "route -n add ",
        "ip route add ",
        "ip -6 route add ",
    ]) {
        Some(ROUTES)
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
    } else if is_key(line, &OWN_KEYS) {
        Some(OURS)
    } else if is_key(line, &CLASH_KEYS) {
        Some(CLASH)
    } else if is_server(line.as_bytes()) {
        Some(SUBSCRIPTION)
    } else {
        None
    }
}

fn is_key(line: &str, keys: &[&str]) -> bool {
    let key = line.split_once(':').map(|(key, _)| key);
    key.is_some_and(|key| keys.contains(&key))
}

/// How lines of registries begin.
const REGISTRIES: &[&str] = &["afrinic|", "apnic|", "arin|", "lacnic|", "ripencc|"];

/// Sections of Shadowsocks' access lists.
const SECTIONS: [&str; 9] = [
    "[accept_all]",
    "[black_list]",
    "[bypass_all]",
    "[bypass_list]",
    "[outbound_block_list]",
    "[proxy_all]",
    "[proxy_list]",
    "[reject_all]",
    "[white_list]",
];

/// What the first line that is no comment says of all of them.
pub(super) fn of_first_line(line: &str) -> Option<Stranger> {
    if is_key(line, &["version"]) {
        return Some(OURS);
    }
    SECTIONS.contains(&line).then_some(ACL)
}

/// Keys that only our own configurations have.
const OWN_KEYS: [&str; 4] = ["forwards", "inbounds", "outbounds", "rule_sets"];

/// Keys that only configurations of Clash have, and partly ours.
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

/// Whether a text is a subscription: addresses of proxy servers, perhaps as base64.
pub(crate) fn is_of_servers(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"));
    first.is_some_and(|line| is_server(line) || is_subscription(line))
}

fn is_server(line: &[u8]) -> bool {
    SERVERS.iter().any(|begin| line.starts_with(begin))
}

/// Whether a text is base64 of addresses of servers: it is told by its first ones.
fn is_subscription(text: &[u8]) -> bool {
    is_server(&base64::beginning(text))
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
            "zone \"a.test.\" {",
            "  type forward;".trim(),
            "apnic|JP|ipv4|192.0.2.0|256|20110412|allocated",
            "\"2024-01-01\",\"192.0.2.1\",\"443\"",
            "route add -net 192.0.2.0 netmask 255.255.255.0 gw 10.0.0.1",
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
