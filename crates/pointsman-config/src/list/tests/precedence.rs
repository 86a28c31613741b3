//! What goes before what in AdBlock lists, for a set, a question and a table alike, also from kept bytes.

use pointsman_policy::Domain;
use pointsman_policy::set::{Fingerprints, NameMatch};

use super::*;
use crate::list::again;
use crate::list::query::{Answer, ListIndex, Query, ask};

const LIST: &str = "\
||ads.test^
@@||ads.test^
||all.test^
@@||good.all.test^
||bad.good.all.test^$important
@@||never.bad.good.all.test^$important
|one.test^$important
@@||one.test^
/^re[0-9]+\\.test$/
@@/^re1/
@@*safe*
||safe.test^
||safest.test^$important
@@|alone.all.test^$important
||alone.all.test^$important
||*.sub.test^
@@||*.not.sub.test^
|www.not.sub.test^|$important
||*.sub.test^$badfilter2
||*.far.sub.test^$important
@@||*.no.far.sub.test^$important
||sub.sub.test^
||*.sub.sub.test^
";

/// The line that holds a host; that of the exception behind `!`; `-` where nothing does.
fn shown(answer: &Answer) -> String {
    match (&answer.entry, &answer.exception) {
        (Some(entry), _) => entry.line.to_string(),
        (None, Some(exception)) => format!("!{}", exception.line),
        (None, None) => "-".to_owned(),
    }
}

#[test]
fn what_is_important_goes_before_exceptions() {
    let recipe = Recipe {
        format: Some(Format::Adblock),
        ..Recipe::default()
    };
    let key = Key([3, 4]);
    let mut told = ReadReport::default();
    let mut set = RuleSetBuilder::new("ads", "ads.txt", key);
    let mut table = ListIndex::default();
    let mut bytes = Cursor::new(LIST);
    read(
        &mut bytes,
        "",
        &recipe,
        &Surroundings::default(),
        &mut set,
        &mut told,
    )
    .unwrap();
    read(
        &mut bytes,
        "",
        &recipe,
        &Surroundings::default(),
        &mut table,
        &mut ReadReport::default(),
    )
    .unwrap();
    let set = set.finish();
    let other = |_line: u32, text: &str| again(text, &recipe, &told, &Surroundings::default());
    let kept = RuleSet::from_bytes("ads", "ads.txt", key, &set.to_bytes(), other).unwrap();
    assert_eq!((set.len(), kept.len()), (22, 22));
    let check = |host: &str, expected: &str| {
        let host = Host::parse(host).unwrap();
        let mut query = Query::new(host.clone());
        read(
            &mut Cursor::new(LIST),
            "",
            &recipe,
            &Surroundings::default(),
            &mut query,
            &mut ReadReport::default(),
        )
        .unwrap();
        assert_eq!(shown(&query.answer()), expected, "{host} asked");
        assert_eq!(shown(&table.answer(&host)), expected, "{host} in a table");
        // A set forgets where its exceptions stand.
        let expected = match expected.strip_prefix('!') {
            Some(_line) => "!0",
            None => expected,
        };
        assert_eq!(shown(&ask(&set, &host)), expected, "{host} in a set");
        assert_eq!(shown(&ask(&kept, &host)), expected, "{host} in a kept set");
    };
    check("ads.test", "!2");
    check("x.all.test", "3");
    check("good.all.test", "!4");
    check("x.good.all.test", "!4");
    check("bad.good.all.test", "5");
    check("x.bad.good.all.test", "5");
    check("never.bad.good.all.test", "!6");
    check("one.test", "7");
    check("x.one.test", "!8");
    check("re1.test", "!10");
    check("re2.test", "9");
    check("safe.test", "!11");
    check("unsafe.org", "!11");
    check("safest.test", "13");
    check("alone.all.test", "!14");
    check("x.alone.all.test", "15");
    check("other.org", "-");
    check("sub.test", "-");
    check("x.sub.test", "16");
    check("y.x.sub.test", "16");
    check("not.sub.test", "16");
    check("x.not.sub.test", "!17");
    check("www.not.sub.test", "18");
    check("x.www.not.sub.test", "!17");
    check("far.sub.test", "16");
    check("x.far.sub.test", "20");
    check("no.far.sub.test", "20");
    check("x.no.far.sub.test", "!21");
    // Of two for one name that for itself, too, goes first.
    check("sub.sub.test", "22");
    check("x.sub.sub.test", "22");
    let name = Domain::parse("unsafe.org").unwrap();
    let prints = Fingerprints::of(set.key(), &name);
    assert!(matches!(set.hold(&prints), NameMatch::Excepted));
    assert!(set.has_exceptions() && set.has_names());
}
