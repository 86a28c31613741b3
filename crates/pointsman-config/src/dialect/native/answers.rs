//! `dns.answers`: rules that are looked at when an answer has come.
//!
//! Invariant: an answer that no rule speaks of is given as it came. Without the key each name that an answer leads to is
//! looked at as the rules look at the name that was asked for: those that answer by themselves hold of it, too, and one
//! that sends a name to somebody before them lets its answers pass.

use pointsman_policy::condition::AnswerTest;
use pointsman_policy::model::{Arm, Rule};
use pointsman_policy::{Condition, Node as PolicyNode, OutboundId};

/// What stands for rules on answers where there are none; `None` where no rule that answers by itself looks at a rule set.
pub(super) fn usual(
    rules: &[PolicyNode],
    answers: &dyn Fn(OutboundId) -> bool,
    pass: OutboundId,
) -> Option<Vec<PolicyNode>> {
    let mirror = Mirror { answers, pass };
    let last = rules.iter().rposition(|node| mirror.blocks_sets(node))?;
    Some(
        rules
            .iter()
            .take(last + 1)
            .map(|node| mirror.node(node))
            .collect(),
    )
}

/// Whether a condition can hold of no answer without an alias.
pub(super) fn needs_alias(condition: &Condition) -> bool {
    match condition {
        Condition::Answer(AnswerTest::AliasIn(_) | AnswerTest::AliasUnder(_))
        | Condition::Never => true,
        Condition::And(parts) => parts.iter().any(needs_alias),
        Condition::Or(parts) => parts.iter().all(needs_alias),
        _ => false,
    }
}

struct Mirror<'a> {
    /// Whether an end answers by itself.
    answers: &'a dyn Fn(OutboundId) -> bool,
    pass: OutboundId,
}

impl Mirror<'_> {
    /// Whether a step answers by itself what a rule set holds.
    fn blocks_sets(&self, node: &PolicyNode) -> bool {
        match node {
            PolicyNode::Rule(rule) => {
                (self.answers)(rule.outbound) && looks_at_sets(&rule.condition)
            }
            PolicyNode::When {
                condition,
                then,
                otherwise,
                ..
            } => {
                let own = self.is_answer(then) && looks_at_sets(condition);
                let otherwise = otherwise.as_deref();
                own || self.blocks_sets(then) || otherwise.is_some_and(|it| self.blocks_sets(it))
            }
            other => other.children().any(|inner| self.blocks_sets(inner)),
        }
    }

    fn is_answer(&self, node: &PolicyNode) -> bool {
        matches!(node, PolicyNode::Leaf { outbound, .. } if (self.answers)(*outbound))
    }

    fn end(&self, end: OutboundId) -> OutboundId {
        if (self.answers)(end) { end } else { self.pass }
    }

    fn all(&self, nodes: &[PolicyNode]) -> Vec<PolicyNode> {
        nodes.iter().map(|node| self.node(node)).collect()
    }

    fn node(&self, node: &PolicyNode) -> PolicyNode {
        match node {
            PolicyNode::Any(nodes) => PolicyNode::Any(self.all(nodes)),
            PolicyNode::Leaf { outbound, origin } => PolicyNode::Leaf {
                outbound: self.end(*outbound),
                origin: origin.clone(),
            },
            PolicyNode::Rule(rule) => PolicyNode::Rule(Rule {
                condition: match (self.answers)(rule.outbound) {
                    true => of_aliases(&rule.condition),
                    false => rule.condition.clone(),
                },
                outbound: self.end(rule.outbound),
                ..rule.clone()
            }),
            PolicyNode::When {
                condition,
                then,
                otherwise,
                origin,
            } => PolicyNode::When {
                condition: match self.is_answer(then) {
                    true => of_aliases(condition),
                    false => condition.clone(),
                },
                then: Box::new(self.node(then)),
                otherwise: otherwise.as_deref().map(|it| Box::new(self.node(it))),
                origin: origin.clone(),
            },
            PolicyNode::Sub {
                condition,
                body,
                origin,
            } => PolicyNode::Sub {
                condition: condition.clone(),
                body: self.all(body),
                origin: origin.clone(),
            },
            PolicyNode::Select(select) => {
                let mut select = select.clone();
                for Arm { then, .. } in &mut select.arms {
                    *then = self.node(then);
                }
                PolicyNode::Select(select)
            }
            // Whoever is told or asked was it of the query; of an answer nothing is looked up.
            PolicyNode::Instrument { .. } | PolicyNode::Request { .. } | PolicyNode::Resolve(_) => {
                PolicyNode::Any(Vec::new())
            }
        }
    }
}

/// Whether a condition looks for the name in a rule set, so that it holds where that does.
fn looks_at_sets(condition: &Condition) -> bool {
    match condition {
        Condition::Set(..) => true,
        Condition::And(parts) | Condition::Or(parts) => parts.iter().any(looks_at_sets),
        _ => false,
    }
}

/// The condition with the names that the answer leads to in the place of the one that was asked for.
fn of_aliases(condition: &Condition) -> Condition {
    let all = |parts: &[Condition]| parts.iter().map(of_aliases).collect();
    match condition {
        Condition::Set(id, _) => Condition::Answer(AnswerTest::AliasIn(*id)),
        Condition::And(parts) => Condition::And(all(parts)),
        Condition::Or(parts) => Condition::Or(all(parts)),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use crate::setup::DnsEnd;

    /// What stands for `rules`, printed, and whether answers without aliases are looked at.
    fn usual_of(rules: &str) -> Option<(String, bool)> {
        let text = format!(
            "version: 1\nrule_sets: {{ ads: {{ domains: [ads.test] }}, good: {{ domains: [good.test] }} }}\npolicy: direct\n\
             dns:\n  listen: 'udp://127.0.0.1:53'\n  upstreams: {{ isp: 'udp://192.0.2.1' }}\n{rules}"
        );
        let setup = super::super::tests::read(&text).setup.unwrap();
        let what = setup.dns.unwrap().what;
        assert_eq!(what.ends.last(), Some(&DnsEnd::Pass));
        let answers = what.answers?;
        let text = crate::tree::print::as_tree(&answers.policy);
        Some((text, answers.only_aliases))
    }

    #[test]
    fn names_behind_a_name_are_blocked_as_it_is() {
        let check = |rules: &str, expected: Option<&str>| {
            let told = usual_of(rules);
            let told = told.as_ref().map(|(text, only)| {
                assert!(only);
                text.as_str()
            });
            assert_eq!(told, expected, "{rules}");
        };
        check("", None);
        check("  rules: ['DOMAIN, x.test, zero', 'FALLBACK, isp']\n", None);
        check(
            "  rules: ['NOT, [RULE-SET, good], zero', 'FALLBACK, isp']\n",
            None,
        );
        check(
            "  rules: ['DOMAIN-SUFFIX, ok.test, isp', 'AND, [RULE-SET, ads], [DNS-TYPE, A], zero', 'RULE-SET, good, isp', 'FALLBACK, isp']\n",
            Some(
                "any [\n  cond domain under ok.test => pass\n  cond answer.alias in ads and dns.type eq A => zero\n]\n",
            ),
        );
        check(
            "  policy: |\n    any [\n      cond source in 10.0.0.0/8 => any [\n        cond set ads => nxdomain\n        isp\n      ]\n      isp\n    ]\n",
            Some(
                "cond source in 10.0.0.0/8 => any [\n  cond answer.alias in ads => nxdomain\n  pass\n]\n",
            ),
        );
    }

    #[test]
    fn what_needs_an_alias_is_told() {
        let only = |answers: &str| usual_of(&format!("  answers: [{answers}]\n")).unwrap().1;
        assert!(only("'ANSWER-ALIAS, ads, nxdomain', 'FALLBACK, pass'"));
        assert!(only(
            "'AND, [ANSWER-IP, 10.0.0.0/8], [ANSWER-ALIAS, x.test], zero'"
        ));
        assert!(!only(
            "'OR, [ANSWER-IP, 10.0.0.0/8], [ANSWER-ALIAS, x.test], zero'"
        ));
        assert!(!only("'ANSWER-ALIAS, ads, nxdomain', 'FALLBACK, zero'"));
    }
}
