//! Shapes of lists that people publish for other programs: each is read as what it means there, or named.

use super::formats::written;
use super::*;

fn check(text: &str, expected: &str) {
    assert_eq!(
        written(text.as_bytes(), "", &Recipe::default()),
        expected,
        "{text}"
    );
}

/// As GFWList is published: base64 of rules for AutoProxy. Lines are those of the text that it stands for.
#[test]
fn a_list_that_is_base64_is_read() {
    // [AutoProxy 0.2.9]\n! Title: x\n||a.test\n.b.test\n@@||c.test\n
    let text = "W0F1dG9Qcm94eSAwLjIuOV0KISBUaXRsZTogeAp8fGEudGVz\ndAouYi50ZXN0CkBAfHxjLnRlc3QK\n";
    check(text, ".a.test@3 _.b.test@4 !.c.test@5");
    check(
        &text.replace('\n', "\r\n"),
        ".a.test@3 _.b.test@4 !.c.test@5",
    );
    // Something else stands in it: it is a text as any other.
    let (set, _) = read_text(&format!("{text}z.test\n"), Behavior::Names, None);
    assert_eq!(found(&set, "z.test a.test"), "3 z.test; -");
}

#[test]
fn rules_of_auto_proxy_are_rules_of_adblock() {
    let head = "[AutoProxy 0.2.9]\n";
    check(
        &format!("{head}||a.test\nb.test\n|http://c.test/x\n"),
        ".a.test@2 b.test@3; 1 rules that say nothing about whole names (4)",
    );
}

/// `.x` of AdBlock's stands in the addresses of what is below `x`.
#[test]
fn a_dot_before_a_name_of_adblock_is_what_is_below_it() {
    check(
        "||a.test^\n.b.test\n.c.test^\n@@.d.test\n.e.test$important\n",
        ".a.test@1 _.b.test@2 _.c.test@3 !_.d.test@4 !!_.e.test@5",
    );
    check(
        "[Adblock]\n||a.test^\n.gif\n.ads.\n.b.test/x\n.7.7\n",
        ".a.test@2; 3 rules that say nothing about whole names (3); 1 patterns for parts of addresses, not for names (`-ads.`), (4)",
    );
}

#[test]
fn options_of_smart_dns_are_those_of_dnsmasq() {
    check(
        "# x\naddress /a.test/#\nnameserver /b.test/far\nipset /c.test/#4:x\ndomain-rules /d.test/ -address #\naddress /e.test/-\n",
        ".a.test@2 .b.test@3 .c.test@4 .d.test@5 !.e.test@6",
    );
    check(
        "address /a.test\naddress /b.test/#\nspeed-check-mode ping\n",
        ".b.test@2; 1:0-15 `address /a.test` has no `/` behind the name; 1 options that name no names (3)",
    );
    check(
        "bogus-nxdomain=192.0.2.1\nignore-address=192.0.2.2\n",
        "; 2 options that name no names (1)",
    );
}

#[test]
fn what_dnscrypt_proxy_has_behind_names_is_passed_over() {
    check(
        "a.test 192.0.2.1\nb.test\t192.0.2.1,192.0.2.2:53, [2001:db8::1]:53\nc.test 2001:db8::1\n",
        ".a.test@1 .b.test@2 .c.test@3; 3 addresses behind names (1)",
    );
    check(
        "a.test\nb.test c.test\n",
        ".a.test@1; 2:0-13 `b.test c.test` is no domain: the name has the character ' ', which no host name carries",
    );
}

#[test]
fn a_comma_alone_ends_an_entry() {
    check(
        "192.0.2.0/24,\n198.51.100.0/24 ,\n2001:db8::/32\n",
        "192.0.2.0/24@1 198.51.100.0/24@2 2001:db8::/32@3",
    );
    check("a.test,\nb.test\n", ".a.test@1 .b.test@2");
}

#[test]
fn words_of_surge_are_read() {
    let same = |surge: &str, own: &str| {
        let read = |text: &str| {
            let told = written(text.as_bytes(), "", &Recipe::default());
            assert!(!told.contains(';'), "{told}");
            told
        };
        assert_eq!(read(surge), read(own), "{surge}");
    };
    same("DEST-PORT,5223\n", "DST-PORT,5223\n");
    same("DEST-PORT,80/443\n", "DST-PORT,80|443\n");
    same("SRC-IP,192.0.2.7\n", "SRC-IP-CIDR,192.0.2.7/32\n");
    same(
        "AND,((DOMAIN-SUFFIX,b.test),(PROTOCOL,UDP))\n",
        "AND, [DOMAIN-SUFFIX, b.test], [NETWORK, udp]\n",
    );
    same("PROTOCOL,TCP\n", "NETWORK,tcp\n");
    same("PROTOCOL,QUIC\n", "PROTOCOL,quic\n");
}

#[test]
fn more_strangers_are_named() {
    let error = |text: &str, name: &str| {
        let mut told = ReadReport::default();
        let mut set = RuleSetBuilder::new("l", "l", Key::default());
        match read(
            &mut Cursor::new(text),
            name,
            &Recipe::default(),
            &Surroundings::default(),
            &mut set,
            &mut told,
        ) {
            Err(Unreadable::Malformed {
                message,
                hint: Some(_),
                ..
            }) => message,
            other => panic!("{text}: {other:?}"),
        }
    };
    for (text, what) in [
        (
            "# x\n[outbound_block_list]\n192.0.2.0/24\n(^|\\.)a\\.test$\n",
            "this is an access list (ACL) of Shadowsocks, not a list",
        ),
        (
            "zone \"a.test.\" {\n  type forward;\n  forwarders { 192.0.2.1; };\n};\n",
            "this is a configuration of BIND, not a list",
        ),
        (
            "2|apnic|20240101|2|19830613|20231231|+1000\napnic|CN|ipv4|192.0.2.0|256|20110414|allocated\napnic|JP|asn|64500|1|20110414|allocated\n",
            "this is a table of who holds which addresses, as their registries publish it, not a list",
        ),
        (
            "\"seen\",\"ip\",\"port\"\n\"2024-01-01 00:00:00\",\"192.0.2.1\",\"443\"\n",
            "this is a table (CSV), not a list",
        ),
        (
            "#!/bin/sh\nroute add -net 192.0.2.0 netmask 255.255.255.0 gw $GW\nip route add 198.51.100.0/24 via 10.0.0.1\n",
            "this is a script that sets routes, not a list",
        ),
    ] {
        assert_eq!(error(text, ""), what, "{text}");
    }
    for text in [
        "{\"syncToken\": \"1\", \"prefixes\": [{\"ip_prefix\": \"192.0.2.0/24\"}]}",
        "{ \"web\": [\"192.0.2.0/24\"] }",
    ] {
        let what = "this is JSON with neither `payload` nor `rules`";
        assert_eq!(error(text, "l.json"), what, "{text}");
    }
}

/// One line that YAML does not have is one bad entry: the list that refuses by the others is not empty for it.
#[test]
fn a_line_that_is_no_yaml_is_one_bad_entry() {
    for odd in ["@b.test", "`b.test", "%%b.test"] {
        let text = format!("payload:\n  - a.test\n  - {odd}\n  - '+.c.test'\n");
        let (set, problems) = read_text(&text, Behavior::Domain, None);
        assert_eq!(
            found(&set, "a.test x.c.test"),
            "2 a.test; 4 +.c.test",
            "{odd}"
        );
        assert_eq!(problems.0.len(), 1, "{odd}: {:?}", problems.0);
        assert_eq!(problems.0[0].code, "invalid-entry");
    }
}

#[test]
fn a_type_of_rules_alone_is_no_name() {
    check(
        "DOMAIN,a.test\nMATCH\nDOMAIN-REGEX\n",
        "a.test@1; 2:0-5 `MATCH` is a type of rules, and its content is missing (x2)",
    );
}

/// `ru` is not meant as `rb`.
#[test]
fn a_list_that_is_missing_is_looked_for_by_its_word() {
    let mut file = Vec::new();
    for name in ["RB", "CATEGORY-RU", "GEOLOCATION-RU"] {
        let length = u8::try_from(name.len()).unwrap();
        file.extend([0x0a, length + 2, 0x0a, length]);
        file.extend(name.as_bytes());
    }
    let recipe = Recipe {
        format: Some(Format::Dat),
        select: Some("ru".to_owned()),
        ..Recipe::default()
    };
    let mut set = RuleSetBuilder::new("l", "l", Key::default());
    let read = read(
        &mut Cursor::new(file),
        "l",
        &recipe,
        &Surroundings::default(),
        &mut set,
        &mut ReadReport::default(),
    );
    let Err(Unreadable::Malformed {
        hint: Some(hint), ..
    }) = read
    else {
        panic!("{read:?}");
    };
    assert!(
        hint.starts_with("lists with this word: `category-ru`, `geolocation-ru`;"),
        "{hint}"
    );
}
