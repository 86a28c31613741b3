//! `rule_sets:`: named lists, inline or in a file.
//!
//! Invariant: a name in a native list stands for itself and everything below it, however it is
//! marked (`x`, `.x`, `+.x`, `*.x`); for one name alone there is the rule `DOMAIN, x`. Formats of
//! others (`clash-...`, `adblock`) keep the meaning that they have there.

use std::path::PathBuf;
use std::sync::Arc;

use pointsman_policy::condition::{AddressOf, Asks, Concerns, DomainTest};
use pointsman_policy::geo::GeoDatabases;
use pointsman_policy::line::{self, Scope};
use pointsman_policy::model::SetId;
use pointsman_policy::set::{Reach, RuleSet, RuleSetBuilder};
use pointsman_policy::{Condition, Domain, Prefix};

use super::list_files::{Around, Fetched, ListKeys};
use super::{given, named};
use crate::input::Input;
use crate::list::{InlineEntry, ListFile, Origin, below};
use crate::odd::{self, Odd};
use crate::problem::Problems;
use crate::yaml::{KeyStyle, Node};

/// The sets of a configuration.
pub(super) struct RuleSets {
    /// By [`SetId`].
    pub(super) sets: Arc<[Arc<RuleSet>]>,
    /// By [`SetId`].
    pub(super) names: Vec<Arc<str>>,
}

/// What the rules of a native file may name.
pub(super) struct NativeScope<'a> {
    pub(super) rule_sets: &'a RuleSets,
    pub(super) databases: &'a GeoDatabases,
    pub(super) ip_rules_resolve: bool,
    pub(super) concerns: Concerns,
    /// The names of upstreams, for rules on answers.
    pub(super) upstreams: &'a [String],
}

impl Scope for NativeScope<'_> {
    fn rule_set(&self, name: &str) -> Option<SetId> {
        let mut names = self.rule_sets.names.iter();
        let at = names.position(|known| &**known == name)?;
        u32::try_from(at).ok().map(SetId)
    }
    fn rule_sets(&self) -> Vec<&str> {
        self.rule_sets.names.iter().map(|name| &**name).collect()
    }
    fn has_country_db(&self) -> bool {
        self.databases.has_country()
    }
    fn has_asn_db(&self) -> bool {
        self.databases.has_asn()
    }
    fn ip_rules_resolve(&self) -> bool {
        self.ip_rules_resolve
    }
    fn upstream(&self, name: &str) -> Option<Arc<str>> {
        let mut known = self.upstreams.iter();
        let found = known.find(|known| known.eq_ignore_ascii_case(name))?;
        Some(found.as_str().into())
    }
    fn upstreams(&self) -> Vec<&str> {
        self.upstreams.iter().map(String::as_str).collect()
    }
    fn concerns(&self) -> Concerns {
        self.concerns
    }
}

/// What the entries of a list are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EntryKind {
    Domains,
    Ips,
    Rules,
}

/// Reads all; sets that are fetched apart, too.
pub(super) fn read<'a>(
    node: Option<&'a Node>,
    databases: &GeoDatabases,
    input: &Input<'_>,
    files: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> (RuleSets, Vec<Fetched<'a>>) {
    let mut sets = Vec::new();
    let mut around = Around {
        databases,
        input,
        files,
        fetched: Vec::new(),
    };
    for (name, place, node) in named(node, "`rule_sets`", problems) {
        let mut keys = node.keys("a rule set", KeyStyle::Exact, problems);
        let file = ListKeys::take(&mut keys);
        let inline = [
            (given(&mut keys, "domains"), EntryKind::Domains, "`domains`"),
            (given(&mut keys, "ips"), EntryKind::Ips, "`ips`"),
            (given(&mut keys, "rules"), EntryKind::Rules, "`rules`"),
        ];
        keys.finish(problems);
        file.refuse_keys(problems);
        let id = SetId(u32::try_from(sets.len()).unwrap_or(u32::MAX));
        let first = inline.iter().find_map(|(list, _, _)| *list);
        let set = match (file.path.or(file.url), first) {
            (Some(_), None) => file.read(name, id, place, &mut around, problems),
            (None, Some(_)) => {
                let key = input.shelf.key();
                let mut set = Inline {
                    set: RuleSetBuilder::new(name, &**node.span.file(), key),
                    entries: Vec::new(),
                };
                for (list, kind, what) in inline {
                    if let Some(list) = list {
                        from_list(list, kind, what, databases, &mut set, problems);
                    }
                }
                input.lists.borrow_mut().push(ListFile {
                    name: name.into(),
                    origin: Origin::Inline(set.entries),
                });
                set.set.finish()
            }
            (Some(_), Some(list)) => {
                let message = "a rule set has a file or lists of its own, not both";
                let place = super::first_line(&list.span);
                problems.error("conflicting-keys", &place, message);
                RuleSet::new(name, "")
            }
            (None, None) => {
                let message = "a rule set needs `path` or `url`, or `domains`, `ips`, `rules`";
                let place = super::first_line(&node.span);
                problems.error("missing-key", &place, message);
                RuleSet::new(name, "")
            }
        };
        sets.push(set);
    }
    let names = sets.iter().map(|set| Arc::clone(&set.name)).collect();
    let rule_sets = RuleSets {
        sets: sets.into_iter().map(Arc::new).collect(),
        names,
    };
    (rule_sets, around.fetched)
}

fn from_list(
    list: &Node,
    kind: EntryKind,
    what: &str,
    databases: &GeoDatabases,
    set: &mut Inline,
    problems: &mut Problems,
) {
    for item in list.list(what, problems) {
        let Some(text) = item.text("an entry", problems) else {
            continue;
        };
        let known = set.entries.len();
        let other = match add(set, kind, text, item.span.line(), databases) {
            Ok(other) => other,
            Err(fault) => {
                problems.error(fault.code, &item.span, fault.message).hint = fault.hint;
                continue;
            }
        };
        let unmet = set.entries.get(known).and_then(|entry| match &entry.what {
            Ok((name, _)) => odd::of_name(name.as_str()),
            Err(prefix) => odd::of_prefix(prefix),
        });
        let bits = odd::host_bits(text).filter(|_| kind != EntryKind::Domains);
        for odd in unmet.or(other).into_iter().chain(bits) {
            let message = odd.said_of(text);
            problems
                .push(odd.severity, odd.code, &item.span, message)
                .hint = Some(odd.hint);
        }
    }
}

/// A set in the configuration, and its entries for who goes through them.
struct Inline {
    set: RuleSetBuilder,
    entries: Vec<InlineEntry>,
}

impl Inline {
    fn add_below(&mut self, name: Domain, line: u32, text: &str) {
        self.keep(Ok((name.clone(), Reach::Below)), line, text);
        self.set.add_below(name, line, text);
    }

    fn add_exact(&mut self, name: Domain, line: u32, text: &str) {
        self.keep(Ok((name.clone(), Reach::Exact)), line, text);
        self.set.add_exact(name, line, text);
    }

    fn add_suffix(&mut self, name: Domain, line: u32, text: &str) {
        self.keep(Ok((name.clone(), Reach::Suffix)), line, text);
        self.set.add_suffix(name, line, text);
    }

    fn add_prefix(&mut self, prefix: Prefix, line: u32, text: &str) {
        self.keep(Err(prefix), line, text);
        self.set.add_prefix(prefix, line, text);
    }

    fn keep(&mut self, what: Result<(Domain, Reach), Prefix>, line: u32, text: &str) {
        let text = text.into();
        self.entries.push(InlineEntry { what, line, text });
    }
}

struct Fault {
    code: &'static str,
    message: String,
    hint: Option<String>,
}

/// Adds an entry; what is odd about a condition that is neither a name nor a range.
fn add(
    set: &mut Inline,
    kind: EntryKind,
    text: &str,
    line: u32,
    databases: &GeoDatabases,
) -> Result<Option<Odd>, Fault> {
    let address = |message| Fault {
        code: "invalid-address",
        message,
        hint: None,
    };
    match kind {
        EntryKind::Domains => {
            let signs = ["+.", "*.", "."];
            let bare = signs.iter().find_map(|sign| text.strip_prefix(sign));
            let domain = Domain::parse(bare.unwrap_or(text)).map_err(|error| Fault {
                hint: name_in(text),
                ..address(format!("`{text}`: {error}"))
            })?;
            set.add_suffix(domain, line, text);
        }
        EntryKind::Ips => {
            let prefix: Prefix = text.parse().map_err(|error| address(format!("{error}")))?;
            set.add_prefix(prefix, line, text);
        }
        EntryKind::Rules => {
            let condition =
                line::parse_condition(text, &Alone(databases)).map_err(|error| Fault {
                    code: error.code,
                    message: error.message,
                    hint: error.hint.map(|hint| hint.replace("dispatching.", "")),
                })?;
            match condition {
                Condition::Domain(DomainTest::Exact(name)) => set.add_exact(name, line, text),
                Condition::Domain(DomainTest::Suffix(name)) => set.add_suffix(name, line, text),
                Condition::Address {
                    of: AddressOf::Destination,
                    prefix,
                    asks: Asks::Resolve,
                } => set.add_prefix(prefix, line, text),
                other => {
                    if let Some(name) = below(&other) {
                        set.add_below(name.clone(), line, text);
                        return Ok(None);
                    }
                    let odd = odd::condition(&other);
                    set.set.add_other(other, line, text);
                    return Ok(odd);
                }
            }
        }
    }
    Ok(None)
}

/// What to write where a name was pasted with more around it: `https://x.example/path`, `x.example:443`.
fn name_in(text: &str) -> Option<String> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next()?;
    // A login is not repeated.
    let host = host.rsplit_once('@').map_or(host, |(_login, host)| host);
    let bare = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    let name = Domain::parse(bare).ok().filter(|_| bare != text)?;
    Some(format!("a name alone: write `{}`", name.as_str()))
}

/// What entries may refer to: databases, and no sets, so that none can hold itself.
struct Alone<'a>(&'a GeoDatabases);

impl Scope for Alone<'_> {
    fn rule_set(&self, _name: &str) -> Option<SetId> {
        None
    }
    fn has_country_db(&self) -> bool {
        self.0.has_country()
    }
    fn has_asn_db(&self) -> bool {
        self.0.has_asn()
    }
    /// The rule that uses the set may narrow this, never widen it.
    fn ip_rules_resolve(&self) -> bool {
        true
    }
}
