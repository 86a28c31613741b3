//! `dns.listen` and what comes with it: the DNS server, whose rules say who is asked for which names.
//!
//! Invariant: without `listen` there is no server, and the keys that only a server has are told.

use std::path::PathBuf;
use std::sync::Arc;

use pointsman_policy::condition::{Concerns, DomainTest};
use pointsman_policy::model::{DomainOrder, OnUnknown, Origin, Rule};
use pointsman_policy::{Condition, Domain, Node as PolicyNode, OutboundId, Policy};

use super::answers;
use super::asking::Said;
use super::dns::{Dns, ServerKeys};
use super::fake_ip::{self, FAKE};
use super::following::{self, Context, Used};
use super::list_files::plain_keys;
use super::rule_sets::NativeScope;
use super::{given, named, query_checks, query_doors};
use crate::forward::origin;
use crate::name_server::{Ends, leads_to};
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Span};
use crate::rule_list::{Fallback, FindOutbound, RuleLists};
use crate::setup::{AnswersSpec, DnsEnd, DnsLimits, DnsServer, Kind, Refusal, ResolverId};
use crate::tree::{self, Expansion, Lists, LowerContext};
use crate::value;
use crate::yaml::{KeyStyle, Node, Value};

/// Words of rules that answer by themselves.
const ANSWERS: [(&str, DnsEnd); 5] = [
    ("drop", DnsEnd::Drop),
    ("nodata", DnsEnd::NoData),
    ("nxdomain", DnsEnd::NoName),
    ("refused", DnsEnd::Refused),
    ("zero", DnsEnd::Zero),
];

/// The end of rules on answers that gives an answer as it came.
const PASS: &str = "pass";

/// Ends that are understood and not built.
const LATER: [&str; 1] = ["hosts"];

/// The end that asks where flows leave.
const FOLLOW: &str = "follow";

/// The server; `None` where there is none, and after an error.
pub(super) fn read(
    dns: &Dns<'_>,
    said: &Said,
    context: &Context<'_>,
    files: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> Option<DnsServer> {
    let ServerKeys {
        listen,
        rules,
        policy,
        answers,
        log,
        limits,
        // They hold for flows, too.
        ask: _,
        undecided: _,
        fake_ip,
        domains,
    } = dns.server;
    let Some((listen_key, listen)) = listen else {
        let pairs = [rules, policy, answers, fake_ip].into_iter().flatten();
        for key in pairs.map(|(key, _)| key).chain(limits).chain(log) {
            let message = "there is no DNS server that this is for: `dns.listen` is not given";
            problems.warning("unused-key", &key.span, message).hint =
                Some("add `listen: \"udp://127.0.0.1:53\"`".into());
        }
        return None;
    };
    let mut doors = query_doors::read(listen, context.input, files, problems);
    let log = log.filter(|node| node.scalar() != Some("off"));
    let log = log.and_then(|node| value::path(node, "`log`", &context.input.directory, problems));
    for door in &mut doors {
        door.what.access_log.clone_from(&log);
    }
    let limits = limits.map_or_else(DnsLimits::default, |node| read_limits(node, problems));
    let has_policy = context.policies.main.is_some();
    let fakes = fake_ip.and_then(|pair| fake_ip::read(pair, context.rule_sets, problems));
    let (mut ends, table) = ends(dns, has_policy, fake_ip.is_some());
    let mut body = of_domains(domains, &table, problems);
    let decided = match (rules, policy) {
        (Some((first, _)), Some((second, _))) => {
            let message = "the rules for names are given by `policy` or by `rules`, not by both";
            problems
                .error("conflicting-keys", &second.span, message)
                .related = Some((first.span.clone(), "the other is here".into()));
            None
        }
        (Some((_, rules)), None) => of_list(rules, &table, context, problems),
        (None, Some((_, tree))) => of_tree(tree, &table, context, problems),
        (None, None) => {
            let (outbound, text) = match table.find(FOLLOW) {
                Some(follow) => (follow, "no rules: follow"),
                None => (usual(dns, &table)?, "no rules: dns.resolver"),
            };
            let origin = origin(&listen_key.span, text.to_owned());
            Some(vec![PolicyNode::Leaf { outbound, origin }])
        }
    };
    let mut decided = decided?;
    if let (Some(fakes), Some(fake)) = (&fakes, table.find(FAKE)) {
        decided = fakes.with_except(decided, fake, problems);
        fakes.check(&decided, fake, has_policy, problems);
        fakes.overlaps(dns, &doors, context.outbounds, problems);
    }
    query_checks::unmet(&decided, &listen_key.span, problems);
    body.extend(decided);
    let answers = of_answers(answers, &body, (&ends, &table), (dns, context), problems)?;
    query_checks::unmet(
        answers.as_ref().map_or(&[], |(body, _)| body),
        &listen_key.span,
        problems,
    );
    ends.with_hosts(dns.resolvers.first().map_or(&[][..], |it| &it.hosts));
    let all = leads_to(&body);
    // What is no address of a name that has a fake one is asked for where its flows leave.
    let followed = [FOLLOW, FAKE].map(|end| table.find(end));
    let is_followed = followed.iter().flatten().any(|end| all.contains(end));
    let used = match (is_followed, rules.is_some() || policy.is_some()) {
        (false, _) => Used::No,
        (true, true) => Used::Said,
        (true, false) => Used::Usually,
    };
    let place = (&listen_key.span, used);
    let follow = following::spec(dns, said, context, place, problems);
    let like = Policy {
        name: "dns".into(),
        outbounds: Arc::new([]),
        direct: OutboundId(0),
        body: Vec::new().into(),
        sets: Arc::clone(&context.rule_sets.sets),
        zones: Arc::default(),
        databases: Arc::clone(context.databases),
        domain_order: DomainOrder::Requested,
        on_unknown: OnUnknown::Skip,
    };
    let mut what = ends.server(body, &like);
    (what.limits, what.follow) = (limits, follow);
    what.answers = answers.map(|(body, only_aliases)| AnswersSpec {
        policy: Arc::new(Policy {
            name: "dns.answers".into(),
            body: body.into(),
            ..Policy::clone(&what.policy)
        }),
        only_aliases,
    });
    query_checks::circles(dns, &what, &doors, problems);
    what.fake = fakes.map(|fakes| fakes.spec);
    (!doors.is_empty()).then(|| DnsServer {
        what,
        doors,
        span: listen_key.span.clone(),
    })
}

/// The upstream that is asked where no rule says otherwise.
fn usual(dns: &Dns<'_>, table: &Outbounds) -> Option<OutboundId> {
    let ResolverId(at) = dns
        .server_resolver
        .unwrap_or(ResolverId(dns.names.len() - 1));
    table.find(dns.names.get(at)?)
}

/// The ends of rules: upstreams, and answers; where there is a policy of flows, it may be followed.
fn ends(dns: &Dns<'_>, has_policy: bool, has_fakes: bool) -> (Ends, Outbounds) {
    let mut ends = Ends::default();
    for (at, name) in dns.names.iter().enumerate() {
        let id = ResolverId(at);
        let servers = dns.resolvers.get(at).map(|it| it.servers.clone());
        let timeout = dns.timeouts.get(&id).copied();
        ends.ask(
            name,
            servers.unwrap_or_default(),
            timeout.unwrap_or(DnsLimits::TIMEOUT),
        );
    }
    for (word, end) in ANSWERS {
        ends.end(word, end);
    }
    if has_policy {
        ends.end(FOLLOW, DnsEnd::Follow);
    }
    ends.end(PASS, DnsEnd::Pass);
    if has_fakes {
        ends.end(FAKE, DnsEnd::Fake);
    }
    let follow = has_policy.then(|| (FOLLOW, Kind::direct()));
    let fake = has_fakes.then(|| (FAKE, Kind::direct()));
    let asks = dns.names.iter().map(|name| (name.as_str(), Kind::direct()));
    let answers = ANSWERS
        .iter()
        .map(|(word, _)| (*word, Kind::Refuse(Refusal::Reject)));
    let table = Outbounds::with_builtins(
        asks.chain(answers)
            .chain(follow)
            .chain([(PASS, Kind::direct())])
            .chain(fake),
    )
    .called("upstream or answer");
    (ends, table)
}

fn find(table: &Outbounds, name: &str, span: &Span, problems: &mut Problems) -> Option<OutboundId> {
    if LATER.contains(&name.to_ascii_lowercase().as_str()) {
        problems.not_yet(span, format!("the answer `{name}`"));
        let message = format!("`{name}` answers nothing yet: name an upstream");
        problems.error("unknown-end", span, message);
        return None;
    }
    if name.eq_ignore_ascii_case(PASS) {
        let message = "`pass` is for `dns.answers`: here an upstream or an answer is named";
        problems.error("unknown-end", span, message);
        return None;
    }
    if name.eq_ignore_ascii_case(FAKE) && table.find(FAKE).is_none() {
        let message =
            "`fake` answers with addresses that stand for names, and `dns.fake_ip` is not given";
        problems.error("unknown-end", span, message).hint =
            Some("add `fake_ip: {}` to `dns` for the usual ranges".into());
        return None;
    }
    if name.eq_ignore_ascii_case(FOLLOW) && table.find(FOLLOW).is_none() {
        let message = "there is no policy to follow: neither `policy` nor `rules` is given";
        problems.error("unknown-end", span, message);
        return None;
    }
    table.resolve(name, span, problems)
}

fn of_list(
    node: &Node,
    table: &Outbounds,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Vec<PolicyNode>> {
    let find = |name: &str, span: &Span, problems: &mut Problems| find(table, name, span, problems);
    let what = ("the rule list of `dns`", Fallback::Required);
    let scope = scope(context, Concerns::Queries, &[]);
    of_lines(node, what, (&find, &scope), context, problems)
}

fn scope<'a>(
    context: &Context<'a>,
    concerns: Concerns,
    upstreams: &'a [String],
) -> NativeScope<'a> {
    NativeScope {
        rule_sets: context.rule_sets,
        databases: context.databases,
        ip_rules_resolve: false,
        concerns,
        upstreams,
    }
}

/// Rules as lines, where none of them is wrong.
fn of_lines(
    node: &Node,
    (what, fallback): (&str, Fallback),
    (find, scope): (&FindOutbound<'_>, &NativeScope<'_>),
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Vec<PolicyNode>> {
    let lists = RuleLists {
        outbound: find,
        scope,
        sets: &context.rule_sets.sets,
    };
    let mut own = problems.apart();
    let body = lists.read(node, what, fallback, &mut own);
    plain_keys(&mut own);
    let failed = own.has_errors();
    problems.absorb(own);
    (!failed).then_some(body)
}

fn of_tree(
    node: &Node,
    table: &Outbounds,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Vec<PolicyNode>> {
    let trees = std::collections::BTreeMap::new();
    let context = LowerContext {
        outbounds: table,
        lists: Lists::Sets(&context.rule_sets.names),
        trees: &trees,
        concerns: Concerns::Queries,
        upstreams: &[],
    };
    let tree = tree::parse_block(node, "`dns.policy`", problems)?;
    tree::lower(&tree, &context, &mut Expansion::default(), problems)
}

/// Rules on answers, and whether those without aliases are given as they came. Nothing is told twice of what stands for
/// them where they are not given.
fn of_answers(
    answers: Option<(&Node, &Node)>,
    rules: &[PolicyNode],
    (ends, table): (&Ends, &Outbounds),
    (dns, context): (&Dns<'_>, &Context<'_>),
    problems: &mut Problems,
) -> Option<Option<(Vec<PolicyNode>, bool)>> {
    let Some((_, node)) = answers else {
        let is_answer = |end| ends.get(end).is_some_and(DnsEnd::is_answer);
        let usual = answers::usual(rules, &is_answer, table.find(PASS)?);
        return Some(usual.map(|body| (body, true)));
    };
    let find = |name: &str, span: &Span, problems: &mut Problems| {
        if [FOLLOW, FAKE, LATER[0]].contains(&name.to_ascii_lowercase().as_str()) {
            let message = format!("`{name}` is for queries: an answer has come");
            problems.error("unknown-end", span, message).hint =
                Some("name an upstream, which is asked again, an answer, or `pass`".into());
            return None;
        }
        table.resolve(name, span, problems)
    };
    let body = match &node.value {
        Value::Scalar(..) if !node.is_null() => {
            let trees = std::collections::BTreeMap::new();
            let context = LowerContext {
                outbounds: table,
                lists: Lists::Sets(&context.rule_sets.names),
                trees: &trees,
                concerns: Concerns::Answers,
                upstreams: &dns.names,
            };
            let tree = tree::parse_block(node, "`dns.answers`", problems)?;
            let body = tree::lower(&tree, &context, &mut Expansion::default(), problems)?;
            if table
                .find(FOLLOW)
                .is_some_and(|follow| leads_to(&body).contains(&follow))
            {
                find(FOLLOW, &node.span, problems)?;
            }
            body
        }
        _ => {
            let what = ("`dns.answers`", Fallback::Optional);
            let scope = scope(context, Concerns::Answers, &dns.names);
            of_lines(node, what, (&find, &scope), context, problems)?
        }
    };
    let pass = table.find(PASS);
    let only_aliases = body.iter().all(|node| match node {
        PolicyNode::Rule(rule) => {
            Some(rule.outbound) == pass || answers::needs_alias(&rule.condition)
        }
        PolicyNode::Leaf { outbound, .. } => Some(*outbound) == pass,
        _ => false,
    });
    Some(Some((body, only_aliases)))
}

/// `domains`: before all rules.
fn of_domains(node: Option<&Node>, table: &Outbounds, problems: &mut Problems) -> Vec<PolicyNode> {
    let mut rules = Vec::new();
    // What is wrong with them was told where the resolvers were made.
    let mut told = problems.apart();
    for (name, span, node) in named(node, "`domains`", &mut told) {
        let (bare, below) = match name.strip_prefix('=') {
            Some(bare) => (bare, false),
            None => (name.strip_prefix('.').unwrap_or(name), true),
        };
        let upstream = node.scalar().and_then(|name| table.find(name));
        let (Ok(domain), Some(outbound)) = (Domain::parse(bare), upstream) else {
            continue;
        };
        rules.push((
            domain,
            below,
            outbound,
            origin(span, format!("{name}: {}", node.scalar().unwrap_or(""))),
        ));
    }
    // Most specific first.
    rules
        .sort_by_key(|(domain, below, ..)| (std::cmp::Reverse(domain.ancestors().count()), *below));
    let rules = rules
        .into_iter()
        .map(|(domain, below, outbound, origin): (_, _, _, Origin)| {
            let test = match below {
                true => DomainTest::Suffix(domain),
                false => DomainTest::Exact(domain),
            };
            PolicyNode::Rule(Rule {
                condition: Condition::Domain(test),
                outbound,
                origin,
                class: None,
            })
        });
    rules.collect()
}

fn read_limits(node: &Node, problems: &mut Problems) -> DnsLimits {
    let usual = DnsLimits::default();
    let mut keys = node.keys("`limits`", KeyStyle::Exact, problems);
    let mut number = |key: &'static str, what, usual: usize| {
        let node = given(&mut keys, key);
        let number = node.and_then(|node| node.number(what, 1..=1_000_000, problems));
        number
            .and_then(|it| usize::try_from(it).ok())
            .unwrap_or(usual)
    };
    let client_waiting = number("client_waiting", "`client_waiting`", usual.client_waiting);
    let usual_rate = usize::try_from(usual.client_rate).unwrap_or(usize::MAX);
    let rate = number("client_rate", "`client_rate`", usual_rate);
    let waiting = number("waiting", "`waiting`", usual.waiting);
    let streams = number("tcp_clients", "`tcp_clients`", usual.streams);
    let idle = given(&mut keys, "tcp_idle");
    let idle = idle.and_then(|node| value::duration(node, "`tcp_idle`", problems));
    keys.finish(problems);
    DnsLimits {
        waiting,
        client_waiting,
        client_rate: u32::try_from(rate).unwrap_or(usual.client_rate),
        streams,
        stream_idle: idle.unwrap_or(usual.stream_idle),
    }
}
