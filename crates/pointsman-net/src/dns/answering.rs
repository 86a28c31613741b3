//! The life of a query: read, decided on, answered here or from memory, else asked for.
//!
//! Invariant: nothing is waited for before somebody has to be asked; what then waits has its place among those who wait.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Weak};

use pointsman_policy::fact::{Fact, Facts, Inbound, InboundKind, Network, Provenance};
use pointsman_policy::local_names::{LocalName, local_name};
use pointsman_policy::{Action, Domain, Host};
use pointsman_spec::dns::{BY_ANSWER, DnsEnd, FLOWS_REFUSED};
use pointsman_spec::door::Speaks;
use pointsman_wire::dns::{
    OwnData, OwnRecord, Query, Reply, Unanswerable, code, kind, pad, parse_query, write_refusal,
};
use tokio::time::Instant;

use super::asking::{AskedBy, AskedOf, AskedUpstream, Asking};
use super::counts::Became;
use super::faking::{self, Giving};
use super::given::Told;
use super::judge::{Judge, Verdict};
use super::query_log::{Entry, Trail};
use super::rates::Allowed;
use super::refusal::refuse;
use super::waits::Sender;
use super::words::Words;
use super::writing::{FIXED_FOR, addresses, room, write_error, write_heard};
use crate::correlation::{self, Seconds};
use crate::door::Door;
use crate::ends::{ClientAddr, Ends, LocalAddr};
use crate::generation::Generation;
use crate::outbound::Ways;
use crate::resolver::clock;
use crate::resolver::{Folded, Heard};
use crate::shared::Shared;
use crate::spec::dns::{DnsServer, QueryEnd, asked};
use crate::spec::listening::ListenerId;

/// Numbers of extended errors (RFC 8914 §4).
const OTHER: u16 = 0;
const PROHIBITED: u16 = 18;

/// How long it holds what names of this place come to, in seconds.
const LOCAL_FOR: u32 = 600;

/// By what clients of local streams are counted: they are one.
pub(super) const LOCAL_STREAMS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// How the queries of one door are answered, as one generation says.
#[derive(Clone, Debug)]
pub(super) struct Service {
    server: Arc<DnsServer>,
    ways: Ways,
    door: Arc<Door>,
    /// Seconds since boot.
    now: Seconds,
    /// Nobody is told but who asks by hand.
    is_by_hand: bool,
}

/// Who asks, and by which transport.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    /// None for a local stream.
    pub(super) client: Option<SocketAddr>,
    /// The address of this host that it asks.
    pub(super) here: Option<SocketAddr>,
    pub(super) network: Network,
    /// Nobody can read on the way: what was padded is answered padded.
    pub(super) is_private: bool,
}

impl Asker {
    /// By what the names are known that it is told.
    fn told(&self) -> IpAddr {
        let ip = |at: Option<SocketAddr>| at.map(|at| at.ip());
        correlation::asker(ip(self.client), ip(self.here))
    }
}

/// What becomes of a message.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The reply is written.
    Replied,
    /// There is none.
    Silent,
    /// Somebody has to be asked first.
    Asking(Box<Asking>),
}

impl Service {
    /// That of a listener; `None` where the generation does not know it, or it leads to no DNS server.
    pub(super) fn new(
        shared: &Arc<Shared>,
        generation: &Arc<Generation>,
        listener: ListenerId,
    ) -> Option<Self> {
        let door = Arc::clone(generation.door(listener)?);
        let server = Arc::clone(generation.spec().dns.as_ref()?);
        Some(Self {
            server,
            ways: Ways::new(Arc::clone(shared), Arc::clone(generation)).for_query(),
            door,
            now: correlation::now(),
            is_by_hand: false,
        })
    }

    /// That of the first listener for those who ask by hand; `None` where there is no DNS server.
    pub(super) fn by_hand(shared: &Arc<Shared>, generation: &Arc<Generation>) -> Option<Self> {
        let doors = generation.listening().iter();
        let mut doors = doors.map(|listening| listening.id);
        let speaks = |id: &ListenerId| {
            let door = generation.door(*id);
            door.is_some_and(|door| door.spec.speaks == Speaks::Dns)
        };
        let service = Self::new(shared, generation, doors.find(speaks)?)?;
        Some(Self {
            is_by_hand: true,
            ..service
        })
    }

    /// That of a listener as the generation in force says, else as the last one that knew it.
    pub(super) fn now(
        shared: &Arc<Shared>,
        last: &mut Weak<Generation>,
        listener: ListenerId,
    ) -> Option<Self> {
        let now = shared.generation();
        let now = now.filter(|now| now.door(listener).is_some());
        if let Some(now) = &now {
            *last = Arc::downgrade(now);
        }
        Self::new(shared, &now.or_else(|| last.upgrade())?, listener)
    }

    pub(super) fn server(&self) -> &DnsServer {
        &self.server
    }

    pub(super) fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// Whether a message is one that is answered, if only by a refusal.
    pub(super) fn is_query(&self, message: &[u8]) -> bool {
        !matches!(parse_query(message), Err(Unanswerable::Silent))
    }

    /// Tells of a client that speaks TLS where none is spoken.
    pub(super) fn tell_of_tls(&self) {
        let shared = self.ways.shared();
        shared.dns.count_connection();
        if shared.dns_handshakes.is_due(Instant::now()) {
            let name = &self.door.spec.name;
            tracing::warn!(
                "a client of `{name}` speaks TLS, and there is none (told once a minute; `diagnostics` counts them)"
            );
        }
    }

    /// Answers a message, where nobody has to be asked: the reply is appended to `out`.
    pub(super) fn take(&self, message: &[u8], asker: Asker, out: &mut Vec<u8>) -> Outcome {
        let begin = out.len();
        let now_ms = || self.ways.shared().flows.now_ms();
        let entry = Entry::new(&self.door, asker.client, asker.network, now_ms);
        let mut trail = Trail::default();
        let (became, mut outcome) = self.answer(message, asker, &mut trail, out);
        if let (true, Outcome::Replied, Ok(query)) =
            (asker.is_private, &outcome, parse_query(message))
        {
            pad(&query, begin, out);
        }
        if let Some(became) = became {
            self.ways.shared().dns.count(became);
        }
        let Some(mut entry) = entry else {
            return outcome;
        };
        entry.trail = trail;
        match &mut outcome {
            Outcome::Asking(asking) => asking.by.entry = Some(entry),
            Outcome::Replied | Outcome::Silent => {
                let from = match became {
                    Some(Became::Known) => "cache",
                    Some(Became::Stale) => "stale",
                    _ => "policy",
                };
                let reply = out.get(begin..).unwrap_or(&[]);
                entry.write(&self.server, (message, reply), from);
            }
        }
        outcome
    }

    fn answer(
        &self,
        message: &[u8],
        asker: Asker,
        trail: &mut Trail,
        out: &mut Vec<u8>,
    ) -> (Option<Became>, Outcome) {
        let is_admitted = self.door.spec.admits.allows(asker.client);
        let parsed = parse_query(message);
        if matches!(parsed, Err(Unanswerable::Silent)) {
            return (Some(Became::Dropped), Outcome::Silent);
        }
        let ends = Ends {
            client: asker.client.map(ClientAddr::new),
            local: asker.here.map(LocalAddr::new),
            original: None,
        };
        let client = ends.counted().unwrap_or(LOCAL_STREAMS);
        let shared = self.ways.shared();
        let limits = &self.server.limits;
        let allowed = shared.dns_rates.allows(client, limits, Instant::now());
        // Who is connected is who asks: there a refusal goes to nobody else.
        if allowed == Allowed::Silent && asker.network == Network::Udp {
            return (Some(Became::Dropped), Outcome::Silent);
        }
        let query = match parsed {
            Ok(query) => query,
            // Whoever may not ask hears nothing of what he asked wrongly.
            Err(_) if !is_admitted => return (Some(Became::Refused), Outcome::Silent),
            Err(unanswerable) => {
                if let Unanswerable::Code(code) = unanswerable {
                    write_refusal(message, code, out);
                }
                return (Some(Became::Refused), Outcome::Replied);
            }
        };
        let limit = room(&query, asker.network);
        let refused = |number, text, out: &mut Vec<u8>| {
            write_error(&query, code::REFUSED, number, text, limit, out);
            (Some(Became::Refused), Outcome::Replied)
        };
        if allowed != Allowed::Yes {
            return refused(OTHER, "too many of your queries", out);
        }
        if !is_admitted {
            return refused(PROHIBITED, "you are not one of those who may ask", out);
        }
        self.admitted(message, &query, asker, (&ends, client), (trail, out))
    }

    /// Answers a query of somebody who may ask, and who is counted as that client.
    pub(super) fn admitted(
        &self,
        message: &[u8],
        query: &Query<'_>,
        asker: Asker,
        (ends, client): (&Ends, IpAddr),
        (trail, out): (&mut Trail, &mut Vec<u8>),
    ) -> (Option<Became>, Outcome) {
        let shared = self.ways.shared();
        let limit = room(query, asker.network);
        let any = || {
            // RFC 8482 §4.2: whoever asks for all gets little, so that nobody can have much sent to others.
            [OwnRecord {
                ttl: 3600,
                data: OwnData::HostInfo,
            }]
        };
        let mut text = String::new();
        query.name().write_host(&mut text);
        let name = Domain::parse(&text).ok();
        // The name itself, and not one that it ends in.
        let whole = name
            .as_ref()
            .filter(|it| it.as_str().len() + 2 == query.name().as_bytes().len());
        if let Some(name) = whole {
            let fixed = self.server.fixed(name);
            if !fixed.is_empty() && query.kind() == kind::ANY {
                return self.here(query, &any(), None, limit, out);
            }
            if !fixed.is_empty() {
                let records = addresses(query.kind(), &fixed);
                let told = Told::new(asker.told(), query.kind(), self.remembered(Some(name)));
                told.fixed(&fixed, FIXED_FOR, &shared.correlation, self.now);
                let none = records.is_empty().then_some(FIXED_FOR);
                return self.here(query, &records, none, limit, out);
            }
        }
        if let Some((fakes, ttl)) = self.server.fakes()
            && faking::write_reverse(query, (fakes, ttl), limit, out)
        {
            return (Some(Became::Here), Outcome::Replied);
        }
        let is_whole = whole.is_some();
        let mut facts = self.facts(query.kind(), name, asker);
        if !self.server.asks_for_local_names
            && let Some(name) = facts.destination.known().and_then(Host::name)
            && (is_whole || name.as_str().contains('.'))
            && let Some(local) = local_name(name, query.kind())
            && !self.server.is_sent(&facts)
        {
            return self.local(query, local, limit, out);
        }
        let facts_name = facts.destination.known().and_then(Host::name).cloned();
        let generation = self.ways.generation();
        let policies = &generation.spec().policies;
        let number = generation.number();
        let of = asked(&facts);
        let mut end = self.server.decide(&mut facts, policies, number);
        let is_faked = matches!(end, QueryEnd::Fake(_));
        if let QueryEnd::Fake(rule) = end {
            let is_address = matches!(query.kind(), kind::A | kind::AAAA);
            let name = facts_name.clone().filter(|_| is_whole && is_address);
            if let Some((name, (fakes, ttl))) = name.zip(self.server.fakes()) {
                trail.rule = rule;
                if let Some(fake) = fakes.tell(&name) {
                    faking::write(query, fake, ttl, limit, out);
                    return (Some(Became::Here), Outcome::Replied);
                }
                let fakes = Arc::clone(fakes);
                let of = AskedOf::Giving(Giving { fakes, name, ttl });
                let told = Told::new(asker.told(), query.kind(), None);
                return self.wait((message, query), (of, told), asker, (ends, client), out);
            }
            end = self.server.follow(of, rule, policies, number);
        }
        let (at, mut upstream) = match end {
            // Asked for as flows leave, above.
            QueryEnd::Fake(_) => return ended(refuse(query, DnsEnd::NoData, "", limit, out)),
            QueryEnd::Ask(at, upstream, rule) => {
                trail.rule = rule;
                (at, upstream)
            }
            QueryEnd::Here(end, rule) => {
                let why = Words::of_rule("", rule.as_ref());
                trail.rule = rule;
                return ended(refuse(query, end, why.as_str(), limit, out));
            }
            QueryEnd::FlowsRefused(action, rule) => {
                let end = match action {
                    Action::Blackhole => DnsEnd::Drop,
                    _ => DnsEnd::NoName,
                };
                let why = Words::of_rule(FLOWS_REFUSED, rule.as_ref());
                trail.rule = rule;
                return ended(refuse(query, end, why.as_str(), limit, out));
            }
            QueryEnd::Undecided(why) => {
                write_error(query, code::SERV_FAIL, OTHER, &why, limit, out);
                return (Some(Became::Failed), Outcome::Replied);
            }
        };
        if query.kind() == kind::ANY {
            return self.here(query, &any(), None, limit, out);
        }
        let host = facts_name.filter(|_| is_whole);
        let told = Told::new(asker.told(), query.kind(), self.remembered(host.as_ref()));
        if let Some(name) = &host {
            let fixed = upstream.in_hosts_file(name);
            if !fixed.is_empty() {
                let records = addresses(query.kind(), &fixed);
                told.fixed(&fixed, FIXED_FOR, &shared.correlation, self.now);
                let none = records.is_empty().then_some(FIXED_FOR);
                return self.here(query, &records, none, limit, out);
            }
        }
        let (folded, now) = (Folded::of(query), clock::now());
        let mut judge = self
            .server
            .judges()
            .then(|| Judge::new(Arc::clone(&self.server), facts, at));
        trail.at = Some(at);
        while let Some(heard) = upstream.known(folded.view(), &self.ways, now) {
            match judge.as_mut().map_or(Verdict::Given, |it| it.judge(&heard)) {
                Verdict::Given => {}
                Verdict::Ask(other) => {
                    trail.at = judge.as_ref().map(Judge::at);
                    upstream = other;
                    continue;
                }
                Verdict::Here(end, rule) => {
                    let why = Words::of_rule(BY_ANSWER, rule.as_ref());
                    trail.rule = rule;
                    return ended(refuse(query, end, why.as_str(), limit, out));
                }
            }
            let became = match heard {
                Heard::Told(_) => Became::Known,
                Heard::Stale(_) => Became::Stale,
                Heard::Failed(_) => Became::Failed,
            };
            told.heard(&heard, &shared.correlation, now, self.now);
            write_heard(query, &heard, is_faked, now, limit, out);
            return (Some(became), Outcome::Replied);
        }
        let of = AskedOf::Upstream(Box::new(AskedUpstream {
            question: folded.view().to_owned(),
            host,
            upstream,
            judge,
            is_faked,
        }));
        self.wait((message, query), (of, told), asker, (ends, client), out)
    }

    /// A place for a query whose answer is not there.
    fn wait(
        &self,
        (message, query): (&[u8], &Query<'_>),
        (of, told): (AskedOf, Told),
        asker: Asker,
        (ends, client): (&Ends, IpAddr),
        out: &mut Vec<u8>,
    ) -> (Option<Became>, Outcome) {
        let (shared, limits) = (self.ways.shared(), &self.server.limits);
        let limit = room(query, asker.network);
        let sender = match asker.network {
            Network::Udp if !client.is_loopback() => Sender::Claimed,
            _ => Sender::Sure,
        };
        let place = match shared.dns_waits.place((client, sender), limits) {
            Ok(place) => place,
            Err(full) => {
                write_error(query, code::SERV_FAIL, OTHER, full.as_str(), limit, out);
                return (Some(Became::Refused), Outcome::Replied);
            }
        };
        let asking = Asking {
            message: message.into(),
            of,
            by: AskedBy {
                ways: self.ways.clone().of(ends),
                network: asker.network,
                told,
                server: Arc::clone(&self.server),
                entry: None,
            },
            is_private: asker.is_private,
            place,
        };
        (None, Outcome::Asking(Box::new(asking)))
    }

    /// A name whose addresses a client is told; of what is asked by hand nobody is.
    fn remembered<'n>(&self, name: Option<&'n Domain>) -> Option<&'n Domain> {
        name.filter(|_| !self.is_by_hand)
    }

    fn facts(&self, kind: u16, name: Option<Domain>, asker: Asker) -> Facts {
        let inbound = Inbound {
            kind: InboundKind::Dns,
            name: Some(Arc::clone(&self.door.spec.name)),
            port: asker.here.map(|here| here.port()),
            user: None,
        };
        Facts {
            network: asker.network,
            query_type: Some(kind),
            inbound: Fact::Known(inbound, Provenance::Inbound),
            source: Fact::from_option(asker.client, Provenance::Inbound),
            destination: Fact::from_option(name.map(Host::Name), Provenance::Request),
            port: Fact::Absent,
            ..Facts::default()
        }
    }

    fn here(
        &self,
        query: &Query<'_>,
        records: &[OwnRecord<'_>],
        negative: Option<u32>,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> (Option<Became>, Outcome) {
        let reply = Reply {
            records,
            negative,
            ..Reply::default()
        };
        reply.write(query, limit, out);
        (Some(Became::Here), Outcome::Replied)
    }

    /// What a name comes to that only means something here.
    fn local(
        &self,
        query: &Query<'_>,
        name: LocalName,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> (Option<Became>, Outcome) {
        let here = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let records = match name {
            LocalName::Localhost => addresses(query.kind(), &here),
            LocalName::NoData | LocalName::NoName => Vec::new(),
        };
        let reply = Reply {
            code: match name {
                LocalName::NoName => code::NX_DOMAIN,
                LocalName::Localhost | LocalName::NoData => code::NO_ERROR,
            },
            records: &records,
            negative: records.is_empty().then_some(LOCAL_FOR),
            error: None,
        };
        reply.write(query, limit, out);
        (Some(Became::Here), Outcome::Replied)
    }
}

/// What came of a query that a rule answers.
fn ended(became: Became) -> (Option<Became>, Outcome) {
    let outcome = match became {
        Became::Dropped => Outcome::Silent,
        _ => Outcome::Replied,
    };
    (Some(became), outcome)
}
