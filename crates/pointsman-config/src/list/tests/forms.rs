//! Forms that programs have for names and addresses: each is read as what it means there, or named.

use super::formats::written;
use super::*;

fn check(text: &str, recipe: &Recipe, expected: &str) {
    assert_eq!(written(text.as_bytes(), "", recipe), expected, "{text}");
}

fn of(format: Format) -> Recipe {
    Recipe {
        format: Some(format),
        ..Recipe::default()
    }
}

#[test]
fn patterns_of_dnscrypt_mean_what_they_mean_there() {
    let check = |text: &str, expected: &str| check(text, &Recipe::default(), expected);
    check(
        "a.test\nads.*\nads*\n*sex*\n=b.test\nad[0-9].c.test\nx?.*.test",
        r".a.test@1 ~^ads\.@2 ~^ads@3 *sex*@4 b.test@5 ~^ad[0-9]\.c\.test$@6 ~^x.\..*\.test$@7",
    );
    check(
        "94.46.118.*\n10.*\n172.16.*.*\n2001:db8:*",
        "94.46.118.0/24@1 10.0.0.0/8@2 172.16.0.0/16@3 2001:db8::/32@4",
    );
    check(
        "a.test\nb.test\nc.test\n94.46.118.*",
        ".a.test@1 .b.test@2 .c.test@3 94.46.118.0/24@4",
    );
    check(
        "a.test\nads[.test\n",
        ".a.test@1; 2:0-9 `ads[.test` is no domain: the name has the character '[', which no host name carries",
    );
    // Its marks are no marks of Clash's, however many there are.
    check(
        "ads.*\n*sex*\n*.a.test\n=b.test\n.c.test\n.d.test\n.e.test\nf.test",
        r"~^ads\.@1 *sex*@2 .a.test@3 b.test@4 .c.test@5 .d.test@6 .e.test@7 .f.test@8",
    );
    // A star inside is any text, with dots.
    check(
        "ads.*\nad*.a.test\n*.ad*.b.test\nb.test",
        r"~^ads\.@1 ~^ad.*\.a\.test$@2 ~^.*\.ad.*\.b\.test$@3 .b.test@4",
    );
    // One that Clash may have makes a list of marked names none of dnscrypt-proxy's.
    check(
        ".a.test\n*.b.test\n.c.test\nads.*",
        r".a.test@1 .b.test@2 .c.test@3 ~^ads\.[^.]*$@4",
    );
    let names = Recipe {
        behavior: Some(Behavior::Names),
        format: Some(Format::Text),
        ..Recipe::default()
    };
    // Declared as names, a star is no dot, unless a pattern is dnscrypt-proxy's alone.
    forms::check(
        "ads.*\nad*.a.test",
        &names,
        r"~(?:^|\.)ads\.[^.]*$@1 ~(?:^|\.)ad[^.]*\.a\.test$@2",
    );
    forms::check(
        "ads.*\nad*.a.test\n=b.test",
        &names,
        r"~^ads\.@1 ~^ad.*\.a\.test$@2 b.test@3",
    );
    let domain = Recipe {
        behavior: Some(Behavior::Domain),
        ..Recipe::default()
    };
    // To Clash it is one label.
    forms::check("ads.*", &domain, r"~^ads\.[^.]*$@1");
}

#[test]
fn names_of_programs_have_no_wildcards() {
    check(
        "USER-AGENT,*curl*\nUSER-AGENT,wget*\nDOMAIN,a.test",
        &Recipe::default(),
        "Text(UserAgent, Keyw@1 Text(UserAgent, Keyw@2 a.test@3; 1? `USER-AGENT,*curl*` never matches: `*` in it is no wildcard here (write the part of the name alone: `USER-AGENT, curl`) (x2)",
    );
}

#[test]
fn columns_are_ranges_where_they_are_blocks() {
    let check = |text: &str, expected: &str| check(text, &Recipe::default(), expected);
    check(
        "9.9.9.0 9.9.9.255\n9.9.8.0 - 9.9.8.255\n9.9.7.0\t9.9.7.255\t24\t1500",
        "9.9.9.0/24@1 9.9.8.0/24@2 9.9.7.0/24@3; 1 columns behind addresses (3)",
    );
    let seconds = "addresses behind addresses, which may be no ends of ranges (a range is `A-B`),";
    check(
        "10.2.0.0/255.255.0.0\n10.0.0.0 255.0.0.0\n10.1.0.0 10.0.0.0\n2001:db8:: 2001:db8::ff",
        &format!("10.2.0.0/16@1 10.0.0.0/8@2 10.1.0.0/32@3 2001:db8::/120@4; 1 {seconds} (3)"),
    );
    check(
        "203.0.113.7 web\n203.0.113.8 US",
        "203.0.113.7/32@1 203.0.113.8/32@2; 1 words behind addresses (in a hosts file they are names: write `format: hosts`) (1); 1 columns behind addresses (2)",
    );
    // Two addresses that may be two hosts are no range.
    let ranges = Recipe {
        behavior: Some(Behavior::IpCidr),
        ..Recipe::default()
    };
    forms::check(
        "127.0.0.1 203.0.113.7\n1.2.3.4 5.6.7.8\n10.0.0.4 10.0.0.5\n0.0.0.0 0.0.0.255\n192.0.2.5 192.0.2.9",
        &ranges,
        &format!(
            "127.0.0.1/32@1 1.2.3.4/32@2 10.0.0.4/32@3 0.0.0.0/32@4 192.0.2.5/32@5; 5 {seconds} (1)"
        ),
    );
    // In a list of nothing but small ranges they are.
    check(
        "# x\n192.0.2.4 192.0.2.5 x\n192.0.2.8 192.0.2.8\n192.0.2.16 192.0.2.18\n1.2.3.4 5.6.7.8",
        &format!(
            "192.0.2.4/31@2 192.0.2.8/32@3 192.0.2.16/31@4 192.0.2.18/32@4 1.2.3.4/32@5; 1 columns behind addresses (2); 1 {seconds} (5)"
        ),
    );
}

/// A mask is no end of a range, whatever bits the address has behind it.
#[test]
fn masks_are_masks_with_bits_behind_them() {
    let told =
        |range: &str, is: &str| format!("`{range}` has bits behind its length: read as `{is}`");
    check(
        "9.9.9.1 255.255.255.0\n9.9.8.1/255.255.255.0\n9.9.7.0 255.255.255.0",
        &Recipe::default(),
        &format!(
            "9.9.9.0/24@1 9.9.8.0/24@2 9.9.7.0/24@3; 1? {} (x2)",
            told("9.9.9.1 255.255.255.0", "9.9.9.0/24")
        ),
    );
}

/// A file of one short category has few bytes that no text has.
#[test]
fn a_small_geosite_is_no_text() {
    let mut list = b"\x0a\x2a\x0a\x02CN\x12\x24\x08\x02\x12\x20".to_vec();
    list.extend_from_slice(&b"a".repeat(25));
    list.extend_from_slice(b".domain");
    let recipe = Recipe {
        select: Some("cn".into()),
        ..Recipe::default()
    };
    let name = format!(".{}.domain@1", "a".repeat(25));
    assert_eq!(written(&list, "", &recipe), name);
    // Text that begins with an empty line stays text.
    check(
        "\n*\n\na.test",
        &Recipe::default(),
        "~@2 .a.test@4; 2? `*` holds every name (x1)",
    );
}

#[test]
fn filters_of_emule_are_ranges() {
    check(
        "# x\n001.002.003.000 - 001.002.003.255 , 000 , some, name\n010.000.000.000 - 010.255.255.255 , 127 , allowed\n8.0.0.0 - 8.0.0.255 , 100 , x\n",
        &Recipe::default(),
        "1.2.3.0/24@2 8.0.0.0/24@4; 1 ranges that eMule allows (of a level above 126) (3)",
    );
}

#[test]
fn sets_of_ipset_are_addresses() {
    check(
        "create x hash:net family inet\nflush x\nadd x 10.0.0.0/8\nadd x 192.0.2.1 timeout 0\nadd x 10.1.0.0/16 nomatch\nadd x 192.0.2.5-192.0.2.6",
        &Recipe::default(),
        "10.0.0.0/8@3 192.0.2.1/32@4 192.0.2.5/32@6 192.0.2.6/32@6; 3 commands of `ipset` that add no addresses (1)",
    );
}

#[test]
fn what_is_of_another_form_is_named() {
    let error = |text: &str, recipe: &Recipe| {
        let (mut sink, mut told) = (formats::Writer::default(), ReadReport::default());
        let mut bytes = Cursor::new(text);
        match read(
            &mut bytes,
            "",
            recipe,
            &Surroundings::default(),
            &mut sink,
            &mut told,
        ) {
            Err(Unreadable::Malformed { message, hint, .. }) => (message, hint),
            other => panic!("{text}: {other:?}"),
        }
    };
    for (text, what) in [
        ("[{\"a\": \"b\"}]", "this is a JSON array, not a list"),
        ("[\"a.test\"]", "this is a JSON array, not a list"),
        (
            "{\"domains\": [\"a.test\"]}",
            "this is JSON with neither `payload` nor `rules`",
        ),
        (
            "c3M6Ly9ZV1Z6TFRJMU5pMW5ZMjA2\n",
            "this is a subscription to proxy servers, not a list",
        ),
        (
            "ss://x@192.0.2.1:1\nss://y@192.0.2.1:1",
            "this is a subscription to proxy servers, not a list",
        ),
        (
            "mixed-port: 1\nproxies: []\nrules:\n  - MATCH,DIRECT",
            "this is a configuration of Clash, not a list",
        ),
        (
            "version: 1\nrules:\n  - FALLBACK, DIRECT",
            "this is a configuration of Pointsman, not a list",
        ),
        (
            "inbounds:\n  a: { type: mixed, listen: 1 }\nrules:\n  - FALLBACK, DIRECT",
            "this is a configuration of Pointsman, not a list",
        ),
        (
            ":do {\nadd list=x address=10.0.0.0/8\n}",
            "this is a script for RouterOS (MikroTik), not a list",
        ),
        (
            "^ads?[0-9]*\\.\n(^|\\.)ad\\.test$\n",
            "this is a file of regular expressions (as Pi-hole has them), not a list",
        ),
        ("\n<!-- x -->\n<html>", "this is a web page, not a list"),
    ] {
        let (message, hint) = error(text, &Recipe::default());
        assert_eq!(message, what, "{text}");
        assert!(hint.is_some(), "{text}");
    }
    let page = "this is a web page, not a list";
    for format in [
        Format::Adblock,
        Format::Hosts,
        Format::Dnsmasq,
        Format::Text,
        Format::Yaml,
    ] {
        assert_eq!(error("<html>\n", &of(format)).0, page);
    }
}

#[test]
fn text_with_a_few_odd_characters_is_text() {
    let check = |text: &str, expected: &str| check(text, &Recipe::default(), expected);
    check(
        "\u{1b}a.test\nb.test",
        r".b.test@2; 1:0-7 `\u{1b}a.test` is no domain: the name has the character '\u{1b}', which no host name carries",
    );
    check(
        "a.test\n# \u{1b}[31mred\u{1b}[0m \u{7}\u{1}\nb.test",
        ".a.test@1 .b.test@3",
    );
}

#[test]
fn rules_of_quantumult_are_named() {
    check(
        "host-suffix, a.test, DIRECT\nHOST, b.test, DIRECT\n",
        &Recipe::default(),
        "; 1:0-27 `host-suffix, a.test, DIRECT` is a rule of Quantumult X, which names an outbound: take the same list for Surge or Clash (x2)",
    );
}
