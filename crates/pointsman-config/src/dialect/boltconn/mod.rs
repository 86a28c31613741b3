//! The BoltConn dialect: YAML with `rule_local`, kebab-case and snake_case keys the same.
//!
//! Invariant: what its document says loads verbatim. What the original knows and we do not do yet
//! is a note, never silence; what nobody knows is an error.
//!
//! Deliberately absent: TUN, interception, web controller, instrument bus (notes `not-yet`).

mod dns;
mod inbounds;
mod lists;
mod proxies;
mod proxy;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::model::{DomainOrder, OnUnknown};
use pointsman_policy::zone::Zones;
use pointsman_policy::{Policy, line};

use crate::input::{Input, read_text};
use crate::list_file;
use crate::problem::{Problems, Source, Span};
use crate::rule_list::{Fallback, RuleLists};
use crate::setup::{
    AskSpec, CacheLimits, DatagramLimits, Dialect, History, Log, ResolverId, Setup, SniffLimits,
    Timeouts, Uplink,
};
use crate::yaml::{self, KeyStyle, Node, Parsed};

/// Reads a configuration of this dialect from its tree; pushes every problem.
pub fn read(input: &Input<'_>, parsed: Parsed, problems: &mut Problems) -> Option<Setup> {
    let Some(root) = parsed.take(problems) else {
        if !problems.has_errors() {
            let place = input.source.span(0, 0);
            problems.error("missing-key", &place, "the configuration is empty");
        }
        return None;
    };
    let mut reading = Reading {
        input,
        files: vec![input.path.clone()],
    };
    let mut keys = root.keys("the configuration", KeyStyle::KebabIsSnake, problems);
    let uplink = keys
        .take("interface")
        .and_then(|node| interface(node, problems));
    let inbound = keys.take("inbound");
    let http_port = keys.take("http_port");
    let socks5_port = keys.take("socks5_port");
    let dns = keys.take("dns");
    let dispatching = keys.take("dispatching");
    let proxy_keys = proxies::Sections {
        local: keys.take("proxy_local"),
        providers: keys.take("proxy_provider"),
        chains: keys.take("proxy_chain"),
        groups: keys.take("proxy_group"),
    };
    let rule_local = keys.require("rule_local", problems);
    let rule_provider = keys.take("rule_provider");
    let module = keys.take("module");
    keys.not_yet(NOT_YET, problems);
    keys.finish(problems);

    let ways = proxies::read(
        &proxy_keys,
        uplink.unwrap_or_default(),
        &mut reading,
        problems,
    );
    let dispatching = lists::dispatching(dispatching, &mut reading, problems);
    let modules = lists::modules(module, &mut reading, problems);
    let mut sets = lists::rule_sets(
        rule_provider,
        &modules,
        &dispatching,
        &mut reading,
        problems,
    );
    let sources = sets.take_sources();
    let data = dispatching.data();
    let scope = sets.scope(&dispatching);

    let find = |name: &str, place: &Span, problems: &mut Problems| ways.find(name, place, problems);
    let rules = RuleLists {
        outbound: &find,
        scope: &scope,
        sets: &sets.sets,
    };
    let mut body = Vec::new();
    let mut resolved = false;
    let module_lists = modules.iter().filter_map(|module| {
        Some((
            module.rules.as_ref()?,
            "the rule list of a module",
            Fallback::Forbidden,
        ))
    });
    let main = rule_local.map(|node| (node, "the rule list", Fallback::Required));
    for (node, what, fallback) in module_lists.chain(main) {
        let steps = rules.read(node, what, fallback, problems);
        rules.note_blind_rules(&steps, resolved, &node.span.source, problems);
        resolved = resolved || lists::resolves(&steps);
        body.extend(steps);
    }

    let dns = dns.map(|node| dns::read(node, problems));
    let dns::Dns {
        resolver,
        bootstrap,
    } = dns.unwrap_or_default();
    let server_resolver = resolver.is_some().then_some(ResolverId(0));
    let inbounds = inbounds::read(
        &inbounds::Sections {
            inbound,
            http_port,
            socks5_port,
            root: &root,
        },
        problems,
    );
    let (outbounds, infos, direct) = ways.finish();
    let policy = Policy {
        name: "main".into(),
        outbounds: infos,
        direct,
        body: body.into(),
        sets: sets.sets.into(),
        zones: Arc::new(Zones::default()),
        databases: Arc::new(dispatching.databases),
        domain_order: if dispatching.sni_sniff {
            DomainOrder::RequestedElseSniffed
        } else {
            DomainOrder::Requested
        },
        on_unknown: OnUnknown::default(),
    };
    Some(Setup {
        lists: Vec::new(),
        dialect: Dialect::Boltconn,
        directory: input.directory.clone(),
        files: reading.files,
        inbounds,
        outbounds,
        forwards: Vec::new(),
        policies: vec![Arc::new(policy)],
        resolvers: resolver.into_iter().collect(),
        server_resolver,
        asks: AskSpec::default(),
        bootstrap,
        dns: None,
        cache: CacheLimits::default(),
        log: Log::default(),
        access_log: None,
        history: History::default(),
        watch: false,
        shutdown_grace: SHUTDOWN_GRACE,
        sniff: SniffLimits::default(),
        timeouts: Timeouts::default(),
        datagrams: DatagramLimits::default(),
        tests: Vec::new(),
        sources,
        data,
    })
}

/// What every dialect waits unless it says otherwise.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// Root keys of what is not built yet.
const NOT_YET: &[&str] = &[
    "web_controller",
    "instrument",
    "enable_dump",
    "speedtest_url",
    "interception",
    "intercept_rule",
    "rewrite",
];

/// `auto`, or the name of the interface that everything leaves by.
fn interface(node: &Node, problems: &mut Problems) -> Option<Uplink> {
    let name = node.text("`interface`", problems)?;
    (name != "auto").then(|| Uplink {
        interface: Some(name.to_owned()),
        ..Uplink::default()
    })
}

/// What reading needs besides the main text, and what it has read.
struct Reading<'a> {
    input: &'a Input<'a>,
    files: Vec<PathBuf>,
}

/// A file that a section names.
enum Named {
    /// Its text.
    Text(Arc<Source>),
    /// It is a cache that was not fetched yet; said already.
    NotFetched,
    /// It cannot be read; said already.
    Broken,
}

/// Where a section's file is.
struct Located {
    /// `None`: it is fetched, and there is no directory of state.
    path: Option<PathBuf>,
    /// As explanations name it.
    shown: String,
    /// Where the configuration names it.
    place: Span,
    /// Where it is fetched from.
    url: Option<String>,
    interval: Option<Duration>,
}

impl Reading<'_> {
    /// Where a relative path leads, and the path as explanations show it.
    fn locate(&self, path: &str) -> (PathBuf, String) {
        let shown = Path::new(path);
        let shown: PathBuf = shown
            .components()
            .filter(|part| *part != std::path::Component::CurDir)
            .collect();
        (
            self.input.directory.join(path),
            shown.to_string_lossy().into_owned(),
        )
    }

    /// Reads `type: file|http` with `path`, `url` and `interval` of a section; takes those keys.
    /// `place` is where the section's name stands. `None`: it is wrong; said already.
    fn located(
        &self,
        keys: &mut yaml::Keys<'_>,
        kind: &str,
        name: &str,
        place: &Span,
        problems: &mut Problems,
    ) -> Option<Located> {
        let path = keys.take("path");
        let url = keys.take("url");
        let interval = keys.take("interval").and_then(|node| {
            let seconds = node.number("`interval`", 1..=i64::from(u32::MAX), problems)?;
            Some(Duration::from_secs(u64::try_from(seconds).ok()?))
        });
        let fetched = match keys.take("type") {
            None => url.is_some(),
            Some(node) => match node.text("`type`", problems)? {
                "file" => false,
                "http" => true,
                other => {
                    let message = format!("there is no type `{other}`; it is `file` or `http`");
                    problems.error("invalid-value", &node.span, message);
                    return None;
                }
            },
        };
        let address = match url {
            Some(node) if fetched => {
                let text = node.text("`url`", problems)?;
                if let Err(message) = list_file::check_url(text) {
                    problems.error("invalid-value", &node.span, message);
                }
                text.to_owned()
            }
            Some(_) | None => String::new(),
        };
        if fetched && url.is_none() {
            let message = format!("`{name}` is fetched and has no `url`");
            problems.error("missing-key", place, message);
        }
        let (path, shown, place) = match path {
            Some(node) => {
                let (path, shown) = self.locate(node.text("`path`", problems)?);
                (Some(path), shown, node.span.clone())
            }
            None if fetched => {
                let copy = list_file::copy_name(kind, name);
                let path = self.input.state.as_ref().map(|state| state.join(&copy));
                (path, copy, place.clone())
            }
            None => {
                let message = format!("`{name}` needs the key `path`");
                problems.error("missing-key", place, message);
                return None;
            }
        };
        Some(Located {
            path,
            shown,
            place,
            url: fetched.then_some(address),
            interval,
        })
    }

    /// Reads the file that a section names as text, see [`Self::located`].
    fn named_file(
        &mut self,
        keys: &mut yaml::Keys<'_>,
        kind: &str,
        name: &str,
        place: &Span,
        problems: &mut Problems,
    ) -> Named {
        let Some(located) = self.located(keys, kind, name, place, problems) else {
            return Named::Broken;
        };
        if located.url.is_some() {
            problems.not_yet(place, format!("fetching `{name}`: its cached file serves"));
        }
        let Some(file) = located.path else {
            list_file::not_fetched(name, None, self.input, &located.place, problems);
            return Named::NotFetched;
        };
        match read_text(self.input.files, &file) {
            Ok(text) => {
                self.files.push(file);
                Named::Text(Source::open(&located.shown, text))
            }
            Err(error) if located.url.is_some() && error.kind() == std::io::ErrorKind::NotFound => {
                list_file::not_fetched(name, Some(&file), self.input, &located.place, problems);
                Named::NotFetched
            }
            Err(error) if located.url.is_some() => {
                list_file::unreadable_copy(&located.shown, &error, &located.place, problems);
                Named::NotFetched
            }
            Err(error) => {
                let message = format!("`{}` cannot be read: {error}", located.shown);
                problems.error("missing-file", &located.place, message);
                Named::Broken
            }
        }
    }
}

/// A list that may be one item alone; nothing at all is none.
fn one_or_many(node: &Node) -> &[Node] {
    match &node.value {
        yaml::Value::List(items) => items,
        yaml::Value::Scalar(..) if node.is_null() => &[],
        yaml::Value::Map(_) | yaml::Value::Scalar(..) => std::slice::from_ref(node),
    }
}

/// The elements of `type, value[, flag]`.
fn comma_parts(text: &str) -> Vec<&str> {
    line::without_comment(text)
        .split(',')
        .map(str::trim)
        .collect()
}

#[cfg(test)]
mod decisions;
#[cfg(test)]
mod document;
#[cfg(test)]
mod tests;
