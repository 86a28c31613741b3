//! What a decision by a plain rule is made of, so that it is made without a look at the rule.
//!
//! A rule whose condition is nothing but a name, a range of addresses or ports holds as soon as the index found it by
//! that: ranges are exact, and of a name all 64 bits of its keyed fingerprint are compared, as in rule sets. Its card
//! tells the rest in a quarter of a cache line; the rule itself, its name and its text lie in three places more.
//!
//! Invariant: a card tells what visiting its rule would. Rules with other conditions, with a [`crate::model::Class`],
//! or with a text outside of the block have none.

use std::sync::Arc;

use crate::condition::{AddressOf, Condition, DomainTest};
use crate::decision::{Decision, Reason};
use crate::ids::OutboundId;
use crate::key::Key;
use crate::model::{Node, Rule};
use crate::origin::Origin;
use crate::rule_text::RuleText;
use crate::set::fingerprint;

/// How an index knows that a rule's key is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It does not: look at the rule.
    None,
    /// By a range that holds the value.
    Range,
    /// By half of a name's fingerprint; this is the other one.
    Name(u32),
}

/// The cards of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cards {
    /// By position; none where no rule has one.
    cards: Box<[Card]>,
    /// The text of the rules.
    block: Arc<str>,
    /// The files that rules stand in, each with the position of its first rule.
    files: Box<[(u32, Arc<str>)]>,
}

#[derive(Clone, Copy, Debug)]
struct Card {
    /// The lower half of a name's fingerprint.
    print: u32,
    line: u32,
    /// Where its text begins in the block, and how long it is.
    start: u32,
    length: u16,
    outbound: u16,
}

/// In the place of an outbound: no card.
const NO_CARD: u16 = u16::MAX;

impl Cards {
    pub(super) fn new(nodes: &[Node], key: Key) -> Self {
        let mut rules = nodes.iter().filter_map(|node| match node {
            Node::Rule(rule) => Some(rule),
            _ => None,
        });
        let Some(first) = rules.next() else {
            return Self::default();
        };
        let (block, ..) = first.origin.text.place();
        let mut files: Vec<(u32, Arc<str>)> = Vec::new();
        let mut any = false;
        let cards = (0..).zip(nodes).map(|(at, node)| {
            let Node::Rule(rule) = node else {
                return Card::NONE;
            };
            let file = &rule.origin.file;
            if files.last().is_none_or(|(_, last)| last != file) {
                files.push((at, Arc::clone(file)));
            }
            let card = Card::of(rule, block, key);
            any |= card.is_some();
            card.unwrap_or(Card::NONE)
        });
        let cards: Box<[Card]> = cards.collect();
        match any {
            true => Self {
                cards,
                block: Arc::clone(block),
                files: files.into(),
            },
            false => Self::default(),
        }
    }

    /// Reads the card of a rule that is likely to decide, so that it is there when other classes are looked up.
    #[inline]
    pub(crate) fn touch(&self, at: u32) {
        std::hint::black_box(self.cards.get(at as usize).map(|card| card.outbound));
    }

    /// The decision by the rule at that position; `None` where the rule has to be visited.
    #[inline]
    pub(crate) fn decision(&self, at: u32, proof: Proof) -> Option<Decision> {
        let card = match proof {
            Proof::None => return None,
            Proof::Range => self.cards.get(at as usize)?,
            Proof::Name(print) => {
                let card = self.cards.get(at as usize)?;
                if card.print != print {
                    return None;
                }
                card
            }
        };
        if card.outbound == NO_CARD {
            return None;
        }
        let behind = self.files.partition_point(|(first, _)| *first <= at);
        let (_, file) = self.files.get(behind.checked_sub(1)?)?;
        Some(Decision {
            outbound: Some(OutboundId(u32::from(card.outbound))),
            reason: Reason::Rule,
            rule: Some(Origin {
                file: Arc::clone(file),
                line: card.line,
                text: RuleText::part(&self.block, card.start, u32::from(card.length)),
            }),
            entry: None,
            class: None,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.cards) + size_of_val(&*self.files)
    }
}

impl Card {
    const NONE: Self = Self {
        print: 0,
        line: 0,
        start: 0,
        length: 0,
        outbound: NO_CARD,
    };

    fn of(rule: &Rule, block: &Arc<str>, key: Key) -> Option<Self> {
        let print = match &rule.condition {
            Condition::Address { of, .. } => match of {
                AddressOf::Destination | AddressOf::Source | AddressOf::Outgoing => 0,
                AddressOf::Either => return None,
            },
            Condition::Domain(DomainTest::Exact(name) | DomainTest::Suffix(name)) => {
                fingerprint(key, name.into()).0 as u32
            }
            Condition::Port { network: None, .. } => 0,
            _ => return None,
        };
        let outbound = u16::try_from(rule.outbound.0).ok()?;
        let (own, start, length) = rule.origin.text.place();
        let usable = rule.class.is_none() && outbound != NO_CARD && Arc::ptr_eq(own, block);
        usable.then_some(Self {
            print,
            line: rule.origin.line,
            start,
            length: u16::try_from(length).ok()?,
            outbound,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::{Asks, Side};
    use crate::domain::Domain;
    use crate::fact::Network;

    const KEY: Key = Key([1, 2]);

    #[test]
    fn a_card_tells_what_a_visit_would() {
        let block: Arc<str> = "abcdef".into();
        let name = Domain::parse("example.com").unwrap();
        let print = fingerprint(KEY, (&name).into()).0 as u32;
        let port = |network| Condition::Port {
            side: Side::Destination,
            ranges: vec![80..=81],
            network,
        };
        let address = |of| Condition::Address {
            of,
            prefix: "10.0.0.0/8".parse().unwrap(),
            asks: Asks::Never,
        };
        // The condition, the file, and by what proof it has a card.
        let conditions = [
            (Condition::Always, "a", Proof::None),
            (
                Condition::Domain(DomainTest::Suffix(name.clone())),
                "a",
                Proof::Name(print),
            ),
            (
                Condition::Domain(DomainTest::Exact(name)),
                "b",
                Proof::Name(print),
            ),
            (port(None), "b", Proof::Range),
            (port(Some(Network::Udp)), "b", Proof::None),
            (address(AddressOf::Source), "a", Proof::Range),
            (address(AddressOf::Either), "a", Proof::None),
        ];
        let rule = |(at, (condition, file, _)): (u32, &(Condition, &str, Proof))| Rule {
            condition: condition.clone(),
            outbound: OutboundId(10 + at),
            origin: Origin {
                file: (*file).into(),
                line: 100 + at,
                text: RuleText::part(&block, at.min(5), 1),
            },
            class: None,
        };
        let mut rules: Vec<Rule> = (0..).zip(&conditions).map(rule).collect();
        rules.push(Rule {
            origin: Origin {
                text: "elsewhere".into(),
                ..rules[3].origin.clone()
            },
            ..rules[3].clone()
        });
        let nodes: Vec<Node> = rules.iter().cloned().map(Node::Rule).collect();
        let cards = Cards::new(&nodes, KEY);
        for (at, (rule, (condition, _, proof))) in (0..).zip(rules.iter().zip(&conditions)) {
            let expected = (*proof != Proof::None).then(|| Decision {
                outbound: Some(rule.outbound),
                reason: Reason::Rule,
                rule: Some(rule.origin.clone()),
                entry: None,
                class: None,
            });
            assert_eq!(cards.decision(at, *proof), expected, "{condition:?}");
            assert_eq!(cards.decision(at, Proof::None), None);
            if expected.is_none() {
                assert_eq!(cards.decision(at, Proof::Range), None, "{condition:?}");
            }
        }
        assert_eq!(cards.decision(1, Proof::Name(!print)), None);
        assert_eq!(cards.decision(7, Proof::Range), None, "another block");
        assert_eq!(cards.decision(8, Proof::Range), None, "behind the last");
    }
}
