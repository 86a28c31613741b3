//! The end of a report: what works as before, what does not, what to do next.
//!
//! Invariant: it is told of the configuration as it loads, so it promises nothing that the result does
//! not do. However many things there are, it is some lines long.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use pointsman_policy::OutboundId;

use pointsman_config::setup::{Carrier, Kind, Setup};

mod groups;
mod lists;
mod names;
mod rules;

/// So many of a kind are named.
const MOST_NAMED: usize = 5;

/// So many groups, one after the other, are looked through.
const MAX_DEPTH: usize = 16;

/// So many chains within chains are looked through.
const MAX_CHAINS: usize = 3;

/// What becomes of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// What works as it did.
    pub works: Vec<String>,
    /// What does not.
    pub changed: Vec<String>,
    /// What to do.
    pub next: Vec<String>,
}

/// What a loaded configuration does not say of the one that it was made from.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Outbounds that stand for what cannot be said and refuse every flow, with the reason.
    pub(super) refusing: BTreeMap<String, String>,
    /// Groups without members.
    pub(super) empty: BTreeSet<String>,
    /// Groups of which a refusal replaces the first member: its name, and why it is not there.
    pub(super) replaced: BTreeMap<String, (String, String)>,
    /// The rules, without the one that ends the list.
    pub(super) rules: Vec<Ruled>,
    /// How many are not carried over.
    pub(super) left_out: usize,
    /// Where all flows go, where the rules do not decide.
    pub(super) all: Option<String>,
    /// Where flows go that no rule takes.
    pub(super) last: Option<String>,
    /// Whether they are refused, because where they went is not here.
    pub(super) rest_is_refused: bool,
    /// Rule sets that are fetched.
    pub(super) fetched: Vec<String>,
    /// Rule sets whose files are not there.
    pub(super) missing: BTreeSet<String>,
    /// By which outbounds they are fetched, where not directly.
    pub(super) fetched_by: BTreeMap<String, String>,
    /// Groups that changed by themselves.
    pub(super) changing: BTreeSet<String>,
    /// Who is asked for names instead of name servers that are not built: `... is`, `... are`; and whether by way of a
    /// proxy.
    pub(super) in_clear: BTreeMap<String, bool>,
    /// What captured flows of programs that know no proxy.
    pub(super) captures: BTreeSet<String>,
    /// Name servers that give no answer.
    pub(super) silent: BTreeSet<String>,
    /// What else does not work as before, and what to do.
    pub(super) changed: Vec<String>,
    pub(super) next: Vec<String>,
}

/// What a rule needs to work.
#[derive(Clone, Debug, Default)]
pub(super) struct Ruled {
    /// The outbound that it leads to.
    pub(super) out: Option<String>,
    /// What its flows got instead of the refusal that it is here.
    pub(super) stands_for: Option<String>,
    /// The rule sets that it asks.
    pub(super) sets: Vec<String>,
}

/// What becomes of a flow that an outbound gets, as long as nobody selects another member.
#[derive(Clone, PartialEq, Eq)]
enum End {
    /// It goes somewhere.
    Goes,
    /// It is refused, and was before.
    Refused,
    /// It is refused, and was not before: why.
    RefusedNow(String),
}

/// What becomes of a configuration that loads as `setup`.
pub(super) fn of(setup: &Setup, known: &Known) -> Summary {
    let converted = Converted { setup, known };
    let mut summary = Summary::default();
    converted.inbounds(&mut summary);
    converted.proxies(&mut summary);
    let selected = converted.groups(&mut summary);
    converted.rules(&mut summary);
    converted.names(&mut summary);
    converted.served(&mut summary);
    summary.changed.extend(known.changed.iter().cloned());
    summary.next.extend(known.next.iter().cloned());
    converted.fetched(&selected, &mut summary);
    summary.next.push(
        "`pointsman check FILE` lists problems of the result, and `pointsman explain --config FILE NAME:443` where a \
         connection goes"
            .to_owned(),
    );
    summary
}

/// What to say of each group that refuses until another member is selected, by its name.
pub(super) fn refusing_groups(setup: &Setup, known: &Known) -> Vec<(String, String)> {
    Converted { setup, known }.refusing_groups()
}

/// What a configuration was converted to, and what is known besides.
struct Converted<'a> {
    setup: &'a Setup,
    known: &'a Known,
}

impl Converted<'_> {
    fn inbounds(&self, summary: &mut Summary) {
        let inbounds = self.setup.inbounds.iter();
        let all: Vec<String> = inbounds
            .map(|inbound| format!("`{}` at {}", inbound.name, inbound.listen))
            .collect();
        let forwards = self.setup.forwards.len();
        if !all.is_empty() {
            let counted = count(all.len(), "inbound");
            summary.works.push(format!("{counted}: {}", named(all)));
        } else if forwards == 0 {
            let what = "no program can connect: there is no inbound in the result";
            summary.changed.push(what.to_owned());
            let what = "write an inbound: `inbounds: { local: { type: mixed, listen: \"127.0.0.1:7890\" } }`";
            summary.next.push(what.to_owned());
        }
        if !self.known.captures.is_empty() {
            let by = self.known.captures.iter().map(|by| format!("`{by}`"));
            summary.changed.push(format!(
                "flows of programs that know no proxy do not come in: capturing them ({}) is not built yet",
                named(by)
            ));
            let what =
                "set the address of an inbound as the proxy of each program that is to use it";
            summary.next.push(what.to_owned());
        }
        if forwards > 0 {
            summary.works.push(count(forwards, "forward"));
        }
    }

    fn proxies(&self, summary: &mut Summary) {
        let (mut built, mut not_built) = (Vec::new(), Vec::new());
        for outbound in &self.setup.outbounds {
            let name = plain(&outbound.name);
            if let Some(why) = self.refuses(&outbound.name, &outbound.kind) {
                not_built.push(format!("`{name}` ({why})"));
            } else if let Some(why) = self.behind(&outbound.name) {
                not_built.push(format!("`{name}` (behind a proxy that refuses: {why})"));
            } else if outbound.kind.upstream().is_some() {
                built.push(format!("`{name}`"));
            }
        }
        let total = built.len() + not_built.len();
        let of = |part: usize| match part == total {
            true => count(part, "proxy"),
            false => format!("{part} of {}", count(total, "proxy")),
        };
        if !built.is_empty() {
            summary
                .works
                .push(format!("{}: {}", of(built.len()), named(built)));
        }
        if !not_built.is_empty() {
            let refuse = match not_built.len() {
                1 => "refuses",
                _ => "refuse",
            };
            summary.changed.push(format!(
                "{} {refuse} every flow: {}",
                of(not_built.len()),
                named(not_built)
            ));
            summary.next.push(
                "let a program that has these types (sing-box, mihomo) serve the proxies that are not built on a local SOCKS5 \
                 port, and write that port in their place: `{ type: socks5, server: \"127.0.0.1:PORT\" }`"
                    .to_owned(),
            );
        }
    }

    fn rules(&self, summary: &mut Summary) {
        let known = self.known;
        self.working_rules(summary);
        if known.left_out > 0 {
            let (are, they) = match known.left_out {
                1 => ("is", "it"),
                _ => ("are", "they"),
            };
            summary.changed.push(format!(
                "{} {are} left out: flows that {they} took go to the rules below",
                count(known.left_out, "rule")
            ));
        }
        let (what, out) = match (&known.all, &known.last) {
            (Some(all), _) => (
                format!("every flow goes to `{all}`, whatever the rules below say"),
                all,
            ),
            (None, Some(last)) => (format!("flows that no rule takes go to `{last}`"), last),
            (None, None) => return,
        };
        let Some(id) = self.id(out) else { return };
        match self.end(id).1 {
            End::Goes => summary.works.push(what),
            End::Refused if known.all.is_none() && known.rest_is_refused => {
                summary
                    .changed
                    .push("flows that no rule takes are refused".to_owned());
            }
            End::Refused => summary.works.push(format!("{what}, and are refused")),
            End::RefusedNow(_) => summary.changed.push(format!("{what}, and are refused")),
        }
    }

    /// Why an outbound refuses that did not before.
    fn refuses(&self, name: &str, kind: &Kind) -> Option<String> {
        match kind {
            Kind::NotYet { kind, .. } => Some(format!("{kind}, not built yet")),
            _ => self.known.refusing.get(name).cloned(),
        }
    }

    /// Why a proxy refuses that is the last hop of a chain of its own name: what stands before it refuses.
    fn behind(&self, hop: &str) -> Option<String> {
        let chain = self.id(plain(hop)).filter(|_| plain(hop) != hop)?;
        match self.end(chain).1 {
            End::RefusedNow(why) => Some(why),
            End::Goes | End::Refused => None,
        }
    }

    /// Where flows to an outbound go at first: through which members, and what becomes of them.
    fn end(&self, id: OutboundId) -> (Vec<String>, End) {
        self.end_within(id, MAX_CHAINS)
    }

    fn end_within(&self, mut id: OutboundId, chains: usize) -> (Vec<String>, End) {
        let mut way = Vec::new();
        for _ in 0..MAX_DEPTH {
            let Some(outbound) = self.setup.outbounds.get(id.0 as usize) else {
                break;
            };
            if let Some(why) = self.refuses(&outbound.name, &outbound.kind) {
                return (way, End::RefusedNow(why));
            }
            if self.known.empty.contains(&*outbound.name) {
                return (way, End::RefusedNow("no members".to_owned()));
            }
            if let Some((first, why)) = self.known.replaced.get(&*outbound.name) {
                way.push(format!("`{first}`"));
                return (way, End::RefusedNow(why.clone()));
            }
            match &outbound.kind {
                kind @ Kind::Choose(_) if kind.selectable().is_some() => {
                    match kind.members().first() {
                        Some(first) => id = *first,
                        None => break,
                    }
                }
                Kind::Through(hops) if chains > 0 => {
                    let mut ends = hops.iter().map(|hop| self.end_within(*hop, chains - 1).1);
                    let end = ends.find(|end| *end != End::Goes);
                    return (way, end.unwrap_or(End::Goes));
                }
                Kind::Refuse(_) => return (way, End::Refused),
                _ => return (way, End::Goes),
            }
            way.push(format!("`{}`", self.name(id)));
        }
        (way, End::Goes)
    }

    /// Whether flows to an outbound go out by a proxy.
    fn is_proxied(&self, id: OutboundId) -> bool {
        let mut id = id;
        for _ in 0..MAX_DEPTH {
            let outbound = self.setup.outbounds.get(id.0 as usize);
            match outbound.map(|outbound| &outbound.kind) {
                Some(Kind::Carry(Carrier::Upstream(_))) => return true,
                Some(Kind::Through(_)) => return self.end(id).1 == End::Goes,
                Some(kind) => match kind.selectable().and_then(<[_]>::first) {
                    Some(first) => id = *first,
                    None => return false,
                },
                None => return false,
            }
        }
        false
    }

    fn name(&self, id: OutboundId) -> &str {
        let outbound = self.setup.outbounds.get(id.0 as usize);
        outbound.map_or("", |outbound| plain(&outbound.name))
    }
}

/// The name that the original has for the last hop of a chain.
fn plain(name: &str) -> &str {
    name.strip_suffix(super::ITSELF).unwrap_or(name)
}

/// `1 rule`, `2 proxies`.
fn count(number: usize, what: &str) -> String {
    match (number, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {what}s"),
    }
}

/// The first of some, and how many more there are.
pub(super) fn named(all: impl IntoIterator<Item = String>) -> String {
    let mut all: Vec<String> = all.into_iter().collect();
    let more = all.len().saturating_sub(MOST_NAMED);
    all.truncate(MOST_NAMED);
    match more {
        0 => all.join(", "),
        more => format!("{} and {more} more", all.join(", ")),
    }
}

impl Summary {
    /// All that it says.
    pub(super) fn lines_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let parts = [&mut self.works, &mut self.changed, &mut self.next];
        parts.into_iter().flatten()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("works as before", &self.works),
            ("does not work as before", &self.changed),
            ("what to do next", &self.next),
        ];
        let mut first = true;
        for (head, lines) in parts.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            if !std::mem::take(&mut first) {
                writeln!(f)?;
            }
            write!(f, "{head}:")?;
            for line in lines {
                write!(f, "\n  - {line}")?;
            }
        }
        Ok(())
    }
}
