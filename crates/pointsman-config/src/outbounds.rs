//! The table of outbounds while a configuration is read: names in, numbers out.
//!
//! Names are reserved first and given their kind later, so that chains and groups may name what
//! stands below them. Names are case-sensitive, but for the built-in ones.

pub(crate) mod nesting;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use pointsman_policy::model::{MOST_NESTED, OutboundInfo, OutboundKind as Seen};
use pointsman_policy::{Action, OutboundId};

use crate::own::ways::away;
use crate::problem::{About, Problems, Span, nearest};
use crate::setup::{Carrier, Kind, Outbound};

/// The most names that a hint lists of those that were defined.
const MOST_SHOWN: usize = 12;

/// Names that unknown ones are compared with, all together: thousands of unknown ones get no hint.
const MOST_COMPARED: usize = 100_000;

/// Outbounds by name and number.
#[derive(Debug, Default)]
pub struct Outbounds {
    list: Vec<Outbound>,
    by_name: HashMap<Arc<str>, OutboundId>,
    /// Names that unknown ones were compared with.
    compared: Cell<usize>,
    /// What its entries are called, where that is not outbounds.
    called: Option<&'static str>,
}

/// What to do about a name that there is not.
enum Hint {
    /// To write the name that is nearest.
    Near(String),
    Other(String),
}

impl Outbounds {
    /// A table with the built-in outbounds of a dialect, which nobody may redefine.
    pub fn with_builtins<'a>(builtins: impl IntoIterator<Item = (&'a str, Kind)>) -> Self {
        let mut table = Self::default();
        for (name, kind) in builtins {
            table.push(name, kind, None);
        }
        table
    }

    /// The same table, of what is called otherwise: the ends of a DNS server's rules.
    pub(crate) fn called(self, called: &'static str) -> Self {
        Self {
            called: Some(called),
            ..self
        }
    }

    /// Adds an outbound; a name that is taken is an error that shows both places.
    pub fn define(
        &mut self,
        name: &str,
        kind: Kind,
        span: &Span,
        problems: &mut Problems,
    ) -> Option<OutboundId> {
        let Some(taken) = self.by_name.get(name) else {
            return Some(self.push(name, kind, Some(span.clone())));
        };
        match &self.list[taken.0 as usize].span {
            Some(first) => {
                let message = format!("the outbound `{name}` is defined twice");
                let problem = problems.error("duplicate-outbound", span, message);
                problem.related = Some((first.clone(), "first here".into()));
            }
            None => {
                let message = format!("`{name}` is built in and cannot be redefined");
                problems.error("reserved-name", span, message);
            }
        }
        None
    }

    /// Adds an outbound that no rule can name: a target of a forward.
    pub fn define_hidden(&mut self, name: &str, kind: Kind, span: &Span) -> OutboundId {
        let id = self.next();
        self.list.push(made(name.into(), kind, Some(span.clone())));
        id
    }

    /// Replaces the kind of an outbound that was defined before its members were known.
    pub fn set_kind(&mut self, id: OutboundId, kind: Kind) {
        if let Some(outbound) = self.list.get_mut(id.0 as usize) {
            outbound.what.kind = kind;
        }
    }

    /// Notes the word that the configuration's language has for an outbound's type.
    pub fn set_declared(&mut self, id: OutboundId, word: &'static str) {
        if let Some(outbound) = self.list.get_mut(id.0 as usize) {
            outbound.declared = Some(word);
        }
    }

    /// The kind of an outbound.
    #[must_use]
    pub fn kind(&self, id: OutboundId) -> Option<&Kind> {
        self.list.get(id.0 as usize).map(|outbound| &outbound.kind)
    }

    /// The name of an outbound.
    #[must_use]
    pub fn name(&self, id: OutboundId) -> Option<&str> {
        self.list.get(id.0 as usize).map(|outbound| &*outbound.name)
    }

    /// Where an outbound is defined.
    #[must_use]
    pub fn span(&self, id: OutboundId) -> Option<&Span> {
        self.list.get(id.0 as usize)?.span.as_ref()
    }

    /// How many there are: they are numbered from 0.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.next().0
    }

    /// The number behind a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<OutboundId> {
        self.by_name.get(name).copied()
    }

    /// The number behind a name that rules, chains and groups can use: of what is no forward.
    #[must_use]
    pub fn way(&self, name: &str) -> Option<OutboundId> {
        let id = self.find(name)?;
        let is_forward = self.kind(id).is_some_and(|kind| kind.balancing().is_some());
        (!is_forward).then_some(id)
    }

    /// The number behind the name of a built-in outbound, in any spelling (`Direct`, `direct`).
    #[must_use]
    pub fn builtin(&self, name: &str) -> Option<OutboundId> {
        // They come before all others.
        let mut builtins = self.list.iter().take_while(|o| o.span.is_none());
        let at = builtins.position(|o| o.name.eq_ignore_ascii_case(name))?;
        u32::try_from(at).ok().map(OutboundId)
    }

    /// The number behind a name, or an `unknown-outbound` error that offers what there is. Built-in ones are
    /// known by any spelling.
    pub fn resolve(&self, name: &str, span: &Span, problems: &mut Problems) -> Option<OutboundId> {
        if let Some(id) = self.way(name).or_else(|| self.builtin(name)) {
            return Some(id);
        }
        if self.find(name).is_some() {
            let message = format!("there is no outbound `{name}`: `{name}` is a forward");
            let problem = problems.error("unknown-outbound", span, message);
            problem.hint = Some(
                "a forward takes its own connections to its own targets; name an outbound".into(),
            );
            return None;
        }
        let hint = self.hint(name);
        let (called, code) = match self.called {
            Some(called) => (called, "unknown-end"),
            None => ("outbound", "unknown-outbound"),
        };
        let message = format!("there is no {called} `{name}`");
        let problem = problems.error(code, span, message);
        problem.about = matches!(hint, Some(Hint::Near(_))).then_some(About::Misspelt);
        problem.hint = hint.map(|(Hint::Near(text) | Hint::Other(text))| text);
        None
    }

    /// What to write for a word that other programs have for a way out.
    fn instead(&self, name: &str) -> Option<String> {
        let spelled = |word: &str| {
            let lower = || self.find(&word.to_ascii_lowercase());
            let id = self.find(word).or_else(lower)?;
            self.name(id).map(|word| format!("write `{word}`"))
        };
        match name.to_ascii_uppercase().as_str() {
            "BLOCK" => spelled("REJECT"),
            "DROP" | "REJECT-DROP" => spelled("BLACKHOLE"),
            "PROXY" => {
                let own = self.list.iter().filter(|it| it.span.is_some());
                let own: Vec<&str> = own
                    .map(|it| &*it.name)
                    .filter(|own| self.by_name.contains_key(*own))
                    .take(MOST_SHOWN)
                    .collect();
                let misspelled = own.iter().any(|own| own.eq_ignore_ascii_case(name));
                let hint = format!(
                    "write the name of one of your outbounds: {}",
                    own.join(", ")
                );
                (!misspelled && !own.is_empty()).then_some(hint)
            }
            _ => None,
        }
    }

    /// What may have been meant, or what there is.
    fn hint(&self, name: &str) -> Option<Hint> {
        if let Some(hint) = self.instead(name) {
            return Some(Hint::Other(hint));
        }
        let compared = self.compared.get() + self.list.len();
        if compared > MOST_COMPARED {
            return None;
        }
        self.compared.set(compared);
        if let Some(near) = nearest(name, self.names()) {
            return Some(Hint::Near(format!("did you mean `{near}`?")));
        }
        // Built-in ones are there in two spellings, of which one is enough.
        let mut builtins: Vec<&str> = Vec::new();
        for outbound in self.list.iter().take_while(|o| o.span.is_none()) {
            if !builtins
                .iter()
                .any(|o| o.eq_ignore_ascii_case(&outbound.name))
            {
                builtins.push(&outbound.name);
            }
        }
        let named = self.list.iter().skip_while(|o| o.span.is_none());
        let named = named.map(|o| &*o.name);
        let named = named.filter(|name| self.way(name).is_some());
        let mut shown: Vec<&str> = builtins.into_iter().chain(named).collect();
        let more = shown.len().saturating_sub(MOST_SHOWN);
        shown.truncate(MOST_SHOWN);
        let shown = shown.join(", ");
        Some(Hint::Other(match more {
            0 => format!("defined: {shown}"),
            more => format!("defined: {shown}, and {more} more"),
        }))
    }

    /// All names that rules can use, in order of definition.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.list
            .iter()
            .map(|o| &*o.name)
            .filter(|name| self.way(name).is_some())
    }

    /// The outbounds, and how policies see them.
    #[must_use]
    pub fn finish(self) -> (Vec<Outbound>, Arc<[OutboundInfo]>) {
        let infos = self.infos().into();
        (self.list, infos)
    }

    /// How policies see the outbounds that there are by now.
    pub(crate) fn infos(&self) -> Vec<OutboundInfo> {
        let away = away(&self.list);
        let direct = |hops: &[OutboundId]| {
            let leaves = |id: &OutboundId| away.get(id.0 as usize).copied().unwrap_or(true);
            !hops.iter().any(leaves)
        };
        let infos = self.list.iter().map(|outbound| {
            let mut info = outbound.info();
            if let Kind::Carry(Carrier::Target(target)) = &outbound.kind
                && let Some(via) = target.via
            {
                info.kind = self.behind(via).info().kind;
            }
            if let Kind::Through(hops) = &outbound.kind
                && direct(hops)
            {
                // It goes out as its last hop says, and meets what stands above the rules as that does.
                info.kind = Seen::Plain(Action::Direct);
            }
            info
        });
        infos.collect()
    }

    /// The outbound behind groups, each taken by its first member.
    fn behind(&self, outbound: OutboundId) -> &Outbound {
        let mut at = &self.list[outbound.0 as usize];
        // Deeper ones, and groups that hold each other, are an error elsewhere.
        for _ in 0..MOST_NESTED {
            let Some(first) = at.kind.selectable().and_then(<[_]>::first) else {
                break;
            };
            at = &self.list[first.0 as usize];
        }
        at
    }

    fn push(&mut self, name: &str, kind: Kind, span: Option<Span>) -> OutboundId {
        let id = self.next();
        let name: Arc<str> = name.into();
        self.by_name.insert(Arc::clone(&name), id);
        self.list.push(made(name, kind, span));
        id
    }

    fn next(&self) -> OutboundId {
        OutboundId(u32::try_from(self.list.len()).unwrap_or(u32::MAX))
    }
}

fn made(name: Arc<str>, kind: Kind, span: Option<Span>) -> Outbound {
    Outbound {
        what: pointsman_spec::outbound::Outbound { name, kind },
        declared: None,
        span,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Source;

    /// Each of them was compared with all: a minute, and a thousand bytes of names each.
    #[test]
    fn thousands_of_unknown_names_are_told_shortly() {
        let source = Source::new("t.yaml", String::new());
        let place = source.span(0, 0);
        let direct = Kind::direct;
        let mut table = Outbounds::with_builtins([("direct", direct()), ("DIRECT", direct())]);
        let mut problems = Problems::default();
        for at in 0..3000 {
            table.define(&format!("o{at}"), direct(), &place, &mut problems);
        }
        for at in 0..3000 {
            table.resolve(&format!("nowhere at all {at}"), &place, &mut problems);
        }
        assert!(table.compared.get() <= MOST_COMPARED);
        let hints: Vec<&str> = problems
            .0
            .iter()
            .filter_map(|p| p.hint.as_deref())
            .collect();
        assert_eq!(
            (problems.count(crate::problem::Severity::Error), hints.len()),
            (3000, MOST_COMPARED / 3002)
        );
        assert!(
            hints[0].starts_with("defined: direct, o0, o1, "),
            "{}",
            hints[0]
        );
        assert!(hints[0].ends_with(", o10, and 2989 more"), "{}", hints[0]);
    }

    #[test]
    fn a_misspelled_name_is_told_the_nearest() {
        let source = Source::new("t.yaml", String::new());
        let mut table = Outbounds::default();
        let mut problems = Problems::default();
        table.define(
            "office",
            Kind::Refuse(crate::setup::Refusal::Reset),
            &source.span(0, 0),
            &mut problems,
        );
        table.resolve("ofice", &source.span(0, 0), &mut problems);
        table.resolve("home", &source.span(0, 0), &mut problems);
        let hints: Vec<_> = problems.0.iter().map(|p| p.hint.as_deref()).collect();
        assert_eq!(
            hints,
            [Some("did you mean `office`?"), Some("defined: office")]
        );
    }
}
