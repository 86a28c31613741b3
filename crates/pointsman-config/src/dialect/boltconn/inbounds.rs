//! `inbound`, and the older `http-port` and `socks5-port`.
//!
//! Invariant: one listener for each address; the same one under `http` and `socks5` is mixed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use pointsman_policy::fact::InboundKind;

use super::one_or_many;
use crate::problem::{About, Problems, Span};
use crate::setup::{Inbound, PolicyId, Secret, User};
use crate::yaml::{KeyStyle, Node, Value};

/// The nodes that tell of listeners.
pub(super) struct Sections<'a> {
    pub(super) inbound: Option<&'a Node>,
    pub(super) http_port: Option<&'a Node>,
    pub(super) socks5_port: Option<&'a Node>,
    pub(super) root: &'a Node,
}

/// Where it listens when only a port is given: what comes from elsewhere must be asked for.
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The embedded default's port.
const DEFAULT_PORT: u16 = 7890;

pub(super) fn read(sections: &Sections<'_>, problems: &mut Problems) -> Vec<Inbound> {
    let mut found = Vec::new();
    if let Some(node) = sections.inbound {
        let mut keys = node.keys("`inbound`", KeyStyle::KebabIsSnake, problems);
        let http = keys.take("http");
        let socks5 = keys.take("socks5");
        let mut own = problems.apart();
        keys.not_yet(&["enable_tun"], &mut own);
        for tun in &mut own.0 {
            tun.about = Some(About::NotTaken);
        }
        problems.absorb(own);
        keys.not_yet(&["enable_icmp_proxy", "firewall"], problems);
        keys.finish(problems);
        for (node, kind) in [(http, InboundKind::Http), (socks5, InboundKind::Socks5)] {
            for item in node.map_or(&[][..], one_or_many) {
                add(service(item, kind, problems), &mut found, problems);
            }
        }
    }
    for (node, kind) in [
        (sections.http_port, InboundKind::Http),
        (sections.socks5_port, InboundKind::Socks5),
    ] {
        if let Some(node) = node {
            add(service(node, kind, problems), &mut found, problems);
        }
    }
    if found.is_empty() {
        let place = sections.inbound.unwrap_or(sections.root).span.part(0, 0);
        problems.note(
            "default-inbound",
            &place,
            format!("no proxy listener is given: a mixed one on {HOST}:{DEFAULT_PORT} serves"),
        );
        found.push(listener(
            InboundKind::Mixed,
            SocketAddr::new(HOST, DEFAULT_PORT),
            &place,
        ));
    }
    for inbound in &found {
        if !inbound.listen.ip().is_loopback() && inbound.users.is_empty() {
            let message = format!("anybody who reaches {} may use it", inbound.listen);
            problems.warning("open-proxy", &inbound.span, message).hint =
                Some("give it `auth`, or let it listen on 127.0.0.1".into());
        }
    }
    name(&mut found);
    found
}

fn listener(kind: InboundKind, listen: SocketAddr, span: &Span) -> Inbound {
    Inbound {
        name: "".into(),
        kind,
        listen,
        users: Vec::new(),
        alias: None,
        policy: PolicyId::default(),
        resolver: None,
        allow: None,
        span: span.clone(),
    }
}

/// A port, `"address:port"`, or a mapping.
fn service(node: &Node, kind: InboundKind, problems: &mut Problems) -> Option<Inbound> {
    if let Value::Map(_) = node.value {
        return long_form(node, kind, problems);
    }
    let text = node.text("a listener", problems)?;
    if let Ok(listen) = text.parse::<SocketAddr>() {
        return Some(listener(kind, listen, &node.span));
    }
    match text.parse::<u16>() {
        Ok(port) => Some(listener(kind, SocketAddr::new(HOST, port), &node.span)),
        Err(_unspecific) => {
            let message = format!("`{text}` is neither a port nor an address with a port");
            problems.error("invalid-address", &node.span, message);
            None
        }
    }
}

fn long_form(node: &Node, kind: InboundKind, problems: &mut Problems) -> Option<Inbound> {
    let mut keys = node.keys("the listener", KeyStyle::KebabIsSnake, problems);
    let host = keys.take("host");
    let port = keys.require("port", problems);
    let auth = keys.take("auth");
    let alias = keys.take("alias");
    keys.finish(problems);
    let host = match host {
        None => Some(HOST),
        Some(node) => node
            .text("`host`", problems)
            .and_then(|text| match text.parse() {
                Ok(address) => Some(address),
                Err(_unspecific) => {
                    let message = format!("`{text}` is not an IPv4 or IPv6 address");
                    problems.error("invalid-address", &node.span, message);
                    None
                }
            }),
    };
    let port = port?.number("`port`", 0..=i64::from(u16::MAX), problems)?;
    let listen = SocketAddr::new(host?, u16::try_from(port).ok()?);
    let mut made = listener(kind, listen, &node.span);
    made.alias = alias
        .and_then(|node| node.text("`alias`", problems))
        .map(Into::into);
    for (name, value) in auth.map_or(&[][..], |node| node.map("`auth`", problems)) {
        made.users.extend(user(name, value, problems));
    }
    Some(made)
}

/// `name: password`, or `name: {password, alias}`.
fn user(name: &Node, value: &Node, problems: &mut Problems) -> Option<User> {
    let login: Arc<str> = name.text("a user", problems)?.into();
    let (password, alias) = if let Value::Map(_) = value.value {
        let mut keys = value.keys("the user", KeyStyle::KebabIsSnake, problems);
        let password = keys.require("password", problems);
        let alias = keys.take("alias");
        keys.finish(problems);
        let alias = alias.and_then(|node| node.text("`alias`", problems));
        (password?.text("`password`", problems)?, alias)
    } else {
        (value.text("a password", problems)?, None)
    };
    Some(User {
        name: login,
        password: Secret::new(password),
        alias: alias.map(Into::into),
    })
}

/// Adds a listener, or makes one of the other protocol at its address mixed.
fn add(made: Option<Inbound>, found: &mut Vec<Inbound>, problems: &mut Problems) {
    let Some(made) = made else { return };
    let taken = found
        .iter_mut()
        .find(|other| other.listen == made.listen && made.listen.port() != 0);
    let Some(other) = taken else {
        found.push(made);
        return;
    };
    if other.kind == made.kind || other.kind == InboundKind::Mixed {
        let message = format!("two listeners want {}", made.listen);
        let problem = problems.error("duplicate-listen", &made.span, message);
        problem.related = Some((other.span.clone(), "the other one".into()));
        return;
    }
    let login = |users: &[User]| -> Vec<_> {
        let login = |user: &User| {
            let password = user.password.reveal().to_owned();
            (Arc::clone(&user.name), password, user.alias.clone())
        };
        let mut all: Vec<_> = users.iter().map(login).collect();
        all.sort();
        all
    };
    if login(&other.users) != login(&made.users) {
        let message = "HTTP and SOCKS5 on one port must have the same users";
        let problem = problems.error("duplicate-listen", &made.span, message);
        problem.related = Some((other.span.clone(), "the other one".into()));
        return;
    }
    other.kind = InboundKind::Mixed;
    if other.alias.is_none() {
        other.alias = made.alias;
    } else if made.alias.is_some() && made.alias != other.alias {
        let message = "one port has one alias: that of `http` counts";
        let problem = problems.warning("duplicate-listen", &made.span, message);
        problem.related = Some((other.span.clone(), "the other one".into()));
    }
}

/// Names by alias, else by kind and port; a number behind those that are taken.
fn name(found: &mut [Inbound]) {
    let mut taken: Vec<Arc<str>> = Vec::new();
    for inbound in found {
        let kind = match inbound.kind {
            InboundKind::Http => "http",
            InboundKind::Socks5 => "socks5",
            _ => "mixed",
        };
        let wanted = match &inbound.alias {
            Some(alias) => alias.to_string(),
            None => format!("{kind}-{}", inbound.listen.port()),
        };
        let mut name: Arc<str> = wanted.as_str().into();
        let mut number = 2;
        while taken.contains(&name) {
            name = format!("{wanted}-{number}").into();
            number += 1;
        }
        taken.push(Arc::clone(&name));
        inbound.name = name;
    }
}
