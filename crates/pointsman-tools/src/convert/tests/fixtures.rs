//! Small configurations with what the samples do not have.

use std::path::Path;
use std::sync::Arc;

use super::{agrees, loaded, way};
use crate::convert::from_setup;
use pointsman_config::files::Memory;
use pointsman_config::load::load;
use pointsman_config::problem::Problems;
use pointsman_config::setup::Setup;

const NESTED: &str = "inbound: { http: [{ port: 7000, host: 127.0.0.1 }] }
dispatching: { ip-rules-resolve: true }
proxy-local:
  a: { type: http, server: proxy.test, port: 1 }
  b: { type: http, server: proxy.test, port: 2 }
rule-provider:
  inner: { type: file, path: inner.yaml }
  outer: { type: file, path: outer.yaml, strict: true }
rule-local:
  - RULE-SET, outer, a, no-resolve
  - AND, [NOT, [RULE-SET, outer]], [DST-PORT, 443], b
  - FALLBACK, DIRECT
";

fn boltconn(text: &str, files: &[(&str, &str)]) -> (Setup, Memory) {
    let files = [("c/config.yml", text)]
        .into_iter()
        .chain(files.iter().copied());
    let files = Memory::new(files);
    let loaded = load(Path::new("c/config.yml"), None, None, &files);
    (
        loaded
            .setup
            .unwrap_or_else(|| panic!("{:?}", loaded.problems.0)),
        files,
    )
}

#[test]
fn sets_that_name_sets() {
    let files = [
        (
            "c/inner.yaml",
            "payload:\n  - DOMAIN-SUFFIX,inner.test\n  - IP-CIDR,10.9.0.0/16\n",
        ),
        (
            "c/outer.yaml",
            "payload:\n  - DOMAIN,outer.test\n  - RULE-SET,inner\n  - AND,[RULE-SET,inner,no-resolve],[DST-PORT,9]\n",
        ),
    ];
    let (setup, files) = boltconn(NESTED, &files);
    let conversion = from_setup(&setup, "", &Problems::default());
    assert!(conversion.is_equal(), "{:?}", conversion.report);
    let native = loaded(&conversion.text, Path::new("c"), &files);
    let expected = [
        ("dst=outer.test:443", "a proxy"),
        ("dst=x.inner.test:443", "a proxy"),
        ("dst=else.test:443 resolved=10.9.1.1", "direct direct"),
        ("dst=10.9.1.1:443", "a proxy"),
        ("dst=else.test:443 resolved=10.8.1.1", "b proxy"),
        ("dst=else.test:80 resolved=10.8.1.1", "direct direct"),
    ];
    for (flow, expected) in expected {
        assert_eq!(way(&setup, flow), expected, "{flow}");
        assert_eq!(way(&native, flow), expected, "{flow}\n{}", conversion.text);
    }
}

/// A set that lacks entries holds for fewer flows: what asks that a flow is *not* in it goes.
#[test]
fn nothing_is_widened_by_what_a_set_lacks() {
    let files = [
        ("c/inner.yaml", "payload: [DOMAIN-SUFFIX,inner.test]\n"),
        ("c/outer.yaml", "payload: ['RULE-SET,inner']\n"),
    ];
    let (mut setup, files) = boltconn(NESTED, &files);
    // A set that is neither fetched nor in a file.
    setup.lists.retain(|list| &*list.name != "outer");
    let conversion = from_setup(&setup, "", &Problems::default());
    let lost: Vec<String> = conversion
        .report
        .iter()
        .filter(|r| !r.equal)
        .map(ToString::to_string)
        .collect();
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert!(
        lost.iter()
            .any(|line| line.starts_with("config.yml:11: warning: `AND, [NOT")),
        "{lost:?}"
    );
    let native = loaded(&conversion.text, Path::new("c"), &files);
    assert_eq!(way(&native, "dst=x.inner.test:443"), "direct direct");
    assert_eq!(way(&native, "dst=else.test:443"), "direct direct");
}

#[test]
fn lists_that_are_fetched() {
    let text = "inbound: { http: [{ port: 7000, host: 127.0.0.1 }] }
proxy-local: { a: { type: http, server: proxy.test, port: 1 } }
rule-provider:
  one: { type: http, url: 'https://lists.test/one', path: ./one.yaml, interval: 3600 }
  two: { type: http, url: 'https://lists.test/two', path: ./two.txt, interval: 90, behavior: domain, format: text }
rule-local: ['RULE-SET, one, a', 'RULE-SET, two, a', 'FALLBACK, DIRECT']
";
    let (mut setup, files) = boltconn(text, &[]);
    setup.sources[0].via = setup
        .outbounds
        .iter()
        .position(|o| &*o.name == "a")
        .map(|at| pointsman_policy::OutboundId(u32::try_from(at).unwrap()));
    setup.sources[0].limit = 3000;
    setup.sources[0].recipe.limit = Some(3000);
    // What is fetched is read within the same bound.
    setup.sources[0].recipe.limit = Some(3000);
    let conversion = from_setup(&setup, "", &Problems::default());
    let lost = conversion.report.iter().filter(|remark| !remark.equal);
    let lost: Vec<String> = lost.map(ToString::to_string).collect();
    assert!(
        lost.len() == 1 && lost[0].contains("in the list `two` an entry `.x`"),
        "{lost:?}"
    );
    let native = loaded(&conversion.text, Path::new("c"), &files);
    assert_eq!(native.sources.len(), 2);
    for (was, is) in setup.sources.iter().zip(&native.sources) {
        let told = |setup: &Setup, source: &pointsman_config::list::ListSource| {
            let via = source
                .via
                .map(|id| Arc::clone(&setup.outbounds[id.0 as usize].name));
            let known = (
                Arc::clone(&source.name),
                Arc::clone(&source.url),
                source.interval,
                source.limit,
            );
            let recipe = pointsman_config::list::Recipe {
                wide_marks: false,
                ..source.recipe.clone()
            };
            (known, via, source.path.clone(), recipe)
        };
        assert_eq!(told(&native, is), told(&setup, was), "{}", conversion.text);
    }
    // A set that comes to refer to others later cannot be said.
    let mut policy = (*setup.policies[0]).clone();
    let mut sets = policy.sets.to_vec();
    let mut nested = pointsman_policy::set::RuleSetBuilder::new("two", "two.txt", sets[0].key());
    nested.add_other(
        pointsman_policy::Condition::Set(
            pointsman_policy::model::SetId(0),
            pointsman_policy::condition::Asks::Never,
        ),
        1,
        "RULE-SET, one",
    );
    sets[1] = Arc::new(nested.finish());
    policy.sets = sets.into();
    setup.policies[0] = Arc::new(policy);
    let conversion = from_setup(&setup, "", &Problems::default());
    assert!(!conversion.is_equal());
}

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
    // A list of names whose marks BoltConn reads wider.
    let lost = conversion.report.iter().filter(|remark| !remark.equal);
    assert_eq!(lost.count(), 1, "{:?}", conversion.report);
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
