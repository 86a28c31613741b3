//! Which names sing-box asks of which servers.
//!
//! Invariant: no name is asked of a server that sing-box would not ask, nor by another way; a server
//! that cannot be written stands as one that gives no answer.

use pointsman_policy::Domain;
use serde_json::Value;

use super::super::draft::Section;
use super::super::emit::text;
use super::route::OTHER_MODE;
use super::servers::own_tag;
use super::{SingBox, items, shown, strings, text_of};

/// The upstream of names whose questions are refused.
const REFUSED: &str = "no-answer";

/// Names that a rule sends to an upstream, in the order of the rules: the first that holds counts.
struct DnsRule {
    name: Domain,
    which: Which,
    upstream: String,
    place: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Alone,
    Below,
    WithBelow,
}

impl DnsRule {
    fn holds(&self, name: &Domain) -> bool {
        match self.which {
            Which::Alone => self.name == *name,
            Which::Below => name != &self.name && name.is_within(&self.name),
            Which::WithBelow => name.is_within(&self.name),
        }
    }

    /// Whether it holds for all names that `other` holds for.
    fn covers(&self, other: &Self) -> bool {
        match (self.which, other.which) {
            (Which::Alone, Which::Alone) => self.name == other.name,
            (Which::Alone, _) => false,
            (_, Which::WithBelow | Which::Alone) => self.holds(&other.name),
            (_, Which::Below) => other.name.is_within(&self.name),
        }
    }
}

impl SingBox<'_> {
    /// What looks up the names of servers, where it is not what looks up all others.
    pub(super) fn server_resolver(&self) -> Option<String> {
        let given = &self.root["route"]["default_domain_resolver"];
        if let Some(tag) = text_of(given).or_else(|| text_of(&given["server"])) {
            return Some(own_tag(tag));
        }
        // Until 1.12 a rule said so.
        let rules = items(&self.root["dns"]["rules"]).iter();
        let rule = rules
            .filter(|rule| strings(&rule["outbound"]).is_some_and(|o| o == ["any"]))
            .find(|rule| {
                let mut keys = rule.as_object().into_iter().flatten();
                keys.all(|(key, value)| {
                    ["action", "disable_cache", "outbound", "server"].contains(&key.as_str())
                        || value.is_null()
                })
            });
        rule.and_then(|rule| rule["server"].as_str()).map(own_tag)
    }

    /// Whether rules look names up, so that not only what goes direct is looked up.
    pub(super) fn resolves(&self) -> bool {
        let rules = items(&self.root["route"]["rules"]).iter();
        rules.into_iter().any(|rule| rule["action"] == "resolve")
    }

    /// The server that answers where no rule names another.
    pub(super) fn final_server(&self) -> Option<String> {
        let dns = &self.root["dns"];
        let tagged = |(number, server): (usize, &Value)| match text_of(&server["tag"]) {
            Some(tag) => own_tag(tag),
            None => format!("dns-{number}"),
        };
        let first = items(&dns["servers"]).iter().enumerate().next().map(tagged);
        text_of(&dns["final"]).map(own_tag).or(first)
    }

    pub(super) fn dns(&mut self) {
        let root = self.root;
        let dns = &root["dns"];
        let known = ["final", "rules", "servers", "strategy"];
        let quiet = [
            // One that is not switched on does nothing.
            if dns["fakeip"]["enabled"] == true {
                ""
            } else {
                "fakeip"
            },
            "cache_capacity",
            "disable_cache",
            "disable_expire",
            "independent_cache",
            "reverse_mapping",
        ];
        self.unknown("dns", dns, &known, &quiet);
        for (number, server) in items(&dns["servers"]).iter().enumerate() {
            self.name_server(number, server);
        }
        let family = match dns["strategy"].as_str() {
            Some("prefer_ipv4") => Some("prefer-ipv4"),
            Some("prefer_ipv6") => Some("prefer-ipv6"),
            Some("ipv4_only") => Some("ipv4"),
            Some("ipv6_only") => Some("ipv6"),
            _ => None,
        };
        let Some(last) = self.final_server() else {
            self.draft.dns.some("family", family);
            return;
        };
        self.stand_in(&last, "dns.final");
        self.no_name_here(&last);
        let of_servers = self.server_resolver().filter(|tag| *tag != last);
        if let Some(tag) = &of_servers {
            self.stand_in(tag, "route.default_domain_resolver");
            self.no_name_here(tag);
            if self.resolves() {
                let place = self.place("route.default_domain_resolver");
                let what = format!(
                    "names that go direct are asked of `{last}`, as those of `resolve` are"
                );
                self.draft.report.lost(place, what);
            }
        }
        let resolver = of_servers.unwrap_or_else(|| last.clone());
        self.draft.dns.text("resolver", &resolver);
        self.draft.dns.some("family", family);
        self.dns_rules(&last);
    }

    /// Makes sure that an upstream of this name is there.
    fn stand_in(&mut self, tag: &str, part: &str) {
        let place = self.place(part);
        self.stand_in_at(tag, &place);
    }

    fn stand_in_at(&mut self, tag: &str, place: &str) {
        if let Some(hosts) = self.hosts.get_mut(tag) {
            hosts.asked = true;
        } else if !self.draft.has(Section::Upstreams, tag) {
            let what =
                format!("there is no name server `{tag}`: what is asked of it gets no answer");
            self.draft.report.lost(place, what);
            self.draft.silent(tag, place);
        }
    }

    /// Makes sure that there is an upstream for the names that a server of type `hosts` does not have.
    fn no_name_here(&mut self, tag: &str) {
        let hosts = self.hosts.get(tag).map(|hosts| hosts.place.clone());
        if let Some(place) = hosts.filter(|_| !self.draft.has(Section::Upstreams, tag)) {
            self.draft.silent(tag, &place);
        }
    }

    /// The rules that name servers by names alone; the others are told.
    fn dns_rules(&mut self, last: &str) {
        let root = self.root;
        let mut rules: Vec<DnsRule> = Vec::new();
        let mut astray = Vec::new();
        for (number, rule) in items(&root["dns"]["rules"]).iter().enumerate() {
            let part = format!("dns.rules[{number}]");
            let place = self.place(&part);
            if let Err(why) = self.dns_rule(rule, &place, &mut rules) {
                let what = format!(
                    "`{}` is left out ({why}): its names are asked as the rules below and `final` say",
                    shown(rule)
                );
                self.draft.report.lost(&place, what);
                let server = rule["server"].as_str().map(own_tag);
                if server.is_none_or(|tag| tag != last) {
                    astray.push(shown(rule));
                }
            }
        }
        self.draft.astray(&astray, last);
        self.fixed_names(|name| {
            let first = rules.iter().find(|rule| rule.holds(name));
            first.map_or(last, |first| &first.upstream).to_owned()
        });
        // The most specific name counts natively: what an earlier rule took stays with that.
        for at in 0..rules.len() {
            let (before, rest) = rules.split_at(at);
            let Some(one) = rest
                .first()
                .filter(|one| !before.iter().any(|b| b.covers(one)))
            else {
                continue;
            };
            let key = match one.which {
                Which::Alone => format!("={}", one.name.as_str()),
                Which::Below | Which::WithBelow => one.name.as_str().to_owned(),
            };
            let fixed = one.which == Which::Alone
                && self.draft.has(Section::Hosts, one.name.as_str())
                && self.hosts.contains_key(&one.upstream);
            if !fixed && !self.draft.has(Section::Domains, &key) {
                self.no_name_here(&one.upstream);
                self.draft
                    .entry(Section::Domains, &key, text(&one.upstream), &one.place);
            }
            let alone = format!("={}", one.name.as_str());
            if one.which == Which::Below && !self.draft.has(Section::Domains, &alone) {
                let found = rules.iter().find(|rule| rule.holds(&one.name));
                let upstream = found.map_or(last, |found| &found.upstream);
                self.no_name_here(upstream);
                self.draft
                    .entry(Section::Domains, &alone, text(upstream), &one.place);
            }
        }
    }

    fn dns_rule(
        &mut self,
        rule: &Value,
        place: &str,
        rules: &mut Vec<DnsRule>,
    ) -> Result<(), String> {
        if strings(&rule["outbound"]).is_some_and(|of| of == ["any"])
            && self.server_resolver().is_some()
        {
            return Ok(());
        }
        let action = rule["action"].as_str().unwrap_or("route");
        let server = rule["server"].as_str().map(own_tag);
        if action == "route" && server.is_some_and(|tag| self.is_fake(&tag)) {
            return Ok(());
        }
        let known = [
            "action",
            "answer",
            "clash_mode",
            "disable_cache",
            "domain",
            "domain_suffix",
            "extra",
            "ip_accept_any",
            "method",
            "no_drop",
            "ns",
            "preferred_by",
            "query_type",
            "rcode",
            "rewrite_ttl",
            "server",
            "type",
        ];
        let mut keys = rule.as_object().into_iter().flatten();
        if let Some((key, _)) = keys.find(|(key, value)| {
            !known.contains(&key.as_str()) && !value.is_null() && **value != false
        }) {
            return Err(format!(
                "it asks for `{key}`; here only the name decides which server is asked"
            ));
        }
        let asks = |four: &str, number: &str| {
            let types = strings(&rule["query_type"]).unwrap_or_default();
            types.is_empty()
                || types
                    .iter()
                    .any(|one| one.eq_ignore_ascii_case(four) || one == number)
        };
        match (asks("A", "1"), asks("AAAA", "28")) {
            (true, true) => {}
            // Addresses alone are looked up here.
            (false, false) if rule["invert"] != true => {
                let what = format!(
                    "`{}` is left out: it is about records that are not looked up here",
                    shown(rule)
                );
                self.draft.report.note(place, what);
                return Ok(());
            }
            _ => {
                return Err(
                    "it asks for `query_type`; here only the name decides which server is asked"
                        .to_owned(),
                );
            }
        }
        let modes = strings(&rule["clash_mode"]).unwrap_or_default();
        let holds = |mode: &String| Some(mode.to_lowercase()) == self.mode();
        if !modes.is_empty() && !modes.iter().any(holds) {
            let what = format!("`{}` is left out: {OTHER_MODE}", shown(rule));
            self.draft.report.note(place, what);
            return Ok(());
        }
        let list = |key: &str| {
            strings(&rule[key]).ok_or_else(|| format!("`{key}` is not a list of names"))
        };
        let (names, suffixes) = (list("domain")?, list("domain_suffix")?);
        let given = self.given_names(rule)?;
        if names.is_empty() && suffixes.is_empty() && given.is_none() {
            return Err("it names no names".to_owned());
        }
        let upstream = match action {
            "route" => {
                let tag = rule["server"].as_str().ok_or("it names no server")?;
                let tag = own_tag(tag);
                self.stand_in_at(&tag, place);
                tag
            }
            "reject" => self.refused(place),
            action => {
                let what = format!(
                    "the action `{action}` is not built yet: the names of `{}` get no answer",
                    shown(rule)
                );
                self.draft.report.lost(place, what);
                self.refused(place)
            }
        };
        // Of names that a server of type `hosts` has, the rule takes those that it names.
        let before = rules.len();
        let mut add = |name: &str, which| match Domain::parse(name) {
            Ok(name) => rules.push(DnsRule {
                name,
                which,
                upstream: upstream.clone(),
                place: place.to_owned(),
            }),
            Err(why) => {
                let what = format!("`{name}` is left out: {why}");
                self.draft.report.lost(place, what);
            }
        };
        for name in &names {
            add(name, Which::Alone);
        }
        for name in &suffixes {
            match name.strip_prefix('.') {
                Some(bare) => add(bare, Which::Below),
                None => add(name, Which::WithBelow),
            }
        }
        if let Some(given) = given {
            let named = rules.split_off(before);
            let all = names.is_empty() && suffixes.is_empty();
            let taken = given
                .into_iter()
                .filter(|name| all || named.iter().any(|rule| rule.holds(name)));
            rules.extend(taken.map(|name| DnsRule {
                name,
                which: Which::Alone,
                upstream: upstream.clone(),
                place: place.to_owned(),
            }));
        }
        Ok(())
    }

    /// The names to which a rule limits itself by what servers of type `hosts` have.
    fn given_names(&self, rule: &Value) -> Result<Option<Vec<Domain>>, String> {
        let mut tags = strings(&rule["preferred_by"]).unwrap_or_default();
        if rule["ip_accept_any"] == true {
            tags.extend(rule["server"].as_str().map(str::to_owned));
            if !rule["preferred_by"].is_null() {
                return Err("it asks for `ip_accept_any` and `preferred_by`".to_owned());
            }
        }
        let mut names = Vec::new();
        for tag in &tags {
            let Some(hosts) = self.hosts.get(&own_tag(tag)) else {
                let key = match rule["ip_accept_any"] == true {
                    true => "ip_accept_any",
                    false => "preferred_by",
                };
                return Err(format!(
                    "it asks for `{key}` of `{tag}`; here only the name decides which server is asked"
                ));
            };
            names.extend(hosts.names.keys().cloned());
        }
        Ok((!tags.is_empty()).then_some(names))
    }

    /// The upstream that gives no answer, for names whose questions are refused.
    fn refused(&mut self, place: &str) -> String {
        let tags = items(&self.root["dns"]["servers"]);
        let mut name = REFUSED.to_owned();
        while tags.iter().any(|server| server["tag"] == name.as_str()) {
            name.push_str("-2");
        }
        if !self.draft.has(Section::Upstreams, &name) {
            self.draft.silent(&name, place);
        }
        name
    }
}
