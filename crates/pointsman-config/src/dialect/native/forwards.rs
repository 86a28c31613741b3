//! `forwards:`: L4 forwards by name.

mod udp;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use pointsman_spec::door::DoorLimits;

use super::defaults::{ATTEMPTS, BACKOFF, BALANCE, CONNECT_TIMEOUT};
use super::udp::silence;
use super::{ANSWERS, BALANCES, FAMILIES, OTHER_BALANCES, allow, first_line, given, named};
use crate::forward::{self, Draft, LONGEST_PROBES, NOT_BY_NAME, Origins};
use crate::input::Input;
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Span};
use crate::setup::{Balancing, DoorSpec, Endpoint, Forward, Keepalive, Listen, Retry, Target};
use crate::value::{self, EmptyHost};
use crate::yaml::{KeyStyle, Keys, Node, Value};

/// Reads all; their policies are made when all outbounds are known.
pub(super) fn read(
    node: Option<&Node>,
    outbounds: &mut Outbounds,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Vec<(Forward, Origins)> {
    let mut forwards = Vec::new();
    for (name, span, node) in named(node, "`forwards`", problems) {
        let read = read_one(name, span, node, outbounds, input, problems);
        let Some((mut forward, draft, origins)) = read else {
            continue;
        };
        let Some(group) = draft.define(name, span, outbounds, problems) else {
            continue;
        };
        forward.group = group;
        forwards.push((forward, origins));
    }
    forwards
}

/// A forward whose policy and group are still to be filled in.
fn read_one(
    name: &str,
    span: &Span,
    node: &Node,
    outbounds: &Outbounds,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Option<(Forward, Draft, Origins)> {
    let mut keys = node.keys("a forward", KeyStyle::Exact, problems);
    let mut not_yet = None;
    let listen_node = keys.require("listen", problems);
    let listen = listen_node.map(|node| listeners(node, input, problems));
    let is_udp = listen.iter().flatten().any(|listen| listen.at.is_udp());
    if is_udp {
        udp::refuse_words(node, "a forward", &udp::OF_FORWARDS, problems);
    }
    let mut origins = Origins::default();
    let mut allowed = Vec::new();
    let pair = keys.take_pair("allow");
    if let Some((ranges, origin)) = allow::read(pair, problems) {
        (allowed, origins.allow) = (ranges, origin);
        if let Some((key, _)) = pair {
            let at = listen.iter().flatten().map(|listen| &listen.at);
            forward::check_unix(at, key, "allow", problems);
        }
    }
    let targets_key = keys.require("targets", problems);
    let targets = targets_key.map_or(&[][..], |list| list.list("`targets`", problems));
    if let (Some(list), true) = (targets_key, targets.is_empty()) {
        problems.error(
            "missing-key",
            &list.span,
            "a forward needs at least one target",
        );
    }
    let mut draft = Draft::default();
    let mut named = Vec::new();
    for node in targets {
        if let Some((name, target)) = target(node, outbounds, input, &mut not_yet, problems) {
            if listen.is_some() {
                udp::check_target(node, &target, is_udp, problems);
            }
            let place = first_line(&node.span);
            named.push((Arc::clone(&name), place.clone()));
            draft.targets.push((name, target, place));
        }
    }
    let balance_node = given(&mut keys, "balance");
    let chosen = balance_node
        .and_then(|node| {
            value::choice_with(node, "`balance`", &BALANCES, &OTHER_BALANCES, problems)
        })
        .unwrap_or(Some(BALANCE));
    if let (None, Some(node), true) = (chosen, balance_node, is_udp) {
        let message = "`sni` is a name of TLS over TCP; datagrams have none to choose by";
        problems.error("invalid-value", &node.span, message);
    } else if let (None, Some(node)) = (chosen, balance_node) {
        problems.not_yet(&node.span, "the balance `sni`; every connection is refused");
        not_yet = Some(NOT_BY_NAME);
    }
    if let Some((key, _)) = keys.take_pair("tls") {
        problems.not_yet(&key.span, "TLS at a listener; every connection is refused");
        not_yet = Some("TLS at a listener is not built yet");
    }
    forward::check_targets(&named, chosen, problems);
    let limit = given(&mut keys, "connection_limit")
        .and_then(|node| node.number("`connection_limit`", 1..=i64::from(u32::MAX), problems));
    let limits = DoorLimits {
        lifetime: limit_of_time(&mut keys, "lifetime", "`lifetime`", problems),
        read_timeout: limit_of_time(&mut keys, "read_timeout", "`read_timeout`", problems),
        write_timeout: limit_of_time(&mut keys, "write_timeout", "`write_timeout`", problems),
        half_closed: limit_of_time(&mut keys, "half_closed", "`half_closed`", problems),
        idle: match is_udp {
            true => {
                let node = given(&mut keys, "idle");
                node.and_then(|node| silence(node, "`idle`", problems))
            }
            false => limit_of_time(&mut keys, "idle", "`idle`", problems),
        },
    };
    let answers = keys.take_pair("answers").and_then(|(key, node)| {
        let answers = value::choice(node, "`answers`", &ANSWERS, problems)?;
        if !is_udp {
            let message = "`answers` is for forwards of UDP: over TCP both sides speak";
            problems.error("invalid-value", &key.span, message);
        }
        Some(answers)
    });
    if let (Some((node, listen)), None, true) = (
        listen_node.zip(listen.as_ref()),
        pair,
        answers != Some(false),
    ) {
        udp::tell_open(node, listen, problems);
    }
    let retry = given(&mut keys, "retry").map(|node| retry(node, problems));
    let access_log = given(&mut keys, "access_log")
        .and_then(|node| value::path(node, "`access_log`", &input.directory, problems));
    let mut flag = |key: &'static str, what| {
        given(&mut keys, key)
            .and_then(|node| node.boolean(what, problems))
            .unwrap_or(false)
    };
    let proxy_header = flag("proxy_header", "`proxy_header`");
    let same_family = flag("same_family", "`same_family`");
    keys.finish(problems);
    for (_, target, _) in &mut draft.targets {
        target.proxy_header = proxy_header;
    }
    draft.balancing = Balancing {
        balance: chosen.unwrap_or_default(),
        retry: retry.unwrap_or_default(),
        connection_limit: limit.and_then(|n| n.try_into().ok()).unwrap_or(0),
        one_way: answers == Some(false),
        not_yet: not_yet.map(Arc::from),
    };
    let place = targets_key.map_or(&node.span, |list| &list.span);
    origins.targets = forward::origin(place, format!("targets: {}", draft.names()));
    let listen = listen.filter(|listen| !listen.is_empty())?;
    let forward = Forward {
        door: DoorSpec {
            same_family,
            limits,
            access_log,
            ..forward::door(name, listen)
        },
        allow: allowed,
        group: outbounds.find("reject")?,
        by_server_name: chosen.is_none(),
        span: span.clone(),
    };
    Some((forward, draft, origins))
}

/// One address or a list of them.
fn listeners(node: &Node, input: &Input<'_>, problems: &mut Problems) -> Vec<Listen> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Map(_) | Value::Scalar(..) => std::slice::from_ref(node),
    };
    if items.is_empty() {
        problems.error(
            "missing-key",
            &node.span,
            "`listen` needs at least one address",
        );
    }
    let mut listeners = Vec::new();
    for item in items {
        let found = value::endpoint(item, "`listen`", &input.directory, EmptyHost::Any, problems);
        let Some(found) = found.map(Listen::from) else {
            continue;
        };
        let differs = |first: &Listen| first.at.is_udp() != found.at.is_udp();
        if listeners.first().is_some_and(differs) {
            let message = "a forward is of TCP or of UDP, and this address is of the other one";
            problems.error("invalid-value", &item.span, message).hint =
                Some("make two forwards of it, of which each has targets of its own".into());
            continue;
        }
        listeners.push(found);
    }
    listeners
}

fn retry(node: &Node, problems: &mut Problems) -> Retry {
    let mut keys = node.keys("`retry`", KeyStyle::Exact, problems);
    let targets = given(&mut keys, "targets")
        .and_then(|node| node.number("`targets`", 1..=i64::from(u32::MAX), problems));
    let pause = limit_of_time(&mut keys, "pause", "`pause`", problems);
    let most = limit_of_time(&mut keys, "most", "`most`", problems);
    keys.finish(problems);
    let usual = Retry::default();
    Retry {
        targets: targets
            .and_then(|n| usize::try_from(n).ok())
            .and_then(NonZeroUsize::new),
        pause: pause.unwrap_or(usual.pause),
        most: most.unwrap_or(usual.most),
    }
}

fn target(
    node: &Node,
    outbounds: &Outbounds,
    input: &Input<'_>,
    not_yet: &mut Option<&'static str>,
    problems: &mut Problems,
) -> Option<(Arc<str>, Target)> {
    if let Some(address) = node.scalar() {
        let message = "a target must be a mapping with `name` and `address`";
        let hint = match address.contains("://") {
            true => format!("write `{{ name: NAME, address: {address} }}`"),
            false => format!("write `{{ name: NAME, address: tcp://{address} }}`"),
        };
        problems.error("wrong-type", &node.span, message).hint = Some(hint);
        return None;
    }
    let mut keys = node.keys("a target", KeyStyle::Exact, problems);
    let name = keys.require("name", problems);
    let name = name.and_then(|node| value::name(node, "`name`", problems));
    let address = keys.require("address", problems);
    let address = address.and_then(|node| {
        let directory = &input.directory;
        value::endpoint(node, "`address`", directory, EmptyHost::Refused, problems)
    });
    let via = given(&mut keys, "via").and_then(|node| {
        let name = value::name(node, "`via`", problems)?;
        let via = outbounds.resolve(name, &node.span, problems)?;
        if address.as_ref().is_some_and(Endpoint::is_udp) {
            udp::check_via(node, via, outbounds, problems);
        }
        Some(via)
    });
    let attempts =
        given(&mut keys, "attempts").and_then(|node| node.number("`attempts`", 1..=1000, problems));
    let backoff = limit_of_time(&mut keys, "backoff", "`backoff`", problems);
    let connect_timeout =
        limit_of_time(&mut keys, "connect_timeout", "`connect_timeout`", problems);
    let resolve_timeout =
        limit_of_time(&mut keys, "resolve_timeout", "`resolve_timeout`", problems);
    let read_timeout = limit_of_time(&mut keys, "read_timeout", "`read_timeout`", problems);
    let write_timeout = limit_of_time(&mut keys, "write_timeout", "`write_timeout`", problems);
    let keepalive = match given(&mut keys, "keepalive") {
        Some(node) if node.scalar() == Some("off") => Keepalive::Off,
        Some(node) => value::duration(node, "`keepalive`", problems)
            .filter(|every| is_probed(*every, node, problems))
            .map_or(Keepalive::Default, Keepalive::Every),
        None => Keepalive::Default,
    };
    let families = given(&mut keys, "family")
        .and_then(|node| value::choice(node, "`family`", &FAMILIES, problems));
    if let Some((key, _)) = keys.take_pair("tls") {
        problems.not_yet(&key.span, "TLS to a target; every connection is refused");
        *not_yet = Some("TLS to a target is not built yet");
    }
    keys.finish(problems);
    let target = Target {
        address: address?,
        via,
        attempts: attempts.and_then(|n| n.try_into().ok()).unwrap_or(ATTEMPTS),
        backoff: backoff.unwrap_or(BACKOFF),
        connect_timeout: Some(connect_timeout.unwrap_or(CONNECT_TIMEOUT)),
        resolve_timeout,
        read_timeout,
        write_timeout,
        keepalive,
        families: families.unwrap_or_default(),
        // Of the forward, and given to each of its targets.
        proxy_header: false,
    };
    Some((name?.into(), target))
}

/// Whether systems take that.
fn is_probed(every: Duration, node: &Node, problems: &mut Problems) -> bool {
    let fits = every <= LONGEST_PROBES;
    if !fits {
        let message =
            "`keepalive` is at most 32767s (9h6m7s), which is the longest that systems wait";
        problems.error("invalid-value", &node.span, message);
    }
    fits
}

fn limit_of_time<'a>(
    keys: &mut Keys<'a>,
    key: &'a str,
    what: &str,
    problems: &mut Problems,
) -> Option<Duration> {
    value::duration(given(keys, key)?, what, problems)
}
