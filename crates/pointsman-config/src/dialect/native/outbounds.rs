//! `outbounds:`: ways out by name.
//!
//! Invariant: a chain or a group never comes back to itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pointsman_policy::OutboundId;

use super::defaults::SOCKS_UDP;
use super::{given, named};
use crate::input::Input;
use crate::outbounds::{Outbounds, nesting};
use crate::problem::{Problems, Span};
use crate::setup::{
    Carrier, Credentials, Group, How, Kind, Protocol, Refusal, ServedBy, Uplink, Upstream,
};
use crate::value;
use crate::yaml::{KeyStyle, Keys, Node};

/// The built-in names. Rule lists write them in upper case, trees in lower case; explanations
/// answer as the policy spells it.
const BUILTINS: [(&str, &str); 4] = [
    ("direct", "DIRECT"),
    ("reset", "RESET"),
    ("reject", "REJECT"),
    ("blackhole", "BLACKHOLE"),
];

/// Types that carry flows.
pub(super) const BUILT: [&str; 5] = ["direct", "socks5", "http", "chain", "select"];

/// Types that are understood and not built, and whether they carry UDP.
pub(super) const LATER: [(&str, bool); 11] = [
    ("fastest", true),
    ("failover", true),
    ("round-robin", true),
    ("hash", true),
    ("shadowsocks", true),
    ("trojan", true),
    ("vless", true),
    ("vmess", true),
    ("hysteria2", true),
    ("wireguard", true),
    ("ssh", false),
];

/// What other programs call types, and what to write here.
const FOREIGN: [(&str, &str); 17] = [
    ("url-test", FASTEST),
    ("urltest", FASTEST),
    (
        "fallback",
        "`failover` is not built yet; write `select`, which uses its first member until you select another",
    ),
    ("load-balance", BALANCED),
    ("loadbalance", BALANCED),
    ("selector", "write `select` with `members`"),
    ("relay", "write `chain` with `hops`"),
    ("socks", "write `socks5`"),
    ("socks4", "SOCKS4 is not supported; write `socks5`"),
    (
        "https",
        "a proxy over TLS is not built yet; write `http` for one without TLS",
    ),
    ("ss", "`shadowsocks` is not built yet"),
    ("hysteria", UNSUPPORTED),
    ("tuic", UNSUPPORTED),
    ("snell", UNSUPPORTED),
    ("ssr", UNSUPPORTED),
    (
        "block",
        "`reject`, `reset` and `blackhole` are built in: name one of them where you need it",
    ),
    (
        "reject-drop",
        "`blackhole` is built in: name it where you need it",
    ),
];
const FASTEST: &str = "`fastest` is not built yet; write `select`, which uses its first member until you select another";
const BALANCED: &str = "`round-robin` and `hash` are not built yet; write `select`, which uses its first member until you select another";
const UNSUPPORTED: &str = "this protocol is not supported";

/// Types that are not built, to be named where one of them is meant.
const LATER_WORDS: [&str; LATER.len()] = {
    let mut words = [""; LATER.len()];
    let mut at = 0;
    while at < LATER.len() {
        words[at] = LATER[at].0;
        at += 1;
    }
    words
};

/// The table before anything is read; with the upper-case names where there are rule lists.
pub(super) fn builtins(upper: bool) -> Outbounds {
    let kinds = || {
        [
            Kind::direct(),
            Kind::Refuse(Refusal::Reset),
            Kind::Refuse(Refusal::Reject),
            Kind::Refuse(Refusal::Blackhole),
        ]
    };
    let lower_case = BUILTINS.iter().map(|(name, _)| *name).zip(kinds());
    let upper_case = BUILTINS.iter().map(|(_, name)| *name).zip(kinds());
    Outbounds::with_builtins(lower_case.chain(upper_case.filter(|_| upper)))
}

/// Reads all; first the names, so that chains and groups may name what stands below them.
pub(super) fn read(
    node: Option<&Node>,
    table: &mut Outbounds,
    input: &Input<'_>,
    files: &mut Vec<PathBuf>,
    problems: &mut Problems,
) {
    let mut defined = Vec::new();
    for (name, span, value) in named(node, "`outbounds`", problems) {
        if BUILTINS
            .iter()
            .any(|(lower, _)| lower.eq_ignore_ascii_case(name))
        {
            let message = format!("`{name}` is built in and cannot be redefined");
            problems.error("reserved-name", span, message);
            continue;
        }
        if let Some(id) = table.define(name, Kind::Refuse(Refusal::Reject), span, problems) {
            defined.push((id, name, value));
        }
    }
    let mut later = Vec::new();
    for (id, name, value) in &defined {
        let mut reader = Reader {
            table,
            input,
            files,
            later: None,
            problems,
        };
        let kind = reader.outbound(value);
        later.extend(reader.later.map(|(kind, span)| (kind, *name, span)));
        if let Some(kind) = kind {
            table.set_kind(*id, kind);
        }
    }
    tell_later(&later, problems);
    nesting::check(table, problems);
}

/// So many outbounds of one type are told each by its own name; of more, so many are named.
const MOST_NAMED: usize = 3;

/// Notes the outbounds that are understood and not built: type, name and place of each. Many of one type have one
/// sentence, so that they are told as one.
fn tell_later(later: &[(&str, &str, &Span)], problems: &mut Problems) {
    let mut types: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (kind, name, _) in later {
        let names = types.entry(*kind).or_default();
        names.push(format!("`{name}`"));
    }
    for (kind, name, span) in later {
        let all = types.get(kind).map_or(&[][..], Vec::as_slice);
        let refusing = match all.split_at_checked(MOST_NAMED) {
            Some((first, more)) if !more.is_empty() => {
                let first = first.join(", ");
                format!("{first} and {} more refuse every flow", more.len())
            }
            Some(_) | None => format!("`{name}` refuses every flow"),
        };
        problems.not_yet(span, format!("outbounds of type `{kind}`; {refusing}"));
    }
}

struct Reader<'a, 'i, 'n> {
    table: &'a Outbounds,
    input: &'a Input<'i>,
    files: &'a mut Vec<PathBuf>,
    /// The type that is not built, and where it stands.
    later: Option<(&'n str, &'n Span)>,
    problems: &'a mut Problems,
}

impl<'n> Reader<'_, '_, 'n> {
    fn outbound(&mut self, node: &'n Node) -> Option<Kind> {
        let mut keys = node.keys("an outbound", KeyStyle::Exact, self.problems);
        let kind_node = keys.require("type", self.problems)?;
        let kind = value::name(kind_node, "`type`", self.problems)?;
        let found = match kind {
            "direct" => Some(Kind::Carry(Carrier::Direct(self.uplink(&mut keys)))),
            "socks5" | "http" => self.proxy(kind == "socks5", &mut keys),
            "chain" => {
                let hops = self.members("hops", &mut keys);
                self.check_hops(&hops);
                let hops: Vec<OutboundId> = hops.into_iter().map(|(id, _)| id).collect();
                Some(Kind::Through(hops))
            }
            "select" => {
                let members = self.members("members", &mut keys);
                Some(Kind::Choose(Group {
                    members: members.into_iter().map(|(id, _)| id).collect(),
                    how: How::Selected {
                        uplink: Uplink::default(),
                    },
                }))
            }
            _ => return self.later(kind, kind_node, &mut keys),
        };
        keys.finish(self.problems);
        found
    }

    fn proxy(&mut self, socks: bool, keys: &mut Keys<'_>) -> Option<Kind> {
        let server = keys.require("server", self.problems);
        let server = server.and_then(|node| value::server(node, "`server`", self.problems));
        let credentials = self.credentials(keys);
        let uplink = self.uplink(keys);
        let served_by = given(keys, "served_by").and_then(|node| self.served_by(node));
        let (protocol, carries_udp) = match socks {
            true => {
                let udp = given(keys, "udp").and_then(|n| n.boolean("`udp`", self.problems));
                (Protocol::Socks5(credentials), udp.unwrap_or(SOCKS_UDP))
            }
            false => (Protocol::HttpConnect(credentials), false),
        };
        Some(Kind::Carry(Carrier::Upstream(Upstream {
            server: server?,
            uplink,
            protocol,
            carries_udp,
            served_by,
        })))
    }

    /// `{ program: PATH }` or `{ user: NAME }`.
    fn served_by(&mut self, node: &Node) -> Option<ServedBy> {
        let mut keys = node.keys("`served_by`", KeyStyle::Exact, self.problems);
        let program = given(&mut keys, "program");
        let user = given(&mut keys, "user");
        keys.finish(self.problems);
        match (program, user) {
            (Some(program), None) => {
                let text = value::name(program, "`program`", self.problems)?;
                let path = PathBuf::from(text);
                if !path.is_absolute() {
                    let message = format!("`program`: `{text}` is no absolute path");
                    self.problems.error("invalid-value", &program.span, message);
                    return None;
                }
                Some(ServedBy::Program(path))
            }
            (None, Some(user)) => {
                let name = value::name(user, "`user`", self.problems)?;
                Some(ServedBy::User(name.into()))
            }
            (None, None) | (Some(_), Some(_)) => {
                let message = "`served_by` is either a `program` or a `user`";
                self.problems.error("invalid-value", &node.span, message);
                None
            }
        }
    }

    fn credentials(&mut self, keys: &mut Keys<'_>) -> Option<Credentials> {
        let user = given(keys, "username");
        let password = given(keys, "password");
        let (user_node, password_node) = match (user, password) {
            (Some(user), Some(password)) => (user, password),
            (Some(one), None) | (None, Some(one)) => {
                let message = "`username` and `password` are given together";
                self.problems.error("missing-key", &one.span, message);
                return None;
            }
            (None, None) => return None,
        };
        let user = value::name(user_node, "`username`", self.problems);
        let password = value::secret(
            password_node,
            "`password`",
            self.input,
            self.files,
            self.problems,
        );
        Some(Credentials {
            user: user?.into(),
            password: password?,
        })
    }

    fn uplink(&mut self, keys: &mut Keys<'_>) -> Uplink {
        let problems = &mut *self.problems;
        let interface =
            given(keys, "interface").and_then(|node| value::name(node, "`interface`", problems));
        let source = given(keys, "source").and_then(|node| {
            let text = node.text("`source`", problems)?;
            let address = text.parse().ok();
            if address.is_none() {
                let message = format!("`source`: `{text}` is no address");
                problems.error("invalid-address", &node.span, message);
            }
            address
        });
        let mark = given(keys, "mark")
            .and_then(|node| node.number("`mark`", 0..=i64::from(u32::MAX), problems));
        Uplink {
            interface: interface.map(str::to_owned),
            source,
            mark: mark.and_then(|mark| mark.try_into().ok()),
        }
    }

    /// The outbounds that a list names; where there is none, an error was pushed.
    fn members(&mut self, key: &'static str, keys: &mut Keys<'n>) -> Vec<(OutboundId, &'n Span)> {
        let what = if key == "hops" { "`hops`" } else { "`members`" };
        let Some(list) = keys.require(key, self.problems) else {
            return Vec::new();
        };
        let mut members = Vec::new();
        let items = list.list(what, self.problems);
        for item in items {
            let name = value::name(item, "an outbound", self.problems);
            let id = name.and_then(|name| self.table.resolve(name, &item.span, self.problems));
            members.extend(id.map(|id| (id, &item.span)));
        }
        if items.is_empty() {
            let message = format!("{what} needs at least one outbound");
            self.problems.error("missing-key", &list.span, message);
        }
        members
    }

    /// Only what carries bytes can be a hop, and a direct one only the first.
    fn check_hops(&mut self, hops: &[(OutboundId, &Span)]) {
        for (at, (id, span)) in hops.iter().enumerate() {
            let message = match self.table.kind(*id) {
                // A hop that stands below is a `Reject` until it is read; only built-in names mean it.
                Some(Kind::Refuse(_)) if is_builtin(span.text()) => {
                    "a refusal is no hop of a chain"
                }
                Some(Kind::Carry(Carrier::Direct(_))) if at > 0 => {
                    "`direct` leaves from this host, so it can only be the first hop"
                }
                _ => continue,
            };
            self.problems.error("invalid-value", span, message);
        }
    }

    fn later(&mut self, kind: &'n str, node: &'n Node, keys: &mut Keys<'n>) -> Option<Kind> {
        if let Some((_, carries_udp)) = LATER.iter().find(|(name, _)| *name == kind) {
            self.later = Some((kind, &node.span));
            if let Some(members) = given(keys, "members") {
                for member in members.list("`members`", self.problems) {
                    if let Some(name) = value::name(member, "an outbound", self.problems) {
                        self.table.resolve(name, &member.span, self.problems);
                    }
                }
            }
            return Some(Kind::NotYet {
                kind: kind.into(),
                carries_udp: *carries_udp,
            });
        }
        let words = BUILT.map(|word| (word, ()));
        let others = value::Others {
            later: &LATER_WORDS,
            foreign: &FOREIGN,
        };
        if is_builtin(kind) {
            let message = format!("`{kind}` is built in: name it where you need it");
            self.problems.error("invalid-value", &node.span, message);
        } else {
            value::choice_with(node, "`type`", &words, &others, self.problems);
        }
        None
    }
}

fn is_builtin(name: &str) -> bool {
    let name = name.trim_matches(['"', '\'']);
    BUILTINS
        .iter()
        .any(|(lower, _)| lower.eq_ignore_ascii_case(name))
}
