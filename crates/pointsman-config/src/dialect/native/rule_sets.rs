//! `rule_sets:`: named lists, inline or in a file.
//!
//! Invariant: a name in a native list stands for itself and everything below it, however it is
//! marked (`x`, `.x`, `+.x`, `*.x`); for one name alone there is the rule `DOMAIN, x`. Formats of
//! others (`clash-...`, `adblock`) keep the meaning that they have there.

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use pointsman_policy::condition::{AddressOf, Asks, DomainTest};
use pointsman_policy::geo::GeoDatabases;
use pointsman_policy::line::{self, Scope};
use pointsman_policy::model::SetId;
use pointsman_policy::set::{RuleSet, RuleSetBuilder};
use pointsman_policy::{Condition, Domain, Prefix};

use super::{given, named};
use crate::list::{self, Behavior, Format, Recipe, Told};
use crate::load::{Input, read_text};
use crate::problem::Problems;
use crate::value;
use crate::yaml::{KeyStyle, Node};

/// The sets of a configuration.
pub(super) struct RuleSets {
    /// By [`SetId`].
    pub(super) sets: Arc<[Arc<RuleSet>]>,
    /// By [`SetId`].
    pub(super) names: Vec<Arc<str>>,
}

/// What the entries of a list are.
#[derive(Clone, Copy)]
enum Kind {
    Domains,
    Ips,
    Rules,
}

/// Reads all.
pub(super) fn read(
    node: Option<&Node>,
    databases: &GeoDatabases,
    input: &Input<'_>,
    files: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> RuleSets {
    let mut sets = Vec::new();
    for (name, _, node) in named(node, "`rule_sets`", problems) {
        let mut keys = node.keys("a rule set", KeyStyle::Exact, problems);
        keys.not_yet(&["url", "interval"], problems);
        let path = given(&mut keys, "path");
        let format = given(&mut keys, "format");
        let strict = given(&mut keys, "strict")
            .and_then(|node| node.boolean("`strict`", problems))
            .unwrap_or(false);
        let inline = [
            (given(&mut keys, "domains"), Kind::Domains, "`domains`"),
            (given(&mut keys, "ips"), Kind::Ips, "`ips`"),
            (given(&mut keys, "rules"), Kind::Rules, "`rules`"),
        ];
        keys.finish(problems);
        let first = inline.iter().find_map(|(list, _, _)| *list);
        let set = match (path, first) {
            (Some(path), None) => {
                let file = FileList {
                    name,
                    path,
                    format,
                    strict,
                };
                from_file(&file, databases, input, files, problems)
            }
            (None, Some(_)) => {
                let mut set = RuleSetBuilder::new(name, &*input.source.file, input.key);
                for (list, kind, what) in inline {
                    if let Some(list) = list {
                        from_list(list, kind, what, databases, &mut set, problems);
                    }
                }
                if let Some(format) = format {
                    let message = "`format` tells of a file; there is no `path`";
                    problems.error("conflicting-keys", &format.span, message);
                }
                set.finish()
            }
            (Some(_), Some(list)) => {
                let message = "a rule set has a `path` or lists of its own, not both";
                let place = super::first_line(&list.span);
                problems.error("conflicting-keys", &place, message);
                RuleSet::new(name, "")
            }
            (None, None) => {
                let message = "a rule set needs `path`, or `domains`, `ips`, `rules`";
                let place = super::first_line(&node.span);
                problems.error("missing-key", &place, message);
                RuleSet::new(name, "")
            }
        };
        sets.push(set);
    }
    let names = sets.iter().map(|set| Arc::clone(&set.name)).collect();
    RuleSets {
        sets: sets.into_iter().map(Arc::new).collect(),
        names,
    }
}

fn from_list(
    list: &Node,
    kind: Kind,
    what: &str,
    databases: &GeoDatabases,
    set: &mut RuleSetBuilder,
    problems: &mut Problems,
) {
    for item in list.list(what, problems) {
        let Some(text) = item.text("an entry", problems) else {
            continue;
        };
        if let Err(fault) = add(set, kind, text, item.span.line(), databases) {
            problems.error(fault.code, &item.span, fault.message).hint = fault.hint;
        }
    }
}

struct FileList<'a> {
    name: &'a str,
    path: &'a Node,
    format: Option<&'a Node>,
    strict: bool,
}

fn from_file(
    file: &FileList<'_>,
    databases: &GeoDatabases,
    input: &Input<'_>,
    files: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> RuleSet {
    let none = RuleSet::new(file.name, "");
    let Some(written) = value::name(file.path, "`path`", problems) else {
        return none;
    };
    let formats = [
        ("domains", (Behavior::Names, Some(Format::Text))),
        ("ips", (Behavior::IpCidr, Some(Format::Text))),
        ("rules", (Behavior::Classical, Some(Format::Text))),
        ("clash-domains", (Behavior::Domain, None)),
        ("clash-ips", (Behavior::IpCidr, None)),
        ("clash-rules", (Behavior::Classical, None)),
        ("adblock", (Behavior::Domain, Some(Format::Adblock))),
    ];
    let Some(format) = file.format else {
        let message = "a rule set in a file needs its `format`";
        problems.error("missing-key", &file.path.span, message).hint =
            Some("`domains`, `ips` or `rules`: what stands on each line".into());
        return none;
    };
    let found = value::choice(format, "`format`", &formats, problems);
    let Some((behavior, format)) = found else {
        return none;
    };
    let path = input.directory.join(written);
    let text = match read_text(input.files, &path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("`{written}` cannot be read: {error}");
            problems.error("missing-file", &file.path.span, message);
            return none;
        }
    };
    files.push(path);
    let recipe = Recipe {
        format,
        behavior: Some(behavior),
        strict: file.strict,
        select: None,
    };
    let before = problems.0.len();
    let mut set = RuleSetBuilder::new(file.name, written, input.key);
    let mut told = Told::default();
    let scope = Alone(databases);
    let mut bytes = Cursor::new(text);
    match list::read(&mut bytes, written, &recipe, &scope, &mut set, &mut told) {
        Ok(()) => told.report(written, file.strict, problems),
        Err(error) => error.report(written, problems),
    }
    plain_keys(problems, before);
    set.finish()
}

/// Takes the name of BoltConn's section off the hints that came last: here its keys stand at the top.
pub(super) fn plain_keys(problems: &mut Problems, from: usize) {
    for problem in problems.0.iter_mut().skip(from) {
        let hint = problem.hint.take();
        problem.hint = hint.map(|hint| hint.replace("dispatching.", ""));
        problem.message = problem.message.replace("dispatching.", "");
    }
}

struct Fault {
    code: &'static str,
    message: String,
    hint: Option<String>,
}

fn add(
    set: &mut RuleSetBuilder,
    kind: Kind,
    text: &str,
    line: u32,
    databases: &GeoDatabases,
) -> Result<(), Fault> {
    let address = |message| Fault {
        code: "invalid-address",
        message,
        hint: None,
    };
    match kind {
        Kind::Domains => {
            let signs = ["+.", "*.", "."];
            let bare = signs.iter().find_map(|sign| text.strip_prefix(sign));
            let domain = Domain::parse(bare.unwrap_or(text))
                .map_err(|error| address(format!("`{text}`: {error}")))?;
            set.add_suffix(domain, line, text);
        }
        Kind::Ips => {
            let prefix: Prefix = text.parse().map_err(|error| address(format!("{error}")))?;
            set.add_prefix(prefix, line, text);
        }
        Kind::Rules => {
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
                other => set.add_other(other, line, text),
            }
        }
    }
    Ok(())
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
