//! Small configurations with what the samples do not have.

use std::path::Path;

use super::agrees;
use crate::files::Memory;

#[test]
fn zones_within_zones() {
    let files = Memory::new([
        (
            "r/config",
            "egress far = socks5 127.0.0.1:2123\n\
             relay {\n rule=a\n listen=socks5 127.0.0.1:1080\n}\n\
             relay {\n rule=b\n listen=socks5 127.0.0.1:1081\n}\n\
             rule a = any [\n cond domain {\n whole => far\n part => reset\n }\n cond ip {\n wide => far\n narrow => reset\n }\n direct\n]\n\
             rule b = any [\n cond protocol {\n ssh => far\n http => reset\n }\n direct\n]\n",
        ),
        ("r/namezone/whole", "com.test\ncom.test.a.b\n"),
        ("r/namezone/part", "com.test.a\norg.other\n"),
        ("r/addrzone/wide", "10.0.0.0/8\n10.1.1.0/24\n"),
        ("r/addrzone/narrow", "10.1.0.0/16\n"),
        ("r/addrzone/part", "192.168.0.0/16\n"),
    ]);
    let conversion = agrees(Path::new("r/config"), &files);
    assert!(conversion.is_equal(), "{:?}", conversion.report);
    assert!(
        conversion.text.contains("part-addresses"),
        "{}",
        conversion.text
    );
}

#[test]
fn rule_lists_with_every_kind() {
    let files = Memory::new([
        (
            "b/config.yml",
            "dispatching: { sni-sniff: true, ip-rules-resolve: true }
inbound:
  http: [{ port: 7000, host: 127.0.0.1, auth: { me: secret } }]
  socks5: [{ port: 7001, host: 127.0.0.1 }]
proxy-local:
  a: { type: socks5, server: 127.0.0.1, port: 1, auth: { username: u, password: 'p: \"x' } }
  b: { type: http, server: proxy.test, port: 2 }
  direct2: { type: http, server: proxy.test, port: 3 }
proxy-group:
  g: { proxies: [b, a, DIRECT] }
rule-provider:
  L: { type: file, path: ./l.yaml }
  D: { type: file, path: d.txt, behavior: domain, format: text }
dns: { preference: prefer-ipv6, nameserver: ['udp, 8.8.8.8', 'tcp, 1.1.1.1'], hosts: { a.test: 10.0.0.1, '*.b.test': 10.0.0.2 }, nameserver-policy: { '*.c.test': 'udp, 9.9.9.9' } }
rule-local:
  - DOMAIN, exact.test, a
  - DOMAIN-KEYWORD, keyword, b
  - DOMAIN-REGEX, '^re[0-9]+\\.test$', a
  - AND, [DOMAIN-SUFFIX, suffix.test], [OR, [DST-PORT, 443], [NETWORK, udp]], g
  - NOT, [DST-PORT, 1-1024], direct2
  - PROCESS-NAME, curl, a
  - PROCESS-KEYWORD, wget, b
  - SRC-IP-CIDR, 10.0.0.0/25, REJECT
  - RULE-SET, L, a
  - RULE-SET, D, b, no-resolve
  - IP-CIDR, 192.168.0.0/16, g
  - IP-CIDR, 172.16.0.0/12, a, no-resolve
  - .SUB-DISPATCH:
      matches: DST-PORT, 80
      subrules:
        - DOMAIN-SUFFIX, sub.test, a
        - FALLBACK, DIRECT
  - .LOCAL-RESOLVE
  - FALLBACK, DIRECT
",
        ),
        ("b/l.yaml", "payload:\n  - DOMAIN-SUFFIX,list.test\n  - IP-CIDR,10.9.0.0/16,no-resolve\n  - PROCESS-NAME,listed\n"),
        ("b/d.txt", "plain.test\n+.below.test\n"),
    ]);
    let conversion = agrees(Path::new("b/config.yml"), &files);
    assert!(conversion.is_equal(), "{:?}", conversion.report);
    assert!(conversion.text.contains("rules:\n"), "{}", conversion.text);
}

#[test]
fn apps_and_domains() {
    let files = Memory::new([(
        "p/config.toml",
        "[defaults]\negress = \"out\"\n\
         [egress.out]\ntype = \"socks5\"\nendpoint = \"socks5://127.0.0.1:1080\"\n\
         [egress.Direct]\ntype = \"direct\"\n[egress.reject]\ntype = \"direct\"\n[egress.block]\ntype = \"block\"\n\
         [rules.app]\nDirect = [\"git.exe\"]\nblock = [\"bad.exe\", \"C:\\\\x\\\\Worse.exe\"]\n\
         [rules.domain]\nDirect = [\"home.test\"]\nreject = [\"odd.test\"]\nblock = [\"ads.test\"]\n",
    )]);
    let conversion = agrees(Path::new("p/config.toml"), &files);
    assert!(conversion.text.contains("reject-2"), "{}", conversion.text);
}
