//! The items of reflow's `config`: egresses, rules, relays and the DNS server, as written.
//!
//! Invariant: everything of the file is read or told of. Deliberately absent: what names mean.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use pointsman_spec::outbound;

use crate::problem::{Problems, Source, Span, nearest};
use crate::setup::{Carrier, Protocol, Server, Uplink};
use crate::tree::cursor::Cursor;
use crate::tree::lex::{Token, TokenKind};
use crate::tree::{self, Ast, Branch, Name};

/// All items of a file, in their order.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) egresses: Vec<Egress>,
    pub(super) rules: Vec<RuleItem>,
    pub(super) relays: Vec<Relay>,
    pub(super) dns: Vec<Dns>,
}

/// `egress NAME = ...`
#[derive(Debug)]
pub(super) struct Egress {
    pub(super) name: Name,
    pub(super) kind: outbound::Kind,
}

/// `rule NAME = branch`
#[derive(Debug)]
pub(super) struct RuleItem {
    pub(super) name: Name,
    /// `None` where it could not be read, which was told.
    pub(super) tree: Option<Ast>,
}

/// `relay { ... }`
#[derive(Debug)]
pub(super) struct Relay {
    /// The word `relay`.
    pub(super) span: Span,
    pub(super) rule: Option<Name>,
    pub(super) listen: Option<SocketAddr>,
    pub(super) resolver: Option<Upstream>,
}

/// `dns { ... }`
#[derive(Debug)]
pub(super) struct Dns {
    /// The word `dns`.
    pub(super) span: Span,
    pub(super) listen: Option<SocketAddr>,
    /// Zones and where their names are asked; `else` is among them.
    pub(super) forward: Vec<(Name, Upstream)>,
}

/// `[egress|]tcp|udp address`
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    /// The word `tcp` or `udp`.
    pub(super) span: Span,
    pub(super) via: Option<Name>,
    pub(super) tcp: bool,
    pub(super) address: SocketAddr,
}

/// Reads all items.
pub(super) fn read(source: &Arc<Source>, problems: &mut Problems) -> Items {
    let mut cursor = Cursor::new(source, 0..source.text.len(), problems);
    let mut items = Items::default();
    let mut first = true;
    while cursor.peek().kind != TokenKind::End {
        let from = cursor.mark();
        if !first && cursor.more_on_line() {
            cursor.leftover("item (`egress`, `rule`, `relay`, `dns`)");
            cursor.skip_line(from);
            stray_close(&mut cursor, false);
            continue;
        }
        first = false;
        if stray_close(&mut cursor, true) {
            continue;
        }
        if item(&mut cursor, &mut items).is_none() {
            cursor.skip_line(from);
        }
    }
    items
}

/// Takes a closing bracket that closes nothing.
fn stray_close(cursor: &mut Cursor<'_>, tell: bool) -> bool {
    let next = cursor.peek();
    if !next.kind.closes() {
        return false;
    }
    if tell {
        let span = cursor.span(next);
        let message = format!("this `{}` closes nothing", next.kind.sign());
        cursor.problems.error("unexpected-text", &span, message);
    }
    cursor.bump();
    true
}

fn item(cursor: &mut Cursor<'_>, items: &mut Items) -> Option<()> {
    let start = cursor.peek();
    match cursor.text(start) {
        "egress" => {
            cursor.bump();
            items.egresses.push(egress(cursor)?);
        }
        "rule" => {
            cursor.bump();
            let name = plain_name(cursor, "the name of a rule")?;
            cursor.expect(TokenKind::Equals, &format!("`rule {}`", name.text))?;
            let root: Option<Branch> = tree::branch(cursor);
            let good = root.is_some();
            let tree = root.map(|root| Ast { root });
            items.rules.push(RuleItem { name, tree });
            return good.then_some(());
        }
        "relay" => {
            cursor.bump();
            items.relays.push(relay(cursor, start)?);
        }
        "dns" => {
            cursor.bump();
            items.dns.push(dns(cursor, start)?);
        }
        word => {
            let span = cursor.span(start);
            let message = format!("`{word}` begins no item");
            let known = ["egress", "rule", "relay", "dns"];
            let hint = match nearest(word, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "items begin with egress, rule, relay or dns".to_owned(),
            };
            cursor.problems.error("unknown-item", &span, message).hint = Some(hint);
            return None;
        }
    }
    Some(())
}

fn egress(cursor: &mut Cursor<'_>) -> Option<Egress> {
    let name = plain_name(cursor, "the name of an egress")?;
    cursor.expect(TokenKind::Equals, &format!("`egress {}`", name.text))?;
    let method = cursor.name("`socks5` or `bind`")?;
    let kind = match method.text.as_str() {
        "socks5" => {
            let address = address(cursor)?;
            let server = Server {
                host: pointsman_policy::Host::Address(address.ip().to_canonical()),
                port: address.port(),
            };
            outbound::Kind::Carry(Carrier::Upstream(outbound::Upstream {
                carries_udp: true,
                ..outbound::Upstream::new(server, Protocol::Socks5(None))
            }))
        }
        "bind" => {
            let written = cursor.raw("an IP address")?;
            let Ok(source) = written.text.parse::<IpAddr>() else {
                let message = format!("`{}` is no IP address", written.text);
                let problem = cursor
                    .problems
                    .error("invalid-address", &written.span, message);
                problem.hint = Some("the address of an interface, such as `192.168.1.2`".into());
                return None;
            };
            outbound::Kind::Carry(Carrier::Direct(Uplink {
                source: Some(source),
                ..Uplink::default()
            }))
        }
        method_name => {
            let message = format!("an egress has no method `{method_name}`");
            let hint = match nearest(method_name, ["socks5", "bind"]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write `socks5 ADDRESS:PORT` or `bind ADDRESS`".to_owned(),
            };
            cursor
                .problems
                .error("unknown-method", &method.span, message)
                .hint = Some(hint);
            return None;
        }
    };
    Some(Egress { name, kind })
}

/// A name of letters, digits, `-` and `_`.
fn plain_name(cursor: &mut Cursor<'_>, what: &str) -> Option<Name> {
    let is_word = cursor.peek().kind == TokenKind::Word && cursor.more_on_line();
    if !is_word {
        cursor.unexpected(what);
        return None;
    }
    let name = cursor.name(what)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if let Some(bad) = name.text.chars().find(|c| !plain(*c)) {
        let message = format!("`{}` is no name: it has the character {bad:?}", name.text);
        let problem = cursor.problems.error("invalid-value", &name.span, message);
        problem.hint = Some("names are letters, digits, `-` and `_`".into());
    }
    Some(name)
}

fn address(cursor: &mut Cursor<'_>) -> Option<SocketAddr> {
    let written = cursor.raw("an address and port")?;
    match written.text.parse() {
        Ok(address) => Some(address),
        Err(_unspecific) => {
            let message = format!("`{}` is no IP address and port", written.text);
            let problem = cursor
                .problems
                .error("invalid-address", &written.span, message);
            problem.hint =
                Some("write the address in numbers: `127.0.0.1:1080` or `[::1]:1080`".into());
            None
        }
    }
}

// === relay and dns ===

fn relay(cursor: &mut Cursor<'_>, start: Token) -> Option<Relay> {
    let span = cursor.span(start);
    let open = cursor.expect(TokenKind::BraceOpen, "`relay`")?;
    let mut relay = Relay {
        span,
        rule: None,
        listen: None,
        resolver: None,
    };
    let mut keys: Vec<Name> = Vec::new();
    cursor.list(open, TokenKind::BraceClose, "`key = value`", |cursor| {
        let known = ["rule", "listen", "resolver"];
        match key(cursor, &mut keys, "relay", &known)?.as_str() {
            "rule" => relay.rule = Some(cursor.name("the name of a rule")?),
            "listen" => {
                method(cursor, "socks5")?;
                relay.listen = Some(address(cursor)?);
            }
            _ => relay.resolver = Some(upstream(cursor)?),
        }
        Some(())
    });
    for needed in ["rule", "listen"] {
        missing(cursor, &keys, needed, "relay", &relay.span);
    }
    Some(relay)
}

fn dns(cursor: &mut Cursor<'_>, start: Token) -> Option<Dns> {
    let span = cursor.span(start);
    let open = cursor.expect(TokenKind::BraceOpen, "`dns`")?;
    let (mut listen, mut forward) = (None, Vec::new());
    let mut keys: Vec<Name> = Vec::new();
    cursor.list(open, TokenKind::BraceClose, "`key = value`", |cursor| {
        match key(cursor, &mut keys, "dns", &["listen", "forward"])?.as_str() {
            "listen" => {
                method(cursor, "udp")?;
                listen = Some(address(cursor)?);
            }
            _ => {
                let open = cursor.expect(TokenKind::BraceOpen, "`forward =`")?;
                let before = cursor.problems.total();
                forward = cursor.list(
                    open,
                    TokenKind::BraceClose,
                    "`zone => server`",
                    forward_line,
                );
                let good = cursor.problems.total() == before;
                if good && !forward.iter().any(|(zone, _)| zone.text == "else") {
                    let span = cursor.span(open);
                    let problem = cursor.problems.error(
                        "missing-key",
                        &span,
                        "`forward` needs the key `else`",
                    );
                    problem.hint = Some("add `else => udp ADDRESS:53` for all other names".into());
                }
            }
        }
        Some(())
    });
    for needed in ["listen", "forward"] {
        missing(cursor, &keys, needed, "dns", &span);
    }
    Some(Dns {
        span,
        listen,
        forward,
    })
}

fn forward_line(cursor: &mut Cursor<'_>) -> Option<(Name, Upstream)> {
    let zone = cursor.name("a zone or `else`")?;
    cursor.expect(TokenKind::Arrow, &format!("the key `{}`", zone.text))?;
    Some((zone, upstream(cursor)?))
}

/// `KEY =`, where it is known and not given before.
fn key(
    cursor: &mut Cursor<'_>,
    seen: &mut Vec<Name>,
    block: &str,
    known: &[&str],
) -> Option<String> {
    let name = cursor.name("a key")?;
    if !known.contains(&name.text.as_str()) {
        let message = format!("`{block}` has no key `{}`", name.text);
        let hint = match nearest(&name.text, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has: {}", known.join(", ")),
        };
        cursor
            .problems
            .error("unknown-key", &name.span, message)
            .hint = Some(hint);
        return None;
    }
    if let Some(first) = seen.iter().find(|s| s.text == name.text) {
        let message = format!("`{}` is given twice", name.text);
        let problem = cursor.problems.error("duplicate-key", &name.span, message);
        problem.related = Some((first.span.clone(), "first here".into()));
    }
    let text = name.text.clone();
    seen.push(name);
    cursor.expect(TokenKind::Equals, &format!("`{text}`"))?;
    Some(text)
}

fn missing(cursor: &mut Cursor<'_>, seen: &[Name], key: &str, block: &str, span: &Span) {
    if !seen.iter().any(|s| s.text == key) {
        let message = format!("`{block}` needs the key `{key}`");
        cursor.problems.error("missing-key", span, message);
    }
}

/// The one method that a listener knows.
fn method(cursor: &mut Cursor<'_>, known: &str) -> Option<()> {
    let method = cursor.name(&format!("`{known}`"))?;
    if method.text == known {
        return Some(());
    }
    let message = format!("there is no listener `{}` here", method.text);
    let problem = cursor
        .problems
        .error("unknown-method", &method.span, message);
    problem.hint = Some(format!("write `{known} ADDRESS:PORT`"));
    None
}

fn upstream(cursor: &mut Cursor<'_>) -> Option<Upstream> {
    let first = cursor.name("`udp`, `tcp` or the name of an egress")?;
    let (via, method) = match cursor.eat(TokenKind::Pipe) {
        Some(_) => (Some(first), cursor.name("`udp` or `tcp`")?),
        None => (None, first),
    };
    let tcp = match method.text.as_str() {
        "tcp" => true,
        "udp" => false,
        other => {
            let message = format!("a name server is not reached by `{other}`");
            let problem = cursor
                .problems
                .error("unknown-method", &method.span, message);
            problem.hint =
                Some("write `udp ADDRESS:53`, `tcp ADDRESS:53` or `EGRESS|udp ...`".into());
            return None;
        }
    };
    let address = address(cursor)?;
    Some(Upstream {
        span: method.span,
        via,
        tcp,
        address,
    })
}
