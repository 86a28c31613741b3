//! From elements to rules and conditions.

use super::content;
use super::instead::{instead, joined, shape, without_outbound};
use super::kind::{Kind, kind, kinds};
use super::lexer::{Element, Value, elements};
use super::{LineError, Placed, RuleLine, Scope};
use crate::condition::{AddressOf, AnswerTest, Asks, Concerns, Condition, Side};
use crate::near::nearest;

/// Reads a line of a rule list: `TYPE, CONTENT, OUTBOUND[, no-resolve]` or `FALLBACK, OUTBOUND`.
///
/// # Errors
/// [`LineError`] with the place in the line.
pub fn parse_rule(line: &str, scope: &dyn Scope) -> Result<RuleLine, LineError> {
    let all = elements(line)?;
    let (parts, no_resolve) = split_flag(&all);
    let Some((first, rest)) = parts.split_first() else {
        return Err(empty(line));
    };
    let (word, kind) = kind_of(first)?;
    let Some((last, _)) = rest.split_last() else {
        let message = format!("`{word}` needs more than its type");
        let hint = format!("write `{}`", shape(kind, &word, true));
        return Err(LineError::new("rule-syntax", first.place(), message, hint));
    };
    let outbound = match &last.value {
        Value::Text { text, .. } if !text.is_empty() => Placed {
            text: text.clone(),
            start: last.start,
            end: last.end,
        },
        Value::Text { .. } | Value::List(_) => {
            let message = "the last part must name an outbound";
            let hint = format!("write `{}`", shape(kind, &word, true));
            return Err(LineError::new("rule-syntax", last.place(), message, hint));
        }
    };
    if rest.len() > 2 && is_flag_misspelled(last) {
        let message = format!("`{}` is no outbound", outbound.text);
        let hint = "did you mean `no-resolve`?".to_owned();
        return Err(LineError::new("rule-syntax", last.place(), message, hint));
    }
    if rest.len() == 1
        && let Some((message, hint)) = without_outbound(kind, &word, &outbound.text)
    {
        return Err(LineError::new("rule-syntax", last.place(), message, hint));
    }
    let parts = &parts[..parts.len() - 1];
    if kind == Kind::Fallback {
        if let Some(extra) = parts.get(1) {
            let message = "`FALLBACK` has no content";
            let hint = "write `FALLBACK, OUTBOUND`".to_owned();
            return Err(LineError::new("rule-syntax", extra.place(), message, hint));
        }
        return Ok(RuleLine::Fallback { outbound });
    }
    let reader = Reader {
        scope,
        asks: asks(scope, no_resolve),
        whole: true,
    };
    let condition = match reader.condition(parts, (0, line.len())) {
        Ok(condition) => condition,
        // Of what is not as the rule wants it, the last part may be anything.
        Err(error) if error.code == "rule-syntax" => return Err(error),
        Err(error) => {
            let outbound = Some(outbound);
            return Err(LineError { outbound, ..error });
        }
    };
    Ok(RuleLine::Rule {
        condition,
        outbound,
        no_resolve,
    })
}

/// Reads a condition: `TYPE, CONTENT[, no-resolve]`, a rule without its outbound.
///
/// # Errors
/// [`LineError`] with the place in the line.
pub fn parse_condition(line: &str, scope: &dyn Scope) -> Result<Condition, LineError> {
    let all = elements(line)?;
    if all.is_empty() {
        return Err(empty(line));
    }
    let reader = Reader {
        scope,
        asks: asks(scope, false),
        whole: false,
    };
    reader.condition(&all, (0, line.len()))
}

fn asks(scope: &dyn Scope, no_resolve: bool) -> Asks {
    if scope.ip_rules_resolve() && !no_resolve {
        Asks::Resolve
    } else {
        Asks::Never
    }
}

fn empty(line: &str) -> LineError {
    LineError::new("rule-syntax", (0, line.len()), "the rule is empty", None)
}

/// The parts without a final `no-resolve`, and whether there was one.
fn split_flag(parts: &[Element]) -> (&[Element], bool) {
    match parts.split_last() {
        Some((last, rest)) if !rest.is_empty() && last.is_word("no-resolve") => (rest, true),
        Some(_) | None => (parts, false),
    }
}

/// Whether it is `no-resolve` but for its hyphen.
fn is_flag_misspelled(element: &Element) -> bool {
    let spellings = ["noresolve", "no_resolve", "no resolve"];
    spellings.iter().any(|word| element.is_word(word))
}

fn kind_of(element: &Element) -> Result<(String, Kind), LineError> {
    let Value::Text { text, .. } = &element.value else {
        let message = "a rule begins with its type";
        return Err(LineError::new(
            "rule-syntax",
            element.place(),
            message,
            None,
        ));
    };
    if let Some(found) = kind(text) {
        return Ok((text.to_ascii_uppercase(), found));
    }
    let message = format!("there is no rule type `{text}`");
    let hint = instead(text)
        .or_else(|| nearest(text, kinds()).map(|near| format!("did you mean `{near}`?")));
    Err(LineError::new(
        "unknown-rule",
        element.place(),
        message,
        hint,
    ))
}

struct Reader<'s> {
    scope: &'s dyn Scope,
    asks: Asks,
    /// Whether an outbound was taken off the end: hints then show it.
    whole: bool,
}

impl Reader<'_> {
    /// Recursion is as deep as the lexer let lists nest.
    fn condition(&self, all: &[Element], place: (usize, usize)) -> Result<Condition, LineError> {
        let (parts, no_resolve) = split_flag(all);
        let Some((first, contents)) = parts.split_first() else {
            let message = "a condition stands here: `[TYPE, CONTENT]`";
            return Err(LineError::new("rule-syntax", place, message, None));
        };
        let (word, kind) = kind_of(first)?;
        if kind.concerns() > self.scope.concerns() {
            let (what, hint) = match kind.concerns() {
                Concerns::Answers => (
                    "answers to queries",
                    "write it in `dns.answers`, which are looked at when an answer has come",
                ),
                Concerns::Flows | Concerns::Queries => (
                    "queries",
                    "write it in `dns.rules`, which decide on names that are asked for",
                ),
            };
            let message = format!("`{word}` is for {what}, and these rules are not");
            let hint = hint.to_owned();
            return Err(LineError::new(
                "rule-elsewhere",
                first.place(),
                message,
                hint,
            ));
        }
        let asks = if no_resolve { Asks::Never } else { self.asks };
        let inner = Reader {
            scope: self.scope,
            asks,
            whole: false,
        };
        if matches!(kind, Kind::And | Kind::Or | Kind::Not)
            && let Some(round) = contents.first().filter(|first| first.is_round())
        {
            let message = format!("the conditions of `{word}` must be in square brackets");
            let hint = format!("write `{}`", shape(kind, &word, self.whole));
            return Err(LineError::new("rule-syntax", round.place(), message, hint));
        }
        match kind {
            Kind::And => inner
                .several(contents, first, &word, kind)
                .map(Condition::And),
            Kind::Or => inner
                .several(contents, first, &word, kind)
                .map(Condition::Or),
            Kind::Not => match contents {
                [only] => Ok(Condition::Not(Box::new(inner.nested(only)?))),
                _ => Err(self.arity(first, &word, kind, "exactly one condition in brackets")),
            },
            Kind::Always | Kind::Never => match contents {
                []
                | [
                    Element {
                        value: Value::Text { .. },
                        ..
                    },
                ] => Ok(match kind {
                    Kind::Always => Condition::Always,
                    _ => Condition::Never,
                }),
                _ => Err(self.arity(first, &word, kind, "no content, or one that is ignored")),
            },
            Kind::Fallback => {
                let message = "`FALLBACK` is a rule of its own, not a condition";
                let hint = "use `ALWAYS`".to_owned();
                Err(LineError::new("rule-syntax", first.place(), message, hint))
            }
            kind => match contents {
                [content] => inner.single(kind, &word, content),
                [] => Err(self.arity(first, &word, kind, "a content")),
                [_, extra, ..] => {
                    let message = format!("`{word}` has one content");
                    let shape = shape(kind, &word, self.whole);
                    let hint = match joined(kind, contents) {
                        Some(one) => format!("write `{}`", shape.replace("CONTENT", &one)),
                        None => format!("write `{shape}`; a content with commas stands in quotes"),
                    };
                    Err(LineError::new("rule-syntax", extra.place(), message, hint))
                }
            },
        }
    }

    fn several(
        &self,
        contents: &[Element],
        first: &Element,
        word: &str,
        kind: Kind,
    ) -> Result<Vec<Condition>, LineError> {
        if contents.len() < 2 {
            return Err(self.arity(first, word, kind, "two or more conditions in brackets"));
        }
        contents
            .iter()
            .map(|content| self.nested(content))
            .collect()
    }

    fn nested(&self, element: &Element) -> Result<Condition, LineError> {
        match &element.value {
            Value::List(parts) => self.condition(parts, element.place()),
            Value::Text { text, .. } => {
                let message = format!("a condition in brackets must stand here, not `{text}`");
                let hint = "write `[TYPE, CONTENT]`".to_owned();
                Err(LineError::new(
                    "rule-syntax",
                    element.place(),
                    message,
                    hint,
                ))
            }
        }
    }

    fn arity(&self, first: &Element, word: &str, kind: Kind, needs: &str) -> LineError {
        let message = format!("`{word}` needs {needs}");
        let hint = format!("write `{}`", shape(kind, word, self.whole));
        LineError::new("rule-syntax", first.place(), message, hint)
    }

    fn single(&self, kind: Kind, word: &str, element: &Element) -> Result<Condition, LineError> {
        let Value::Text { text, quoted } = &element.value else {
            let message = format!("the content of `{word}` is a text");
            let hint = "put a content that begins with a bracket in quotes".to_owned();
            return Err(LineError::new(
                "rule-syntax",
                element.place(),
                message,
                hint,
            ));
        };
        let made = match kind {
            Kind::AnswerAlias | Kind::Asn | Kind::DnsUpstream | Kind::GeoIp | Kind::RuleSet => {
                return self.named(kind, text, element);
            }
            Kind::AnswerCode => content::codes(text),
            Kind::AnswerIp => content::answer_prefix(text),
            Kind::Domain => content::domain(text, false),
            Kind::DomainKeyword => content::domain_keyword(text),
            Kind::DomainRegex => content::domain_regex(text),
            Kind::DomainSuffix => content::domain(text, true),
            Kind::DstAddrType => content::address_kind(text),
            Kind::DstPort => content::ports(text, Side::Destination),
            Kind::Inbound => content::inbound(text),
            Kind::IpCidr => content::prefix(text, AddressOf::Destination, self.asks),
            Kind::LocalIpCidr => content::prefix(text, AddressOf::Either, self.asks),
            Kind::Network => content::network(text),
            Kind::Number(field) => content::numbers(text, field),
            Kind::OutIpCidr => content::prefix(text, AddressOf::Outgoing, Asks::Never),
            Kind::Protocol => content::protocol(text),
            Kind::SrcIpCidr => content::prefix(text, AddressOf::Source, Asks::Never),
            Kind::SrcPort => content::ports(text, Side::Source),
            Kind::Text(field, test) => content::text(text, field, test),
            // Taken by `condition`.
            Kind::Always | Kind::And | Kind::Fallback | Kind::Never | Kind::Not | Kind::Or => {
                Err(content::Bad::new("a condition stands here"))
            }
        };
        made.map_err(|bad| {
            let (mut start, mut end) = element.place();
            if let Some((from, to)) = bad.part
                && !quoted
            {
                (start, end) = (start + from, start + to);
            }
            LineError::new("bad-rule-content", (start, end), bad.message, bad.hint)
        })
    }

    /// Contents that need the surroundings.
    fn named(&self, kind: Kind, text: &str, element: &Element) -> Result<Condition, LineError> {
        let place = element.place();
        let missing = |what: &str, key: &str| {
            let message = format!("{what} needs a database");
            let hint = format!("set `{key}`");
            LineError::new("missing-database", place, message, hint)
        };
        let bad =
            |bad: content::Bad| LineError::new("bad-rule-content", place, bad.message, bad.hint);
        match kind {
            Kind::GeoIp => {
                let country = content::country(text).map_err(bad)?;
                if !self.scope.has_country_db() {
                    return Err(missing("`GEOIP`", "dispatching.geoip_db"));
                }
                Ok(Condition::Country(country, self.asks))
            }
            Kind::Asn => {
                let number = content::asn(text).map_err(bad)?;
                if !self.scope.has_asn_db() {
                    return Err(missing("`ASN`", "dispatching.asn_db"));
                }
                Ok(Condition::Asn(number, self.asks))
            }
            Kind::DnsUpstream => match self.scope.upstream(text) {
                Some(name) => Ok(Condition::Answer(AnswerTest::Upstream(name))),
                None => {
                    let message = format!("`dns.upstreams` has no `{text}`");
                    let known = self.scope.upstreams();
                    let hint = nearest(text, known.iter().copied())
                        .map(|near| format!("did you mean `{near}`?"));
                    Err(LineError::new("unknown-resolver", place, message, hint))
                }
            },
            Kind::AnswerAlias if self.scope.rule_set(text).is_none() && text.contains('.') => {
                let name = text.strip_prefix('.').unwrap_or(text);
                content::alias_under(name).map_err(bad)
            }
            _ => match self.scope.rule_set(text) {
                Some(id) if kind == Kind::AnswerAlias => {
                    Ok(Condition::Answer(AnswerTest::AliasIn(id)))
                }
                Some(id) => Ok(Condition::Set(id, self.asks)),
                None => {
                    let message = format!("there is no rule set `{text}`");
                    let known = self.scope.rule_sets();
                    let hint = match nearest(text, known.iter().copied()) {
                        Some(near) => Some(format!("did you mean `{near}`?")),
                        None if known.is_empty() => None,
                        None => Some(format!("defined: {}", known.join(", "))),
                    };
                    Err(LineError::new("unknown-rule-set", place, message, hint))
                }
            },
        }
    }
}
