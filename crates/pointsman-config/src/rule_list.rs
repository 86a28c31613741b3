//! Rule lists in YAML: lines, `.LOCAL-RESOLVE`, `.SUB-DISPATCH`, `.INSTRUMENT`, `.REQUEST`.
//!
//! Invariant: a list that is read without an error ends with its `FALLBACK`, so it decides every
//! flow. Every fault is told at its place, and reading goes on.
//!
//! Deliberately absent: which outbounds and rule sets there are. The dialect brings them.

mod column;
mod request;

pub(crate) use request::request_timeout;

use column::{apart, swallowed};

use std::sync::Arc;

use pointsman_policy::condition::{AddressOf, Asks, Condition};
use pointsman_policy::line::{self, LineError, RuleLine, Scope};
use pointsman_policy::model::{Node as PolicyNode, Origin, Rule, SetId, Template};
use pointsman_policy::set::RuleSet;
use pointsman_policy::{OutboundId, near::nearest};

use crate::problem::{Problems, Source, Span};
use crate::yaml::{KeyStyle, Node, Value};

/// The number behind an outbound's name; pushes a problem where there is none.
pub type FindOutbound<'a> = dyn Fn(&str, &Span, &mut Problems) -> Option<OutboundId> + 'a;

/// What the lists of a configuration have in common.
pub struct RuleLists<'a> {
    /// Finds outbounds by name.
    pub outbound: &'a FindOutbound<'a>,
    /// Finds rule sets by name, and knows what databases there are.
    pub scope: &'a dyn Scope,
    /// All rule sets, by [`SetId`].
    pub sets: &'a [Arc<RuleSet>],
}

/// Whether a list decides everything or only comes before one that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// It must end with `FALLBACK`.
    Required,
    /// It must have none.
    Forbidden,
    /// It may end with it: what it leaves goes on as it is.
    Optional,
}

impl RuleLists<'_> {
    /// Reads a list. `what` names it in problems (`the rule list`).
    pub fn read(
        &self,
        node: &Node,
        what: &str,
        fallback: Fallback,
        problems: &mut Problems,
    ) -> Vec<PolicyNode> {
        let mut steps = Vec::new();
        let mut list = List {
            lists: self,
            what,
            fallback,
        };
        list.read(node, &mut steps, problems);
        steps
    }

    /// Notes every rule on addresses that can never see a named destination: nothing before it
    /// resolves, and it does not ask. `resolved`: whether an earlier list resolves.
    pub fn note_blind_rules(
        &self,
        steps: &[PolicyNode],
        resolved: bool,
        source: &Arc<Source>,
        problems: &mut Problems,
    ) {
        if !self.scope.ip_rules_resolve() {
            self.note_blind(steps, resolved, source, problems);
        }
    }

    fn note_blind(
        &self,
        steps: &[PolicyNode],
        resolved: bool,
        source: &Arc<Source>,
        problems: &mut Problems,
    ) {
        let mut resolved = resolved;
        for step in steps {
            let (condition, origin) = match step {
                PolicyNode::Resolve(_) => {
                    resolved = true;
                    continue;
                }
                PolicyNode::Rule(rule) => (&rule.condition, &rule.origin),
                PolicyNode::Instrument {
                    condition, origin, ..
                }
                | PolicyNode::Request {
                    condition, origin, ..
                } => (condition, origin),
                PolicyNode::Sub {
                    condition,
                    origin,
                    body,
                } => {
                    self.note_blind(body, resolved, source, problems);
                    (condition, origin)
                }
                _ => continue,
            };
            let says_so = says_no_resolve(&origin.text);
            if resolved || says_so || !self.is_on_addresses(condition) || origin.file != source.file
            {
                continue;
            }
            let place = item(source, origin.line).of_rule(&origin.text);
            problems
                .note(
                    "never-sees-names",
                    &place,
                    "this rule never sees a destination that is given by name",
                )
                .hint = Some(
                "put `.LOCAL-RESOLVE` before it, set `dispatching.ip_rules_resolve`, or say `no-resolve`"
                    .into(),
            );
        }
    }

    fn is_on_addresses(&self, condition: &Condition) -> bool {
        condition.any_test(&mut |test| match test {
            Condition::Address {
                of: AddressOf::Destination,
                asks: Asks::Never,
                ..
            }
            | Condition::Asn(_, Asks::Never)
            | Condition::Country(_, Asks::Never) => true,
            Condition::Set(SetId(id), Asks::Never) => self
                .sets
                .get(*id as usize)
                .is_some_and(|set| set.has_prefixes() && !set.has_names()),
            _ => false,
        })
    }
}

/// The place of a line without its indentation and the dash of a list.
fn item(source: &Arc<Source>, line: u32) -> Span {
    let place = source.line(line);
    let text = place.text();
    let bare = text.trim_start_matches([' ', '\t', '-']);
    place.part(text.len() - bare.len(), text.len())
}

struct List<'l, 'a> {
    lists: &'l RuleLists<'a>,
    what: &'l str,
    fallback: Fallback,
}

impl List<'_, '_> {
    fn read(&mut self, node: &Node, steps: &mut Vec<PolicyNode>, problems: &mut Problems) {
        let items = node.rules(self.what, problems);
        if !node.is_null() && !matches!(node.value, Value::List(_)) {
            return;
        }
        let mut ended: Option<&Span> = None;
        let mut complained = false;
        for item in items {
            if let Some(end) = ended
                && !complained
            {
                complained = true;
                let problem = problems.error(
                    "fallback-not-last",
                    end,
                    format!("`FALLBACK` is not the last rule of {}", self.what),
                );
                problem.related = Some((item.span.clone(), "this rule comes after it".into()));
                problem.hint = Some("a rule behind `FALLBACK` can never match".into());
            }
            if self.item(item, steps, problems) {
                ended = Some(&item.span);
            }
        }
        match (self.fallback, ended) {
            (Fallback::Forbidden, Some(place)) => {
                problems
                    .error(
                        "fallback-not-last",
                        place,
                        format!("{} must not have a `FALLBACK`", self.what),
                    )
                    .hint =
                    Some("it comes before the main list, which would never be reached".into());
            }
            (Fallback::Required, None) => {
                let last = items.last().map_or(&node.span, |item| &item.span);
                let problem = problems.error(
                    "missing-fallback",
                    last,
                    format!("{} does not end with `FALLBACK`", self.what),
                );
                problem.related = Some((first_line(&node.span), "the list begins here".into()));
                problem.hint = Some("end it with `- FALLBACK, OUTBOUND`".into());
            }
            (Fallback::Required, Some(_))
            | (Fallback::Forbidden, None)
            | (Fallback::Optional, _) => {}
        }
    }

    /// Reads one item; whether it was a `FALLBACK`.
    fn item(&mut self, item: &Node, steps: &mut Vec<PolicyNode>, problems: &mut Problems) -> bool {
        match &item.value {
            Value::Scalar(..) if item.is_null() => {
                problems.error("rule-syntax", &item.span, "the rule is empty");
            }
            Value::Scalar(text, style) => {
                return match swallowed(item, *style) {
                    Some(line) => apart(item, line, problems),
                    None => self.line(item, text, steps, problems),
                };
            }
            Value::Map(pairs) => {
                self.action(item, pairs, steps, problems);
                // Said to be no rule; that there is none is not said, too.
                return pairs.iter().any(|(key, _)| {
                    key.scalar()
                        .is_some_and(|word| word.eq_ignore_ascii_case("FALLBACK"))
                });
            }
            Value::List(_) => {
                problems
                    .error("rule-syntax", &item.span, "a rule is one line, not a list")
                    .hint = Some("write `TYPE, CONTENT, OUTBOUND`".into());
            }
        }
        false
    }

    fn line(
        &self,
        item: &Node,
        text: &str,
        steps: &mut Vec<PolicyNode>,
        problems: &mut Problems,
    ) -> bool {
        let word = line::without_comment(text);
        if word.eq_ignore_ascii_case(".LOCAL-RESOLVE") {
            steps.push(PolicyNode::Resolve(self.origin(&item.span, word)));
            return false;
        }
        if word.starts_with('.') {
            unknown_action(word, &item.span, problems);
            return false;
        }
        match line::parse_rule(text, self.lists.scope) {
            Ok(RuleLine::Fallback { outbound }) => {
                let place = part(item, text, outbound.start, outbound.end);
                if let Some(id) = (self.lists.outbound)(&outbound.text, &place, problems) {
                    steps.push(PolicyNode::Leaf {
                        outbound: id,
                        origin: self.origin(&item.span, word),
                    });
                }
                true
            }
            Ok(RuleLine::Rule {
                condition,
                outbound,
                no_resolve: _,
            }) => {
                let place = part(item, text, outbound.start, outbound.end);
                if let Some(id) = (self.lists.outbound)(&outbound.text, &place, problems) {
                    steps.push(PolicyNode::Rule(Rule {
                        condition,
                        outbound: id,
                        origin: self.origin(&item.span, word),
                        class: None,
                    }));
                }
                false
            }
            Err(error) => {
                let was_fallback = word
                    .get(..8)
                    .is_some_and(|w| w.eq_ignore_ascii_case("FALLBACK"));
                let outbound = error.outbound.clone();
                line_problem(item, text, error, problems);
                // All that is wrong at once.
                if let Some(outbound) = outbound {
                    let place = part(item, text, outbound.start, outbound.end);
                    (self.lists.outbound)(&outbound.text, &place, problems);
                }
                was_fallback
            }
        }
    }

    fn action(
        &mut self,
        item: &Node,
        pairs: &[(Node, Node)],
        steps: &mut Vec<PolicyNode>,
        problems: &mut Problems,
    ) {
        let [(key, value)] = pairs else {
            let is_action = pairs.iter().any(|(key, _)| {
                let word = key.scalar().unwrap_or_default();
                word.starts_with('.')
            });
            let hint = match is_action {
                true => "an action is one key with its settings below it, indented".to_owned(),
                false => a_line(pairs),
            };
            problems
                .error("rule-syntax", &first_line(&item.span), "this is no rule")
                .hint = Some(hint);
            return;
        };
        let word = key.scalar().unwrap_or_default();
        match word.to_ascii_uppercase().as_str() {
            ".SUB-DISPATCH" => self.sub_dispatch(key, value, steps, problems),
            ".INSTRUMENT" => self.instrument(key, value, steps, problems),
            ".LOCAL-RESOLVE" if value.is_null() => {
                steps.push(PolicyNode::Resolve(self.origin(&key.span, word)));
            }
            ".REQUEST" => self.request(key, value, steps, problems),
            _ if word.starts_with('.') => unknown_action(word, &key.span, problems),
            _ => {
                let hint = match kind(word) {
                    Some(_) => a_line(pairs),
                    None => "put a rule that has `: ` in it in quotes".to_owned(),
                };
                problems
                    .error("rule-syntax", &first_line(&item.span), "this is no rule")
                    .hint = Some(hint);
            }
        }
    }

    fn sub_dispatch(
        &mut self,
        key: &Node,
        value: &Node,
        steps: &mut Vec<PolicyNode>,
        problems: &mut Problems,
    ) {
        let mut keys = value.keys("`.SUB-DISPATCH`", KeyStyle::KebabIsSnake, problems);
        let matches = keys.require("matches", problems);
        let subrules = keys.require("subrules", problems);
        keys.finish(problems);
        let found = matches.and_then(|node| self.condition(node, problems));
        let Some(subrules) = subrules else { return };
        if subrules.is_null() {
            problems
                .warning(
                    "empty-subrules",
                    &key.span,
                    "there are no sub-rules: it does nothing",
                )
                .hint = Some("give it rules and a `FALLBACK`".into());
            return;
        }
        let mut body = Vec::new();
        let mut inner = List {
            lists: self.lists,
            what: "the list of sub-rules",
            fallback: Fallback::Required,
        };
        inner.read(subrules, &mut body, problems);
        if let Some((condition, text)) = found {
            steps.push(PolicyNode::Sub {
                condition,
                body,
                origin: self.origin(&key.span, &format!(".SUB-DISPATCH: {text}")),
            });
        }
    }

    fn instrument(
        &self,
        key: &Node,
        value: &Node,
        steps: &mut Vec<PolicyNode>,
        problems: &mut Problems,
    ) {
        let mut keys = value.keys("`.INSTRUMENT`", KeyStyle::KebabIsSnake, problems);
        let id = keys.require("id", problems);
        let matches = keys.require("matches", problems);
        let message = keys.require("message", problems);
        keys.finish(problems);
        let id = id.and_then(|node| node.number("`id`", 0..=i64::from(u32::MAX), problems));
        let found = matches.and_then(|node| self.condition(node, problems));
        let template = message.and_then(|node| {
            let text = node.text("`message`", problems)?;
            match Template::parse(text) {
                Ok(template) => Some(template),
                Err(bad) => {
                    problems
                        .error("bad-template", &node.span, bad.to_string())
                        .hint = bad.near().map(|near| format!("did you mean `{{{near}}}`?"));
                    None
                }
            }
        });
        let id = id.and_then(|id| u32::try_from(id).ok());
        if let (Some(id), Some((condition, text)), Some(message)) = (id, found, template) {
            steps.push(PolicyNode::Instrument {
                condition,
                id,
                message,
                origin: self.origin(&key.span, &format!(".INSTRUMENT: {text}")),
            });
        }
    }

    /// The condition of `matches:` and its text.
    fn condition<'n>(
        &self,
        node: &'n Node,
        problems: &mut Problems,
    ) -> Option<(Condition, &'n str)> {
        let text = node.text("`matches`", problems)?;
        match line::parse_condition(text, self.lists.scope) {
            Ok(condition) => Some((condition, line::without_comment(text))),
            Err(error) => {
                line_problem(node, text, error, problems);
                None
            }
        }
    }

    fn origin(&self, span: &Span, text: &str) -> Origin {
        Origin {
            file: Arc::clone(span.file()),
            line: span.line(),
            text: one_line(text).into(),
        }
    }
}

fn one_line(text: &str) -> String {
    let mut words = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, line| all + " " + line)
}

/// The type of rules that a word means, as other programs write it, too: `domain_suffix`.
fn kind(word: &str) -> Option<&'static str> {
    let word = word.replace('_', "-");
    line::kinds().find(|kind| kind.eq_ignore_ascii_case(&word))
}

/// What to write instead of a rule in keys, as other programs have them.
fn a_line(pairs: &[(Node, Node)]) -> String {
    let kind = pairs.iter().find_map(|(key, value)| match key.scalar()? {
        "type" => kind(value.scalar()?),
        word => kind(word),
    });
    let kind = kind.unwrap_or("TYPE");
    format!("a rule is one line, with commas: write `{kind}, CONTENT, OUTBOUND`")
}

fn unknown_action(word: &str, span: &Span, problems: &mut Problems) {
    const KNOWN: [&str; 4] = [".LOCAL-RESOLVE", ".SUB-DISPATCH", ".INSTRUMENT", ".REQUEST"];
    let known = KNOWN
        .iter()
        .any(|action| action.eq_ignore_ascii_case(word.trim_end_matches(':')));
    let message = if known {
        format!("`{word}` needs its settings below it")
    } else {
        format!("there is no action `{word}`")
    };
    let problem = problems.error("unknown-action", span, message);
    if !known {
        problem.hint = nearest(word, KNOWN).map(|near| format!("did you mean `{near}`?"));
    }
}

/// Pushes what is wrong with a line that stands in a YAML scalar.
pub fn line_problem(node: &Node, text: &str, error: LineError, problems: &mut Problems) {
    let place = part(node, text, error.start, error.end);
    let cut = is_cut(node, text).then(|| {
        "YAML begins a comment at ` #`: where that belongs to the rule, put the whole rule in quotes".to_owned()
    });
    problems.error(error.code, &place, error.message).hint = error.hint.or(cut);
}

/// Whether YAML took what follows a scalar for a comment.
fn is_cut(node: &Node, text: &str) -> bool {
    let source = &node.span.source.text;
    let rest = source.get(node.span.start..);
    let behind = rest.and_then(|rest| rest.strip_prefix(text));
    behind.is_some_and(|behind| behind.trim_start_matches([' ', '\t']).starts_with('#'))
}

/// The place of a part of a scalar's text; the whole scalar where YAML changed it (escapes, folded
/// lines).
fn part(node: &Node, text: &str, start: usize, end: usize) -> Span {
    let written = node.span.text();
    if written.starts_with(text) {
        node.span.part(start, end)
    } else if written.get(1..).is_some_and(|rest| rest.starts_with(text)) {
        node.span.part(start + 1, end + 1)
    } else {
        node.span.clone()
    }
}

fn first_line(span: &Span) -> Span {
    let length = span.text().lines().next().map_or(0, str::len);
    span.part(0, length)
}

/// Whether a rule has the part `no-resolve`, at its end or within brackets.
fn says_no_resolve(rule: &str) -> bool {
    let parts = rule.split([',', '[', ']', '(', ')']);
    let mut parts = parts.map(|part| part.trim().trim_matches(['"', '\'']));
    parts.any(|part| part.eq_ignore_ascii_case("no-resolve"))
}
