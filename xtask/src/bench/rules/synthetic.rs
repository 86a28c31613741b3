//! Policies of many mixed rules, and flows that meet them.
//!
//! Invariant: all comes from the seed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use pointsman_policy::condition::{
    AddressOf, Asks, Condition, DomainTest, Side, TextField, TextTest,
};
use pointsman_policy::fact::{
    Fact, Geo, Inbound, InboundKind, Look, Process, Protocol, Provenance,
};
use pointsman_policy::model::{
    Action, DomainOrder, OnUnknown, Origin, OutboundInfo, OutboundKind, Rule, SetId,
};
use pointsman_policy::set::{Key, RuleSet, RuleSetBuilder};
use pointsman_policy::{Domain, Facts, Host, Node, OutboundId, Policy, Prefix, SoughtFacts};

/// Which rule flows are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// One of the first thirty.
    Early,
    /// One of the last thirty.
    Late,
    /// A name that nothing is for.
    Nothing,
    /// An address that nothing is for.
    NothingByAddress,
    /// Any, thousands of flows in turns: memory is cold.
    Scattered,
    /// A name that nothing is for, when nothing was looked up yet.
    Unlearned,
}

pub(super) struct Synthetic {
    random: u64,
    key: Key,
    conditions: Vec<Condition>,
}

impl Target {
    pub(super) const ALL: [Self; 6] = [
        Self::Early,
        Self::Late,
        Self::Nothing,
        Self::NothingByAddress,
        Self::Unlearned,
        Self::Scattered,
    ];

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Early => "for one of the first 30 rules",
            Self::Late => "for one of the last 30 rules",
            Self::Nothing => "a name that no rule is for",
            Self::NothingByAddress => "an address that no rule is for",
            Self::Scattered => "for any rule, 4096 flows in turns",
            Self::Unlearned => "at accept, until the first question",
        }
    }
}

impl Synthetic {
    pub(super) fn new(seed: u64, rules: usize) -> Self {
        let mut synthetic = Self {
            random: seed | 1,
            key: Key([seed, seed]),
            conditions: Vec::new(),
        };
        for _ in 0..rules {
            let condition = synthetic.condition();
            synthetic.conditions.push(condition);
        }
        synthetic
    }

    /// The key of the sets' fingerprints, and of the policy's: a load has one.
    pub(super) fn key(&self) -> Key {
        self.key
    }

    /// The rules behind so many rule sets.
    pub(super) fn policy(&mut self, sets: usize) -> Policy {
        let sets: Vec<Arc<RuleSet>> = (0..sets).map(|_| Arc::new(self.set())).collect();
        let of_sets = (0..sets.len() as u32).map(|set| Condition::Set(SetId(set), Asks::Resolve));
        let conditions = of_sets.chain(self.conditions.iter().cloned());
        let rule = |(line, condition): (u32, Condition)| {
            Node::Rule(Rule {
                condition,
                outbound: OutboundId(line % 2),
                origin: origin(line),
                class: None,
            })
        };
        let mut body: Vec<Node> = (1..).zip(conditions).map(rule).collect();
        body.push(Node::Leaf {
            outbound: OutboundId(0),
            origin: origin(body.len() as u32 + 1),
        });
        let outbound = |name: &str| OutboundInfo {
            name: name.into(),
            kind: OutboundKind::Plain(Action::Direct),
            udp: pointsman_policy::model::udp::Udp::Carried,
        };
        Policy {
            name: "main".into(),
            outbounds: Arc::new([outbound("direct"), outbound("other")]),
            direct: OutboundId(0),
            body: body.into(),
            sets: sets.into(),
            zones: Arc::default(),
            databases: Arc::default(),
            domain_order: DomainOrder::Native,
            on_unknown: OnUnknown::Skip,
        }
    }

    pub(super) fn flow(&mut self, target: Target, number: usize) -> Facts {
        let rules = self.conditions.len();
        let mut facts = self.neutral();
        let rule = match target {
            Target::Early => number % 30,
            Target::Late => rules - 1 - number % 30,
            Target::Scattered => self.below(rules as u64) as usize,
            Target::Nothing => return facts,
            Target::NothingByAddress => {
                facts.destination = known(Host::Address(
                    Ipv4Addr::new(198, 18, 0, number as u8).into(),
                ));
                facts.sought.to_mut().look = Fact::Absent;
                return facts;
            }
            Target::Unlearned => {
                facts.sought.to_mut().look = Fact::Unknown;
                facts.sought.to_mut().owner = Fact::Unknown;
                facts.sought.to_mut().resolved = Fact::Unknown;
                facts.sought.to_mut().geo = Fact::Unknown;
                return facts;
            }
        };
        let condition = self.conditions[rule].clone();
        self.meet(&condition, &mut facts);
        facts
    }

    /// A flow that no rule is for, with all that could be asked known.
    fn neutral(&mut self) -> Facts {
        let name = Domain::parse(&format!("www.n{}.invalid", self.below(1 << 40))).ok();
        let process = Process {
            name: known("neutral-browser".into()),
            path: known("/usr/lib/neutral/neutral-browser".into()),
            ..Process::default()
        };
        let sought = SoughtFacts {
            look: known(Box::new(Look {
                protocol: Protocol::Tls,
                domain: name.clone(),
                ..Look::default()
            })),
            resolved: known(vec![Ipv4Addr::new(198, 18, 0, 1).into()]),
            owner: known(Box::new(process)),
            geo: known(Geo::default()),
            ..SoughtFacts::default()
        };
        Facts {
            inbound: known(Inbound {
                kind: InboundKind::Socks5,
                name: None,
                port: Some(1080),
                user: None,
            }),
            source: known(([192, 0, 2, 7], 50_000).into()),
            destination: name.map_or(Fact::Absent, |name| known(Host::Name(name))),
            port: known(443),
            sought: sought.into(),
            ..Facts::default()
        }
    }

    /// Changes the flow so that the condition holds.
    fn meet(&mut self, condition: &Condition, facts: &mut Facts) {
        match condition {
            Condition::Domain(test) => {
                let name = match test {
                    DomainTest::Exact(name) => name.to_string(),
                    DomainTest::Suffix(name) => format!("www.{name}"),
                    DomainTest::Keyword(word) => format!("x{word}x.invalid"),
                    DomainTest::Regex(_) => return,
                };
                if let Ok(name) = Domain::parse(&name) {
                    facts.destination = known(Host::Name(name));
                }
            }
            Condition::Address { prefix, .. } => {
                facts.destination = known(Host::Address(prefix.address()));
                facts.sought.to_mut().look = Fact::Absent;
            }
            Condition::Port { ranges, .. } => {
                facts.port = known(ranges.first().map_or(0, |range| *range.start()));
            }
            Condition::Text(_, TextTest::ExactIgnoreCase(name)) => {
                if let Fact::Known(process, _) = &mut facts.sought.to_mut().owner {
                    process.name = known(name.clone());
                }
            }
            Condition::And(all) => all.iter().for_each(|inner| self.meet(inner, facts)),
            Condition::Or(any) => {
                if let Some(first) = any.first() {
                    self.meet(first, facts);
                }
            }
            _ => {}
        }
    }

    fn condition(&mut self) -> Condition {
        match self.below(100) {
            0..40 => self.suffix(),
            40..58 => self.exact(),
            58..74 => self.prefix(),
            74..82 => self.port(),
            82..88 => self.process(),
            88..90 => Condition::Domain(DomainTest::Keyword(self.word(9).into())),
            90..93 => Condition::And(vec![self.suffix(), Condition::Not(Box::new(self.port()))]),
            93..96 => Condition::Or(vec![self.suffix(), self.exact(), self.prefix()]),
            96..98 => Condition::And(vec![self.port(), self.process()]),
            _ => {
                let com = Condition::Domain(DomainTest::Suffix(name("com")));
                Condition::And(vec![com, self.port(), self.process()])
            }
        }
    }

    fn suffix(&mut self) -> Condition {
        let text = format!("{}.{}", self.word(8), self.top());
        Condition::Domain(DomainTest::Suffix(name(&text)))
    }

    fn exact(&mut self) -> Condition {
        let text = format!("{}.{}.{}", self.word(4), self.word(8), self.top());
        Condition::Domain(DomainTest::Exact(name(&text)))
    }

    fn prefix(&mut self) -> Condition {
        let asks = if self.below(4) == 0 {
            Asks::Resolve
        } else {
            Asks::Never
        };
        let bits = self.next();
        let prefix = if self.below(5) == 0 {
            let bits = 0x2001 << 112 | u128::from(bits) << 48;
            Prefix::new(
                IpAddr::from(Ipv6Addr::from_bits(bits)),
                32 + self.below(17) as u8,
            )
        } else {
            // From 1.0.0.0 to 126.255.255.255: none of the ranges for documentation and benchmarks.
            let first = 1 + (bits >> 32) as u8 % 126;
            let bits = u32::from(first) << 24 | bits as u32 & 0x00ff_ffff;
            Prefix::new(
                IpAddr::from(Ipv4Addr::from_bits(bits)),
                16 + self.below(17) as u8,
            )
        };
        Condition::Address {
            of: AddressOf::Destination,
            prefix,
            asks,
        }
    }

    fn port(&mut self) -> Condition {
        let start = 1024 + self.below(60_000) as u16;
        let width = if self.below(4) == 0 {
            self.below(100) as u16
        } else {
            0
        };
        Condition::Port {
            side: Side::Destination,
            ranges: vec![start..=start + width],
            network: None,
        }
    }

    fn process(&mut self) -> Condition {
        let name = self.word(10).into();
        Condition::Text(TextField::ProcessName, TextTest::ExactIgnoreCase(name))
    }

    fn set(&mut self) -> RuleSet {
        let mut set = RuleSetBuilder::new("set", "set.txt", self.key);
        for line in 1..=1000 {
            let text = format!("{}.{}", self.word(8), self.top());
            set.add_suffix(name(&text), line, &text);
        }
        for line in 1001..=1100 {
            if let Condition::Address { prefix, .. } = self.prefix() {
                set.add_prefix(prefix, line, &prefix.to_string());
            }
        }
        set.finish()
    }

    fn top(&mut self) -> &'static str {
        ["com", "com", "net", "org", "de", "cn", "co.uk", "io"][self.below(8) as usize]
    }

    fn word(&mut self, length: usize) -> String {
        let letter = |bits: u64| char::from(b'a' + (bits % 26) as u8);
        (0..length).map(|_| letter(self.next() >> 8)).collect()
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn name(text: &str) -> Domain {
    match Domain::parse(text) {
        Ok(name) => name,
        Err(error) => panic!("{text}: {error}"),
    }
}

fn origin(line: u32) -> Origin {
    Origin {
        file: "config.yaml".into(),
        line,
        text: format!("rule {line}").into(),
    }
}

fn known<T>(value: T) -> Fact<T> {
    Fact::Known(value, Provenance::Given)
}
