//! `.REQUEST`: somebody outside is asked, and the answer decides.

use std::time::Duration;

use pointsman_policy::OutboundId;
use pointsman_policy::model::Node as PolicyNode;
use pointsman_policy::request::{Request, Route};

use super::List;
use crate::problem::Problems;
use crate::value::parse_duration;
use crate::yaml::{KeyStyle, Node};

impl List<'_, '_> {
    pub(super) fn request(
        &self,
        key: &Node,
        value: &Node,
        steps: &mut Vec<PolicyNode>,
        problems: &mut Problems,
    ) {
        let mut keys = value.keys("`.REQUEST`", KeyStyle::KebabIsSnake, problems);
        let id = keys.require("id", problems);
        let matches = keys.require("matches", problems);
        let timeout = keys.take("timeout");
        let suggested = keys.take("request_route");
        let fallback = keys.take("fallback");
        keys.finish(problems);
        let id = id.and_then(|node| node.number("`id`", 0..=i64::from(u32::MAX), problems));
        let found = matches.and_then(|node| self.condition(node, problems));
        let refusal = |name, problems: &mut _| (self.lists.outbound)(name, &key.span, problems);
        let refusals = (refusal("REJECT", problems), refusal("BLACKHOLE", problems));
        let mut request = Request::new(
            id.and_then(|id| u32::try_from(id).ok()).unwrap_or(0),
            refusals.0.unwrap_or(OutboundId(0)),
            refusals.1.unwrap_or(OutboundId(0)),
        );
        if let Some(node) = timeout
            && let Some(text) = node.text("`timeout`", problems)
        {
            match request_timeout(text) {
                Ok(timeout) => request.timeout = timeout,
                Err(why) => {
                    problems.error("invalid-value", &node.span, why);
                }
            }
        }
        for (node, what, route) in [
            (suggested, "`request-route`", &mut request.suggested),
            (fallback, "`fallback`", &mut request.fallback),
        ] {
            if let Some(found) = node.and_then(|node| self::route(node, what, problems)) {
                *route = found;
            }
        }
        if let (Some(_), Some((condition, text)), (Some(_), Some(_))) = (id, found, refusals) {
            steps.push(PolicyNode::Request {
                condition,
                request,
                origin: self.origin(&key.span, &format!(".REQUEST: {text}")),
            });
        }
    }
}

/// The longest that a flow may wait for an answer.
const LONGEST: Duration = Duration::from_hours(1);

/// How long a request waits: seconds, or a number with its unit. Whole seconds, from one to an hour.
pub(crate) fn request_timeout(text: &str) -> Result<Duration, String> {
    let unit = if text.ends_with(|c: char| c.is_ascii_digit()) {
        "s"
    } else {
        ""
    };
    let timeout = parse_duration(&format!("{text}{unit}")).map_err(|why| why.to_string())?;
    let whole = timeout.subsec_nanos() == 0;
    if whole && (Duration::from_secs(1)..=LONGEST).contains(&timeout) {
        Ok(timeout)
    } else {
        Err(format!("`{text}`: from 1 s to an hour, in whole seconds"))
    }
}

fn route(node: &Node, what: &str, problems: &mut Problems) -> Option<Route> {
    let text = node.text(what, problems)?;
    let route = Route::of(text);
    if route.is_none() {
        let message = format!("{what}: `{text}` is none of CONTINUE, REJECT, BLACKHOLE");
        problems.error("invalid-value", &node.span, message);
    }
    route
}
