//! Testing what was answered to a query.
//!
//! Invariant: without an answer each test is false; nothing is asked for and nothing allocated.

use std::sync::Arc;

use super::{Truth, Value, Walk};
use crate::answered::print_code;
use crate::condition::{AnswerTest, Asks};
use crate::domain::Domain;
use crate::fact::{Need, Provenance};
use crate::ids::{OutboundId, SetId};

impl<'a> Walk<'a, '_> {
    pub(super) fn test_answer(&mut self, test: &'a AnswerTest) -> Result<Truth<'a>, Need> {
        let Some(answered) = self.answered else {
            return Ok(Truth::No);
        };
        Ok(match test {
            AnswerTest::Address(prefix) => {
                let text = |all: &&[std::net::IpAddr]| joined(all.iter());
                self.compare("answer.ip", some(answered.addresses), text, |all| {
                    all.iter().any(|address| prefix.contains(*address))
                })
            }
            AnswerTest::AliasIn(set) => return self.test_aliases(*set, answered.aliases),
            AnswerTest::AliasUnder(suffix) => {
                let text = |all: &&[Domain]| joined(all.iter());
                self.compare("answer.alias", some(answered.aliases), text, |all| {
                    all.iter().any(|alias| alias.is_within(suffix))
                })
            }
            AnswerTest::Code(code) => {
                let value = Value::Known(answered.code, Provenance::Resolver);
                let text = |code: &u16| print_code(*code).into();
                self.compare("answer.code", value, text, |own| own == code)
            }
            AnswerTest::Upstream(name) => {
                let value = Value::Known(answered.upstream, Provenance::Resolver);
                let text = |name: &&str| Arc::from(*name);
                self.compare("dns.upstream", value, text, |own| *own == &**name)
            }
        })
    }

    /// Whether the set holds one of them: each is asked for as if it were the name.
    fn test_aliases(&mut self, set: SetId, aliases: &'a [Domain]) -> Result<Truth<'a>, Need> {
        let fingerprints = self.fingerprints.take();
        let mut unknown = None;
        for alias in aliases {
            self.alias = Some(alias);
            let truth = self.test_set(set, Asks::Never);
            (self.alias, self.fingerprints) = (None, None);
            match truth? {
                Truth::No => {}
                Truth::Unknown(why) => unknown = unknown.or(Some(why)),
                yes @ Truth::Yes(_) => {
                    self.fingerprints = fingerprints;
                    return Ok(yes);
                }
            }
        }
        self.fingerprints = fingerprints;
        Ok(unknown.map_or(Truth::No, Truth::Unknown))
    }

    /// Whether an end was tried already: its rule is passed over.
    pub(super) fn is_tried(&self, end: OutboundId) -> bool {
        self.answered.is_some_and(|it| it.tried.contains(&end))
    }
}

fn some<T>(all: &[T]) -> Value<'_, &[T]> {
    match all {
        [] => Value::Absent,
        all => Value::Known(all, Provenance::Resolver),
    }
}

fn joined<T: ToString>(all: impl Iterator<Item = T>) -> Arc<str> {
    let all: Vec<String> = all.map(|one| one.to_string()).collect();
    all.join(", ").into()
}
