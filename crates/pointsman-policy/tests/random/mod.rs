//! Random policies and flows over a vocabulary small enough that they often meet.

#![allow(dead_code, reason = "each test file uses its part")]
#![expect(clippy::unwrap_used, reason = "the vocabulary is fixed")]

use std::ops::Range;
use std::sync::Arc;

use pointsman_policy::NamePattern;
use pointsman_policy::condition::{
    AddressKind, AddressOf, Asks, Condition, DomainTest, NumberField, Side, TextField, TextTest,
    ZoneOf,
};
use pointsman_policy::decision::Entry;
use pointsman_policy::fact::{Fact, Facts, InboundKind, Network, Protocol, Provenance};
use pointsman_policy::model::{
    Arm, ArmKey, DomainOrder, Node, OnUnknown, OutboundId, Policy, Rule, Select, SelectOn, SetId,
    Template,
};
use pointsman_policy::request::{Answer, Request, RequestId, Route};
use pointsman_policy::set::{Item, Key, Place, Reach, RuleSet, RuleSetBuilder, Sink as _};
use pointsman_policy::zone::{ZoneId, Zones};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use regex::RegexBuilder;

use crate::flow::{flow, name, origin, policy};

pub(crate) const NAMES: &[&str] = &["test", "a.test", "b.a.test", "xa.test", "other.org", "org"];
const RANGES: &[&str] = &[
    "10.0.0.0/8",
    "10.3.0.0/16",
    "192.0.2.1",
    "::/0",
    "127.0.0.0/8",
    "0.0.0.0",
    "::1",
];
const TEXTS: &[&str] = &["curl", "sh", "GET", "h2", "OpenSSH_9", "work"];

/// A flow with every fact settled: known, absent or failed.
pub(crate) fn any_flow() -> impl Strategy<Value = Facts> {
    let accept = (
        select(&["network=tcp", "network=udp"][..]),
        option::of(select(
            &[
                "dst=a.test:80",
                "dst=b.a.test:443",
                "dst=xa.test:22",
                "dst=10.3.0.1:443",
                "dst=192.0.2.1:80",
                "dst=[2001:db8::1]:22",
                "dst=0.0.0.0:80",
                "dst=[::]:443",
            ][..],
        )),
        option::of(select(&["src=10.1.1.1:22", "src=192.0.2.1:80"][..])),
        option::of(select(
            &[
                "inbound=http:80#work",
                "inbound=curl@socks5:22",
                "inbound=tun",
            ][..],
        )),
        option::weighted(
            0.3,
            select(&["fake=a.test", "dns=b.a.test", "dscp=46", "dscp=!gone"][..]),
        ),
        option::weighted(0.05, Just("serves=proxy")),
    );
    let asked = (
        select(
            &[
                "look=none",
                "look=!gone",
                "look=other",
                "look=tls:a.test:h2",
                "look=ech:other.org",
                "look=http:b.a.test:curl:GET",
                "look=ssh::OpenSSH_9",
                "look=quic:a.test",
            ][..],
        ),
        select(
            &[
                "resolved=none",
                "resolved=!servfail",
                "resolved=10.3.0.1",
                "resolved=192.0.2.1,10.0.0.1",
                "resolved=0.0.0.0",
            ][..],
        ),
        select(
            &[
                "owner=none",
                "owner=!procfs",
                "owner=/bin/curl<sh",
                "owner=sh<curl",
            ][..],
        ),
        select(&["geo=none", "geo=!corrupt", "geo=DE/1", "geo=FR/2", "geo=/1"][..]),
        select(
            &[
                "local=none",
                "local=!netlink",
                "local=10.0.0.2",
                "local=192.0.2.9",
            ][..],
        ),
    );
    let verdict = prop_oneof![
        1 => Just(Fact::Failed("nobody".into())),
        4 => select(&Answer::ALL[..]).prop_map(|answer| Fact::Known(answer, Provenance::Given)),
    ];
    let flow = (accept, asked).prop_map(|((network, dst, src, inbound, named, serves), asked)| {
        let words = [Some(network), dst, src, inbound, named, serves];
        let (look, resolved, owner, geo, local) = asked;
        let words = words
            .into_iter()
            .flatten()
            .chain([look, resolved, owner, geo, local]);
        flow(&words.collect::<Vec<_>>().join(" "))
    });
    // More than any policy here has requests.
    (flow, vec(verdict, 1..4)).prop_map(|(mut flow, verdicts)| {
        let verdicts = verdicts.iter().cycle().cloned();
        flow.sought.to_mut().verdicts = (0..512).map(RequestId).zip(verdicts).collect();
        flow
    })
}

pub(crate) fn any_policy() -> impl Strategy<Value = Policy> {
    any_policy_of(0..6)
}

/// A policy of so many steps at the top.
pub(crate) fn any_policy_of(length: Range<usize>) -> impl Strategy<Value = Policy> {
    policy_of(vec(any_node(), length))
}

/// A policy of so many rules, most of which a flow passes.
pub(crate) fn any_picky_policy_of(length: Range<usize>) -> impl Strategy<Value = Policy> {
    let condition = prop_oneof![
        5 => vec(plain_condition(), 2..4).prop_map(Condition::And),
        1 => plain_condition(),
    ];
    let rule = (condition, 0..4_u32).prop_map(|(condition, outbound)| {
        Node::Rule(Rule {
            condition,
            outbound: OutboundId(outbound),
            origin: origin(0),
            class: None,
        })
    });
    let node = prop_oneof![12 => rule, 1 => Just(Node::Resolve(origin(0))), 1 => any_node()];
    policy_of(vec(node, length))
}

fn policy_of(body: impl Strategy<Value = Vec<Node>>) -> impl Strategy<Value = Policy> {
    let orders = [
        DomainOrder::Native,
        DomainOrder::Requested,
        DomainOrder::RequestedElseSniffed,
        DomainOrder::SniffedElseRequested,
    ];
    let on_unknown = prop_oneof![4 => Just(OnUnknown::Skip), 1 => Just(OnUnknown::Reject)];
    (body, vec(any_set(), 2), select(orders.to_vec()), on_unknown).prop_map(
        |(mut body, sets, domain_order, on_unknown)| {
            number(&mut body, &mut 0);
            Policy {
                sets: sets.into_iter().map(Arc::new).collect(),
                zones: Arc::new(zones()),
                domain_order,
                on_unknown,
                ..policy(body)
            }
        },
    )
}

pub(crate) fn any_node() -> impl Strategy<Value = Node> {
    let outbound = || (0..4_u32).prop_map(OutboundId);
    let plain = prop_oneof![
        6 => (any_condition(), outbound()).prop_map(|(condition, outbound)| {
            Node::Rule(Rule { condition, outbound, origin: origin(0), class: None })
        }),
        1 => outbound().prop_map(|outbound| Node::Leaf { outbound, origin: origin(0) }),
        1 => Just(Node::Resolve(origin(0))),
        1 => (any_condition(), select(&["{domain}", "{process.name} {country}", "{local}", "plain"][..]))
            .prop_map(|(condition, message)| Node::Instrument {
                condition,
                id: 1,
                message: Template::parse(message).unwrap(),
                origin: origin(0),
            }),
        1 => (any_condition(), select(&Route::ALL[..])).prop_map(
            |(condition, fallback)| {
                let mut request = Request::new(1, OutboundId(4), OutboundId(5));
                request.fallback = fallback;
                Node::Request { condition, request, origin: origin(0) }
            }
        ),
    ];
    plain.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(Node::Any),
            (any_condition(), vec(inner.clone(), 1..4)).prop_map(|(condition, body)| Node::Sub {
                condition,
                body,
                origin: origin(0),
            }),
            (any_condition(), inner.clone(), option::of(inner.clone())).prop_map(
                |(condition, then, otherwise)| Node::When {
                    condition,
                    then: Box::new(then),
                    otherwise: otherwise.map(Box::new),
                    origin: origin(0),
                }
            ),
            (0..4_u32, asks(), vec(inner, 1..3)).prop_map(|(on, asks, branches)| {
                let zone = |at| ArmKey::Zone(ZoneId(at));
                let (on, keys) = match on {
                    0 => (
                        SelectOn::Protocol,
                        [
                            ArmKey::Protocol(Protocol::Tls),
                            ArmKey::Protocol(Protocol::Http),
                        ],
                    ),
                    1 => (
                        SelectOn::Protocol,
                        [
                            ArmKey::Protocol(Protocol::Quic),
                            ArmKey::Protocol(Protocol::Ssh),
                        ],
                    ),
                    2 => (SelectOn::Zone(ZoneOf::Domain, asks), [zone(0), zone(1)]),
                    _ => (SelectOn::Zone(ZoneOf::Address, asks), [zone(0), zone(1)]),
                };
                let arms = keys.into_iter().zip(branches);
                let arm = |(key, then)| Arm {
                    key,
                    then,
                    origin: origin(0),
                };
                Node::Select(Select {
                    on,
                    arms: arms.map(arm).collect(),
                    origin: origin(0),
                })
            }),
        ]
    })
}

const NUMBERS: &[(NumberField, &str)] = &[
    (NumberField::DnsType, "A"),
    (NumberField::DnsType, "AAAA-65"),
    (NumberField::Dscp, "0-1"),
    (NumberField::Dscp, "46"),
    (NumberField::Ech, "no"),
    (NumberField::Ech, "yes"),
    (NumberField::Pid, "7"),
    (NumberField::Pid, "1-99999"),
    (NumberField::QuicVersion, "1"),
    (NumberField::TlsVersion, "1.0-1.2"),
    (NumberField::TlsVersion, "1.3"),
];

pub(crate) fn any_condition() -> impl Strategy<Value = Condition> {
    // The sets' own conditions hold no sets: no circles.
    let leaf = prop_oneof![
        10 => plain_condition(),
        2 => (0..2_u32, asks()).prop_map(|(set, asks)| Condition::Set(SetId(set), asks)),
    ];
    logic(leaf)
}

pub(crate) fn logic(
    leaf: impl Strategy<Value = Condition> + 'static,
) -> impl Strategy<Value = Condition> {
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Condition::And),
            vec(inner.clone(), 0..4).prop_map(Condition::Or),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

fn plain_condition() -> impl Strategy<Value = Condition> {
    let prefix = || select(RANGES).prop_map(|range| range.parse().unwrap());
    let owners = [
        AddressOf::Destination,
        AddressOf::Source,
        AddressOf::Either,
        AddressOf::Outgoing,
    ];
    let kinds = [
        AddressKind::Domain,
        AddressKind::Ip,
        AddressKind::Ipv4,
        AddressKind::Ipv6,
    ];
    let protocols = [
        Protocol::Http,
        Protocol::Other,
        Protocol::Quic,
        Protocol::Ssh,
        Protocol::Tls,
    ];
    let fields = [
        TextField::Alpn,
        TextField::CommandLine,
        TextField::InboundName,
        TextField::Method,
        TextField::ParentName,
        TextField::ProcessName,
        TextField::ProcessPath,
        TextField::SshSoftware,
        TextField::Tag,
        TextField::UserAgent,
    ];
    let inbounds = [InboundKind::Http, InboundKind::Mixed, InboundKind::Tun];
    prop_oneof![
        (select(owners.to_vec()), prefix(), asks())
            .prop_map(|(of, prefix, asks)| Condition::Address { of, prefix, asks }),
        select(kinds.to_vec()).prop_map(Condition::AddressKind),
        Just(Condition::Always),
        Just(Condition::Never),
        (1..3_u32, asks()).prop_map(|(number, asks)| Condition::Asn(number, asks)),
        (select(&["DE", "FR"][..]), asks())
            .prop_map(|(code, asks)| Condition::Country(code.into(), asks)),
        domain_test().prop_map(Condition::Domain),
        domain_test().prop_map(Condition::Domain),
        (
            option::of(select(inbounds.to_vec())),
            option::of(Just(80)),
            option::of(Just("curl"))
        )
            .prop_map(|(kind, port, user)| Condition::Inbound {
                kind,
                port,
                user: user.map(Into::into),
            }),
        Just(Condition::Network(Network::Udp)),
        select(NUMBERS).prop_map(|(field, text)| {
            Condition::Number(field, field.read_range(text).unwrap())
        }),
        (
            any::<bool>(),
            option::of(Just(Network::Udp)),
            select(vec![(80, 80), (22, 22), (400, 500), (1, 65535), (81, 443)]),
        )
            .prop_map(|(source, network, (from, to))| {
                let side = if source {
                    Side::Source
                } else {
                    Side::Destination
                };
                Condition::Port {
                    side,
                    ranges: vec![80..=80, from..=to],
                    network,
                }
            }),
        select(protocols.to_vec()).prop_map(Condition::Protocol),
        (select(fields.to_vec()), text_test())
            .prop_map(|(field, test)| Condition::Text(field, test)),
        (any::<bool>(), select(NAMES)).prop_map(|(plain, text)| {
            let field = match plain {
                true => TextField::HttpHost,
                false => TextField::ServerName,
            };
            Condition::Text(field, TextTest::Exact(text.into()))
        }),
        (any::<bool>(), 0..2_u32, asks()).prop_map(|(name, zone, asks)| {
            let of = if name {
                ZoneOf::Domain
            } else {
                ZoneOf::Address
            };
            Condition::Zone(of, ZoneId(zone), asks)
        }),
    ]
}

pub(crate) fn domain_test() -> impl Strategy<Value = DomainTest> {
    prop_oneof![
        select(NAMES).prop_map(|text| DomainTest::Exact(name(text))),
        select(NAMES).prop_map(|text| DomainTest::Suffix(name(text))),
        select(&["a", "org"][..]).prop_map(|text| DomainTest::Keyword(text.into())),
        select(&["^x", "A\\.test$", "(?i)B"][..])
            .prop_map(|text| DomainTest::Regex(NamePattern::new(text).unwrap())),
    ]
}

fn text_test() -> impl Strategy<Value = TextTest> {
    prop_oneof![
        select(TEXTS).prop_map(|text| TextTest::Exact(text.into())),
        select(TEXTS).prop_map(|text| TextTest::KeywordIgnoreCase(text.to_lowercase().into())),
        select(TEXTS).prop_map(|text| TextTest::AppName(text.to_lowercase().into())),
        select(TEXTS).prop_map(|text| TextTest::ExactIgnoreCase(text.to_uppercase().into())),
        select(&["ur", "S", "", "bin"][..]).prop_map(|text| TextTest::Keyword(text.into())),
        select(&["^c", "H$"][..]).prop_map(|text| {
            let regex = RegexBuilder::new(text).case_insensitive(true).build();
            TextTest::Regex(regex.unwrap())
        }),
    ]
}

fn asks() -> impl Strategy<Value = Asks> {
    select(vec![Asks::Never, Asks::Resolve])
}

pub(crate) fn any_set() -> impl Strategy<Value = RuleSet> {
    any_listed_set().prop_map(|(set, _, _)| set)
}

/// A set, with its names (by kind, as they are added here) and ranges.
pub(crate) type ListedSet = (RuleSet, Vec<(&'static str, u8)>, Vec<&'static str>);

pub(crate) fn any_listed_set() -> impl Strategy<Value = ListedSet> {
    let names = vec((select(NAMES), 0..14_u8), 0..4);
    let ranges = vec(select(RANGES), 0..3);
    let others = prop_oneof![
        2 => vec(logic(plain_condition()), 0..2),
        1 => many_others(),
    ];
    (names, ranges, others).prop_map(|(names, ranges, others)| {
        let mut set = RuleSetBuilder::new("set", "set.txt", Key::default());
        for (line, (text, kind)) in (1..).zip(&names) {
            let domain = name(text);
            let (item, written) = match kind {
                0 => (Item::ExceptExact((&domain).into()), format!("@@|{text}^|")),
                1 => (Item::ExceptSuffix((&domain).into()), format!("@@||{text}^")),
                2..5 => (Item::Exact((&domain).into()), (*text).to_owned()),
                8 | 9 | 13 => {
                    let item = Item::Important {
                        name: (&domain).into(),
                        reach: match kind {
                            8 => Reach::Suffix,
                            9 => Reach::Exact,
                            _ => Reach::Below,
                        },
                        except: text.len().is_multiple_of(2),
                    };
                    (item, format!("||{text}^$important"))
                }
                10 => (
                    Item::Except(DomainTest::Keyword((*text).into())),
                    format!("@@*{text}*"),
                ),
                11 => (Item::Below((&domain).into()), format!("||*.{text}^")),
                12 => (
                    Item::ExceptBelow((&domain).into()),
                    format!("@@||*.{text}^"),
                ),
                _ => (Item::Suffix((&domain).into()), format!("+.{text}")),
            };
            let written = &*written;
            set.add(item, Place { line, written });
        }
        for (line, range) in (11..).zip(&ranges) {
            set.add_prefix(range.parse().unwrap(), line, range);
        }
        for (line, condition) in (21..).zip(others) {
            set.add_other(condition, line, "other");
        }
        (set.finish(), names, ranges)
    })
}

/// Enough for an index: keywords and expressions, most of which are in no name, and now and then something else.
fn many_others() -> impl Strategy<Value = Vec<Condition>> {
    let vain = (0..100_u32).prop_map(|number| match number % 4 {
        0 => DomainTest::Keyword(format!("word{number}").into()),
        1 => DomainTest::Keyword("Test".into()),
        2 => DomainTest::Regex(NamePattern::new(&format!("x{number}|y+z{number}")).unwrap()),
        _ => DomainTest::Regex(NamePattern::new(&format!("^.{{{number}}}$")).unwrap()),
    });
    let other = prop_oneof![
        16 => vain.prop_map(Condition::Domain),
        2 => domain_test().prop_map(Condition::Domain),
        1 => logic(plain_condition()),
    ];
    vec(other, 6..60)
}

/// Two zones of each kind, nested into each other.
pub(crate) fn zones() -> Zones {
    let mut zones = Zones::default();
    let entry = Entry::default;
    for (zone, text) in ["test", "a.test"].into_iter().enumerate() {
        let zone = zones.add_domain_zone(["outer", "inner"][zone]);
        zones.add_domain(zone, name(text), entry()).unwrap();
    }
    for (zone, text) in ["10.0.0.0/8", "10.3.0.0/16", "127.0.0.0/8"]
        .into_iter()
        .enumerate()
    {
        let zone = zones.add_address_zone(["outer", "inner", "own"][zone]);
        zones
            .add_address(zone, text.parse().unwrap(), entry())
            .unwrap();
    }
    zones
}

/// Gives every line its own number, so that a trace tells which one it visited.
pub(crate) fn number(nodes: &mut [Node], next: &mut u32) {
    for node in nodes {
        *next += 1;
        match node {
            Node::Any(nodes) => number(nodes, next),
            Node::Instrument { origin: own, .. }
            | Node::Leaf { origin: own, .. }
            | Node::Resolve(own) => *own = origin(*next),
            // A number that stays, however the policy is written.
            Node::Request {
                request,
                origin: own,
                ..
            } => (request.subscriber, *own) = (*next, origin(*next)),
            Node::Rule(rule) => rule.origin = origin(*next),
            Node::Select(select) => {
                select.origin = origin(*next);
                for arm in &mut select.arms {
                    *next += 1;
                    arm.origin = origin(*next);
                    number(std::slice::from_mut(&mut arm.then), next);
                }
            }
            Node::Sub {
                body, origin: own, ..
            } => {
                *own = origin(*next);
                number(body, next);
            }
            Node::When {
                then,
                otherwise,
                origin: own,
                ..
            } => {
                *own = origin(*next);
                number(std::slice::from_mut(&mut **then), next);
                if let Some(otherwise) = otherwise {
                    number(std::slice::from_mut(&mut **otherwise), next);
                }
            }
        }
    }
}
