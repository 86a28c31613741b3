//! Ways out in the native language: their names, their kinds.

use std::collections::HashSet;
use std::fmt;

use pointsman_policy::OutboundId;

use super::Report;
use super::emit::{Map, list, text};
use pointsman_config::setup::{
    Carrier, Credentials, Group, How, Kind, Outbound, Protocol, ServedBy, Setup, Uplink,
};

/// What the native language has built in.
const BUILTINS: [&str; 4] = ["direct", "reset", "reject", "blackhole"];

/// Types that the native language names too; the others get the nearest of them.
const LATER: [(&str, &str); 12] = [
    ("ss", "shadowsocks"),
    ("shadowsocks", "shadowsocks"),
    ("trojan", "trojan"),
    ("vless", "vless"),
    ("vmess", "vmess"),
    ("hysteria2", "hysteria2"),
    ("wireguard", "wireguard"),
    ("ssh", "ssh"),
    ("fastest", "fastest"),
    ("failover", "failover"),
    ("round-robin", "round-robin"),
    ("hash", "hash"),
];

/// The native word for a type that is not built yet.
fn later(kind: &str) -> Option<&'static str> {
    let found = LATER
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(kind));
    found.map(|(_, word)| *word)
}

/// Writes an outbound of a type that is not built, and that it refuses every flow; `is_tls`: all that is not built is its
/// TLS. Why it refuses, where the native language has no word for its type.
pub(super) fn not_built(
    who: &str,
    kind: &str,
    is_tls: bool,
    map: &mut Map,
    at: impl fmt::Display,
    report: &mut Report,
) -> Option<String> {
    let with = if is_tls { " over TLS" } else { "" };
    let what =
        format!("{who} is of type `{kind}`{with}, which is not built yet: it refuses every flow");
    report.lost(at, what);
    if let Some(word) = later(kind) {
        map.text("type", word);
        return None;
    }
    map.text("type", "select").raw("members", "[reject]");
    Some(format!("{kind}{with}, not built yet"))
}

/// Whether a name is built in.
pub(super) fn is_builtin(name: &str) -> bool {
    BUILTINS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// Each outbound's native name, by number. `upper`: rule lists write the built-in ones in upper case.
pub(super) fn names(setup: &Setup, upper: bool, report: &mut Report) -> Vec<String> {
    let mut taken: HashSet<String> = HashSet::new();
    let mut names = Vec::new();
    for outbound in &setup.outbounds {
        let name = match builtin(outbound) {
            Some(word) if upper => word.to_ascii_uppercase(),
            Some(word) => word.to_owned(),
            None => {
                let wanted: String = outbound.name.chars().filter(|c| !c.is_control()).collect();
                let mut name = wanted.clone();
                let mut number = 1;
                while is_builtin(&name) || name.trim().is_empty() || taken.contains(&name) {
                    number += 1;
                    name = format!("{wanted}-{number}");
                }
                let shown = !matches!(outbound.kind, Kind::Carry(Carrier::Target(_)));
                if name != *outbound.name && shown {
                    let what = format!("the outbound `{}` is called `{name}`", outbound.name);
                    report.note("", what);
                }
                taken.insert(name.clone());
                name
            }
        };
        names.push(name);
    }
    names
}

/// The built-in outbound that this one is.
fn builtin(outbound: &Outbound) -> Option<&'static str> {
    let word = match &outbound.kind {
        Kind::Carry(Carrier::Direct(uplink)) if *uplink == Uplink::default() => "direct",
        Kind::Refuse(refusal) => refusal.as_str(),
        _ => return None,
    };
    let own = outbound.name.eq_ignore_ascii_case(word);
    (outbound.span.is_none() || own).then_some(word)
}

/// The section `outbounds`.
pub(super) fn section(setup: &Setup, names: &[String], report: &mut Report) -> Map {
    let mut section = Map::default();
    let mut writer = Writer {
        setup,
        names,
        report,
        section: &mut section,
    };
    for (outbound, name) in setup.outbounds.iter().zip(names) {
        if builtin(outbound).is_none() {
            writer.outbound(outbound, name);
        }
    }
    section
}

struct Writer<'a> {
    setup: &'a Setup,
    names: &'a [String],
    report: &'a mut Report,
    section: &'a mut Map,
}

impl Writer<'_> {
    fn outbound(&mut self, outbound: &Outbound, name: &str) {
        let mut map = Map::default();
        match &outbound.kind {
            // Written with their forward.
            Kind::Carry(Carrier::Target(_))
            | Kind::Choose(Group {
                how: How::Balanced(_),
                ..
            }) => return,
            // A refusal under a name of its own is a group of one.
            Kind::Refuse(refuses) => refusal(&mut map, refuses.as_str()),
            Kind::Through(hops) => {
                map.text("type", "chain").raw("hops", self.list(hops));
            }
            Kind::Choose(Group {
                members,
                how: How::Selected { uplink },
            }) => {
                let members = if *uplink == Uplink::default() {
                    self.list(members)
                } else {
                    self.by_link(name, outbound, members, uplink)
                };
                map.text("type", "select").raw("members", members);
            }
            Kind::NotYet { kind, carries_udp } => {
                self.not_yet(outbound, name, kind, *carries_udp, &mut map);
            }
            Kind::Carry(carrier) => plain(&mut map, carrier, None),
        }
        self.section.raw(name, map.flow());
    }

    fn name(&self, id: OutboundId) -> String {
        let name = self.names.get(id.0 as usize);
        text(name.map_or("reject", String::as_str))
    }

    fn list(&self, ids: &[OutboundId]) -> String {
        list(ids.iter().map(|id| self.name(*id)))
    }

    /// A group that says how its members leave: each gets a copy that does.
    fn by_link(
        &mut self,
        group: &str,
        of: &Outbound,
        members: &[OutboundId],
        uplink: &Uplink,
    ) -> String {
        let place = place(of);
        let mut shown = Vec::new();
        for id in members {
            let Some(member) = self.setup.outbounds.get(id.0 as usize) else {
                continue;
            };
            let mut map = Map::default();
            match &member.kind {
                Kind::Carry(carrier @ (Carrier::Direct(_) | Carrier::Upstream(_))) => {
                    plain(&mut map, carrier, Some(uplink));
                }
                _ => {
                    let what = format!(
                        "`{}` in the group `{group}` leaves by its own link, not by the group's",
                        member.name
                    );
                    self.report.lost(&place, what);
                    shown.push(self.name(*id));
                    continue;
                }
            }
            let copy = format!("{} by {group}", member.name);
            let what = format!(
                "`{}` in the group `{group}` is called `{copy}`: it leaves by the group's link",
                member.name
            );
            self.report.note(&place, what);
            self.section.raw(&copy, map.flow());
            shown.push(text(&copy));
        }
        list(shown)
    }

    fn not_yet(&mut self, outbound: &Outbound, name: &str, kind: &str, udp: bool, map: &mut Map) {
        let place = place(outbound);
        let word = later(kind);
        let carries = word != Some("ssh");
        let what = format!(
            "`{name}` is of type `{kind}`, which is not built: it refuses every flow, and its keys are not written"
        );
        match (word, carries == udp) {
            (Some(_), true) => self.report.note(&place, what),
            (Some(_), false) => self.report.lost(
                &place,
                format!("{what}; explanations answer UDP through it otherwise"),
            ),
            (None, _) => self.report.lost(
                &place,
                format!("{what}; it is written as a group of `reject`"),
            ),
        }
        match word {
            Some(word) => {
                map.text("type", word);
            }
            None => refusal(map, "reject"),
        }
    }
}

/// Where an outbound is defined.
fn place(outbound: &Outbound) -> String {
    let span = outbound.span.as_ref();
    span.map_or_else(String::new, |span| {
        format!("{}:{}", span.file(), span.line())
    })
}

fn refusal(map: &mut Map, word: &str) {
    map.text("type", "select")
        .raw("members", format!("[{word}]"));
}

/// A direct way or a proxy.
fn plain(map: &mut Map, carrier: &Carrier, by: Option<&Uplink>) {
    match carrier {
        Carrier::Direct(uplink) => {
            map.text("type", "direct");
            link(map, by.unwrap_or(uplink));
        }
        Carrier::Upstream(upstream) => {
            let server = upstream.server.to_string();
            let (word, udp) = match upstream.protocol {
                Protocol::HttpConnect(_) => ("http", None),
                Protocol::Socks5(_) => ("socks5", Some(upstream.carries_udp)),
            };
            map.text("type", word).text("server", &server);
            login(map, upstream.protocol.credentials());
            if let Some(udp) = udp {
                map.flag("udp", udp);
            }
            link(map, by.unwrap_or(&upstream.uplink));
            who_serves(map, upstream.served_by.as_ref());
        }
        // Written with its forward.
        Carrier::Target(_) => {}
    }
}

fn login(map: &mut Map, credentials: Option<&Credentials>) {
    if let Some(credentials) = credentials {
        map.text("username", &credentials.user)
            .text("password", credentials.password.reveal());
    }
}

fn who_serves(map: &mut Map, served_by: Option<&ServedBy>) {
    let mut who = Map::default();
    match served_by {
        None => return,
        Some(ServedBy::Program(path)) => who.text("program", &path.display().to_string()),
        Some(ServedBy::User(name)) => who.text("user", name),
    };
    map.raw("served_by", who.flow());
}

fn link(map: &mut Map, uplink: &Uplink) {
    map.some("interface", uplink.interface.as_deref());
    if let Some(source) = uplink.source {
        map.text("source", &source.to_string());
    }
    if let Some(mark) = uplink.mark {
        map.raw("mark", mark.to_string());
    }
}
