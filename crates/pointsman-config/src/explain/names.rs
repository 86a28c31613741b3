//! Who the DNS server asks for a name, and why: what the data plane does with a query, told.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use pointsman_api::explain::Rule;
use pointsman_api::{NameError, NameExplanation, NameWay};
use pointsman_policy::answered::print_code;
use pointsman_policy::decision::Trace;
use pointsman_policy::fact::{Fact, Facts, Provenance};
use pointsman_policy::local_names::{LocalName, local_name};
use pointsman_policy::model::Origin;
use pointsman_policy::{
    Action, Agreement, Answered, Decision, Domain, End, Host, OutboundId, Policy, Possible, Watch,
    record_type,
};
use pointsman_spec::dns::{BLOCKED, BY_ANSWER, FLOWS_REFUSED};

use super::looked_into::{self, LookedInto};
use super::{Detail, api_rule, folded};
use crate::flow::{GivenAnswer, NameQuery};
use crate::setup::{DnsEnd, DnsServer, NameServer, Setup};

/// Types of addresses (RFC 1035 §3.4.1, RFC 3596 §2.1).
const A: u16 = 1;
const AAAA: u16 = 28;

/// Who is asked for a name.
///
/// # Errors
/// A sentence: there is no DNS server.
pub fn name(
    setup: &Setup,
    query: &NameQuery,
    detail: Detail,
) -> Result<NameExplanation, &'static str> {
    name_looked(setup, query, detail).map(|(told, _)| told)
}

/// As [`name`], and the fetched rule sets that the rules looked into.
pub(crate) fn name_looked(
    setup: &Setup,
    query: &NameQuery,
    detail: Detail,
) -> Result<(NameExplanation, LookedInto), &'static str> {
    let Some(server) = &setup.dns else {
        return Err("there is no DNS server: `dns.listen` is not given");
    };
    let NameQuery {
        name, kind, client, ..
    } = query;
    let (kind, client) = (*kind, *client);
    let mut told = NameExplanation {
        name: name.to_string(),
        kind: record_type::print(kind).into_owned(),
        client: client.map(|client| client.to_string()),
        end: String::new(),
        upstream: None,
        servers: Vec::new(),
        reason: String::new(),
        rule: None,
        ways: Vec::new(),
        rcode: None,
        answers: Vec::new(),
        via: None,
        from: Some("policy".to_owned()),
        ms: None,
        ede: None,
        trace: Vec::new(),
        asked: Vec::new(),
        generation: None,
    };
    let is_fixed = |(known, below, _): &&(Domain, bool, IpAddr)| match below {
        true => name.is_within(known),
        false => name == known,
    };
    let fixed = server.what.hosts.iter().filter(is_fixed);
    let fixed: Vec<IpAddr> = fixed.map(|(_, _, address)| *address).collect();
    if !fixed.is_empty() {
        let texts: Vec<String> = fixed.iter().map(ToString::to_string).collect();
        told.end = "hosts".to_owned();
        told.reason = format!("its addresses are fixed by `hosts`: {}", texts.join(", "));
        told.from = Some("hosts".to_owned());
        told.rcode = Some(print_code(0));
        let of_type = |address: &&IpAddr| match kind {
            A => address.is_ipv4(),
            AAAA => address.is_ipv6(),
            _ => false,
        };
        let own = fixed.iter().filter(of_type);
        told.answers = own.map(ToString::to_string).collect();
        return Ok((told, LookedInto::default()));
    }
    let mut facts = Facts {
        query_type: Some(kind),
        source: Fact::from_option(client.map(|it| SocketAddr::new(it, 0)), Provenance::Given),
        destination: Fact::Known(Host::Name(name.clone()), Provenance::Given),
        port: Fact::Absent,
        ..Facts::default()
    };
    let policy = &server.what.policy;
    let decision = policy.decide_known(&mut facts);
    let mut trace = Trace::default();
    policy.decide_traced(&facts, &mut trace);
    let looked = looked_into::of(setup, policy, || &trace);
    told.trace = folded(&trace, detail);
    let end = decision.as_ref().and_then(|decision| decision.outbound);
    let end = end.and_then(|end| end_of(server, end));
    let is_sent = || matches!(end, Some(DnsEnd::Ask(_))) && policy.names_query(&facts);
    let local = local_name(name, kind).filter(|_| !server.what.asks_for_local_names);
    if let Some(local) = local.filter(|_| !is_sent()) {
        told.end = "local".to_owned();
        told.trace.clear();
        let (code, reason) = match local {
            LocalName::Localhost => (0, "it is this host"),
            LocalName::NoData => (0, "it means something here alone, and has no address"),
            LocalName::NoName => (
                3,
                "it means nothing to the world, and no rule sends it to an upstream",
            ),
        };
        told.reason = reason.to_owned();
        told.rcode = Some(print_code(code));
        return Ok((told, looked));
    }
    told.rule = decision.as_ref().and_then(api_rule);
    let at = match end {
        Some(DnsEnd::Ask(at)) => {
            asked(server, *at, "a rule names it", setup, &mut told);
            Some(*at)
        }
        Some(DnsEnd::Follow) => follow(server, setup, name, client, &mut told),
        Some(DnsEnd::Fake) => {
            let at = follow(server, setup, name, client, &mut told);
            if matches!(kind, A | AAAA) {
                let reason = "an address is answered that stands for it; what is no address is asked for where its flows leave";
                here("fake", reason, &mut told);
                told.rcode = Some(print_code(0));
                (told.upstream, told.servers, told.via) = (None, Vec::new(), None);
                None
            } else {
                at
            }
        }
        Some(end) => {
            by_rule(*end, "", decision.as_ref(), &mut told);
            None
        }
        None => {
            here("nobody", "no rule says who is asked for it", &mut told);
            told.rcode = Some(print_code(2));
            None
        }
    };
    let Some((at, given)) = at.zip(query.answer.as_ref()) else {
        return Ok((told, looked));
    };
    told.rcode = Some(print_code(given.code));
    let aliases = given.aliases.iter().map(ToString::to_string);
    let addresses = given.addresses.iter().map(ToString::to_string);
    told.answers = aliases.chain(addresses).collect();
    let looked = judge(server, setup, (at, given), (&mut facts, detail), &mut told).or(looked);
    Ok((told, looked))
}

/// What rules on answers make of one that was said to come.
fn judge(
    server: &DnsServer,
    setup: &Setup,
    (at, given): (usize, &GivenAnswer),
    (facts, detail): (&mut Facts, Detail),
    told: &mut NameExplanation,
) -> LookedInto {
    let Some(answers) = &server.what.answers else {
        return LookedInto::default();
    };
    let name = |at: usize| server.what.upstreams.get(at).map(|it| &*it.name);
    let own = server
        .what
        .ends
        .iter()
        .position(|end| *end == DnsEnd::Ask(at));
    let own = own.and_then(|own| u32::try_from(own).ok());
    let tried = own.map(OutboundId);
    let answered = Answered {
        addresses: &given.addresses,
        aliases: &given.aliases,
        code: given.code,
        upstream: name(at).unwrap_or_default(),
        tried: tried.as_slice(),
    };
    if answers.only_aliases && given.aliases.is_empty() {
        return LookedInto::default();
    }
    let decision = answers.policy.decide_answer(facts, &answered);
    let mut trace = Trace::default();
    let watch = Watch::Trace {
        time: "",
        trace: &mut trace,
    };
    answers.policy.decide_answer_with(facts, &answered, watch);
    told.trace.extend(folded(&trace, detail));
    let looked = looked_into::of(setup, &answers.policy, || &trace);
    let end = decision.as_ref().and_then(|decision| decision.outbound);
    match end.and_then(|end| end_of(server, end)) {
        Some(DnsEnd::Ask(at)) => {
            told.rule = decision.as_ref().and_then(api_rule);
            (told.rcode, told.answers) = (None, Vec::new());
            let reason = "a rule on answers asks there instead";
            asked(server, *at, reason, setup, told);
        }
        Some(end) if end.is_answer() => {
            told.rule = decision.as_ref().and_then(api_rule);
            told.answers.clear();
            by_rule(*end, BY_ANSWER, decision.as_ref(), told);
        }
        Some(_) | None => {}
    }
    looked
}

fn end_of(server: &DnsServer, end: OutboundId) -> Option<&DnsEnd> {
    server.what.ends.get(usize::try_from(end.0).ok()?)
}

/// What a rule answers.
fn by_rule(end: DnsEnd, why: &str, decision: Option<&Decision>, told: &mut NameExplanation) {
    let (word, reason, code) = match end {
        DnsEnd::Drop => ("drop", "a rule drops it: there is no answer", None),
        DnsEnd::NoData => (
            "nodata",
            "a rule says that there is no such record",
            Some(0),
        ),
        DnsEnd::NoName => (
            "nxdomain",
            "a rule says that there is no such name",
            Some(3),
        ),
        DnsEnd::Refused => ("refused", "a rule refuses it", Some(5)),
        DnsEnd::Zero => (
            "zero",
            "a rule answers with the address of no host",
            Some(0),
        ),
        DnsEnd::Ask(_) | DnsEnd::Fake | DnsEnd::Follow | DnsEnd::Pass => {
            ("nobody", "no rule says who is asked for it", Some(2))
        }
    };
    here(word, reason, told);
    told.rcode = code.map(print_code);
    told.upstream = None;
    told.servers.clear();
    told.via = None;
    if end == DnsEnd::Zero {
        let zero = match told.kind.as_str() {
            "A" => Some("0.0.0.0"),
            "AAAA" => Some("::"),
            _ => None,
        };
        told.answers = zero.into_iter().map(str::to_owned).collect();
    }
    let rule = decision.and_then(|decision| decision.rule.as_ref());
    if let (Some(_), Some(rule)) = (code, rule) {
        told.ede = Some(blocked(why, rule));
    }
}

/// The extended error of what a rule answers: the same as in the reply itself.
fn blocked(why: &str, rule: &Origin) -> NameError {
    let mut text = why.to_owned();
    // Writing to a String cannot fail.
    let _ = write!(text, "{}:{}: {}", rule.file, rule.line, rule.text);
    NameError {
        code: BLOCKED,
        text,
    }
}

fn here(end: &str, reason: &str, told: &mut NameExplanation) {
    told.end = end.to_owned();
    reason.clone_into(&mut told.reason);
}

fn asked(server: &DnsServer, at: usize, reason: &str, setup: &Setup, told: &mut NameExplanation) {
    let Some(upstream) = server.what.upstreams.get(at) else {
        return;
    };
    here("asked", reason, told);
    told.upstream = Some(upstream.name.to_string());
    told.asked.push(upstream.name.to_string());
    told.from = Some("upstream".to_owned());
    let via = upstream.servers.iter().find_map(NameServer::via);
    let via = via.and_then(|via| setup.outbound(via));
    told.via = via.map(|via| via.name.to_string());
    let servers = upstream.servers.iter();
    told.servers = servers.map(|it| self::server(it, setup)).collect();
}

/// A server, and the way to it.
#[must_use]
pub fn server(server: &NameServer, setup: &Setup) -> String {
    match server.via().and_then(|via| setup.outbound(via)) {
        Some(via) => format!("{server} by {}", via.name),
        None => server.to_string(),
    }
}

fn follow(
    server: &DnsServer,
    setup: &Setup,
    name: &Domain,
    client: Option<IpAddr>,
    told: &mut NameExplanation,
) -> Option<usize> {
    let followed = server.what.follow.as_ref();
    let policy = followed.and_then(|follow| setup.policies.get(follow.policy.0));
    let Some((follow, policy)) = followed.zip(policy) else {
        nobody("there is no policy to follow", told);
        return None;
    };
    let ask = |outbound: OutboundId| {
        let at = usize::try_from(outbound.0).ok()?;
        follow.ask.get(at).copied().flatten()
    };
    let upstream = |at: usize| server.what.upstreams.get(at).map(|it| it.name.to_string());
    let ends = policy.possible_for(name, client);
    told.ways = ends
        .iter()
        .map(|it| way(policy, it, |id| upstream(ask(id)?)))
        .collect();
    let (at, reason) = match policy.agree(&ends, ask) {
        Agreement::All(at) => (at, "all its flows leave where it is asked"),
        Agreement::Differ(..) => match follow.undecided {
            Some(at) => (
                at,
                "its flows may leave by several ways: `dns.undecided` is asked",
            ),
            None => {
                let reason =
                    "its flows may leave by several ways, and `dns.undecided` names nobody";
                nobody(reason, told);
                return None;
            }
        },
        Agreement::Nobody(_) => {
            let reason = "`dns.ask` names nobody for a way that its flows may take";
            nobody(reason, told);
            return None;
        }
        Agreement::Refused(Action::Blackhole) => {
            here("drop", "all its flows are dropped in silence", told);
            return None;
        }
        Agreement::Refused(_) => {
            here("nxdomain", "all its flows are refused", told);
            told.rcode = Some(print_code(3));
            let rule = ends.first().and_then(|end| end.rule.as_ref());
            told.ede = rule.map(|rule| blocked(FLOWS_REFUSED, rule));
            return None;
        }
    };
    asked(server, at, reason, setup, told);
    Some(at)
}

fn nobody(reason: &str, told: &mut NameExplanation) {
    here("nobody", reason, told);
    told.rcode = Some(print_code(2));
}

fn way(
    policy: &Policy,
    possible: &Possible,
    upstream: impl Fn(OutboundId) -> Option<String>,
) -> NameWay {
    let outbound = match possible.end {
        End::To(outbound) => Some(outbound),
        End::NoRoute | End::Refused => None,
    };
    NameWay {
        outbound: outbound.map(|id| policy.outbound(id).name.to_string()),
        upstream: outbound.and_then(upstream),
        rule: possible.rule.clone().map(rule),
    }
}

pub(super) fn rule(origin: Origin) -> Rule {
    Rule {
        text: origin.text.to_string(),
        file: origin.file.to_string(),
        line: origin.line,
        entry: None,
    }
}
