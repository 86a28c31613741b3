//! Rules of AdBlock that are about less than a name with all below it.

use super::formats::written;
use super::*;

fn check(text: &str, expected: &str) {
    let recipe = Recipe {
        format: Some(Format::Adblock),
        ..Recipe::default()
    };
    assert_eq!(written(text.as_bytes(), "", &recipe), expected, "{text}");
}

#[test]
fn a_star_before_a_name_of_adblock_is_what_is_below_it() {
    check(
        "||*.a.test^\n*.b.test^\n@@||*.c.test^\n||*.7^\n@@||*.7^",
        "_.a.test@1 _.b.test@2 !_.c.test@3; 4:0-6 `||*.7^` is no domain: its last label is a number, so that it never \
         matches: no name ends so (RFC 1123, 2.1) (x2)",
    );
    let (set, _) = read_text("||*.a.test^", Behavior::Domain, Some(Format::Adblock));
    let held = |name: &str| {
        query::ask(&set, &Host::parse(name).unwrap())
            .entry
            .is_some()
    };
    assert!(held("x.a.test") && held("y.x.a.test") && !held("a.test"));
}

/// An exception without the mark never wins against what has it.
#[test]
fn what_is_important_stays_so_below_a_name() {
    check(
        "||*.a.test^$important\n@@||a.test^\n@@||*.b.test^$important",
        "!!_.a.test@1 !.a.test@2 !!!_.b.test@3",
    );
}

/// A list that is made for browsers is told as such: a third of it says nothing here.
#[test]
fn rules_for_some_requests_are_a_warning_where_they_are_many() {
    let told = |text: &str| {
        let (_, problems) = read_text(text, Behavior::Domain, Some(Format::Adblock));
        let told = problems.0.iter();
        let told = told.map(|p| format!("{:?}[{}]: {}", p.severity, p.code, p.sentence()));
        told.collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        told("||a.test^$popup\n||b.test^\n||c.test^\n"),
        "Note[passed-over]: rules for some kinds of requests to a name (with `$popup` 1: 1 of 3 rules) are passed over: this one"
    );
    assert_eq!(
        told("||a.test^$popup\n||b.test^$popup\n||c.test^\n"),
        "Warning[passed-over]: rules for some kinds of requests to a name (with `$popup` 2: 2 of 3 rules) are passed over: 2, this one the first"
    );
}

#[test]
fn parts_of_addresses_are_no_names() {
    check(
        "_ad_impression.\n-ads.\n-banner-\nadvert\n_ads.test\n@@-ads.\nplain.test",
        "plain.test@7; 6 patterns for parts of addresses, not for names (`-ads.`), (1)",
    );
}
