//! Comments in every way that people write them, encodings, columns, and entries that cannot be meant.

use super::formats::written;
use super::*;

fn check(text: impl AsRef<[u8]>, recipe: &Recipe, expected: &str) {
    let text = text.as_ref();
    let shown = String::from_utf8_lossy(text).into_owned();
    assert_eq!(written(text, "", recipe), expected, "{shown}");
}

fn any(text: impl AsRef<[u8]>, expected: &str) {
    check(text, &Recipe::default(), expected);
}

fn format(format: Format) -> Recipe {
    Recipe {
        format: Some(format),
        ..Recipe::default()
    }
}

#[test]
fn comments_are_known_wherever_they_stand() {
    any(
        "a.example#note\nb.example #note\n10.0.0.0/8#x\nc.example;x\n; d\n// e\n! f\n# g\n",
        ".a.example@1 .b.example@2 10.0.0.0/8@3 .c.example@4",
    );
    any(
        "1.10.16.0/20 ; SBL256894\n; head\n1.19.0.0/16 ; SBL434604",
        "1.10.16.0/20@1 1.19.0.0/16@3",
    );
    any(
        "0.0.0.0 a.example#note\n0.0.0.0 b.example #note\n0.0.0.0 c.example\n0.0.0.0 d.example;x\n; e",
        "a.example@1 b.example@2 c.example@3 d.example@4",
    );
    // What no comment is.
    any("regexp:^a#?b$\nregexp:^c{1}$ # x\n", "~^a#?b$@1 ~^c{1}$@2");
    any(
        "server=/a.example/1.1.1.1#53\nserver=/b.example/#",
        ".a.example@1 !.b.example@2",
    );
    // A mark between a page and what is hidden there is none, whatever stands around.
    any(
        "a.example\nb.example\nc.example##.ad\n",
        ".a.example@1 .b.example@2; 3? `c.example##.ad` is a rule of AdBlock's in a list of format `text`: it is read as that (x1); 1 rules that say nothing about whole names (3)",
    );
    let rules = Recipe {
        behavior: Some(Behavior::Classical),
        ..Recipe::default()
    };
    check(
        "; a\n// b\n! c\nDOMAIN,a.example # x\nPROCESS-NAME,b#c",
        &rules,
        "a.example@4 Text(ProcessName, Ex@5",
    );
}

#[test]
fn comments_are_in_any_encoding() {
    let latin = b"# caf\xe9\na.example # \xe9t\xe9\nb.example#\xe9\n\xe9.example\n";
    any(
        latin,
        ".a.example@2 .b.example@3; 4:0-11 the line is not UTF-8: save the list as UTF-8",
    );
    any(
        b"! \xe9\n||a.example^\n@@||b.example^\n||\xe9.example^\n",
        ".a.example@2 !.b.example@3; 4:0-14 the line is not UTF-8: save the list as UTF-8",
    );
    any(
        b"0.0.0.0 a.example # \xe9\n0.0.0.0 \xe9.example\n",
        "a.example@1; 2:0-19 the line is not UTF-8: save the list as UTF-8",
    );
    any(
        b"# \xe9\nserver=/a.example/1.1.1.1 # \xe9\n",
        ".a.example@2",
    );
    any(
        b"# \xe9\npayload:\n  - a.example # \xe9\n  - \"b\\u002eexample\"\n  - \xe9.example\n",
        "a.example@3 b.example@4; 5:0-11 the line is not UTF-8: save the list as UTF-8",
    );
    // A pattern that is not text is none.
    any(
        b"regexp:^\xe9$\nkeyword:\xe9\na.example",
        ".a.example@3; 1:0-12 the line is not UTF-8: save the list as UTF-8 (x2)",
    );
}

#[test]
fn wide_lists_are_read() {
    let wide = |text: &str, unit: fn(u16) -> [u8; 2], mark: [u8; 2]| {
        let mut bytes = mark.to_vec();
        bytes.extend(text.encode_utf16().flat_map(unit));
        bytes
    };
    for (text, expected) in [
        (
            "# x\r\na.example\r\nb.example # \u{fc}\r\n",
            ".a.example@2 .b.example@3",
        ),
        ("payload:\n  - a.example\n", "a.example@2"),
        ("||a.example^\n", ".a.example@1"),
        ("0.0.0.0 a.example\n", "a.example@1"),
        (
            "{\"version\":1,\"rules\":[{\"domain\":[\"a.example\"]}]}",
            "a.example@1",
        ),
        ("", ""),
    ] {
        any(wide(text, u16::to_le_bytes, [0xff, 0xfe]), expected);
        any(wide(text, u16::to_be_bytes, [0xfe, 0xff]), expected);
    }
    // Half a character at its end.
    any(b"\xff\xfea\0.\0b\0\n\0x", ".a.b@1");
}

#[test]
fn the_end_of_a_text_for_dos_is_no_entry() {
    any(
        "a.example\r\nb.example\r\n\u{1a}",
        ".a.example@1 .b.example@2",
    );
    any("a.example\r\nb.example\u{1a}", ".a.example@1 .b.example@2");
    any("||a.example^\n\u{1a}", ".a.example@1");
    any("0.0.0.0 a.example\n\u{1a}", "a.example@1");
    any("payload:\n  - a.example\n\u{1a}", "a.example@2");
    any("payload: [a.example]\n\u{1a}", "a.example@1");
    any("address=/a.example/\n\u{1a}", ".a.example@1");
    any(
        "{\"version\":1,\"rules\":[{\"domain\":[\"a.example\"]}]}\n\u{1a}",
        "a.example@1",
    );
}

#[test]
fn columns_behind_addresses_are_counted() {
    let tabs = "# IP\tcount\n198.51.100.25\t10\n192.0.2.7\t9\n";
    any(
        tabs,
        "198.51.100.25/32@2 192.0.2.7/32@3; 2 columns behind addresses (2)",
    );
    let ip = Recipe {
        behavior: Some(Behavior::IpCidr),
        ..Recipe::default()
    };
    check(
        tabs,
        &ip,
        "198.51.100.25/32@2 192.0.2.7/32@3; 2 columns behind addresses (2)",
    );
    any(
        "203.0.113.0/24 AS64500 Example, Inc.\n198.51.100.1 US\n2001:db8::/32\tx y z",
        "203.0.113.0/24@1 198.51.100.1/32@2 2001:db8::/32@3; 3 columns behind addresses (1)",
    );
    any(
        "10.0.0.1-10.0.0.2\n10.0.1.0 - 10.0.1.255\n10.0.2.0/24, no-resolve",
        "10.0.0.1/32@1 10.0.0.2/32@1 10.0.1.0/24@2 10.0.2.0/24@3",
    );
    any(
        "Some, Org:10.0.0.0-10.0.0.255\nOther-Org.example:10.0.2.0-10.0.2.1\n",
        "10.0.0.0/24@1 10.0.2.0/31@2",
    );
    any(
        "10.0.0.9-10.0.0.1\n10.0.0.0/8\n",
        "10.0.0.0/8@2; 1:0-17 `10.0.0.9-10.0.0.1` is no range: it ends before it begins",
    );
}

#[test]
fn attributes_of_v2fly_are_taken_off_and_includes_told() {
    any(
        "include:google-ads\ninclude:x @ads\nfull:a.example @ads\nb.example @cn @ads # x\nregexp:^c{1,2}$ @ads\nkeyword:d @!cn\ndomain:e.example &f",
        "a.example@3 .b.example@4 ~^c{1,2}$@5 *d*@6 .e.example@7; 1:0-18 `include:google-ads` takes in another list, which is not read (x2); 6 attributes of entries (`@...`) (2)",
    );
}

#[test]
fn what_holds_everything_is_told() {
    let added = |text: &str, expected: &str| {
        let text = format!("a.example\nb.example\n{text}\n");
        any(text, &format!(".a.example@1 .b.example@2{expected}"));
    };
    added("*", " ~@3; 3? `*` holds every name (x1)");
    added(".*", r" ~(?:^|\.)[^.]*$@3; 3? `.*` holds every name (x1)");
    added("regexp:.*", " ~.*@3; 3? `regexp:.*` holds every name (x1)");
    added("regexp:", " ~@3; 3? `regexp:` holds every name (x1)");
    added("keyword:.", " *.*@3; 3? `keyword:.` holds every name (x1)");
    added(
        "DOMAIN-REGEX,.+",
        " ~.+@3; 3? `DOMAIN-REGEX,.+` holds every name (x1)",
    );
    added(".", "; 3:0-1 `.` is no domain: the name is empty");
    added("+.", "; 3:0-2 `+.` is no domain: the name is empty");
    added("regexp:^ads?[0-9]", " ~^ads?[0-9]@3");
    let all = "0.0.0.0/0@1 ::/0@2 0.0.0.0/0@3 0.0.0.0/0@4; 1? `0.0.0.0/0` holds every IPv4 address (x3); 2? `::/0` holds every IPv6 address (x1)";
    any(
        "0.0.0.0/0\n::/0\n0.0.0.0-255.255.255.255\nEvil:0.0.0.0-255.255.255.255\n",
        all,
    );
    let adblock = format(Format::Adblock);
    let told = "; 1:0-3 `||^` is no rule: it would hold every name";
    check("||^", &adblock, told);
    let told = "~.*@1 !~.*@2; 1? `*` holds every name (x2)";
    check("*\n@@*", &adblock, told);
    let json = "{\"version\":1,\"rules\":[{\"domain_regex\":\".*\"},{\"domain_keyword\":\".\"}]}";
    any(
        json,
        "~.*@1 *.*@1; 1? `DOMAIN-REGEX,.*` holds every name (x2)",
    );
}

#[test]
fn what_never_matches_is_told() {
    let numbered =
        "its last label is a number, so that it never matches: no name ends so (RFC 1123, 2.1)";
    any(
        "a.example\nfull:10.0.0.1\nb.1\n+.2\nc.1a\nd.2.example",
        &format!(
            ".a.example@1 .c.1a@5 .d.2.example@6; 2:5-13 `10.0.0.1` is no domain: {numbered} (x3)"
        ),
    );
    any(
        "DOMAIN,10.0.0.1\nDOMAIN-SUFFIX,1\nDOMAIN,a.example",
        &format!("a.example@3; 1:0-15 `10.0.0.1` is no domain: {numbered} (x2)"),
    );
    check(
        "0.0.0.0 10.0.0.1\n0.0.0.0 a.example",
        &format(Format::Hosts),
        &format!("a.example@2; 1:0-16 `10.0.0.1` is no domain: {numbered}"),
    );
    check(
        "address=/1.2.3.4/\nserver=/a.1/#",
        &format(Format::Dnsmasq),
        &format!("; 1:0-17 `1.2.3.4` is no domain: {numbered} (x2)"),
    );
    check(
        "||a.1^\n@@||a.1^\n||b.2^$important",
        &format(Format::Adblock),
        &format!(
            "; 1:0-6 `||a.1^` is no rule: {numbered} (x2); 2:0-8 `a.1` is no domain: {numbered}"
        ),
    );
    let names = Recipe {
        behavior: Some(Behavior::Domain),
        ..Recipe::default()
    };
    check(
        "a.example\n10.0.0.1\n10.0.0.0/8",
        &names,
        "a.example@1; 2:0-8 `10.0.0.1` is a range of addresses, and this is a list of names (x2)",
    );
    any(
        "10.0.0.0/8\n::ffff:0:0/96\n::ffff:10.0.0.0/104",
        "10.0.0.0/8@1 ::ffff:0.0.0.0/96@2 10.0.0.0/8@3; 2? `::ffff:0.0.0.0/96` never matches: IPv4 addresses are IPv4 ones here, however a flow writes them (x1)",
    );
    any(
        "10.1.2.3/8\n10.0.0.0/8\n2001:db8::1/32\n::ffff:10.1.0.0/104\n1.2.3.4/32",
        "10.0.0.0/8@1 10.0.0.0/8@2 2001:db8::/32@3 10.0.0.0/8@4 1.2.3.4/32@5; 1? `10.1.2.3/8` has bits behind its length: read as `10.0.0.0/8` (x3)",
    );
}

/// Whether a set holds a name, by whatever entry.
fn holds(set: &RuleSet, name: &str) -> bool {
    query::ask(set, &Host::parse(name).unwrap()).entry.is_some()
}

#[test]
fn case_counts_in_patterns_where_their_program_minds_it() {
    let check = |list: &str, format: Option<Format>, target: Option<write::OutputFormat>| {
        let recipe = Recipe {
            format,
            ..Recipe::default()
        };
        let mut kept = write::Collected::default();
        let mut told = ReadReport::default();
        let mut bytes = Cursor::new(list.as_bytes());
        read(
            &mut bytes,
            "l",
            &recipe,
            &Surroundings::default(),
            &mut kept,
            &mut told,
        )
        .unwrap();
        let mut set = RuleSetBuilder::new("l", "l", Key::default());
        let (mut list, recipe) = match target {
            Some(target) => (kept.write(target).bytes, Recipe::default()),
            None => (list.as_bytes().to_vec(), recipe),
        };
        let mut bytes = Cursor::new(&mut list);
        read(
            &mut bytes,
            "l",
            &recipe,
            &Surroundings::default(),
            &mut set,
            &mut told,
        )
        .unwrap();
        set.finish()
    };
    let cased = [
        ("regexp:^[A-Z]\nregexp:^x[0-9]y$\n", None),
        (
            r#"{"version":1,"rules":[{"domain_regex":["^[A-Z]","^x[0-9]y$"]}]}"#,
            Some(Format::SrsJson),
        ),
    ];
    let targets = [
        None,
        Some(write::OutputFormat::Srs),
        Some(write::OutputFormat::Text),
        Some(write::OutputFormat::Yaml),
    ];
    for target in targets {
        for (list, format) in cased {
            let set = check(list, format, target);
            assert!(!holds(&set, "abc.test"), "{list} {target:?}");
            assert!(holds(&set, "x1y"), "{list} {target:?}");
        }
        let set = check("DOMAIN-REGEX,^[A-Z]\n", None, target);
        assert!(holds(&set, "abc.test"), "{target:?}");
    }
}

#[test]
fn marks_of_clash_are_those_of_its_binary_lists() {
    let check = |list: &str, behavior, target: Option<write::OutputFormat>, expected: &str| {
        let recipe = Recipe {
            behavior,
            ..Recipe::default()
        };
        let mut told = ReadReport::default();
        let mut set = RuleSetBuilder::new("l", "l", Key::default());
        let mut bytes = Cursor::new(list.as_bytes().to_vec());
        if let Some(target) = target {
            let mut kept = write::Collected::default();
            read(
                &mut bytes,
                "l",
                &recipe,
                &Surroundings::default(),
                &mut kept,
                &mut told,
            )
            .unwrap();
            let written = kept.write(target);
            assert_eq!(written.left_out, [], "{list} {target:?}");
            bytes = Cursor::new(written.bytes);
        }
        let recipe = if target.is_some() {
            Recipe::default()
        } else {
            recipe
        };
        read(
            &mut bytes,
            "l",
            &recipe,
            &Surroundings::default(),
            &mut set,
            &mut told,
        )
        .unwrap();
        let set = set.finish();
        let names = "a.test x.a.test y.x.a.test b.test x.b.test y.x.b.test c.test x.c.test";
        let held = names.split(' ').filter(|name| holds(&set, name));
        let held: Vec<&str> = held.collect();
        assert_eq!(held.join(" "), expected, "{list} {target:?}");
    };
    let clash = "x.a.test x.b.test y.x.b.test c.test x.c.test";
    let wide = "a.test x.a.test y.x.a.test b.test x.b.test y.x.b.test c.test x.c.test";
    let yaml = "payload:\n  - '*.a.test'\n  - '.b.test'\n  - '+.c.test'\n";
    let text = "*.a.test\n.b.test\n+.c.test\n";
    let recognised = "+.d.test\n+.e.test\n+.c.test\n*.a.test\n.b.test\n";
    let targets = [
        None,
        Some(write::OutputFormat::Mrs),
        Some(write::OutputFormat::Srs),
        Some(write::OutputFormat::Text),
        Some(write::OutputFormat::Yaml),
    ];
    for target in targets {
        check(yaml, None, target, clash);
        check(yaml, Some(Behavior::Domain), target, clash);
        check(text, Some(Behavior::Domain), target, clash);
        check(recognised, None, target, clash);
        check(text, None, target, wide);
        check(text, Some(Behavior::Names), target, wide);
    }
}
