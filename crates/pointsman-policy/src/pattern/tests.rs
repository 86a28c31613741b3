//! Programs match where the library does.

use proptest::prelude::*;
use regex::Regex;

use super::*;

fn library(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text)
        .case_insensitive(true)
        .size_limit(SIZE)
        .nest_limit(DEEPEST)
        .build()
}

fn name(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

/// Whether there is a program for it, and what it says of names; the library says the same.
#[test]
fn expressions_are_narrowed_to_names() {
    let check = |text: &str, has_program: bool, names: &[(&str, bool)]| {
        let pattern = NamePattern::new(text).unwrap();
        let library = library(text).unwrap();
        let program = matches!(pattern.0.engine, Engine::Program(_));
        assert_eq!(program, has_program, "{text}");
        for (text, expected) in names {
            let name = name(text);
            assert_eq!(pattern.is_match(&name), *expected, "{pattern} {name}");
            assert_eq!(
                library.is_match(name.as_str()),
                *expected,
                "{pattern} {name}"
            );
        }
    };
    check(
        "^ads[0-9]+\\.",
        true,
        &[
            ("ads12.test", true),
            ("xads1.test", false),
            ("ads.test", false),
        ],
    );
    check(
        "KELVIN",
        true,
        &[("kelvin.test", true), ("kelvi.test", false)],
    );
    check("(?-i)Kelvin", true, &[("kelvin.test", false)]);
    check("\u{212a}s", true, &[("ks", true), ("s", false)]);
    check("\u{17f}", true, &[("ks", true), ("k", false)]);
    check("^[^a]$", true, &[("b", true), ("a", false), ("bb", false)]);
    check("[^a]", true, &[("ab", true), ("aa", false)]);
    check(
        "^\\w+$",
        true,
        &[("a_b", true), ("a-b", false), ("a.b", false)],
    );
    check("^\\W+$", true, &[("-", true), ("a", false)]);
    check("\\s|/", true, &[("a.b", false)]);
    check(
        "^.{3}$",
        true,
        &[("abc", true), ("ab", false), ("abcd", false)],
    );
    check("^(?-u:\\w\\d)$", true, &[("a1", true), ("aa", false)]);
    check(
        "(?m)^a$|(?Rm)^b$",
        true,
        &[("a", true), ("b", true), ("ab", false)],
    );
    check(
        "(?:^|\\.)a\\.b",
        true,
        &[("a.b", true), ("x.a.b", true), ("xa.b", false)],
    );
    check(
        "a(?:\\.|$)",
        true,
        &[("a", true), ("a.b", true), ("ab", false)],
    );
    check("a^b|a$b|$a|b^", true, &[("ab", false), ("a.b", false)]);
    check("^^a$$", true, &[("a", true), ("aa", false)]);
    check(
        "(^a|b)+c",
        true,
        &[("abc", true), ("bbc", true), ("xac", false), ("bac", false)],
    );
    check("", true, &[("a", true)]);
    check("^$", true, &[("a", false)]);
    check("^|x", true, &[("a", true)]);
    check("a*", true, &[("b", true)]);
    check(
        "^(ab?){2,3}$",
        true,
        &[
            ("aa", true),
            ("abab", true),
            ("aaaa", false),
            ("abaab", true),
            ("a", false),
        ],
    );
    check("^(a|b){0}c", true, &[("c", true), ("ac", false)]);
    check(
        "^a{2,}b",
        true,
        &[("aab", true), ("aaaab", true), ("ab", false)],
    );
    check(
        "^(?:a{60}b){2}$",
        true,
        &[(&[&"a".repeat(60), "b"].concat(), false)],
    );
    check(
        "^[a-z]{63}\\.[a-z]{63}\\.",
        true,
        &[
            (
                &["a".repeat(63), "b".repeat(63), "c".into()].join("."),
                true,
            ),
            ("a.b", false),
        ],
    );
    check("()*a(^|$){1000}", true, &[("ba", true), ("ab", false)]);
    // Left to the library.
    check(
        "\\bads\\b",
        false,
        &[("x.ads.y", true), ("xads", false), ("ads_x", false)],
    );
    check("^[a-z]{300}|a{257}b", false, &[("a.b", false)]);
}

#[test]
fn words_are_what_no_match_can_do_without() {
    let check = |text: &str, expected: &[&str]| {
        let pattern = NamePattern::new(text).unwrap();
        let words: Vec<&str> = pattern.words().iter().map(|word| &**word).collect();
        assert_eq!(words, expected, "{text}");
    };
    check("^Ads[0-9]+\\.example\\.com$", &[".example.com"]);
    check("^(ads|track)[0-9]\\.", &["ads", "track"]);
    check("(ab)+[cd]x?", &["ab"]);
    check("(ab)*c", &[]);
    check("ab|[cd]", &[]);
    check("(long|longer)(ab|c)", &["long"]);
    check("[a-z]+", &[]);
    check("^(www\\.)?ads[0-9]\\.com$", &["ads"]);
    check("^[0-9]\\.com$", &[".com"]);
    check("^(ads|[0-9])\\.(com|net)$", &["com", "net"]);
    check(&"long".repeat(200), &["longlonglonglong"]);
}

#[test]
fn a_broken_expression_says_what_is_wrong() {
    let check = |text: &str| {
        let told = NamePattern::new(text).unwrap_err().to_string();
        let theirs = library(text).unwrap_err().to_string();
        let last = theirs.lines().last().unwrap();
        assert_eq!(
            told,
            last.strip_prefix("error: ").unwrap_or(last).trim(),
            "{text}"
        );
    };
    check("(");
    check("a{2,1}");
    check("[z-a]");
    check("\\p{Nope}");
    check("(?=a)");
    check("a{1000000}");
    check(&"(".repeat(70));
    check(&format!("{}a{}", "(".repeat(70), ")".repeat(70)));
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a", "b", "ab", "A", ".", "\\.", "[ab]", "[^a]", "\\w", "\\d", "\\W", "1", "^", "$", "-",
        "k", "(?-i:K)", "(?m:^)", "\u{212a}", "", "[a-c1_]", "\\S", "\\b", "/",
    ]);
    let leaf = leaf.prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 4, |inner| {
        let joined = |with: &'static str| {
            prop::collection::vec(inner.clone(), 1..4)
                .prop_map(move |parts| format!("(?:{})", parts.join(with)))
        };
        let times = prop::sample::select(vec![
            "*", "+", "?", "{2}", "{0,2}", "{1,3}", "{2,}", "+?", "{0}",
        ]);
        prop_oneof![
            2 => joined(""),
            1 => joined("|"),
            1 => (inner.clone(), times).prop_map(|(inner, times)| format!("(?:{inner}){times}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn programs_match_where_the_library_does(
        text in expression(),
        names in prop::collection::vec("[abk1_.-]{1,6}|[a-c]{1,3}|[a-z0-9.]{1,20}", 12),
    ) {
        let (Ok(pattern), Ok(library)) = (NamePattern::new(&text), library(&text)) else {
            // Too large for the library, or for both.
            return Ok(());
        };
        for text in names {
            let Ok(name) = Domain::parse(&text) else {
                continue;
            };
            let expected = library.is_match(name.as_str());
            prop_assert_eq!(pattern.is_match(&name), expected, "{} {}", pattern, name);
            let words = pattern.words();
            if expected && !words.is_empty() {
                prop_assert!(words.iter().any(|word| name.as_str().contains(&**word)));
            }
        }
    }
}

/// More of them on demand: `POINTSMAN_PATTERN_CASES=100000`.
fn cases() -> u32 {
    let asked = std::env::var("POINTSMAN_PATTERN_CASES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(500)
}
