//! `policy:`, `rules:` and `policies:`: trees and rule lists.
//!
//! Invariant: of `policy` and `rules` there is at most one; it is the policy of every inbound that
//! names no other. A named tree is also a word that other trees may use.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_policy::condition::Concerns;
use pointsman_policy::geo::GeoDatabases;
use pointsman_policy::model::{DomainOrder, OnUnknown, Origin, OutboundInfo, each_node};
use pointsman_policy::zone::Zones;
use pointsman_policy::{Condition, Node as PolicyNode, OutboundId, Policy};

use super::list_files::plain_keys;
use super::rule_sets::{NativeScope, RuleSets};
use super::{first_line, given, named};
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Source, Span, nearest};
use crate::rule_list::{Fallback, RuleLists};
use crate::setup::PolicyId;
use crate::tree::{self, Ast, Expansion, Lists, LowerContext};
use crate::value;
use crate::yaml::{Keys, Node, Value};

/// The name of the policy that `policy:` or `rules:` gives.
const MAIN: &str = "main";

/// The policies as they stand in the file.
pub(super) struct PolicyKeys<'a> {
    main: Option<(Language, &'a Node)>,
    named: Vec<(&'a str, &'a Span, &'a Node)>,
    ip_rules_resolve: bool,
    domain_order: DomainOrder,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    Rules,
    Tree,
}

impl<'a> PolicyKeys<'a> {
    /// Takes the keys.
    pub(super) fn take(keys: &mut Keys<'a>, problems: &mut Problems) -> Self {
        let tree = keys.take_pair("policy");
        let rules = keys.take_pair("rules");
        let main = match (tree, rules) {
            (Some((_, tree)), None) => Some((Language::Tree, tree)),
            (None, Some((_, rules))) => Some((Language::Rules, rules)),
            (Some((first, tree)), Some((second, _))) => {
                let message = "the main policy is given by `policy` or by `rules`, not by both";
                problems
                    .error("conflicting-keys", &second.span, message)
                    .related = Some((first.span.clone(), "the other is here".into()));
                Some((Language::Tree, tree))
            }
            (None, None) => None,
        };
        let ip_rules_resolve = given(keys, "ip_rules_resolve")
            .and_then(|node| node.boolean("`ip_rules_resolve`", problems));
        let words = DomainOrder::ALL.map(|order| (order.as_str(), order));
        let domain_order = given(keys, "domain_order")
            .and_then(|node| value::choice(node, "`domain_order`", &words, problems));
        Self {
            main,
            named: named(keys.take("policies"), "`policies`", problems),
            ip_rules_resolve: ip_rules_resolve.unwrap_or(false),
            domain_order: domain_order.unwrap_or_default(),
        }
    }

    /// Whether one of them is a rule list, in which the built-in outbounds are upper case.
    pub(super) fn has_rules(&self) -> bool {
        let main = matches!(self.main, Some((Language::Rules, _)));
        main || self
            .named
            .iter()
            .any(|(_, _, node)| language(node) == Language::Rules)
    }

    /// Lowers all; names of outbounds and rule sets are known by now.
    pub(super) fn lower(
        &self,
        outbounds: &Outbounds,
        rule_sets: &RuleSets,
        databases: &GeoDatabases,
        problems: &mut Problems,
    ) -> Policies {
        let mut trees: BTreeMap<String, Ast> = BTreeMap::new();
        let mut policies = Policies {
            domain_order: self.domain_order,
            ..Policies::default()
        };
        for (name, span, node) in &self.named {
            if *name == MAIN && self.main.is_some() {
                let message = "`main` is the policy that `policy` or `rules` gives";
                problems.error("reserved-name", span, message);
            }
            if language(node) == Language::Tree
                && let Some(tree) = tree::parse_block(node, "a policy", problems)
            {
                trees.insert((*name).to_owned(), tree);
            }
        }
        let lowerer = Lowerer {
            written: self,
            outbounds,
            rule_sets,
            databases,
            trees: &trees,
        };
        let mut expansion = Expansion::default();
        if let Some((language, node)) = self.main {
            let body = match language {
                Language::Rules => lowerer.rules(node, problems),
                Language::Tree => {
                    let tree = tree::parse_block(node, "`policy`", problems);
                    let body = tree.and_then(|tree| {
                        tree::lower(&tree, &lowerer.context(), &mut expansion, problems)
                    });
                    lowerer.with_databases(node, body, problems)
                }
            };
            policies.main = policies.add(MAIN, body);
        }
        for (name, _, node) in &self.named {
            let body = match language(node) {
                Language::Rules => lowerer.rules(node, problems),
                Language::Tree => {
                    let context = lowerer.context();
                    let body = tree::lower_named(name, &context, &mut expansion, problems);
                    lowerer.with_databases(node, body, problems)
                }
            };
            policies.add(name, body);
        }
        policies
    }
}

/// The files that the items of a list come from.
fn sources(node: &Node) -> Vec<Arc<Source>> {
    let mut found = vec![Arc::clone(&node.span.source)];
    if let Value::List(items) = &node.value {
        for item in items {
            let source = &item.span.source;
            // Items of a file stand together.
            if !found.last().is_some_and(|last| Arc::ptr_eq(last, source)) {
                found.retain(|known| !Arc::ptr_eq(known, source));
                found.push(Arc::clone(source));
            }
        }
    }
    found
}

fn language(node: &Node) -> Language {
    match node.value {
        Value::List(_) => Language::Rules,
        Value::Map(_) | Value::Scalar(..) => Language::Tree,
    }
}

/// The line that an origin names, without its indentation; where it stands in another file than the
/// policy, the policy's first one.
pub(super) fn line(policy: &Span, origin: &Origin) -> Span {
    let source = &policy.source;
    let before = (origin.line as usize).checked_sub(1);
    let mut lines = source.text.split_inclusive('\n');
    let (Some(before), true) = (before, policy.file() == &origin.file) else {
        return first_line(policy);
    };
    let start: usize = lines.by_ref().take(before).map(str::len).sum();
    let text = lines.next().unwrap_or_default();
    let indentation = text.len() - text.trim_start().len();
    source.span(start + indentation, start + text.trim_end().len())
}

struct Lowerer<'a> {
    written: &'a PolicyKeys<'a>,
    outbounds: &'a Outbounds,
    rule_sets: &'a RuleSets,
    databases: &'a GeoDatabases,
    trees: &'a BTreeMap<String, Ast>,
}

impl Lowerer<'_> {
    fn context(&self) -> LowerContext<'_> {
        LowerContext {
            outbounds: self.outbounds,
            lists: Lists::Sets(&self.rule_sets.names),
            trees: self.trees,
            concerns: Concerns::Flows,
            upstreams: &[],
        }
    }

    /// The body of a tree; tells of a database that it asks and that is not there.
    fn with_databases(
        &self,
        node: &Node,
        body: Option<Vec<PolicyNode>>,
        problems: &mut Problems,
    ) -> Option<Vec<PolicyNode>> {
        let body = body?;
        let has = (self.databases.has_country(), self.databases.has_asn());
        if let Some((origin, key)) = lacks(&body, has) {
            let message = format!("`{}` needs `{key}`", origin.text);
            let place = line(&node.span, origin);
            problems.error("missing-database", &place, message).hint =
                Some(format!("set `{key}` to a file in MaxMind's format"));
        }
        Some(body)
    }

    fn rules(&self, node: &Node, problems: &mut Problems) -> Option<Vec<PolicyNode>> {
        let find = |name: &str, span: &Span, problems: &mut Problems| {
            // Rule lists write the built-in names in any case.
            let upper = name.to_ascii_uppercase();
            match upper.as_str() {
                "DIRECT" | "RESET" | "REJECT" | "BLACKHOLE" => self
                    .outbounds
                    .find(name)
                    .or_else(|| self.outbounds.find(&upper)),
                _ => self.outbounds.resolve(name, span, problems),
            }
        };
        let lists = RuleLists {
            outbound: &find,
            scope: &NativeScope {
                rule_sets: self.rule_sets,
                databases: self.databases,
                ip_rules_resolve: self.written.ip_rules_resolve,
                concerns: Concerns::Flows,
                upstreams: &[],
            },
            sets: &self.rule_sets.sets,
        };
        let mut own = problems.apart();
        let body = lists.read(node, "the rule list", Fallback::Required, &mut own);
        for source in sources(node) {
            lists.note_blind_rules(&body, false, &source, &mut own);
        }
        plain_keys(&mut own);
        let failed = own.has_errors();
        problems.absorb(own);
        (!failed).then_some(body)
    }
}

/// The first step that asks a database that is not there, and the key that would give it.
fn lacks(steps: &[PolicyNode], has: (bool, bool)) -> Option<(&Origin, &'static str)> {
    let mut found = None;
    each_node(steps, &mut |step| {
        let key = step.condition().and_then(|it| asks_for(it, has));
        found = found.or_else(|| step.origin().zip(key));
    });
    found
}

fn asks_for(condition: &Condition, has: (bool, bool)) -> Option<&'static str> {
    let mut key = None;
    condition.each_test(&mut |test| {
        let lacking = match test {
            Condition::Country(..) if !has.0 => Some("geoip_db"),
            Condition::Asn(..) if !has.1 => Some("asn_db"),
            _ => None,
        };
        key = key.or(lacking);
    });
    key
}

/// The bodies that were lowered.
#[derive(Default)]
pub(super) struct Policies {
    /// The main one.
    pub(super) main: Option<PolicyId>,
    /// Whether one could not be lowered; then nothing more is said of policies that lack.
    pub(super) broken: bool,
    bodies: Vec<(Arc<str>, Vec<PolicyNode>)>,
    domain_order: DomainOrder,
}

impl Policies {
    fn add(&mut self, name: &str, body: Option<Vec<PolicyNode>>) -> Option<PolicyId> {
        self.broken |= body.is_none();
        self.bodies.push((name.into(), body.unwrap_or_default()));
        Some(PolicyId(self.bodies.len() - 1))
    }

    /// The steps of a policy.
    pub(super) fn body(&self, id: PolicyId) -> &[PolicyNode] {
        self.bodies.get(id.0).map_or(&[], |(_, body)| body)
    }

    /// The policy that an inbound names.
    pub(super) fn find(&self, node: &Node, problems: &mut Problems) -> Option<PolicyId> {
        let name = value::name(node, "`policy`", problems)?;
        let found = self.bodies.iter().position(|(n, _)| &**n == name);
        if found.is_none() {
            let message = format!("there is no policy `{name}`");
            let known = self.bodies.iter().map(|(name, _)| &**name);
            problems.error("unknown-policy", &node.span, message).hint =
                nearest(name, known).map(|near| format!("did you mean `{near}`?"));
        }
        found.map(PolicyId)
    }

    /// Whole policies, by [`PolicyId`].
    pub(super) fn finish(
        &mut self,
        outbounds: &Arc<[OutboundInfo]>,
        direct: OutboundId,
        rule_sets: &RuleSets,
        databases: &Arc<GeoDatabases>,
        on_unknown: OnUnknown,
    ) -> Vec<Arc<Policy>> {
        let zones: Arc<Zones> = Arc::default();
        let bodies = self.bodies.drain(..).map(|(name, body)| Policy {
            name,
            outbounds: Arc::clone(outbounds),
            direct,
            body: body.into(),
            sets: Arc::clone(&rule_sets.sets),
            zones: Arc::clone(&zones),
            databases: Arc::clone(databases),
            domain_order: self.domain_order,
            on_unknown,
        });
        bodies.map(Arc::new).collect()
    }
}
