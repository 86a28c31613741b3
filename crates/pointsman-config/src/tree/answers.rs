//! Conditions on what was answered to a query: `answer.ip in 10.0.0.0/8`, `answer.alias in ads`.

use pointsman_policy::Condition;
use pointsman_policy::answered::read_code;
use pointsman_policy::condition::AnswerTest;

use super::Name;
use super::lowering::{Lowerer, offer};
use super::values::{name, operator, prefixes};

/// What a test on one of [`super::words::ANSWERS`] means.
pub(super) fn test(
    lowerer: &mut Lowerer<'_>,
    fact: &str,
    op: &Name,
    value: &Name,
) -> Option<Condition> {
    let text = value.text.as_str();
    let test = match fact {
        "answer.alias" => {
            operator(lowerer, op, &["in", "under"])?;
            match op.text.as_str() {
                "in" => AnswerTest::AliasIn(lowerer.set(value)?),
                _ => AnswerTest::AliasUnder(name(lowerer, value)?),
            }
        }
        "answer.ip" => {
            operator(lowerer, op, &["eq", "in"])?;
            let all = match prefixes(text) {
                Ok(all) => all,
                Err(why) => {
                    let hint = "an address, a range of them such as `10.0.0.0/8`, or `FIRST-LAST`";
                    lowerer.error("invalid-value", &value.span, why, hint.to_owned());
                    return None;
                }
            };
            let all = all.into_iter();
            let all = all.map(|prefix| Condition::Answer(AnswerTest::Address(prefix)));
            let mut all: Vec<Condition> = all.collect();
            return match all.len() {
                1 => all.pop(),
                _ => Some(Condition::Or(all)),
            };
        }
        "answer.code" => {
            operator(lowerer, op, &["eq", "in"])?;
            let Some(code) = read_code(text) else {
                let message = format!("`{text}` is no code of an answer");
                let hint = "such as `nxdomain`, `servfail`, or a number".to_owned();
                lowerer.error("invalid-value", &value.span, message, hint);
                return None;
            };
            AnswerTest::Code(code)
        }
        _ => {
            operator(lowerer, op, &["eq", "in"])?;
            let known = lowerer.context.upstreams;
            let found = known.iter().find(|name| name.eq_ignore_ascii_case(text));
            let Some(found) = found else {
                let message = format!("`dns.upstreams` has no `{text}`");
                let hint = offer(text, known.iter().map(String::as_str));
                lowerer.error("unknown-resolver", &value.span, message, hint);
                return None;
            };
            AnswerTest::Upstream(found.as_str().into())
        }
    };
    Some(Condition::Answer(test))
}
