//! Flows from words and policies from nodes, for the tests beside.
//!
//! `dst=www.example.com:443 network=udp look=tls:sni.example.com owner=curl`: what no word names is
//! unknown; `look=none` is absent, `look=!timeout` failed.

#![allow(dead_code, reason = "each test file uses its part")]
#![expect(
    clippy::unwrap_used,
    reason = "a case that cannot be read must fail its test"
)]

use std::net::IpAddr;
use std::sync::Arc;

use pointsman_policy::condition::{AddressOf, Asks, Condition, DomainTest};
use pointsman_policy::decision::{Step, Trace, Verdict};
use pointsman_policy::fact::{
    Fact, Facts, Geo, Inbound, InboundKind, Look, Need, Network, Parent, Process, Protocol,
    Provenance,
};
use pointsman_policy::model::udp::Udp;
use pointsman_policy::model::{
    Action, Arm, ArmKey, DomainOrder, Node, OnUnknown, Origin, OutboundId, OutboundInfo,
    OutboundKind, Policy, Rule, Select, SelectOn, SetId,
};
use pointsman_policy::request::{Answer, RequestId};
use pointsman_policy::set::{Key, RuleSet};
use pointsman_policy::zone::{ZoneId, Zones};
use pointsman_policy::{Domain, End, Host, Possible};

pub(crate) const DIRECT: OutboundId = OutboundId(0);
pub(crate) const PROXY: OutboundId = OutboundId(1);
pub(crate) const WORK: OutboundId = OutboundId(2);
pub(crate) const RESET: OutboundId = OutboundId(3);

pub(crate) fn policy(body: Vec<Node>) -> Policy {
    let outbound = |name: &str, action| OutboundInfo {
        name: name.into(),
        kind: OutboundKind::Plain(action),
        udp: Udp::Carried,
    };
    Policy {
        name: "main".into(),
        outbounds: Arc::new([
            outbound("direct", Action::Direct),
            outbound("proxy", Action::Proxy),
            outbound("work", Action::Direct),
            outbound("reset", Action::Reset),
            outbound("reject", Action::Reject),
            outbound("blackhole", Action::Blackhole),
        ]),
        direct: DIRECT,
        body: body.into(),
        sets: Arc::new([]),
        zones: Arc::new(Zones::default()),
        databases: Arc::default(),
        domain_order: DomainOrder::Native,
        on_unknown: OnUnknown::Skip,
    }
}

/// The same with a plan, however short its lists are.
pub(crate) fn compiled(policy: &Policy) -> Policy {
    let mut compiled = policy.clone();
    compiled.body.compile_lists(Key::default(), 1);
    compiled
}

pub(crate) fn with_sets(mut policy: Policy, sets: Vec<RuleSet>) -> Policy {
    policy.sets = sets.into_iter().map(Arc::new).collect();
    policy
}

pub(crate) fn origin(line: u32) -> Origin {
    Origin {
        file: "config".into(),
        line,
        text: format!("rule {line}").into(),
    }
}

pub(crate) fn rule(line: u32, condition: Condition, outbound: OutboundId) -> Node {
    Node::Rule(Rule {
        condition,
        outbound,
        origin: origin(line),
        class: None,
    })
}

pub(crate) fn leaf(line: u32, outbound: OutboundId) -> Node {
    Node::Leaf {
        outbound,
        origin: origin(line),
    }
}

pub(crate) fn name(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

pub(crate) fn suffix(text: &str) -> Condition {
    Condition::Domain(DomainTest::Suffix(name(text)))
}

pub(crate) fn ip(prefix: &str, asks: Asks) -> Condition {
    Condition::Address {
        of: AddressOf::Destination,
        prefix: prefix.parse().unwrap(),
        asks,
    }
}

pub(crate) fn port(port: u16) -> Condition {
    Condition::Port {
        side: pointsman_policy::condition::Side::Destination,
        ranges: vec![port..=port],
        network: None,
    }
}

pub(crate) fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

pub(crate) fn set(id: u32, asks: Asks) -> Condition {
    Condition::Set(SetId(id), asks)
}

pub(crate) fn zone(at: u32) -> ArmKey {
    ArmKey::Zone(ZoneId(at))
}

/// Arms on the lines behind the selection's.
pub(crate) fn selecting(on: SelectOn, arms: impl IntoIterator<Item = (ArmKey, Node)>) -> Node {
    let arms = arms.into_iter().zip(2..).map(|((key, then), line)| Arm {
        key,
        then,
        origin: origin(line),
    });
    Node::Select(Select {
        on,
        arms: arms.collect(),
        origin: origin(1),
    })
}

/// What came of a flow, in a few words: `proxy by 3`, `needs sniff`, `no route`.
pub(crate) fn told(policy: &Policy, words: &str) -> String {
    let mut trace = Trace::default();
    let step = policy.decide_traced(&flow(words), &mut trace);
    assert_eq!(step, policy.decide(&flow(words)), "a trace changes nothing");
    match step {
        Step::Decided(decision) => {
            let outbound = decision.outbound.map(|id| policy.outbound(id).name.clone());
            let outbound = outbound.unwrap_or_else(|| "refused".into());
            let entry = decision.entry.map(|entry| format!(" with {entry}"));
            match decision.rule {
                Some(rule) => format!("{outbound} by {}{}", rule.line, entry.unwrap_or_default()),
                None => outbound.to_string(),
            }
        }
        Step::Need(need) => format!("needs {}", need.as_str()),
        Step::NoRoute => "no route".to_owned(),
    }
}

/// What may come of a flow, with the lines that lead there first: `proxy by 2, direct by 3`.
pub(crate) fn ends_told(policy: &Policy, possible: &[Possible]) -> String {
    let told = possible.iter().map(|Possible { end, rule }| {
        let end = match end {
            End::NoRoute => "no route".to_owned(),
            End::Refused => "refused".to_owned(),
            End::To(outbound) => policy.outbound(*outbound).name.to_string(),
        };
        match rule {
            Some(rule) => format!("{end} by {}", rule.line),
            None => end,
        }
    });
    told.collect::<Vec<_>>().join(", ")
}

pub(crate) fn ends(possible: &[Possible]) -> Vec<End> {
    possible.iter().map(|possible| possible.end).collect()
}

/// Where a decision ends, all being known.
pub(crate) fn end(step: &Step) -> End {
    match step {
        Step::Decided(decision) => decision.outbound.map_or(End::Refused, End::To),
        Step::NoRoute => End::NoRoute,
        Step::Need(need) => panic!("{need:?} is known"),
    }
}

/// What a condition comes to: `yes`, `no`, `unknown: why`, `needs sniff`.
pub(crate) fn truth(policy: &Policy, condition: &Condition, words: &str) -> String {
    let body = vec![rule(1, condition.clone(), PROXY), leaf(2, DIRECT)];
    let policy = Policy {
        body: body.into(),
        ..policy.clone()
    };
    let mut trace = Trace::default();
    match policy.decide_traced(&flow(words), &mut trace) {
        Step::Need(need) => format!("needs {}", need.as_str()),
        Step::NoRoute => "no route".to_owned(),
        Step::Decided(_) => match &trace.visits[0].verdict {
            Verdict::No => "no".to_owned(),
            Verdict::Unknown(why) => format!("unknown: {why}"),
            Verdict::Yes => "yes".to_owned(),
        },
    }
}

/// The visits of a flow: `1 no: there is no domain`.
pub(crate) fn visits(policy: &Policy, words: &str) -> Vec<String> {
    let mut trace = Trace::default();
    let _ = policy.decide_traced(&flow(words), &mut trace);
    let line = |visit: &pointsman_policy::Visit| {
        let verdict = match visit.verdict {
            Verdict::No => "no",
            Verdict::Unknown(_) => "?",
            Verdict::Yes => "yes",
        };
        format!("{} {verdict}: {visit}", visit.origin.line)
    };
    trace.visits.iter().map(line).collect()
}

pub(crate) fn flow(words: &str) -> Facts {
    let mut facts = Facts::default();
    for word in words.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap();
        match key {
            "network" => {
                facts.network = match value {
                    "tcp" => Network::Tcp,
                    "udp" => Network::Udp,
                    _ => Network::Icmp,
                }
            }
            "type" => facts.query_type = Some(value.parse().unwrap()),
            "dst" => {
                let (host, port) = value.rsplit_once(':').unwrap();
                let host = Host::parse(host).unwrap();
                facts.destination = Fact::Known(host, Provenance::Request);
                facts.port = Fact::Known(port.parse().unwrap(), Provenance::Request);
            }
            "src" => facts.source = known(value.parse().unwrap()),
            "fake" => facts.sought.to_mut().fake_ip = Fact::Known(name(value), Provenance::FakeIp),
            "dns" => {
                facts.sought.to_mut().correlated =
                    Fact::Known(name(value), Provenance::DnsCorrelation);
            }
            "dscp" => facts.sought.to_mut().dscp = fact(value, |value| value.parse().unwrap()),
            "serves" => facts.sought.to_mut().serves = known(value.into()),
            "inbound" => facts.inbound = known(inbound(value)),
            "look" => facts.sought.to_mut().look = fact(value, look).boxed(),
            "resolved" => {
                facts.sought.to_mut().resolved = fact(value, |value| {
                    let parse = |address: &str| address.parse::<IpAddr>().unwrap();
                    value.split(',').map(parse).collect()
                });
            }
            "owner" => facts.sought.to_mut().owner = fact(value, process).boxed(),
            // After `owner=`.
            "pid" => {
                if let Fact::Known(process, _) = &mut facts.sought.to_mut().owner {
                    process.pid = fact(value, |value| value.parse().unwrap());
                }
            }
            "tag" => {
                if let Fact::Known(process, _) = &mut facts.sought.to_mut().owner {
                    process.tag = fact(value, |value| value.into());
                }
            }
            "geo" => {
                facts.sought.to_mut().geo = fact(value, |value| {
                    let (country, asn) = value.split_once('/').unwrap_or((value, ""));
                    Geo {
                        country: (!country.is_empty()).then(|| country.into()),
                        asn: asn.parse().ok(),
                    }
                });
            }
            // By the number of the request.
            "verdict" => {
                let answer = |value: &str| Answer::of(value).unwrap();
                let verdicts = value.split(',').map(|value| fact(value, answer));
                facts.sought.to_mut().verdicts = (0..).map(RequestId).zip(verdicts).collect();
            }
            "local" => facts.sought.to_mut().local = fact(value, |value| value.parse().unwrap()),
            _ => panic!("no such word: {word}"),
        }
    }
    facts
}

fn known<T>(value: T) -> Fact<T> {
    Fact::Known(value, Provenance::Given)
}

fn fact<T>(value: &str, parse: impl FnOnce(&str) -> T) -> Fact<T> {
    match value.strip_prefix('!') {
        Some(why) => Fact::Failed(why.into()),
        None if value == "none" => Fact::Absent,
        None => known(parse(value)),
    }
}

/// `tls:example.com`, `ech:outer.example.com`, `http:host:agent:METHOD`, `ssh::software`, `other`.
fn look(value: &str) -> Look {
    let mut parts = value.split(':');
    let kind = parts.next().unwrap_or_default();
    let domain = parts.next().filter(|part| !part.is_empty()).map(name);
    let mut text = || parts.next().map(Arc::<str>::from);
    let plain = |protocol| Look {
        protocol,
        domain: domain.clone(),
        ..Look::default()
    };
    match kind {
        "tls" => Look {
            alpn: text().into_iter().collect(),
            tls_version: Some(0x303),
            ..plain(Protocol::Tls)
        },
        "ech" => Look {
            ech: true,
            ..plain(Protocol::Tls)
        },
        "http" => Look {
            user_agent: text(),
            method: text(),
            ..plain(Protocol::Http)
        },
        "ssh" => Look {
            ssh_software: text(),
            ..plain(Protocol::Ssh)
        },
        "quic" => Look {
            quic_version: Some(1),
            ..plain(Protocol::Quic)
        },
        _ => plain(Protocol::Other),
    }
}

/// `alice@http:7890#name`.
fn inbound(value: &str) -> Inbound {
    let (value, name) = match value.split_once('#') {
        Some((value, name)) => (value, Some(name.into())),
        None => (value, None),
    };
    let (user, value) = match value.split_once('@') {
        Some((user, value)) => (Some(user.into()), value),
        None => (None, value),
    };
    let (kind, port) = value.split_once(':').unwrap_or((value, ""));
    Inbound {
        kind: match kind {
            "http" => InboundKind::Http,
            "socks5" => InboundKind::Socks5,
            _ => InboundKind::Tun,
        },
        name,
        port: port.parse().ok(),
        user,
    }
}

/// `curl` or `/usr/bin/curl`, then `<parent` for each ancestor.
fn process(value: &str) -> Process {
    let mut names = value.split('<');
    let path = names.next().unwrap_or_default();
    let parent = |text: &str| Parent {
        name: Some(text.into()),
        path: None,
        pid: Some(7),
    };
    Process {
        name: known(path.rsplit('/').next().unwrap_or_default().into()),
        path: match path.contains('/') {
            true => known(path.into()),
            false => Fact::Absent,
        },
        command_line: known(format!("{path} --flag").into()),
        parents: names.map(parent).collect(),
        ..Process::default()
    }
}

/// The flow as it is at accept.
pub(crate) fn unlearned(world: &Facts) -> Facts {
    let nothing = Facts::default();
    let mut flow = world.clone();
    for need in Need::ALL {
        learn(need, &mut flow, &nothing);
    }
    flow.sought.to_mut().verdicts.clear();
    flow
}

pub(crate) fn learn(need: Need, flow: &mut Facts, from: &Facts) {
    match need {
        Need::Country => flow.sought.to_mut().geo = from.sought.geo.clone(),
        Need::Local => flow.sought.to_mut().local = from.sought.local.clone(),
        Need::Owner => flow.sought.to_mut().owner = from.sought.owner.clone(),
        Need::Resolve => flow.sought.to_mut().resolved = from.sought.resolved.clone(),
        Need::Sniff => flow.sought.to_mut().look = from.sought.look.clone(),
        Need::Verdict(request) => flow.answer(request, from.verdict(request).clone()),
    }
}
