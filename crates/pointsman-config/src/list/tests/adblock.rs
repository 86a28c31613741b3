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
    let below = "And([Domain(Suffix(D";
    let expected = format!(r"{below}@1 {below}@2 !~\.c\.test$@3");
    check("||*.a.test^\n*.b.test^\n@@||*.c.test^", &expected);
    let (set, _) = read_text("||*.a.test^", Behavior::Domain, Some(Format::Adblock));
    let held = |name: &str| {
        query::ask(&set, &Host::parse(name).unwrap())
            .entry
            .is_some()
    };
    assert!(held("x.a.test") && held("y.x.a.test") && !held("a.test"));
}

#[test]
fn parts_of_addresses_are_no_names() {
    check(
        "_ad_impression.\n-ads.\n-banner-\nadvert\n_ads.test\n@@-ads.\nplain.test",
        "plain.test@7; 6 patterns for parts of addresses, not for names (`-ads.`), (1)",
    );
}
