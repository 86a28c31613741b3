//! A native configuration that is put together from another program's.
//!
//! Invariant: a rule is added when the native language reads it, else it is reported; no rule is
//! added in a wider form, also where a set that it names lacks entries.

use std::collections::{BTreeMap, BTreeSet};

use pointsman_policy::Condition;
use pointsman_policy::condition::AnswerTest;
use pointsman_policy::line::{Scope, parse_condition, word};
use pointsman_policy::model::SetId;

use super::emit::Map;
use super::policies::lacks;
use super::summary::{Known, Ruled};
use super::{LISTS_STAY, PASSWORDS, Report};

mod names;
mod page;

pub(super) use names::Served;

/// The parts of the file.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) from: &'static str,
    pub(super) head: Vec<String>,
    pub(super) dns: Map,
    /// The DNS server.
    pub(super) served: Option<Served>,
    /// What is written under a name, each on a line of its own.
    items: Vec<Item>,
    /// Names of rule sets, by [`SetId`].
    sets: Vec<String>,
    /// Sets that hold fewer flows than they did.
    lacking: BTreeSet<SetId>,
    /// Sets that are empty until they are fetched.
    fetched: BTreeSet<SetId>,
    /// Groups, each with its first member.
    pub(super) firsts: BTreeMap<String, String>,
    rules: Vec<Rule>,
    ended: bool,
    pub(super) report: Report,
    /// What the summary tells.
    pub(super) known: Known,
}

/// A section of the file, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    Inbounds,
    Outbounds,
    RuleSets,
    Upstreams,
    Hosts,
    Domains,
}

impl Section {
    fn as_str(self) -> &'static str {
        match self {
            Self::Inbounds => "inbounds",
            Self::Outbounds => "outbounds",
            Self::RuleSets => "rule_sets",
            Self::Upstreams => "upstreams",
            Self::Hosts => "hosts",
            Self::Domains => "domains",
        }
    }
}

struct Item {
    section: Section,
    name: String,
    /// As it is written: a flow map.
    value: String,
    place: String,
    what: Holds,
}

/// What there is to know of what stands under a name, besides its text.
#[derive(Clone, Copy, Default)]
struct Holds {
    /// An outbound that sends flows out directly.
    direct: bool,
    /// A path of a list's file.
    path: bool,
    /// A password.
    secret: bool,
    /// Nothing: it stands for what cannot be said.
    stand_in: bool,
}

struct Rule {
    /// Whether it ends the list.
    last: bool,
    /// Where it leads; `None`: it is no rule.
    out: Option<String>,
    /// What its flows got instead of the refusal that it is here.
    stands_for: Option<String>,
    place: String,
    /// As it was written.
    written: String,
    text: String,
    condition: Condition,
}

/// A line of the file, and what stands there.
pub(super) type Lines = BTreeMap<u32, Part>;

/// A part of a draft that can be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Item(usize),
    /// Where the DNS server listens.
    Listener,
    /// One of its rules.
    NameRule(usize),
    Rule(usize),
}

impl Draft {
    /// An empty one.
    pub(super) fn new(from: &'static str) -> Self {
        Self {
            from,
            ..Self::default()
        }
    }

    /// Adds what is written under a name.
    pub(super) fn item(&mut self, section: Section, name: &str, map: &Map, place: &str) {
        if section == Section::RuleSets {
            self.sets.push(name.to_owned());
        }
        self.entry(section, name, map.flow(), place);
        if let Some(item) = self.items.last_mut() {
            item.what = Holds {
                direct: map.says("type", "direct"),
                path: map.has("path"),
                secret: map.has_secret(),
                stand_in: false,
            };
        }
    }

    /// Adds what is written under a name: YAML as it stands.
    pub(super) fn entry(&mut self, section: Section, name: &str, value: String, place: &str) {
        self.items.push(Item {
            section,
            name: name.to_owned(),
            value,
            place: place.to_owned(),
            what: Holds::default(),
        });
    }

    /// Adds a name server of this name that gives no answer.
    pub(super) fn silent(&mut self, name: &str, place: &str) {
        self.entry(Section::Upstreams, name, SILENT.to_owned(), place);
        if let Some(item) = self.items.last_mut() {
            item.what.stand_in = true;
        }
    }

    /// Whether the name is taken in the section; then it is told that the first one counts.
    pub(super) fn is_taken(&mut self, section: Section, name: &str, place: &str) -> bool {
        let mut items = self.items.iter();
        let Some(first) = items.find(|item| item.section == section && item.name == name) else {
            return false;
        };
        let what = format!(
            "the name `{name}` is given twice in `{}`: the first counts ({}), this one is left out",
            section.as_str(),
            first.place
        );
        self.report.lost(place, what);
        true
    }

    /// Whether a name is given in a section.
    pub(super) fn has(&self, section: Section, name: &str) -> bool {
        let mut items = self.items.iter();
        items.any(|item| item.section == section && item.name == name)
    }

    /// Whether anything stands in a section.
    pub(super) fn has_any(&self, section: Section) -> bool {
        self.items.iter().any(|item| item.section == section)
    }

    /// Whether there is a rule set of this name.
    pub(super) fn has_set(&self, name: &str) -> bool {
        self.sets.iter().any(|known| known == name)
    }

    /// Says of the rule set that was added last that it holds fewer flows than it did.
    pub(super) fn set_lacks(&mut self) {
        self.lacking.extend(last(self.sets.len()));
    }

    /// Says of the rule set that was added last that it is empty until it is fetched.
    pub(super) fn set_is_fetched(&mut self, place: &str, via: Option<&str>) {
        self.fetched.extend(last(self.sets.len()));
        if let Some(name) = self.sets.last() {
            if let Some(via) = via {
                let known = (name.clone(), via.to_owned());
                self.known.fetched_by.extend([known]);
            }
            let what =
                format!("the rule set `{name}` is fetched by the daemon: until then it is empty");
            self.report.note(place, what);
        }
    }

    /// Adds a rule: a condition in the words of rule lists, and a way out by its name.
    pub(super) fn rule(&mut self, place: &str, written: &str, condition: &str, out: &str) {
        self.rule_to(place, written, condition, out, None);
    }

    /// Adds a rule that refuses, because what its flows got is not here.
    pub(super) fn refusal(
        &mut self,
        place: &str,
        written: &str,
        condition: &str,
        stands_for: &str,
    ) {
        self.rule_to(place, written, condition, "REJECT", Some(stands_for));
    }

    fn rule_to(
        &mut self,
        place: &str,
        written: &str,
        condition: &str,
        out: &str,
        stands_for: Option<&str>,
    ) {
        let parsed = match parse_condition(condition, &Sets(&self.sets)) {
            Ok(parsed) => parsed,
            Err(error) => return self.left_out(place, written, &error.to_string()),
        };
        if lacks(&parsed, &self.lacking, true) {
            return self.left_out(place, written, LACKS);
        }
        if lacks(&parsed, &self.fetched, true) {
            if self.is_direct(out) {
                return self.left_out(place, written, UNFETCHED);
            }
            let what = format!(
                "`{written}` takes what is not in a rule set that is fetched: it takes more flows until the set is there, and \
                 where an entry of it cannot be read"
            );
            self.report.lost(place, what);
        }
        let text = match condition.strip_suffix(", no-resolve") {
            Some(condition) => format!("{condition}, {}, no-resolve", word(out)),
            None => format!("{condition}, {}", word(out)),
        };
        self.add(Rule {
            last: false,
            out: Some(out.to_owned()),
            stands_for: stands_for.map(str::to_owned),
            place: place.to_owned(),
            written: written.to_owned(),
            text,
            condition: parsed,
        });
    }

    /// Whether flows to an outbound leave directly, as long as nobody selects another member.
    fn is_direct(&self, out: &str) -> bool {
        let mut out = out;
        for _ in 0..MOST_GROUPS {
            match self.firsts.get(out) {
                Some(first) => out = first,
                None => break,
            }
        }
        let mut items = self.items.iter();
        let item = items.find(|item| item.section == Section::Outbounds && item.name == out);
        out == "DIRECT" || item.is_some_and(|item| item.what.direct)
    }

    /// Ends the list.
    pub(super) fn fallback(&mut self, place: &str, out: &str) {
        let rule = format!("FALLBACK, {}", word(out));
        if !self.ended {
            self.known.last = Some(out.to_owned());
        }
        self.add(Rule {
            last: true,
            out: Some(out.to_owned()),
            stands_for: None,
            place: place.to_owned(),
            written: rule.clone(),
            text: rule,
            condition: Condition::Always,
        });
        self.ended = true;
    }

    /// Adds an item that is no rule.
    pub(super) fn step(&mut self, place: &str, item: &str) {
        self.add(Rule {
            last: false,
            out: None,
            stands_for: None,
            place: place.to_owned(),
            written: item.to_owned(),
            text: item.to_owned(),
            condition: Condition::Always,
        });
    }

    fn add(&mut self, rule: Rule) {
        // Behind the fallback nothing is reached.
        if !self.ended {
            self.rules.push(rule);
        }
    }

    /// Says of a part that its list is not there.
    pub(super) fn list_is_missing(&mut self, part: Part) {
        if let Part::Item(at) = part
            && let Some(item) = self.items.get(at)
        {
            self.known.missing.insert(item.name.clone());
        }
    }

    /// Whether a condition can be read beside the sets that there are, and some more.
    pub(super) fn reads(&self, condition: &str, more: &[String]) -> Result<(), String> {
        let read = match more {
            [] => parse_condition(condition, &Sets(&self.sets)),
            _ => parse_condition(condition, &Sets(&[&self.sets, more].concat())),
        };
        read.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Says of a rule that it is not there.
    pub(super) fn left_out(&mut self, place: &str, written: &str, why: &str) {
        self.known.left_out += 1;
        self.entry_left_out(place, written, why);
    }

    /// Says that name servers which are not built are not asked, and who is: `... is`, `... are`; and whether by way of
    /// a proxy.
    pub(super) fn in_clear(&mut self, place: &str, kind: &str, who: &str, proxied: bool) {
        let what = format!(
            "{kind} is not built yet: {who} asked instead, without encryption, so others on the way can read and change the \
             questions"
        );
        self.report.lost(place, what);
        self.known.in_clear.insert(who.to_owned(), proxied);
    }

    /// Says of an entry of a list that it is not there.
    pub(super) fn entry_left_out(&mut self, place: &str, written: &str, why: &str) {
        let what = format!("`{written}` is left out ({why}): its flows now go to the rules below");
        self.report.lost(place, what);
    }

    /// Makes sure that there is an end.
    pub(super) fn close(&mut self) {
        self.last_resort("DIRECT");
    }

    /// Ends a list that has no end, as the other program does.
    pub(super) fn last_resort(&mut self, out: &str) {
        if self.ended {
            return;
        }
        self.fallback("", out);
        let what = format!(
            "no rule takes all other flows: `FALLBACK, {}` is added, because that is where {} sends them",
            word(out),
            self.from
        );
        self.report.note("", what);
    }

    /// Ends the list where the end that was written is not there: nothing goes out that should not.
    pub(super) fn refuse_the_rest(&mut self, place: &str) {
        if self.ended {
            return;
        }
        self.fallback(place, "REJECT");
        self.known.rest_is_refused = true;
        let what = "`FALLBACK, REJECT` is added in its place: what no rule takes is refused";
        self.report.lost(place, what);
    }

    /// Says what there is to know of the whole, as it stands.
    pub(super) fn told(&mut self) {
        let sets = self
            .items
            .iter()
            .filter(|item| item.section == Section::RuleSets);
        let mut sets = sets.map(|item| item.what);
        if sets.any(|what| what.path) {
            self.report.note("", LISTS_STAY);
        }
        if self.items.iter().any(|item| item.what.secret) {
            self.report.note("", PASSWORDS);
        }
    }

    /// Takes parts out, each with the reason why.
    pub(super) fn take_out(&mut self, parts: &BTreeMap<Part, String>) {
        self.take_out_names(parts);
        let items = std::mem::take(&mut self.items);
        for (at, item) in items.into_iter().enumerate() {
            let Some(why) = parts.get(&Part::Item(at)) else {
                self.items.push(item);
                continue;
            };
            let (section, name) = (item.section.as_str(), &item.name);
            // What others name stays, and does nothing.
            let stands_for = match item.section {
                Section::Outbounds => Some((REFUSES, "it refuses every flow")),
                Section::Upstreams => Some((SILENT, "what is asked of it gets no answer")),
                Section::Domains | Section::Hosts | Section::Inbounds | Section::RuleSets => None,
            };
            if let Some((value, effect)) = stands_for.filter(|_| !item.what.stand_in) {
                let what = format!("`{name}` is not carried over ({why}): {effect}");
                self.report.lost(&item.place, what);
                if section == Section::Outbounds.as_str() {
                    let why = "not carried over".to_owned();
                    self.known.refusing.insert(name.clone(), why);
                }
                let value = value.to_owned();
                let what = Holds {
                    stand_in: true,
                    ..Holds::default()
                };
                self.items.push(Item {
                    value,
                    what,
                    ..item
                });
                continue;
            }
            let what = format!("`{name}` of `{section}` is left out: {why}");
            self.report.lost(item.place, what);
        }
        let rules = std::mem::take(&mut self.rules);
        for (at, rule) in rules.into_iter().enumerate() {
            let Some(why) = parts.get(&Part::Rule(at)) else {
                self.rules.push(rule);
                continue;
            };
            self.left_out(&rule.place, &rule.written, why);
            if rule.last {
                self.ended = false;
                self.refuse_the_rest(&rule.place);
            }
        }
    }

    /// The rules that ask that a flow is not in a set of these names.
    pub(super) fn negating(&self, names: &BTreeSet<String>) -> Vec<Part> {
        let numbers = (0_u32..).zip(&self.sets);
        let sets: BTreeSet<SetId> = numbers
            .filter(|(_, name)| names.contains(*name))
            .map(|(number, _)| SetId(number))
            .collect();
        let rules = self.rules.iter().enumerate();
        let found = rules.filter(|(_, rule)| lacks(&rule.condition, &sets, true));
        found.map(|(at, _)| Part::Rule(at)).collect()
    }

    /// Where a thing of this name stood in the original.
    pub(super) fn place_of(&self, section: Section, name: &str) -> Option<&str> {
        let mut items = self.items.iter();
        let item = items.find(|item| item.section == section && item.name == name)?;
        Some(&item.place)
    }

    /// Says of a group that a refusal replaces its first member: the member's name, and why it is not there.
    pub(super) fn first_is_replaced(&mut self, group: &str, member: &str, why: &str) {
        let first = (member.to_owned(), why.to_owned());
        self.known.replaced.insert(group.to_owned(), first);
    }

    /// What the summary tells of the rules and lists.
    pub(super) fn known(&self) -> Known {
        let fetched = self.fetched.iter();
        let names = fetched.filter_map(|id| self.sets.get(id.0 as usize));
        let named = |id: SetId| self.sets.get(id.0 as usize).cloned();
        let rules = self.rules.iter().filter(|rule| !rule.last);
        let rules = rules.map(|rule| Ruled {
            out: rule.out.clone(),
            stands_for: rule.stands_for.clone(),
            sets: asked(&rule.condition)
                .into_iter()
                .filter_map(named)
                .collect(),
        });
        Known {
            rules: rules.collect(),
            fetched: names.cloned().collect(),
            ..self.known.clone()
        }
    }
}

/// An outbound that stands for one that cannot be said.
const REFUSES: &str = "{ type: select, members: [reject] }";

/// An upstream that stands for one that cannot be said: of a kind that gives no answer.
const SILENT: &str = "\"https://not-carried-over.invalid\"";

/// So many groups, one after the other, are looked through.
const MOST_GROUPS: usize = 16;

/// Why a rule goes that sends more directly than it should until a set is there.
const UNFETCHED: &str = "it sends directly what is not in a rule set that is fetched, and would send more until the set is there";

/// Why a rule goes that asks that a flow is not in a set that lacks entries.
pub(super) const LACKS: &str = "it takes what is not in a rule set, the rule set lacks entries here, and so it would take more flows";

/// The sets that a condition asks.
fn asked(condition: &Condition) -> Vec<SetId> {
    match condition {
        Condition::And(parts) | Condition::Or(parts) => parts.iter().flat_map(asked).collect(),
        Condition::Not(inner) => asked(inner),
        Condition::Set(id, _) | Condition::Answer(AnswerTest::AliasIn(id)) => vec![*id],
        _ => Vec::new(),
    }
}

fn last(count: usize) -> Option<SetId> {
    count.checked_sub(1)?.try_into().ok().map(SetId)
}

/// Whether a rule may be an entry of a set: entries name no sets.
pub(super) fn stands_alone(rule: &str) -> bool {
    parse_condition(rule, &Sets(&[])).is_ok()
}

struct Sets<'a>(&'a [String]);

impl Scope for Sets<'_> {
    fn rule_set(&self, name: &str) -> Option<SetId> {
        let at = self.0.iter().position(|known| known == name)?;
        u32::try_from(at).ok().map(SetId)
    }
    fn has_country_db(&self) -> bool {
        false
    }
    fn has_asn_db(&self) -> bool {
        false
    }
    fn ip_rules_resolve(&self) -> bool {
        true
    }
}
