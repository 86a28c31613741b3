//! The state of lowering a tree, and what the names in it mean.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_policy::condition::{Concerns, ZoneOf};
use pointsman_policy::fact::Protocol;
use pointsman_policy::model::{Origin, SetId, Template};
use pointsman_policy::zone::{ZoneId, Zones};

use super::expansion::{Depth, Expansion};
use super::{Ast, Name};
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Span, nearest};

/// What the keys of `cond domain` and `cond ip` name.
#[derive(Clone, Copy, Debug)]
pub enum Lists<'a> {
    /// Rule sets, by [`SetId`]: the first arm whose set holds the flow counts.
    Sets(&'a [Arc<str>]),
    /// Zones: the one zone that the name or address belongs to counts.
    Zones(&'a Zones),
}

/// What the names in a tree can mean.
#[derive(Clone, Copy, Debug)]
pub struct LowerContext<'a> {
    /// Leaves.
    pub outbounds: &'a Outbounds,
    /// Keys, and what `set` and `in` name.
    pub lists: Lists<'a>,
    /// Named trees that leaves may name too.
    pub trees: &'a BTreeMap<String, Ast>,
    /// What it decides on.
    pub concerns: Concerns,
    /// The names of upstreams, which trees on answers ask for.
    pub upstreams: &'a [String],
}

pub(super) struct Lowerer<'a> {
    pub(super) context: &'a LowerContext<'a>,
    pub(super) problems: &'a mut Problems,
    /// Errors pushed here.
    pub(super) errors: usize,
    /// Named trees that we are inside of, and where each is named.
    pub(super) expanding: Vec<(&'a str, &'a Span)>,
    /// What other policies and trees had of the named ones.
    pub(super) expansion: &'a mut Expansion,
    /// Circles of named trees that were told.
    pub(super) circles: usize,
    /// Branches, named trees counted as often as they are used.
    pub(super) nodes: usize,
    /// What we are inside of.
    pub(super) open: Depth,
    /// The most of it so far.
    pub(super) deepest: Depth,
}

impl Lowerer<'_> {
    pub(super) fn error(&mut self, code: &'static str, span: &Span, message: String, hint: String) {
        self.errors += 1;
        let problem = self.problems.error(code, span, message);
        problem.hint = Some(hint).filter(|hint| !hint.is_empty());
    }

    pub(super) fn protocol(&mut self, name: &Name) -> Option<Protocol> {
        let known = Protocol::ALL.map(|protocol| (protocol.as_str(), protocol));
        let text = name.text.as_str();
        if let Some((_, protocol)) = known.iter().find(|(word, _)| *word == text) {
            return Some(*protocol);
        }
        let message = format!("there is no protocol `{text}`");
        let hint = offer(text, known.map(|(word, _)| word));
        self.error("unknown-protocol", &name.span, message, hint);
        None
    }

    pub(super) fn zone(&mut self, of: ZoneOf, name: &Name) -> Option<ZoneId> {
        let Lists::Zones(zones) = self.context.lists else {
            let message = "this configuration has rule sets and no zones".to_owned();
            let hint = format!("write `set {}`", name.text);
            self.error("unknown-zone", &name.span, message, hint);
            return None;
        };
        let (found, names, other, folder) = match of {
            ZoneOf::Domain => (
                zones.domain_zone(&name.text),
                zones.domain_names(),
                zones.address_zone(&name.text),
                "namezone",
            ),
            ZoneOf::Address => (
                zones.address_zone(&name.text),
                zones.address_names(),
                zones.domain_zone(&name.text),
                "addrzone",
            ),
        };
        if found.is_some() {
            return found;
        }
        let kind = match of {
            ZoneOf::Domain => "name zone",
            ZoneOf::Address => "address zone",
        };
        let message = format!("there is no {kind} `{}`", name.text);
        let hint = if other.is_some() {
            let (is, belongs) = match of {
                ZoneOf::Domain => ("an address zone", "cond ip"),
                ZoneOf::Address => ("a name zone", "cond domain"),
            };
            format!("`{}` is {is}: it belongs in `{belongs}`", name.text)
        } else {
            match nearest(&name.text, names.iter().map(|n| &**n)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add the file `{folder}/{}`", name.text),
            }
        };
        self.error("unknown-zone", &name.span, message, hint);
        None
    }

    pub(super) fn set(&mut self, name: &Name) -> Option<SetId> {
        let names = match self.context.lists {
            Lists::Sets(names) => names,
            Lists::Zones(_) => &[],
        };
        match names.iter().position(|known| **known == *name.text) {
            Some(at) => u32::try_from(at).ok().map(SetId),
            None => {
                let message = format!("there is no rule set `{}`", name.text);
                let hint = offer(&name.text, names.iter().map(|n| &**n));
                self.error("unknown-rule-set", &name.span, message, hint);
                None
            }
        }
    }

    pub(super) fn template(&mut self, message: &Name) -> Option<Template> {
        match Template::parse(&message.text) {
            Ok(template) => Some(template),
            Err(why) => {
                let hint = match why.near() {
                    Some(near) => format!("did you mean `{{{near}}}`?"),
                    None => "a brace that is meant as text is written twice".to_owned(),
                };
                self.error("invalid-value", &message.span, why.to_string(), hint);
                None
            }
        }
    }

    pub(super) fn origin(&mut self, span: &Span, text: String) -> Origin {
        Origin {
            file: Arc::clone(span.file()),
            line: span.line(),
            text: text.into(),
        }
    }
}

/// Of words those below one where there are any (`process.name` below `process`), else all.
pub(super) fn below<'k>(word: &str, mut known: Vec<&'k str>) -> Vec<&'k str> {
    let is_below = |known: &&str| {
        known
            .strip_prefix(word)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    if known.iter().any(is_below) {
        known.retain(is_below);
    }
    known
}

pub(super) fn offer<'k>(word: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let known: Vec<&str> = known.into_iter().take(20).collect();
            match known.is_empty() {
                true => "none is defined".to_owned(),
                false => format!("there is: {}", known.join(", ")),
            }
        }
    }
}
