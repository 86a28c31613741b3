//! `dispatching`, `module`, `rule_provider`: what rules refer to.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use pointsman_policy::Condition;
use pointsman_policy::geo::{GeoDatabase, GeoDatabases};
use pointsman_policy::line::Scope;
use pointsman_policy::model::{Node as PolicyNode, SetId};
use pointsman_policy::set::RuleSet;

use super::{Named, Reading};
use crate::list::{Behavior, Format, ListSource, MOST_FETCHED, Recipe, Surroundings};
use crate::list_file::{self, FileList};
use crate::problem::{Problem, Problems, Span};
use crate::setup::DataFiles;
use crate::yaml::{self, KeyStyle, Node};

/// The largest database, in bytes. The largest free one is a tenth of it.
const MAX_DATABASE: u64 = 512 << 20;

/// The section `dispatching`.
#[derive(Default)]
pub(super) struct Dispatching {
    pub(super) sni_sniff: bool,
    pub(super) ip_rules_resolve: bool,
    pub(super) databases: GeoDatabases,
    /// Where the databases come from.
    paths: (Option<PathBuf>, Option<PathBuf>),
    /// A database is named and broken: that is told once, not again at each rule.
    broken: bool,
}

impl Dispatching {
    /// Where the databases come from.
    pub(super) fn data(&self) -> DataFiles {
        let (geoip, asn) = self.paths.clone();
        DataFiles { geoip, asn }
    }
}

pub(super) fn dispatching(
    node: Option<&Node>,
    reading: &mut Reading<'_>,
    problems: &mut Problems,
) -> Dispatching {
    let mut found = Dispatching::default();
    let Some(node) = node else { return found };
    let mut keys = node.keys("`dispatching`", KeyStyle::KebabIsSnake, problems);
    let sni_sniff = keys.take("sni_sniff");
    let resolve = keys.take("ip_rules_resolve");
    let geoip = keys.take("geoip_db");
    let asn = keys.take("asn_db");
    let depth = keys.take("process_info_depth");
    keys.finish(problems);
    let flag = |node: Option<&Node>, what, problems: &mut Problems| {
        node.and_then(|node| node.boolean(what, problems)) == Some(true)
    };
    found.sni_sniff = flag(sni_sniff, "`sni_sniff`", problems);
    found.ip_rules_resolve = flag(resolve, "`ip_rules_resolve`", problems);
    if let Some(node) = depth
        && node.scalar() != Some("unlimited")
    {
        node.number("`process_info_depth` (or `unlimited`)", 0..=1000, problems);
    }
    let mut open = |node: Option<&Node>, problems: &mut Problems| {
        let database = node.map(|node| database(node, reading, problems));
        found.broken |= matches!(database, Some(None));
        database.flatten()
    };
    let path = |node: Option<&Node>| node?.scalar().map(PathBuf::from);
    let paths = (path(geoip), path(asn));
    let country = open(geoip, problems);
    let asn = open(asn, problems);
    found.databases = GeoDatabases::new(country, asn);
    found.paths = paths;
    found
}

fn database(
    node: &Node,
    reading: &mut Reading<'_>,
    problems: &mut Problems,
) -> Option<GeoDatabase> {
    let path = node.text("a database", problems)?;
    let (file, shown) = reading.locate(path);
    let bytes = match reading.input.files.read(&file, MAX_DATABASE) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("`{shown}` cannot be read: {error}");
            problems.error("missing-file", &node.span, message);
            return None;
        }
    };
    match GeoDatabase::from_bytes(bytes) {
        Ok(database) => {
            reading.files.push(file);
            Some(database)
        }
        Err(why) => {
            problems.error("invalid-database", &node.span, format!("`{shown}`: {why}"));
            None
        }
    }
}

/// What a module brings.
pub(super) struct Module {
    /// Its `rule_local`: before the main list.
    pub(super) rules: Option<Node>,
    /// Its `rule_provider`.
    providers: Option<Node>,
}

pub(super) fn modules(
    node: Option<&Node>,
    reading: &mut Reading<'_>,
    problems: &mut Problems,
) -> Vec<Module> {
    let mut found = Vec::new();
    for item in node.map_or(&[][..], |node| node.list("`module`", problems)) {
        let mut keys = item.keys("the module", KeyStyle::KebabIsSnake, problems);
        let name = keys.require("name", problems);
        let text = name
            .and_then(|node| node.text("`name`", problems))
            .unwrap_or("module");
        let place = name.map_or(&item.span, |node| &node.span).clone();
        let file = reading.named_file(&mut keys, "module", text, &place, problems);
        keys.finish(problems);
        let Named::Text(source) = file else { continue };
        let Some(root) = yaml::parse(&source, problems) else {
            continue;
        };
        let mut keys = root.keys("the module", KeyStyle::KebabIsSnake, problems);
        let module = Module {
            rules: keys.take("rule_local").cloned(),
            providers: keys.take("rule_provider").cloned(),
        };
        keys.not_yet(&["interception", "intercept_rule", "rewrite"], problems);
        keys.finish(problems);
        found.push(module);
    }
    found
}

/// Whether a list has resolved the destination when its end is reached.
pub(super) fn resolves(steps: &[PolicyNode]) -> bool {
    steps
        .iter()
        .any(|step| matches!(step, PolicyNode::Resolve(_)))
}

/// All rule sets.
#[derive(Default)]
pub(super) struct Sets {
    pub(super) sets: Vec<Arc<RuleSet>>,
    by_name: HashMap<String, (SetId, Span)>,
    /// Sets whose entries refer to sets. Nobody may refer to them in turn: so a flow never walks
    /// through more than two, and no set reaches itself.
    nested: Vec<SetId>,
    /// Those that are fetched.
    sources: Vec<ListSource>,
}

impl Sets {
    /// Those that are fetched, once.
    pub(super) fn take_sources(&mut self) -> Vec<ListSource> {
        std::mem::take(&mut self.sources)
    }

    /// What lines see.
    pub(super) fn scope<'a>(&'a self, dispatching: &'a Dispatching) -> ListScope<'a> {
        ListScope {
            sets: self,
            dispatching,
            flat_only: false,
        }
    }
}

pub(super) struct ListScope<'a> {
    sets: &'a Sets,
    dispatching: &'a Dispatching,
    flat_only: bool,
}

impl ListScope<'_> {
    /// The same, for when the configuration's text is gone.
    fn owned(&self) -> Surroundings {
        let sets = self.sets.by_name.keys();
        let mut sets: Vec<(Arc<str>, SetId)> = sets
            .filter_map(|name| Some((name.as_str().into(), self.rule_set(name)?)))
            .collect();
        sets.sort();
        Surroundings {
            sets,
            has_country_db: self.has_country_db(),
            has_asn_db: self.has_asn_db(),
            ip_rules_resolve: self.ip_rules_resolve(),
        }
    }
}

impl Scope for ListScope<'_> {
    fn rule_set(&self, name: &str) -> Option<SetId> {
        let (id, _) = self.sets.by_name.get(name)?;
        (!self.flat_only || !self.sets.nested.contains(id)).then_some(*id)
    }
    fn rule_sets(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.sets.by_name.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }
    fn has_country_db(&self) -> bool {
        self.dispatching.broken || self.dispatching.databases.has_country()
    }
    fn has_asn_db(&self) -> bool {
        self.dispatching.broken || self.dispatching.databases.has_asn()
    }
    fn ip_rules_resolve(&self) -> bool {
        self.dispatching.ip_rules_resolve
    }
}

pub(super) fn rule_sets(
    main: Option<&Node>,
    modules: &[Module],
    dispatching: &Dispatching,
    reading: &mut Reading<'_>,
    problems: &mut Problems,
) -> Sets {
    let mut sets = Sets::default();
    let sections = modules
        .iter()
        .filter_map(|module| module.providers.as_ref());
    for section in sections.chain(main) {
        for (name, value) in section.map("`rule_provider`", problems) {
            let Some(text) = name.text("a name", problems) else {
                continue;
            };
            if let Some((_, first)) = sets.by_name.get(text) {
                let message = format!("the provider `{text}` is defined twice");
                let problem = problems.error("duplicate-name", &name.span, message);
                problem.related = Some((first.clone(), "first here".into()));
                continue;
            }
            let set = rule_set(text, name, value, &mut sets, dispatching, reading, problems);
            let id = SetId(u32::try_from(sets.sets.len()).unwrap_or(u32::MAX));
            let mut referred = Vec::new();
            for other in set.others() {
                refers(&other.condition, &mut referred);
            }
            if !referred.is_empty() {
                sets.nested.push(id);
            }
            // One that others refer to must not come to refer to others.
            for source in &mut sets.sources {
                if referred.contains(&source.set) {
                    source.scope.sets.clear();
                }
            }
            sets.sets.push(Arc::new(set));
            sets.by_name
                .insert(text.to_owned(), (id, name.span.clone()));
        }
    }
    sets
}

/// Collects the sets that a condition refers to.
fn refers(condition: &Condition, to: &mut Vec<SetId>) {
    condition.each_test(&mut |test| {
        if let Condition::Set(id, ..) = test {
            to.push(*id);
        }
    });
}

fn rule_set(
    name: &str,
    key: &Node,
    value: &Node,
    sets: &mut Sets,
    dispatching: &Dispatching,
    reading: &mut Reading<'_>,
    problems: &mut Problems,
) -> RuleSet {
    let none = RuleSet::new(name, "");
    let mut keys = value.keys("the provider", KeyStyle::KebabIsSnake, problems);
    let located = reading.located(&mut keys, "rules", name, &key.span, problems);
    let behavior = choice(keys.take("behavior"), "`behavior`", BEHAVIORS, problems);
    let format = choice(keys.take("format"), "`format`", FORMATS, problems);
    let strict = keys
        .take("strict")
        .and_then(|node| node.boolean("`strict`", problems));
    keys.finish(problems);
    let Some(located) = located else {
        return none;
    };
    let recipe = Recipe {
        format,
        behavior: Some(behavior.unwrap_or(Behavior::Classical)),
        strict: strict == Some(true),
        wide_marks: true,
        select: None,
        limit: located.url.as_ref().map(|_| MOST_FETCHED),
    };
    let scope = ListScope {
        sets,
        dispatching,
        flat_only: true,
    };
    let surroundings = scope.owned();
    if let Some(url) = &located.url {
        sets.sources.push(ListSource {
            set: SetId(u32::try_from(sets.sets.len()).unwrap_or(u32::MAX)),
            name: name.into(),
            url: url.as_str().into(),
            via: None,
            interval: located.interval,
            limit: MOST_FETCHED,
            path: located.path.clone(),
            file: located.shown.as_str().into(),
            recipe: recipe.clone(),
            scope: surroundings.clone(),
            read: None,
            span: key.span.clone(),
        });
    }
    let Some(path) = located.path else {
        list_file::not_fetched(name, None, reading.input, &located.place, problems);
        return none;
    };
    let file = FileList {
        name,
        shown: &located.shown,
        path: &path,
        recipe: &recipe,
        fetched: located.url.is_some(),
        place: &located.place,
    };
    let mut own = problems.apart();
    let (set, read) = list_file::load(&file, &surroundings, reading.input, &mut own);
    if let Some(source) = sets.sources.last_mut().filter(|_| located.url.is_some()) {
        source.read = read;
    }
    let missing = |problem: &Problem| problem.code == "missing-file";
    if located.url.is_none() && !own.0.iter().any(missing) {
        reading.files.push(path);
    }
    problems.absorb(own);
    set
}

const BEHAVIORS: &[(&str, Behavior)] = &[
    ("classical", Behavior::Classical),
    ("domain", Behavior::Domain),
    ("ipcidr", Behavior::IpCidr),
];

const FORMATS: &[(&str, Format)] = &[
    ("yaml", Format::Yaml),
    ("text", Format::Text),
    ("mrs", Format::Mrs),
    ("adblock", Format::Adblock),
    ("hosts", Format::Hosts),
    ("dnsmasq", Format::Dnsmasq),
    ("srs", Format::Srs),
    ("srs-json", Format::SrsJson),
];

/// One of a few words.
fn choice<T: Copy>(
    node: Option<&Node>,
    what: &str,
    known: &[(&str, T)],
    problems: &mut Problems,
) -> Option<T> {
    let node = node?;
    let text = node.text(what, problems)?;
    let found = known
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text));
    if found.is_none() {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        let message = format!("{what} is one of {}, not `{text}`", words.join(", "));
        problems.error("invalid-value", &node.span, message);
    }
    found.map(|(_, value)| *value)
}
