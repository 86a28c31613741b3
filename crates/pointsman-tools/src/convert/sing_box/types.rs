//! The types that sing-box takes for the keys that are read here.

use serde_json::Value;

use super::super::types::{FLAG, KeyTypes, LIST, MAP, NUMBER, TEXT, TEXTS, Tree};

/// One number or several.
const NUMBERS: u8 = NUMBER | TEXT | LIST;
const MARK: u8 = NUMBER | TEXT;
const TEXT_OR_MAP: u8 = TEXT | MAP;

/// All but rules, and users: each other value of these lets nobody in, and is told so.
pub(super) const TABLE: &KeyTypes<'_> = &[
    ("dns", MAP),
    ("dns.final", TEXT),
    ("dns.rules", LIST),
    ("dns.rules.[]", MAP),
    ("dns.rules.[].domain.[]", TEXT),
    ("dns.rules.[].domain_suffix.[]", TEXT),
    ("dns.rules.[].server", TEXT),
    ("dns.servers", LIST),
    ("dns.servers.[]", MAP),
    ("dns.servers.[].address", TEXT),
    ("dns.servers.[].detour", TEXT),
    ("dns.servers.[].path", TEXTS),
    ("dns.servers.[].path.[]", TEXT),
    ("dns.servers.[].predefined", MAP),
    ("dns.servers.[].server", TEXT),
    ("dns.servers.[].server_port", NUMBER),
    ("dns.servers.[].tag", TEXT),
    ("dns.servers.[].type", TEXT),
    ("dns.strategy", TEXT),
    ("endpoints", LIST),
    ("endpoints.[]", MAP),
    ("endpoints.[].detour", TEXT),
    ("endpoints.[].tag", TEXT),
    ("endpoints.[].type", TEXT),
    ("inbounds", LIST),
    ("inbounds.[]", MAP),
    ("inbounds.[].domain_strategy", TEXT),
    ("inbounds.[].listen", TEXT),
    ("inbounds.[].listen_port", NUMBER),
    ("inbounds.[].sniff", FLAG),
    ("inbounds.[].sniff_override_destination", FLAG),
    ("inbounds.[].tag", TEXT),
    ("inbounds.[].tls", MAP),
    ("inbounds.[].tls.enabled", FLAG),
    ("inbounds.[].type", TEXT),
    ("log", MAP),
    ("log.disabled", FLAG),
    ("log.level", TEXT),
    ("log.output", TEXT),
    ("outbounds", LIST),
    ("outbounds.[]", MAP),
    ("outbounds.[].bind_interface", TEXT),
    ("outbounds.[].default", TEXT),
    ("outbounds.[].detour", TEXT),
    ("outbounds.[].domain_resolver", TEXT_OR_MAP),
    ("outbounds.[].domain_resolver.server", TEXT),
    ("outbounds.[].inet4_bind_address", TEXT),
    ("outbounds.[].network", TEXTS),
    ("outbounds.[].network.[]", TEXT),
    ("outbounds.[].outbounds", LIST),
    ("outbounds.[].outbounds.[]", TEXT),
    ("outbounds.[].password", TEXT),
    ("outbounds.[].routing_mark", MARK),
    ("outbounds.[].server", TEXT),
    ("outbounds.[].server_port", NUMBER),
    ("outbounds.[].tag", TEXT),
    ("outbounds.[].tls", MAP),
    ("outbounds.[].tls.enabled", FLAG),
    ("outbounds.[].type", TEXT),
    ("outbounds.[].username", TEXT),
    // shadowtls numbers its versions.
    ("outbounds.[].version", TEXT | NUMBER),
    ("route", MAP),
    ("route.default_domain_resolver", TEXT_OR_MAP),
    ("route.default_domain_resolver.server", TEXT),
    ("route.default_interface", TEXT),
    ("route.default_mark", MARK),
    ("route.final", TEXT),
    ("route.rule_set", LIST),
    ("route.rule_set.[]", MAP),
    ("route.rule_set.[].download_detour", TEXT),
    ("route.rule_set.[].format", TEXT),
    ("route.rule_set.[].path", TEXT),
    ("route.rule_set.[].rules", LIST),
    ("route.rule_set.[].rules.[]", MAP),
    ("route.rule_set.[].type", TEXT),
    ("route.rule_set.[].update_interval", TEXT),
    ("route.rule_set.[].url", TEXT),
    ("route.rules", LIST),
    ("route.rules.[]", MAP),
    ("route.rules.[].outbound", TEXT),
];

/// Where rules stand.
pub(super) const RULES: [&str; 3] = [
    "dns.rules.[].*.",
    "route.rule_set.[].rules.[].*.",
    "route.rules.[].*.",
];

/// A rule's keys. Conditions that are not built stand here, too: `false` asks for nothing, and would
/// take a condition away.
pub(super) const RULE: &KeyTypes<'_> = &[
    ("action", TEXT),
    ("auth_user", TEXTS),
    ("client", TEXTS),
    ("clash_mode", TEXT),
    ("default_interface_address", TEXTS | MAP),
    ("domain", TEXTS),
    ("domain_keyword", TEXTS),
    ("domain_regex", TEXTS),
    ("domain_suffix", TEXTS),
    ("geoip", TEXTS),
    ("geosite", TEXTS),
    ("inbound", TEXTS),
    ("interface_address", TEXTS | MAP),
    ("invert", FLAG),
    ("ip_accept_any", FLAG),
    ("ip_cidr", TEXTS),
    ("ip_is_private", FLAG),
    ("ip_version", NUMBER),
    ("method", TEXT),
    ("mode", TEXT),
    ("network", TEXTS),
    ("network_interface_address", MAP),
    ("network_type", TEXTS),
    ("outbound", TEXTS),
    ("package_name", TEXTS),
    ("port", NUMBERS),
    ("port_range", TEXTS),
    ("preferred_by", TEXTS),
    ("process_name", TEXTS),
    ("process_path", TEXTS),
    ("process_path_regex", TEXTS),
    ("protocol", TEXTS),
    ("query_type", NUMBERS),
    ("rule_set", TEXTS),
    ("rules", LIST),
    ("sniffer", TEXTS),
    ("sniffer.[]", TEXT),
    ("source_geoip", TEXTS),
    ("source_ip_cidr", TEXTS),
    ("source_ip_is_private", FLAG),
    ("source_mac_address", TEXTS),
    ("source_hostname", TEXTS),
    ("source_port", NUMBERS),
    ("source_port_range", TEXTS),
    ("type", TEXT),
    ("user", TEXTS),
    ("user_id", NUMBERS),
    ("wifi_bssid", TEXTS),
    ("wifi_ssid", TEXTS),
];

impl Tree for Value {
    fn types(&self) -> u8 {
        match self {
            Self::Array(_) => LIST,
            Self::Bool(_) => FLAG,
            Self::Null => 0,
            Self::Number(_) => NUMBER,
            Self::Object(_) => MAP,
            Self::String(_) => TEXT,
        }
    }

    fn under(&self, key: &str) -> Option<&Self> {
        self.get(key)
    }

    fn each(&self) -> Vec<&Self> {
        super::items(self).iter().collect()
    }

    fn keys(&self) -> Vec<&str> {
        let object = self.as_object().into_iter().flatten();
        object.map(|(key, _)| key.as_str()).collect()
    }
}
