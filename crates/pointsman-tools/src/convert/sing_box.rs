//! sing-box's JSON.
//!
//! Invariant: what is not written is reported at its place, `FILE:LINE: path.to[0].it`; nobody is let
//! in, nothing is sent out and no name is asked that sing-box would not.

mod conditions;
mod dns;
mod hosts;
mod inbounds;
mod log;
mod outbounds;
mod route;
mod servers;
mod sets;
mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::draft::Draft;
use super::told::{left, words};
use super::types::wrong;
use pointsman_config::json::Lines;
use pointsman_config::problem::{Problems, Source};

/// The native form of a configuration; values of types that sing-box does not take go into `problems`.
pub(super) fn convert(root: &Value, source: &Arc<Source>, problems: &mut Problems) -> Draft {
    let lines = Lines::of(&source.text);
    mistyped(root, source, &lines, problems);
    let mut this = SingBox {
        draft: Draft::new("sing-box"),
        file: source.file.to_string(),
        lines,
        names: BTreeMap::new(),
        answering: BTreeSet::new(),
        hosts: BTreeMap::new(),
        sets: BTreeMap::new(),
        inbounds: BTreeSet::new(),
        sniffed: false,
        root,
    };
    let known = [
        "$schema",
        "dns",
        "endpoints",
        "inbounds",
        "log",
        "outbounds",
        "route",
    ];
    this.unknown("", root, &known, &["certificate", "experimental", "ntp"]);
    this.log();
    this.inbounds();
    this.outbounds();
    this.rule_sets();
    this.dns();
    this.rules();
    this.draft
}

/// Tells of values of types that sing-box does not take, each on its line.
fn mistyped(root: &Value, source: &Arc<Source>, lines: &Lines, problems: &mut Problems) {
    let of_rules = types::RULES.iter().flat_map(|place| {
        let keys = types::RULE.iter();
        keys.map(move |(key, types)| (format!("{place}{key}"), *types))
    });
    let of_rules: Vec<(String, u8)> = of_rules.collect();
    let of_rules = of_rules.iter().map(|(key, types)| (key.as_str(), *types));
    let table: Vec<(&str, u8)> = types::TABLE.iter().copied().chain(of_rules).collect();
    for wrong in wrong(root, &table) {
        let number = usize::try_from(lines.line(&wrong.path)).unwrap_or(usize::MAX);
        let before = source
            .text
            .split_inclusive('\n')
            .take(number.saturating_sub(1));
        let start: usize = before.map(str::len).sum();
        let rest = source.text.get(start..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        let start = start + (line.len() - line.trim_start().len());
        let end = start + line.trim().len();
        problems.error("wrong-type", &source.span(start, end), wrong.text);
    }
}

struct SingBox<'a> {
    draft: Draft,
    file: String,
    lines: Lines,
    /// Native names of outbounds.
    names: BTreeMap<String, String>,
    /// Outbounds that answer DNS questions.
    answering: BTreeSet<String>,
    /// Name servers of type `hosts`.
    hosts: BTreeMap<String, hosts::Hosts>,
    /// Of rule sets: what their rules ask for.
    sets: BTreeMap<String, conditions::SetShape>,
    /// Tags of the inbounds that are written.
    inbounds: BTreeSet<String>,
    /// Whether first bytes are known where the rules stand.
    sniffed: bool,
    root: &'a Value,
}

impl SingBox<'_> {
    fn place(&self, part: &str) -> String {
        format!("{}:{}: {part}", self.file, self.lines.line(part))
    }

    /// Reports the keys of an object that are not carried over. `quiet` ones send no flow elsewhere.
    fn unknown(&mut self, place: &str, value: &Value, known: &[&str], quiet: &[&str]) {
        let mut hushed = Vec::new();
        for (key, value) in value.as_object().into_iter().flatten() {
            let nothing = match value {
                Value::Array(items) => items.is_empty(),
                Value::Object(pairs) => pairs.is_empty(),
                Value::Null | Value::Bool(false) => true,
                Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
            };
            if known.contains(&key.as_str()) || nothing {
                continue;
            }
            if quiet.contains(&key.as_str()) {
                hushed.push(key.as_str());
                continue;
            }
            let dot = if place.is_empty() { "" } else { "." };
            let at = self.place(&format!("{place}{dot}{key}"));
            let what = format!("`{key}` is not carried over");
            self.draft.report.lost(at, what);
        }
        if !hushed.is_empty() {
            let what = format!("{} {}", words(&hushed), left(hushed.len()));
            let at = match place {
                "" => self.file.clone(),
                place => self.place(place),
            };
            self.draft.report.note(at, what);
        }
    }
}

/// `host:port`, IPv6 in brackets.
fn endpoint(host: &str, port: &Value) -> String {
    let port = port.as_u64().unwrap_or(0);
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// A text that says something.
fn text_of(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// The tag of an outbound: one without has its number.
fn tag_of(number: usize, outbound: &Value) -> String {
    match text_of(&outbound["tag"]) {
        Some(tag) => tag.to_owned(),
        None => number.to_string(),
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// One value or a list of them, numbers as their digits; `None` where one is neither.
fn strings(value: &Value) -> Option<Vec<String>> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        Value::Array(values) => values.iter().map(one).collect(),
        Value::Null => Some(Vec::new()),
        value => one(value).map(|one| vec![one]),
    }
}

/// A rule in the report.
fn shown(rule: &Value) -> String {
    let text = rule.to_string();
    match text.char_indices().nth(120) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text,
    }
}
