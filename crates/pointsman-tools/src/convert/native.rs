//! A checked configuration as native YAML.

use std::collections::HashSet;

use pointsman_policy::Policy;
use pointsman_policy::fact::InboundKind;
use pointsman_policy::model::{DomainOrder, OnUnknown};

use super::emit::{Map, Page, duration, quoted, relative, text};
use super::policies::{ZoneSets, key, policy_name};
use super::summary::{self, Known, Summary};
use super::{Conversion, LISTS_STAY, PASSWORDS, Report, dns, forwards, lists, outbounds};
use pointsman_config::list_print::as_list;
use pointsman_config::problem::Problems;
use pointsman_config::setup::{
    DatagramLimits, Dialect, History, Inbound, Setup, SniffLimits, Timeouts,
};
use pointsman_config::tree::print::as_tree;

/// The configuration in the native language. `written` is the text it was read from: one that is
/// native already stays as it stands. `problems` are those of reading it.
#[must_use]
pub fn from_setup(setup: &Setup, written: &str, problems: &Problems) -> Conversion {
    let mut report = Report::default();
    let native = setup.dialect == Dialect::Native;
    let told = problems.told();
    for problem in told.iter().filter(|p| p.code == "not-yet" && !native) {
        let place = format!("{}:{}", problem.span.file(), problem.span.line());
        report.note(place, format!("not built yet: {}", problem.what()));
    }
    if native {
        report.note("", "it is native already and stays as it is written");
        return Conversion {
            text: written.to_owned(),
            report: report.finish(),
            summary: Summary::default(),
        };
    }
    let mut page = Page::default();
    page.line(0, &format!("# Converted from {}.", setup.dialect.as_str()));
    page.line(0, "version: 1");
    let main = Main::new(setup, &mut report);
    general(setup, &main, &mut page);
    main.databases(&mut page, &mut report);
    if !setup.lists.is_empty() || !setup.sources.is_empty() {
        report.note("", LISTS_STAY);
    }
    let mut sections = Map::default();
    for inbound in &setup.inbounds {
        main.inbound(inbound, &mut sections, &mut report);
    }
    page.section("inbounds", &sections);
    if setup.inbounds.iter().any(|inbound| {
        inbound
            .users
            .iter()
            .any(|user| !user.password.reveal().is_empty())
    }) || setup.outbounds.iter().any(has_secret)
    {
        report.note("", PASSWORDS);
    }
    page.section(
        "outbounds",
        &outbounds::section(setup, &main.names, &mut report),
    );
    page.section(
        "forwards",
        &forwards::section(setup, &main.names, &mut report),
    );
    page.section("rule_sets", &main.lists);
    main.dns(&mut page, &mut report);
    main.policies(&mut page);
    tests(setup, &main.names, &mut page);
    let known = Known {
        fetched: setup
            .sources
            .iter()
            .map(|set| set.name.to_string())
            .collect(),
        ..Known::default()
    };
    Conversion {
        text: page.finish(),
        report: report.finish(),
        summary: summary::of(setup, &known),
    }
}

/// What stands for the names and policies of the original.
struct Main<'a> {
    setup: &'a Setup,
    /// Of outbounds, by number.
    names: Vec<String>,
    lists: Map,
    zones: ZoneSets,
    /// The policies that are written: number, name, text, and whether it is a list.
    written: Vec<(usize, String, String, bool)>,
    resolves: bool,
}

impl<'a> Main<'a> {
    fn new(setup: &'a Setup, report: &mut Report) -> Self {
        let of_forward = |number| setup.forwards.iter().any(|f| f.policy.0 == number);
        let policies: Vec<(usize, &Policy)> = setup
            .policies
            .iter()
            .enumerate()
            .filter(|(number, _)| !of_forward(*number))
            .map(|(number, policy)| (number, &**policy))
            .collect();
        let mut muted = Report::default();
        let lower = outbounds::names(setup, false, &mut muted);
        let (mut lists, beyond) = lists::section(setup, &lower, report);
        let zones = policies
            .first()
            .map(|(_, policy)| ZoneSets::new(policy, beyond, &mut lists))
            .unwrap_or_default();
        // The key that says whether lists resolve is one for all, so only one policy is a list.
        let alone = policies.len() == 1 && setup.dialect == Dialect::Boltconn;
        let upper = outbounds::names(setup, true, &mut muted);
        let as_rules = policies
            .first()
            .filter(|_| alone)
            .and_then(|(_, policy)| as_list(&zones.rewritten(policy, &upper, report)).ok());
        let names = outbounds::names(setup, as_rules.is_some(), report);
        let resolves = as_rules.is_some()
            && policies
                .first()
                .is_some_and(|(_, policy)| policy.wants(pointsman_policy::Need::Resolve));
        let mut taken: HashSet<String> = names.iter().cloned().collect();
        let mut written = Vec::new();
        // Without a way for flows there is only a DNS server.
        for (number, policy) in policies.into_iter().filter(|(_, it)| !it.body.is_empty()) {
            let name = match written.is_empty() {
                true => "main".to_owned(),
                false => policy_name(&policy.name, &mut taken),
            };
            let rules = as_rules.clone();
            let is_list = rules.is_some();
            let body = rules.unwrap_or_else(|| as_tree(&zones.rewritten(policy, &names, report)));
            written.push((number, name, body, is_list));
        }
        Self {
            setup,
            names,
            lists,
            zones,
            written,
            resolves,
        }
    }

    fn databases(&self, page: &mut Page, report: &mut Report) {
        let files = [
            ("geoip_db", &self.setup.data.geoip),
            ("asn_db", &self.setup.data.asn),
        ];
        for (key, path) in files {
            if let Some(path) = path {
                let path = relative(path, &self.setup.directory);
                page.line(0, &format!("{key}: {}", quoted(&path)));
                report.note(
                    "",
                    format!("`{key}` is relative to the original's directory"),
                );
            }
        }
        if self.resolves {
            page.line(0, "ip_rules_resolve: true");
        }
    }

    fn inbound(&self, inbound: &Inbound, section: &mut Map, report: &mut Report) {
        let place = format!("{}:{}", inbound.span.file(), inbound.span.line());
        let mut map = Map::default();
        let kind = match inbound.kind {
            InboundKind::Socks5 => "socks5",
            InboundKind::Http => "http",
            InboundKind::Mixed => "mixed",
            _ => {
                report.lost(&place, "an inbound of this kind is not written");
                return;
            }
        };
        map.text("type", kind);
        map.raw("listen", quoted(&inbound.listen.to_string()));
        if !inbound.users.is_empty() {
            let mut users = Map::default();
            for user in &inbound.users {
                let password = quoted(user.password.reveal());
                match &user.alias {
                    None => users.raw(&user.name, password),
                    Some(alias) => {
                        let mut long = Map::default();
                        long.raw("password", password).text("alias", alias);
                        users.raw(&user.name, long.flow())
                    }
                };
            }
            map.raw("users", users.flow());
        }
        if inbound
            .alias
            .as_deref()
            .is_some_and(|a| a != &*inbound.name)
        {
            map.some("alias", inbound.alias.as_deref());
        } else if inbound.alias.is_none() && self.asks_alias() {
            let what = format!(
                "the inbound `{}` had no alias and has its name now: rules on aliases see it",
                inbound.name
            );
            report.lost(&place, what);
        }
        let policy = self.written.iter().find(|(n, ..)| *n == inbound.policy.0);
        if let Some((_, name, ..)) = policy.filter(|(_, name, ..)| name != "main") {
            map.text("policy", name);
        }
        if let Some(id) = inbound.resolver {
            map.text("resolver", &dns::name(id, self.setup));
        }
        section.raw(&inbound.name, map.flow());
    }

    fn dns(&self, page: &mut Page, report: &mut Report) {
        let served = self.setup.dns.as_ref();
        let served =
            served.map(|server| dns::Served::new(server, &self.names, &self.zones, report));
        let section = dns::section(self.setup, &self.names, served.as_ref(), report);
        page.section("dns", &section);
        if let Some(served) = served {
            served.rules(page);
        }
    }

    fn asks_alias(&self) -> bool {
        let marks = ["INBOUND-ALIAS", "inbound alias", "inbound-alias", "alias"];
        self.written
            .iter()
            .any(|(_, _, body, _)| marks.iter().any(|mark| body.contains(mark)))
    }

    fn policies(&self, page: &mut Page) {
        let mut first = true;
        for (_, name, body, is_list) in &self.written {
            let main = name == "main";
            if !main && first {
                page.line(0, "");
                page.line(0, "policies:");
                first = false;
            }
            let (head, depth) = match (main, *is_list) {
                (true, true) => ("rules:".to_owned(), 0),
                (true, false) => (key("policy"), 0),
                (false, true) => (format!("{}:", text(name)), 1),
                (false, false) => (key(name), 1),
            };
            if main {
                page.line(0, "");
            }
            page.line(depth, &head);
            page.block(depth + 1, body);
        }
    }
}

fn general(setup: &Setup, main: &Main<'_>, page: &mut Page) {
    let mut log = Map::default();
    log.some("level", setup.log.level.as_deref());
    if setup.log.json {
        log.text("format", "json");
    }
    if !log.is_empty() {
        page.line(0, &format!("log: {}", log.flow()));
    }
    if let Some(path) = &setup.access_log {
        let path = relative(path, &setup.directory);
        page.line(0, &format!("access_log: {}", quoted(&path)));
    }
    if setup.history != History::default() {
        let mut map = Map::default();
        map.raw("keep", setup.history.keep.to_string())
            .flag("redact", setup.history.redact);
        page.line(0, &format!("history: {}", map.flow()));
    }
    if setup.watch {
        page.line(0, "watch: true");
    }
    let grace = duration(setup.shutdown_grace);
    page.line(0, &format!("shutdown: {{ grace: {grace} }}"));
    if setup.sniff != SniffLimits::default() {
        let (timeout, bytes) = (duration(setup.sniff.timeout), setup.sniff.max_bytes);
        page.line(
            0,
            &format!("sniff: {{ timeout: {timeout}, max_bytes: {bytes}B }}"),
        );
    }
    timeouts(setup.timeouts, page);
    datagrams(&setup.datagrams, page);
    let policy = main
        .written
        .first()
        .and_then(|(n, ..)| setup.policies.get(*n));
    if policy.is_some_and(|policy| policy.on_unknown == OnUnknown::Reject) {
        page.line(0, "on_unknown: reject");
    }
    let order = policy.map(|policy| policy.domain_order).unwrap_or_default();
    if order != DomainOrder::Native {
        page.line(0, &format!("domain_order: {}", order.as_str()));
    }
}

/// Those that are not the usual ones.
fn timeouts(timeouts: Timeouts, page: &mut Page) {
    let Timeouts {
        handshake,
        dial,
        resolve,
        first_byte,
        half_closed,
        idle,
        keep_alive,
        blackhole,
    } = timeouts;
    let usual = Timeouts::default();
    let all = [
        ("handshake", Some(handshake), Some(usual.handshake)),
        ("dial", Some(dial), Some(usual.dial)),
        ("resolve", Some(resolve), Some(usual.resolve)),
        ("first_byte", first_byte, usual.first_byte),
        ("half_closed", half_closed, usual.half_closed),
        ("idle", idle, usual.idle),
        ("keep_alive", Some(keep_alive), Some(usual.keep_alive)),
        ("blackhole", Some(blackhole), Some(usual.blackhole)),
    ];
    let mut map = Map::default();
    for (key, limit, usual) in all {
        if limit != usual {
            map.raw(key, limit.map_or_else(|| "off".to_owned(), duration));
        }
    }
    if !map.is_empty() {
        page.line(0, &format!("timeouts: {}", map.flow()));
    }
}

/// What of flows over UDP is not as usual.
fn datagrams(limits: &DatagramLimits, page: &mut Page) {
    let DatagramLimits {
        idle,
        idle_by_protocol,
        filtering,
        flows,
        flows_by_client,
        held,
        offload,
    } = limits;
    let usual = DatagramLimits::default();
    let mut map = Map::default();
    if *idle != usual.idle {
        map.raw("idle", duration(*idle));
    }
    let mut protocols = Map::default();
    for (protocol, idle) in idle_by_protocol {
        if !usual.idle_by_protocol.contains(&(*protocol, *idle)) {
            protocols.raw(protocol.as_str(), duration(*idle));
        }
    }
    if !protocols.is_empty() {
        map.map("idle_by_protocol", &protocols);
    }
    if *filtering != usual.filtering {
        map.text("nat", filtering.as_str());
    }
    let numbers = [
        ("flows", *flows, usual.flows),
        ("flows_by_client", *flows_by_client, usual.flows_by_client),
    ];
    for (key, number, usual) in numbers {
        if number != usual {
            map.raw(key, number.to_string());
        }
    }
    if *held != usual.held {
        map.raw("held", format!("{held}B"));
    }
    if !offload {
        map.raw("offload", "off");
    }
    if !map.is_empty() {
        page.line(0, &format!("udp: {}", map.flow()));
    }
}

fn tests(setup: &Setup, names: &[String], page: &mut Page) {
    if setup.tests.is_empty() {
        return;
    }
    page.line(0, "");
    page.line(0, "tests:");
    for test in &setup.tests {
        let at = setup.outbounds.iter().position(|o| *o.name == *test.expect);
        let expect = at.and_then(|at| names.get(at)).unwrap_or(&test.expect);
        let mut map = Map::default();
        map.text("flow", &test.flow).text("expect", expect);
        page.line(1, &format!("- {}", map.flow()));
    }
}

fn has_secret(outbound: &pointsman_config::setup::Outbound) -> bool {
    let upstream = outbound.kind.upstream();
    let given = upstream.and_then(|upstream| upstream.protocol.credentials());
    given.is_some_and(|given| !given.password.reveal().is_empty())
}
