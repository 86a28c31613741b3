//! Rule sets in files and on the web: `path`, `url` and the keys that go with them.
//!
//! Invariant: a word of `format` says how a file is written, and where it must, what its entries are;
//! nothing is said twice.

use std::path::PathBuf;
use std::time::Duration;

use pointsman_policy::geo::GeoDatabases;
use pointsman_policy::model::SetId;
use pointsman_policy::set::RuleSet;

use super::{first_line, given};
use crate::input::Input;
use crate::list::{
    Behavior, Format, ListSource, MOST_FETCHED, MOST_OF_A_FILE, Recipe, Surroundings,
};
use crate::list_file::{self, FileList};
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Span};
use crate::value;
use crate::yaml::{Keys, Node};

/// How a list is written, and what its entries are, as far as a word says so.
type Meaning = (Option<Format>, Option<Behavior>);

/// The words of `format`.
pub(super) const FORMATS: &[(&str, Meaning)] = &[
    ("auto", (None, None)),
    ("domains", (Some(Format::Text), Some(Behavior::Names))),
    ("ips", (Some(Format::Text), Some(Behavior::IpCidr))),
    ("rules", (Some(Format::Text), Some(Behavior::Classical))),
    ("clash-domains", (None, Some(Behavior::Domain))),
    ("clash-ips", (None, Some(Behavior::IpCidr))),
    ("clash-rules", (None, Some(Behavior::Clash))),
    ("text", (Some(Format::Text), None)),
    ("yaml", (Some(Format::Yaml), None)),
    ("adblock", (Some(Format::Adblock), None)),
    ("hosts", (Some(Format::Hosts), None)),
    ("dnsmasq", (Some(Format::Dnsmasq), None)),
    ("dat", (Some(Format::Dat), None)),
    ("mmdb", (Some(Format::Mmdb), None)),
    ("mrs", (Some(Format::Mrs), None)),
    ("srs", (Some(Format::Srs), None)),
    ("srs-json", (Some(Format::SrsJson), None)),
];

/// The words of `behavior`.
pub(super) const BEHAVIORS: &[(&str, Behavior)] = &[
    ("clash", Behavior::Clash),
    ("classical", Behavior::Classical),
    ("domain", Behavior::Domain),
    ("ipcidr", Behavior::IpCidr),
    ("names", Behavior::Names),
];

/// The keys of a rule set in a file or on the web.
pub(super) struct ListKeys<'a> {
    pub(super) path: Option<&'a Node>,
    pub(super) url: Option<&'a Node>,
    /// Of a file, then of what is fetched.
    others: Vec<(&'static str, &'a Node)>,
}

/// A rule set that is fetched, before the outbounds are known.
pub(super) struct Fetched<'a> {
    source: ListSource,
    via: Option<&'a Node>,
}

impl<'a> ListKeys<'a> {
    /// Takes its keys.
    pub(super) fn take(keys: &mut Keys<'a>) -> Self {
        let names = [
            "format", "behavior", "select", "strict", "via", "interval", "limit",
        ];
        let path = given(keys, "path");
        let url = given(keys, "url");
        let others = names
            .iter()
            .filter_map(|name| Some((*name, given(keys, name)?)));
        Self {
            path,
            url,
            others: others.collect(),
        }
    }

    /// A key that only sets with a file (or only ones with a `url`) have is an error elsewhere.
    pub(super) fn refuse_keys(&self, problems: &mut Problems) {
        let fetching = ["via", "interval", "limit"];
        for (name, node) in &self.others {
            let message = if self.url.is_some() {
                continue;
            } else if fetching.contains(name) {
                format!("`{name}` is for lists that are fetched, and there is no `url`")
            } else if self.path.is_none() && *name != "strict" {
                format!("`{name}` is for lists in files, and there is no `path`")
            } else {
                continue;
            };
            problems.error("conflicting-keys", &node.span, message);
        }
    }

    fn other(&self, name: &str) -> Option<&'a Node> {
        let mut others = self.others.iter();
        others
            .find(|(known, _)| *known == name)
            .map(|(_, node)| *node)
    }

    /// How the list is to be read.
    fn recipe(&self, problems: &mut Problems) -> Option<Recipe> {
        let format = match self.other("format") {
            Some(node) => value::choice(node, "`format`", FORMATS, problems)?,
            None => (None, None),
        };
        let behavior = match self.other("behavior") {
            Some(node) => {
                let behavior = value::choice(node, "`behavior`", BEHAVIORS, problems)?;
                let refused = match format {
                    (_, Some(_)) => true,
                    (format, None) => !matches!(
                        format,
                        None | Some(Format::Text | Format::Yaml | Format::Mrs)
                    ),
                };
                if refused {
                    let message = "`format` says already what the entries are";
                    problems.error("conflicting-keys", &node.span, message);
                    return None;
                }
                Some(behavior)
            }
            None => format.1,
        };
        let select = match self.other("select") {
            Some(node) => Some(value::name(node, "`select`", problems)?.to_owned()),
            None => None,
        };
        let strict = self
            .other("strict")
            .and_then(|node| node.boolean("`strict`", problems));
        Some(Recipe {
            wide_marks: false,
            format: format.0,
            behavior,
            strict: strict.unwrap_or(false),
            select,
            limit: self.url.map(|_| self.limit(problems)),
        })
    }

    /// Reads the list; one with a `url` goes into `fetched` too.
    pub(super) fn read(
        &self,
        name: &'a str,
        set: SetId,
        place: &Span,
        around: &mut Around<'a, '_>,
        problems: &mut Problems,
    ) -> RuleSet {
        let none = RuleSet::new(name, "");
        let input = around.input;
        let Some(recipe) = self.recipe(problems) else {
            return none;
        };
        let copy = list_file::copy_name("rules", name);
        let (path, shown, place) = match self.path {
            Some(node) => {
                let Some(written) = value::name(node, "`path`", problems) else {
                    return none;
                };
                let path = input.directory.join(written);
                (Some(path), written, &node.span)
            }
            None => {
                let path = input.state.as_ref().map(|state| state.join(&copy));
                (path, copy.as_str(), place)
            }
        };
        let scope = Surroundings {
            sets: Vec::new(),
            has_country_db: around.databases.has_country(),
            has_asn_db: around.databases.has_asn(),
            // The rule that uses the set may narrow this, never widen it.
            ip_rules_resolve: true,
        };
        if let Some(url) = self.url {
            let source = ListSource {
                set,
                name: name.into(),
                url: url_of(url, problems).unwrap_or_default().into(),
                via: None,
                interval: self.interval(problems),
                limit: recipe.limit.unwrap_or(MOST_FETCHED),
                path: path.clone(),
                file: shown.into(),
                recipe: recipe.clone(),
                scope: scope.clone(),
                read: None,
                span: first_line(place),
            };
            let via = self.other("via");
            around.fetched.push(Fetched { source, via });
        }
        let Some(path) = path else {
            list_file::not_fetched(name, None, input, place, problems);
            return none;
        };
        let mut own = problems.apart();
        let file = FileList {
            name,
            shown,
            path: &path,
            recipe: &recipe,
            fetched: self.url.is_some(),
            place,
        };
        let (set, read) = list_file::load(&file, &scope, input, &mut own);
        if let Some(fetched) = around.fetched.last_mut().filter(|_| self.url.is_some()) {
            fetched.source.read = read;
        }
        plain_keys(&mut own);
        if self.url.is_none() && !own.0.iter().any(|p| p.code == "missing-file") {
            around.files.push(path);
        }
        problems.absorb(own);
        set
    }

    fn interval(&self, problems: &mut Problems) -> Option<Duration> {
        let node = self.other("interval")?;
        let interval = value::duration(node, "`interval`", problems)?;
        if interval < Duration::from_secs(1) {
            let message = "`interval` is at least 1s";
            problems.error("invalid-value", &node.span, message);
        }
        Some(interval)
    }

    fn limit(&self, problems: &mut Problems) -> u64 {
        let node = self.other("limit");
        let limit = node.and_then(|node| value::size(node, "`limit`", problems));
        let limit = limit.map_or(MOST_FETCHED, |limit| limit as u64);
        if let Some(node) = node.filter(|_| limit > MOST_OF_A_FILE) {
            let message = "`limit` is at most 256MiB";
            problems.error("invalid-value", &node.span, message);
        }
        limit
    }
}

/// What reading needs, and what it leaves.
pub(super) struct Around<'a, 'i> {
    pub(super) databases: &'i GeoDatabases,
    pub(super) input: &'i Input<'i>,
    pub(super) files: &'i mut Vec<PathBuf>,
    pub(super) fetched: Vec<Fetched<'a>>,
}

/// Finishes the sources, now that the outbounds are known.
pub(super) fn sources(
    fetched: Vec<Fetched<'_>>,
    outbounds: &Outbounds,
    problems: &mut Problems,
) -> Vec<ListSource> {
    let finish = |Fetched { mut source, via }| {
        source.via = via.and_then(|node: &Node| {
            let name = value::name(node, "`via`", problems)?;
            outbounds.resolve(name, &node.span, problems)
        });
        source
    };
    fetched.into_iter().map(finish).collect()
}

fn url_of<'n>(node: &'n Node, problems: &mut Problems) -> Option<&'n str> {
    let text = value::name(node, "`url`", problems)?;
    if let Err(message) = list_file::check_url(text) {
        problems.error("invalid-value", &node.span, message);
    }
    Some(text)
}

/// Takes the name of BoltConn's section off the hints: here its keys stand at the top.
pub(super) fn plain_keys(problems: &mut Problems) {
    for problem in &mut problems.0 {
        problem.reword(|words| words.replace("dispatching.", ""));
    }
}
