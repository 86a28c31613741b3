//! One proxy of the list: listener, targets, options.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{first_line, given, target, timeout, tls};
use crate::forward::{self, Chosen, Draft, NOT_BY_NAME, Origins};
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Span};
use crate::setup::{
    Balance, Balancing, DoorSpec, Endpoint, Families, Forward, Listen, PolicyId, Retry,
};
use crate::value::{self, EmptyHost};
use crate::yaml::{KeyStyle, Node};
use pointsman_policy::Prefix;
use pointsman_spec::door::DoorLimits;

/// Balances that are not offered.
const LATER: value::Others = value::Others {
    later: &["sni"],
    foreign: &[],
};

/// Reads a proxy; `None` where a part without which nothing can follow is missing or wrong.
pub(super) fn read(
    node: &Node,
    policy: PolicyId,
    directory: &Path,
    outbounds: &mut Outbounds,
    problems: &mut Problems,
) -> Option<(Forward, Origins)> {
    let mut keys = node.keys("a proxy", KeyStyle::Exact, problems);
    let name_node = keys.require("name", problems);
    let name = name_node.and_then(|name| value::name(name, "`name`", problems));
    let listener = keys
        .require("listener", problems)
        .map(|node| listener(node, directory, problems));
    let several = keys.take_pair("targets");
    let single = keys.take_pair("target");
    let options = given(&mut keys, "options");
    let options = options.map(|node| options_of(node, directory, problems));
    keys.finish(problems);
    let options = options.unwrap_or_else(Options::usual);

    let targets_key = several.or(single);
    let targets = match (several, single) {
        (Some((_, list)), None) => list.list("`targets`", problems).iter().collect(),
        (None, Some((_, one))) => vec![one],
        (Some(_), Some((key, _))) => {
            problems.error(
                "conflicting-keys",
                &key.span,
                "a proxy has `target` or `targets`, not both",
            );
            Vec::new()
        }
        (None, None) => Vec::new(),
    };
    if targets.is_empty() && (several.is_none() || single.is_none()) {
        let place = targets_key.map_or(&node.span, |(key, _)| &key.span);
        let place = first_line(place);
        problems.error("missing-key", &place, "a proxy needs at least one target");
    }
    let mut not_yet = listener.as_ref().and_then(|l| l.not_yet);
    let mut draft = Draft::default();
    let mut named = Vec::new();
    for node in targets {
        let place = target::Place {
            directory,
            singular: single.is_some(),
            same_family: options.same_family,
            proxy_header: options.proxy_header,
        };
        let (target, why) = target::read(node, &place, outbounds, problems);
        not_yet = not_yet.or(why);
        if let Some((name, target)) = target {
            named.push((Arc::clone(&name), node.span.clone()));
            draft.targets.push((name, target, node.span.clone()));
        }
    }
    forward::check_targets(&named, options.chosen, problems);
    let listener = listener?;
    if options.chosen.is_none() {
        not_yet = not_yet.or(Some(NOT_BY_NAME));
        if !listener.tls {
            let message = "`sni` needs a listener with a `tls_context`: every connection is closed";
            let place = options.balance_span.as_ref().unwrap_or(&node.span);
            problems.warning("sni-needs-tls", place, message);
        }
    }
    let (listen, span) = listener.address?;
    let (name, name_node) = name.zip(name_node)?;
    draft.balancing = Balancing {
        balance: options.chosen.unwrap_or_default(),
        retry: Retry::default(),
        connection_limit: options.connection_limit,
        one_way: false,
        not_yet: not_yet.map(Arc::from),
    };
    let names = draft.names();
    let group = draft.define(name, &name_node.span, outbounds, problems)?;
    let key = targets_key.map_or(&node.span, |(key, _)| &key.span);
    let key_text = targets_key.and_then(|(key, _)| key.scalar());
    let shown = format!("{}: {names}", key_text.unwrap_or("targets"));
    let origins = Origins {
        allow: listener.allow_origin,
        targets: forward::origin(key, shown),
    };
    let listen = Listen {
        at: listen,
        families: listener.families,
    };
    let forward = Forward {
        door: DoorSpec {
            policy,
            same_family: options.same_family,
            limits: DoorLimits {
                lifetime: options.lifetime,
                read_timeout: listener.read_timeout,
                write_timeout: listener.write_timeout,
                ..DoorLimits::default()
            },
            access_log: options.access_log,
            ..forward::door(name, vec![listen])
        },
        allow: listener.allow,
        group,
        by_server_name: options.chosen.is_none(),
        span,
    };
    Some((forward, origins))
}

#[derive(Default)]
struct Listener {
    address: Option<(Endpoint, Span)>,
    families: Families,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    allow: Vec<Prefix>,
    allow_origin: pointsman_policy::model::Origin,
    tls: bool,
    not_yet: Option<&'static str>,
}

fn listener(node: &Node, directory: &Path, problems: &mut Problems) -> Listener {
    let mut keys = node.keys("`listener`", KeyStyle::Exact, problems);
    let mut listener = Listener::default();
    if let Some(address) = keys.require("address", problems)
        && let Some((endpoint, families)) =
            target::address(address, directory, EmptyHost::Any, problems)
    {
        listener.address = Some((endpoint, address.span.clone()));
        listener.families = families;
    }
    listener.read_timeout = timeout(given(&mut keys, "read_timeout"), "`read_timeout`", problems);
    listener.write_timeout = timeout(
        given(&mut keys, "write_timeout"),
        "`write_timeout`",
        problems,
    );
    if let Some((key, list)) = keys.take_pair("authorized_sources") {
        listener.allow = value::prefixes(list, "`authorized_sources`", problems);
        let shown: Vec<String> = listener.allow.iter().map(Prefix::to_string).collect();
        let shown = format!("not in authorized_sources: {}", shown.join(", "));
        listener.allow_origin = forward::origin(&key.span, shown);
        if !listener.allow.is_empty() {
            let at = listener.address.iter().map(|(endpoint, _)| endpoint);
            forward::check_unix(at, key, "authorized_sources", problems);
        }
    }
    if let Some((key, context)) = keys.take_pair("tls_context")
        && !context.is_null()
    {
        tls::check(context, tls::Side::Listener, problems);
        problems.not_yet(&key.span, "TLS at a listener; every connection is refused");
        listener.tls = true;
        listener.not_yet = Some("TLS at a listener is not built yet");
    }
    keys.finish(problems);
    listener
}

struct Options {
    connection_limit: usize,
    lifetime: Option<Duration>,
    access_log: Option<PathBuf>,
    chosen: Chosen,
    balance_span: Option<Span>,
    proxy_header: bool,
    same_family: bool,
}

impl Options {
    /// Those of a proxy that says nothing of them.
    fn usual() -> Self {
        Self {
            connection_limit: 0,
            lifetime: None,
            access_log: None,
            chosen: Some(Balance::None),
            balance_span: None,
            proxy_header: false,
            same_family: false,
        }
    }
}

fn options_of(node: &Node, directory: &Path, problems: &mut Problems) -> Options {
    let mut keys = node.keys("`options`", KeyStyle::Exact, problems);
    let mut options = Options::usual();
    if let Some(limit) = given(&mut keys, "connection_limit") {
        let limit = limit.number("`connection_limit`", 0..=i64::from(u32::MAX), problems);
        options.connection_limit = limit.and_then(|n| n.try_into().ok()).unwrap_or(0);
    }
    options.lifetime = timeout(
        given(&mut keys, "connection_lifetime"),
        "`connection_lifetime`",
        problems,
    );
    options.access_log = given(&mut keys, "connection_log")
        .filter(|node| node.scalar() != Some(""))
        .and_then(|node| value::path(node, "`connection_log`", directory, problems));
    if let Some((key, node)) = keys.take_pair("connection_load_balancer")
        && !node.is_null()
    {
        let words = [
            ("", Some(Balance::None)),
            ("none", Some(Balance::None)),
            ("failover", Some(Balance::Failover)),
            ("round-robin", Some(Balance::RoundRobin)),
            ("sni", None),
        ];
        let what = "`connection_load_balancer`";
        options.chosen =
            value::choice_with(node, what, &words, &LATER, problems).unwrap_or(Some(Balance::None));
        options.balance_span = Some(node.span.clone());
        if options.chosen.is_none() {
            problems.not_yet(&key.span, "the balance `sni`; every connection is refused");
        }
    }
    let mut flag = |key, what| {
        given(&mut keys, key)
            .and_then(|node| node.boolean(what, problems))
            .unwrap_or(false)
    };
    options.proxy_header = flag("enable_proxy_header", "`enable_proxy_header`");
    options.same_family = flag("enable_dual_stack", "`enable_dual_stack`");
    keys.finish(problems);
    options
}
