//! Which names Clash asks of which servers, and its fixed addresses.

use pointsman_policy::line::word;
use std::net::{IpAddr, SocketAddr};

use pointsman_policy::Domain;

use super::super::dns::LOCAL_NAMES;
use super::super::draft::{Section, Served};
use super::super::emit::{list, quoted, text};
use super::super::rules::Ranges;
use super::servers::InStead;
use super::{Clash, get, is_on, items, pairs, place};
use pointsman_config::clash_rule::Base;
use pointsman_config::yaml::{Node, Value};

/// The upstream that answers where no other is named.
const USUAL: &str = "nameserver";

/// Keys that are written or told of one by one.
const KNOWN: [&str; 11] = [
    "direct-nameserver",
    "enable",
    "enhanced-mode",
    "fallback",
    "fallback-filter",
    "ipv6",
    "listen",
    "nameserver",
    "nameserver-policy",
    "proxy-server-nameserver",
    "respect-rules",
];

/// Keys that say how and what Clash itself answers, or how fast.
const QUIET: [&str; 14] = [
    "cache-algorithm",
    "cache-max-size",
    "default-nameserver",
    "direct-nameserver-follow-policy",
    "fake-ip-filter",
    "fake-ip-filter-mode",
    "fake-ip-range",
    "fake-ip-range6",
    "fake-ip-ttl",
    "ipv6-timeout",
    "prefer-h3",
    "use-hosts",
    "use-system-hosts",
    "fallback-lazy-query",
];

impl Clash<'_> {
    pub(super) fn dns(&mut self) {
        let root = self.root;
        self.hosts();
        let off = |node| get(node, "ipv6").is_some_and(super::is_off);
        let Some(dns) = get(root, "dns") else {
            if off(root) {
                self.draft.dns.text("family", "ipv4");
            }
            return;
        };
        if !get(dns, "enable").is_some_and(is_on) {
            let what = "`dns` is not switched on: the system's resolver answers, as in Clash";
            self.draft.report.note(place(dns), what);
            if off(root) {
                self.draft.dns.text("family", "ipv4");
            }
            return;
        }
        let respects = get(dns, "respect-rules").filter(|node| is_on(node));
        let usual = get(dns, "nameserver");
        let at = usual.map_or_else(|| place(dns), place);
        self.upstream(USUAL, usual, respects.is_some(), InStead::Plain, &at);
        if respects.is_some() && self.draft.known.silent.contains(USUAL) {
            self.by_rules();
        }
        if let Some(node) = get(dns, "proxy-server-nameserver").filter(|node| super::says(node)) {
            let name = "proxy-server-nameserver";
            self.upstream(name, Some(node), false, InStead::Plain, &place(node));
            self.draft.dns.text("resolver", "proxy-server-nameserver");
            if get(dns, "nameserver-policy").is_some_and(super::says) {
                let what = "names of proxies that `nameserver-policy` has are asked as it says, not of `proxy-server-nameserver`";
                self.draft.report.lost(place(node), what);
            }
        }
        if let Some(node) = get(dns, "direct-nameserver").filter(|node| super::says(node)) {
            let what = "`direct-nameserver` is not carried over: what goes direct is looked up as all other names";
            self.draft.report.lost(place(node), what);
        }
        let v6 = get(dns, "ipv6").is_some_and(is_on) && !off(root);
        self.served(dns, v6);
        let mut upstreams = self.policies(dns, respects.is_some());
        upstreams.extend(self.fallbacks(dns, respects.is_some()));
        self.domains(&upstreams);
        if !v6 {
            self.draft.dns.text("family", "ipv4");
        }
        let astray = std::mem::take(&mut self.astray);
        self.draft.astray(&astray, USUAL);
        self.asked_by_others(dns);
        let known = [&KNOWN[..], &self.used].concat();
        self.unknown("`dns`", dns, &known, &QUIET);
    }

    /// The DNS server for others; `v6`: it says addresses of IPv6.
    fn served(&mut self, dns: &Node, v6: bool) {
        let Some(node) = listens(dns) else { return };
        let at = place(node);
        let Some(listen) = node.scalar().and_then(address) else {
            return self.draft.not_served(&at, "`listen` is no address");
        };
        if !listen.ip().is_loopback() {
            let what = "say who may ask the DNS server: `dns: { listen: { address: \"udp://ADDRESS\", allow: [RANGE] } }`";
            self.draft.known.next.push(what.to_owned());
        }
        self.draft.served = Some(Served::new(format!("udp://{listen}"), USUAL, &at));
        let mut differs = vec![LOCAL_NAMES.to_owned()];
        if !v6 {
            let what = "the DNS server tells clients addresses of IPv6 (AAAA), which Clash does not without `ipv6: true`";
            differs.push(what.to_owned());
        }
        for what in differs {
            self.draft.report.lost(&at, &*what);
            self.draft.known.changed.push(what);
        }
    }

    /// What those hear who ask this name server.
    fn asked_by_others(&mut self, dns: &Node) {
        let mode = get(dns, "enhanced-mode").filter(|node| super::says(node));
        match mode.map(|node| (node, node.scalar())) {
            Some((node, Some("fake-ip"))) => {
                let range = get(dns, "fake-ip-range").and_then(Node::scalar);
                let range = range.map_or_else(String::new, |range| format!(" v4: {range} "));
                let what = format!(
                    "`enhanced-mode: fake-ip` is not carried over: clients get no addresses that stand for names, and a flow \
                     to an address has the name that its client was told it for, where that is one; \
                     `fake_ip: {{{range}}}` and rules of `dns.rules` that end in `fake` give names such addresses"
                );
                self.draft.report.lost(place(node), &*what);
            }
            Some((node, _)) => {
                let what = "`enhanced-mode` of `dns` is not carried over";
                self.draft.report.note(place(node), what);
            }
            None => {}
        }
    }

    /// Says what to do where the rules choose by which outbound the usual servers are asked: here somebody has to.
    fn by_rules(&mut self) {
        let what = "`respect-rules: true`: the rules choose by which outbound Clash asks its name servers; here each server has \
                    one outbound, which you have to choose, so none is asked";
        self.draft.known.changed.push(what.to_owned());
        // Most flows to them go where what no rule takes goes.
        let rules = items(get(self.root, "rules")).iter();
        let mut targets = rules.filter_map(|rule| rule.scalar()?.strip_prefix("MATCH,"));
        let way = targets.next().and_then(|target| self.out(target.trim()));
        let way = way.unwrap_or_else(|| "OUTBOUND".to_owned());
        self.draft.known.next.push(format!(
            "under `dns.upstreams`, choose by which outbound names are asked: `{USUAL}: {{ address: \"tcp://ADDRESS\", via: {} }}`, \
             or `{USUAL}: \"udp://ADDRESS\"` to ask directly",
            text(&way)
        ));
    }

    /// Names with servers of their own.
    fn policies(&mut self, dns: &Node, by_rules: bool) -> Vec<NameUpstream> {
        let mut upstreams = Vec::new();
        let policies = pairs(get(dns, "nameserver-policy"));
        for (number, (key, servers)) in (1..).zip(policies) {
            let names = key.scalar().unwrap_or_default();
            let at = place(key);
            let own = format!("policy-{number}");
            if names.contains(':') {
                self.sets(names, servers, &own, by_rules, &at);
                continue;
            }
            if self.draft.served.as_ref().is_some_and(Served::sends) {
                let what = format!(
                    "`{names}` of `nameserver-policy` counts before the rule sets that stand above it: here they come after all names"
                );
                self.draft.report.lost(&at, what);
            }
            // Who names a server for a name means that one.
            self.upstream(&own, Some(servers), by_rules, InStead::Nobody, &at);
            let names = names
                .split(',')
                .filter_map(|name| self.pattern(name.trim(), &at));
            upstreams.extend(names.map(|pattern| NameUpstream {
                pattern,
                upstream: own.clone(),
                at: at.clone(),
            }));
        }
        upstreams
    }

    /// Names of rule sets with servers of their own: of those who ask the DNS server.
    fn sets(&mut self, names: &str, servers: &Node, own: &str, by_rules: bool, at: &str) {
        let written = format!("`{names}` of `nameserver-policy`");
        let sets = self.sets_of(names, at);
        let Some((sets, _)) = sets.zip(self.draft.served.as_ref()) else {
            let what = format!("{written} is not carried over: its names are asked of `{USUAL}`");
            self.draft.report.lost(at, what);
            self.astray.push(names.to_owned());
            return;
        };
        let answer = servers.scalar().and_then(answer);
        if answer.is_none() {
            self.upstream(own, Some(servers), by_rules, InStead::Nobody, at);
        }
        if let Some(served) = &mut self.draft.served {
            for set in &sets {
                served.send(set, answer.unwrap_or(own), names, at);
            }
        }
        let what = format!(
            "{written} holds for those who ask the DNS server: names that are looked up here, as of what goes direct, are asked of `{USUAL}`"
        );
        self.draft.known.changed.push(what.clone());
        self.draft.report.lost(at, what);
    }

    /// The rule sets that `geosite:a,b` or `rule-set:a,b` names, where all are there.
    fn sets_of(&mut self, names: &str, at: &str) -> Option<Vec<String>> {
        self.draft.served.as_ref()?;
        let (kind, list) = names.split_once(':')?;
        let list: Vec<&str> = list.split(',').map(str::trim).collect();
        if list
            .iter()
            .any(|name| name.is_empty() || name.starts_with('!'))
        {
            return None;
        }
        match kind.to_ascii_lowercase().as_str() {
            "geosite" => {
                let sites = list
                    .iter()
                    .map(|name| Ranges(Base::Site(name.to_lowercase())));
                let sites: Vec<Ranges> = sites.collect();
                for site in &sites {
                    self.ranges(site, at);
                }
                Some(sites.iter().map(Ranges::name).collect())
            }
            "rule-set" => {
                let all = list.iter().all(|name| self.draft.has_set(name));
                all.then(|| list.iter().map(|&name| name.to_owned()).collect())
            }
            _ => None,
        }
    }

    /// Clash asks `fallback` as well, and believes it where `nameserver` answers with addresses from
    /// abroad; for the names of the filter it alone is asked.
    fn fallbacks(&mut self, dns: &Node, by_rules: bool) -> Vec<NameUpstream> {
        let mut upstreams = Vec::new();
        let Some(node) = get(dns, "fallback").filter(|node| super::says(node)) else {
            return upstreams;
        };
        let what =
            "`fallback` is not carried over: the answers of `nameserver` count, whatever they are";
        self.draft.report.lost(place(node), what);
        let Some(filter) = get(dns, "fallback-filter") else {
            return upstreams;
        };
        let names = items(get(filter, "domain"));
        if !names.is_empty() {
            // Of the usual servers these names are not believed.
            let nobody = InStead::Nobody;
            self.upstream("fallback", Some(node), by_rules, nobody, &place(node));
        }
        for name in names {
            let at = place(name);
            upstreams.extend(
                self.pattern(name.scalar().unwrap_or_default(), &at)
                    .map(|pattern| NameUpstream {
                        pattern,
                        upstream: "fallback".to_owned(),
                        at,
                    }),
            );
        }
        for site in items(get(filter, "geosite")) {
            let name = site.scalar().unwrap_or_default();
            let what = format!(
                "names of `geosite:{name}` were asked of `fallback` alone, and are asked of `{USUAL}` now"
            );
            self.draft.report.lost(place(site), what);
            self.astray.push(format!("geosite:{name}"));
        }
        upstreams
    }

    fn pattern(&mut self, name: &str, at: &str) -> Option<Pattern> {
        match Pattern::of(name) {
            Ok(pattern) => Some(pattern),
            Err(why) => {
                let what = format!("`{name}` is left out ({why}): it is asked of `{USUAL}`");
                self.draft.report.lost(at, what);
                None
            }
        }
    }

    /// Writes of which upstream names are asked: the nearest counts, as there.
    fn domains(&mut self, all: &[NameUpstream]) {
        for NameUpstream {
            pattern,
            upstream,
            at,
        } in all
        {
            let key = match pattern {
                Pattern::Alone(name) => format!("={name}"),
                Pattern::Below(name) | Pattern::WithBelow(name) => name.clone(),
                Pattern::OneBelow(name) => {
                    let what = format!(
                        "`*.{name}` means names one label below `{name}`: here all names below it are asked of this server"
                    );
                    self.draft.report.lost(at, what);
                    name.clone()
                }
            };
            if !self.draft.is_taken(Section::Domains, &key, at) {
                self.draft.entry(Section::Domains, &key, text(upstream), at);
            }
        }
        // A name is not below itself: what is asked for it is what the others say.
        for NameUpstream { pattern, at, .. } in all {
            let (Pattern::Below(name) | Pattern::OneBelow(name)) = pattern else {
                continue;
            };
            let alone = format!("={name}");
            if self.draft.has(Section::Domains, &alone) {
                continue;
            }
            let others = all.iter().filter(|one| one.pattern.holds(name));
            let nearest = others.rev().max_by_key(|one| one.pattern.name().len());
            let upstream = nearest.map_or(USUAL, |one| &one.upstream);
            self.draft
                .entry(Section::Domains, &alone, text(upstream), at);
        }
    }

    /// Names with fixed addresses.
    fn hosts(&mut self) {
        let Some(hosts) = get(self.root, "hosts") else {
            return;
        };
        let mut carried = false;
        for (key, value) in pairs(Some(hosts)) {
            carried |= self.host(key, value);
        }
        let proxied = self.draft.has_any(Section::Outbounds);
        if carried && proxied {
            let what = "`hosts` is used only for names that are looked up here: names that go through a proxy are looked up by the proxy";
            self.draft.report.lost(place(hosts), what);
        }
    }

    fn host(&mut self, key: &Node, value: &Node) -> bool {
        let at = place(key);
        let name = key.scalar().unwrap_or_default();
        let mut lost = |what: String| self.draft.report.lost(&at, what);
        let (own, rule) = match Pattern::of(name) {
            Err(why) => {
                lost(format!(
                    "`{name}` of `hosts` is left out ({why}): it is looked up"
                ));
                return false;
            }
            Ok(Pattern::Alone(name)) => (name.clone(), format!("DOMAIN, {}", word(&name))),
            Ok(Pattern::WithBelow(name)) => (
                format!(".{name}"),
                format!("DOMAIN-SUFFIX, {}", word(&name)),
            ),
            Ok(Pattern::Below(parent) | Pattern::OneBelow(parent)) => {
                lost(format!(
                    "`{name}` of `hosts`: `{parent}` itself and all below it have these addresses now"
                ));
                (
                    format!(".{parent}"),
                    format!("DOMAIN-SUFFIX, {}", word(&parent)),
                )
            }
        };
        let values = match &value.value {
            Value::List(values) => values.as_slice(),
            Value::Map(_) | Value::Scalar(..) => std::slice::from_ref(value),
        };
        let read = |value: &Node| value.scalar()?.parse::<IpAddr>().ok();
        let addresses: Option<Vec<IpAddr>> = values.iter().map(read).collect();
        let Some(addresses) = addresses.filter(|all| !all.is_empty()) else {
            let what = "is not an address, and a name cannot be given in its place";
            lost(format!(
                "`{name}` of `hosts` is left out (its value {what}): it is looked up"
            ));
            return false;
        };
        if self.draft.is_taken(Section::Hosts, &own, &at) {
            return false;
        }
        let refused = addresses.iter().all(IpAddr::is_unspecified);
        if refused {
            // Whoever writes this wants nobody to get there, by whatever way.
            let written = format!(
                "{name}: {}",
                addresses.first().map_or(String::new(), IpAddr::to_string)
            );
            self.draft.rule(&at, &written, &rule, "REJECT");
            let what = format!("`{name}` of `hosts` has no address: its flows are refused");
            self.draft.report.note(&at, what);
            // Who asks for it hears the same.
            if get(self.root, "dns").and_then(listens).is_none() {
                return false;
            }
        }
        let addresses = addresses.iter().map(|address| quoted(&address.to_string()));
        let addresses: Vec<String> = addresses.collect();
        let value = match addresses.as_slice() {
            [one] => one.clone(),
            _ => list(addresses),
        };
        self.draft.entry(Section::Hosts, &own, value, &at);
        !refused
    }
}

/// Where a name server listens for others.
fn listens(dns: &Node) -> Option<&Node> {
    let enabled = get(dns, "enable").is_some_and(is_on);
    get(dns, "listen").filter(|node| enabled && super::says(node))
}

/// What a server answers that is none.
fn answer(server: &str) -> Option<&'static str> {
    match server.strip_prefix("rcode://")? {
        "success" => Some("nodata"),
        "name_error" => Some("nxdomain"),
        "refused" => Some("refused"),
        _ => None,
    }
}

/// `:53` is every address.
fn address(listen: &str) -> Option<SocketAddr> {
    let (host, port) = listen.rsplit_once(':')?;
    let host = match host {
        "" => "[::]",
        "localhost" => "127.0.0.1",
        host => host,
    };
    format!("{host}:{port}").parse().ok()
}

/// Names with an upstream of their own.
struct NameUpstream {
    pattern: Pattern,
    upstream: String,
    at: String,
}

/// What Clash's patterns of names say.
enum Pattern {
    Alone(String),
    Below(String),
    OneBelow(String),
    WithBelow(String),
}

impl Pattern {
    fn name(&self) -> &str {
        match self {
            Self::Alone(name)
            | Self::Below(name)
            | Self::OneBelow(name)
            | Self::WithBelow(name) => name,
        }
    }

    /// Whether it holds for a name; of `*.x`, for any below `x`.
    fn holds(&self, name: &str) -> bool {
        let head = name.strip_suffix(self.name());
        match (self, head) {
            (_, None) => false,
            (Self::Alone(_) | Self::WithBelow(_), Some("")) => true,
            (Self::Alone(_), Some(_)) => false,
            (_, Some(head)) => head.ends_with('.'),
        }
    }

    fn of(name: &str) -> Result<Self, String> {
        let read = |bare: &str| match Domain::parse(bare) {
            Ok(domain) => Ok(domain.as_str().to_owned()),
            Err(why) => Err(why.to_string()),
        };
        if let Some(bare) = name.strip_prefix("+.") {
            return read(bare).map(Self::WithBelow);
        }
        if let Some(bare) = name.strip_prefix("*.") {
            return read(bare).map(Self::OneBelow);
        }
        match name.strip_prefix('.') {
            Some(bare) => read(bare).map(Self::Below),
            None => read(name).map(Self::Alone),
        }
    }
}
