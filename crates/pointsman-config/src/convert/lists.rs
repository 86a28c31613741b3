//! Rule sets that stand in files or on the web.

use pointsman_policy::Condition;
use pointsman_policy::model::SetId;

use super::Report;
use super::emit::{Map, quoted};
use super::native::relative;
use crate::list::{Behavior, Format, ListSource, Origin, Recipe};
use crate::setup::Setup;

/// The section `rule_sets`.
pub(super) fn section(setup: &Setup, report: &mut Report) -> Map {
    let mut section = Map::default();
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
        match (source, file) {
            (Some(source), _) => fetched(source, setup, &mut map),
            (None, Some((path, recipe))) => {
                map.raw("path", quoted(&relative(path, &setup.directory)));
                told(recipe, &mut map);
            }
            (None, None) => {
                let what = format!("the rule set `{}` is written empty", set.name);
                report.lost("", what);
                map.raw("domains", "[]");
            }
        }
        if set.others().iter().any(|other| refers(&other.condition)) {
            let what = format!(
                "entries of the rule set `{}` refer to other sets, which the native language leaves out: \
                 flows that they took go to the rules below",
                set.name
            );
            report.lost("", what);
        }
        section.raw(&set.name, map.flow());
    }
    section
}

fn fetched(source: &ListSource, setup: &Setup, map: &mut Map) {
    map.raw("url", quoted(&source.url));
    // A copy in the directory of state has no path in the configuration.
    let inside = source.path.as_ref().filter(|path| {
        !setup.directory.as_os_str().is_empty() && path.starts_with(&setup.directory)
    });
    if let Some(path) = inside {
        map.raw("path", quoted(&relative(path, &setup.directory)));
    }
    map.time("interval", source.interval);
    told(&source.recipe, map);
}

fn told(recipe: &Recipe, map: &mut Map) {
    let behavior = recipe.behavior.map(|behavior| match behavior {
        Behavior::Classical => "classical",
        Behavior::Domain => "domain",
        Behavior::IpCidr => "ipcidr",
        Behavior::Names => "names",
    });
    let format = recipe.format.map(|format| match format {
        Format::Text => "text",
        Format::Yaml => "yaml",
        Format::Adblock => "adblock",
        Format::Hosts => "hosts",
        Format::Dnsmasq => "dnsmasq",
        Format::Dat => "dat",
        Format::Mmdb => "mmdb",
        Format::Mrs => "mrs",
        Format::Srs => "srs",
        Format::SrsJson => "srs-json",
    });
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
    match condition {
        Condition::Set(..) => true,
        Condition::And(parts) | Condition::Or(parts) => parts.iter().any(refers),
        Condition::Not(inner) => refers(inner),
        _ => false,
    }
}
