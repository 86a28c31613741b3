//! The native dialect: YAML, maps by name, durations and sizes with units.
//!
//! Invariant: a key has one spelling and one meaning; what is not built yet is told, and refuses
//! where a flow would depend on it. Every default stands in `defaults.rs`; every key with its
//! default in `docs/reference/native.md`.

mod allow;
mod answers;
mod asking;
mod cache;
mod certificates;
mod columns;
mod defaults;
mod dns;
mod fake_ip;
mod flow_tests;
mod following;
mod forwards;
mod inbounds;
mod include;
mod list_files;
mod outbounds;
mod policies;
mod queries;
mod query_checks;
mod query_doors;
mod rule_sets;
mod schema;
#[cfg(test)]
mod tests;
mod timeouts;
mod udp;
mod upstreams;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use defaults::DEFAULT;
use pointsman_policy::geo::{GeoDatabase, GeoDatabases};
use pointsman_policy::model::OnUnknown;
pub use schema::schema;

use crate::forward::{self, Chosen};
use crate::input::{Input, MAX_FILE};
use crate::problem::{Problems, Span};
use crate::setup::{
    Balance, DataFiles, DatagramLimits, Dialect, Families, History, Log, PolicyId, Setup,
    SniffLimits, Timeouts,
};
use crate::value::{self, Others};
use crate::yaml::{KeyStyle, Keys, Node, Parsed};

/// The words of `balance`.
const BALANCES: [(&str, Chosen); 5] = [
    ("failover", Some(Balance::Failover)),
    ("round-robin", Some(Balance::RoundRobin)),
    ("source", Some(Balance::Source)),
    ("none", Some(Balance::None)),
    ("sni", None),
];

/// Balances that are not offered, and what other programs call them.
const OTHER_BALANCES: Others = Others {
    later: &["sni"],
    foreign: &[
        ("roundrobin", ROUND_ROBIN),
        ("static-rr", ROUND_ROBIN),
        ("load-balance", ROUND_ROBIN),
        ("random", ROUND_ROBIN),
        (
            "leastconn",
            "there is no choice by the number of connections; write `round-robin`",
        ),
        (
            "least_conn",
            "there is no choice by the number of connections; write `round-robin`",
        ),
        ("ip_hash", BY_CLIENT),
        ("hash", BY_CLIENT),
        ("consistent-hashing", BY_CLIENT),
        (
            "uri",
            "a forward does not read requests; write `round-robin`",
        ),
        (
            "hdr",
            "a forward does not read requests; write `round-robin`",
        ),
        ("url-test", BY_SPEED),
        ("urltest", BY_SPEED),
        ("fastest", BY_SPEED),
        ("fallback", "write `failover`"),
        ("first", "write `failover`"),
        ("backup", "write `failover`"),
    ],
};
const ROUND_ROBIN: &str = "write `round-robin`";
const BY_CLIENT: &str = "write `source`";
const BY_SPEED: &str = "there is no choice by speed; write `failover`";
/// The words of `answers`, and whether they mean that there are any.
const ANSWERS: [(&str, bool); 2] = [("on", true), ("off", false)];
/// The words of `family`.
const FAMILIES: [(&str, Families); 4] = [
    ("prefer-ipv4", Families::PreferIpv4),
    ("prefer-ipv6", Families::PreferIpv6),
    ("ipv4", Families::Ipv4Only),
    ("ipv6", Families::Ipv6Only),
];
/// The words of `log.level`.
const LOG_LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
/// The words of `log.format`, and whether they mean JSON.
const LOG_FORMATS: [(&str, bool); 2] = [("text", false), ("json", true)];
/// The words of `on_unknown`.
const UNKNOWN: [(&str, OnUnknown); 2] = [("skip", OnUnknown::Skip), ("reject", OnUnknown::Reject)];

/// Reads a configuration of this dialect from its tree; pushes every problem.
pub fn read(input: &Input<'_>, parsed: Parsed, problems: &mut Problems) -> Option<Setup> {
    let root = match parsed.take(problems) {
        Some(root) => root,
        None if problems.has_errors() => return None,
        // What a full disk or an editor leaves for a moment is not to end all that is served.
        None => {
            let what = "the file is empty: that is no configuration";
            problems
                .error("empty-configuration", &input.source.span(0, 0), what)
                .hint = Some("one that serves nothing says `version: 1`".into());
            return None;
        }
    };
    let mut files = vec![input.path.clone()];
    let root = include::merged(root, input, &mut files, problems);
    let mut keys = root.keys("the configuration", KeyStyle::Exact, problems);
    if let Some(version) = given(&mut keys, "version")
        && version.scalar() != Some("1")
    {
        let message = "only `version: 1` exists";
        problems.error("unsupported-version", &version.span, message);
    }
    let general = general(&mut keys, input, problems);
    let databases = databases(&mut keys, input, &mut files, problems);
    keys.not_yet(&["control"], problems);
    // Taken before; known to whoever misspells it.
    let _included = keys.take("include");
    let parts = Parts {
        inbounds: keys.take("inbounds"),
        outbounds: keys.take("outbounds"),
        forwards: keys.take("forwards"),
        dns: keys.take("dns"),
        rule_sets: keys.take("rule_sets"),
        tests: keys.take("tests"),
    };
    let written = policies::PolicyKeys::take(&mut keys, problems);
    keys.finish(problems);

    let (rule_sets, fetched) =
        rule_sets::read(parts.rule_sets, &databases, input, &mut files, problems);
    let mut table = outbounds::builtins(written.has_rules());
    outbounds::read(parts.outbounds, &mut table, input, &mut files, problems);
    let sources = list_files::sources(fetched, &table, problems);
    let mut around = upstreams::Surroundings {
        outbounds: &table,
        input,
        files: &mut files,
    };
    let dns = dns::read(parts.dns, &mut around, problems);
    let mut forwards = forwards::read(parts.forwards, &mut table, input, problems);
    let mut policies = written.lower(&table, &rule_sets, &databases, problems);
    let context = following::Context {
        input,
        rule_sets: &rule_sets,
        databases: &databases,
        policies: &policies,
        outbounds: &table,
    };
    let said = asking::said(&dns, &table, problems);
    let server = queries::read(&dns, &said, &context, &mut files, problems);
    let asks = asking::spec(&dns, &said, server.as_ref(), &table);
    let mut inbounds = inbounds::read(parts.inbounds, &policies, &dns, input, &mut files, problems);
    let tests = parts
        .tests
        .map(|node| flow_tests::read(node, &table, problems));
    if inbounds.any && policies.main.is_none() && !policies.broken && !inbounds.all_named {
        let what = "there is neither `policy` nor `rules`, so nothing says where flows go";
        let place = parts.inbounds.map_or(&root.span, |node| &node.span);
        problems
            .error("missing-policy", &first_line(place), what)
            .hint = Some("`policy: direct` sends every flow out directly".into());
    }
    if let (Some((key, _)), Some(server)) = (dns.server.fake_ip, &server)
        && server.what.fake.is_some()
        && !inbounds.any
    {
        let what = "names get fake addresses, and no inbound takes flows to them: nothing is reached there";
        problems.warning("fake-unreachable", &key.span, what).hint = Some(
            "add an inbound of type `socks5`, `http` or `mixed`, or leave `fake_ip` out".into(),
        );
    }
    let serves = inbounds.any || !forwards.is_empty() || server.is_some();
    if !serves && !problems.has_errors() {
        let what = "there are neither inbounds nor forwards: nothing will be served";
        problems.warning("nothing-served", &first_line(&root.span), what);
    }
    // Spelled as rule lists spell them, where there are any.
    let builtin = |lower: &str| {
        let upper = table.find(&lower.to_ascii_uppercase());
        upper.or_else(|| table.find(lower))
    };
    let (direct, reset, reject) = (builtin("direct")?, builtin("reset")?, builtin("reject")?);
    let (outbounds, infos) = table.finish();
    let mut whole = policies.finish(&infos, direct, &rule_sets, &databases, general.on_unknown);
    if let (Some(server), Some(main)) = (&server, policies.main.and_then(|id| whole.get(id.0))) {
        following::check(server, main, problems);
    }
    inbounds.restrict(&mut whole, reject);
    for (forward, origins) in &mut forwards {
        forward.door.policy = PolicyId(whole.len());
        let policy = forward::policy(forward, origins.clone(), &infos, direct, reset);
        whole.push(Arc::new(policy));
    }
    Some(Setup {
        lists: Vec::new(),
        dialect: Dialect::Native,
        directory: input.directory.clone(),
        files,
        inbounds: inbounds.list,
        outbounds,
        forwards: forwards.into_iter().map(|(forward, _)| forward).collect(),
        policies: whole,
        resolvers: dns.resolvers,
        server_resolver: dns.server_resolver,
        asks,
        bootstrap: dns.bootstrap,
        dns: server,
        cache: dns.cache,
        log: general.log,
        access_log: general.access_log,
        history: general.history,
        watch: general.watch,
        shutdown_grace: general.grace,
        sniff: general.sniff,
        timeouts: general.timeouts,
        datagrams: general.datagrams,
        tests: tests.unwrap_or_default(),
        sources,
        data: DataFiles::default(),
    })
}

/// The sections, before they are read in the order in which they need each other.
struct Parts<'a> {
    inbounds: Option<&'a Node>,
    outbounds: Option<&'a Node>,
    forwards: Option<&'a Node>,
    dns: Option<&'a Node>,
    rule_sets: Option<&'a Node>,
    tests: Option<&'a Node>,
}

/// A key's value; a key without one is as if it were not there.
fn given<'a>(keys: &mut Keys<'a>, key: &'a str) -> Option<&'a Node> {
    keys.take(key).filter(|node| !node.is_null())
}

/// The pairs of a map by name, the names checked.
fn named<'a>(
    node: Option<&'a Node>,
    what: &str,
    problems: &mut Problems,
) -> Vec<(&'a str, &'a Span, &'a Node)> {
    let Some(node) = node else { return Vec::new() };
    let pairs = node.map(what, problems);
    let misplaced = columns::misplaced(pairs, what, problems);
    let pairs = (0..).zip(pairs).filter(|(at, _)| !misplaced.contains(at));
    let pairs = pairs.filter_map(|(_, (key, value))| {
        let name = value::name(key, "a name", problems)?;
        Some((name, &key.span, value))
    });
    pairs.collect()
}

/// The first line of a place, for carets.
fn first_line(span: &Span) -> Span {
    let text = span.text();
    span.part(0, text.find('\n').unwrap_or(text.len()))
}

struct General {
    log: Log,
    access_log: Option<PathBuf>,
    history: History,
    watch: bool,
    grace: Duration,
    sniff: SniffLimits,
    timeouts: Timeouts,
    datagrams: DatagramLimits,
    on_unknown: OnUnknown,
}

fn general<'a>(keys: &mut Keys<'a>, input: &Input<'_>, problems: &mut Problems) -> General {
    let log = given(keys, "log").map(|node| log(node, problems));
    let access_log = given(keys, "access_log")
        .and_then(|node| value::path(node, "`access_log`", &input.directory, problems));
    let history = given(keys, "history").map(|node| history(node, problems));
    let watch = given(keys, "watch").and_then(|node| node.boolean("`watch`", problems));
    let grace = given(keys, "shutdown").and_then(|node| {
        let mut keys = node.keys("`shutdown`", KeyStyle::Exact, problems);
        let grace = given(&mut keys, "grace");
        keys.finish(problems);
        value::duration(grace?, "`grace`", problems)
    });
    let sniff = given(keys, "sniff").map(|node| sniff(node, problems));
    let timeouts = given(keys, "timeouts").map(|node| timeouts::read(node, problems));
    let datagrams = given(keys, "udp").map(|node| udp::read(node, problems));
    let on_unknown = given(keys, "on_unknown")
        .and_then(|node| value::choice(node, "`on_unknown`", &UNKNOWN, problems));
    General {
        log: log.unwrap_or_default(),
        access_log,
        history: history.unwrap_or_default(),
        watch: watch.unwrap_or(defaults::WATCH),
        grace: grace.unwrap_or(defaults::GRACE),
        sniff: sniff.unwrap_or_default(),
        timeouts: timeouts.unwrap_or_default(),
        datagrams: datagrams.unwrap_or_default(),
        on_unknown: on_unknown.unwrap_or_default(),
    }
}

fn history(node: &Node, problems: &mut Problems) -> History {
    let mut keys = node.keys("`history`", KeyStyle::Exact, problems);
    let keep = given(&mut keys, "keep").and_then(|node| {
        let keep = node.number("`keep`", 0..=defaults::HISTORY_MOST, problems)?;
        usize::try_from(keep).ok()
    });
    let redact = given(&mut keys, "redact").and_then(|node| node.boolean("`redact`", problems));
    keys.finish(problems);
    let usual = History::default();
    History {
        keep: keep.unwrap_or(usual.keep),
        redact: redact.unwrap_or(usual.redact),
    }
}

fn log(node: &Node, problems: &mut Problems) -> Log {
    let mut keys = node.keys("`log`", KeyStyle::Exact, problems);
    let levels = LOG_LEVELS.map(|level| (level, level));
    let level = given(&mut keys, "level")
        .and_then(|node| value::choice(node, "`level`", &levels, problems));
    let json = given(&mut keys, "format")
        .and_then(|node| value::choice(node, "`format`", &LOG_FORMATS, problems));
    keys.finish(problems);
    Log {
        level: level.map(str::to_owned),
        json: json.unwrap_or(false),
    }
}

fn sniff(node: &Node, problems: &mut Problems) -> SniffLimits {
    let mut keys = node.keys("`sniff`", KeyStyle::Exact, problems);
    let timeout = given(&mut keys, "timeout");
    let max_bytes = given(&mut keys, "max_bytes");
    keys.finish(problems);
    let default = SniffLimits::default();
    let max_bytes = max_bytes.and_then(|node| {
        let size = value::size(node, "`max_bytes`", problems)?;
        if !(64..=1 << 20).contains(&size) {
            let message = "`max_bytes` must be from 64B to 1MiB";
            problems.error("invalid-value", &node.span, message);
        }
        Some(size)
    });
    SniffLimits {
        timeout: timeout
            .and_then(|node| value::duration(node, "`timeout`", problems))
            .unwrap_or(default.timeout),
        max_bytes: max_bytes.unwrap_or(default.max_bytes),
    }
}

fn databases<'a>(
    keys: &mut Keys<'a>,
    input: &Input<'_>,
    files: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> Arc<GeoDatabases> {
    let mut open = |key: &'static str, what| {
        let node = given(keys, key)?;
        let path = value::path(node, what, &input.directory, problems)?;
        let bytes = match input.files.read(&path, MAX_FILE) {
            Ok(bytes) => bytes,
            Err(error) => {
                let message = format!("{what}: `{}` cannot be read: {error}", shown(node));
                problems.error("missing-file", &node.span, message);
                return None;
            }
        };
        files.push(path);
        match GeoDatabase::from_bytes(bytes) {
            Ok(database) => Some(database),
            Err(error) => {
                let message = format!("{what}: `{}` is no database: {error}", shown(node));
                problems.error("invalid-database", &node.span, message);
                None
            }
        }
    };
    let country = open("geoip_db", "`geoip_db`");
    let asn = open("asn_db", "`asn_db`");
    Arc::new(GeoDatabases::new(country, asn))
}

fn shown(node: &Node) -> &str {
    node.scalar().unwrap_or("")
}
