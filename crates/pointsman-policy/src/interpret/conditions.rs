//! Testing conditions, in Kleene's logic: an absent value makes a condition false, a look-up that
//! broke makes it unknown, and one that nobody made yet is asked for.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Hit, Truth, Value, Walk, asked, settled};
use crate::address::{Host, Prefix};
use crate::condition::{AddressKind, AddressOf, Asks, Condition, DomainTest, NumberField, Side};
use crate::domain::Domain;
use crate::fact::{Inbound, InboundKind, Need, Network, Protocol, Provenance};
use crate::ids::SetId;
use crate::local::loopback_of;
use crate::set::jump::Jump;
use crate::set::{Fingerprints, NameMatch, Other, RuleSet, SetMatch};

/// Rule sets within rule sets. Whoever loads them refuses circles and deeper ones; here they only
/// end, as not matching.
pub(super) const DEEPEST: usize = 16;

const EXCEPTED: &str = "the rule set makes an exception of it";

impl<'a> Walk<'a, '_> {
    /// Tests a condition. It asks for the address of a named destination only where it says so
    /// itself *and* `limit` does (the rule that uses a set limits the set's entries).
    pub(super) fn test(
        &mut self,
        condition: &'a Condition,
        limit: Asks,
    ) -> Result<Truth<'a>, Need> {
        match condition {
            Condition::Address { of, prefix, asks } => {
                self.test_address(*of, prefix, least(*asks, limit))
            }
            Condition::AddressKind(kind) => Ok(self.test_kind(*kind)),
            Condition::Always => Ok(Truth::Yes(None)),
            Condition::Answer(test) => self.test_answer(test),
            Condition::And(all) => self.test_and(all, limit),
            Condition::Asn(number, asks) => {
                let asn = self.geo(least(*asks, limit))?.part(|geo| geo.asn);
                let text = |asn: &u32| asn.to_string().into();
                Ok(self.compare("asn", asn, text, |asn| asn == number))
            }
            Condition::Country(code, asks) => {
                let country = self.geo(least(*asks, limit))?;
                let country = country.part(|geo| geo.country.as_ref());
                let text = |country: &&Arc<str>| Arc::clone(country);
                Ok(self.compare("country", country, text, |country| *country == code))
            }
            Condition::Domain(test) => {
                let name = self.domain()?;
                self.see_domain(&name, None);
                Ok(match name.value {
                    Value::Absent => Truth::No,
                    Value::Failed(why) => Truth::Unknown(why),
                    Value::Known(name, _) => Truth::of(match test {
                        DomainTest::Exact(exact) => name == exact,
                        DomainTest::Keyword(keyword) => name.as_str().contains(&**keyword),
                        DomainTest::Regex(regex) => regex.is_match(name),
                        DomainTest::Suffix(suffix) => name.is_within(suffix),
                    }),
                })
            }
            Condition::Inbound { kind, port, user } => {
                Ok(self.test_inbound(*kind, *port, user.as_ref()))
            }
            Condition::Network(network) => Ok(self.test_network(*network)),
            Condition::Never => Ok(Truth::No),
            Condition::Number(field, range) => {
                let value = self.number(*field)?;
                let text = |value: &u32| field.print(*value);
                Ok(self.compare(field.fact(), value, text, |value| range.contains(value)))
            }
            Condition::Not(inner) => Ok(match self.test(inner, limit)? {
                Truth::No => Truth::Yes(None),
                Truth::Unknown(why) => Truth::Unknown(why),
                Truth::Yes(_) => Truth::No,
            }),
            Condition::Or(any) => {
                let mut unknown = None;
                for inner in any {
                    match self.test(inner, limit)? {
                        Truth::No => {}
                        Truth::Unknown(why) => unknown = unknown.or(Some(why)),
                        yes @ Truth::Yes(_) => return Ok(yes),
                    }
                }
                Ok(unknown.map_or(Truth::No, Truth::Unknown))
            }
            Condition::Port {
                side,
                ranges,
                network,
            } => {
                if let Some(network) = network
                    && let Truth::No = self.test_network(*network)
                {
                    return Ok(Truth::No);
                }
                let (fact, port) = match side {
                    Side::Destination => ("port", settled(&self.facts.port).part(|p| Some(*p))),
                    Side::Source => (
                        "source.port",
                        settled(&self.facts.source).part(|source| Some(source.port())),
                    ),
                };
                let text = |port: &u16| port.to_string().into();
                let holds = |port: &u16| ranges.iter().any(|range| range.contains(port));
                Ok(self.compare(fact, port, text, holds))
            }
            Condition::Protocol(protocol) => {
                let told = protocol.network();
                if let Some(network) = told.filter(|network| *network != self.facts.network) {
                    return Ok(self.test_network(network));
                }
                let value = self.protocol_over(told)?;
                Ok(self.compare("protocol", value, |p| p.as_str().into(), |p| p == protocol))
            }
            Condition::Set(set, asks) => self.test_set(*set, least(*asks, limit)),
            Condition::Text(field, test) => self.test_text(*field, test),
            Condition::Zone(of, wanted, asks) => Ok(match self.zone(*of, least(*asks, limit))? {
                Value::Known((zone, hit), _) if zone == *wanted => Truth::Yes(Some(hit)),
                Value::Known(..) | Value::Absent => Truth::No,
                Value::Failed(why) => Truth::Unknown(why),
            }),
        }
    }

    fn test_and(&mut self, all: &'a [Condition], limit: Asks) -> Result<Truth<'a>, Need> {
        let (mut unknown, mut hit) = (None, None);
        for inner in all {
            match self.test(inner, limit)? {
                Truth::No => return Ok(Truth::No),
                Truth::Unknown(why) => unknown = unknown.or(Some(why)),
                Truth::Yes(entry) => hit = hit.or(entry),
            }
        }
        Ok(unknown.map_or(Truth::Yes(hit), Truth::Unknown))
    }

    fn test_address(
        &mut self,
        of: AddressOf,
        prefix: &Prefix,
        asks: Asks,
    ) -> Result<Truth<'a>, Need> {
        match of {
            AddressOf::Destination => {
                let address = self.destination(asks)?;
                Ok(self.test_destination(address, prefix))
            }
            AddressOf::Source => Ok(self.test_prefix("source", self.source(), prefix)),
            AddressOf::Either => {
                let source = self.test_prefix("source", self.source(), prefix);
                if let Truth::Yes(_) = source {
                    return Ok(source);
                }
                let address = self.destination(asks)?;
                let destination = self.test_destination(address, prefix);
                Ok(match destination {
                    Truth::No => source,
                    told => told,
                })
            }
            AddressOf::Outgoing => {
                let local = asked(&self.facts.sought.local, Need::Local)?;
                let local = local.part(|address| Some(*address));
                Ok(self.test_prefix("local", local, prefix))
            }
        }
    }

    fn test_destination(&mut self, address: Value<'a, IpAddr>, prefix: &Prefix) -> Truth<'a> {
        self.see_address(&address, None);
        match address {
            Value::Absent => Truth::No,
            Value::Failed(why) => Truth::Unknown(why),
            Value::Known(address, _) => Truth::of(either(address, |ip| prefix.contains(ip))),
        }
    }

    fn test_prefix(
        &mut self,
        fact: &'static str,
        value: Value<'a, IpAddr>,
        prefix: &Prefix,
    ) -> Truth<'a> {
        let text = |address: &IpAddr| address.to_string().into();
        self.compare(fact, value, text, |address| prefix.contains(*address))
    }

    fn test_kind(&mut self, kind: AddressKind) -> Truth<'a> {
        let named = self.facts.destination_name().is_some();
        let host = settled(&self.facts.destination);
        let text = |host: &&Host| host.to_string().into();
        self.compare("destination", host, text, |host| match (kind, host) {
            // A fake address stands for a name.
            (AddressKind::Domain, _) => named,
            (_, _) if named => false,
            (AddressKind::Ip, Host::Address(_)) => true,
            (AddressKind::Ipv4, Host::Address(address)) => address.is_ipv4(),
            (AddressKind::Ipv6, Host::Address(address)) => address.is_ipv6(),
            (_, Host::Name(_)) => false,
        })
    }

    fn test_inbound(
        &mut self,
        kind: Option<InboundKind>,
        port: Option<u16>,
        user: Option<&Arc<str>>,
    ) -> Truth<'a> {
        let inbound = settled(&self.facts.inbound);
        self.compare(
            "inbound",
            inbound,
            |inbound| written(inbound),
            |inbound| {
                kind.is_none_or(|kind| kind.fits(inbound.kind))
                    && port.is_none_or(|port| inbound.port == Some(port))
                    && user.is_none_or(|user| inbound.user.as_ref() == Some(user))
            },
        )
    }

    fn number(&self, field: NumberField) -> Result<Value<'a, u32>, Need> {
        Ok(match field {
            NumberField::DnsType => match self.facts.query_type {
                Some(number) => Value::Known(u32::from(number), Provenance::Request),
                None => Value::Absent,
            },
            NumberField::Dscp => {
                settled(&self.facts.sought.dscp).part(|dscp| Some(u32::from(*dscp)))
            }
            NumberField::Pid => match self.owner()? {
                Value::Absent => Value::Absent,
                Value::Failed(why) => Value::Failed(why),
                Value::Known(process, _) => settled(&process.pid).part(|pid| Some(*pid)),
            },
            NumberField::Ech => self.look()?.part(|look| {
                let hello = matches!(look.protocol, Protocol::Tls | Protocol::Quic);
                hello.then_some(u32::from(look.ech))
            }),
            NumberField::QuicVersion => self
                .look_over(field.network())?
                .part(|look| look.quic_version),
            NumberField::TlsVersion => self.look()?.part(|look| look.tls_version.map(u32::from)),
        })
    }

    fn test_network(&mut self, network: Network) -> Truth<'a> {
        self.see_network();
        Truth::of(self.facts.network == network)
    }

    pub(super) fn see_network(&mut self) {
        let value = Value::Known(self.facts.network, Provenance::Inbound);
        self.see("network", &value, |network| network.as_str().into(), None);
    }

    /// Any entry: names first, then prefixes, then the others by line, each only where there are. A name
    /// that the set excepts makes it not hold, whatever its address.
    pub(super) fn test_set(&mut self, id: SetId, asks: Asks) -> Result<Truth<'a>, Need> {
        let Some(set) = self.policy.sets.get(id.0 as usize) else {
            return Ok(Truth::No);
        };
        if !self.may_enter(id) {
            return Ok(Truth::No);
        }
        let mut unknown = None;
        if set.has_names() {
            let mut name = self.domain()?;
            let hit = match name.value {
                Value::Absent => None,
                Value::Failed(why) => {
                    unknown = Some(why);
                    None
                }
                Value::Known(domain, _) => match self.hold(set, domain) {
                    NameMatch::Excepted => {
                        name.note = Some(EXCEPTED);
                        self.see_domain(&name, None);
                        return Ok(Truth::No);
                    }
                    NameMatch::No => None,
                    NameMatch::Yes(found) => Some(Hit::Set(set, found)),
                },
            };
            self.see_domain(&name, hit);
            if hit.is_some() {
                return Ok(Truth::Yes(hit));
            }
        }
        if set.has_prefixes() {
            let address = self.destination(asks)?;
            let hit = match address {
                Value::Absent => None,
                Value::Failed(why) => {
                    unknown = unknown.or(Some(why));
                    None
                }
                Value::Known(address, _) => {
                    range_of(set, address).map(|found| Hit::Set(set, found))
                }
            };
            self.see_address(&address, hit);
            if hit.is_some() {
                return Ok(Truth::Yes(hit));
            }
        }
        let others = set.others();
        if let Some(jump) = set.jump()
            && let Some(first) = self.jump(jump)
        {
            let before = first.unwrap_or(others.len());
            let rest = jump.rest().take_while(|at| *at < before);
            let open = rest.chain(first).filter_map(|at| others.get(at));
            return self.test_others(set, id, open, asks, unknown);
        }
        self.test_others(set, id, others.iter(), asks, unknown)
    }

    /// Whether a set may be tested within those that are.
    pub(super) fn may_enter(&self, id: SetId) -> bool {
        self.depth < DEEPEST && !self.inside[..self.depth].contains(&id)
    }

    pub(super) fn enter(&mut self, id: SetId) {
        self.inside[self.depth] = id;
        self.depth += 1;
    }

    /// What a set's names say of the domain.
    pub(super) fn hold(&mut self, set: &'a RuleSet, domain: &'a Domain) -> NameMatch<'a> {
        // A walk knows one domain.
        let fingerprints = self
            .fingerprints
            .get_or_insert_with(|| Fingerprints::of(set.key(), domain));
        set.hold(fingerprints)
    }

    /// The first keyword or expression that holds the domain, where it need not be asked for and none is unknown.
    pub(super) fn jump(&self, jump: &Jump) -> Option<Option<usize>> {
        if !self.jumps {
            return None;
        }
        match self.domain().ok()?.value {
            Value::Absent => Some(None),
            Value::Failed(_) => None,
            Value::Known(name, _) => Some(jump.first(name)),
        }
    }

    fn test_others(
        &mut self,
        set: &'a RuleSet,
        id: SetId,
        others: impl Iterator<Item = &'a Other>,
        asks: Asks,
        mut unknown: Option<&'a Arc<str>>,
    ) -> Result<Truth<'a>, Need> {
        for other in others {
            self.enter(id);
            let truth = self.test(&other.condition, asks);
            self.depth -= 1;
            match truth? {
                Truth::No => {}
                Truth::Unknown(why) => unknown = unknown.or(Some(why)),
                Truth::Yes(_) => return Ok(Truth::Yes(Some(Hit::Other(set, other)))),
            }
        }
        Ok(unknown.map_or(Truth::No, Truth::Unknown))
    }

    pub(super) fn compare<T>(
        &mut self,
        fact: &'static str,
        value: Value<'a, T>,
        text: impl FnOnce(&T) -> Arc<str>,
        holds: impl FnOnce(&T) -> bool,
    ) -> Truth<'a> {
        self.see(fact, &value, text, None);
        match value {
            Value::Absent => Truth::No,
            Value::Failed(why) => Truth::Unknown(why),
            Value::Known(value, _) => Truth::of(holds(&value)),
        }
    }
}

/// The range of a set that holds an address, or the one of this host that it leads to.
pub(super) fn range_of(set: &RuleSet, address: IpAddr) -> Option<SetMatch<'_>> {
    let twin = || set.find_address(loopback_of(address)?);
    set.find_address(address).or_else(twin)
}

/// Whether a test holds for an address, or for the one of this host that it leads to.
fn either(address: IpAddr, test: impl Fn(IpAddr) -> bool) -> bool {
    test(address) || loopback_of(address).is_some_and(test)
}

/// An inbound as a rule writes it: `alice@http:7890`.
fn written(inbound: &Inbound) -> Arc<str> {
    let mut text = String::new();
    if let Some(user) = &inbound.user {
        text.push_str(user);
        text.push('@');
    }
    text.push_str(inbound.kind.as_str());
    if let Some(port) = inbound.port {
        // Writing to a String cannot fail.
        let _ = write!(text, ":{port}");
    }
    text.into()
}

pub(super) fn least(own: Asks, limit: Asks) -> Asks {
    match (own, limit) {
        (Asks::Resolve, Asks::Resolve) => Asks::Resolve,
        (Asks::Never, _) | (_, Asks::Never) => Asks::Never,
    }
}
