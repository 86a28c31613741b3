//! The steps of a policy, and what is derived from them.
//!
//! Invariant: what is derived belongs to these steps: other steps are another body.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::node::{Node, each_origin, each_origin_mut};
use super::requests;
use crate::answer::Answer;
use crate::fact::Fact;
use crate::ids::RequestId;
use crate::key::Key;
use crate::plan::{self, Plan};
use crate::request::PlacedRequest;
use crate::rule_text::{Block, RuleText};

/// The steps of a policy, shared by its generations. Immutable: other steps are another body, so
/// that what is derived from the steps can never belong to others.
#[derive(Clone, Default)]
pub struct Body {
    nodes: Arc<[Node]>,
    plan: Option<Arc<Plan>>,
    requests: Arc<[PlacedRequest]>,
}

impl Body {
    /// Makes the plan by which decisions cost the same however many rules there are. `key` is that of this load's
    /// fingerprints.
    pub fn compile(&mut self, key: Key) {
        Self::compile_all(&mut [self], key);
    }

    /// As [`Self::compile`] of each. Before that, the texts of all their rules are laid into one block: of rules that
    /// shared a text, all share it still.
    pub fn compile_all(bodies: &mut [&mut Self], key: Key) {
        Self::compile_with(bodies, key, plan::SHORTEST);
    }

    /// As [`Self::compile`], also for lists of as few rules as `shortest`: so that tests meet plans.
    #[doc(hidden)]
    pub fn compile_lists(&mut self, key: Key, shortest: usize) {
        Self::compile_with(&mut [self], key, shortest);
    }

    fn compile_with(bodies: &mut [&mut Self], key: Key, shortest: usize) {
        let mut texts = Texts::default();
        for body in &*bodies {
            each_origin(&body.nodes, &mut |origin| texts.add(&origin.text));
        }
        let block = texts.block.finish();
        for body in bodies {
            each_origin_mut(Arc::make_mut(&mut body.nodes), &mut |origin| {
                if let Some(start) = texts.starts.get(&place(&origin.text)) {
                    origin.text = RuleText::part(&block, *start, origin.text.len() as u32);
                }
            });
            body.plan = Plan::of_list(&body.nodes, key, shortest).map(Arc::new);
        }
    }

    /// Bytes that the plan takes, the automata of regular expressions left out; 0 where there is none.
    #[must_use]
    pub fn plan_bytes(&self) -> usize {
        self.plan.as_ref().map_or(0, |plan| plan.bytes())
    }

    pub(crate) fn plan(&self) -> Option<&Plan> {
        self.plan.as_deref()
    }

    /// All requests, by number.
    #[must_use]
    pub fn requests(&self) -> &[PlacedRequest] {
        &self.requests
    }

    /// The request of that number; `None` where it is another body's.
    #[must_use]
    pub fn request(&self, number: RequestId) -> Option<&PlacedRequest> {
        self.requests.get(number.0 as usize)
    }

    /// Answers to the requests of `from`, as answers to the same ones here; those to others are left out.
    #[must_use]
    pub fn carried(
        &self,
        verdicts: &[(RequestId, Fact<Answer>)],
        from: &Self,
    ) -> Vec<(RequestId, Fact<Answer>)> {
        requests::carried(verdicts, &from.requests, &self.requests)
    }

    /// In order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

impl From<Vec<Node>> for Body {
    fn from(mut nodes: Vec<Node>) -> Self {
        let requests = requests::number(&mut nodes);
        Self {
            nodes: nodes.into(),
            plan: None,
            requests,
        }
    }
}

impl Deref for Body {
    type Target = [Node];

    fn deref(&self) -> &[Node] {
        &self.nodes
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&*self.nodes).finish()
    }
}

/// Texts on their way into one block.
#[derive(Default)]
struct Texts {
    block: Block,
    starts: HashMap<(usize, usize), u32>,
}

impl Texts {
    fn add(&mut self, text: &RuleText) {
        let place = place(text);
        if !self.starts.contains_key(&place)
            && let Some(start) = self.block.add(text)
        {
            self.starts.insert(place, start);
        }
    }
}

fn place(text: &RuleText) -> (usize, usize) {
    (text.address(), text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Condition;
    use crate::model::{Origin, OutboundId, Rule};

    #[test]
    fn texts_that_were_shared_stay_shared() {
        let leaf = |text: &RuleText| Node::Leaf {
            outbound: OutboundId(0),
            origin: Origin {
                text: text.clone(),
                ..Origin::default()
            },
        };
        let (shared, own) = (RuleText::from("same"), RuleText::from("same"));
        let condition = Condition::Always;
        let rule = Node::Rule(Rule {
            condition: condition.clone(),
            outbound: OutboundId(0),
            origin: Origin {
                text: "other".into(),
                ..Origin::default()
            },
            class: None,
        });
        let within = Node::When {
            condition,
            then: Box::new(leaf(&shared)),
            otherwise: Some(Box::new(leaf(&own))),
            origin: Origin::default(),
        };
        let mut first = Body::from(vec![leaf(&shared), rule]);
        let mut second = Body::from(vec![within]);
        Body::compile_all(&mut [&mut first, &mut second], Key::default());
        let mut texts = Vec::new();
        for body in [&first, &second] {
            each_origin(body, &mut |origin| texts.push(origin.text.clone()));
        }
        let read: Vec<&str> = texts.iter().map(|text| &**text).collect();
        assert_eq!(read, ["same", "other", "", "same", "same"]);
        assert_eq!(texts[0].address(), texts[3].address());
        assert_ne!(texts[0].address(), texts[4].address());
        let block = |text: &RuleText| Arc::as_ptr(text.place().0).cast::<u8>();
        assert!(texts.iter().all(|text| block(text) == block(&texts[0])));
    }
}
