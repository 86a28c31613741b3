//! Nothing is widened: a model of what Clash and sing-box do, and random configurations. Whom the
//! converted one lets in, where it sends a flow and of whom it asks a name is what the original says,
//! or a refusal, or a line of the report says otherwise.

use std::net::IpAddr;
use std::path::Path;

use pointsman_policy::{Domain, Prefix};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::foreign::convert;
use super::{loaded, way};
use crate::convert::Conversion;
use pointsman_config::dialect::foreign::Foreign;
use pointsman_config::files::Memory;
use pointsman_config::setup::{NameServer, ResolverSpec, Setup};

/// A configuration, and what its program does.
#[derive(Clone, Debug)]
struct Original {
    text: String,
    /// Logins that are asked for; `None`: nobody is asked.
    users: Option<Vec<(&'static str, &'static str)>>,
    allowed: Vec<Prefix>,
    denied: Vec<Prefix>,
    rules: Vec<Rule>,
    /// Servers for names that none of `asked` holds for.
    servers: Vec<&'static str>,
    /// Names and their servers, the first that holds counts; and their line.
    asked: Vec<(Names, &'static str, u32)>,
    /// Whether the nearest name counts, not the first.
    nearest: bool,
}

#[derive(Clone, Debug)]
struct Rule {
    test: Test,
    out: &'static str,
    line: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Test {
    Always,
    Port(u16),
    Range(&'static str),
    Source(&'static str),
    Suffix(&'static str),
    /// What the native language cannot ask: it may hold or not.
    Unsaid,
}

#[derive(Clone, Copy, Debug)]
enum Names {
    Alone(&'static str),
    Below(&'static str),
    WithBelow(&'static str),
}

impl Names {
    fn holds(self, name: &str) -> bool {
        let below = |parent: &str| {
            name.strip_suffix(parent)
                .is_some_and(|head| head.ends_with('.'))
        };
        match self {
            Self::Alone(own) => name == own,
            Self::Below(parent) => below(parent),
            Self::WithBelow(parent) => name == parent || below(parent),
        }
    }

    fn length(self) -> (usize, bool) {
        match self {
            Self::Alone(name) => (name.len(), true),
            Self::Below(name) | Self::WithBelow(name) => (name.len(), false),
        }
    }
}

const HOSTS: [&str; 7] = [
    "a.test",
    "x.a.test",
    "b.a.test",
    "y.b.a.test",
    "c.test",
    "10.1.2.3",
    "10.1.9.9",
];
const CLIENTS: [&str; 6] = [
    "192.168.0.3",
    "192.168.0.4",
    "192.168.1.1",
    "10.9.9.9",
    "127.0.0.1",
    "8.8.8.8",
];
const PORTS: [u16; 2] = [80, 443];
const RANGES: [&str; 5] = [
    "192.168.0.0/16",
    "192.168.0.3/32",
    "0.0.0.0/0",
    "10.0.0.0/8",
    "127.0.0.0/8",
];
const SERVERS: [&str; 5] = ["1.1.1.1", "9.9.9.9", "10.0.0.53", "quic", "dhcp"];
const DNS_NAMES: [Names; 6] = [
    Names::Alone("a.test"),
    Names::Below("a.test"),
    Names::WithBelow("a.test"),
    Names::WithBelow("b.a.test"),
    Names::Alone("x.a.test"),
    Names::WithBelow("test"),
];

fn any_test() -> impl Strategy<Value = Test> {
    select(vec![
        Test::Port(80),
        Test::Port(443),
        Test::Range("10.1.0.0/16"),
        Test::Range("10.1.2.0/24"),
        Test::Source("192.168.0.0/24"),
        Test::Suffix("a.test"),
        Test::Suffix("b.a.test"),
        Test::Unsaid,
    ])
}

fn ranges(list: &[&str]) -> Vec<Prefix> {
    list.iter().map(|range| range.parse().unwrap()).collect()
}

/// Lines that are numbered as they come.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: impl AsRef<str>) -> u32 {
        self.0.push_str(line.as_ref());
        self.0.push('\n');
        u32::try_from(self.0.lines().count()).unwrap()
    }
}

prop_compose! {
    fn any_clash()(
        allowed in prop::option::of(subsequence(RANGES.to_vec(), 0..3)),
        denied in prop::option::of(subsequence(RANGES.to_vec(), 0..3)),
        users in prop::option::of(subsequence(vec![("u", "p"), ("v", ""), ("w", "q")], 0..3)),
        tests in prop::collection::vec((any_test(), select(vec!["DIRECT", "REJECT", "far", "web", "gone"])), 0..6),
        last in prop::option::of(select(vec!["DIRECT", "far", "gone"])),
        servers in prop::option::of(subsequence(SERVERS.to_vec(), 1..3)),
        asked in prop::collection::vec((select(DNS_NAMES.to_vec()), select(SERVERS.to_vec())), 0..4),
        sender in select(vec!["", "#far", "#gone", "#RULES"]),
        respects in prop::bool::weighted(0.1),
    ) -> Original {
        let mut text = Text::default();
        text.line("mixed-port: 7890\nallow-lan: true");
        let list = |list: &[&str]| format!("[{}]", list.iter().map(|one| format!("'{one}'")).collect::<Vec<_>>().join(", "));
        if let Some(allowed) = &allowed {
            text.line(format!("lan-allowed-ips: {}", list(allowed)));
        }
        if let Some(denied) = &denied {
            text.line(format!("lan-disallowed-ips: {}", list(denied)));
        }
        if let Some(users) = &users {
            // A user without a colon is none.
            let shown: Vec<String> = users.iter().map(|(user, password)| match *password {
                "" => (*user).to_owned(),
                password => format!("{user}:{password}"),
            }).collect();
            let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
            text.line(format!("authentication: {}", list(&shown)));
        }
        text.line("proxies:\n  - { name: far, type: socks5, server: 127.0.0.1, port: 1, udp: true }\n  - { name: web, type: http, server: 127.0.0.1, port: 2 }");
        let server = |server: &str| match server {
            "quic" => "quic://8.8.4.4".to_owned(),
            "dhcp" => "dhcp://eth0".to_owned(),
            plain => format!("{plain}{sender}"),
        };
        let mut policies: Vec<(Names, &'static str, u32)> = Vec::new();
        if let Some(servers) = &servers {
            text.line("dns:\n  enable: true");
            if respects {
                text.line("  respect-rules: true");
            }
            let shown: Vec<String> = servers.iter().map(|s| server(s)).collect();
            let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
            text.line(format!("  nameserver: {}", list(&shown)));
            text.line("  nameserver-policy:");
            for (names, of) in asked {
                let key = match names {
                    Names::Alone(name) => name.to_owned(),
                    Names::Below(name) => format!(".{name}"),
                    Names::WithBelow(name) => format!("+.{name}"),
                };
                let same = |(known, ..): &(Names, &str, u32)| format!("{known:?}") == format!("{names:?}");
                if !policies.iter().any(same) {
                    let line = text.line(format!("    '{key}': '{}'", server(of)));
                    policies.push((names, of, line));
                }
            }
        }
        text.line("rules:");
        let mut rules = Vec::new();
        for (test, out) in tests {
            let said = match test {
                Test::Always => "MATCH".to_owned(),
                Test::Port(port) => format!("DST-PORT,{port}"),
                Test::Range(range) => format!("IP-CIDR,{range}"),
                Test::Source(range) => format!("SRC-IP-CIDR,{range}"),
                Test::Suffix(name) => format!("DOMAIN-SUFFIX,{name}"),
                Test::Unsaid => "UID,5".to_owned(),
            };
            let flag = if matches!(test, Test::Range(_)) { ",no-resolve" } else { "" };
            let line = text.line(format!("  - {said},{out}{flag}"));
            rules.push(Rule { test, out, line });
        }
        if let Some(out) = last {
            let line = text.line(format!("  - MATCH,{out}"));
            rules.push(Rule { test: Test::Always, out, line });
        }
        rules.push(Rule { test: Test::Always, out: "DIRECT", line: 0 });
        let known = |users: &Vec<(&'static str, &'static str)>| -> Vec<_> {
            users.iter().copied().filter(|(_, password)| !password.is_empty()).collect()
        };
        let by_sender = |server: &'static str| match (server, sender, respects) {
            // What is not built, not there or asked by an unknown way is asked by nobody.
            ("quic" | "dhcp", ..) | (_, "#gone" | "#RULES", _) | (_, "", true) => "",
            (server, "#far", _) => match server { "1.1.1.1" => "1.1.1.1 far", "9.9.9.9" => "9.9.9.9 far", _ => "10.0.0.53 far" },
            (server, ..) => server,
        };
        Original {
            text: text.0,
            users: users.as_ref().map(known),
            allowed: allowed.map_or_else(|| ranges(&["0.0.0.0/0", "::/0"]), |allowed| ranges(&allowed)),
            denied: denied.map(|denied| ranges(&denied)).unwrap_or_default(),
            rules,
            servers: servers.map_or_else(|| vec!["system"], |all| {
                // Where the usual servers are not built, others are asked, with a warning.
                let later = all.contains(&"quic") && !respects;
                let by: Vec<_> = all.into_iter().map(by_sender).collect();
                if later && by.iter().all(|server| server.is_empty()) { vec!["system"] } else { by }
            }),
            asked: policies.into_iter().map(|(names, server, line)| (names, by_sender(server), line)).collect(),
            nearest: true,
        }
    }
}

prop_compose! {
    fn any_sing_box()(
        users in prop::option::of(subsequence(vec![("u", "p"), ("v", ""), ("w", "q")], 0..3)),
        tests in prop::collection::vec((any_test(), select(vec!["direct", "block", "far", "web", "gone"])), 0..6),
        last in prop::option::of(select(vec!["direct", "far", "gone"])),
        servers in subsequence(SERVERS.to_vec(), 1..3),
        asked in prop::collection::vec((select(DNS_NAMES.to_vec()), select(SERVERS.to_vec())), 0..5),
        detour in select(vec![None, Some("far"), Some("gone")]),
        first in select(vec!["direct", "far"]),
    ) -> Original {
        let mut text = Text::default();
        text.line("{ // as people write it\n\"inbounds\": [");
        let shown = users.as_ref().map(|users| users.iter().map(|(user, password)| match *password {
            "" => format!("{{\"username\": \"{user}\"}}"),
            password => format!("{{\"username\": \"{user}\", \"password\": \"{password}\"}}"),
        }).collect::<Vec<_>>().join(", "));
        let shown = shown.map_or_else(String::new, |users| format!(", \"users\": [{users}]"));
        text.line(format!("{{\"type\": \"mixed\", \"tag\": \"mixed\", \"listen\": \"::\", \"listen_port\": 7890{shown}}}],"));
        let mut outs = [
            "{\"type\": \"direct\", \"tag\": \"direct\"}",
            "{\"type\": \"socks\", \"tag\": \"far\", \"server\": \"127.0.0.1\", \"server_port\": 1}",
        ];
        if first == "far" {
            outs.reverse();
        }
        text.line(format!("\"outbounds\": [{}, {{\"type\": \"http\", \"tag\": \"web\", \"server\": \"127.0.0.1\", \"server_port\": 2}}, {{\"type\": \"block\", \"tag\": \"block\"}}],", outs.join(", ")));
        text.line("\"dns\": { \"servers\": [");
        for server in SERVERS {
            let by = detour.map_or_else(String::new, |by| format!(", \"detour\": \"{by}\""));
            let (kind, host) = match server {
                "quic" => ("quic", "8.8.4.4"),
                "dhcp" => ("dhcp", ""),
                plain => ("udp", plain),
            };
            let comma = if server == SERVERS[4] { "" } else { "," };
            text.line(format!("{{\"tag\": \"{server}\", \"type\": \"{kind}\", \"server\": \"{host}\"{by}}}{comma}"));
        }
        text.line("], \"rules\": [");
        let mut policies = Vec::new();
        let count = asked.len();
        for (number, (names, server)) in asked.into_iter().enumerate() {
            let field = match names {
                Names::Alone(name) => format!("\"domain\": \"{name}\""),
                Names::Below(name) => format!("\"domain_suffix\": \".{name}\""),
                Names::WithBelow(name) => format!("\"domain_suffix\": [\"{name}\"]"),
            };
            let comma = if number + 1 == count { "" } else { "," };
            let line = text.line(format!("{{{field}, \"server\": \"{server}\"}}{comma}"));
            policies.push((names, server, line));
        }
        text.line(format!("], \"final\": \"{}\" }},", servers[0]));
        text.line("\"route\": { \"rules\": [");
        let mut rules = Vec::new();
        let count = tests.len();
        for (number, (test, out)) in tests.into_iter().enumerate() {
            let said = match test {
                Test::Always => "\"network\": [\"tcp\", \"udp\"]".to_owned(),
                Test::Port(port) => format!("\"port\": {port}"),
                Test::Range(range) => format!("\"ip_cidr\": \"{range}\""),
                Test::Source(range) => format!("\"source_ip_cidr\": [\"{range}\"]"),
                Test::Suffix(name) => format!("\"domain_suffix\": \"{name}\""),
                Test::Unsaid => "\"wifi_ssid\": \"home\"".to_owned(),
            };
            let comma = if number + 1 == count { "" } else { "," };
            let line = text.line(format!("{{{said}, \"outbound\": \"{out}\"}}{comma}"));
            rules.push(Rule { test, out: own(out), line });
        }
        let end = match last {
            Some(out) => text.line(format!("], \"final\": \"{out}\" }} }}")),
            None => text.line("] } }"),
        };
        rules.push(Rule { test: Test::Always, out: own(last.unwrap_or(first)), line: end });
        let known = |users: &Vec<(&'static str, &'static str)>| -> Vec<_> {
            users.iter().copied().filter(|(_, password)| !password.is_empty()).collect()
        };
        let usual = servers[0];
        let by = |server: &'static str| match (server, detour) {
            // Where the usual server is not built, another is asked, with a warning.
            ("quic", None) if usual == "quic" => "system",
            ("quic", Some("far")) if usual == "quic" => "8.8.4.4 far",
            ("quic" | "dhcp", _) | (_, Some("gone")) => "",
            ("1.1.1.1", Some(_)) => "1.1.1.1 far",
            ("9.9.9.9", Some(_)) => "9.9.9.9 far",
            (_, Some(_)) => "10.0.0.53 far",
            (server, None) => server,
        };
        Original {
            text: text.0,
            users: users.filter(|users| !users.is_empty()).as_ref().map(known),
            allowed: ranges(&["0.0.0.0/0", "::/0"]),
            denied: Vec::new(),
            rules,
            servers: vec![by(usual)],
            asked: policies.into_iter().map(|(names, server, line)| (names, by(server), line)).collect(),
            nearest: false,
        }
    }
}

fn own(out: &'static str) -> &'static str {
    match out {
        "direct" => "DIRECT",
        "block" => "REJECT",
        other => other,
    }
}

/// Whether the report says of a line that it is not equal.
fn told(conversion: &Conversion, line: u32) -> bool {
    let place = format!("c:{line}");
    conversion.report.iter().any(|remark| {
        let rest = remark.place.strip_prefix(&place);
        !remark.equal && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    })
}

/// What is wrong with a conversion.
fn wider(original: &Original, foreign: Foreign) -> Result<(), String> {
    let done = convert(foreign, &original.text, "", &Memory::default());
    let conversion = done.map_err(|problems| format!("{:?}", problems.0))?;
    let setup = loaded(&conversion.text, Path::new(""), &Memory::default());
    let bad = |what: String| {
        Err(format!(
            "{what}\n{}\n{}\n{:#?}",
            original.text, conversion.text, conversion.report
        ))
    };
    if let (Some(users), Some(inbound)) = (&original.users, setup.inbounds.first()) {
        let asked: Vec<_> = inbound
            .users
            .iter()
            .map(|user| (&*user.name, user.password.reveal()))
            .collect();
        let known = asked.iter().all(|user| users.contains(user));
        // Clash serves everybody where no user of its list is one: nothing says that this is wanted.
        if !known || asked.is_empty() && !original.text.contains("authentication: []") {
            return bad(format!("the users {asked:?}"));
        }
    }
    for host in HOSTS {
        for client in CLIENTS {
            for port in PORTS {
                one_flow(original, &conversion, &setup, (host, port, client)).or_else(bad)?;
            }
        }
    }
    for host in HOSTS.iter().filter(|host| host.parse::<IpAddr>().is_err()) {
        one_name(original, &conversion, &setup, host).or_else(bad)?;
    }
    Ok(())
}

fn one_flow(
    original: &Original,
    conversion: &Conversion,
    setup: &Setup,
    (host, port, client): (&str, u16, &str),
) -> Result<(), String> {
    if setup.inbounds.is_empty() {
        return Ok(());
    }
    let flow = format!("dst={host}:{port} src={client}:9 inbound=mixed");
    let found = way(setup, &flow);
    let refused = found.ends_with(" reject");
    let address: IpAddr = client.parse().unwrap();
    let within = |ranges: &[Prefix]| ranges.iter().any(|range| range.contains(address));
    if !within(&original.allowed) || within(&original.denied) {
        return if refused {
            Ok(())
        } else {
            Err(format!("{flow} comes in: {found}"))
        };
    }
    for rule in &original.rules {
        let holds = match rule.test {
            Test::Always => true,
            Test::Port(own) => port == own,
            Test::Range(range) => {
                let range: Prefix = range.parse().unwrap();
                host.parse().is_ok_and(|address| range.contains(address))
            }
            Test::Source(range) => range.parse::<Prefix>().unwrap().contains(address),
            Test::Suffix(name) => Names::WithBelow(name).holds(host),
            Test::Unsaid => true,
        };
        if !holds {
            continue;
        }
        // A rule that may hold or not: told, or not there.
        if told(conversion, rule.line) && rule.test != Test::Always {
            continue;
        }
        if rule.test == Test::Unsaid {
            return Err(format!("line {} is not told", rule.line));
        }
        let expected = rule.out.to_lowercase();
        let same = found.split(' ').next() == Some(&expected);
        return if same || refused {
            Ok(())
        } else {
            Err(format!("{flow}: {found}, not {expected}"))
        };
    }
    Err(format!("{flow}: no rule holds"))
}

fn one_name(
    original: &Original,
    conversion: &Conversion,
    setup: &Setup,
    name: &str,
) -> Result<(), String> {
    let mut asked = original
        .asked
        .iter()
        .filter(|(names, ..)| names.holds(name))
        .collect::<Vec<_>>();
    if original.nearest {
        asked.sort_by_key(|(names, ..)| std::cmp::Reverse(names.length()));
    }
    let nearest = asked.first().map(|(_, server, _)| vec![*server]);
    let expected = nearest.unwrap_or_else(|| original.servers.clone());
    let resolver = setup
        .inbounds
        .first()
        .and_then(|inbound| inbound.resolver)
        .or(setup.server_resolver);
    let found = match resolver.and_then(|id| setup.resolvers.get(id.0)) {
        Some(resolver) => servers_for(resolver, setup, name),
        None => vec!["system".to_owned()],
    };
    let extra = found
        .iter()
        .find(|server| !expected.contains(&server.as_str()));
    match extra.filter(|_| {
        !asked
            .first()
            .is_some_and(|(.., line)| told(conversion, *line))
    }) {
        None => Ok(()),
        Some(extra) => Err(format!("{name} is asked of {extra}, not of {expected:?}")),
    }
}

/// What a name is asked of, and by what way; servers that give no answer apart.
fn servers_for(resolver: &ResolverSpec, setup: &Setup, name: &str) -> Vec<String> {
    let name = Domain::parse(name).unwrap();
    let mut own = resolver.by_domain.iter();
    let own = own.find(|(domain, below, _)| *domain == name || *below && name.is_within(domain));
    let servers = own.map_or(&resolver.servers, |(.., servers)| servers);
    let shown = |server: &NameServer| match server {
        NameServer::NotYet(_) => None,
        NameServer::System => Some("system".to_owned()),
        NameServer::Https(at) | NameServer::Tls(at) => {
            let via = at.via.and_then(|id| setup.outbounds.get(id.0 as usize));
            let via = via.map_or_else(String::new, |via| format!(" {}", via.name));
            Some(format!("{}{via}", at.server.host))
        }
        NameServer::Tcp(place) | NameServer::Udp(place) => {
            let via = place.via.and_then(|id| setup.outbounds.get(id.0 as usize));
            let via = via.map_or_else(String::new, |via| format!(" {}", via.name));
            Some(format!("{}{via}", place.address.ip()))
        }
    };
    servers.iter().filter_map(shown).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn clash_is_not_widened(original in any_clash()) {
        let wider = wider(&original, Foreign::Clash);
        prop_assert!(wider.is_ok(), "{}", wider.unwrap_err());
    }

    #[test]
    fn sing_box_is_not_widened(original in any_sing_box()) {
        let wider = wider(&original, Foreign::SingBox);
        prop_assert!(wider.is_ok(), "{}", wider.unwrap_err());
    }
}
