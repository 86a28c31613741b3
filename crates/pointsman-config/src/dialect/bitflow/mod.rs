//! The bitflow dialect: YAML with `server.proxies`, each proxy a forward.
//!
//! Invariant: a proxy with a TLS context is never served in plaintext: it refuses every connection
//! until TLS is built. Unknown keys are errors, as in the original. Unlike it: a port that is no
//! number is an error, `target:` (one, its name optional) is read, a certificate authority may stand
//! alone at a target. There are no inbounds.

mod proxy;
mod target;

#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use crate::forward;
use crate::input::Input;
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Span};
use crate::setup::{
    AskSpec, Bootstrap, CacheLimits, DataFiles, DatagramLimits, Dialect, History, Kind, Log,
    PolicyId, Refusal, Setup, SniffLimits, Timeouts,
};
use crate::value;
use crate::yaml::{self, KeyStyle, Keys, Node, Parsed};

/// How long flows may go on after the first signal to stop: what is left of an orchestrator's usual
/// 10 s and more is for the second signal.
const GRACE: Duration = Duration::from_secs(10);

/// Reads a configuration of this dialect from its tree; pushes every problem.
pub fn read(input: &Input<'_>, parsed: Parsed, problems: &mut Problems) -> Option<Setup> {
    let Some(root) = parsed.take(problems) else {
        if !problems.has_errors() {
            let place = input.source.span(0, 0);
            problems.error(
                "missing-key",
                &place,
                "the file is empty: it needs `server`",
            );
        }
        return None;
    };
    let mut keys = root.keys("the configuration", KeyStyle::Exact, problems);
    let application = given(&mut keys, "application");
    let log = application.map(|node| application_keys(node, problems));
    let server = keys.require("server", problems);
    keys.finish(problems);

    let mut outbounds = Outbounds::with_builtins([
        ("direct", Kind::direct()),
        ("reset", Kind::Refuse(Refusal::Reset)),
        ("reject", Kind::Refuse(Refusal::Reject)),
        ("blackhole", Kind::Refuse(Refusal::Blackhole)),
    ]);
    let direct = outbounds.find("direct")?;
    let reset = outbounds.find("reset")?;
    let mut found = Vec::new();
    for node in proxies(server?, problems) {
        let policy = PolicyId(found.len());
        found.extend(proxy::read(
            node,
            policy,
            &input.directory,
            &mut outbounds,
            problems,
        ));
    }
    let (outbounds, infos) = outbounds.finish();
    let policies = found.iter().map(|(forward, origins)| {
        let policy = forward::policy(forward, origins.clone(), &infos, direct, reset);
        Arc::new(policy)
    });
    Some(Setup {
        lists: Vec::new(),
        dialect: Dialect::Bitflow,
        directory: input.directory.clone(),
        files: vec![input.path.clone()],
        inbounds: Vec::new(),
        outbounds,
        policies: policies.collect(),
        forwards: found.into_iter().map(|(forward, _)| forward).collect(),
        resolvers: Vec::new(),
        server_resolver: None,
        asks: AskSpec::default(),
        bootstrap: Bootstrap::default(),
        dns: None,
        cache: CacheLimits::default(),
        log: log.unwrap_or_default(),
        access_log: None,
        history: History::default(),
        watch: false,
        shutdown_grace: GRACE,
        sniff: SniffLimits::default(),
        timeouts: Timeouts::default(),
        datagrams: DatagramLimits::default(),
        tests: Vec::new(),
        sources: Vec::new(),
        data: DataFiles::default(),
    })
}

/// A key's value; a key without one (`tls_context:`) is as if it were not there.
fn given<'a>(keys: &mut Keys<'a>, key: &'a str) -> Option<&'a Node> {
    keys.take(key).filter(|node| !node.is_null())
}

/// The first line of a place, for carets.
fn first_line(span: &Span) -> Span {
    let text = span.text();
    span.part(0, text.find('\n').unwrap_or(text.len()))
}

fn application_keys(node: &Node, problems: &mut Problems) -> Log {
    let mut keys = node.keys("`application`", KeyStyle::Exact, problems);
    keys.not_yet(&["sentry_dsn"], problems);
    if let Some((key, metrics)) = keys.take_pair("metrics")
        && !metrics.is_null()
    {
        problems.not_yet(&key.span, "`metrics` of `application`");
        let mut keys = metrics.keys("`metrics`", KeyStyle::Exact, problems);
        for key in ["address", "prefix", "proxy"] {
            if let Some(node) = given(&mut keys, key) {
                node.text(key, problems);
            }
        }
        keys.finish(problems);
    }
    let mut log = Log::default();
    if let Some(node) = given(&mut keys, "log") {
        let mut keys = node.keys("`log`", KeyStyle::Exact, problems);
        let levels = ["debug", "info", "warn", "error"].map(|level| (level, level));
        log.level = keys
            .require("level", problems)
            .and_then(|level| value::choice(level, "`level`", &levels, problems))
            .map(str::to_owned);
        keys.finish(problems);
    }
    keys.finish(problems);
    log
}

fn proxies<'a>(server: &'a Node, problems: &mut Problems) -> &'a [Node] {
    let mut keys = server.keys("`server`", KeyStyle::Exact, problems);
    let list = keys.require("proxies", problems);
    keys.finish(problems);
    let Some(list) = list else { return &[] };
    let proxies = list.list("`proxies`", problems);
    if list.is_null() || matches!(&list.value, yaml::Value::List(items) if items.is_empty()) {
        problems.error(
            "missing-key",
            &list.span,
            "`proxies` needs at least one proxy",
        );
    }
    proxies
}

/// A limit of time; 0 is none, as in the original.
fn timeout(node: Option<&Node>, what: &str, problems: &mut Problems) -> Option<Duration> {
    let node = node?;
    let nanoseconds = value::go_duration(node, what, problems)?;
    match u64::try_from(nanoseconds) {
        Ok(0) => None,
        Ok(nanoseconds) => Some(Duration::from_nanos(nanoseconds)),
        Err(_negative) => {
            let message = format!("{what} cannot be negative");
            problems.error("invalid-value", &node.span, message);
            None
        }
    }
}
