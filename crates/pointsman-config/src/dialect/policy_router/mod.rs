//! The policy-router dialect: TOML with egresses, app rules and domain rules.
//!
//! Invariant: the body of the policy stands in the fixed order (block, domain rules, app rules,
//! default; inside a step by kind, then by egress id, then as listed), one rule for each pattern.
//! Deliberately absent: inbounds, for this dialect knows none; it gets the default mixed one.

mod egress;
mod overlap;
mod toml;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::condition::{DomainTest, TextField, TextTest};
use pointsman_policy::fact::InboundKind;
use pointsman_policy::geo::GeoDatabases;
use pointsman_policy::model::{Class, DomainOrder, OnUnknown, Origin, Rule, Source as Step};
use pointsman_policy::zone::Zones;
use pointsman_policy::{Condition, Domain, Node as PolicyNode, OutboundId, Policy, base_name};
use pointsman_spec::outbound;

use crate::input::Input;
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Span, nearest};
use crate::setup::{
    AskSpec, Bootstrap, CacheLimits, DataFiles, DatagramLimits, Dialect, History, Inbound, Log,
    PolicyId, Refusal, Setup, SniffLimits, Timeouts,
};
use crate::yaml::{KeyStyle, Node, Style, Value};

/// Reads a configuration of this dialect; pushes every problem.
pub fn read(input: &Input<'_>, problems: &mut Problems) -> Option<Setup> {
    let root = toml::parse(&input.source, problems)?;
    let mut keys = root.keys("the configuration", KeyStyle::Exact, problems);
    let defaults = keys.require("defaults", problems);
    let egress = keys.require("egress", problems);
    let rules = keys.require("rules", problems);
    keys.finish(problems);

    let mut reader = Reader::default();
    reader.egresses(egress, problems);
    let default = defaults.and_then(|node| reader.default_egress(node, problems));
    if let Some(rules) = rules.filter(|rules| !is_of_later_releases(rules, problems)) {
        let mut keys = rules.keys("`rules`", KeyStyle::Exact, problems);
        let (app, domain) = (keys.take("app"), keys.take("domain"));
        keys.finish(problems);
        reader.rules(app, Dimension::App, problems);
        reader.rules(domain, Dimension::Domain, problems);
    }
    if problems.has_errors() {
        return None;
    }
    overlap::warn(&reader.patterns, &reader.egresses, problems);
    Some(reader.setup(input, default?))
}

/// Tells of rules as a list of tables, which releases after the documented one have.
fn is_of_later_releases(rules: &Node, problems: &mut Problems) -> bool {
    let list = matches!(rules.value, Value::List(_));
    if list {
        let message = "`[[rules]]`, a list, is of later releases of policy-router, and not read";
        problems
            .error("wrong-type", &rules.span, message)
            .hint = Some(
            "write `[rules.app]` and `[rules.domain]` with `EGRESS = [\"pattern\"]`, or a native configuration, whose \
             `rules` are a list, too"
                .into(),
        );
    }
    list
}

/// What is being read.
#[derive(Default)]
struct Reader {
    egresses: Vec<Egress>,
    by_name: HashMap<String, usize>,
    patterns: Vec<Pattern>,
}

/// `[egress.NAME]`.
struct Egress {
    name: Arc<str>,
    kind: EgressKind,
    outbound: outbound::Kind,
    span: Span,
}

/// The kinds of egress, in the order in which their rules are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum EgressKind {
    Block,
    Singbox,
    Socks5,
    Direct,
}

/// What a list of patterns is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Dimension {
    App,
    Domain,
}

/// One pattern of one list.
struct Pattern {
    dimension: Dimension,
    egress: usize,
    /// As written, trimmed.
    text: Arc<str>,
    folded: Folded,
    span: Span,
}

/// A pattern as it is compared.
enum Folded {
    App(Arc<str>),
    Domain(Domain),
}

impl Reader {
    fn egresses(&mut self, node: Option<&Node>, problems: &mut Problems) {
        for (key, value) in node.map_or(&[][..], |node| node.map("`egress`", problems)) {
            let name = key.scalar().unwrap_or_default();
            // An egress that is broken is still declared: rules that name it are not wrong.
            let (kind, outbound) = egress::read(name, key, value, problems)
                .unwrap_or((EgressKind::Direct, outbound::Kind::Refuse(Refusal::Reject)));
            self.by_name.insert(name.to_owned(), self.egresses.len());
            self.egresses.push(Egress {
                name: name.into(),
                kind,
                outbound,
                span: key.span.clone(),
            });
        }
    }

    fn default_egress(&self, node: &Node, problems: &mut Problems) -> Option<(usize, Span)> {
        let mut keys = node.keys("`defaults`", KeyStyle::Exact, problems);
        let egress = keys.require("egress", problems);
        keys.finish(problems);
        let egress = egress?;
        let name = text(egress, "`defaults.egress`", problems)?;
        Some((
            self.find(name, &egress.span, problems)?,
            egress.span.clone(),
        ))
    }

    fn find(&self, name: &str, span: &Span, problems: &mut Problems) -> Option<usize> {
        if let Some(found) = self.by_name.get(name) {
            return Some(*found);
        }
        let known: Vec<&str> = self.egresses.iter().map(|egress| &*egress.name).collect();
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("declared: {}", known.join(", ")),
        };
        let message = format!("there is no egress `{name}`");
        problems.error("unknown-outbound", span, message).hint = Some(hint);
        None
    }

    fn rules(&mut self, node: Option<&Node>, dimension: Dimension, problems: &mut Problems) {
        let what = format!("`rules.{}`", dimension.as_str());
        for (key, list) in node.map_or(&[][..], |node| node.map(&what, problems)) {
            let name = key.scalar().unwrap_or_default();
            let egress = self.find(name, &key.span, problems);
            let what = format!("`rules.{}.{name}`", dimension.as_str());
            for item in list.list(&what, problems) {
                let Some(raw) = text(item, "a pattern", problems) else {
                    continue;
                };
                let Some(folded) = fold(dimension, raw, &item.span, problems) else {
                    continue;
                };
                let Some(egress) = egress else { continue };
                self.patterns.push(Pattern {
                    dimension,
                    egress,
                    text: raw.trim().into(),
                    folded,
                    span: item.span.clone(),
                });
            }
        }
    }

    fn setup(mut self, input: &Input<'_>, default: (usize, Span)) -> Setup {
        let (outbounds, ids, direct) = self.outbounds();
        let (outbounds, infos) = outbounds.finish();
        let file = &input.source.file;
        // Stable: inside one egress the order of the list stays.
        let egresses = &self.egresses;
        self.patterns.sort_by_key(|pattern| {
            let egress = &egresses[pattern.egress];
            (
                step(pattern.dimension, egress.kind),
                egress.kind,
                Arc::clone(&egress.name),
            )
        });
        let mut body: Vec<PolicyNode> = self
            .patterns
            .iter()
            .map(|pattern| {
                let egress = &self.egresses[pattern.egress];
                PolicyNode::Rule(rule(pattern, egress, ids[pattern.egress], file))
            })
            .collect();
        let (default, place) = default;
        body.push(PolicyNode::Leaf {
            outbound: ids[default],
            origin: Origin {
                file: Arc::clone(file),
                line: place.line(),
                text: format!("default egress = {:?}", &*self.egresses[default].name).into(),
            },
        });
        let policy = Policy {
            name: "main".into(),
            outbounds: infos,
            direct,
            body: body.into(),
            sets: Arc::default(),
            zones: Arc::new(Zones::default()),
            databases: Arc::new(GeoDatabases::default()),
            domain_order: DomainOrder::Native,
            on_unknown: OnUnknown::Skip,
        };
        Setup {
            lists: Vec::new(),
            dialect: Dialect::PolicyRouter,
            directory: input.directory.clone(),
            files: vec![input.path.clone()],
            inbounds: vec![default_inbound(&input.source.span(0, 0))],
            outbounds,
            forwards: Vec::new(),
            policies: vec![Arc::new(policy)],
            resolvers: Vec::new(),
            server_resolver: None,
            asks: AskSpec::default(),
            bootstrap: Bootstrap::default(),
            dns: None,
            cache: CacheLimits::default(),
            log: Log::default(),
            access_log: None,
            history: History::default(),
            watch: true,
            // Downloads end in peace, and a service manager's own limit (90 s) is not reached.
            shutdown_grace: Duration::from_secs(10),
            sniff: SniffLimits::default(),
            timeouts: Timeouts::default(),
            datagrams: DatagramLimits::default(),
            tests: Vec::new(),
            sources: Vec::new(),
            data: DataFiles::default(),
        }
    }

    /// The outbounds, the number of each egress, and where the loop guard sends flows: the egress
    /// `direct`, else the first of that type, else a built-in one.
    fn outbounds(&self) -> (Outbounds, Vec<OutboundId>, OutboundId) {
        let plain = outbound::Kind::direct;
        let declared = self
            .by_name
            .get("direct")
            .filter(|at| self.egresses[**at].kind == EgressKind::Direct)
            .copied()
            .or_else(|| {
                self.egresses
                    .iter()
                    .position(|e| e.kind == EgressKind::Direct)
            });
        let builtin = declared.is_none() && !self.by_name.contains_key("direct");
        let mut table = Outbounds::with_builtins(builtin.then(|| ("direct", plain())));
        let mut ids = Vec::new();
        for egress in &self.egresses {
            // TOML has no key twice, so no name is taken.
            let id = table.define_hidden(&egress.name, egress.outbound.clone(), &egress.span);
            table.set_declared(id, egress::word(egress.kind));
            ids.push(id);
        }
        let direct = match declared {
            Some(at) => ids[at],
            None => match (table.find("direct"), self.egresses.first()) {
                (Some(id), _) => id,
                // `direct` is declared as something else: the guard's own is called the same.
                (None, Some(first)) => table.define_hidden("direct", plain(), &first.span),
                (None, None) => OutboundId(0),
            },
        };
        (table, ids, direct)
    }
}

/// Folds a pattern to what is compared; a problem where nothing is left of it.
fn fold(dimension: Dimension, raw: &str, span: &Span, problems: &mut Problems) -> Option<Folded> {
    let blank = |problems: &mut Problems| {
        problems.error("blank-pattern", span, "the pattern is blank");
    };
    match dimension {
        Dimension::App => {
            // As flows are folded; a path's trailing separators are not its last part.
            let path = raw.trim().trim_end_matches(['/', '\\']);
            let folded = base_name(path).to_ascii_lowercase();
            if folded.is_empty() {
                blank(problems);
                return None;
            }
            Some(Folded::App(folded.into()))
        }
        Dimension::Domain => {
            let bare = raw.trim().trim_end_matches('.');
            let bare = bare.strip_prefix('.').unwrap_or(bare);
            if bare.is_empty() {
                blank(problems);
                return None;
            }
            match Domain::parse(bare) {
                Ok(domain) => Some(Folded::Domain(domain)),
                Err(why) => {
                    let message = format!("`{}` is no domain: {why}", raw.trim());
                    let problem = problems.error("invalid-value", span, message);
                    problem.hint = Some("a pattern holds for a name and all names below it".into());
                    None
                }
            }
        }
    }
}

fn rule(pattern: &Pattern, egress: &Egress, outbound: OutboundId, file: &Arc<str>) -> Rule {
    let condition = match &pattern.folded {
        Folded::App(name) => {
            Condition::Text(TextField::ProcessName, TextTest::AppName(Arc::clone(name)))
        }
        Folded::Domain(suffix) => Condition::Domain(DomainTest::Suffix(suffix.clone())),
    };
    let text = format!(
        "{} {} = {:?}",
        pattern.dimension.as_str(),
        egress.name,
        &*pattern.text
    );
    Rule {
        condition,
        outbound,
        origin: Origin {
            file: Arc::clone(file),
            line: pattern.span.line(),
            text: text.into(),
        },
        class: Some(Class {
            source: match (pattern.dimension, egress.kind) {
                (Dimension::App, EgressKind::Block) => Step::BlockApp,
                (Dimension::Domain, EgressKind::Block) => Step::BlockDomain,
                (Dimension::App, _) => Step::AppRule,
                (Dimension::Domain, _) => Step::DomainRule,
            },
            pattern: Arc::clone(&pattern.text),
        }),
    }
}

/// The number of the step that a rule belongs to.
fn step(dimension: Dimension, kind: EgressKind) -> u8 {
    match (dimension, kind) {
        (Dimension::App, EgressKind::Block) => 0,
        (Dimension::Domain, EgressKind::Block) => 1,
        (Dimension::Domain, EgressKind::Singbox | EgressKind::Socks5 | EgressKind::Direct) => 2,
        (Dimension::App, EgressKind::Singbox | EgressKind::Socks5 | EgressKind::Direct) => 3,
    }
}

/// A text in quotes.
fn text<'n>(node: &'n Node, what: &str, problems: &mut Problems) -> Option<&'n str> {
    match &node.value {
        Value::Scalar(text, Style::Quoted) => Some(text),
        Value::Scalar(..) | Value::List(_) | Value::Map(_) => {
            problems.error("wrong-type", &node.span, format!("{what} must be a text"));
            None
        }
    }
}

impl Dimension {
    fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Domain => "domain",
        }
    }
}

fn default_inbound(span: &Span) -> Inbound {
    Inbound {
        name: "default".into(),
        kind: InboundKind::Mixed,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7890)),
        users: Vec::new(),
        alias: None,
        policy: PolicyId(0),
        resolver: None,
        allow: None,
        span: span.clone(),
    }
}

#[cfg(test)]
mod tests;
