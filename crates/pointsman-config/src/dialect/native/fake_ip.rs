//! `dns.fake_ip`: the ranges of addresses that stand for names, and the rules whose end is `fake`.
//!
//! Invariant: what the data plane is given needs no look at `except` any more: it stands in the rules' conditions.

use std::net::IpAddr;
use std::time::Duration;

use pointsman_policy::condition::Asks;
use pointsman_policy::model::Rule;
use pointsman_policy::{Condition, Host, Node as PolicyNode, OutboundId, Prefix};

use super::dns::Dns;
use super::given;
use super::rule_sets::RuleSets;
use crate::name_server::leads_to;
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Span, nearest};
use crate::setup::{DoorSpec, Endpoint, FakeSpec, NameServer, Written};
use crate::value;
use crate::yaml::{KeyStyle, Node, Value};

/// The end of rules.
pub(super) const FAKE: &str = "fake";

/// What the key says.
pub(super) struct FakeKeys {
    pub(super) spec: FakeSpec,
    /// Names of rule sets for which a rule with the end `fake` does not hold.
    except: Option<Condition>,
    span: Span,
}

/// Reads the key.
pub(super) fn read(
    (key, node): (&Node, &Node),
    rule_sets: &RuleSets,
    problems: &mut Problems,
) -> Option<FakeKeys> {
    let usual = FakeSpec::default();
    let mut keys = node.keys("`fake_ip`", KeyStyle::Exact, problems);
    let v4 = given(&mut keys, "v4");
    let v6 = given(&mut keys, "v6");
    let ttl = given(&mut keys, "ttl");
    let except = given(&mut keys, "except");
    keys.finish(problems);
    let v4 = v4.map_or(Some(usual.v4), |node| range(node, Family::V4, problems))?;
    let v6 = v6.map_or(Some(usual.v6), |node| range(node, Family::V6, problems))?;
    if v4.is_none() && v6.is_none() {
        let message = "`fake_ip` has neither a range of IPv4 nor one of IPv6";
        problems.error("invalid-value", &node.span, message).hint =
            Some("without fake addresses leave the key out".into());
        return None;
    }
    let ttl = match ttl {
        Some(node) => value::duration(node, "`ttl`", problems)?,
        None => usual.ttl,
    };
    if ttl > Duration::from_secs(86_400) || ttl < Duration::from_secs(1) {
        let message = "`fake_ip.ttl` is from 1s to 1d: DNS tells whole seconds, and a day is the longest that is kept";
        problems.error("invalid-value", &node.span, message);
        return None;
    }
    let except = except.map_or(Some(None), |node| {
        except_of(node, rule_sets, problems).map(Some)
    })?;
    Some(FakeKeys {
        spec: FakeSpec { v4, v6, ttl },
        except,
        span: key.span.clone(),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// A range, or `off`; `None` after a problem.
fn range(node: &Node, family: Family, problems: &mut Problems) -> Option<Option<Prefix>> {
    let text = node.text("a range of addresses", problems)?;
    if text == "off" {
        return Some(None);
    }
    let wanted = match family {
        Family::V4 => "a range of IPv4 of 4 addresses or more, as `198.18.0.0/15`, or `off`",
        Family::V6 => {
            "a range of IPv6 of 256 addresses or more, as `fdfe:706f:696e:7400::/64`, or `off`"
        }
    };
    let fits = |range: &Prefix| match (family, range.address()) {
        (Family::V4, IpAddr::V4(_)) => range.length() <= 30,
        (Family::V6, IpAddr::V6(_)) => range.length() <= 120,
        _ => false,
    };
    match text.parse::<Prefix>().ok().filter(fits) {
        Some(range) if text.contains('/') => Some(Some(range)),
        _ => {
            let message = format!("`{text}` is not {wanted}");
            problems.error("invalid-value", &node.span, message);
            None
        }
    }
}

fn except_of(node: &Node, rule_sets: &RuleSets, problems: &mut Problems) -> Option<Condition> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Map(_) | Value::Scalar(..) => std::slice::from_ref(node),
    };
    let mut sets = Vec::new();
    for item in items {
        let name = value::name(item, "`except`", problems)?;
        let known = rule_sets.names.iter().position(|known| **known == *name);
        let Some(known) = known.and_then(|at| u32::try_from(at).ok()) else {
            let message = format!("there is no rule set `{name}`");
            let names = rule_sets.names.iter().map(|name| &**name);
            problems.error("unknown-rule-set", &item.span, message).hint =
                nearest(name, names).map(|near| format!("did you mean `{near}`?"));
            return None;
        };
        sets.push(Condition::Set(
            pointsman_policy::model::SetId(known),
            Asks::Never,
        ));
    }
    Some(Condition::Or(sets))
}

impl FakeKeys {
    /// The steps with `except` in the conditions of those that end in `fake`.
    pub(super) fn with_except(
        &self,
        body: Vec<PolicyNode>,
        fake: OutboundId,
        problems: &mut Problems,
    ) -> Vec<PolicyNode> {
        let Some(except) = &self.except else {
            return body;
        };
        if let Some(PolicyNode::Leaf { outbound, .. }) = body.last()
            && *outbound == fake
        {
            let message =
                "names of `fake_ip.except` fall to the next rule, and the last one is `fake`";
            problems.error("invalid-value", &self.span, message).hint = Some(
                "end the rules with `FALLBACK, follow`, and say before whose names are `fake`"
                    .into(),
            );
        }
        let not = Condition::Not(Box::new(except.clone()));
        let steps = body.into_iter();
        steps.map(|step| excepting(step, fake, &not)).collect()
    }

    /// Tells of ranges that no rule gives names addresses of, and of names that nobody is asked for then.
    pub(super) fn check(
        &self,
        steps: &[PolicyNode],
        fake: OutboundId,
        has_policy: bool,
        problems: &mut Problems,
    ) {
        if !leads_to(steps).contains(&fake) {
            let message =
                "no rule of `dns.rules` ends in `fake`, so that no name has such an address";
            problems.warning("unused-key", &self.span, message).hint =
                Some("add `RULE-SET, NAME, fake`, say".into());
        } else if !has_policy {
            let message = "what is no address of a name that has a fake one is asked for where its flows leave, and there is no policy";
            problems.error("unknown-end", &self.span, message).hint =
                Some("say by `rules` or `policy` of the file where flows go".into());
        }
    }

    /// Tells of addresses in the ranges that are somebody's: what goes there is taken for a name.
    pub(super) fn overlaps(
        &self,
        dns: &Dns<'_>,
        doors: &[Written<DoorSpec>],
        outbounds: &Outbounds,
        problems: &mut Problems,
    ) {
        let ranges = [self.spec.v4, self.spec.v6];
        let holds = |address: IpAddr| {
            let mut ranges = ranges.iter().flatten();
            ranges.find(|range| range.contains(address)).copied()
        };
        let mut found: Vec<(String, IpAddr, Prefix)> = Vec::new();
        let mut look = |what: String, address: IpAddr| {
            if let Some(range) = holds(address) {
                found.push((what, address, range));
            }
        };
        for (name, resolver) in dns.names.iter().zip(&dns.resolvers) {
            for server in &resolver.servers {
                if let NameServer::Tcp(at) | NameServer::Udp(at) = server {
                    look(format!("the upstream `{name}`"), at.address.ip());
                }
            }
        }
        let hosts = dns.resolvers.first().map_or(&[][..], |it| &it.hosts);
        for (name, _, address) in hosts {
            look(format!("`hosts` for {name}"), *address);
        }
        for door in doors {
            for listen in &door.listen {
                if let Endpoint::Udp(server) = &listen.at
                    && let Host::Address(address) = &server.host
                {
                    look(format!("the listener `{}`", door.name), *address);
                }
            }
        }
        for at in 0..outbounds.count() {
            let server = outbounds
                .kind(OutboundId(at))
                .and_then(|kind| kind.upstream());
            if let Some(Host::Address(address)) = server.map(|it| &it.server.host) {
                let name = outbounds.name(OutboundId(at)).unwrap_or("?");
                look(format!("the server of outbound `{name}`"), *address);
            }
        }
        for (what, address, range) in found {
            let message = format!(
                "{what} is {address}, which is a fake address here ({range}): nothing is sent there"
            );
            problems.error("fake-overlap", &self.span, message).hint =
                Some("say another range: `fake_ip: { v4: RANGE, v6: RANGE }`".into());
        }
    }
}

/// The step with a condition more wherever it ends in `fake`.
fn excepting(step: PolicyNode, fake: OutboundId, not: &Condition) -> PolicyNode {
    let all = |steps: Vec<PolicyNode>| {
        let each = steps.into_iter().map(|step| excepting(step, fake, not));
        each.collect()
    };
    let one = |step: Box<PolicyNode>| Box::new(excepting(*step, fake, not));
    match step {
        PolicyNode::Leaf { outbound, origin } if outbound == fake => PolicyNode::Rule(Rule {
            condition: not.clone(),
            outbound,
            origin,
            class: None,
        }),
        PolicyNode::Rule(rule) if rule.outbound == fake => PolicyNode::Rule(Rule {
            condition: Condition::And(vec![rule.condition, not.clone()]),
            ..rule
        }),
        PolicyNode::Any(steps) => PolicyNode::Any(all(steps)),
        PolicyNode::Sub {
            condition,
            body,
            origin,
        } => PolicyNode::Sub {
            condition,
            body: all(body),
            origin,
        },
        PolicyNode::When {
            condition,
            then,
            otherwise,
            origin,
        } => PolicyNode::When {
            condition,
            then: one(then),
            otherwise: otherwise.map(one),
            origin,
        },
        PolicyNode::Select(mut select) => {
            for arm in &mut select.arms {
                arm.then = excepting(arm.then.clone(), fake, not);
            }
            PolicyNode::Select(select)
        }
        other @ (PolicyNode::Instrument { .. }
        | PolicyNode::Leaf { .. }
        | PolicyNode::Request { .. }
        | PolicyNode::Resolve(_)
        | PolicyNode::Rule(_)) => other,
    }
}
