//! `proxy_local`, `proxy_provider`, `proxy_chain`, `proxy_group`: the ways out.
//!
//! Invariant: every group has a member and every chain a hop, and none leads back to itself.

use std::collections::HashMap;
use std::sync::Arc;

use pointsman_policy::OutboundId;
use pointsman_policy::model::OutboundInfo;

use super::proxy;
use super::{Named, Reading};
use crate::outbounds::{Outbounds, nesting};
use crate::problem::{Problems, Severity, Span, nearest};
use crate::setup::{Carrier, Group, How, Kind, Outbound, Refusal, Uplink};
use crate::yaml::{self, KeyStyle, Node, Value};

/// The built-in ways out. Their names count in any case.
const BUILT_IN: [&str; 4] = ["DIRECT", "REJECT", "BLACKHOLE", "RESET"];

/// The sections' nodes.
pub(super) struct Sections<'a> {
    pub(super) local: Option<&'a Node>,
    pub(super) providers: Option<&'a Node>,
    pub(super) chains: Option<&'a Node>,
    pub(super) groups: Option<&'a Node>,
}

/// The ways out, by name.
pub(super) struct Ways {
    table: Outbounds,
    direct: OutboundId,
    /// Groups that nobody may name, for they have no member.
    empty: Vec<OutboundId>,
}

/// The proxies of a provider: numbers and names.
struct Provided {
    proxies: Vec<(OutboundId, String)>,
    /// Whether it may have more once it is fetched.
    not_fetched: bool,
}

pub(super) fn read(
    sections: &Sections<'_>,
    uplink: Uplink,
    reading: &mut Reading<'_>,
    problems: &mut Problems,
) -> Ways {
    let mut table = Outbounds::with_builtins([
        (BUILT_IN[0], Kind::Carry(Carrier::Direct(uplink.clone()))),
        (BUILT_IN[1], Kind::Refuse(Refusal::Reject)),
        (BUILT_IN[2], Kind::Refuse(Refusal::Blackhole)),
        (BUILT_IN[3], Kind::Refuse(Refusal::Reset)),
    ]);
    let mut maker = Maker {
        direct: table.find(BUILT_IN[0]).unwrap_or(OutboundId(0)),
        table: &mut table,
        uplink,
        providers: HashMap::new(),
    };
    for (name, value) in pairs(sections.local, "`proxy_local`", problems) {
        let Some(id) = maker.define(name, problems) else {
            continue;
        };
        let mut keys = value.keys("the proxy", KeyStyle::KebabIsSnake, problems);
        if let Some(kind) = proxy::read(&mut keys, &maker.uplink, problems) {
            maker.table.set_kind(id, kind);
        }
        keys.finish(problems);
    }
    let define_all = |maker: &mut Maker<'_>, node, what, problems: &mut Problems| {
        let mut found = Vec::new();
        for (name, value) in pairs(node, what, problems) {
            if let Some(id) = maker.define(name, problems) {
                found.push((id, name, value));
            }
        }
        found
    };
    let chains = define_all(&mut maker, sections.chains, "`proxy_chain`", problems);
    let groups = define_all(&mut maker, sections.groups, "`proxy_group`", problems);
    for (name, value) in pairs(sections.providers, "`proxy_provider`", problems) {
        maker.provider(name, value, reading, problems);
    }
    for (id, name, value) in chains {
        maker.chain(id, name, value, problems);
    }
    let mut made = Vec::new();
    for (id, name, value) in groups {
        made.push(maker.group(id, name, value, problems));
    }
    let empty = settle_groups(made, maker.table, problems);
    let direct = maker.direct;
    nesting::check(&table, problems);
    Ways {
        table,
        direct,
        empty,
    }
}

fn pairs<'a>(node: Option<&'a Node>, what: &str, problems: &mut Problems) -> &'a [(Node, Node)] {
    node.map_or(&[][..], |node| node.map(what, problems))
}

impl Ways {
    /// The number behind a name that a rule gives.
    pub(super) fn find(
        &self,
        name: &str,
        place: &Span,
        problems: &mut Problems,
    ) -> Option<OutboundId> {
        let id = resolve(&self.table, name, place, problems)?;
        if self.empty.contains(&id) {
            problems
                .error(
                    "empty-group",
                    place,
                    format!("the group `{name}` has no members"),
                )
                .hint = Some("give it `proxies` or `providers`".into());
            return None;
        }
        Some(id)
    }

    /// The outbounds, how policies see them, and the direct one.
    pub(super) fn finish(self) -> (Vec<Outbound>, Arc<[OutboundInfo]>, OutboundId) {
        let (list, infos) = self.table.finish();
        (list, infos, self.direct)
    }
}

/// Built-in names count in any case, all others as they are written.
fn resolve(
    table: &Outbounds,
    name: &str,
    place: &Span,
    problems: &mut Problems,
) -> Option<OutboundId> {
    let built_in = BUILT_IN
        .iter()
        .find(|known| known.eq_ignore_ascii_case(name));
    table.resolve(built_in.copied().unwrap_or(name), place, problems)
}

struct Maker<'t> {
    table: &'t mut Outbounds,
    direct: OutboundId,
    uplink: Uplink,
    providers: HashMap<String, Provided>,
}

/// A group whose members are not checked yet.
struct Made {
    id: OutboundId,
    name: String,
    place: Span,
    members: Vec<OutboundId>,
    uplink: Uplink,
    not_fetched: bool,
}

impl Maker<'_> {
    /// Reserves a name. Until its kind is known it refuses, and with a problem it stays so.
    fn define(&mut self, name: &Node, problems: &mut Problems) -> Option<OutboundId> {
        let text = name.text("a name", problems)?;
        if text.is_empty() || text.contains([',', '[', ']']) {
            let message = format!("rules cannot say the name `{text}`");
            problems.warning("odd-name", &name.span, message);
        }
        let built_in = BUILT_IN
            .iter()
            .find(|known| known.eq_ignore_ascii_case(text));
        let text = built_in.copied().unwrap_or(text);
        self.table
            .define(text, Kind::Refuse(Refusal::Reject), &name.span, problems)
    }

    fn provider(
        &mut self,
        name: &Node,
        value: &Node,
        reading: &mut Reading<'_>,
        problems: &mut Problems,
    ) {
        let Some(text) = name.text("a name", problems) else {
            return;
        };
        let mut keys = value.keys("the provider", KeyStyle::KebabIsSnake, problems);
        let file = reading.named_file(&mut keys, "proxies", text, &name.span, problems);
        keys.finish(problems);
        let mut provided = Provided {
            proxies: Vec::new(),
            not_fetched: matches!(file, Named::NotFetched),
        };
        if let Named::Text(source) = file
            && let Some(root) = yaml::parse(&source, problems)
        {
            let mut keys = root.keys("the list of proxies", KeyStyle::KebabIsSnake, problems);
            let proxies = keys.require("proxies", problems);
            // Subscriptions carry whole configurations of other programs: only this part is ours.
            for item in proxies.map_or(&[][..], |node| node.list("`proxies`", problems)) {
                provided.proxies.extend(self.provided(item, problems));
            }
        }
        self.providers.insert(text.to_owned(), provided);
    }

    /// One proxy of a provider. The list comes from somebody else: a proxy that is wrong is told
    /// and left out, and one whose name the configuration gave away is for groups alone.
    fn provided(&mut self, item: &Node, problems: &mut Problems) -> Option<(OutboundId, String)> {
        let mut found = Problems::default();
        let mut keys = item.keys("the proxy", KeyStyle::KebabIsSnake, &mut found);
        let name = keys.require("name", &mut found);
        let kind = proxy::read(&mut keys, &self.uplink, &mut found);
        keys.finish(&mut found);
        for mut problem in found.0 {
            if problem.severity == Severity::Error {
                problem.severity = Severity::Warning;
                let hint = "a proxy of a provider that is wrong is left out";
                problem.hint.get_or_insert_with(|| hint.to_owned());
            }
            problems.add(problem);
        }
        let node = name?;
        let name = node.scalar().filter(|_| !node.is_null())?;
        let kind = kind?;
        let built_in = BUILT_IN
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name));
        let id = if built_in || self.table.find(name).is_some() {
            let message = format!("the name `{name}` is taken: only groups reach this proxy");
            problems.warning("duplicate-outbound", &node.span, message);
            self.table.define_hidden(name, kind, &node.span)
        } else {
            self.table.define(name, kind, &node.span, problems)?
        };
        Some((id, name.to_owned()))
    }

    fn chain(&mut self, id: OutboundId, name: &Node, value: &Node, problems: &mut Problems) {
        let mut keys = value.keys("the chain", KeyStyle::KebabIsSnake, problems);
        let chains = keys.require("chains", problems);
        keys.not_yet(&["interface", "reconnect_when_changed"], problems);
        keys.finish(problems);
        let Some(chains) = chains else { return };
        let items = chains.list("`chains`", problems);
        if items.is_empty() {
            problems.error("empty-group", &name.span, "a chain needs a hop");
        }
        let hops = self.members(items, problems);
        if hops.is_empty() {
            return;
        }
        self.table.set_kind(id, Kind::Through(hops));
    }

    fn members(&self, items: &[Node], problems: &mut Problems) -> Vec<OutboundId> {
        let mut found = Vec::new();
        for item in items {
            let name = item.text("the name of an outbound", problems);
            found.extend(name.and_then(|name| resolve(self.table, name, &item.span, problems)));
        }
        found
    }

    fn group(
        &mut self,
        id: OutboundId,
        name: &Node,
        value: &Node,
        problems: &mut Problems,
    ) -> Made {
        let mut keys = value.keys("the group", KeyStyle::KebabIsSnake, problems);
        let proxies = keys.take("proxies");
        let providers = keys.take("providers");
        let interface = keys.take("interface");
        keys.not_yet(&["chains"], problems);
        keys.finish(problems);
        let mut made = Made {
            id,
            name: name.scalar().unwrap_or_default().to_owned(),
            place: name.span.clone(),
            members: proxies.map_or_else(Vec::new, |node| {
                self.members(node.list("`proxies`", problems), problems)
            }),
            uplink: interface
                .and_then(|node| super::interface(node, problems))
                .unwrap_or_default(),
            not_fetched: false,
        };
        for item in providers.map_or(&[][..], |node| node.list("`providers`", problems)) {
            self.add_provider(item, &mut made, problems);
        }
        let mut seen = std::collections::HashSet::new();
        made.members.retain(|member| seen.insert(*member));
        made
    }

    /// `NAME`, or `{name, filter}`.
    fn add_provider(&self, item: &Node, made: &mut Made, problems: &mut Problems) {
        let (name, filter) = if let Value::Map(_) = item.value {
            let mut keys = item.keys("the provider", KeyStyle::KebabIsSnake, problems);
            let name = keys.require("name", problems);
            let filter = keys.take("filter");
            keys.finish(problems);
            (name, filter)
        } else {
            (Some(item), None)
        };
        let Some(node) = name else { return };
        let Some(name) = node.text("the name of a provider", problems) else {
            return;
        };
        let filter = filter.and_then(|node| pattern(node, problems));
        let Some(provided) = self.providers.get(name) else {
            let message = format!("there is no provider `{name}`");
            let known = self.providers.keys().map(String::as_str);
            problems.error("unknown-provider", &node.span, message).hint =
                nearest(name, known).map(|near| format!("did you mean `{near}`?"));
            return;
        };
        made.not_fetched |= provided.not_fetched;
        let fits = |name: &str| filter.as_ref().is_none_or(|filter| filter.is_match(name));
        let fitting = provided.proxies.iter().filter(|(_, name)| fits(name));
        made.members.extend(fitting.map(|(id, _)| *id));
    }
}

/// A bounded pattern on names.
fn pattern(node: &Node, problems: &mut Problems) -> Option<regex::Regex> {
    const SIZE: usize = 1 << 20;
    let text = node.text("`filter`", problems)?;
    match regex::RegexBuilder::new(text).size_limit(SIZE).build() {
        Ok(filter) => Some(filter),
        Err(why) => {
            let why = why.to_string();
            let last = why.lines().last().unwrap_or_default().to_owned();
            problems.error(
                "invalid-value",
                &node.span,
                format!("no regular expression: {last}"),
            );
            None
        }
    }
}

/// Gives groups their members. Groups without any are told and taken out of other groups, until
/// none is left that became empty so; returns them.
fn settle_groups(
    mut groups: Vec<Made>,
    table: &mut Outbounds,
    problems: &mut Problems,
) -> Vec<OutboundId> {
    let mut empty: Vec<OutboundId> = Vec::new();
    loop {
        let (none, some): (Vec<_>, Vec<_>) = groups.into_iter().partition(|g| g.members.is_empty());
        groups = some;
        if none.is_empty() {
            break;
        }
        for group in none {
            let message = format!("the group `{}` has no members", group.name);
            problems.warning("empty-group", &group.place, message);
            if group.not_fetched {
                // It will have some: rules may name it, and until then it refuses.
                let kind = Kind::NotYet {
                    kind: "empty group".into(),
                    carries_udp: true,
                };
                table.set_kind(group.id, kind);
            } else {
                empty.push(group.id);
            }
        }
        for group in &mut groups {
            group.members.retain(|member| !empty.contains(member));
        }
    }
    for group in groups {
        let kind = Kind::Choose(Group {
            members: group.members,
            how: How::Selected {
                uplink: group.uplink,
            },
        });
        table.set_kind(group.id, kind);
    }
    empty
}
