//! The format of a list is its majority's, or what was declared; an odd line is read as what it is, and told.

use super::formats::written;
use super::*;

/// `FORMAT BEHAVIOR: ` and what was written down of the list.
fn told_and_written(text: &str, recipe: &Recipe) -> String {
    let mut told = ReadReport::default();
    let mut bytes = Cursor::new(text);
    let (format, behavior) = match recognise::recognise(&mut bytes, "", recipe, &mut told) {
        Ok(found) => (found.format, found.behavior),
        Err(error) => return format!("error: {error}"),
    };
    let behavior = behavior.map_or("-", Behavior::as_str);
    let written = written(text.as_bytes(), "", recipe);
    format!("{} {behavior}: {written}", format.as_str())
}

fn check(text: &str, expected: &str) {
    let got = told_and_written(text, &Recipe::default());
    assert_eq!(got, expected, "{text}");
}

#[test]
fn one_line_never_changes_what_the_others_are() {
    check(
        "10.1.0.0/16\n10.2.0.0/16\n10.3.0.0/16\n1.2.3.4 somehost.example\n",
        "text ipcidr: 10.1.0.0/16@1 10.2.0.0/16@2 10.3.0.0/16@3 1.2.3.4/32@4; 1 columns behind addresses (4)",
    );
    check(
        "a.example\n0.0.0.0 b.example\nc.example\n",
        "text names: .a.example@1 b.example@2 .c.example@3; 2? `0.0.0.0 b.example` is a line of a hosts file in a list of format `text`: it is read as that (x1)",
    );
    check(
        "! my list\nDOMAIN-SUFFIX,a.example\n+.b.example\n10.0.0.0/8\n.d.example\nfull:e.example\n",
        "text domain: .a.example@2 .b.example@3 10.0.0.0/8@4 .d.example@5 e.example@6",
    );
    check(
        "DOMAIN-SUFFIX,a.example\n+.b.example\n10.0.0.0/8\n||z.example^\n",
        "text domain: .a.example@1 .b.example@2 10.0.0.0/8@3 .z.example@4; 4? `||z.example^` is a rule of AdBlock's in a list of format `text`: it is read as that (x1)",
    );
    check(
        "a.example\n+.b.example\nserver=/z.example/1.1.1.1\nserver=/but.z.example/#\n+.c.example",
        "text domain: a.example@1 .b.example@2 .z.example@3 !.but.z.example@4 .c.example@5; 3? `server=/z.example/1.1.1.1` is an option of dnsmasq's in a list of format `text`: it is read as that (x2)",
    );
    check(
        "0.0.0.0 a.example\n0.0.0.0 b.example\n||c.example^\naddress=/d.example/\n+.e.example\nf.example",
        "hosts -: a.example@1 b.example@2 .c.example@3 .d.example@4 .e.example@5 f.example@6; \
         3? `||c.example^` is a rule of AdBlock's in a list of format `hosts`: it is read as that (x1); \
         4? `address=/d.example/` is an option of dnsmasq's in a list of format `hosts`: it is read as that (x1); \
         5? `+.e.example` is an entry of plain text in a list of format `hosts`: it is read as that (x1); \
         6? `f.example` is a name without an address in a list of format `hosts`: it is read as that (x1)",
    );
    check(
        "||a.example^\n||b.example^\n+.c.example\nDOMAIN-KEYWORD,ads\nserver=/d.example/",
        "adblock -: .a.example@1 .b.example@2 .c.example@3 *ads*@4 .d.example@5; \
         3? `+.c.example` is an entry of plain text in a list of format `adblock`: it is read as that (x2); \
         5? `server=/d.example/` is an option of dnsmasq's in a list of format `adblock`: it is read as that (x1)",
    );
    check(
        "server=/a.example/1.1.1.1\nserver=/b.example/1.1.1.1\n0.0.0.0 c.example\nd.example\nno-resolv",
        "dnsmasq -: .a.example@1 .b.example@2 c.example@3 .d.example@4; \
         3? `0.0.0.0 c.example` is a line of a hosts file in a list of format `dnsmasq`: it is read as that (x1); \
         4? `d.example` is a name without an option in a list of format `dnsmasq`: it is read as that (x1); \
         1 options that name no names (5)",
    );
    check(
        "a.example\nb.example\npayload:\nc.example\n",
        "text names: .a.example@1 .b.example@2 .c.example@4; 3:0-8 `payload:` is no mark of an entry; marks are `domain:`, `full:`, `keyword:`, `regexp:`",
    );
    check(
        "payload:\n  - '+.a.example'\n  - '||b.example^'\n",
        "yaml domain: .a.example@2 .b.example@3; 3? `||b.example^` is a rule of AdBlock's in a list of format `yaml`: it is read as that (x1)",
    );
}

/// A comment as AdBlock has it makes no list of plain names one of AdBlock's, where others are more.
#[test]
fn comments_vote_as_lines_do() {
    check("! title\n! by x\na.example", "adblock -: a.example@3");
    check(
        "# title\n# by x\n! y\na.example",
        "text names: .a.example@4",
    );
    check(
        "[Adblock Plus]\n! x\n0.0.0.0 a.example\n0.0.0.0 b.example\n||c.example^",
        "adblock -: a.example@3 b.example@4 .c.example@5",
    );
}

/// What stands far behind is seen, too: a long list whose beginning is another's.
#[test]
fn all_of_a_long_list_votes() {
    let mut text: String = (0..1100).map(|n| format!("n{n}.example\n")).collect();
    text.extend((0..40_000).map(|n| format!("0.0.0.0 h{n}.example\n")));
    let found = told_and_written(&text, &Recipe::default());
    assert!(
        found.starts_with("hosts -: n0.example@1 "),
        "{}",
        &found[..80]
    );
    let mut text: String = (0..40_000).map(|n| format!("n{n}.example\n")).collect();
    text.push_str("+.odd.example\n");
    let found = told_and_written(&text, &Recipe::default());
    assert!(
        found.starts_with("text names: .n0.example@1 "),
        "{}",
        &found[..80]
    );
    assert!(found.ends_with(" .odd.example@40001"));
}

#[test]
fn a_suffix_mark_leaves_plain_names_their_meaning() {
    check(
        "a.test\nb.test\n+.c.test\nd.test",
        "text names: .a.test@1 .b.test@2 .c.test@3 .d.test@4",
    );
    check(
        "a.test\n.b.test\n.c.test\n# *.x",
        "text domain: a.test@1 .b.test@2 .c.test@3",
    );
    let guessed = |text: &str| {
        let (mut sink, mut told) = (formats::Writer::default(), ReadReport::default());
        let recipe = Recipe::default();
        read(
            &mut Cursor::new(text),
            "",
            &recipe,
            &Surroundings::default(),
            &mut sink,
            &mut told,
        )
        .unwrap();
        let guessed = told.of(Remark::Guessed).next();
        guessed.map_or_else(String::new, |reason| reason.message.clone())
    };
    let said = guessed("a.test\nb.test\n+.c.test\nd.test");
    let expected =
        "1 of 4 names are marked (`+.`, `*.` or `.`): plain ones stand for all below, too";
    assert_eq!(said, expected);
    assert_eq!(guessed("a.test\nb.test\n10.0.0.0/8\nfull:c.test"), "");
    let marks = "`*.x` and `.x` stand for `x` and all below here; to Clash (`behavior: domain`) for one label below, and for those below alone";
    assert_eq!(guessed("+.a.test\n.b.test"), marks);
    assert_eq!(guessed("+.a.test\n+.b.test\n.c.test"), "");
    assert_eq!(guessed("*.a.test\n*.b.test"), "");
    // Patterns and marks in one list are told, whichever decides.
    assert_eq!(
        guessed(".a.test\n.b.test\nads.*"),
        "the list has 1 patterns as dnscrypt-proxy has them (`ads.*`, `*ads*`, `=x`) and 2 names with marks (`+.`, `*.` or `.`): it is not read as dnscrypt-proxy's: `*` in a name is any text without a dot"
    );
    assert_eq!(
        guessed(".a.test\n.b.test\n=c.test"),
        "the list has 1 patterns as dnscrypt-proxy has them (`ads.*`, `*ads*`, `=x`) and 2 names with marks (`+.`, `*.` or `.`): it is read as dnscrypt-proxy's: `ads.*` is each name that begins so, and names stand for all below them, too"
    );
    assert_eq!(guessed("a.test\nb.test\nads.*"), "");
}

#[test]
fn what_is_declared_is_obeyed() {
    let check = |text: &str, format, behavior, expected: &str| {
        let recipe = Recipe {
            format,
            behavior,
            ..Recipe::default()
        };
        assert_eq!(told_and_written(text, &recipe), expected, "{text}");
    };
    use Behavior::{Classical, Domain, IpCidr, Names};
    let ip = Some(IpCidr);
    check(
        "1.2.3.4 a.example\n0.0.0.0 b.example",
        None,
        ip,
        "text ipcidr: 1.2.3.4/32@1 0.0.0.0/32@2; 2 columns behind addresses (1)",
    );
    check(
        "||a.example^\n10.0.0.0/8",
        None,
        ip,
        "text ipcidr: 10.0.0.0/8@2; 1:0-12 `||a.example^` is not an IPv4 or IPv6 address",
    );
    check(
        "||a.example^",
        None,
        Some(Classical),
        "text classical: ; 1:0-12 there is no rule type `||a.example^`",
    );
    check(
        "0.0.0.0 a.example\n0.0.0.0 b.example",
        Some(Format::Text),
        None,
        "text names: a.example@1 b.example@2; 1? `0.0.0.0 a.example` is a line of a hosts file in a list of format `text`: it is read as that (x2)",
    );
    check(
        "a.example\n||b.example^\n||c.example^",
        Some(Format::Text),
        Some(Domain),
        "text domain: a.example@1 .b.example@2 .c.example@3; 2? `||b.example^` is a rule of AdBlock's in a list of format `text`: it is read as that (x2)",
    );
    check(
        "0.0.0.0 a.example",
        Some(Format::Hosts),
        Some(Names),
        "hosts names: .a.example@1",
    );
    check(
        "! x\n! y\na.example",
        None,
        Some(Names),
        "adblock names: .a.example@3",
    );
    for format in [Format::Adblock, Format::Dnsmasq, Format::Hosts] {
        let word = format.as_str();
        let refused = format!("error: a list of format `{word}` holds names; it is not `ipcidr`");
        check("10.0.0.0/8", Some(format), ip, &refused);
    }
}

#[test]
fn what_is_no_list_is_said() {
    let check = |text: &str, expected: &str| {
        let got = told_and_written(text, &Recipe::default());
        assert_eq!(
            got,
            format!("error: this is {expected}, not a list"),
            "{text}"
        );
    };
    check(
        "# x\nserver:\nlocal-zone: \"a.test.\" always_null\nlocal-zone: \"b.test.\" always_null",
        "a configuration of unbound",
    );
    check(
        "$TTL 3600\n@ SOA localhost. root.localhost. 1 2 3 4 5\n;x\na.test CNAME .\n*.a.test CNAME .",
        "a zone file of a name server (RPZ)",
    );
    check(
        "/ip dns static add name=a.test address=0.0.0.0\nadd list=x address=1.2.3.0/24",
        "a script for RouterOS (MikroTik)",
    );
    // One such line is an odd one.
    let found = told_and_written("a.test\nb.test\n$TTL 3600\n", &Recipe::default());
    assert!(
        found.starts_with("text names: .a.test@1 .b.test@2; 3:0-9 "),
        "{found}"
    );
}

/// Conditions from lines of another format are found again when a compiled set is loaded.
#[test]
fn odd_lines_are_found_again_in_kept_sets() {
    use crate::list::again;
    for text in [
        "a.example\nb.example\n/^ad[0-9]+/\n||c*.example^\n@@/^adx/\naddress=/#/",
        "0.0.0.0 a.example\n0.0.0.0 b.example\nkeyword:x\n/^ad/\nregexp:^b$ @ads",
        "||a.example^\n||b.example^\nregexp:^ad\nDOMAIN-KEYWORD,ads",
    ] {
        let key = Key([3, 4]);
        let recipe = Recipe::default();
        let mut told = ReadReport::default();
        let mut set = RuleSetBuilder::new("l", "l", key);
        let mut bytes = Cursor::new(text);
        read(
            &mut bytes,
            "",
            &recipe,
            &Surroundings::default(),
            &mut set,
            &mut told,
        )
        .unwrap();
        let set = set.finish();
        assert_eq!(told.left_out(), 0, "{:?}", told.reasons);
        let other = |_line: u32, text: &str| again(text, &recipe, &told, &Surroundings::default());
        let kept = RuleSet::from_bytes("l", "l", key, &set.to_bytes(), other);
        assert_eq!(kept.map(|kept| kept.len()).ok(), Some(set.len()), "{text}");
    }
}
