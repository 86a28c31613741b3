//! `inbounds:`: proxy listeners by name.

use std::path::PathBuf;
use std::sync::Arc;

use pointsman_policy::fact::InboundKind;
use pointsman_policy::model::{Origin, Rule};
use pointsman_policy::{Node as PolicyNode, OutboundId, Policy, Prefix};

use super::dns::Dns;
use super::policies::Policies;
use super::{allow, given, named};
use crate::forward::not_from;
use crate::input::Input;
use crate::problem::{About, Problems, Span};
use crate::setup::{Inbound, PolicyId, User};
use crate::value::{self, parse_bind};
use crate::yaml::{KeyStyle, Node, Value};

/// Kinds that are understood and not built.
pub(super) const LATER: [&str; 3] = ["tun", "redirect", "tproxy"];

/// What other programs call types, and what to write here.
const FOREIGN: [(&str, &str); 8] = [
    ("dns", "a DNS server is `dns.listen`, and no inbound"),
    (
        "socks",
        "write `socks5`, or `mixed` for SOCKS5 and HTTP on one port",
    ),
    ("socks4", "SOCKS4 is not supported; write `socks5`"),
    ("redir", "`redirect` is not built yet"),
    ("direct", "fixed targets are `forwards`, not inbounds"),
    ("tunnel", "fixed targets are `forwards`, not inbounds"),
    ("tcp", "fixed targets are `forwards`, not inbounds"),
    (
        "https",
        "TLS at an inbound is not built; write `http` for one without TLS",
    ),
];

/// Kinds that are served.
pub(super) const KINDS: [(&str, InboundKind); 3] = [
    ("mixed", InboundKind::Mixed),
    ("socks5", InboundKind::Socks5),
    ("http", InboundKind::Http),
];

/// The listeners that were read.
#[derive(Default)]
pub(super) struct Inbounds {
    /// Those that can be served.
    pub(super) list: Vec<Inbound>,
    /// Whether there are any, kinds of later counted.
    pub(super) any: bool,
    /// Whether each names its policy, so that no main one is needed.
    pub(super) all_named: bool,
    /// Who may come in, by index of the inbound.
    allow: Vec<(usize, Vec<Prefix>, Origin)>,
}

impl Inbounds {
    /// Gives each inbound with a list of allowed sources a policy of its own that begins with it.
    pub(super) fn restrict(&mut self, policies: &mut Vec<Arc<Policy>>, reject: OutboundId) {
        for (at, allow, origin) in self.allow.drain(..) {
            let Some(inbound) = self.list.get_mut(at) else {
                continue;
            };
            let Some(policy) = policies.get(inbound.policy.0) else {
                continue;
            };
            let mut policy = Policy::clone(policy);
            let rule = Rule {
                condition: not_from(&allow),
                outbound: reject,
                origin,
                class: None,
            };
            let mut body = vec![PolicyNode::Rule(rule)];
            body.extend_from_slice(&policy.body);
            policy.body = body.into();
            inbound.policy = PolicyId(policies.len());
            policies.push(Arc::new(policy));
        }
    }
}

/// Reads all.
pub(super) fn read(
    node: Option<&Node>,
    policies: &Policies,
    dns: &Dns<'_>,
    input: &Input<'_>,
    files: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> Inbounds {
    let mut all = Inbounds {
        all_named: true,
        ..Inbounds::default()
    };
    for (name, span, node) in named(node, "`inbounds`", problems) {
        all.any = true;
        let mut keys = node.keys("an inbound", KeyStyle::Exact, problems);
        let Some(kind_node) = keys.require("type", problems) else {
            continue;
        };
        if let Some(later) = kind_node.scalar().filter(|kind| LATER.contains(kind)) {
            let message = format!("inbounds of type `{later}`; this one is not opened");
            problems.not_yet(&kind_node.span, message).about = Some(About::NotTaken);
            continue;
        }
        let others = value::Others {
            later: &LATER,
            foreign: &FOREIGN,
        };
        let kind = value::choice_with(kind_node, "`type`", &KINDS, &others, problems);
        let listen_node = keys.require("listen", problems);
        let listen = listen_node.and_then(|node| {
            let text = node.text("`listen`", problems)?;
            value::or_problem(parse_bind(text), node, "`listen`", problems)
        });
        let users = given(&mut keys, "users");
        let users = users.map(|node| read_users(node, input, files, problems));
        let alias = given(&mut keys, "alias");
        let alias = alias.and_then(|node| value::name(node, "`alias`", problems));
        let allow = keys.take_pair("allow");
        let policy = match given(&mut keys, "policy") {
            Some(node) => policies.find(node, problems),
            None => {
                all.all_named = false;
                policies.main
            }
        };
        let resolver = given(&mut keys, "resolver");
        let resolver = resolver.and_then(|node| dns.find(node, problems));
        keys.finish(problems);
        let allow = allow::read(allow, problems);
        let (Some(kind), Some(listen), Some(listen_node)) = (kind, listen, listen_node) else {
            continue;
        };
        let users = users.unwrap_or_default();
        if !listen.ip().is_loopback() && users.is_empty() && allow.is_none() {
            let message = "everybody who reaches this address can use the proxy";
            problems
                .warning("open-proxy", &listen_node.span, message)
                .hint = Some("give it `users` or an `allow` list, or listen on loopback".into());
        }
        if let Some(other) = all
            .list
            .iter()
            .find(|o| o.listen == listen && listen.port() != 0)
        {
            let message = format!("`{}` listens on {listen} already", other.name);
            problems
                .error("duplicate-listen", &listen_node.span, message)
                .related = Some((other.span.clone(), "first here".into()));
        }
        let own = allow.as_ref().map(|(_, origin)| origin.clone());
        if let Some((ranges, origin)) = allow {
            all.allow.push((all.list.len(), ranges, origin));
        }
        all.list.push(Inbound {
            name: name.into(),
            kind,
            listen,
            users,
            // The name that was chosen is the one that rules see.
            alias: Some(alias.unwrap_or(name).into()),
            policy: policy.unwrap_or_default(),
            resolver,
            allow: own,
            span: Span::clone(span),
        });
    }
    all
}

/// `name: password`, or `name: { password: ..., alias: ... }`.
fn read_users(
    node: &Node,
    input: &Input<'_>,
    files: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> Vec<User> {
    let mut users = Vec::new();
    for (name, span, node) in named(Some(node), "`users`", problems) {
        if name.len() > 255 || name.contains(':') {
            let message = "the name of a user has at most 255 bytes and no colon";
            problems.error("invalid-value", span, message);
        }
        let long = match &node.value {
            Value::Map(pairs) => pairs
                .iter()
                .any(|(key, _)| key.scalar() == Some("password")),
            Value::List(_) | Value::Scalar(..) => false,
        };
        let mut alias = None;
        let password = if long {
            let mut keys = node.keys("a user", KeyStyle::Exact, problems);
            let password = keys.require("password", problems);
            alias = given(&mut keys, "alias")
                .and_then(|node| value::name(node, "`alias`", problems))
                .map(Arc::from);
            keys.finish(problems);
            password
        } else {
            Some(node)
        };
        let password = password
            .and_then(|node| value::secret(node, "a user's password", input, files, problems));
        if password
            .as_ref()
            .is_some_and(|p| p.reveal().is_empty() || p.reveal().len() > 255)
        {
            let message = "a user's password has 1 to 255 bytes";
            problems.error("invalid-value", &node.span, message);
        }
        users.extend(password.map(|password| User {
            name: name.into(),
            password,
            alias,
        }));
    }
    if users.is_empty() && !problems.has_errors() {
        let message = "`users` names nobody: leave it out, or name who may come in";
        problems.error("missing-key", &node.span, message);
    }
    users
}
