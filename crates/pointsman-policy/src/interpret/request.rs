//! Asking somebody outside: the verdict is a fact like any other, which the caller finds.
//!
//! The process is asked for before the subscriber is: it is what a person decides by, and found without touching the
//! flow. A verdict that nobody gave is never unknown to the rules: the request's fallback counts.

use std::sync::Arc;

use super::{Stop, Truth, Walk};
use crate::answer::{Answer, Route};
use crate::condition::{Asks, Condition};
use crate::decision::{Decision, Reason, Seen};
use crate::fact::{Fact, Need};
use crate::origin::Origin;
use crate::request::Request;

impl<'a> Walk<'a, '_> {
    pub(super) fn request(
        &mut self,
        condition: &'a Condition,
        request: &'a Request,
        origin: &'a Origin,
    ) -> Result<(), Stop> {
        let truth = self.test(condition, Asks::Resolve)?;
        match truth {
            Truth::No => {
                self.visit(origin, truth);
                return Ok(());
            }
            Truth::Unknown(why) => {
                self.visit(origin, truth);
                return self.refusal(origin, why);
            }
            Truth::Yes(_) => {}
        }
        let facts = self.facts;
        for need in [Need::Owner, Need::Verdict(request.number())] {
            if facts.lacks(need) {
                return Err(need.into());
            }
        }
        let verdict = facts.verdict(request.number());
        let route = match verdict {
            Fact::Known(answer, _) => request.route(*answer),
            Fact::Absent | Fact::Failed(_) | Fact::Unknown => request.fallback,
        };
        self.see_verdict(request, route, verdict);
        self.visit(origin, truth);
        match request.outbound(route) {
            None => Ok(()),
            Some(outbound) => Err(Stop::Decided(Decision {
                outbound: Some(outbound),
                reason: Reason::Verdict {
                    subscriber: request.subscriber,
                    answer: verdict.clone(),
                },
                rule: Some(origin.clone()),
                entry: None,
                class: None,
            })),
        }
    }

    fn see_verdict(&mut self, request: &Request, route: Route, verdict: &Fact<Answer>) {
        if !self.traces() {
            return;
        }
        let (who, route) = (request.subscriber, route.as_str());
        let (text, from) = match verdict {
            Fact::Known(Answer::Fallback, from) => (
                format!("{route}, the fallback, which subscriber {who} chose"),
                Some(*from),
            ),
            Fact::Known(Answer::Route(_), from) => {
                (format!("{route} by subscriber {who}"), Some(*from))
            }
            Fact::Failed(why) => (format!("{route}, the fallback: {why}"), None),
            Fact::Absent | Fact::Unknown => (
                format!("{route}, the fallback: subscriber {who} was not asked"),
                None,
            ),
        };
        self.seen.push(Seen {
            fact: "verdict",
            value: Some(Arc::from(text)),
            from,
            entry: None,
            within: None,
            note: None,
        });
    }
}
