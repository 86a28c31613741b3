//! Requests whose answer nobody said: what would follow from each.

use pointsman_api::explain::{self as api, Outlook};
use pointsman_policy::fact::{Fact, Facts, Need, Provenance};
use pointsman_policy::request::{Answer, RequestId, Route};
use pointsman_policy::{OutboundId, settle};

use super::{Selection, World, way};
use crate::flow::{Query, Situation};
use crate::own::Listeners;
use crate::setup::Setup;

/// Those that were asked and not answered, in order. Later ones that an answer leads to get their fallback.
pub(super) fn unanswered(
    setup: &Setup,
    query: &Query,
    situation: &Situation<'_>,
    asked: &[Need],
    selection: &dyn Selection,
) -> Vec<api::Request> {
    let requests = asked.iter().filter_map(|need| match need {
        Need::Verdict(request) => Some(*request),
        _ => None,
    });
    let unsaid = requests.filter(|request| situation.verdict(query, *request).is_none());
    let told = unsaid.filter_map(|number| {
        let asked = situation.policy.body.request(number)?;
        let request = &asked.request;
        let outlook = |route: Route| {
            let decision = follow(setup, query, situation, (number, route), selection);
            Outlook {
                answer: route.as_str().to_owned(),
                decision,
            }
        };
        Some(api::Request {
            id: request.subscriber,
            text: asked.origin.text.to_string(),
            file: asked.origin.file.to_string(),
            line: asked.origin.line,
            timeout_s: request.timeout.as_secs(),
            suggested_route: request.suggested.as_str().to_owned(),
            fallback: request.fallback.as_str().to_owned(),
            answers: Route::ALL.map(outlook).into(),
        })
    });
    told.collect()
}

/// Where the flow goes with this answer.
fn follow(
    setup: &Setup,
    query: &Query,
    situation: &Situation<'_>,
    (number, route): (RequestId, Route),
    selection: &dyn Selection,
) -> api::Decision {
    let mut facts: Facts = situation.facts.clone();
    let answer = Fact::Known(Answer::Route(route), Provenance::Given);
    facts.answer(number, answer);
    let settled = settle(situation.policy, &mut facts, |need, facts| {
        situation.answer(setup, query, need, facts);
    });
    let world = World {
        selection,
        listeners: &Listeners::of(setup),
        dialled: &situation.dialled(setup, query, &facts),
    };
    let (_, way) = way(situation.policy, &facts, &settled.step, world);
    let name = |id: OutboundId| situation.policy.outbound(id).name.to_string();
    api::Decision {
        outbound: way.outbound.map(name),
        action: way.action,
        member: way.member.map(name),
        groups: way.groups.iter().copied().map(name).collect(),
    }
}
