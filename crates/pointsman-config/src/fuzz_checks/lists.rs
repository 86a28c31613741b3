//! What must hold of any bytes that are read as a list.

use std::io::Cursor;

use pointsman_policy::set::{Item, Key, Place, RuleSetBuilder, Sink};

use super::check_problem;
use crate::list::{Behavior, Format, ReadReport, Recipe, Surroundings, read};
use crate::problem::Problems;

/// The formats, and the one that is recognised.
const FORMATS: [Option<Format>; 11] = [
    None,
    Some(Format::Adblock),
    Some(Format::Dat),
    Some(Format::Dnsmasq),
    Some(Format::Hosts),
    Some(Format::Mmdb),
    Some(Format::Mrs),
    Some(Format::Srs),
    Some(Format::SrsJson),
    Some(Format::Text),
    Some(Format::Yaml),
];

/// Reads bytes as every format: nothing panics, what is told is bounded and its places lie within
/// their lines, entries have a line and a text, and reading twice gives the same.
///
/// # Panics
/// When a promise is broken.
pub fn check_list(bytes: &[u8]) {
    for format in FORMATS {
        let behaviors: &[Option<Behavior>] = match format {
            Some(Format::Text | Format::Yaml) => &[
                None,
                Some(Behavior::Clash),
                Some(Behavior::Classical),
                Some(Behavior::Domain),
                Some(Behavior::IpCidr),
                Some(Behavior::Names),
            ],
            _ => &[None],
        };
        for behavior in behaviors {
            let recipe = Recipe {
                format,
                behavior: *behavior,
                ..Recipe::default()
            };
            let first = once(bytes, &recipe);
            if format.is_none() {
                assert_eq!(first, once(bytes, &recipe));
            }
        }
    }
}

/// How many entries a reading gave, and what it told.
pub(super) fn once(bytes: &[u8], recipe: &Recipe) -> (usize, String) {
    let mut sink = Counter {
        set: RuleSetBuilder::new("l", "l", Key::default()),
        count: 0,
    };
    let mut told = ReadReport::default();
    let mut problems = Problems::default();
    let mut cursor = Cursor::new(bytes);
    let scope = Surroundings::resolving();
    match read(&mut cursor, "l", recipe, &scope, &mut sink, &mut told) {
        Ok(()) => told.report("l", recipe.strict, &mut problems),
        Err(error) => error.report("l", None, &mut problems),
    }
    assert!(problems.0.len() < 32, "what is told is bounded");
    for problem in &problems.0 {
        check_problem(problem);
    }
    assert!(sink.set.finish().len() <= sink.count);
    (sink.count, format!("{:?}", problems.0))
}

struct Counter {
    set: RuleSetBuilder,
    count: usize,
}

impl Sink for Counter {
    fn add(&mut self, item: Item<'_>, place: Place<'_>) {
        assert!(place.line > 0 && !place.written.is_empty());
        self.count += 1;
        self.set.add(item, place);
    }
}
