//! Odd lists as people and programs leave them: marks of encodings, line ends, long lines, names that are none.

use super::formats::written;
use super::*;

fn check(text: &[u8], format: Option<Format>, behavior: Option<Behavior>, expected: &str) {
    let recipe = Recipe {
        format,
        behavior,
        ..Recipe::default()
    };
    let shown = String::from_utf8_lossy(text.get(..64).unwrap_or(text)).into_owned();
    assert_eq!(written(text, "", &recipe), expected, "{shown}");
}

#[test]
fn marks_of_encodings_and_line_ends_are_no_part_of_entries() {
    let text = |text: &str, expected| check(text.as_bytes(), None, None, expected);
    text("\u{feff}a.test\r\n\r\n+.b.test\r\n", "a.test@1 .b.test@3");
    text(
        "\u{feff}payload:\r\n  - a.test\r\n  - '+.b.test'\r\n",
        "a.test@2 .b.test@3",
    );
    text(
        "\u{feff}||a.test^\r\n! x\r\n@@|b.a.test^\r\n",
        ".a.test@1 !b.a.test@3",
    );
    text(
        "\u{feff}127.0.0.1\tlocalhost\r\n0.0.0.0\ta.test b.test\t# x\r\n",
        "a.test@2 b.test@2",
    );
    text(
        "\u{feff}{\"version\":1,\"rules\":[{\"domain\":[\"a.test\"]}]}",
        "a.test@1",
    );
    text("\u{feff}address=/a.test/0.0.0.0\r\n", ".a.test@1");
    text("\r\n\r\n", "");
    text("\u{feff}", "");
    let binary =
        "; error: this is binary, or UTF-16 without its mark; a list of format `text` is text";
    check(b"a.test\0\nb.test\n", Some(Format::Text), None, binary);
    check(b"\xff\xfea\0.\0b\0\n\0", None, None, ".a.b@1");
}

#[test]
fn names_in_text_are_names_or_told() {
    let told = |entry: &str, why: &str| {
        let expected = format!("; 1:0-{} `{entry}` is {why}", entry.len());
        let domain = Some(Behavior::Domain);
        check(entry.as_bytes(), Some(Format::Text), domain, &expected);
    };
    let check = |text: &str, expected: &str| {
        let domain = Some(Behavior::Domain);
        check(text.as_bytes(), Some(Format::Text), domain, expected);
    };
    check(
        "WWW.Example.COM.\n  +.b.test \t\n",
        "www.example.com@1 .b.test@2",
    );
    check(
        "b\u{fc}cher.example\n+.\u{440}\u{444}",
        "xn--bcher-kva.example@1 .xn--p1ai@2",
    );
    check("+.a.test", ".a.test@1");
    check(
        "a.*.test\n*\n+.*",
        r"~^a\.[^.]*\.test$@1 ~@2 ~(?:^|\.)[^.]*$@3; 2? `*` holds every name (x2)",
    );
    check("a.test # x\n#b.test", "a.test@1");
    told("a..b", "no domain: the name has an empty label");
    told("+..b", "no domain: the name has an empty label");
    told(".", "no domain: the name is empty");
    told("+.", "no domain: the name is empty");
    let list = "and this is a list of names: write `a.test`";
    let told_as = |entry: &str, why: &str| {
        let expected = format!("; 1:0-{} {why}", entry.len());
        check(entry, &expected);
    };
    told_as("a.test:443", &format!("`a.test:443` has a port, {list}"));
    told_as(
        "http://a.test/",
        &format!("`http://a.test/` is the address of a page, {list}"),
    );
    for entry in [r"ads\.test", r"ads.*\.test$", r"(ads|x).test"] {
        let why = "looks like a regular expression: write `regexp:` before it";
        told_as(entry, &format!("`{entry}` {why}"));
    }
    let character = |c: char| {
        format!("no domain: the name has the character {c:?}, which no host name carries")
    };
    told("a.test/x", &character('/'));
    told("a b.test", &character(' '));
    let range = "a range of addresses, and this is a list of names";
    for entry in ["1.2.3.4", "::1", "10.0.0.0/8", "fe80::/10"] {
        told(entry, range);
    }
}

#[test]
fn hosts_have_any_number_of_names() {
    let check = |text: &str, expected| check(text.as_bytes(), Some(Format::Hosts), None, expected);
    check(
        "0.0.0.0 a.test b.test c.test # x.test\n0.0.0.0 D.test.",
        "a.test@1 b.test@1 c.test@1 d.test@2",
    );
    check(
        "::1 e.test\nfe80::1%lo0 localhost\n0.0.0.0 0.0.0.0",
        "e.test@1",
    );
    check(
        "0.0.0.0 # x\n0.0.0.0 a_b.test",
        "a_b.test@2; 1:0-7 `0.0.0.0` is no line of a hosts file (`ADDRESS NAME`)",
    );
    check(
        "0.0.0.0a.test\n0.0.0.0 b\u{fc}cher.example",
        "xn--bcher-kva.example@2; 1:0-13 `0.0.0.0a.test` is no line of a hosts file (`ADDRESS NAME`)",
    );
}

#[test]
fn adblock_names_are_names_or_told() {
    let check =
        |text: &str, expected| check(text.as_bytes(), Some(Format::Adblock), None, expected);
    check(
        "||*.a.test^\n||a.*.test^\n||A.Test.^\n||b\u{fc}cher.example^",
        r"_.a.test@1 ~(?:^|\.)a\..*\.test$@2 .a.test@3 .xn--bcher-kva.example@4",
    );
    check(
        "||a..test^\n||a.test:443^\n||^\n||\n||[::1]^",
        "::1/128@5; 1:0-10 `||a..test^` is no rule: the name has an empty label; 3:0-3 `||^` is no rule: it would hold every name (x2); 1 rules that say nothing about whole names (2)",
    );
    check(
        "*\n||*^\n@@||*^\n@@",
        r"~.*@1 ~(?:^|\.).*$@2 !~(?:^|\.).*$@3; 1? `*` holds every name (x3); 4:0-2 `` is no domain: the name is empty",
    );
    check(
        "||a.test^$\n||b.test^$ important\n||d.test$important\ne.test$important\n|f.test|$important",
        ".a.test@1 !!.b.test@2 !!.d.test@3 !!e.test@4 !!f.test@5",
    );
    check(
        "||a.test^$important,badfilter\n||a.test^$important\n@@||x^$badfilter\n@@||x^",
        "",
    );
    check("||1.2.3.4^", "1.2.3.4/32@1");
}

#[test]
fn long_lines_cost_no_other_entry() {
    let mut text = b"a.test\n".to_vec();
    text.extend(std::iter::repeat_n(b'x', 10 << 20));
    text.extend_from_slice(b"\n+.b.test\n");
    let expected = ".a.test@1 .b.test@3; 2:0-64 the line is longer than 64 KiB";
    check(&text, None, None, expected);
}

/// An expression that makes much work of each character is one of few that a list may hold, whatever its format.
#[test]
fn expressions_cannot_make_lookups_slow() {
    let hard = "(a*b?){120}z";
    let check = |line: &dyn Fn(&str) -> String, behavior: Option<Behavior>, format: Format| {
        let taken = |regex: &str, count: usize| {
            let text: String = (0..count).map(|_| line(regex)).collect();
            let recipe = Recipe {
                format: Some(format),
                behavior,
                ..Recipe::default()
            };
            let shown = written(text.as_bytes(), "", &recipe);
            let (entries, told) = shown.split_once(';').unwrap_or((&shown, ""));
            let slow = told.contains("would make every look-up slow");
            (
                entries
                    .split_whitespace()
                    .filter(|e| e.contains('@'))
                    .count(),
                slow,
            )
        };
        let (some, slow) = taken(hard, 200);
        assert!(
            slow && (10..100).contains(&some),
            "{format:?}: {some} of 200"
        );
        assert_eq!(
            taken(r"^ads?\d*\.(x|y)\.test$", 200),
            (200, false),
            "{format:?}"
        );
    };
    let classical = Some(Behavior::Classical);
    check(&|regex| format!("/{regex}/\n"), None, Format::Adblock);
    check(&|regex| format!("@@/{regex}/\n"), None, Format::Adblock);
    check(&|regex| format!("regexp:{regex}\n"), None, Format::Text);
    check(
        &|regex| format!("DOMAIN-REGEX,{regex}\n"),
        classical,
        Format::Text,
    );
    check(
        &|regex| format!("AND, [DST-PORT, 443], [DOMAIN-REGEX, '{regex}']\n"),
        classical,
        Format::Text,
    );
}

#[test]
fn logic_in_the_brackets_of_clash_is_logic() {
    let check = |text: &str, expected| {
        check(text.as_bytes(), None, Some(Behavior::Classical), expected);
    };
    check(
        "AND,((DOMAIN,a.test),(DST-PORT,443))\nNOT,((NETWORK,UDP))",
        "And([Domain(Exact(Do@1 Not(Network(Udp))@2",
    );
    check(
        "AND,((DOMAIN,a.test),(PORT,443))",
        "; 1:0-32 there is no rule type `PORT` (write `DST-PORT, PORT`)",
    );
}

#[test]
fn rules_of_clash_are_read_in_lists() {
    let check = |behavior, text: &str, expected| check(text.as_bytes(), None, behavior, expected);
    let classical = Some(Behavior::Classical);
    check(
        None,
        "payload:\n  - DOMAIN-WILDCARD,*.w.test\n  - DST-PORT,80/443\n  - IN-PORT,7890\n  - IP-CIDR,10.0.0.0/8,no-resolve,src\n",
        "~^.*\\.w\\.test$@2 Port { side: Destina@3 Inbound { kind: None@4 Address { of: Source@5",
    );
    check(
        classical,
        "GEOSITE,google\nMATCH\nDOMAIN,a.test,Proxy\nDST-PORT,x\n",
        "; 1:0-14 an entry cannot ask for a category of sites: make `google` a rule set of its own (`format: dat`); \
         2:0-5 `MATCH` stands in `rules` alone; \
         3:14-19 `Proxy` means nothing here: an entry names no outbound; \
         4:9-10 `x` is no port (write `443`, `443/tcp`, `tcp`, `8000-8100` or `80|443`)",
    );
    // A network behind a port is no second part.
    check(classical, "DST-PORT,443/tcp", "Port { side: Destina@1");
}

#[test]
fn expressions_of_v2ray_have_commas() {
    check(
        b"full:b.test\nregexp:^ad[0-9]{1,3}\\.net$\nregexp:^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$\n",
        None,
        None,
        "b.test@1 ~^ad[0-9]{1,3}\\.net$@2 ~^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$@3",
    );
    check(
        b"regexp:^ad[0-9]{1,3}\\.net$\n",
        None,
        None,
        "~^ad[0-9]{1,3}\\.net$@1",
    );
    check(
        b"a.test,b.test\n",
        None,
        None,
        "; 1:0-13 `a.test,b.test` is no domain: the name has the character ',', which no host name carries",
    );
}
