//! Configurations of programs whose languages are not read: each is named, with what to do.
//!
//! Invariant: a text is told by what its program alone writes, never by a line that is odd among others; what is told
//! here would be an error in every language that is read.

use serde_json::Value;

use crate::json;
use crate::list;
pub use crate::list::Stranger;
use crate::yaml::{self, Parsed};

const OTHERS: &str =
    "`pointsman convert` reads configurations of Clash and sing-box: most providers have them, too";
const SURGE: Stranger = Stranger {
    what: "a configuration of Surge (or of Shadowrocket, Loon)",
    todo: OTHERS,
};
const QUANTUMULT: Stranger = Stranger {
    what: "a configuration of Quantumult X",
    todo: OTHERS,
};
const WIREGUARD: Stranger = Stranger {
    what: "a configuration of WireGuard",
    todo: "let `wg-quick` make the link, and name it in an outbound: `{ type: direct, interface: wg0 }`",
};
const DAE: Stranger = Stranger {
    what: "a configuration of dae",
    todo: "write its rules natively: `domain(suffix: a.example) -> proxy` is `DOMAIN-SUFFIX, a.example, proxy`",
};
const V2RAY: Stranger = Stranger {
    what: "a configuration of V2Ray (Xray)",
    todo: OTHERS,
};
const SHADOWSOCKS: Stranger = Stranger {
    what: "a configuration of Shadowsocks",
    todo: "let `sslocal` serve it on a local SOCKS5 port, and name that port in an outbound of type `socks5`",
};
const SUBSCRIPTION: Stranger = Stranger {
    what: "a subscription to proxy servers",
    todo: "ask who provides it for its form for Clash or sing-box, which `pointsman convert` reads",
};
const RULE_PROVIDER: Stranger = Stranger {
    what: "a list of rules for Clash (a rule provider)",
    todo: "name it in a configuration: `rule_sets: { NAME: { path: FILE } }`",
};
const PROXY_PROVIDER: Stranger = Stranger {
    what: "a list of proxies for Clash (a proxy provider)",
    todo: "put its `proxies` into the configuration of Clash that uses it, and convert that",
};

/// Tells such a text; `parsed` is what it is as YAML.
pub fn tell(text: &str, parsed: &Parsed) -> Option<Stranger> {
    if json::begins_object(text) {
        return json::value(text).ok().as_ref().and_then(of_json);
    }
    if list::is_of_servers(text.as_bytes()) {
        return Some(SUBSCRIPTION);
    }
    of_keys(parsed).or_else(|| of_sections(text))
}

fn of_json(root: &Value) -> Option<Stranger> {
    let first = |key: &str| root[key].get(0);
    let speaks = |key: &str| first(key).is_some_and(|one| one["protocol"].is_string());
    let is_server = |one: &Value| !one["server_port"].is_null() && one["method"].is_string();
    if speaks("outbounds") || speaks("inbounds") {
        Some(V2RAY)
    } else if is_server(root) {
        Some(SHADOWSOCKS)
    } else if first("servers").is_some_and(is_server) {
        Some(SUBSCRIPTION)
    } else {
        None
    }
}

/// Lists that stand alone in a file of Clash's.
fn of_keys(parsed: &Parsed) -> Option<Stranger> {
    let Some(yaml::Value::Map(pairs)) = parsed.root().map(|root| &root.value) else {
        return None;
    };
    match pairs.as_slice() {
        [(key, value)] if matches!(value.value, yaml::Value::List(_)) => match key.scalar() {
            Some("payload") => Some(RULE_PROVIDER),
            Some("proxies") => Some(PROXY_PROVIDER),
            _ => None,
        },
        _ => None,
    }
}

/// Files of sections in square brackets, and those of dae's in braces.
fn of_sections(text: &str) -> Option<Stranger> {
    let lines = || text.lines().map(str::trim);
    let has = |section: &str| lines().any(|line| line.eq_ignore_ascii_case(section));
    let opens = |section: &str| {
        let mut rests = lines().filter_map(|line| line.strip_prefix(section));
        rests.any(|rest| rest.trim() == "{")
    };
    if has("[Interface]") && has("[Peer]") {
        Some(WIREGUARD)
    } else if has("[filter_local]") || has("[filter_remote]") || has("[server_local]") {
        Some(QUANTUMULT)
    } else if has("[General]") && (has("[Rule]") || has("[Proxy]")) {
        Some(SURGE)
    } else if opens("routing") && (opens("global") || opens("group") || opens("node")) {
        Some(DAE)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Source;

    #[test]
    fn strangers_are_named() {
        let check = |text: &str, expected| {
            let parsed = Parsed::of(&Source::new("c", text.to_owned()));
            assert_eq!(tell(text, &parsed), expected, "{text}");
        };
        check(
            "#!MANAGED-CONFIG x\n[General]\nloglevel = notify\n[Rule]\nFINAL,DIRECT\n",
            Some(SURGE),
        );
        check(
            "[general]\n[filter_local]\nfinal, direct\n",
            Some(QUANTUMULT),
        );
        check(
            "[Interface]\nAddress = 10.0.0.2/32\n\n[Peer]\n",
            Some(WIREGUARD),
        );
        check(
            "global {\n  log_level: info\n}\nrouting {\n  fallback: direct\n}\n",
            Some(DAE),
        );
        check("ss://x@192.0.2.1:1#a\n", Some(SUBSCRIPTION));
        check(
            "#profile-title: x\n\nvless://x@192.0.2.1:1#a\n",
            Some(SUBSCRIPTION),
        );
        check("dm1lc3M6Ly9leUoySWpvZ0lqSWlm", Some(SUBSCRIPTION));
        check(
            r#"{"outbounds": [{"protocol": "freedom"}], "routing": {}}"#,
            Some(V2RAY),
        );
        check(
            r#"{"inbounds": [{"port": 1, "protocol": "socks"}]}"#,
            Some(V2RAY),
        );
        let server = r#"{"server": "192.0.2.1", "server_port": 1, "method": "none"}"#;
        check(server, Some(SHADOWSOCKS));
        check(
            &format!(r#"{{"version": 1, "servers": [{server}]}}"#),
            Some(SUBSCRIPTION),
        );
        check("payload:\n- a.test\n", Some(RULE_PROVIDER));
        check("proxies:\n- { name: a }\n", Some(PROXY_PROVIDER));
        let v2ray = Source::new(
            "c",
            r#"{"inbounds": [{"protocol": "socks"}], "outbounds": [{"protocol": "freedom"}]}"#
                .to_owned(),
        );
        assert!(crate::dialect::foreign::Document::tell(&v2ray).is_err());
        for own in [
            "",
            "version: 1\nrules: [FALLBACK, DIRECT]\n",
            "{version: 1}",
            r#"{"version": 1, "outbounds": {}}"#,
            "proxies: []\nother: 1\n",
            "payload: 1\n",
            "[a.test]\n",
            "routing {\n}\n",
        ] {
            check(own, None);
        }
    }
}
