//! Formats as data: which entries each text gives, and which format it is taken for.

use pointsman_policy::condition::{Condition, DomainTest};
use pointsman_policy::set::{Item, Place, Reach};

use super::*;

/// Writes down what it gets: `x` exact, `.x` with all below, `_.x` those below alone, `!` before an exception, `!!` before an important name, `~` before a
/// regular expression, `*x*` a keyword; then `@` and the line.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<String>);

impl Sink for Writer {
    fn add(&mut self, item: Item<'_>, place: Place<'_>) {
        let text = match item {
            Item::Exact(name) => name.as_str().to_owned(),
            Item::Except(DomainTest::Keyword(word)) => format!("!*{word}*"),
            Item::Except(DomainTest::Regex(regex)) => format!("!~{regex}"),
            Item::Except(test) => format!("!{test:?}"),
            Item::Important {
                name,
                reach,
                except,
            } => format!(
                "!!{}{}{}",
                if except { "!" } else { "" },
                match reach {
                    Reach::Below => "_.",
                    Reach::Exact => "",
                    Reach::Suffix => ".",
                },
                name.as_str()
            ),
            Item::Below(name) => format!("_.{}", name.as_str()),
            Item::ExceptBelow(name) => format!("!_.{}", name.as_str()),
            Item::ExceptExact(name) => format!("!{}", name.as_str()),
            Item::ExceptSuffix(name) => format!("!.{}", name.as_str()),
            Item::Other(Condition::Domain(DomainTest::Keyword(word))) => format!("*{word}*"),
            Item::Other(Condition::Domain(DomainTest::Regex(regex))) => format!("~{regex}"),
            Item::Other(condition) => {
                let mut text = format!("{condition:?}");
                text.truncate(20);
                text
            }
            Item::Prefix(prefix) => prefix.to_string(),
            Item::Suffix(name) => format!(".{}", name.as_str()),
        };
        assert!(!place.written.is_empty() && place.line > 0);
        self.0.push(format!("{text}@{}", place.line));
    }
}

/// The entries of a text, then `; ` and what was told.
pub(super) fn written(text: &[u8], name: &str, recipe: &Recipe) -> String {
    let mut sink = Writer::default();
    let mut told = ReadReport::default();
    let mut bytes = Cursor::new(text);
    let read = read(
        &mut bytes,
        name,
        recipe,
        &Surroundings::default(),
        &mut sink,
        &mut told,
    );
    let mut all = sink.0.join(" ");
    if let Err(error) = read {
        return format!("{all}; error: {error}");
    }
    // What is left out without a mark, then what is read: `?`, then what is passed over.
    for wanted in [Remark::LeftOut, Remark::Passed] {
        for reason in told.reasons.iter() {
            let Reason {
                kind,
                message,
                first,
                count,
                ..
            } = reason;
            let (line, start, end) = (first.line, first.start, first.end);
            match (kind, wanted) {
                (Remark::Passed | Remark::MostPassed, Remark::Passed) => {
                    all += &format!("; {count} {message} ({line})");
                }
                (Remark::Passed | Remark::MostPassed | Remark::Guessed, _)
                | (_, Remark::Passed) => {}
                (Remark::LeftOut, _) if *count == 1 => {
                    all += &format!("; {line}:{start}-{end} {message}");
                }
                (Remark::LeftOut, _) => {
                    all += &format!("; {line}:{start}-{end} {message} (x{count})");
                }
                _ => all += &format!("; {line}? {message} (x{count})"),
            }
        }
    }
    all
}

fn recipe(format: Format) -> Recipe {
    Recipe {
        format: Some(format),
        ..Recipe::default()
    }
}

#[test]
fn adblock_rules_are_taken_where_they_speak_of_names() {
    let check = |text: &str, expected: &str| {
        let found = written(text.as_bytes(), "", &recipe(Format::Adblock));
        assert_eq!(found, expected, "{text}");
    };
    check(
        "[Adblock Plus 2.0]\n! title\n# note\n||ads.test^\nplain.test",
        ".ads.test@4 plain.test@5",
    );
    check("||ads.test^|\n||Ads.Test", ".ads.test@1 .ads.test@2");
    check(
        "|a.test^\n|b.test|\n|c.test^|",
        "a.test@1 b.test@2 c.test@3",
    );
    check(
        "@@||a.test^\n@@|b.test^\n@@c.test",
        "!.a.test@1 !b.test@2 !c.test@3",
    );
    check(
        "||a.test^$important\n@@||b.test^$important",
        "!!.a.test@1 !!!.b.test@2",
    );
    check("||a.test^\n||a.test^$badfilter\n||b.test^", ".b.test@3");
    check("||a.test^$important\n||a.test^$badfilter,important", "");
    check(
        "||a.test^$dnsrewrite=1.2.3.4\n||b.test^$dnsrewrite",
        "; 2 rules that rewrite answers (1)",
    );
    check(
        "||a.test^$client=x\n||a.test^$important,dnstype=AAAA\n@@||a.test^$ctag=pc",
        "; 3 rules for some clients or some kinds of queries (1)",
    );
    check(
        "||a.test^$third-party\n||b.test^$3p,important\n@@||c.test^$3p",
        ".a.test@1 !!.b.test@2; 1 rules for some kinds of requests to a name (with `$3p` 1: 1 of 3 rules) (3)",
    );
    check(
        "||a.test^$popup,script\n||b.test^\n||c.test^$script,third-party,domain=x|y\na.test##.ad\n||d.test/x^$script\n@@||e.test^$image",
        ".b.test@2; 3 rules for some kinds of requests to a name (with `$script` 2, `$domain` 1, `$image` 1, `$popup` 1: 3 of 4 rules) (1); 2 rules that say nothing about whole names (4)",
    );
    check(
        "||a.test^$all\n||b.test^$doc\n||c.test^$document",
        "; 3 rules for a browser's pages (`$all`, `$document`) (1)",
    );
    check(
        "*$denyallow=a.test\n||test^$important,denyallow=b.test",
        "; 2 rules with exceptions of their own (`$denyallow`) (1)",
    );
    check(
        "##.ad\na.test##.ad\na.test#@#.x\n||a.test/path\nhttps://a.test",
        "; 5 rules that say nothing about whole names (1)",
    );
    check(
        "||*.a.test^\n*.b.test\n||.c.test^",
        "_.a.test@1 _.b.test@2; 1 rules that say nothing about whole names (3)",
    );
    check(
        "||a.test/path\n@@||a.test/path\n@@||b..test^",
        "; 3:0-12 `@@||b..test^` is no rule: the name has an empty label; 2 rules that say nothing about whole names (1)",
    );
    check("||ads*.a.test^", r"~(?:^|\.)ads.*\.a\.test$@1");
    check("a*.test^\n|a*b", r"~a.*\.test$@1 ~^a.*b@2");
    check(
        "*banner*\n||*banner*\n-ads-.*",
        "*banner*@1 *banner*@2 *-ads-.*@3",
    );
    check(
        "@@||a*.test^\n@@/x/\n@@*foo*\n@@/(/\n@@||1.2.3.4^",
        r"!~(?:^|\.)a.*\.test$@1 !~x@2 !*foo*@3; 4:0-5 no regular expression: unclosed group; 1 exceptions for addresses (5)",
    );
    check(r"/^ad\d+\.test$/", r"~^ad\d+\.test$@1");
    check(
        r"/^https?:\/\/ads/",
        "; 1 rules that say nothing about whole names (1)",
    );
    check(
        r"/(?=x)/",
        "; 1:0-7 no regular expression: look-around, including look-ahead and look-behind, is not supported",
    );
    check(
        "0.0.0.0 a.test b.test # x\n::1 localhost\n1.2.3.4 c.test",
        "a.test@1 b.test@1; 1 rules that rewrite answers (3)",
    );
    check("||1.2.3.4^\n||10.0.0.0/8^", "1.2.3.4/32@1 10.0.0.0/8@2");
    check("||bücher.test^", ".xn--bcher-kva.test@1");
    check(
        "||^\n||*^\n*\n|\n||",
        r"~(?:^|\.).*$@2 ~.*@3; 1:0-3 `||^` is no rule: it would hold every name (x3); 2? `||*^` holds every name (x2)",
    );
}

#[test]
fn hosts_files_name_names_alone() {
    let check = |text: &str, expected: &str| {
        let found = written(text.as_bytes(), "", &recipe(Format::Hosts));
        assert_eq!(found, expected, "{text}");
    };
    check(
        "# head\n127.0.0.1 localhost\n::1\tlocalhost ip6-loopback\n0.0.0.0 a.test",
        "a.test@4",
    );
    check(
        "0.0.0.0 a.test b.test  c.test # d.test\r\n",
        "a.test@1 b.test@1 c.test@1",
    );
    check("fe80::1%lo0 localhost\n0.0.0.0 0.0.0.0", "");
    check("10.1.1.1 nas.lan", "nas.lan@1");
    check(
        "a.test\n0.0.0.0 b..test\n0.0.0.0 c.test",
        "a.test@1 c.test@3; 1? `a.test` is a name without an address in a list of format `hosts`: it is read as that (x1); 2:0-15 `b..test` is no domain: the name has an empty label",
    );
}

#[test]
fn dnsmasq_options_name_names_with_all_below() {
    let check = |text: &str, expected: &str| {
        let found = written(text.as_bytes(), "", &recipe(Format::Dnsmasq));
        assert_eq!(found, expected, "{text}");
    };
    check("server=/a.test/114.114.114.114", ".a.test@1");
    check(
        "server=/a.test/b.test/1.1.1.1#53 # x",
        ".a.test@1 .b.test@1",
    );
    check(
        "address=/a.test/0.0.0.0\naddress=/b.test/\nlocal=/c.test/",
        ".a.test@1 .b.test@2 .c.test@3",
    );
    check(
        "ipset=/a.test/b.test/set1,set2\nnftset=/c.test/4#inet#fw#set",
        ".a.test@1 .b.test@1 .c.test@2",
    );
    check(
        "server=/a.test/1.1.1.1\nserver=/b.a.test/#",
        ".a.test@1 !.b.a.test@2",
    );
    check("address=/a.test/#", ".a.test@1");
    check(
        "address=/#/0.0.0.0",
        "~@1; 1? `address=/#/0.0.0.0` holds every name (x1)",
    );
    check(
        "server=/*.a.test/1.1.1.1\n--server=/.b.test/1.1.1.1",
        ".a.test@1 .b.test@2",
    );
    check(
        "server=1.1.1.1\nno-resolv\nserver=//1.1.1.1\n# x",
        "; 3 options that name no names (1)",
    );
    check(
        "server=/a.test\naddress=/a b/1.1.1.1",
        "; 1:0-14 `server=/a.test` has no `/` behind the name; 2:0-20 `a b` is no domain: the name has the character ' ', which no host name carries",
    );
}

#[test]
fn texts_are_read_by_what_they_hold() {
    use Behavior::{Classical, Domain, IpCidr, Names};
    let check = |text: &str, behavior: Option<Behavior>, expected: &str| {
        let recipe = Recipe {
            behavior,
            ..recipe(Format::Text)
        };
        let found = written(text.as_bytes(), "", &recipe);
        assert_eq!(found, expected, "{text}");
    };
    check(
        "a.test\n1.2.3.4\n10.0.0.0/8\n2001:db8::/32",
        None,
        ".a.test@1 1.2.3.4/32@2 10.0.0.0/8@3 2001:db8::/32@4",
    );
    check(
        "a.test\n+.b.test\n.c.test",
        None,
        "a.test@1 .b.test@2 .c.test@3",
    );
    check("a.test\n+.b.test", Some(Names), ".a.test@1 .b.test@2");
    check(
        "full:a.test\ndomain:b.test\nc.test\nkeyword:ads\nregexp:^d+$",
        None,
        "a.test@1 .b.test@2 .c.test@3 *ads*@4 ~^d+$@5",
    );
    check("full:a.test\nc.test", Some(Domain), "a.test@1 c.test@2");
    check(
        "DOMAIN,a.test\nIP-CIDR,10.0.0.0/8,no-resolve\nDOMAIN-KEYWORD,ads",
        None,
        "a.test@1 10.0.0.0/8@2 *ads*@3",
    );
    check("a.test\nDOMAIN-SUFFIX,b.test", None, ".a.test@1 .b.test@2");
    check(
        "10.0.0.0/8\n10.1.0.0/16,no-resolve",
        None,
        "10.0.0.0/8@1 10.1.0.0/16@2",
    );
    check(
        "a.*.test\n+.a.*.test\nads*.test\n*",
        Some(Domain),
        r"~^a\.[^.]*\.test$@1 ~(?:^|\.)a\.[^.]*\.test$@2 ~^ads[^.]*\.test$@3 ~@4; 4? `*` holds every name (x1)",
    );
    check(
        "\u{feff}a.test\r\n\r\n# x\r\n  b.test # y\r\n",
        Some(Names),
        ".a.test@1 .b.test@4",
    );
    check(
        "a.test",
        Some(Classical),
        "; 1:0-6 there is no rule type `a.test`",
    );
    check(
        "a.test",
        Some(IpCidr),
        "; 1:0-6 `a.test` is not an IPv4 or IPv6 address",
    );
    check(
        "full:a b\nother:x\nregexp:(",
        None,
        "; 1:5-8 `a b` is no domain: the name has the character ' ', which no host name carries; 2:0-7 `other:` is no mark of an entry; marks are `domain:`, `full:`, `keyword:`, `regexp:`; 3:7-8 no regular expression: unclosed group",
    );
}

#[test]
fn broken_lines_are_told_and_the_rest_serves() {
    let mut text = b"a.test\n\xff\xfe\n".to_vec();
    text.extend(std::iter::repeat_n(b'x', 200_000));
    text.extend(b"\nb.test\n");
    let names = Recipe {
        behavior: Some(Behavior::Names),
        ..recipe(Format::Text)
    };
    assert_eq!(
        written(&text, "", &names),
        ".a.test@1 .b.test@4; 2:0-6 the line is not UTF-8: save the list as UTF-8; 3:0-64 the line is longer than 64 KiB"
    );
    let yaml = "payload:\n  - a.test\n  - b.test\n  - [x]\n  - \"c\\u002etest\"\n";
    assert_eq!(
        written(yaml.as_bytes(), "", &recipe(Format::Yaml)),
        "a.test@2 b.test@3 c.test@5; 4:4-7 an entry is one text: a list or a mapping is none"
    );
}

#[test]
fn formats_are_recognised() {
    let check = |text: &[u8], name: &str, expected: &str| {
        let mut bytes = Cursor::new(text);
        let shown = String::from_utf8_lossy(text).into_owned();
        let told = recognise::recognise(
            &mut bytes,
            name,
            &Recipe::default(),
            &mut ReadReport::default(),
        );
        let found = match told.map(|found| (found.format, found.behavior)) {
            Ok((format, Some(behavior))) => format!("{} {}", format.as_str(), behavior.as_str()),
            Ok((format, None)) => format.as_str().to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{shown}");
    };
    check(b"", "", "text domain");
    check(b"# x\n\na.test\n", "", "text names");
    check(b"a.test\n+.b.test\n", "", "text domain");
    check(b"1.2.3.0/24\n::/0\n", "", "text ipcidr");
    check(b"DOMAIN,a.test\nIP-CIDR,1.0.0.0/8\n", "", "text classical");
    check(b"1.2.3.0/24\na.test\n", "", "text names");
    check(b"# x\npayload:\n  - 'a.test'\n", "", "yaml domain");
    check(b"---\npayload:\n- 1.0.0.0/8\n", "", "yaml ipcidr");
    check(b"payload:\n  - DOMAIN,a.test\n", "", "yaml classical");
    check(b"{payload: [a.test]}", "", "yaml domain");
    check(b"{\"version\": 3, \"rules\": []}", "", "srs-json");
    check(b"{}", "x.json", "srs-json");
    check(b"[Adblock Plus 2.0]\n||a.test^\n", "", "adblock");
    check(b"! x\na.test\n", "", "adblock");
    check(b"# x\na.test\n@@||b.test^\n", "", "adblock");
    check(b"# x\n0.0.0.0 a.test\n", "", "hosts");
    check(b"# x\nserver=/a.test/1.1.1.1\n", "", "dnsmasq");
    check(b"SRS\x03\x00", "", "srs");
    check(b"\x28\xb5\x2f\xfd\x00", "x.txt", "mrs");
    check(b"\x0a\x0d\x0a\x02CN\x12\x07", "", "dat");
    check(b"\x00\x01\x02\xab\xcd\xefMaxMind.com\x00", "", "mmdb");
    check(b"\x00\x01\x02", "geo.dat", "dat");
    check(
        b"\x00\x01\x02",
        "",
        "the content is binary, of no format that is known",
    );
    check(b"\x1f\x8b\x08", "", "this is compressed with gzip");
    check(b"<!DOCTYPE html>\n", "", "this is a web page, not a list");
    let named = written(b"SRS\x03", "", &recipe(Format::Text));
    assert_eq!(named, "; error: this is a list of format `srs`");
    let named = written(b"payload:\n  - a.test", "", &recipe(Format::Text));
    assert_eq!(named, "; error: this is a list of format `yaml`");
    let named = written(b"a\0.\0", "", &recipe(Format::Hosts));
    assert!(named.contains("binary, or UTF-16"), "{named}");
    let named = written(b"<html>", "", &recipe(Format::Text));
    assert_eq!(named, "; error: this is a web page, not a list");
    let select = Recipe {
        select: Some("cn".into()),
        ..recipe(Format::Text)
    };
    let named = written(b"a.test", "", &select);
    assert_eq!(
        named,
        "; error: `select: cn`: a list of format `text` is one list"
    );
}
