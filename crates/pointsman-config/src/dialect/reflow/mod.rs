//! The reflow dialect: a directory with `config`, `namezone/` and `addrzone/`.
//!
//! Each relay becomes an inbound with the policy of its rule and a resolver of its own. Stricter than
//! the original: all text must be read, names must be known, nothing is given twice. `dns` becomes a DNS server.

#[cfg(test)]
mod decision_tests;
mod dns;
mod items;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod zone_tests;
mod zones;

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::condition::Concerns;
use pointsman_policy::fact::InboundKind;
use pointsman_policy::geo::GeoDatabases;
use pointsman_policy::model::{DomainOrder, OnUnknown};
use pointsman_policy::zone::Zones;
use pointsman_policy::{Node, OutboundId, Policy};

use crate::input::Input;
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Source, nearest};
use crate::setup::{
    AskSpec, Bootstrap, CacheLimits, DataFiles, DatagramLimits, Dialect, Families, History,
    Inbound, Kind, Log, NameServer, Place, PolicyId, Refusal, ResolverId, ResolverSpec, Setup,
    SniffLimits, Timeouts, Written,
};
use crate::tree::{self, Ast, Expansion, Lists, LowerContext, Name};
use crate::value;
use items::{Dns, Items, Relay, Upstream};

/// Names that rules and egresses cannot have, beside the built-in outbounds.
const RESERVED: [&str; 7] = ["bind", "else", "socks5", "direct", "reset", "any", "cond"];

/// Where a relay without `resolver` asks: the original's default.
const DEFAULT_RESOLVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)), 53);

/// Reads a configuration of this dialect; pushes every problem.
pub fn read(input: &Input<'_>, problems: &mut Problems) -> Option<Setup> {
    let items = items::read(&input.source, problems);
    let mut files = vec![input.path.clone()];
    let zones = zones::read(input, &mut files, problems);

    let mut outbounds = Outbounds::with_builtins([
        ("direct", Kind::direct()),
        ("reset", Kind::Refuse(Refusal::Reset)),
    ]);
    let direct = outbounds.find("direct")?;
    for egress in &items.egresses {
        let built_in = matches!(egress.name.text.as_str(), "direct" | "reset");
        if built_in || !reserved(&egress.name, problems) {
            let (name, kind) = (&egress.name, egress.kind.clone());
            outbounds.define(&name.text, kind, &name.span, problems);
        }
    }
    let bodies = rules(&items, &outbounds, &zones, problems);
    several_dns(&items.dns, problems);

    let mut builder = Builder {
        bodies,
        policies: Vec::new(),
        by_rule: HashMap::new(),
        resolvers: Vec::new(),
        inbounds: Vec::new(),
    };
    for relay in &items.relays {
        builder.relay(relay, &items, &outbounds, problems);
    }
    if items.relays.is_empty() {
        // A relay that could not be read is told of already.
        if !problems.has_errors() {
            let place = input.source.span(0, 0);
            let message = "nothing listens: there is no relay";
            let problem = problems.warning("no-inbound", &place, message);
            problem.hint = Some("add `relay { ... }` with `rule` and `listen`".into());
        }
        for rule in &items.rules {
            builder.policy(&rule.name.text);
        }
        if builder.policies.is_empty() {
            // So that whoever explains flows has a policy to ask: it decides nothing.
            builder.policies.push("main".into());
        }
    }
    unused(&items, &builder, problems);
    let Builder {
        mut bodies,
        policies: names,
        by_rule: _,
        resolvers,
        inbounds,
    } = builder;

    let like = Policy {
        name: "".into(),
        outbounds: Arc::new([]),
        direct,
        body: Vec::new().into(),
        sets: Arc::new([]),
        zones: Arc::new(zones),
        databases: Arc::new(GeoDatabases::default()),
        domain_order: DomainOrder::SniffedElseRequested,
        on_unknown: OnUnknown::default(),
    };
    let dns = items.dns.first();
    let dns = dns.and_then(|dns| dns::read(dns, &outbounds, &like.zones, &like, problems));
    let (outbounds, infos) = outbounds.finish();
    let policies = names.into_iter().map(|name| {
        Arc::new(Policy {
            body: bodies.remove(&*name).unwrap_or_default().into(),
            name,
            outbounds: Arc::clone(&infos),
            ..like.clone()
        })
    });
    Some(Setup {
        lists: Vec::new(),
        dialect: Dialect::Reflow,
        directory: input.directory.clone(),
        files,
        inbounds,
        policies: policies.collect(),
        outbounds,
        forwards: Vec::new(),
        resolvers,
        server_resolver: None,
        asks: AskSpec::default(),
        bootstrap: Bootstrap::default(),
        dns,
        cache: CacheLimits::default(),
        log: Log::default(),
        access_log: None,
        history: History::default(),
        watch: false,
        shutdown_grace: Duration::from_secs(10),
        sniff: SniffLimits::default(),
        timeouts: Timeouts::default(),
        datagrams: DatagramLimits::default(),
        tests: Vec::new(),
        sources: Vec::new(),
        data: DataFiles::default(),
    })
}

/// The trees of a file in their order, for whoever lays it out; what cannot be read is told.
pub fn trees_of(source: &Arc<Source>, problems: &mut Problems) -> Vec<Ast> {
    let items = items::read(source, problems);
    items
        .rules
        .into_iter()
        .filter_map(|rule| rule.tree)
        .collect()
}

fn reserved(name: &Name, problems: &mut Problems) -> bool {
    let reserved = RESERVED.contains(&name.text.as_str());
    if reserved {
        let message = format!(
            "`{}` is a word of the language and cannot be a name",
            name.text
        );
        problems.error("reserved-name", &name.span, message);
    }
    reserved
}

/// The bodies of all rules, by name.
fn rules(
    items: &Items,
    outbounds: &Outbounds,
    zones: &Zones,
    problems: &mut Problems,
) -> HashMap<String, Vec<Node>> {
    let no_trees = BTreeMap::new();
    let context = LowerContext {
        outbounds,
        lists: Lists::Zones(zones),
        trees: &no_trees,
        concerns: Concerns::Flows,
        upstreams: &[],
    };
    let mut first: HashMap<&str, &Name> = HashMap::new();
    let mut bodies = HashMap::new();
    let mut expansion = Expansion::default();
    for rule in &items.rules {
        let name = &rule.name;
        reserved(name, problems);
        if let Some(first) = first.get(name.text.as_str()) {
            let message = format!("the rule `{}` is defined twice", name.text);
            let problem = problems.error("duplicate-name", &name.span, message);
            problem.related = Some((first.span.clone(), "first here".into()));
            continue;
        }
        first.insert(&name.text, name);
        let body = match &rule.tree {
            Some(tree) => tree::lower(tree, &context, &mut expansion, problems),
            None => None,
        };
        bodies.insert(name.text.clone(), body.unwrap_or_default());
    }
    bodies
}

fn several_dns(dns: &[Dns], problems: &mut Problems) {
    if let [first, more @ ..] = dns {
        for dns in more {
            let problem = problems.error("duplicate-key", &dns.span, "`dns` is given twice");
            problem.related = Some((first.span.clone(), "first here".into()));
        }
    }
}

fn server(
    upstream: &Upstream,
    outbounds: &Outbounds,
    problems: &mut Problems,
) -> Option<NameServer> {
    let Upstream {
        span,
        via,
        tcp,
        address,
    } = upstream;
    let via: Option<OutboundId> = match via {
        Some(name) => Some(outbounds.resolve(&name.text, &name.span, problems)?),
        None => None,
    };
    let place = Place {
        via,
        ..Place::at(*address)
    };
    value::require_interface(&place, span, problems);
    Some(match tcp {
        true => NameServer::Tcp(place),
        false => NameServer::Udp(place),
    })
}

fn unused(items: &Items, builder: &Builder, problems: &mut Problems) {
    for rule in &items.rules {
        if !builder.by_rule.contains_key(&rule.name.text) {
            let message = format!("no relay uses the rule `{}`", rule.name.text);
            problems.warning("unused-rule", &rule.name.span, message);
        }
    }
}

/// What relays add up to.
struct Builder {
    bodies: HashMap<String, Vec<Node>>,
    /// Names of policies, by [`PolicyId`].
    policies: Vec<Arc<str>>,
    by_rule: HashMap<String, PolicyId>,
    resolvers: Vec<Written<ResolverSpec>>,
    inbounds: Vec<Inbound>,
}

impl Builder {
    fn policy(&mut self, rule: &str) -> Option<PolicyId> {
        if let Some(known) = self.by_rule.get(rule) {
            return Some(*known);
        }
        self.bodies.get(rule)?;
        let id = PolicyId(self.policies.len());
        self.policies.push(rule.into());
        self.by_rule.insert(rule.to_owned(), id);
        Some(id)
    }

    fn relay(
        &mut self,
        relay: &Relay,
        items: &Items,
        outbounds: &Outbounds,
        problems: &mut Problems,
    ) -> Option<()> {
        let resolver = match &relay.resolver {
            Some(upstream) => server(upstream, outbounds, problems),
            None => Some(NameServer::Udp(Place::at(DEFAULT_RESOLVER))),
        };
        let rule = relay.rule.as_ref()?;
        let Some(policy) = self.policy(&rule.text) else {
            let names = items.rules.iter().map(|r| r.name.text.as_str());
            let message = format!("there is no rule `{}`", rule.text);
            let hint = match nearest(&rule.text, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `rule {} = ...`", rule.text),
            };
            problems.error("unknown-policy", &rule.span, message).hint = Some(hint);
            return None;
        };
        let listen = relay.listen?;
        if listen.port() != 0
            && let Some(other) = self.inbounds.iter().find(|i| i.listen == listen)
        {
            let message = format!("another relay listens on {listen}");
            let problem = problems.error("duplicate-listen", &relay.span, message);
            problem.related = Some((other.span.clone(), "this one".into()));
        }
        if !listen.ip().is_loopback() {
            let message = format!("anybody who reaches {listen} can use this proxy");
            let problem = problems.warning("open-proxy", &relay.span, message);
            problem.hint = Some("listen on 127.0.0.1, or keep others away by a firewall".into());
        }
        let resolver_id = ResolverId(self.resolvers.len());
        self.resolvers.push(Written {
            what: ResolverSpec {
                servers: resolver.into_iter().collect::<Vec<_>>().into(),
                families: Families::PreferIpv4,
                ..ResolverSpec::default()
            },
            span: Some(relay.span.clone()),
        });
        let name = self.inbound_name(&rule.text);
        self.inbounds.push(Inbound {
            name,
            kind: InboundKind::Socks5,
            listen,
            users: Vec::new(),
            alias: None,
            policy,
            resolver: Some(resolver_id),
            allow: None,
            span: relay.span.clone(),
        });
        Some(())
    }

    /// The rule's name, with a number from the second relay on.
    fn inbound_name(&self, rule: &str) -> Arc<str> {
        let taken = |name: &str| self.inbounds.iter().any(|i| *i.name == *name);
        if !taken(rule) {
            return rule.into();
        }
        let mut number = 2;
        loop {
            let name = format!("{rule}-{number}");
            if !taken(&name) {
                return name.into();
            }
            number += 1;
        }
    }
}
