//! Rule sets that stand in files or on the web.

use pointsman_policy::Condition;
use pointsman_policy::model::SetId;

use super::Report;
use super::emit::{Map, quoted, relative};
use super::policies::Beyond;
use pointsman_config::list::{Behavior, Format, ListSource, MOST_FETCHED, Origin, Recipe};
use pointsman_config::setup::Setup;

/// The section `rule_sets`. `names` are those of the outbounds, by number.
pub(super) fn section(setup: &Setup, names: &[String], report: &mut Report) -> (Map, Beyond) {
    let mut section = Map::default();
    let mut beyond = Beyond::default();
    let sets = setup
        .policies
        .first()
        .map_or(&[][..], |policy| &policy.sets);
    for (number, set) in (0_u32..).zip(sets) {
        let mut map = Map::default();
        let source = setup.sources.iter().find(|s| s.set == SetId(number));
        let file = setup.lists.iter().find(|list| list.name == set.name);
        let file = file.and_then(|list| match &list.origin {
            Origin::File { path, recipe, .. } => Some((path, recipe)),
            Origin::Inline(_) => None,
        });
        let others = set.others().iter().map(|other| &other.condition);
        let nested: Vec<Condition> = others.filter(|other| refers(other)).cloned().collect();
        let recipe = match source {
            Some(source) => Some(&source.recipe),
            None => file.map(|(_, recipe)| recipe),
        };
        if recipe.is_some_and(marked) {
            beyond.lacking.insert(SetId(number));
            let what = format!(
                "in the list `{}` an entry `.x` stands for the names below `x` alone here, and `*.x` for one label below",
                set.name
            );
            report.lost(source.map_or_else(String::new, place), what);
        }
        match (source, file) {
            (Some(source), _) => {
                fetched(source, setup, names, &mut map);
                let what = format!(
                    "the rule set `{}` is fetched by the daemon: until then it is empty",
                    set.name
                );
                report.note(place(source), what);
                if !nested.is_empty() {
                    beyond.lacking.insert(SetId(number));
                    let what = format!(
                        "entries of the rule set `{}` refer to other sets, which the native language leaves out: \
                         their flows go to the rules below",
                        set.name
                    );
                    report.lost(place(source), what);
                }
            }
            (None, Some((path, recipe))) => {
                map.raw("path", quoted(&relative(path, &setup.directory)));
                // The entries that refer to sets are bad natively, and serve in the rules.
                let strict = recipe.strict && nested.is_empty();
                let recipe = Recipe {
                    strict,
                    ..recipe.clone()
                };
                told(&recipe, &mut map);
                if !nested.is_empty() {
                    let what = format!(
                        "entries of the rule set `{}` refer to other sets: the rules say them now, and a \
                         load warns of them",
                        set.name
                    );
                    report.note("", what);
                    beyond.lifted.insert(SetId(number), nested);
                }
            }
            (None, None) => {
                let what = format!("the rule set `{}` is written empty", set.name);
                report.lost("", what);
                beyond.lacking.insert(SetId(number));
                map.raw("domains", "[]");
            }
        }
        section.raw(&set.name, map.flow());
    }
    (section, beyond)
}

fn place(source: &ListSource) -> String {
    format!("{}:{}", source.span.file(), source.span.line())
}

fn fetched(source: &ListSource, setup: &Setup, names: &[String], map: &mut Map) {
    map.raw("url", quoted(&source.url));
    // A copy in the directory of state has no path in the configuration.
    let inside = source.path.as_ref().filter(|path| {
        !setup.directory.as_os_str().is_empty() && path.starts_with(&setup.directory)
    });
    if let Some(path) = inside {
        map.raw("path", quoted(&relative(path, &setup.directory)));
    }
    let via = source.via.and_then(|id| names.get(id.0 as usize));
    map.some("via", via.map(String::as_str));
    map.time("interval", source.interval);
    if source.limit != MOST_FETCHED {
        map.raw("limit", quoted(&format!("{}B", source.limit)));
    }
    told(&source.recipe, map);
}

/// Whether marks of names are read wider than natively.
fn marked(recipe: &Recipe) -> bool {
    let text = matches!(recipe.format, None | Some(Format::Text | Format::Yaml));
    recipe.wide_marks && text && recipe.behavior == Some(Behavior::Domain)
}

fn told(recipe: &Recipe, map: &mut Map) {
    let behavior = recipe.behavior.map(Behavior::as_str);
    let format = recipe.format.map(Format::as_str);
    map.some("format", format);
    let says = matches!(
        recipe.format,
        None | Some(Format::Text | Format::Yaml | Format::Mrs)
    );
    map.some("behavior", behavior.filter(|_| says));
    map.some("select", recipe.select.as_deref());
    map.flag("strict", recipe.strict);
}

fn refers(condition: &Condition) -> bool {
    condition.any_test(&mut |test| matches!(test, Condition::Set(..) | Condition::Answer(_)))
}
