//! What loads, what is refused, and how that is told.

use std::path::Path;

use expect_test::{Expect, expect};

use crate::files::Memory;
use crate::load::{Loaded, load};

const ZONES: [(&str, &str); 8] = [
    (
        "c/namezone/hidden",
        "# hidden\norg.example.www # exact\norg.twig\n",
    ),
    ("c/namezone/plain", "org.search.www\n"),
    ("c/namezone/ads/a", "net.clicks\n"),
    ("c/namezone/ads/b", "org.example.ad\n"),
    ("c/addrzone/office/one", "10.3.5.0/24\n"),
    ("c/addrzone/office/two", "192.168.100.0/24\n"),
    ("c/addrzone/mars", "192.168.131.0/24\n192.1.1.1\n"),
    ("c/addrzone/home", "192.168.1.0/24\n2001:db8::1/56\n"),
];

/// Loads `config` beside [`ZONES`].
pub(super) fn load_config(config: &str) -> Loaded {
    let files = Memory::new(ZONES.into_iter().chain([("c/config", config)]));
    load(Path::new("c"), None, None, &files)
}

pub(super) fn rendered(loaded: &Loaded) -> String {
    loaded.problems.0.iter().map(|p| format!("{p}\n")).collect()
}

/// A configuration that loads without an error.
fn check_good(config: &str) {
    let loaded = load_config(config);
    assert!(
        !loaded.problems.has_errors(),
        "{config}\n{}",
        rendered(&loaded)
    );
    assert!(loaded.setup.is_some(), "{config}");
}

/// All problems of a configuration, as printed.
fn check_problems(config: &str, expected: Expect) {
    let loaded = load_config(config);
    assert!(loaded.setup.is_none(), "{config}");
    expected.assert_eq(&rendered(&loaded));
}

#[test]
fn good_configurations_load() {
    check_good("rule r = direct");
    check_good("rule r = any[direct]\n");
    check_good("rule r = any [direct ]\n");
    check_good("rule r = cond ip { mars => direct }\n");
    check_good("rule r=cond ip{mars=>direct}\n");
    check_good(
        "rule r = any [\r\n  direct # always\r\n]\r\nrelay {\r\n rule=r\r\n listen=socks5 127.0.0.1:0\r\n}\r\n",
    );
    check_good("# only a comment\n");
    check_good("");
    check_good("egress e = socks5 [::1]:1080 # comment\negress f = bind 10.0.0.1#comment\n");
    check_good(
        "relay {\n resolver=p|tcp 1.1.1.1:53\n listen=socks5 127.0.0.1:0\n rule=r\n}\nrule r=direct\negress p=socks5 127.0.0.1:1",
    );
    check_good(
        "relay {listen=socks5 127.0.0.1:0\n\n# c\nrule=r }\nrule r = p\negress p = socks5 127.0.0.1:1",
    );
    check_good("rule r = any[ cond port eq 22 => any[\n direct ]\n reset\n]");
    check_good(
        "dns {\n forward={\n hidden => tcp 1.1.1.1:53\n else => udp 1.1.1.1:53 }\n listen=udp 127.0.0.1:5353\n}",
    );
    check_good("rule r = cond protocol { quic => direct\n other => reset }");
    check_good("rule r = cond user-agent has \"curl\" => direct");
}

#[test]
fn what_is_wrong_is_told() {
    let check = check_problems;
    check(
        "rule r = any[direct reset]\n",
        expect![[r#"
            config:1:21: error[unexpected-text]: `reset` is left over: a line holds one branch
              | rule r = any[direct reset]
              |                     ^^^^^
              hint: put it on a line of its own, or remove it
        "#]],
    );
    check(
        "rule r = any[]\nrule s = cond domain {}\n",
        expect![[r#"
            config:1:10: error[empty-list]: this `any` has no branches
              | rule r = any[]
              |          ^^^^^
              hint: add a branch, or remove it
            config:2:10: error[empty-list]: this `cond domain` has no keys
              | rule s = cond domain {}
              |          ^^^^^^^^^^^^^^
              hint: add a line `key => branch`, or remove it
        "#]],
    );
    check(
        "rule r = any[\n cond port neq 22 => direct\n cond port eq 70000 => direct\n cond user eq bob => direct\n direct\n]\n",
        expect![[r#"
            config:2:12: error[unknown-operator]: `neq` is no operator here
              |  cond port neq 22 => direct
              |            ^^^
              hint: write `not` before the condition: `cond not port eq 22 => ...`
            config:3:15: error[invalid-value]: `70000` is no port
              |  cond port eq 70000 => direct
              |               ^^^^^
              hint: a number from 0 to 65535, a range `8000-8100`, or `443/tcp`
            config:4:7: error[unknown-subject]: `cond` knows no `user`
              |  cond user eq bob => direct
              |       ^^^^
              hint: did you mean `process.user`?
        "#]],
    );
    check(
        "rule r = cond user { bob => direct }\n",
        expect![[r#"
            config:1:15: error[unknown-subject]: `cond` knows no `user` with a list of keys
              | rule r = cond user { bob => direct }
              |               ^^^^
              hint: `cond domain`, `cond ip` and `cond protocol` have one
        "#]],
    );
    check(
        "egress p = socks5 localhost:1080\negress q = bind eth0\negress s = http 127.0.0.1:1\negress = bind 1.1.1.1\n",
        expect![[r#"
            config:1:19: error[invalid-address]: `localhost:1080` is no IP address and port
              | egress p = socks5 localhost:1080
              |                   ^^^^^^^^^^^^^^
              hint: write the address in numbers: `127.0.0.1:1080` or `[::1]:1080`
            config:2:17: error[invalid-address]: `eth0` is no IP address
              | egress q = bind eth0
              |                 ^^^^
              hint: the address of an interface, such as `192.168.1.2`
            config:3:12: error[unknown-method]: an egress has no method `http`
              | egress s = http 127.0.0.1:1
              |            ^^^^
              hint: write `socks5 ADDRESS:PORT` or `bind ADDRESS`
            config:4:8: error[unexpected-text]: `=` stands here, but the name of an egress is expected
              | egress = bind 1.1.1.1
              |        ^
        "#]],
    );
    check(
        "dns {\n listen=udp 127.0.0.1:53\n forward={\n hidden => udp 1.1.1.1:53\n }\n}\n",
        expect![[r#"
            config:3:10: error[missing-key]: `forward` needs the key `else`
              |  forward={
              |          ^
              hint: add `else => udp ADDRESS:53` for all other names
        "#]],
    );
    check(
        "relay {\n listen=socks5 127.0.0.1:1080\n}\nrelay {\n rule=nosuch\n listen=socks5 127.0.0.1:0\n listen=http 127.0.0.1:0\n lissten=x\n}",
        expect![[r#"
            config:1:1: error[missing-key]: `relay` needs the key `rule`
              | relay {
              | ^^^^^
            config:5:7: error[unknown-policy]: there is no rule `nosuch`
              |  rule=nosuch
              |       ^^^^^^
              hint: add `rule nosuch = ...`
            config:7:2: error[duplicate-key]: `listen` is given twice
              |  listen=http 127.0.0.1:0
              |  ^^^^^^
              config:6:2: first here
            config:7:9: error[unknown-method]: there is no listener `http` here
              |  listen=http 127.0.0.1:0
              |         ^^^^
              hint: write `socks5 ADDRESS:PORT`
            config:8:2: error[unknown-key]: `relay` has no key `lissten`
              |  lissten=x
              |  ^^^^^^^
              hint: did you mean `listen`?
        "#]],
    );
    check(
        "rule a = direct\ngarbage here [ a\nb ]\nrule b = direct }\n",
        expect![[r#"
            config:2:1: error[unknown-item]: `garbage` begins no item
              | garbage **** * *
              | ^^^^^^^
              hint: items begin with egress, rule, relay or dns
            config:4:17: error[unexpected-text]: `}` is left over: a line holds one item (`egress`, `rule`, `relay`, `dns`)
              | rule b = direct }
              |                 ^
              hint: put it on a line of its own, or remove it
        "#]],
    );
    check(
        "rule r = any[\n proxy\n cond domain {\n hidden => direct\n hiden => direct\n mars => direct\n hidden => reset\n }\n cond protocol { htp => direct }\n]\n",
        expect![[r#"
            config:2:2: error[unknown-outbound]: there is no outbound `proxy`
              |  proxy
              |  ^^^^^
              hint: defined: direct, reset
            config:5:2: error[unknown-zone]: there is no name zone `hiden`
              |  hiden => direct
              |  ^^^^^
              hint: did you mean `hidden`?
            config:6:2: error[unknown-zone]: there is no name zone `mars`
              |  mars => direct
              |  ^^^^
              hint: `mars` is an address zone: it belongs in `cond ip`
            config:7:2: error[duplicate-key]: the key `hidden` is given twice
              |  hidden => reset
              |  ^^^^^^
              config:4:2: first here
              hint: join both branches in one `any [ ... ]`
            config:9:18: error[unknown-protocol]: there is no protocol `htp`
              |  cond protocol { htp => direct }
              |                  ^^^
              hint: did you mean `http`?
        "#]],
    );
    check(
        "rule r = any[\n direct\nrule s = any[\n direct }\negress p = bind 10.0.0.1\n",
        expect![[r#"
            config:1:13: error[unclosed]: this `[` is never closed
              | rule r = any[
              |             ^
              config:3:1: `rule` stands here
            config:3:13: error[unclosed]: this `[` is never closed
              | rule s = any[
              |             ^
              config:4:9: `}` stands here
        "#]],
    );
    check(
        "rule r = direct\nrule r = reset\negress direct = bind 10.0.0.1\negress any = bind 10.0.0.1\nrule bind = direct\negress e = bind 1.1.1.1\negress e = bind 1.1.1.1\n",
        expect![[r#"
            config:2:6: error[duplicate-name]: the rule `r` is defined twice
              | rule r = reset
              |      ^
              config:1:6: first here
            config:3:8: error[reserved-name]: `direct` is built in and cannot be redefined
              | egress direct = bind 10.0.0.1
              |        ^^^^^^
            config:4:8: error[reserved-name]: `any` is a word of the language and cannot be a name
              | egress any = bind 10.0.0.1
              |        ^^^
            config:5:6: error[reserved-name]: `bind` is a word of the language and cannot be a name
              | rule bind = direct
              |      ^^^^
            config:7:8: error[duplicate-outbound]: the outbound `e` is defined twice
              | egress e = bind 1.1.1.1
              |        ^
              config:6:8: first here
        "#]],
    );
    check(
        "relay { rule=r listen=socks5 127.0.0.1:1 }\nrule r = direct",
        expect![[r#"
        config:1:1: error[missing-key]: `relay` needs the key `listen`
          | relay { rule=r listen=socks5 127.0.0.1:1 }
          | ^^^^^
        config:1:16: error[unexpected-text]: `listen` is left over: a line holds one `key = value`
          | relay { rule=r listen=socks5 127.0.0.1:1 }
          |                ^^^^^^
          hint: put it on a line of its own, or remove it
    "#]],
    );
    check(
        "rule r = else => direct\nrule s = cond port eq 22 direct\nrule t =\n",
        expect![[r#"
            config:1:10: error[unexpected-text]: `else` belongs to the `cond` before it
              | rule r = else => direct
              |          ^^^^
              hint: write `else =>` on the line on which that branch ends, or inside its braces
            config:2:26: error[unexpected-text]: `direct` stands here, but `=>` after the condition is expected
              | rule s = cond port eq 22 direct
              |                          ^^^^^^
            config:3:8: error[unexpected-text]: the text ends here, but a branch (an outbound, `any [` or `cond`) is expected
              | rule t =
              |        ^
        "#]],
    );
    check(
        "rule r = cond country eq CN => direct\n",
        expect![[r#"
        config:1:26: error[missing-database]: `country` needs a database, and this dialect names none
          | rule r = cond country eq CN => direct
          |                          ^^
          hint: `pointsman convert` makes a native file, which can
    "#]],
    );
}
