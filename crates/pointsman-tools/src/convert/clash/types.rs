//! The types that Clash takes for the keys that are read here.

use super::super::types::{FLAG, KeyTypes, LIST, MAP, NUMBER, TEXT, TEXTS, Tree};
use super::{is_off, is_on};
use pointsman_config::yaml::{Node, Style, Value};

/// Not here: users and lists of clients, of which each other value lets nobody in, and is told so.
pub(super) const TABLE: &KeyTypes<'_> = &[
    ("allow-lan", FLAG),
    ("bind-address", TEXT),
    ("dns", MAP),
    ("dns.direct-nameserver", TEXTS),
    ("dns.direct-nameserver.[]", TEXT),
    ("dns.enable", FLAG),
    ("dns.fallback", TEXTS),
    ("dns.fallback.[]", TEXT),
    ("dns.fallback-filter", MAP),
    ("dns.fallback-filter.domain", LIST),
    ("dns.fallback-filter.domain.[]", TEXT),
    ("dns.fallback-filter.geosite", LIST),
    ("dns.fallback-filter.geosite.[]", TEXT),
    ("dns.ipv6", FLAG),
    ("dns.nameserver", TEXTS),
    ("dns.nameserver.[]", TEXT),
    ("dns.nameserver-policy", MAP),
    ("dns.nameserver-policy.{}", TEXTS),
    ("dns.nameserver-policy.{}.[]", TEXT),
    ("dns.proxy-server-nameserver", TEXTS),
    ("dns.proxy-server-nameserver.[]", TEXT),
    ("dns.respect-rules", FLAG),
    ("geox-url", MAP),
    ("geox-url.{}", TEXT),
    ("hosts", MAP),
    ("hosts.{}", TEXTS),
    ("hosts.{}.[]", TEXT),
    ("interface-name", TEXT),
    ("ipv6", FLAG),
    ("listeners", LIST),
    ("listeners.[]", MAP),
    ("listeners.[].listen", TEXT),
    ("listeners.[].name", TEXT),
    ("listeners.[].port", TEXT),
    ("listeners.[].type", TEXT),
    ("listeners.[].udp", FLAG),
    ("log-level", TEXT),
    ("mixed-port", TEXT),
    ("mode", TEXT),
    ("port", TEXT),
    ("proxies", LIST),
    ("proxies.[]", MAP),
    ("proxies.[].dialer-proxy", TEXT),
    ("proxies.[].interface-name", TEXT),
    ("proxies.[].name", TEXT),
    ("proxies.[].password", TEXT),
    ("proxies.[].port", TEXT),
    ("proxies.[].routing-mark", NUMBER),
    ("proxies.[].server", TEXT),
    ("proxies.[].tls", FLAG),
    ("proxies.[].type", TEXT),
    ("proxies.[].udp", FLAG),
    ("proxies.[].uot", FLAG),
    ("proxies.[].username", TEXT),
    ("proxy-groups", LIST),
    ("proxy-groups.[]", MAP),
    ("proxy-groups.[].disable-udp", FLAG),
    ("proxy-groups.[].exclude-filter", TEXT),
    ("proxy-groups.[].exclude-type", TEXT),
    ("proxy-groups.[].filter", TEXT),
    ("proxy-groups.[].include-all", FLAG),
    ("proxy-groups.[].include-all-providers", FLAG),
    ("proxy-groups.[].include-all-proxies", FLAG),
    ("proxy-groups.[].name", TEXT),
    ("proxy-groups.[].proxies", LIST),
    ("proxy-groups.[].proxies.[]", TEXT),
    ("proxy-groups.[].type", TEXT),
    ("proxy-groups.[].use", LIST),
    ("proxy-groups.[].use.[]", TEXT),
    ("proxy-providers", MAP),
    ("proxy-providers.{}", MAP),
    ("redir-port", TEXT),
    ("routing-mark", NUMBER),
    ("rule-providers", MAP),
    ("rule-providers.{}", MAP),
    ("rule-providers.{}.behavior", TEXT),
    ("rule-providers.{}.format", TEXT),
    ("rule-providers.{}.interval", NUMBER),
    ("rule-providers.{}.path", TEXT),
    ("rule-providers.{}.payload", LIST),
    ("rule-providers.{}.payload.[]", TEXT),
    ("rule-providers.{}.proxy", TEXT),
    ("rule-providers.{}.size-limit", NUMBER),
    ("rule-providers.{}.type", TEXT),
    ("rule-providers.{}.url", TEXT),
    ("rules", LIST),
    ("rules.[]", TEXT),
    ("skip-auth-prefixes", LIST),
    ("skip-auth-prefixes.[]", TEXT),
    ("sniffer", MAP),
    ("sniffer.enable", FLAG),
    ("sniffer.override-destination", FLAG),
    ("socks-port", TEXT),
    ("sub-rules", MAP),
    ("sub-rules.{}", LIST),
    ("sub-rules.{}.[]", TEXT),
    ("tproxy-port", TEXT),
    ("tun", MAP),
    ("tun.enable", FLAG),
    ("tunnels", LIST),
];

impl Tree for Node {
    fn types(&self) -> u8 {
        match &self.value {
            _ if self.is_null() => 0,
            Value::List(_) => LIST,
            Value::Map(_) => MAP,
            Value::Scalar(text, style) => {
                let digits = text.strip_prefix("0x").unwrap_or(text).replace('_', "");
                let number = u64::from_str_radix(&digits, 16).is_ok() && text.starts_with("0x")
                    || digits.parse::<f64>().is_ok();
                let flag = *style == Style::Plain && (number || is_on(self) || is_off(self));
                TEXT | if number { NUMBER } else { 0 } | if flag { FLAG } else { 0 }
            }
        }
    }

    fn under(&self, key: &str) -> Option<&Self> {
        super::get(self, key)
    }

    fn each(&self) -> Vec<&Self> {
        super::items(Some(self)).iter().collect()
    }

    fn keys(&self) -> Vec<&str> {
        let pairs = super::pairs(Some(self)).iter();
        pairs.filter_map(|(key, _)| key.scalar()).collect()
    }
}
