//! Clients of other hosts: what of this host they do not get, and are not told.

use super::*;

#[test]
fn who_is_elsewhere_is_not_lent_this_hosts_own_addresses() {
    let (host, other) = (Namespace::new("lender"), Namespace::new("stranger"));
    host.join(("a0", "172.31.0.1/24"), &other, ("b0", "172.31.0.2/24"));
    let _web = host.inet(&["web"]);
    let daemon = within(
        &host,
        "inbounds:\n  house: { type: mixed, listen: \"172.31.0.1:7890\", allow: [172.31.0.0/24] }\n\
         dns: { upstreams: { none: \"udp://172.31.0.2\" }, hosts: { here.test: 127.0.0.1, dev.test: 127.0.0.1 } }\n\
         outbounds: { hop: { type: chain, hops: [direct] } }\n\
         rules:\n  - DST-PORT, 81, hop\n  - DOMAIN, dev.test, DIRECT\n  - IP-CIDR, 127.0.0.53/32, DIRECT\n  - FALLBACK, DIRECT\n",
    );
    let ask = |from: &Namespace, url: &str| {
        status(from.command("curl"), "http://172.31.0.1:7890", &[], url).1
    };
    for url in [
        "http://127.0.0.1/",
        "http://0.0.0.0/",
        "http://here.test/",
        "http://[::1]/",
    ] {
        assert_eq!(ask(&other, url), "403", "{url}");
        let flow = daemon.last_flow();
        let reason = flow["reason"].as_str().unwrap();
        assert!(reason.starts_with("local address: "), "{flow}");
        let id = flow["id"].to_string();
        let explained = daemon.json(&["explain", "--id", &id]);
        assert_eq!(explained["decision"]["action"], "reject", "{explained}");
        let last = explained["trace"].as_array().unwrap().last().unwrap();
        assert_eq!(last["text"], "local address", "{explained}");
    }
    // By a chain that comes out here, too.
    for url in ["http://127.0.0.1:81/", "http://here.test:81/"] {
        assert_eq!(ask(&other, url), "403", "{url}");
        assert_eq!(ask(&host, url), "502", "{url}: nobody listens");
    }
    for url in [
        "http://dev.test/",
        "http://127.0.0.53/",
        "http://172.31.0.1/",
    ] {
        assert_eq!(ask(&other, url), "200", "{url}");
    }
    for url in ["http://127.0.0.1/", "http://0.0.0.0/", "http://here.test/"] {
        assert_eq!(ask(&host, url), "200", "{url}");
    }
}

#[test]
fn spellings_of_loopback_lend_nothing_either() {
    let (host, other) = (Namespace::new("speller"), Namespace::new("spelled"));
    host.join(("a0", "172.31.0.1/24"), &other, ("b0", "172.31.0.2/24"));
    let _web = host.inet(&["web"]);
    let daemon = within(
        &host,
        "inbounds:\n  house: { type: mixed, listen: \"172.31.0.1:7890\", allow: [172.31.0.0/24] }\n\
         dns: { upstreams: { own: \"udp://127.0.0.9:5\" } }\nrules:\n  - FALLBACK, DIRECT\n",
    );
    // What inet_aton(3) takes for an address is a name, and nobody's: it is asked for in DNS alone.
    let (name, local) = (("502", "was not resolved"), ("403", "local address: "));
    for (spelled, (status, why)) in [
        ("2130706433", name),
        ("0x7f000001", name),
        ("0x7f.1", name),
        ("127.1", name),
        ("0177.0.0.1", name),
        ("0", name),
        ("[::ffff:127.0.0.1]", local),
        ("[::]", local),
    ] {
        // As they are: curl would put them straight for a proxy.
        let target = format!("http://{spelled}/");
        let mut curl = other.command("curl");
        curl.args(["--silent", "--max-time", "20", "--output", "/dev/null"])
            .args(["--write-out", "%{http_code}", "--request-target", &target])
            .arg("http://172.31.0.1:7890/");
        let output = curl.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let flow = daemon.last_flow();
        assert_eq!(told, status, "{spelled}: {flow}");
        let said = [&flow["reason"], &flow["error"]].map(|text| text.as_str().unwrap_or(""));
        assert!(
            said.iter().any(|text| text.contains(why)),
            "{spelled}: {flow}"
        );
    }
}

#[test]
fn who_is_elsewhere_is_told_nothing_of_the_inside() {
    let (host, other) = (Namespace::new("inside"), Namespace::new("outside"));
    host.join(("a0", "172.31.0.1/24"), &other, ("b0", "172.31.0.2/24"));
    // Nobody is there; that is found out after three seconds.
    host.ip(&["route", "add", "198.51.100.0/24", "via", "172.31.0.77"]);
    let daemon = within(
        &host,
        "inbounds:\n  house: { type: mixed, listen: \"172.31.0.1:7890\", allow: [172.31.0.0/24] }\n\
         timeouts: { dial: 300ms }\non_unknown: reject\nip_rules_resolve: true\n\
         dns: { upstreams: { own: \"udp://127.0.0.9:5\" } }\n\
         outbounds:\n  vault: { type: socks5, server: \"127.0.0.7:9\" }\n\
         rules:\n  - DOMAIN, by.test, vault\n  - DOMAIN, no.test, REJECT\n  - DOMAIN, direct.test, DIRECT\n\
         \x20 - DST-PORT, 80, DIRECT\n  - IP-CIDR, 10.0.0.0/8, vault\n  - FALLBACK, DIRECT\n",
    );
    let ask = |from: &Namespace, url: &str| {
        let mut curl = from.command("curl");
        curl.args(["--silent", "--max-time", "20", "--noproxy", ""])
            .args(["--write-out", "%{http_code}"])
            .args(["--proxy", "http://172.31.0.1:7890", url]);
        String::from_utf8(curl.output().unwrap().stdout).unwrap()
    };
    let rules = "refused by the rules of this proxy";
    // What a stranger is told; what is said here, and in the record.
    for (url, told, inside) in [
        (
            "http://by.test/",
            "the destination refused the connection\n502",
            "127.0.0.7:9",
        ),
        (
            "http://172.31.0.1:9/",
            "the destination refused the connection\n502",
            "172.31.0.1:9",
        ),
        (
            "http://direct.test/",
            "no such host\n502",
            "`direct.test` was not resolved",
        ),
        (
            "http://198.51.100.9/",
            "the destination did not answer in time\n504",
            "`DIRECT`",
        ),
        (
            "http://unknown.test:81/",
            "refused by the rules of this proxy\n403",
            "a rule could not be decided",
        ),
    ] {
        let answer = ask(&other, url);
        assert!(answer.ends_with(told), "{url}: {answer}");
        let flow = daemon.last_flow().to_string();
        assert!(flow.contains(inside), "{url}: {flow}");
        let answer = ask(&host, url);
        assert!(answer.contains(inside), "{url}: {answer}");
    }
    assert_eq!(ask(&other, "http://no.test/"), format!("{rules}\n403"));
    assert_eq!(ask(&other, "http://127.0.0.1/"), format!("{rules}\n403"));
}
