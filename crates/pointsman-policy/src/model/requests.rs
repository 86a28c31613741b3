//! Which request of a policy is which.
//!
//! Invariant: each request of a body has a number of its own, by which a flow's answer to it is known. The same line
//! used twice (a tree within two others) is one request, so it is asked once.

use std::sync::Arc;

use super::node::{Node, each_node_mut};
use crate::answer::Answer;
use crate::fact::Fact;
use crate::ids::RequestId;
use crate::request::PlacedRequest;

/// Answers to the requests of one body, as answers to those of another: each goes to the same question, and is left
/// out where there is none or several, so that nobody takes it for an answer to another.
pub(super) fn carried(
    verdicts: &[(RequestId, Fact<Answer>)],
    from: &[PlacedRequest],
    to: &[PlacedRequest],
) -> Vec<(RequestId, Fact<Answer>)> {
    let alike = from.len() == to.len() && from.iter().zip(to).all(|(old, new)| old.is_as(new));
    if alike {
        return verdicts.to_vec();
    }
    let only = |all: &[PlacedRequest], asked: &PlacedRequest| {
        let mut places = (0..).zip(all).filter(|(_, other)| other.is_as(asked));
        let (at, _) = places.next()?;
        places.next().is_none().then_some(RequestId(at))
    };
    let carry = |(number, verdict): &(RequestId, Fact<Answer>)| {
        let asked = from.get(number.0 as usize)?;
        only(from, asked)?;
        Some((only(to, asked)?, verdict.clone()))
    };
    verdicts.iter().filter_map(carry).collect()
}

/// Numbers all requests of a body, and lists them by their number.
pub(super) fn number(nodes: &mut [Node]) -> Arc<[PlacedRequest]> {
    let mut found: Vec<PlacedRequest> = Vec::new();
    each_node_mut(nodes, &mut |node| {
        let Node::Request {
            request, origin, ..
        } = node
        else {
            return;
        };
        let known = found
            .iter()
            .position(|asked| asked.origin == *origin && asked.request.asks_as(request));
        let at = known.unwrap_or(found.len());
        request.number = RequestId(u32::try_from(at).unwrap_or(u32::MAX));
        if known.is_none() {
            found.push(PlacedRequest {
                request: request.clone(),
                origin: origin.clone(),
            });
        }
    });
    found.into()
}

#[cfg(test)]
mod tests;
