//! Rules that look at answers when they have come, asked by `dig`.

use crate::daemon::eventually;
use crate::dns::{dig, native, told};

/// Without rules of their own, names that an answer leads to are blocked as the name itself is; one that a rule before
/// sends to somebody is not.
#[test]
fn a_name_that_hides_behind_another_is_blocked() {
    let world = native(
        "  rules:\n  - DOMAIN-SUFFIX, fine.test, near\n  - RULE-SET, ads, nxdomain\n  - FALLBACK, near\n",
    );
    // The first is asked for, the second is known.
    for _ in 0..2 {
        let reply = dig(&world.host, "a.to-tracker.test A");
        assert_eq!(told(&reply), ("NXDOMAIN".to_owned(), vec![]), "{reply}");
        let why = "EDE: 15 (Blocked): (what it leads to: conf:12: RULE-SET, ads, nxdomain)";
        assert!(reply.contains(why), "{reply}");
    }
    assert_eq!(world.near.all().len(), 1);
    let alias = ["CNAME tracker.test.", "A 10.0.0.1"];
    world.check("a.to-tracker.fine.test A", "NOERROR", &alias);
    world.check(
        "a.to-friend.test A",
        "NOERROR",
        &["CNAME friend.test.", "A 10.0.0.1"],
    );
    let reply = dig(&world.host, "ads.test A");
    assert!(
        reply.contains("EDE: 15 (Blocked): (conf:12: RULE-SET, ads, nxdomain)"),
        "{reply}"
    );
    // As the cache has it: what a rule says counts at once.
    let text = std::fs::read_to_string(world.daemon.directory.path().join("conf")).unwrap();
    world.daemon.write(
        "conf",
        &text.replace("RULE-SET, ads, nxdomain", "DOMAIN, y.test, zero"),
    );
    assert!(world.daemon.client(&["reload"]).status.success());
    let before = world.near.all().len();
    world.check("a.to-tracker.test A", "NOERROR", &alias);
    assert_eq!(world.near.all().len(), before);
}

/// Private addresses of public names, failures, and who is asked in their stead: each once.
#[test]
fn answers_are_refused_or_asked_for_elsewhere() {
    let rules = "  rules: [\"DOMAIN-SUFFIX, far.test, far\", \"FALLBACK, near\"]\n  answers:\n  \
        - AND, [ANSWER-IP, 192.168.0.0/16], [NOT, [DOMAIN-SUFFIX, lan.test]], refused\n  \
        - ANSWER-IP, 10.9.0.0/16, far\n  - AND, [ANSWER-CODE, SERVFAIL], [DNS-UPSTREAM, near], far\n  \
        - ANSWER-IP, 10.9.0.0/16, near\n  - AND, [ANSWER-IP, 10.9.0.0/16], [DNS-TYPE, A], drop\n";
    let world = native(rules);
    let reply = dig(&world.host, "at-192-168-1-1.test A");
    assert_eq!(told(&reply).0, "REFUSED", "{reply}");
    assert!(
        reply.contains("EDE: 15 (Blocked): (what it leads to: conf:"),
        "{reply}"
    );
    world.check("at-192-168-1-1.lan.test A", "NOERROR", &["A 192.168.1.1"]);
    assert_eq!((world.near.all().len(), world.far.all().len()), (2, 0));
    // Both say the same: each is asked once, and the last rule is come to; so from memory.
    for _ in 0..2 {
        world.check("+time=2 at-10-9-1-1.test A", "none", &[]);
        assert_eq!((world.near.all().len(), world.far.all().len()), (3, 1));
    }
    world.check("+time=2 +tcp at-10-9-1-1.test A", "none", &[]);
    // The other way round.
    world.check("+time=2 at-10-9-1-1.far.test A", "none", &[]);
    assert_eq!((world.near.all().len(), world.far.all().len()), (4, 2));
    // Who fails is asked no more, but the other one is; what failed there too is told.
    let reply = dig(&world.host, "a.servfail.test A");
    assert_eq!(told(&reply).0, "SERVFAIL", "{reply}");
    assert_eq!((world.near.all().len(), world.far.all().len()), (5, 3));
}

/// What the client asks by hand is answered as a client of DNS would be, with who was asked, and why.
#[test]
fn names_are_asked_for_by_hand() {
    let world = native(
        "  rules:\n  - DOMAIN-SUFFIX, secret.test, far\n  - RULE-SET, ads, nxdomain\n  - AND, [SRC-IP-CIDR, 192.0.2.0/24], [DOMAIN, a.test], zero\n  - FALLBACK, near\n",
    );
    let ask = |words: &[&str]| {
        let words = [&["--format", "json", "dns", "query"], words].concat();
        let output = world.daemon.client(&words);
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code().unwrap(), told)
    };
    let (code, told) = ask(&["m.secret.test"]);
    assert_eq!(code, 0, "{told}");
    for (key, expected) in [
        ("name", "m.secret.test"),
        ("type", "A"),
        ("rcode", "NOERROR"),
        ("upstream", "far"),
        ("via", "privacy"),
        ("from", "upstream"),
    ] {
        assert_eq!(told[key], expected, "{key}: {told}");
    }
    assert_eq!(told["answers"][0], "A 10.0.0.2", "{told}");
    assert_eq!(told["rule"]["line"], 11, "{told}");
    assert_eq!(told["asked"][0], "far", "{told}");
    assert_eq!(ask(&["m.secret.test"]).1["from"], "cache");
    assert_eq!(world.far.all().len(), 1);
    let (code, told) = ask(&["x.ads.test"]);
    assert_eq!(
        (code, &told["rcode"], &told["ede"]["code"]),
        (1, &"NXDOMAIN".into(), &15.into()),
        "{told}"
    );
    assert_eq!(told["rule"]["entry"]["text"], "ads.test", "{told}");
    let (code, told) = ask(&["a.to-tracker.test"]);
    assert_eq!((code, &told["from"]), (1, &"policy".into()), "{told}");
    assert_eq!(ask(&["a.nodata.test"]).0, 1);
    assert_eq!(ask(&["a.nx.test"]).0, 1);
    let (code, told) = ask(&["a.servfail.test", "--type", "aaaa"]);
    assert_eq!((code, &told["rcode"]), (4, &"SERVFAIL".into()), "{told}");
    let (code, told) = ask(&["a.test", "--client", "192.0.2.7"]);
    assert_eq!(
        (code, &told["answers"][0]),
        (1, &"A 0.0.0.0".into()),
        "{told}"
    );
    let output = world
        .daemon
        .client(&["dns", "query", "a.test", "--type", "MX"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.starts_with("MX 10 mail.test\nNOERROR (upstream, near"),
        "{text}"
    );
    assert_eq!(
        world
            .daemon
            .client(&["dns", "query", "a.test", "--type", "x"])
            .status
            .code(),
        Some(2)
    );
}

/// Each query is a line of the log: who asked, who gave the answer, and why.
#[test]
fn queries_are_logged() {
    let world = native(
        "  log: queries.log\n  rules:\n  - DOMAIN-SUFFIX, secret.test, far\n  - RULE-SET, ads, nxdomain\n  - DOMAIN, drop.test, drop\n  - FALLBACK, near\n",
    );
    for words in [
        "m.secret.test A",
        "m.secret.test A",
        "ads.test A",
        "+time=1 drop.test A",
        "a.to-friend.test AAAA",
        "+tcp a.servfail.test A",
    ] {
        dig(&world.host, words);
    }
    let path = world.daemon.directory.path().join("queries.log");
    let lines = || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let read = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        text.lines().map(read).collect::<Vec<_>>()
    };
    eventually("six lines", || lines().len() == 6);
    let told: Vec<String> = lines()
        .iter()
        .map(|line| {
            let word = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
            assert!(line["ms"].is_number() && line["time"].is_string(), "{line}");
            let whence = (word("client"), word("inbound"));
            assert_eq!(whence, ("127.0.0.1".into(), "dns".into()), "{line}");
            let keys = ["network", "name", "type", "rcode", "from", "upstream"];
            format!("{} {}", keys.map(word).join(" "), line["rule"]["line"])
        })
        .collect();
    assert_eq!(
        told,
        [
            "udp m.secret.test A NOERROR upstream far 12",
            "udp m.secret.test A NOERROR cache far 12",
            "udp ads.test A NXDOMAIN policy - 13",
            "udp drop.test A - policy - 14",
            "udp a.to-friend.test AAAA NOERROR upstream near 15",
            "tcp a.servfail.test A SERVFAIL upstream near 15",
        ]
    );
    assert_eq!(lines()[0]["answers"], 1);
    // Moved away, it is opened anew by the signal.
    std::fs::rename(&path, path.with_extension("old")).unwrap();
    world.daemon.signal("USR1");
    eventually("a new file", || path.exists());
    dig(&world.host, "b.test A");
    eventually("a line in it", || lines().len() == 1);
}
