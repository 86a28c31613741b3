//! Any bytes as a policy and flows: compiled, it answers as the interpreter does.
//!
//! Invariant: bytes that are used up read as zeros, and a zero is always the simplest thing: reading ends.

use std::net::IpAddr;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::answer::{Answer, Route};
use crate::condition::{
    AddressKind, AddressOf, Asks, Condition, DomainTest, NumberField, Side, TextField, TextTest,
    ZoneOf,
};
use crate::decision::Step;
use crate::domain::Domain;
use crate::entry::Entry;
use crate::fact::{
    Fact, Facts, Geo, Inbound, InboundKind, Look, Need, Network, Parent, Process, Protocol,
    Provenance, SoughtFacts,
};
use crate::ids::{OutboundId, RequestId, SetId, ZoneId};
use crate::key::Key;
use crate::model::udp::Udp;
use crate::model::{
    Action, Arm, ArmKey, DomainOrder, Node, OnUnknown, OutboundInfo, OutboundKind, Policy, Rule,
    Select, SelectOn, Template,
};
use crate::origin::Origin;
use crate::request::Request;
use crate::set::{Item, Place, RuleSet, RuleSetBuilder, Sink as _};
use crate::zone::Zones;
use crate::{Host, NamePattern, Prefix, Watch};

const NAMES: [&str; 8] = [
    "test",
    "a.test",
    "b.a.test",
    "c.b.a.test",
    "xa.test",
    "org",
    "aa.org",
    "a",
];
const ADDRESSES: [&str; 10] = [
    "10.3.0.1",
    "10.3.7.9",
    "10.0.0.0",
    "192.0.2.1",
    "255.255.255.255",
    "2001:db8::1",
    "fd00::1",
    "0.0.0.0",
    "127.0.0.1",
    "::",
];
const LENGTHS: [u8; 8] = [0, 1, 8, 15, 16, 31, 32, 128];
const PORTS: [u16; 8] = [0, 22, 80, 81, 443, 1024, 32768, 65535];
const NUMBERS: [u32; 6] = [0, 1, 2, 63, 0x303, 0x304];
const TEXTS: [&str; 8] = ["curl", "Curl", "sh", "", "/bin/curl", "urls", "h2", "GET"];
const PATTERNS: [&str; 5] = ["^a", "A", "[^a]t", "(?x) t $ # end", ""];
const FIELDS: [TextField; 8] = [
    TextField::Alpn,
    TextField::InboundName,
    TextField::ParentName,
    TextField::ProcessName,
    TextField::ProcessPath,
    TextField::CommandLine,
    TextField::Method,
    TextField::UserAgent,
];
const PROTOCOLS: [Protocol; 5] = [
    Protocol::Other,
    Protocol::Tls,
    Protocol::Http,
    Protocol::Ssh,
    Protocol::Quic,
];
const KINDS: [InboundKind; 4] = [
    InboundKind::Http,
    InboundKind::Mixed,
    InboundKind::Socks5,
    InboundKind::Tun,
];
const MESSAGES: [&str; 3] = ["plain", "{process.name} {country}", "{local} {ip}"];
/// Steps within steps, conditions within conditions.
const DEEPEST: u8 = 3;

/// Checks that the compiled policy and the interpreter agree on each step of each flow.
///
/// # Panics
/// When they do not.
pub fn check_plan(bytes: &[u8]) {
    let mut reader = Reader(bytes);
    let key = Key([u64::from(reader.byte()), u64::from(reader.byte())]);
    let shortest = usize::from(reader.below(2)) * 7 + 1;
    let mut policy = reader.policy(key);
    policy.body.compile_lists(key, shortest);
    for _ in 0..3 {
        let mut facts = reader.accepted();
        let world = reader.world();
        for need in Need::ALL {
            if reader.below(3) == 2 {
                learn(need, &mut facts, &world);
            }
        }
        for on_unknown in [OnUnknown::Skip, OnUnknown::Reject] {
            policy.on_unknown = on_unknown;
            let mut facts = facts.clone();
            while let Step::Need(need) = same(&policy, &facts) {
                assert!(facts.lacks(need), "{need:?} is asked twice");
                learn(need, &mut facts, &world);
            }
        }
    }
}

fn same(policy: &Policy, facts: &Facts) -> Step {
    let plain = policy.decide_plainly(facts);
    let mut messages = Vec::new();
    let watch = Watch::Messages {
        time: "",
        messages: &mut messages,
    };
    assert_eq!(policy.decide(facts), plain, "{facts:?} {policy:#?}");
    assert_eq!(policy.decide_with(facts, watch), plain);
    plain
}

fn learn(need: Need, facts: &mut Facts, world: &Facts) {
    match need {
        Need::Country => facts.sought.to_mut().geo = world.sought.geo.clone(),
        Need::Local => facts.sought.to_mut().local = world.sought.local.clone(),
        Need::Owner => facts.sought.to_mut().owner = world.sought.owner.clone(),
        Need::Resolve => facts.sought.to_mut().resolved = world.sought.resolved.clone(),
        Need::Sniff => facts.sought.to_mut().look = world.sought.look.clone(),
        Need::Verdict(request) => facts.answer(request, verdict_of(request, world)),
    }
}

/// What is said to a request: one of the world's answers, by its number.
fn verdict_of(request: RequestId, world: &Facts) -> Fact<Answer> {
    let at = request.0 as usize % world.sought.verdicts.len().max(1);
    match world.sought.verdicts.get(at) {
        Some((_, Fact::Unknown)) | None => Fact::Failed("not found".into()),
        Some((_, verdict)) => verdict.clone(),
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn below(&mut self, bound: u8) -> u8 {
        self.byte() % bound
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    fn policy(&mut self, key: Key) -> Policy {
        let orders = [
            DomainOrder::Native,
            DomainOrder::Requested,
            DomainOrder::RequestedElseSniffed,
            DomainOrder::SniffedElseRequested,
        ];
        let domain_order = self.of(&orders);
        let sets = [self.set(key), self.set(key)];
        let outbound = |name: &str| OutboundInfo {
            name: name.into(),
            kind: OutboundKind::Plain(Action::Direct),
            udp: Udp::Carried,
        };
        let mut body = Vec::new();
        while !self.0.is_empty() && body.len() < 64 && self.below(16) != 15 {
            body.push(self.node(DEEPEST));
        }
        Policy {
            name: "main".into(),
            outbounds: Arc::new([outbound("direct"), outbound("other")]),
            direct: OutboundId(0),
            body: body.into(),
            sets: sets.map(Arc::new).into(),
            zones: Arc::new(self.zones()),
            databases: Arc::default(),
            domain_order,
            on_unknown: OnUnknown::Skip,
        }
    }

    fn set(&mut self, key: Key) -> RuleSet {
        let mut set = RuleSetBuilder::new("set", "set.txt", key);
        if self.below(4) == 3 {
            // Enough for an index.
            for line in 10..20 {
                let test = match self.below(4) {
                    0 | 1 => self.domain_test(),
                    _ => DomainTest::Keyword(TEXTS[0].into()),
                };
                set.add_other(Condition::Domain(test), line, "part");
            }
        }
        for line in 1..=u32::from(self.below(4)) {
            match self.below(6) {
                0 => set.add_suffix(self.name(), line, "suffix"),
                1 => set.add_exact(self.name(), line, "exact"),
                2 => set.add_prefix(self.prefix(), line, "prefix"),
                3 => {
                    let (name, written) = (self.name(), "except");
                    let item = Item::ExceptSuffix((&name).into());
                    set.add(item, Place { line, written });
                }
                4 => set.add_below(self.name(), line, "below"),
                // No sets within sets: these have no circles.
                _ => set.add_other(self.condition(1), line, "other"),
            }
        }
        set.finish()
    }

    fn zones(&mut self) -> Zones {
        let mut zones = Zones::default();
        for zone in ["outer", "inner"] {
            let (names, addresses) = (zones.add_domain_zone(zone), zones.add_address_zone(zone));
            // Whoever comes second has no such entry.
            let _claimed = zones.add_domain(names, self.name(), Entry::default());
            let _claimed = zones.add_address(addresses, self.prefix(), Entry::default());
        }
        zones
    }

    fn node(&mut self, depth: u8) -> Node {
        let nodes = |reader: &mut Self| {
            let count = reader.below(6);
            (0..count).map(|_| reader.node(depth - 1)).collect()
        };
        let kind = self.below(if depth == 0 { 12 } else { 17 });
        let origin = self.origin();
        match kind {
            0..=7 => Node::Rule(Rule {
                condition: self.condition(DEEPEST),
                outbound: OutboundId(u32::from(self.below(2))),
                origin,
                class: None,
            }),
            8 => Node::Leaf {
                outbound: OutboundId(0),
                origin,
            },
            9 => Node::Resolve(origin),
            10 => Node::Instrument {
                condition: self.condition(DEEPEST),
                id: 1,
                message: Template::parse(self.of(&MESSAGES)).unwrap_or(Template(Vec::new())),
                origin,
            },
            11 => Node::Request {
                condition: self.condition(DEEPEST),
                request: self.request(),
                origin,
            },
            12 => Node::Any(nodes(self)),
            13 => Node::Sub {
                condition: self.condition(DEEPEST),
                body: nodes(self),
                origin,
            },
            14 | 15 => {
                let condition = self.condition(DEEPEST);
                let then = Box::new(self.node(depth - 1));
                let otherwise = (kind == 15).then(|| Box::new(self.node(depth - 1)));
                Node::When {
                    condition,
                    then,
                    otherwise,
                    origin,
                }
            }
            _ => {
                let zone = |at| ArmKey::Zone(ZoneId(at));
                let (on, keys) = match self.below(3) {
                    0 => (SelectOn::Protocol, PROTOCOLS.map(ArmKey::Protocol).to_vec()),
                    1 => (
                        SelectOn::Zone(ZoneOf::Domain, Asks::Never),
                        vec![zone(0), zone(1)],
                    ),
                    _ => (
                        SelectOn::Zone(ZoneOf::Address, self.asks()),
                        vec![zone(1), zone(0)],
                    ),
                };
                let count = usize::from(self.below(4)) + 1;
                let arms = keys.into_iter().take(count).map(|key| Arm {
                    key,
                    then: self.node(depth - 1),
                    origin: self.origin(),
                });
                Node::Select(Select {
                    on,
                    arms: arms.collect(),
                    origin,
                })
            }
        }
    }

    /// Its place tells steps apart.
    fn origin(&self) -> Origin {
        Origin {
            line: u32::try_from(self.0.len()).unwrap_or(u32::MAX),
            ..Origin::default()
        }
    }

    fn request(&mut self) -> Request {
        let outbound = |reader: &mut Self| OutboundId(u32::from(reader.below(2)));
        let mut request = Request::new(1, outbound(self), outbound(self));
        request.fallback = self.of(&Route::ALL);
        request
    }

    fn verdicts(&mut self) -> Vec<(RequestId, Fact<Answer>)> {
        let count = u32::from(self.below(3));
        let verdict = |reader: &mut Self| reader.fact(|reader| reader.of(&Answer::ALL));
        (0..count)
            .map(|number| (RequestId(number), verdict(self)))
            .collect()
    }

    fn condition(&mut self, depth: u8) -> Condition {
        let all = |reader: &mut Self| {
            let count = reader.below(4);
            (0..count).map(|_| reader.condition(depth - 1)).collect()
        };
        let plain = 15 + if depth == DEEPEST { 2 } else { 0 };
        match self.below(if depth == 0 { 15 } else { plain + 4 }) {
            0 => Condition::Never,
            1 | 2 => Condition::Domain(self.domain_test()),
            3 => Condition::Address {
                of: self.of(&[
                    AddressOf::Destination,
                    AddressOf::Source,
                    AddressOf::Either,
                    AddressOf::Outgoing,
                ]),
                prefix: self.prefix(),
                asks: self.asks(),
            },
            4 => Condition::AddressKind(self.of(&[
                AddressKind::Domain,
                AddressKind::Ip,
                AddressKind::Ipv4,
                AddressKind::Ipv6,
            ])),
            5 => Condition::Always,
            6 => Condition::Asn(u32::from(self.below(3)), self.asks()),
            7 => Condition::Country(self.of(&["DE", "FR"]).into(), self.asks()),
            8 => Condition::Inbound {
                kind: (self.below(2) == 0).then(|| self.of(&KINDS)),
                port: (self.below(3) == 0).then(|| self.of(&PORTS)),
                user: (self.below(3) == 0).then(|| self.of(&TEXTS).into()),
            },
            9 => match self.below(4) {
                0 | 1 => Condition::Network(self.of(&[Network::Tcp, Network::Udp])),
                _ => {
                    let (one, other) = (self.of(&NUMBERS), self.of(&NUMBERS));
                    let range = one.min(other)..=one.max(other);
                    Condition::Number(self.of(&NumberField::ALL), range)
                }
            },
            10 => {
                let (one, other) = (self.of(&PORTS), self.of(&PORTS));
                Condition::Port {
                    side: self.of(&[Side::Destination, Side::Source]),
                    ranges: vec![one.min(other)..=one.max(other)],
                    network: (self.below(3) == 0).then_some(Network::Udp),
                }
            }
            11 => Condition::Protocol(self.of(&PROTOCOLS)),
            12 | 13 => Condition::Text(self.of(&FIELDS), self.text_test()),
            14 => Condition::Zone(
                self.of(&[ZoneOf::Domain, ZoneOf::Address]),
                ZoneId(u32::from(self.below(2))),
                self.asks(),
            ),
            15 | 16 if depth == DEEPEST => {
                Condition::Set(SetId(u32::from(self.below(3))), self.asks())
            }
            n if n == plain => Condition::Not(Box::new(self.condition(depth - 1))),
            n if n == plain + 1 => Condition::Or(all(self)),
            _ => Condition::And(all(self)),
        }
    }

    fn domain_test(&mut self) -> DomainTest {
        match self.below(4) {
            0 => DomainTest::Suffix(self.name()),
            1 => DomainTest::Exact(self.name()),
            2 => DomainTest::Keyword(self.of(&["a", "es", "", "org"]).into()),
            _ => match NamePattern::new(self.of(&PATTERNS)) {
                Ok(pattern) => DomainTest::Regex(pattern),
                Err(_) => DomainTest::Keyword("x".into()),
            },
        }
    }

    fn text_test(&mut self) -> TextTest {
        let text = self.of(&TEXTS);
        match self.below(6) {
            0 => TextTest::Exact(text.into()),
            1 => TextTest::ExactIgnoreCase(text.into()),
            2 => TextTest::AppName(text.to_ascii_lowercase().into()),
            3 => TextTest::Keyword(text.into()),
            4 => TextTest::KeywordIgnoreCase(text.to_ascii_lowercase().into()),
            _ => match self.pattern() {
                Some(regex) => TextTest::Regex(regex),
                None => TextTest::Exact(text.into()),
            },
        }
    }

    fn pattern(&mut self) -> Option<Regex> {
        let mut builder = RegexBuilder::new(self.of(&PATTERNS));
        builder.case_insensitive(self.below(2) == 0).build().ok()
    }

    fn name(&mut self) -> Domain {
        let text = self.of(&NAMES);
        let mut buffer = String::new();
        match crate::domain::Name::parse(text, &mut buffer) {
            Ok(name) => name.into(),
            Err(bad) => panic!("{text}: {bad}"),
        }
    }

    fn address(&mut self) -> IpAddr {
        let text = self.of(&ADDRESSES);
        text.parse()
            .unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
    }

    fn prefix(&mut self) -> Prefix {
        Prefix::new(self.address(), self.of(&LENGTHS))
    }

    fn asks(&mut self) -> Asks {
        self.of(&[Asks::Never, Asks::Resolve])
    }

    /// What is known at accept.
    fn accepted(&mut self) -> Facts {
        let host = |reader: &mut Self| match reader.below(2) {
            0 => Host::Name(reader.name()),
            _ => Host::Address(reader.address()),
        };
        Facts {
            network: self.of(&[Network::Tcp, Network::Udp]),
            query_type: None,
            inbound: self.fact(|reader| Inbound {
                kind: reader.of(&KINDS),
                name: reader.text(),
                port: (reader.below(2) == 0).then(|| reader.of(&PORTS)),
                user: reader.text(),
            }),
            source: self.fact(|reader| (reader.address(), reader.of(&PORTS)).into()),
            destination: self.fact(host),
            port: self.fact(|reader| reader.of(&PORTS)),
            sought: SoughtFacts {
                dscp: self.rarely(|_| 1),
                fake_ip: self.rarely(Self::name),
                correlated: self.rarely(Self::name),
                ..SoughtFacts::default()
            }
            .into(),
        }
    }

    /// What is found when it is asked for; what is unknown here was looked for in vain.
    fn world(&mut self) -> Facts {
        let sought = SoughtFacts {
            look: self.fact(|reader| {
                Box::new(Look {
                    protocol: reader.of(&PROTOCOLS),
                    domain: (reader.below(2) == 0).then(|| reader.name()),
                    alpn: reader.text().into_iter().collect(),
                    user_agent: reader.text(),
                    method: reader.text(),
                    ech: reader.below(4) == 1,
                    quic_version: (reader.below(2) == 0).then(|| reader.of(&NUMBERS)),
                    ssh_software: None,
                    tls_version: (reader.below(2) == 0).then_some(0x304),
                })
            }),
            resolved: self.fact(|reader| vec![reader.address()]),
            owner: self.fact(|reader| {
                let parent = Parent {
                    name: reader.text(),
                    ..Parent::default()
                };
                Box::new(Process {
                    name: reader.fact(|reader| reader.of(&TEXTS).into()),
                    path: reader.fact(|reader| reader.of(&TEXTS).into()),
                    command_line: reader.fact(|reader| reader.of(&TEXTS).into()),
                    pid: reader.fact(|reader| reader.of(&NUMBERS)),
                    parents: vec![parent],
                    ..Process::default()
                })
            }),
            geo: self.fact(|reader| Geo {
                country: (reader.below(2) == 0).then(|| reader.of(&["DE", "FR"]).into()),
                asn: (reader.below(2) == 0).then(|| u32::from(reader.below(3))),
            }),
            local: self.fact(Self::address),
            verdicts: self.verdicts(),
            ..SoughtFacts::default()
        };
        let mut world = Facts {
            sought: sought.into(),
            ..Facts::default()
        };
        for need in Need::ALL {
            if world.lacks(need) {
                world.fail(need, "not found");
            }
        }
        world
    }

    fn text(&mut self) -> Option<Arc<str>> {
        (self.below(3) != 0).then(|| self.of(&TEXTS).into())
    }

    fn fact<T>(&mut self, known: impl FnOnce(&mut Self) -> T) -> Fact<T> {
        match self.below(8) {
            0 => Fact::Unknown,
            1 => Fact::Absent,
            2 => Fact::Failed("broken".into()),
            _ => Fact::Known(known(self), Provenance::Given),
        }
    }

    fn rarely<T>(&mut self, known: impl FnOnce(&mut Self) -> T) -> Fact<T> {
        match self.below(4) {
            3 => self.fact(known),
            _ => Fact::Unknown,
        }
    }
}
