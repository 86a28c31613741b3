//! What is told of entries: a reason each, however many entries it is of.

use super::*;

#[test]
fn entries_that_are_bad_for_two_reasons_are_told_twice() {
    let told = |text: &str, behavior| {
        let (_, problems) = read_text(text, behavior, None);
        let told = problems.0.iter().map(|p| {
            let again = p
                .again
                .as_ref()
                .map(|again| format!(" + {} at {:?}", again.count, again.lines));
            format!("{}{}", p.sentence(), again.unwrap_or_default())
        });
        told.collect::<Vec<_>>()
    };
    let character = |entry: &str, c| {
        format!(
            "`{entry}` is no domain: the name has the character '{c}', which no host name carries"
        )
    };
    assert_eq!(
        told("a/b\nc d\ne/f\n", Behavior::Domain),
        [
            format!("{} + 1 at [3]", character("a/b", '/')),
            character("c d", ' ')
        ]
    );
    let types = told(
        "URL-REGEX,x\nDOMAN,a.test\nURL-REGEX,y\n",
        Behavior::Classical,
    );
    assert_eq!(types.len(), 2, "{types:?}");
    // Two of one line are one place.
    let (_, problems) = read_text(
        "0.0.0.0 a..b c..d\n0.0.0.0 e..f g..h",
        Behavior::Domain,
        Some(Format::Hosts),
    );
    let again = problems.0[0].again.as_ref().unwrap();
    assert_eq!((again.lines.as_slice(), again.count), (&[2][..], 3));
    let (_, problems) = read_text("||a.test/x\n", Behavior::Domain, Some(Format::Adblock));
    assert_eq!(
        problems.0[0].sentence(),
        "rules that say nothing about whole names are passed over: this one"
    );
}
